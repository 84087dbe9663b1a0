// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Dispute, DisputeId, Reason, StatementKind} from "../types/Dispute.sol";
import {ReceiptId} from "../types/Ids.sol";
import {IChecker} from "./IChecker.sol";

/// @title Settles whether a signed statement is false
/// @notice Somebody says so and puts up a bond; as much of the host's stake is locked. The two take turns to narrow their
/// difference down to one word of the computation, and a checker computes one step of how that word comes about. Who is wrong
/// loses its bond to the other. Silence loses.
///
///     challenge      the challenger opens the root of its tree: 64 nodes six heights below
///     descend        the host, then in turn: one level further down
///     descendToWords the last level: 64 words
///     work           the other side: the first word that differs, and how it comes about
///     accuse         the first again: a step of that which is wrong. The checker rules
///     settle         anybody: the money moves
///
/// The court keeps one word of storage for a dispute: the hash of where it stands. Each call brings that along, and what a
/// side needs to go on is in the events. `docs/dispute.md` has the whole game.
///
/// A receipt is disputed by one challenger at a time. Others queue with their bonds. If the receipt falls they get them back;
/// if it stands, the first of them is called.
///
/// Everybody who calls acts for itself: a host moves with the key that signs its receipts.
interface ICourt {
    /// @notice Where a receipt stands.
    enum Status {
        /// Nobody disputes it.
        Undisputed,
        /// Somebody does.
        Disputed,
        /// It was shown to be false. That is final.
        Refuted
    }

    /// @notice A dispute began, and the host is to move.
    /// @param id The dispute.
    /// @param receipt What it is about.
    /// @param host Who signed that.
    /// @param challenger Who says that it is false.
    /// @param bond What each side has at stake.
    /// @param dispute Where it stands.
    /// @param children The 64 nodes below the challenger's root.
    event ChallengeOpened(
        DisputeId indexed id,
        ReceiptId indexed receipt,
        address indexed host,
        address challenger,
        uint128 bond,
        Dispute dispute,
        bytes32[64] children
    );

    /// @notice A side went a level down.
    /// @param id The dispute.
    /// @param level How many nodes lie open now.
    /// @param child The child of the other's last node that it named.
    /// @param dispute Where it stands.
    /// @param children The 64 nodes below its own.
    event Descended(DisputeId indexed id, uint256 level, uint8 child, Dispute dispute, bytes32[64] children);

    /// @notice A side went down to the last level.
    /// @param id The dispute.
    /// @param level How many nodes lie open now.
    /// @param child The child of the other's last node that it named.
    /// @param dispute Where it stands.
    /// @param words Its own 64 words.
    event DescendedToWords(DisputeId indexed id, uint256 level, uint8 child, Dispute dispute, bytes words);

    /// @notice A side showed how the disputed word comes about.
    /// @param id The dispute.
    /// @param dispute Where it stands.
    /// @param tile Its tile that holds the word.
    /// @param working How the word comes about.
    event Worked(DisputeId indexed id, Dispute dispute, bytes tile, bytes working);

    /// @notice A dispute is decided; `settle` moves the money.
    /// @param id The dispute.
    /// @param receipt What it was about.
    /// @param host Who signed that.
    /// @param winner Who won.
    /// @param reason Why.
    event VerdictGiven(
        DisputeId indexed id, ReceiptId indexed receipt, address indexed host, address winner, Reason reason
    );

    /// @notice The money of a dispute moved.
    /// @param id The dispute.
    /// @param receipt What it was about.
    /// @param winner Who got the other's bond, and its own back.
    /// @param loser Who lost it.
    /// @param moved How much that was.
    /// @param freed What the channel of a refuted answer gives back to its client.
    event Settled(
        DisputeId indexed id,
        ReceiptId indexed receipt,
        address indexed winner,
        address loser,
        uint256 moved,
        uint256 freed
    );

    /// @notice Somebody waits to challenge a receipt.
    /// @param receipt The receipt.
    /// @param challenger Who waits.
    /// @param place Its number in the queue, counted from the first that ever waited.
    /// @param bond What it put up.
    event ChallengerQueued(ReceiptId indexed receipt, address indexed challenger, uint256 place, uint128 bond);

    /// @notice The first in the queue is to challenge.
    /// @param receipt The receipt.
    /// @param challenger Who.
    /// @param until By when, in seconds since 1970; then anybody may skip it.
    event ChallengerCalled(ReceiptId indexed receipt, address indexed challenger, uint256 until);

    /// @notice The first in the queue did not challenge, or could not.
    /// @param receipt The receipt.
    /// @param challenger Who.
    /// @param bond What it had put up.
    /// @param isForfeited Whether that went to the host, and not back.
    event ChallengerSkipped(ReceiptId indexed receipt, address indexed challenger, uint128 bond, bool isForfeited);

    /// @notice Somebody who waited got its bond back, because the receipt fell.
    /// @param receipt The receipt.
    /// @param challenger Who.
    /// @param place Its number in the queue.
    /// @param bond How much.
    event BondRefunded(ReceiptId indexed receipt, address indexed challenger, uint256 place, uint128 bond);

    /// @notice The token refused a payment, and the court keeps it for whom it is for.
    /// @param token The token.
    /// @param to Whom.
    /// @param amount How much.
    event PaymentKept(IERC20 indexed token, address indexed to, uint256 amount);

    /// @notice Somebody fetched what the court had kept.
    /// @param token The token.
    /// @param owner Who.
    /// @param receiver Where it went.
    /// @param amount How much.
    event PaymentWithdrawn(IERC20 indexed token, address indexed owner, address receiver, uint256 amount);

    /// @notice A time for moves that leaves no room to answer, or no end in sight.
    /// @param moveTime The time asked for, in seconds.
    error BadMoveTime(uint256 moveTime);

    /// @notice A court that costs nothing.
    error ZeroBond();

    /// @notice A court that knows nothing, or more kinds of statement than there are names for.
    /// @param count How many checkers were named.
    /// @param countMax The limit.
    error BadCheckerCount(uint256 count, uint256 countMax);

    /// @notice No checker knows statements of that kind.
    /// @param kind The kind.
    error UnknownKind(StatementKind kind);

    /// @notice A trace of a height that no dispute gets to the bottom of.
    /// @param levels The levels that its checker gave.
    error BadLevels(uint256 levels);

    /// @notice The host cannot dispute what it signed itself.
    /// @param host The host.
    error OwnReceipt(address host);

    /// @notice The host has not entered, so no stake answers for it.
    /// @param host The host.
    error NoVault(address host);

    /// @notice The dispute could outlast what the vault guarantees.
    /// @param lockHorizon What it guarantees, in seconds.
    /// @param longest How long the dispute could take.
    error HorizonTooShort(uint256 lockHorizon, uint256 longest);

    /// @notice The bond is too small.
    /// @param bondMin The least there is.
    /// @param received What arrived.
    error BondTooSmall(uint256 bondMin, uint256 received);

    /// @notice Somebody else disputes the receipt: `queue`.
    /// @param receipt The receipt.
    /// @param id The open dispute.
    error AlreadyDisputed(ReceiptId receipt, DisputeId id);

    /// @notice The receipt was shown to be false before.
    /// @param receipt The receipt.
    error AlreadyRefuted(ReceiptId receipt);

    /// @notice Somebody else is first in the queue. Once its time is over, `skip` it.
    /// @param receipt The receipt.
    /// @param first Who is first.
    /// @param until Until when it may challenge.
    error NotFirstInQueue(ReceiptId receipt, address first, uint256 until);

    /// @notice There is nothing to queue for: `challenge`.
    /// @param receipt The receipt.
    error NotDisputed(ReceiptId receipt);

    /// @notice As many wait as may.
    /// @param receipt The receipt.
    /// @param lengthMax How many.
    error QueueFull(ReceiptId receipt, uint256 lengthMax);

    /// @notice Nobody is called, so nobody can be skipped.
    /// @param receipt The receipt.
    error NobodyCalled(ReceiptId receipt);

    /// @notice The first in the queue still has time.
    /// @param receipt The receipt.
    /// @param until Until when.
    error NotYetSkippable(ReceiptId receipt, uint256 until);

    /// @notice The receipt has not fallen, so who waits waits on.
    /// @param receipt The receipt.
    error NotRefuted(ReceiptId receipt);

    /// @notice Nobody waits at that place.
    /// @param receipt The receipt.
    /// @param place The place.
    error EmptyPlace(ReceiptId receipt, uint256 place);

    /// @notice The dispute never began, or is settled.
    /// @param id The dispute.
    error UnknownDispute(DisputeId id);

    /// @notice The dispute does not stand where the call has it: a move came in between, or it is decided.
    /// @param id The dispute.
    /// @param expected The hash of where it stands.
    /// @param found The hash of what the call brought.
    error StaleDispute(DisputeId id, bytes32 expected, bytes32 found);

    /// @notice The other side is to move, or the caller is neither.
    /// @param id The dispute.
    /// @param expected Who is to move.
    /// @param caller Who called.
    error NotYourTurn(DisputeId id, address expected, address caller);

    /// @notice The time for the move is over.
    /// @param id The dispute.
    /// @param deadline When it ended.
    /// @param time Now.
    error TooLate(DisputeId id, uint256 deadline, uint256 time);

    /// @notice The time for the move is not over.
    /// @param id The dispute.
    /// @param deadline When it ends.
    /// @param time Now.
    error TooEarly(DisputeId id, uint256 deadline, uint256 time);

    /// @notice Nothing is kept for the caller.
    /// @param token The token.
    /// @param owner The caller.
    error NothingKept(IERC20 token, address owner);

    /// @notice Says that a statement is false, and opens the root of the trace that would be right.
    /// @param kind What kind of statement it is.
    /// @param statement The statement, as its checker reads it.
    /// @param signature The host's signature.
    /// @param opening What the checker has to know of what the statement stands for.
    /// @param children The 64 nodes six heights below the challenger's root.
    /// @param bond What the challenger puts up, in the asset of the host's vault; what arrives counts, and as much of the
    /// host's stake is locked. Who was called from the queue has put up its bond already, and this is not looked at.
    /// @return id The dispute.
    function challenge(
        StatementKind kind,
        bytes calldata statement,
        bytes calldata signature,
        bytes calldata opening,
        bytes32[64] calldata children,
        uint128 bond
    ) external returns (DisputeId id);

    /// @notice Goes one level down.
    /// @param id The dispute.
    /// @param dispute Where it stands.
    /// @param child The first child of the other's last node that differs from one's own.
    /// @param ownPath The path from one's own child to one's own last node, 12 hashes; in the host's first move, to its root,
    /// 6 hashes.
    /// @param theirChild The other's child.
    /// @param theirPath The path from it to the other's last node.
    /// @param children The 64 nodes below one's own child.
    /// @param endPath In the host's first move, the path to its root from the tile that holds what it signed; else nothing.
    function descend(
        DisputeId id,
        Dispute calldata dispute,
        uint8 child,
        bytes32[] calldata ownPath,
        bytes32 theirChild,
        bytes32[6] calldata theirPath,
        bytes32[64] calldata children,
        bytes32[] calldata endPath
    ) external;

    /// @notice Goes to the last level. As `descend`, but what lies below is 64 words.
    /// @param words One's own words, 256 bytes.
    function descendToWords(
        DisputeId id,
        Dispute calldata dispute,
        uint8 child,
        bytes32[] calldata ownPath,
        bytes32 theirChild,
        bytes32[6] calldata theirPath,
        bytes calldata words,
        bytes32[] calldata endPath
    ) external;

    /// @notice Shows how the first word that differs comes about.
    /// @param id The dispute.
    /// @param dispute Where it stands.
    /// @param index The first of the other's 64 words that differs from one's own.
    /// @param tile One's own tile that holds it, 64 bytes.
    /// @param ownPath The path from that to one's own last node.
    /// @param theirTile The other's tile, 64 bytes.
    /// @param theirPath The path from it to the other's last node.
    /// @param working The words from which the word follows, at most 30,000.
    function work(
        DisputeId id,
        Dispute calldata dispute,
        uint8 index,
        bytes calldata tile,
        bytes32[8] calldata ownPath,
        bytes calldata theirTile,
        bytes32[2] calldata theirPath,
        bytes calldata working
    ) external;

    /// @notice Says that a step of the working is wrong, and has the checker compute it.
    /// @dev Reverts, and nothing is decided, where the checker does: the accuser has until its deadline to bring what the
    /// step needs.
    /// @param id The dispute.
    /// @param dispute Where it stands.
    /// @param context What the checker needs of the statement.
    /// @param step The step.
    /// @param data Its inputs.
    /// @param path The hashes that prove them.
    function accuse(
        DisputeId id,
        Dispute calldata dispute,
        bytes calldata context,
        uint32 step,
        bytes calldata data,
        bytes32[] calldata path
    ) external;

    /// @notice Ends a dispute whose deadline has passed, against the side that was to move. Anybody may call.
    function timeout(DisputeId id, Dispute calldata dispute) external;

    /// @notice Moves the money of a decided dispute, records the verdict, and calls the next challenger if the receipt
    /// stands. Anybody may call.
    /// @param id The dispute.
    /// @param dispute Where it stood when it was decided.
    /// @param reason Why it was decided as it was.
    function settle(DisputeId id, Dispute calldata dispute, Reason reason) external;

    /// @notice Waits to challenge a receipt that somebody else disputes.
    /// @dev The place is given up in three ways: by challenging when called, by being skipped, or by a refund when the
    /// receipt falls.
    /// @param receipt The receipt.
    /// @param bond What the caller puts up; what arrives counts.
    /// @return place Its number in the queue.
    function queue(ReceiptId receipt, uint128 bond) external returns (uint256 place);

    /// @notice Takes the first out of the queue of a receipt that nobody disputes. Anybody may call once its time is over,
    /// and its bond goes to the host: it held up the others. If the host's stake does not cover its bond, so that it could
    /// not challenge, anybody may call at once and it gets its bond back.
    function skip(ReceiptId receipt) external;

    /// @notice Gives a bond back to who waited for a receipt that has fallen. Anybody may call.
    function refund(ReceiptId receipt, uint256 place) external;

    /// @notice Fetches what a token once refused to send to the caller.
    /// @param token The token.
    /// @param receiver Where it goes.
    /// @return amount How much.
    function withdraw(IERC20 token, address receiver) external returns (uint256 amount);

    /// @notice What the court keeps of a dispute: a hash of where it stands, or of that and the reason once it is decided.
    /// Zero where it never began, or is settled.
    function commitmentOf(DisputeId id) external view returns (bytes32);

    /// @notice How many disputes there were; the next one gets the number after this.
    function disputeCount() external view returns (uint256);

    /// @notice Where a receipt stands.
    /// @param receipt The receipt.
    /// @return status Where it stands.
    /// @return id Its last dispute; zero where there was none.
    /// @return vault The stake behind its host; zero where there was no dispute.
    function standingOf(ReceiptId receipt) external view returns (Status status, DisputeId id, address vault);

    /// @notice Who waits to challenge a receipt.
    /// @param receipt The receipt.
    /// @return first The place of the first.
    /// @return length How many wait.
    /// @return until By when the first must challenge, if nobody disputes the receipt.
    function queueOf(ReceiptId receipt) external view returns (uint256 first, uint256 length, uint256 until);

    /// @notice Who waits at one place; all zero where nobody does, or no more.
    /// @param receipt The receipt.
    /// @param place The place.
    /// @return challenger Who.
    /// @return bond What it put up.
    function queuedAt(ReceiptId receipt, uint256 place) external view returns (address challenger, uint128 bond);

    /// @notice How much of a token is kept for `owner`.
    function keptFor(IERC20 token, address owner) external view returns (uint256);

    /// @notice Who knows statements of a kind.
    /// @dev Reverts with `UnknownKind` where nobody does.
    function checkerOf(StatementKind kind) external view returns (IChecker);

    /// @notice Seconds that a side has for a move, and the first in the queue to challenge.
    function moveTime() external view returns (uint256);

    /// @notice The least bond, in the smallest unit of whatever the vault's asset is.
    function bondMin() external view returns (uint256);

    /// @notice The registry that knows the stake behind each host.
    function hosts() external view returns (address);

    /// @notice The channels whose refunds the court orders.
    function channels() external view returns (address);

    /// @notice Where verdicts are recorded.
    function verdicts() external view returns (address);
}
