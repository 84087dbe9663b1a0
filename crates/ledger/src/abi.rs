//! The contracts' interfaces, as far as this crate calls them. A test holds every signature to the artefacts.
#![expect(missing_docs, reason = "the interfaces in contracts/src/interfaces document each function")]

alloy::sol! {
    #[derive(Debug, PartialEq, Eq)]
    enum Reason { Silence, WorkerLied, AccuserLied, HostLied }

    #[derive(Debug, PartialEq, Eq)]
    struct Dispute {
        bytes32 receipt;
        address host;
        address challenger;
        address vault;
        bytes32 channel;
        uint128 total;
        uint128 bond;
        address checker;
        bytes32 context;
        uint8 levels;
        bool isHostsTurn;
        uint40 deadline;
        uint64 index;
        uint64 endIndex;
        bytes32 endLeaf;
        bytes32[] nodes;
        bytes32 workingRoot;
        uint32 workingLength;
        uint32 word;
    }

    #[derive(Debug)]
    interface Court {
        event ChallengeOpened(uint256 indexed id, bytes32 indexed receipt, address indexed host, address challenger, uint128 bond, Dispute dispute, bytes32[64] children);
        event Descended(uint256 indexed id, uint256 level, uint8 child, Dispute dispute, bytes32[64] children);
        event DescendedToWords(uint256 indexed id, uint256 level, uint8 child, Dispute dispute, bytes words);
        event Worked(uint256 indexed id, Dispute dispute, bytes tile, bytes working);
        event VerdictGiven(uint256 indexed id, bytes32 indexed receipt, address indexed host, address winner, Reason reason);
        event Settled(uint256 indexed id, bytes32 indexed receipt, address indexed winner, address loser, uint256 moved, uint256 freed);

        function challenge(uint8 kind, bytes statement, bytes signature, bytes opening, bytes32[64] children, uint128 bond) external returns (uint256 id);
        function descend(uint256 id, Dispute dispute, uint8 child, bytes32[] ownPath, bytes32 theirChild, bytes32[6] theirPath, bytes32[64] children, bytes32[] endPath) external;
        function descendToWords(uint256 id, Dispute dispute, uint8 child, bytes32[] ownPath, bytes32 theirChild, bytes32[6] theirPath, bytes words, bytes32[] endPath) external;
        function work(uint256 id, Dispute dispute, uint8 index, bytes tile, bytes32[8] ownPath, bytes theirTile, bytes32[2] theirPath, bytes working) external;
        function accuse(uint256 id, Dispute dispute, bytes context, uint32 step, bytes data, bytes32[] path) external;
        function timeout(uint256 id, Dispute dispute) external;
        function settle(uint256 id, Dispute dispute, Reason reason) external;
        function withdraw(address token, address receiver) external returns (uint256 amount);
        function commitmentOf(uint256 id) external view returns (bytes32);
        function disputeCount() external view returns (uint256);
        function standingOf(bytes32 receipt) external view returns (uint8 status, uint256 id, address vault);
        function bondMin() external view returns (uint256);
        function moveTime() external view returns (uint256);
    }

    #[derive(Debug)]
    interface Token {
        function mint(address to, uint256 amount) external;
        function approve(address spender, uint256 value) external returns (bool);
        function allowance(address owner, address spender) external view returns (uint256);
        function decimals() external view returns (uint8);
        function balanceOf(address account) external view returns (uint256);
        function transfer(address to, uint256 value) external returns (bool);
    }

    #[derive(Debug)]
    interface PermitToken {
        function name() external view returns (string);
        function version() external view returns (string);
        function nonces(address owner) external view returns (uint256);
        function DOMAIN_SEPARATOR() external view returns (bytes32);
        function PERMIT_TYPEHASH() external view returns (bytes32);
    }

    #[derive(Debug)]
    interface HostVaults {
        function create(address asset, address host, uint256 series) external returns (address vault);
        function vaultAt(address asset, address host, uint256 series) external view returns (address);
        function isVault(address vault) external view returns (bool);
    }

    #[derive(Debug)]
    interface HostVault {
        event WithdrawalRequested(uint256 indexed id, address indexed owner, uint256 shares, uint256 matureAt);
        event Withdraw(address indexed sender, address indexed receiver, address indexed owner, uint256 assets, uint256 shares);

        function deposit(uint256 assets, address receiver) external returns (uint256 shares);
        function requestWithdrawal(uint256 shares) external returns (uint256 id);
        function claim(uint256 id) external returns (uint256 assets);
        function withdrawal(uint256 id) external view returns (address owner, uint256 shares, uint256 matureAt);
        function withdrawalCount() external view returns (uint256);
        function withdrawalDelay() external view returns (uint256);
        function totalAssets() external view returns (uint256);
        function lockable() external view returns (uint256);
        function locked() external view returns (uint256);
        function balanceOf(address account) external view returns (uint256);
        function convertToAssets(uint256 shares) external view returns (uint256);
        function previewWithdraw(uint256 assets) external view returns (uint256);
        function asset() external view returns (address);
    }

    #[derive(Debug)]
    struct Host {
        address vault;
        uint64 registeredAt;
        bytes32 peerKey;
        bytes32 offerHash;
        string endpoint;
    }

    #[derive(Debug)]
    interface Hosts {
        function register(address vault, bytes32 peerKey, bytes32 offerHash, string endpoint) external;
        function update(bytes32 peerKey, bytes32 offerHash, string endpoint) external;
        function vaultOf(address host) external view returns (address);
        function hostOf(address host) external view returns (Host);
    }

    #[derive(Debug)]
    struct Terms {
        address client;
        address host;
        address token;
        uint96 salt;
    }

    #[derive(Debug)]
    enum ChannelState { None, Open, Closed }

    #[derive(Debug)]
    struct Channel {
        uint256 deposited;
        uint256 settled;
        uint256 refuted;
        uint256 refundable;
        uint256 closableAt;
        ChannelState state;
    }

    #[derive(Debug)]
    struct PackedVoucher {
        bytes32 payer;
        uint256 charge;
        bytes32 receipt;
        bytes32 r;
        bytes32 vs;
    }

    #[derive(Debug)]
    interface Channels {
        event VouchersSettled(address indexed host, address indexed token, bytes32 indexed model, uint256 paid, bytes settlements);
        event CloseRequested(bytes32 indexed id, uint256 closableAt);
        event ChannelClosed(bytes32 indexed id, uint256 settled, uint256 returned);

        function fund(Terms terms, uint256 amount) external returns (bytes32 id);
        function fundWithPermit(Terms terms, uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external returns (bytes32 id);
        function settle(address host, address token, bytes32 model, PackedVoucher[] vouchers) external returns (uint256 paid, bytes settlements);
        function requestClose(Terms terms) external;
        function close(Terms terms) external returns (uint256 returned);
        function channel(bytes32 id) external view returns (Channel);
        function voucherDigest(bytes32 id, uint96 amount, bytes32 model, uint64 promptTokens, uint64 outputTokens, bytes32 receipt) external view returns (bytes32);
        function channelId(Terms terms) external view returns (bytes32);
    }

    #[derive(Debug, PartialEq, Eq)]
    enum Ruling { WorkerLies, AccuserLies, HostLies }

    #[derive(Debug)]
    struct Docket {
        bytes32 context;
        uint64 wordAddress;
        uint32 word;
        bytes32[] nodes;
        bytes32 workingRoot;
        uint32 workingLength;
    }

    #[derive(Debug)]
    struct Statement {
        bytes32 modelRoot;
        bytes32 promptRoot;
        bytes32 seed;
        uint256 terms;
        Shape shape;
    }

    #[derive(Debug)]
    struct Shape {
        uint256 sizes;
        uint256 traits;
        uint256[4] places;
    }

    #[derive(Debug)]
    struct Opening {
        uint32 prompt;
        bytes32 promptTree;
        uint32 output;
        bytes32 outputBefore;
        uint32 lastToken;
        bytes sampling;
    }

    #[derive(Debug)]
    struct OpenedPart {
        string name;
        bytes32 digest;
        uint64 index;
        uint64 count;
        bytes32[] path;
    }

    #[derive(Debug)]
    struct LearnedModel {
        string architecture;
        uint64[17] numbers;
        OpenedPart hyperParameters;
        OpenedPart[] head;
    }

    #[derive(Debug)]
    interface ArithmeticJudge {
        function learn(bytes32 root, LearnedModel model) external;
        function judge(Docket docket, bytes context, uint32 step, bytes data, bytes32[] path) external view returns (Ruling ruling);
    }
}
