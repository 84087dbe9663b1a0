// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IChannels} from "../interfaces/IChannels.sol";
import {IChecker} from "../interfaces/IChecker.sol";
import {ICourt} from "../interfaces/ICourt.sol";
import {ICourtStake} from "../interfaces/ICourtStake.sol";
import {IHosts} from "../interfaces/IHosts.sol";
import {IVerdicts} from "../interfaces/IVerdicts.sol";
import {
    Dispute,
    DisputeId,
    Reason,
    Side,
    StatementKind,
    commitmentInCalldata,
    verdict,
    winnerOf
} from "../types/Dispute.sol";
import {ChannelId, ReceiptId} from "../types/Ids.sol";
import {Moves} from "./Moves.sol";
import {Payments} from "./Payments.sol";
import {Queue, Waiting} from "./Queue.sol";
import {TraceTree} from "./TraceTree.sol";

/// @title Settles whether a signed statement is false
contract Court is Payments {
    /// @dev What is kept of a receipt: one slot.
    struct Standing {
        address vault;
        uint64 dispute;
        Status status;
    }

    /// @dev Below, a side that is offline for a moment loses.
    uint256 private constant MOVE_TIME_MIN = 1 minutes;

    /// @dev Above, a dispute outlasts any stake.
    uint256 private constant MOVE_TIME_MAX = 7 days;

    /// @dev The host's first node has to lie below a root, and be opened before words are.
    uint256 private constant LEVELS_MIN = 2;

    /// @dev The number of a word has six bits a level, and fits 64.
    uint256 private constant LEVELS_MAX = 10;

    /// @dev How many may wait for one receipt: few enough that the last of them is called while there may be stake.
    uint256 private constant QUEUE_MAX = 16;

    /// @dev A kind of statement is one byte.
    uint256 private constant CHECKERS_MAX = 256;

    IHosts private immutable HOSTS;
    IChannels private immutable CHANNELS;
    IVerdicts private immutable VERDICTS;
    uint256 private immutable MOVE_TIME;
    uint256 private immutable BOND_MIN;

    IChecker[] private _checkers;
    uint64 private _disputeCount;
    mapping(DisputeId id => bytes32 commitment) private _commitments;
    mapping(ReceiptId receipt => Standing) private _standings;
    mapping(ReceiptId receipt => Queue) private _queues;

    /// @param hosts_ Who knows the stake behind each host.
    /// @param channels_ Where refuted answers are taken off.
    /// @param verdicts_ Where verdicts are recorded.
    /// @param moveTime_ Seconds for a move.
    /// @param bondMin_ The least bond: with none, anybody could hold up a host's stake for nothing.
    /// @param checkers_ Who knows each kind of statement. Any of these contracts may be deployed later.
    constructor(
        IHosts hosts_,
        IChannels channels_,
        IVerdicts verdicts_,
        uint256 moveTime_,
        uint256 bondMin_,
        IChecker[] memory checkers_
    ) {
        require(moveTime_ >= MOVE_TIME_MIN && moveTime_ <= MOVE_TIME_MAX, BadMoveTime(moveTime_));
        require(bondMin_ > 0, ZeroBond());
        bool isCounted = checkers_.length > 0 && checkers_.length <= CHECKERS_MAX;
        require(isCounted, BadCheckerCount(checkers_.length, CHECKERS_MAX));
        HOSTS = hosts_;
        CHANNELS = channels_;
        VERDICTS = verdicts_;
        MOVE_TIME = moveTime_;
        BOND_MIN = bondMin_;
        _checkers = checkers_;
    }

    /// @inheritdoc ICourt
    function challenge(
        StatementKind kind,
        bytes calldata statement,
        bytes calldata signature,
        bytes calldata opening,
        bytes32[64] calldata children,
        uint128 bond
    ) external nonReentrant returns (DisputeId id) {
        Dispute memory dispute;
        dispute.checker = checkerOf(kind);
        _admit(dispute, dispute.checker.admit(statement, signature, opening));
        dispute.challenger = msg.sender;
        ICourtStake stake = _stakeBehind(dispute);
        dispute.bond = _enter(dispute.receipt, stake, bond);
        stake.lock(dispute.bond);
        id = DisputeId.wrap(++_disputeCount);
        _standings[dispute.receipt] = Standing({vault: address(stake), dispute: _disputeCount, status: Status.Disputed});
        dispute.nodes = new bytes32[](1);
        dispute.nodes[0] = TraceTree.nodeAbove(children);
        _pass(id, dispute);
        emit ChallengeOpened(id, dispute.receipt, dispute.host, msg.sender, dispute.bond, dispute, children);
    }

    /// @inheritdoc ICourt
    function descend(
        DisputeId id,
        Dispute memory dispute,
        uint8 child,
        bytes32[] calldata ownPath,
        bytes32 theirChild,
        bytes32[6] calldata theirPath,
        bytes32[64] calldata children,
        bytes32[] calldata endPath
    ) external {
        _checkTurn(id, dispute);
        bytes32 own = TraceTree.nodeAbove(children);
        Moves.descend(dispute, false, child, own, ownPath, theirChild, theirPath, endPath);
        _pass(id, dispute);
        emit Descended(id, dispute.nodes.length, child, dispute, children);
    }

    /// @inheritdoc ICourt
    function descendToWords(
        DisputeId id,
        Dispute memory dispute,
        uint8 child,
        bytes32[] calldata ownPath,
        bytes32 theirChild,
        bytes32[6] calldata theirPath,
        bytes calldata words,
        bytes32[] calldata endPath
    ) external {
        _checkTurn(id, dispute);
        bytes32 own = Moves.nodeOfWords(words);
        Moves.descend(dispute, true, child, own, ownPath, theirChild, theirPath, endPath);
        _pass(id, dispute);
        emit DescendedToWords(id, dispute.nodes.length, child, dispute, words);
    }

    /// @inheritdoc ICourt
    function work(
        DisputeId id,
        Dispute memory dispute,
        uint8 index,
        bytes calldata tile,
        bytes32[8] calldata ownPath,
        bytes calldata theirTile,
        bytes32[2] calldata theirPath,
        bytes calldata working
    ) external {
        _checkTurn(id, dispute);
        Moves.work(dispute, index, tile, ownPath, theirTile, theirPath, working);
        _pass(id, dispute);
        emit Worked(id, dispute, tile, working);
    }

    /// @inheritdoc ICourt
    function accuse(
        DisputeId id,
        Dispute calldata dispute,
        bytes calldata context,
        uint32 step,
        bytes calldata data,
        bytes32[] calldata path
    ) external {
        bytes32 committed = commitmentInCalldata(dispute);
        _check(id, committed);
        (address host, address challenger) = (dispute.host, dispute.challenger);
        bool isHostsTurn = dispute.isHostsTurn;
        _checkMover(id, isHostsTurn ? host : challenger, dispute.deadline);
        Moves.checkWorked(dispute);
        IChecker.Docket memory docket = IChecker.Docket({
            context: dispute.context,
            wordAddress: dispute.index,
            word: dispute.word,
            nodes: dispute.nodes,
            workingRoot: dispute.workingRoot,
            workingLength: dispute.workingLength
        });
        Reason reason = _reasonOf(dispute.checker.judge(docket, context, step, data, path));
        address winner = winnerOf(isHostsTurn, reason) == Side.Host ? host : challenger;
        _decide(id, dispute.receipt, host, winner, committed, reason);
    }

    /// @inheritdoc ICourt
    function timeout(DisputeId id, Dispute memory dispute) external {
        bytes32 committed = dispute.commitment();
        _check(id, committed);
        require(block.timestamp > dispute.deadline, TooEarly(id, dispute.deadline, block.timestamp));
        address winner = dispute.party(dispute.winner(Reason.Silence));
        _decide(id, dispute.receipt, dispute.host, winner, committed, Reason.Silence);
    }

    /// @inheritdoc ICourt
    function settle(DisputeId id, Dispute memory dispute, Reason reason) external nonReentrant {
        _check(id, verdict(dispute.commitment(), reason));
        delete _commitments[id];
        if (dispute.winner(reason) == Side.Host) {
            _uphold(id, dispute);
        } else {
            _refute(id, dispute);
        }
    }

    /// @inheritdoc ICourt
    function queue(ReceiptId receipt, uint128 bond) external nonReentrant returns (uint256 place) {
        Standing memory standing = _standings[receipt];
        require(standing.status != Status.Refuted, AlreadyRefuted(receipt));
        Queue storage waiting = _queues[receipt];
        uint256 length = waiting.length();
        require(standing.status == Status.Disputed || length > 0, NotDisputed(receipt));
        require(length < QUEUE_MAX, QueueFull(receipt, QUEUE_MAX));
        uint128 received = _receiveBond(ICourtStake(standing.vault), bond);
        place = waiting.push(Waiting({challenger: msg.sender, bond: received}));
        emit ChallengerQueued(receipt, msg.sender, place, received);
    }

    /// @inheritdoc ICourt
    function skip(ReceiptId receipt) external nonReentrant {
        Standing memory standing = _standings[receipt];
        Queue storage waiting = _queues[receipt];
        require(standing.status == Status.Undisputed && waiting.length() > 0, NobodyCalled(receipt));
        Waiting memory first = waiting.head();
        ICourtStake stake = ICourtStake(standing.vault);
        bool isForfeited = stake.lockable() >= first.bond;
        require(!isForfeited || block.timestamp > waiting.until, NotYetSkippable(receipt, waiting.until));
        waiting.pop();
        emit ChallengerSkipped(receipt, first.challenger, first.bond, isForfeited);
        _callNext(receipt);
        _pay(IERC20(stake.asset()), isForfeited ? stake.host() : first.challenger, first.bond);
    }

    /// @inheritdoc ICourt
    function refund(ReceiptId receipt, uint256 place) external nonReentrant {
        Standing memory standing = _standings[receipt];
        require(standing.status == Status.Refuted, NotRefuted(receipt));
        Waiting memory waiting = _queues[receipt].places[place];
        require(waiting.challenger != address(0), EmptyPlace(receipt, place));
        delete _queues[receipt].places[place];
        emit BondRefunded(receipt, waiting.challenger, place, waiting.bond);
        _pay(IERC20(ICourtStake(standing.vault).asset()), waiting.challenger, waiting.bond);
    }

    /// @inheritdoc ICourt
    function commitmentOf(DisputeId id) external view returns (bytes32) {
        return _commitments[id];
    }

    /// @inheritdoc ICourt
    function disputeCount() external view returns (uint256) {
        return _disputeCount;
    }

    /// @inheritdoc ICourt
    function standingOf(ReceiptId receipt) external view returns (Status status, DisputeId id, address vault) {
        Standing memory standing = _standings[receipt];
        return (standing.status, DisputeId.wrap(standing.dispute), standing.vault);
    }

    /// @inheritdoc ICourt
    function queueOf(ReceiptId receipt) external view returns (uint256 first, uint256 length, uint256 until) {
        Queue storage waiting = _queues[receipt];
        return (waiting.first, waiting.length(), waiting.until);
    }

    /// @inheritdoc ICourt
    function queuedAt(ReceiptId receipt, uint256 place) external view returns (address challenger, uint128 bond) {
        Waiting memory waiting = _queues[receipt].places[place];
        return (waiting.challenger, waiting.bond);
    }

    /// @inheritdoc ICourt
    function moveTime() external view returns (uint256) {
        return MOVE_TIME;
    }

    /// @inheritdoc ICourt
    function bondMin() external view returns (uint256) {
        return BOND_MIN;
    }

    /// @inheritdoc ICourt
    function hosts() external view returns (address) {
        return address(HOSTS);
    }

    /// @inheritdoc ICourt
    function channels() external view returns (address) {
        return address(CHANNELS);
    }

    /// @inheritdoc ICourt
    function verdicts() external view returns (address) {
        return address(VERDICTS);
    }

    /// @inheritdoc ICourt
    function checkerOf(StatementKind kind) public view returns (IChecker) {
        uint256 index = StatementKind.unwrap(kind);
        require(index < _checkers.length, UnknownKind(kind));
        return _checkers[index];
    }

    /// @dev Writes down what a checker found in a statement.
    function _admit(Dispute memory dispute, IChecker.Admission memory admitted) private pure {
        uint256 levels = admitted.levels;
        require(levels >= LEVELS_MIN && levels <= LEVELS_MAX, BadLevels(levels));
        dispute.receipt = admitted.id;
        dispute.host = admitted.maker;
        dispute.channel = admitted.channel;
        dispute.total = admitted.total;
        dispute.context = admitted.context;
        dispute.levels = admitted.levels;
        dispute.endIndex = admitted.endIndex;
        dispute.endLeaf = admitted.endLeaf;
    }

    /// @dev The stake that answers for the host, if it does so for as long as the dispute can take.
    function _stakeBehind(Dispute memory dispute) private view returns (ICourtStake stake) {
        require(dispute.host != dispute.challenger, OwnReceipt(dispute.host));
        dispute.vault = HOSTS.vaultOf(dispute.host);
        require(dispute.vault != address(0), NoVault(dispute.host));
        stake = ICourtStake(dispute.vault);
        // The nodes after the challenger's, the working and the accusation; and time to settle.
        uint256 longest = (uint256(dispute.levels) + 2) * MOVE_TIME;
        uint256 lockHorizon = stake.lockHorizon();
        require(longest <= lockHorizon, HorizonTooShort(lockHorizon, longest));
    }

    /// @dev Lets the caller challenge, by the bond that it waited with or by a new one.
    function _enter(ReceiptId receipt, ICourtStake stake, uint128 bond) private returns (uint128) {
        Standing memory standing = _standings[receipt];
        require(standing.status != Status.Refuted, AlreadyRefuted(receipt));
        require(standing.status == Status.Undisputed, AlreadyDisputed(receipt, DisputeId.wrap(standing.dispute)));
        Queue storage waiting = _queues[receipt];
        if (waiting.length() == 0) return _receiveBond(stake, bond);
        Waiting memory first = waiting.head();
        require(msg.sender == first.challenger, NotFirstInQueue(receipt, first.challenger, waiting.until));
        waiting.pop();
        return first.bond;
    }

    function _receiveBond(ICourtStake stake, uint128 bond) private returns (uint128 received) {
        received = _receive(IERC20(stake.asset()), bond);
        require(received >= BOND_MIN, BondTooSmall(BOND_MIN, received));
    }

    /// @dev The receipt stands: the host gets the challenger's bond.
    function _uphold(DisputeId id, Dispute memory dispute) private {
        ICourtStake stake = ICourtStake(dispute.vault);
        _standings[dispute.receipt].status = Status.Undisputed;
        emit Settled(id, dispute.receipt, dispute.host, dispute.challenger, dispute.bond, 0);
        _callNext(dispute.receipt);
        VERDICTS.record(dispute.receipt, dispute.host, true);
        stake.unlock(dispute.bond);
        _pay(IERC20(stake.asset()), dispute.host, dispute.bond);
    }

    /// @dev The receipt falls: the challenger gets the stake that was locked for it, and its own bond back.
    function _refute(DisputeId id, Dispute memory dispute) private {
        ICourtStake stake = ICourtStake(dispute.vault);
        _standings[dispute.receipt].status = Status.Refuted;
        VERDICTS.record(dispute.receipt, dispute.host, false);
        uint256 freed;
        if (ChannelId.unwrap(dispute.channel) != 0) {
            freed = CHANNELS.refute(dispute.channel, dispute.host, dispute.total);
        }
        uint256 taken = stake.slash(dispute.bond, dispute.challenger);
        emit Settled(id, dispute.receipt, dispute.challenger, dispute.host, taken, freed);
        _pay(IERC20(stake.asset()), dispute.challenger, dispute.bond);
    }

    /// @dev Gives the first in the queue its time.
    function _callNext(ReceiptId receipt) private {
        Queue storage waiting = _queues[receipt];
        if (waiting.length() == 0) return;
        waiting.until = _deadline();
        emit ChallengerCalled(receipt, waiting.head().challenger, waiting.until);
    }

    function _deadline() private view returns (uint40) {
        return SafeCast.toUint40(block.timestamp + MOVE_TIME);
    }

    /// @dev Hands the turn to the other side; from the challenger, who begins, to the host.
    function _pass(DisputeId id, Dispute memory dispute) private {
        dispute.isHostsTurn = !dispute.isHostsTurn;
        dispute.deadline = _deadline();
        _commitments[id] = dispute.commitment();
    }

    function _decide(DisputeId id, ReceiptId receipt, address host, address winner, bytes32 committed, Reason reason)
        private
    {
        _commitments[id] = verdict(committed, reason);
        emit VerdictGiven(id, receipt, host, winner, reason);
    }

    function _reasonOf(IChecker.Ruling ruling) private pure returns (Reason) {
        if (ruling == IChecker.Ruling.WorkerLies) return Reason.WorkerLied;
        return ruling == IChecker.Ruling.AccuserLies ? Reason.AccuserLied : Reason.HostLied;
    }

    /// @dev Checks that the call brought the dispute as it stands, from the side that is to move, in time.
    function _checkTurn(DisputeId id, Dispute memory dispute) private view {
        _check(id, dispute.commitment());
        _checkMover(id, dispute.party(dispute.mover()), dispute.deadline);
    }

    function _checkMover(DisputeId id, address expected, uint40 deadline) private view {
        require(msg.sender == expected, NotYourTurn(id, expected, msg.sender));
        require(block.timestamp <= deadline, TooLate(id, deadline, block.timestamp));
    }

    function _check(DisputeId id, bytes32 found) private view {
        bytes32 expected = _commitments[id];
        require(expected != 0, UnknownDispute(id));
        require(found == expected, StaleDispute(id, expected, found));
    }
}
