// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";
import {ICourt} from "../../src/interfaces/ICourt.sol";
import {IHostVault} from "../../src/interfaces/IHostVault.sol";
import {IVerdicts} from "../../src/interfaces/IVerdicts.sol";
import {Receipts} from "../../src/court/Receipts.sol";
import {Dispute, DisputeId, Reason, Side} from "../../src/types/Dispute.sol";
import {ReceiptId} from "../../src/types/Ids.sol";
import {BanningToken} from "../tokens/Tokens.sol";
import {CourtFixture, Descent, Game, Working} from "./CourtFixture.sol";
import {Trace} from "./Traces.sol";

/// @dev A host, a backer, challengers and a thief, who do whatever the fuzzer likes in whatever order. The host lies in every
/// other receipt; in the others the challengers do. The token refuses whom it is told to refuse.
contract CourtActors is CourtFixture {
    uint256 public constant RECEIPTS = 4;
    uint256 public constant CHALLENGERS = 3;
    uint256 private constant MOST = 1_000_000 * DOLLAR;

    /// @dev How far a dispute has come.
    enum Stage {
        None,
        Opened,
        Answered,
        Worked,
        Decided
    }

    /// @dev Everything about one receipt, and about its last dispute.
    struct Matter {
        bytes statement;
        bytes signature;
        ReceiptId id;
        Stage stage;
        Game game;
        Reason reason;
        bool hasFallen;
    }

    /// @dev What the two sides play, by whether the host lies.
    struct Play {
        bytes32[64] children;
        Descent descent;
        Working working;
    }

    BanningToken public token;
    address public thief = makeAddr("thief");
    address[CHALLENGERS] public challengers = [makeAddr("first"), makeAddr("second"), makeAddr("third")];
    Matter[RECEIPTS] private _matters;
    Play[2] private _plays;
    /// @dev Bonds of disputes that are not settled.
    uint256 public bondsAtStake;
    /// @dev Verdicts against the side that told the truth though it always moved.
    uint256 public injustices;
    mapping(string action => uint256) public done;

    function setUp() public override {
        super.setUp();
        token = new BanningToken();
        host = vm.createWallet("host of the walk");
        vault = _enter(host.addr, token);
        token.mint(backer, MOST);
        vm.prank(backer);
        token.approve(address(vault), MOST);
        vm.prank(backer);
        vault.deposit(10 * STAKE, backer);
        for (uint256 i; i < CHALLENGERS; ++i) {
            token.mint(challengers[i], MOST);
            vm.prank(challengers[i]);
            token.approve(address(court), MOST);
        }
        for (uint256 i; i < RECEIPTS; ++i) {
            Receipts.Receipt memory receipt = _receipt();
            receipt.choice = uint32(i);
            (_matters[i].statement, _matters[i].signature, _matters[i].id) = _sign(receipt, host);
        }
        _prepare(0, _honest(2).withWord(5, 1), _honest(2));
        _prepare(1, _honest(2), _honest(2).withWord(5, 1));
    }

    // --- what can be done ---

    function challenge(uint256 index, uint256 who, uint256 bond) external {
        (Matter storage matter, address by) = (_matter(index), challengers[who % CHALLENGERS]);
        uint128 amount = uint128(bound(bond, BOND_MIN, STAKE));
        bytes memory call = abi.encodeCall(
            court.challenge, (POWERS, matter.statement, matter.signature, _opening(2, 0), _play(index).children, amount)
        );
        vm.recordLogs();
        if (!_attempt("challenge", by, call)) return;
        (,, Dispute memory dispute,) =
            abi.decode(_lastLog(ICourt.ChallengeOpened.selector).data, (address, uint128, Dispute, bytes32[64]));
        _go(matter, Stage.Opened, dispute);
        matter.game.id = DisputeId.wrap(court.disputeCount());
        bondsAtStake += dispute.bond;
    }

    function answer(uint256 index) external {
        Matter storage matter = _matter(index);
        if (matter.stage != Stage.Opened) return;
        Descent memory d = _play(index).descent;
        Game memory game = matter.game;
        bytes memory call = abi.encodeCall(
            court.descendToWords,
            (game.id, game.dispute, d.child, d.ownPath, d.theirChild, d.theirPath, d.words, d.endPath)
        );
        vm.recordLogs();
        if (!_attempt("answer", host.addr, call)) return;
        (,, Dispute memory dispute,) =
            abi.decode(_lastLog(ICourt.DescendedToWords.selector).data, (uint256, uint8, Dispute, bytes));
        _go(matter, Stage.Answered, dispute);
    }

    function work(uint256 index) external {
        Matter storage matter = _matter(index);
        if (matter.stage != Stage.Answered) return;
        Working memory w = _play(index).working;
        Game memory game = matter.game;
        bytes memory call = abi.encodeCall(
            court.work, (game.id, game.dispute, w.index, w.tile, w.ownPath, w.theirTile, w.theirPath, w.working)
        );
        vm.recordLogs();
        if (!_attempt("work", game.dispute.challenger, call)) return;
        (Dispute memory dispute,,) = abi.decode(_lastLog(ICourt.Worked.selector).data, (Dispute, bytes, bytes));
        _go(matter, Stage.Worked, dispute);
    }

    function accuse(uint256 index) external {
        Matter storage matter = _matter(index);
        if (matter.stage != Stage.Worked) return;
        Game memory game = matter.game;
        bytes memory tile = abi.encodePacked(_rightWorking(5), new bytes(56));
        bytes memory call =
            abi.encodeCall(court.accuse, (game.id, game.dispute, _opening(2, 0), 2, tile, new bytes32[](0)));
        if (!_attempt("accuse", host.addr, call)) return;
        bool isHostLying = index % 2 == 0;
        _decide(matter, isHostLying ? Reason.AccuserLied : Reason.WorkerLied);
        if ((matter.game.dispute.winner(matter.reason) == Side.Host) == isHostLying) ++injustices;
    }

    function timeout(uint256 index) external {
        Matter storage matter = _matter(index);
        if (matter.stage == Stage.None || matter.stage == Stage.Decided) return;
        Game memory game = matter.game;
        if (_attempt("timeout", anybody, abi.encodeCall(court.timeout, (game.id, game.dispute)))) {
            _decide(matter, Reason.Silence);
        }
    }

    function settle(uint256 index) external {
        Matter storage matter = _matter(index);
        if (matter.stage != Stage.Decided) return;
        Game memory game = matter.game;
        // Nothing stands in the way of this one, whatever the token refuses.
        vm.prank(anybody);
        court.settle(game.id, game.dispute, matter.reason);
        ++done["settle"];
        bondsAtStake -= game.dispute.bond;
        matter.stage = Stage.None;
        if (game.dispute.winner(matter.reason) == Side.Challenger) matter.hasFallen = true;
    }

    function queue(uint256 index, uint256 who, uint256 bond) external {
        uint128 amount = uint128(bound(bond, BOND_MIN, STAKE));
        _attempt("queue", challengers[who % CHALLENGERS], abi.encodeCall(court.queue, (_matter(index).id, amount)));
    }

    function skipFirst(uint256 index) external {
        _attempt("skip", anybody, abi.encodeCall(court.skip, (_matter(index).id)));
    }

    function refund(uint256 index, uint256 place) external {
        (uint256 first, uint256 length,) = court.queueOf(_matter(index).id);
        place = bound(place, first, first + length);
        _attempt("refund", anybody, abi.encodeCall(court.refund, (_matter(index).id, place)));
    }

    function withdraw(uint256 who) external {
        address by = who % 4 == 3 ? host.addr : challengers[who % 4];
        _attempt("withdraw", by, abi.encodeCall(court.withdraw, (token, by)));
    }

    /// @dev The thief calls what it likes with what it has seen.
    function steal(uint256 index, uint256 how) external {
        Matter storage matter = _matter(index);
        Game memory game = matter.game;
        if (how % 4 == 0) _attempt("steal", thief, abi.encodeCall(court.withdraw, (token, thief)));
        if (how % 4 == 1) _attempt("steal", thief, abi.encodeCall(court.refund, (matter.id, how % 7)));
        if (how % 4 == 2) {
            game.dispute.challenger = thief;
            _attempt("steal", thief, abi.encodeCall(court.settle, (game.id, game.dispute, matter.reason)));
        }
        if (how % 4 == 3) {
            _attempt("steal", thief, abi.encodeCall(court.settle, (game.id, game.dispute, Reason.HostLied)));
        }
    }

    function refuse(uint256 who, bool isBanned) external {
        address account = who % 4 == 3 ? host.addr : challengers[who % 4];
        if (isBanned) token.ban(account);
        else token.pardon(account);
    }

    function wait(uint256 time) external {
        _pass(bound(time, 1, MOVE_TIME + 1));
    }

    function moveStake(uint256 amount, bool isLeaving) external {
        amount = bound(amount, 1, STAKE);
        bytes memory call = isLeaving
            ? abi.encodeCall(vault.requestWithdrawal, (amount))
            : abi.encodeCall(vault.deposit, (amount, backer));
        vm.prank(backer);
        (bool isDone,) = address(vault).call(call);
        if (isDone) ++done["stake"];
    }

    /// @dev Ends all disputes and empties all queues, and everybody takes what is kept for it.
    function goHome() external {
        for (uint256 i; i < RECEIPTS; ++i) {
            _pass(MOVE_TIME + 1);
            this.timeout(i);
            this.settle(i);
            _pass(MOVE_TIME + 1);
            (uint256 first, uint256 length,) = court.queueOf(_matters[i].id);
            for (uint256 place = first; place < first + length; ++place) {
                this.skipFirst(i);
                this.refund(i, place);
                _pass(MOVE_TIME + 1);
            }
        }
        for (uint256 who; who < 4; ++who) {
            this.refuse(who, false);
            this.withdraw(who);
        }
    }

    // --- looking ---

    function matterOf(uint256 index)
        external
        view
        returns (ReceiptId id, bool hasFallen, bool isOpen, DisputeId dispute)
    {
        Matter storage matter = _matters[index];
        return (matter.id, matter.hasFallen, matter.stage != Stage.None, matter.game.id);
    }

    function bondsWaiting() external view returns (uint256 sum) {
        for (uint256 i; i < RECEIPTS; ++i) {
            (uint256 first, uint256 length,) = court.queueOf(_matters[i].id);
            for (uint256 place = first; place < first + length; ++place) {
                (, uint128 bond) = court.queuedAt(_matters[i].id, place);
                sum += bond;
            }
        }
    }

    function paymentsKept() external view returns (uint256 sum) {
        sum = court.keptFor(token, host.addr) + court.keptFor(token, thief);
        for (uint256 i; i < CHALLENGERS; ++i) {
            sum += court.keptFor(token, challengers[i]);
        }
    }

    function court_() external view returns (ICourt) {
        return court;
    }

    function vault_() external view returns (IHostVault) {
        return vault;
    }

    function verdictOf(ReceiptId receipt) external view returns (IVerdicts.Verdict found) {
        (found,) = verdicts.verdictOf(receipt);
    }

    // --- inside ---

    /// @dev The optimiser takes `block.timestamp` for one number, whatever comes between; the cheat code is asked each time.
    function _pass(uint256 time) private {
        vm.warp(vm.getBlockTimestamp() + time);
    }

    function _prepare(uint256 which, Trace memory hosts_, Trace memory challengers_) private {
        Play storage play = _plays[which];
        Game memory game;
        game.dispute.nodes = new bytes32[](1);
        play.children = challengers_.childrenAt(12, 0);
        play.descent = _descent(game, hosts_, challengers_);
        game.dispute.index = play.descent.child;
        play.working = _workingOf(game, challengers_, hosts_);
    }

    function _matter(uint256 index) private view returns (Matter storage) {
        return _matters[index % RECEIPTS];
    }

    function _play(uint256 index) private view returns (Play storage) {
        return _plays[index % 2];
    }

    function _go(Matter storage matter, Stage stage, Dispute memory dispute) private {
        matter.stage = stage;
        matter.game.dispute = dispute;
    }

    function _decide(Matter storage matter, Reason reason) private {
        matter.stage = Stage.Decided;
        matter.reason = reason;
    }

    /// @dev Calls the court, which may refuse.
    function _attempt(string memory action, address by, bytes memory call) private returns (bool isDone) {
        vm.prank(by);
        (isDone,) = address(court).call(call);
        if (isDone) ++done[action];
    }
}

contract CourtInvariants is Test {
    CourtActors private actors;
    ICourt private court;

    function setUp() public {
        actors = new CourtActors();
        actors.setUp();
        court = actors.court_();
        bytes4[] memory selectors = new bytes4[](14);
        selectors[0] = actors.challenge.selector;
        selectors[1] = actors.answer.selector;
        selectors[2] = actors.work.selector;
        selectors[3] = actors.accuse.selector;
        selectors[4] = actors.timeout.selector;
        selectors[5] = actors.settle.selector;
        selectors[6] = actors.queue.selector;
        selectors[7] = actors.skipFirst.selector;
        selectors[8] = actors.refund.selector;
        selectors[9] = actors.withdraw.selector;
        selectors[10] = actors.steal.selector;
        selectors[11] = actors.refuse.selector;
        selectors[12] = actors.wait.selector;
        selectors[13] = actors.moveStake.selector;
        targetContract(address(actors));
        targetSelector(FuzzSelector({addr: address(actors), selectors: selectors}));
    }

    /// @dev One walk for all sentences, because the walk is what takes the time.
    function invariant_theCourtHoldsWhatItOwesAndTheTruthWins() public view {
        _theCourtHoldsTheBondsAtStakeThoseThatWaitAndWhatItKeeps();
        _asMuchStakeIsLockedAsThereAreBondsAtStake();
        _whoTellsTheTruthAndMovesInTimeWins();
        _aReceiptIsDisputedWhileADisputeIsOpenAndRefutedForEver();
        _theThiefHasNothing();
    }

    /// @dev No bond is trapped: at the end of every walk all disputes end and all who wait go home.
    function afterInvariant() public {
        actors.goHome();
        assertEq(actors.token().balanceOf(address(court)), 0);
        assertEq(actors.vault_().locked(), 0);
        _aReceiptIsDisputedWhileADisputeIsOpenAndRefutedForEver();
    }

    /// @dev A walk by hand in which everything that the fuzzer can do comes about.
    function test_actors_canDoEverything() public {
        actors.challenge(0, 0, 1e9);
        actors.answer(0);
        actors.work(0);
        actors.accuse(0);
        actors.queue(0, 1, 1e8);
        actors.refuse(0, true);
        actors.settle(0);
        actors.refund(0, 0);
        actors.refuse(0, false);
        actors.withdraw(0);
        actors.challenge(1, 0, 1e9);
        actors.answer(1);
        actors.queue(1, 1, 1e8);
        actors.wait(type(uint256).max);
        actors.timeout(1);
        actors.settle(1);
        actors.wait(type(uint256).max);
        actors.skipFirst(1);
        actors.moveStake(1, true);
        string[12] memory names = [
            "challenge",
            "answer",
            "work",
            "accuse",
            "timeout",
            "settle",
            "queue",
            "skip",
            "refund",
            "withdraw",
            "stake",
            "settle"
        ];
        for (uint256 i; i < names.length; ++i) {
            assertGt(actors.done(names[i]), 0, names[i]);
        }
    }

    function _theCourtHoldsTheBondsAtStakeThoseThatWaitAndWhatItKeeps() private view {
        assertEq(
            actors.token().balanceOf(address(court)),
            actors.bondsAtStake() + actors.bondsWaiting() + actors.paymentsKept()
        );
    }

    function _asMuchStakeIsLockedAsThereAreBondsAtStake() private view {
        assertEq(actors.vault_().locked(), actors.bondsAtStake());
    }

    function _whoTellsTheTruthAndMovesInTimeWins() private view {
        assertEq(actors.injustices(), 0);
    }

    function _aReceiptIsDisputedWhileADisputeIsOpenAndRefutedForEver() private view {
        for (uint256 i; i < actors.RECEIPTS(); ++i) {
            (ReceiptId id, bool hasFallen, bool isOpen, DisputeId dispute) = actors.matterOf(i);
            (ICourt.Status status,,) = court.standingOf(id);
            assertEq(status == ICourt.Status.Disputed, isOpen);
            assertEq(status == ICourt.Status.Refuted, hasFallen);
            assertEq(actors.verdictOf(id) == IVerdicts.Verdict.Refuted, hasFallen);
            assertEq(court.commitmentOf(dispute) != 0, isOpen);
        }
    }

    function _theThiefHasNothing() private view {
        assertEq(actors.token().balanceOf(actors.thief()), 0);
        assertEq(court.keptFor(actors.token(), actors.thief()), 0);
        assertEq(actors.vault_().balanceOf(actors.thief()), 0);
    }
}
