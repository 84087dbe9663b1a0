// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Test, Vm} from "forge-std/Test.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Channels} from "../../src/Channels.sol";
import {DevDollar} from "../../src/DevDollar.sol";
import {HostVaults} from "../../src/HostVaults.sol";
import {Hosts} from "../../src/Hosts.sol";
import {Verdicts} from "../../src/Verdicts.sol";
import {Court} from "../../src/court/Court.sol";
import {Receipts} from "../../src/court/Receipts.sol";
import {IChecker} from "../../src/interfaces/IChecker.sol";
import {ICourt} from "../../src/interfaces/ICourt.sol";
import {IHostVault} from "../../src/interfaces/IHostVault.sol";
import {IHostVaults} from "../../src/interfaces/IHostVaults.sol";
import {IVerdicts} from "../../src/interfaces/IVerdicts.sol";
import {IValidationRegistry} from "../../src/interfaces/drafts/IValidationRegistry.sol";
import {Dispute, DisputeId, Reason, StatementKind} from "../../src/types/Dispute.sol";
import {ModelRoot, ReceiptId} from "../../src/types/Ids.sol";
import {PowersChecker} from "./PowersChecker.sol";
import {Entry, Trace} from "./Traces.sol";

/// @notice A dispute as the side that is to move knows it: from events.
struct Game {
    DisputeId id;
    Dispute dispute;
}

/// @notice A move down a level, as a side makes it from its own trace and from what the other side showed.
struct Descent {
    uint8 child;
    bytes32[] ownPath;
    bytes32 theirChild;
    bytes32[6] theirPath;
    bytes32[64] children;
    bytes words;
    bytes32[] endPath;
}

/// @notice The working of a word, as a side makes it.
struct Working {
    uint8 index;
    bytes tile;
    bytes32[8] ownPath;
    bytes theirTile;
    bytes32[2] theirPath;
    bytes working;
}

/// @notice A court with everything around it, a host that has stake, and two sides that can play.
abstract contract CourtFixture is Test {
    uint256 internal constant DOLLAR = 1e6;
    uint256 internal constant STAKE = 1_000 * DOLLAR;
    uint128 internal constant BOND = uint128(100 * DOLLAR);
    uint128 internal constant BOND_MIN = uint128(10 * DOLLAR);
    uint256 internal constant MOVE_TIME = 1 hours;
    uint256 internal constant LOCK_HORIZON = 1 days;
    uint256 internal constant WITHDRAWAL_DELAY = 3 days;
    uint128 internal constant TOTAL = uint128(5 * DOLLAR);
    StatementKind internal constant POWERS = StatementKind.wrap(0);

    bytes32 internal constant STATES = keccak256("states");
    bytes32 internal constant OUTPUTS = keccak256("outputs");

    DevDollar internal dollar;
    HostVaults internal vaults;
    Hosts internal hosts;
    Channels internal channels;
    Verdicts internal verdicts;
    PowersChecker internal checker;
    Court internal court;
    IHostVault internal vault;

    Vm.Wallet internal host;
    address internal backer = makeAddr("backer");
    address internal challenger = makeAddr("challenger");
    address internal client = makeAddr("client");
    address internal anybody = makeAddr("anybody");

    function setUp() public virtual {
        vm.chainId(31337);
        vm.warp(1_800_000_000);
        host = vm.createWallet("host");
        dollar = new DevDollar();
        checker = new PowersChecker();
        // The court names the others and they name it: the third contract from here on is the court.
        address courtAt = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 4);
        vaults = new HostVaults(courtAt, WITHDRAWAL_DELAY, LOCK_HORIZON);
        hosts = new Hosts(IHostVaults(address(vaults)));
        channels = new Channels(courtAt, 1 days);
        verdicts = new Verdicts(courtAt, IValidationRegistry(address(0)));
        IChecker[] memory checkers = new IChecker[](1);
        checkers[0] = checker;
        court = new Court(hosts, channels, verdicts, MOVE_TIME, BOND_MIN, checkers);
        assertEq(address(court), courtAt);
        vault = _enter(host.addr, dollar);
        dollar.mint(backer, STAKE);
        vm.startPrank(backer);
        dollar.approve(address(vault), STAKE);
        vault.deposit(STAKE, backer);
        vm.stopPrank();
        _endow(challenger);
    }

    // --- statements ---

    /// @dev A receipt of the host over so high a trace.
    function _receipt() internal view returns (Receipts.Receipt memory receipt) {
        receipt.version = 1;
        receipt.modelRoot = ModelRoot.wrap(keccak256("model"));
        receipt.arithmetic = 1;
        receipt.outputRoot = OUTPUTS;
        receipt.finish = 1;
        receipt.stateRoot = STATES;
        receipt.total = TOTAL;
        receipt.host = host.addr;
    }

    function _sign(Receipts.Receipt memory receipt, Vm.Wallet memory signer)
        internal
        returns (bytes memory statement, bytes memory signature, ReceiptId id)
    {
        statement = abi.encode(receipt);
        id = this.idOf(statement);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(signer, ReceiptId.unwrap(id));
        signature = abi.encodePacked(r, s, v);
    }

    function idOf(bytes calldata statement) external pure returns (ReceiptId) {
        return Receipts.idOf(statement);
    }

    function _opening(uint8 levels, uint64 poison) internal pure returns (bytes memory) {
        return abi.encode(PowersChecker.Opening({levels: levels, poison: poison}));
    }

    /// @dev The right trace: which numbers are powers of two.
    function _honest(uint8 levels) internal pure returns (Trace memory trace) {
        trace.levels = levels;
        trace.entries = new Entry[](6 * uint256(levels));
        for (uint256 i; i < trace.entries.length; ++i) {
            trace.entries[i] = Entry(uint64(2 ** i), uint32(2 ** i));
        }
        return trace.withRoots(STATES, OUTPUTS);
    }

    // --- people ---

    function _enter(address host_, IERC20 asset) internal returns (IHostVault made) {
        made = vaults.create(asset, host_, 0);
        vm.prank(host_);
        hosts.register(address(made), bytes32(0), bytes32(0), "");
    }

    function _endow(address account) internal {
        dollar.mint(account, 10 * BOND);
        vm.prank(account);
        dollar.approve(address(court), type(uint256).max);
    }

    // --- moves ---

    function _challenge(Trace memory trace) internal returns (Game memory) {
        return _challenge(trace, 0);
    }

    function _challenge(Trace memory trace, uint64 poison) internal returns (Game memory) {
        (bytes memory statement, bytes memory signature,) = _sign(_receipt(), host);
        return _challengeAs(challenger, trace, statement, signature, poison);
    }

    function _challengeAs(address by, Trace memory trace, bytes memory statement, bytes memory signature, uint64 poison)
        internal
        returns (Game memory)
    {
        bytes32[64] memory children = trace.childrenAt(trace.heightOf(), 0);
        bytes memory opening = _opening(trace.levels, poison);
        vm.recordLogs();
        vm.prank(by);
        DisputeId id = court.challenge(POWERS, statement, signature, opening, children, BOND);
        Vm.Log memory log = _lastLog(ICourt.ChallengeOpened.selector);
        (,, Dispute memory dispute,) = abi.decode(log.data, (address, uint128, Dispute, bytes32[64]));
        return Game({id: id, dispute: dispute});
    }

    /// @dev The next move down, from a side's own trace and the other's last node.
    function _descent(Game memory game, Trace memory own, Trace memory theirs) internal view returns (Descent memory) {
        uint256 opened = game.dispute.nodes.length;
        uint256 height = own.heightOf() - 6 * (opened - 1);
        bytes32[64] memory ours = own.childrenAt(height, game.dispute.index);
        bytes32[64] memory shown = theirs.childrenAt(height, game.dispute.index);
        uint256 child;
        while (child < 63 && ours[child] == shown[child]) ++child;
        return _descentTo(game, own, theirs, child);
    }

    /// @dev The same to a child of one's choice.
    function _descentTo(Game memory game, Trace memory own, Trace memory theirs, uint256 child)
        internal
        view
        returns (Descent memory descent)
    {
        uint256 opened = game.dispute.nodes.length;
        uint256 height = own.heightOf() - 6 * (opened - 1);
        uint256 below = height - 6;
        uint256 index = uint256(game.dispute.index) * 64 + child;
        descent.child = uint8(child);
        descent.ownPath = own.siblingsAt(below, index, opened == 1 ? height : height + 6);
        descent.theirChild = theirs.nodeAt(below, index);
        bytes32[] memory path = theirs.siblingsAt(below, index, height);
        for (uint256 i; i < 6; ++i) {
            descent.theirPath[i] = path[i];
        }
        if (below > 6) descent.children = own.childrenAt(below, index);
        else descent.words = own.wordsAt(64 * index, 64);
        if (opened == 1) descent.endPath = own.siblingsAt(4, 2 ** (own.heightOf() - 4) - 1, own.heightOf());
    }

    /// @dev Makes a move down, as whoever's turn it is.
    function _descend(Game memory game, Descent memory descent) internal returns (Game memory) {
        vm.recordLogs();
        vm.prank(_mover(game));
        _send(game, descent);
        bool isLast = descent.words.length > 0;
        Vm.Log memory log = _lastLog(isLast ? ICourt.DescendedToWords.selector : ICourt.Descended.selector);
        Dispute memory dispute;
        if (isLast) (,, dispute,) = abi.decode(log.data, (uint256, uint8, Dispute, bytes));
        else (,, dispute,) = abi.decode(log.data, (uint256, uint8, Dispute, bytes32[64]));
        return Game({id: game.id, dispute: dispute});
    }

    function _descend(Game memory game, Trace memory own, Trace memory theirs) internal returns (Game memory) {
        return _descend(game, _descent(game, own, theirs));
    }

    /// @dev The call of a move down, as whoever was pranked.
    function _send(Game memory game, Descent memory d) internal {
        if (d.words.length > 0) {
            court.descendToWords(
                game.id, game.dispute, d.child, d.ownPath, d.theirChild, d.theirPath, d.words, d.endPath
            );
        } else {
            court.descend(game.id, game.dispute, d.child, d.ownPath, d.theirChild, d.theirPath, d.children, d.endPath);
        }
    }

    /// @dev Plays down to 64 words: the host first, then in turn.
    function _playToWords(Game memory game, Trace memory hosts_, Trace memory challengers)
        internal
        returns (Game memory)
    {
        while (game.dispute.nodes.length < game.dispute.levels) {
            bool isHosts = game.dispute.isHostsTurn;
            game = _descend(game, isHosts ? hosts_ : challengers, isHosts ? challengers : hosts_);
        }
        return game;
    }

    /// @dev The working of the first word that differs.
    function _workingOf(Game memory game, Trace memory own, Trace memory theirs)
        internal
        view
        returns (Working memory)
    {
        uint256 index;
        while (own.wordAt(_first(game) + index) == theirs.wordAt(_first(game) + index)) ++index;
        return _workingOf(game, own, theirs, index);
    }

    function _workingOf(Game memory game, Trace memory own, Trace memory theirs, uint256 index)
        internal
        view
        returns (Working memory w)
    {
        uint256 position = _first(game) + index;
        w.index = uint8(index);
        w.tile = own.tileAt(position / 16);
        w.theirTile = theirs.tileAt(position / 16);
        bytes32[] memory path = own.siblingsAt(4, position / 16, 12);
        for (uint256 i; i < 8; ++i) {
            w.ownPath[i] = path[i];
        }
        path = theirs.siblingsAt(4, position / 16, 6);
        (w.theirPath[0], w.theirPath[1]) = (path[0], path[1]);
        w.working = _rightWorking(uint32(position));
    }

    /// @dev What the checker wants to see for a word.
    function _rightWorking(uint32 position) internal pure returns (bytes memory) {
        return _words(position, position == 0 ? 0 : position & (position - 1));
    }

    function _words(uint32 first, uint32 second) internal pure returns (bytes memory words) {
        words = new bytes(8);
        for (uint32 i; i < 4; ++i) {
            words[i] = bytes1(uint8(first >> (8 * i)));
            words[4 + i] = bytes1(uint8(second >> (8 * i)));
        }
    }

    function _work(Game memory game, Working memory w) internal returns (Game memory) {
        vm.recordLogs();
        vm.prank(_mover(game));
        _send(game, w);
        Vm.Log memory log = _lastLog(ICourt.Worked.selector);
        (Dispute memory dispute,,) = abi.decode(log.data, (Dispute, bytes, bytes));
        return Game({id: game.id, dispute: dispute});
    }

    function _send(Game memory game, Working memory w) internal {
        court.work(game.id, game.dispute, w.index, w.tile, w.ownPath, w.theirTile, w.theirPath, w.working);
    }

    /// @dev Accuses a step of the working, as whoever's turn it is.
    function _accuse(Game memory game, uint32 step, bytes memory working, uint64 poison) internal {
        vm.prank(_mover(game));
        _sendAccusation(game, step, working, poison);
    }

    function _sendAccusation(Game memory game, uint32 step, bytes memory working, uint64 poison) internal {
        bytes memory tile = abi.encodePacked(working, new bytes(64 - working.length));
        court.accuse(game.id, game.dispute, _opening(game.dispute.levels, poison), step, tile, new bytes32[](0));
    }

    function _settle(Game memory game, Reason reason) internal {
        vm.prank(anybody);
        court.settle(game.id, game.dispute, reason);
    }

    /// @dev Lets whoever is to move be silent.
    function _timeout(Game memory game) internal {
        vm.warp(uint256(game.dispute.deadline) + 1);
        vm.prank(anybody);
        court.timeout(game.id, game.dispute);
    }

    /// @dev The same, and the money moves.
    function _silence(Game memory game) internal {
        _timeout(game);
        _settle(game, Reason.Silence);
    }

    // --- looking ---

    function _mover(Game memory game) internal pure returns (address) {
        return game.dispute.isHostsTurn ? game.dispute.host : game.dispute.challenger;
    }

    /// @dev The number of the first open word.
    function _first(Game memory game) private pure returns (uint256) {
        return uint256(game.dispute.index) * 64;
    }

    function _lastLog(bytes32 topic) internal returns (Vm.Log memory found) {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i; i < logs.length; ++i) {
            if (logs[i].topics[0] == topic) found = logs[i];
        }
        require(found.topics.length > 0, "no such event");
    }

    function _assertVerdict(ReceiptId receipt, IVerdicts.Verdict expected) internal view {
        (IVerdicts.Verdict found,) = verdicts.verdictOf(receipt);
        assertEq(uint256(found), uint256(expected), "verdict");
    }
}
