// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ICourt} from "../../src/interfaces/ICourt.sol";
import {Moves} from "../../src/court/Moves.sol";
import {Receipts} from "../../src/court/Receipts.sol";
import {IChecker} from "../../src/interfaces/IChecker.sol";
import {Dispute, DisputeId} from "../../src/types/Dispute.sol";
import {ChannelId, ReceiptId} from "../../src/types/Ids.sol";
import {CourtFixture, Descent, Game, Working} from "./CourtFixture.sol";
import {Trace} from "./Traces.sol";

/// @notice Moves that are refused, each named by what is wrong with it.
contract CourtMovesTest is CourtFixture {
    /// @dev Three levels: the host and the challenger descend, the host works, the challenger accuses.
    uint8 private constant LEVELS = 3;

    /// @dev Word 64 * 64 * 21 + 64 * 22 + 23: there is something to the left of every node on the way.
    uint256 private constant POSITION = 87_447;

    Trace private honest;
    Trace private lie;

    function setUp() public override {
        super.setUp();
        // Both have something to the left of the word on each level, so that there is something to betray a wrong path.
        _store(honest, _honest(LEVELS).withWord(86_016, 9).withWord(87_424, 9));
        _store(lie, _honest(LEVELS).withWord(86_016, 9).withWord(87_424, 9).withWord(POSITION, 77));
    }

    // --- whose turn, when, and in what state ---

    function test_descend_reverts_foreignCallers() public {
        (Game memory game, Descent memory descent) = _atHost();
        address[2] memory callers = [challenger, anybody];
        for (uint256 i; i < 2; ++i) {
            vm.expectRevert(abi.encodeWithSelector(ICourt.NotYourTurn.selector, game.id, host.addr, callers[i]));
            vm.prank(callers[i]);
            _send(game, descent);
        }
    }

    function test_descend_reverts_hostMovesTwice() public {
        (Game memory game, Descent memory descent) = _atHost();
        game = _descend(game, descent);
        descent = _descent(game, lie, honest);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotYourTurn.selector, game.id, challenger, host.addr));
        vm.prank(host.addr);
        _send(game, descent);
    }

    function test_descend_reverts_afterTheDeadline() public {
        (Game memory game, Descent memory descent) = _atHost();
        uint256 deadline = game.dispute.deadline;
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(ICourt.TooLate.selector, game.id, deadline, deadline + 1));
        vm.prank(host.addr);
        _send(game, descent);
        vm.warp(deadline);
        _descend(game, descent);
    }

    function test_timeout_reverts_beforeTheDeadline() public {
        (Game memory game,) = _atHost();
        uint256 deadline = game.dispute.deadline;
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(ICourt.TooEarly.selector, game.id, deadline, deadline));
        court.timeout(game.id, game.dispute);
    }

    function test_descend_reverts_earlierStateReplayed() public {
        (Game memory first, Descent memory descent) = _atHost();
        Game memory later = _descend(first, descent);
        bytes32 expected = court.commitmentOf(later.id);
        bytes32 found = keccak256(abi.encode(first.dispute));
        vm.expectRevert(abi.encodeWithSelector(ICourt.StaleDispute.selector, first.id, expected, found));
        vm.prank(host.addr);
        _send(first, descent);
    }

    /// @dev Whatever is changed in what the call brings along, the court sees it.
    function test_descend_reverts_forgedState() public {
        (Game memory game, Descent memory descent) = _atHost();
        bytes memory honestly = abi.encode(game.dispute);
        for (uint256 field; field < 19; ++field) {
            game.dispute = abi.decode(honestly, (Dispute));
            _forge(game.dispute, field);
            vm.expectRevert(
                abi.encodeWithSelector(
                    ICourt.StaleDispute.selector, game.id, keccak256(honestly), keccak256(abi.encode(game.dispute))
                )
            );
            vm.prank(host.addr);
            _send(game, descent);
        }
    }

    function test_descend_reverts_noSuchDispute() public {
        (Game memory game, Descent memory descent) = _atHost();
        game.id = DisputeId.wrap(2);
        vm.expectRevert(abi.encodeWithSelector(ICourt.UnknownDispute.selector, game.id));
        vm.prank(host.addr);
        _send(game, descent);
    }

    function test_timeout_reverts_decidedDispute() public {
        (Game memory game,) = _atHost();
        vm.warp(uint256(game.dispute.deadline) + 1);
        court.timeout(game.id, game.dispute);
        vm.expectPartialRevert(ICourt.StaleDispute.selector);
        court.timeout(game.id, game.dispute);
    }

    // --- the right kind of move ---

    function test_descend_reverts_wordsAreDue() public {
        Game memory game = _atWordsNext();
        Descent memory descent = _descent(game, honest, lie);
        descent.words = "";
        _expectWrongMove(2, false);
        vm.prank(challenger);
        _send(game, descent);
    }

    function test_descendToWords_reverts_nodesAreDue() public {
        (Game memory game, Descent memory descent) = _atHost();
        descent.words = new bytes(256);
        _expectWrongMove(1, false);
        vm.prank(host.addr);
        _send(game, descent);
    }

    function test_descendToWords_reverts_wordsLieOpen() public {
        Game memory game = _playToWords(_challenge(honest), lie, honest);
        Descent memory descent;
        descent.words = new bytes(256);
        _expectWrongMove(3, false);
        vm.prank(host.addr);
        _send(game, descent);
    }

    function test_work_reverts_beforeWordsLieOpen() public {
        (Game memory game,) = _atHost();
        Working memory working;
        _expectWrongMove(1, false);
        vm.prank(host.addr);
        _send(game, working);
    }

    function test_work_reverts_wordIsWorkedOut() public {
        (Game memory game, Working memory working) = _atWork();
        game = _work(game, working);
        _expectWrongMove(3, true);
        vm.prank(challenger);
        _send(game, working);
    }

    function test_accuse_reverts_beforeTheWorking() public {
        (Game memory game,) = _atWork();
        _expectWrongMove(3, false);
        vm.prank(host.addr);
        _sendAccusation(game, 0, "", 0);
    }

    // --- the paths of a move down ---

    function test_descend_reverts_childThatIsNotOneOf64() public {
        // Its low bits name a child, and the rest would move the mover's own node to another place.
        (Game memory game, Descent memory descent) = _atHost();
        descent.child += 64;
        _expectRefusal(game, descent, abi.encodeWithSelector(Moves.OutsideNode.selector, descent.child));
    }

    function test_descend_reverts_sameChild() public {
        (Game memory game,) = _atHost();
        Descent memory descent = _descentTo(game, lie, honest, 3);
        _expectRefusal(game, descent, abi.encodeWithSelector(Moves.NoDifference.selector, 3));
    }

    function test_descend_reverts_differenceFurtherLeft() public {
        (Game memory game,) = _atHost();
        // Both differ in 21; the host passes it over for one in which it differs as well.
        Trace memory worse = lie.withWord(2 ** 17, 1);
        Descent memory descent = _descentTo(game, worse, honest, 32);
        _expectRefusal(game, descent, abi.encodeWithSelector(Moves.NotFirstDifference.selector, 32));
    }

    function test_descend_reverts_ownPathOfAnotherLength() public {
        (Game memory game, Descent memory descent) = _atHost();
        descent.ownPath = new bytes32[](12);
        _expectRefusal(game, descent, abi.encodeWithSelector(Moves.WrongPathLength.selector, 6, 12));
        (game, descent) = _atChallenger();
        descent.ownPath = new bytes32[](6);
        _expectRefusal(game, descent, abi.encodeWithSelector(Moves.WrongPathLength.selector, 12, 6));
    }

    function test_descend_reverts_endMissing() public {
        (Game memory game, Descent memory descent) = _atHost();
        descent.endPath = new bytes32[](0);
        _expectRefusal(game, descent, abi.encodeWithSelector(Moves.WrongPathLength.selector, 14, 0));
    }

    function test_descend_reverts_endInALaterMove() public {
        (Game memory game, Descent memory descent) = _atChallenger();
        descent.endPath = new bytes32[](14);
        _expectRefusal(game, descent, abi.encodeWithSelector(Moves.WrongPathLength.selector, 0, 14));
    }

    function test_descend_reverts_traceThatDoesNotEndInTheReceipt() public {
        // The host traces another answer than the one that it signed.
        (Game memory game,) = _atHost();
        Trace memory other = lie.withRoots(STATES, keccak256("another output"));
        Descent memory descent = _descent(game, other, honest);
        bytes32 claimed = lie.withRoots(STATES, OUTPUTS).rootOf();
        assertTrue(claimed != other.rootOf());
        vm.expectPartialRevert(Moves.WrongRoot.selector);
        vm.prank(host.addr);
        _send(game, descent);
    }

    function test_descend_reverts_theirChildNotUnderTheirNode() public {
        (Game memory game, Descent memory descent) = _atHost();
        descent.theirChild = keccak256("made up");
        vm.expectPartialRevert(Moves.WrongRoot.selector);
        vm.prank(host.addr);
        _send(game, descent);
    }

    function test_descend_reverts_ownChildNotUnderTheNodeOpenedBefore() public {
        // The challenger has a second trace up its sleeve.
        (Game memory game,) = _atChallenger();
        Trace memory second = honest.withWord(POSITION, 1_234);
        Descent memory descent = _descent(game, second, lie);
        bytes32 found = second.rootOf();
        _expectRefusal(game, descent, abi.encodeWithSelector(Moves.WrongRoot.selector, game.dispute.nodes[0], found));
    }

    function test_descendToWords_reverts_wordsOfAnotherSize() public {
        (Game memory game, Descent memory descent) = _atChallenger();
        descent.words = new bytes(255);
        _expectRefusal(game, descent, abi.encodeWithSelector(Moves.WrongSize.selector, 256, 255));
    }

    // --- the working ---

    function test_work_reverts_wordThatIsNotOneOf64() public {
        (Game memory game, Working memory working) = _atWork();
        working.index += 64;
        _expectRefusal(game, working, abi.encodeWithSelector(Moves.OutsideNode.selector, working.index));
    }

    function test_work_reverts_sameWord() public {
        (Game memory game,) = _atWork();
        Working memory working = _workingOf(game, lie, honest, 22);
        _expectRefusal(game, working, abi.encodeWithSelector(Moves.NoDifference.selector, 22));
    }

    function test_work_reverts_differenceFurtherLeftInTheTile() public {
        (Game memory game,) = _atWork();
        Working memory working = _workingOf(game, lie, honest, 24);
        _expectRefusal(game, working, abi.encodeWithSelector(Moves.NotFirstDifference.selector, 24));
    }

    function test_work_reverts_differenceInATileFurtherLeft() public {
        // Word 23 lies in tile 1 of 4. Tile 2 has tile 1 in its second sibling, tile 3 as well.
        (Game memory game,) = _atWork();
        for (uint256 index = 32; index < 64; index += 16) {
            Working memory working = _workingOf(game, lie, honest, index);
            _expectRefusal(game, working, abi.encodeWithSelector(Moves.NotFirstDifference.selector, index));
        }
    }

    function test_work_reverts_tilesOfAnotherSize() public {
        (Game memory game, Working memory working) = _atWork();
        working.tile = new bytes(63);
        _expectRefusal(game, working, abi.encodeWithSelector(Moves.WrongSize.selector, 64, 63));
        (game, working) = _atWork();
        working.theirTile = new bytes(65);
        _expectRefusal(game, working, abi.encodeWithSelector(Moves.WrongSize.selector, 64, 65));
    }

    function test_work_reverts_theirTileNotUnderTheirNode() public {
        (Game memory game, Working memory working) = _atWork();
        working.theirTile = working.tile;
        vm.expectPartialRevert(Moves.WrongRoot.selector);
        vm.prank(host.addr);
        _send(game, working);
    }

    function test_work_reverts_ownTileNotUnderTheNodeOpenedBefore() public {
        (Game memory game, Working memory working) = _atWork();
        working.tile = honest.withWord(POSITION, 1_234).tileAt(POSITION / 16);
        vm.expectPartialRevert(Moves.WrongRoot.selector);
        vm.prank(host.addr);
        _send(game, working);
    }

    function test_work_reverts_workingThatIsNoListOfWords() public {
        (Game memory game, Working memory working) = _atWork();
        working.working = new bytes(6);
        _expectRefusal(game, working, abi.encodeWithSelector(Moves.WrongSize.selector, 120_000, 6));
    }

    function test_work_reverts_workingThatNoTransactionCarries() public {
        (Game memory game, Working memory working) = _atWork();
        working.working = new bytes(120_004);
        _expectRefusal(game, working, abi.encodeWithSelector(Moves.WrongSize.selector, 120_000, 120_004));
        working.working = new bytes(120_000);
        game = _work(game, working);
        assertEq(game.dispute.workingLength, 30_000);
        assertEq(game.dispute.word, 77);
        assertEq(game.dispute.index, POSITION);
    }

    // --- positions ---

    function _atHost() private returns (Game memory game, Descent memory descent) {
        game = _opened();
        descent = _descent(game, lie, honest);
    }

    function _atChallenger() private returns (Game memory game, Descent memory descent) {
        game = _atWordsNext();
        descent = _descent(game, honest, lie);
    }

    function _atWordsNext() private returns (Game memory) {
        return _descend(_opened(), lie, honest);
    }

    function _atWork() private returns (Game memory game, Working memory working) {
        game = _playToWords(_opened(), lie, honest);
        working = _workingOf(game, lie, honest);
    }

    /// @dev A dispute over a receipt of its own.
    function _opened() private returns (Game memory) {
        Receipts.Receipt memory receipt = _receipt();
        receipt.choice = uint32(court.disputeCount());
        (bytes memory statement, bytes memory signature,) = _sign(receipt, host);
        return _challengeAs(challenger, honest, statement, signature, 0);
    }

    function _expectWrongMove(uint256 opened, bool isWorked) private {
        vm.expectRevert(abi.encodeWithSelector(Moves.WrongMove.selector, opened, LEVELS, isWorked));
    }

    function _expectRefusal(Game memory game, Descent memory descent, bytes memory error_) private {
        address mover = _mover(game);
        vm.expectRevert(error_);
        vm.prank(mover);
        _send(game, descent);
    }

    function _expectRefusal(Game memory game, Working memory working, bytes memory error_) private {
        address mover = _mover(game);
        vm.expectRevert(error_);
        vm.prank(mover);
        _send(game, working);
    }

    /// @dev Changes one of the fields of a dispute.
    function _forge(Dispute memory dispute, uint256 field) private pure {
        if (field == 0) dispute.receipt = ReceiptId.wrap(0);
        else if (field == 1) dispute.host = address(1);
        else if (field == 2) dispute.challenger = address(1);
        else if (field == 3) dispute.vault = address(1);
        else if (field == 4) dispute.channel = ChannelId.wrap(bytes32(uint256(1)));
        else if (field == 5) dispute.total += 1;
        else if (field == 6) dispute.bond += 1;
        else if (field == 7) dispute.checker = IChecker(address(1));
        else if (field == 8) dispute.context = 0;
        else if (field == 9) dispute.levels -= 1;
        else if (field == 10) dispute.isHostsTurn = !dispute.isHostsTurn;
        else if (field == 11) dispute.deadline += 1;
        else if (field == 12) dispute.index += 1;
        else if (field == 13) dispute.endIndex += 1;
        else if (field == 14) dispute.endLeaf = 0;
        else if (field == 15) dispute.nodes[0] = 0;
        else if (field == 16) dispute.workingRoot = bytes32(uint256(1));
        else if (field == 17) dispute.workingLength += 1;
        else dispute.word += 1;
    }

    function _store(Trace storage to, Trace memory from) private {
        to.levels = from.levels;
        for (uint256 i; i < from.entries.length; ++i) {
            to.entries.push(from.entries[i]);
        }
    }
}
