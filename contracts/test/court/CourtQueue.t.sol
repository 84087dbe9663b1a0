// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ICourt} from "../../src/interfaces/ICourt.sol";
import {Dispute, DisputeId} from "../../src/types/Dispute.sol";
import {ReceiptId} from "../../src/types/Ids.sol";
import {CourtFixture, Game} from "./CourtFixture.sol";
import {Trace} from "./Traces.sol";

/// @notice Many challengers of one receipt.
contract CourtQueueTest is CourtFixture {
    address private second = makeAddr("second");
    address private third = makeAddr("third");
    uint256 private constant QUEUE_MAX = 16;

    Game private game;
    ReceiptId private receipt;
    bytes private statement;
    bytes private signature;
    bytes32[64] private children;

    function setUp() public override {
        super.setUp();
        _endow(second);
        _endow(third);
        (statement, signature, receipt) = _sign(_receipt(), host);
        children = _lie().childrenAt(12, 0);
        // A false accusation: the host can answer, and will win if the challenger falls silent.
        _keep(_challenge(_lie()));
    }

    function test_challenge_reverts_somebodyElseDisputes() public {
        vm.expectRevert(abi.encodeWithSelector(ICourt.AlreadyDisputed.selector, receipt, game.id));
        _sendChallenge(second);
    }

    function test_queue_takesABond_andKeepsTheOrder() public {
        assertEq(_queue(second), 0);
        assertEq(_queue(third), 1);
        assertEq(dollar.balanceOf(address(court)), 3 * BOND);
        (uint256 first, uint256 length,) = court.queueOf(receipt);
        assertEq(first, 0);
        assertEq(length, 2);
        (address waiting, uint128 bond) = court.queuedAt(receipt, 1);
        assertEq(waiting, third);
        assertEq(bond, BOND);
    }

    function test_queue_reverts_bondBelowTheLeast() public {
        vm.expectRevert(abi.encodeWithSelector(ICourt.BondTooSmall.selector, BOND_MIN, BOND_MIN - 1));
        vm.prank(second);
        court.queue(receipt, BOND_MIN - 1);
    }

    function test_queue_reverts_nobodyDisputes() public {
        ReceiptId other = ReceiptId.wrap(keccak256("another receipt"));
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotDisputed.selector, other));
        vm.prank(second);
        court.queue(other, BOND);
        // Nor for one that stood, with nobody waiting.
        _hostWins();
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotDisputed.selector, receipt));
        vm.prank(second);
        court.queue(receipt, BOND);
    }

    function test_queue_reverts_refutedReceipt() public {
        _silence(game);
        vm.expectRevert(abi.encodeWithSelector(ICourt.AlreadyRefuted.selector, receipt));
        vm.prank(second);
        court.queue(receipt, BOND);
    }

    function test_queue_reverts_full() public {
        dollar.mint(second, QUEUE_MAX * BOND);
        for (uint256 i; i < QUEUE_MAX; ++i) {
            _queue(second);
        }
        vm.expectRevert(abi.encodeWithSelector(ICourt.QueueFull.selector, receipt, QUEUE_MAX));
        vm.prank(third);
        court.queue(receipt, BOND);
    }

    function test_refund_givesEveryBondBack_receiptFalls() public {
        _queue(second);
        _queue(third);
        _silence(game);
        vm.startPrank(anybody);
        court.refund(receipt, 1);
        assertEq(dollar.balanceOf(third), 10 * BOND);
        court.refund(receipt, 0);
        assertEq(dollar.balanceOf(second), 10 * BOND);
        assertEq(dollar.balanceOf(address(court)), 0);
        vm.expectRevert(abi.encodeWithSelector(ICourt.EmptyPlace.selector, receipt, 0));
        court.refund(receipt, 0);
        vm.expectRevert(abi.encodeWithSelector(ICourt.EmptyPlace.selector, receipt, 2));
        court.refund(receipt, 2);
        vm.stopPrank();
    }

    function test_refund_reverts_receiptHasNotFallen() public {
        _queue(second);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotRefuted.selector, receipt));
        court.refund(receipt, 0);
        _hostWins();
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotRefuted.selector, receipt));
        court.refund(receipt, 0);
    }

    function test_challenge_playsTheFirstInTheQueue_hostWon() public {
        _queue(second);
        _queue(third);
        _hostWins();
        (,, uint256 until) = court.queueOf(receipt);
        assertEq(until, block.timestamp + MOVE_TIME);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotFirstInQueue.selector, receipt, second, until));
        _sendChallenge(third);
        // The bond that it waited with counts, and no other is taken.
        _challengeBy(second);
        assertEq(dollar.balanceOf(second), 9 * BOND);
        assertEq(dollar.balanceOf(address(court)), 2 * BOND);
        (uint256 first, uint256 length,) = court.queueOf(receipt);
        assertEq(first, 1);
        assertEq(length, 1);
        // The host does not answer this time.
        _silence(game);
        court.refund(receipt, 1);
        assertEq(dollar.balanceOf(second), 11 * BOND);
        assertEq(dollar.balanceOf(third), 10 * BOND);
        assertEq(dollar.balanceOf(address(court)), 0);
    }

    function test_skip_givesTheHostTheBond_firstInTheQueueSilent() public {
        _queue(second);
        _queue(third);
        _hostWins();
        uint256 before = dollar.balanceOf(host.addr);
        (,, uint256 until) = court.queueOf(receipt);
        vm.warp(until);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotYetSkippable.selector, receipt, until));
        court.skip(receipt);
        vm.warp(until + 1);
        vm.expectEmit(address(court));
        emit ICourt.ChallengerSkipped(receipt, second, BOND, true);
        vm.prank(anybody);
        court.skip(receipt);
        assertEq(dollar.balanceOf(host.addr), before + BOND);
        // The next one has its time.
        (,, until) = court.queueOf(receipt);
        assertEq(until, block.timestamp + MOVE_TIME);
        _challengeBy(third);
    }

    function test_challenge_succeeds_calledLateButNotSkipped() public {
        _queue(second);
        _hostWins();
        vm.warp(block.timestamp + 2 * MOVE_TIME);
        _challengeBy(second);
    }

    function test_skip_givesTheBondBack_hostHasNoStakeForIt() public {
        _queue(second);
        _queue(third);
        _hostWins();
        vm.startPrank(backer);
        vault.requestWithdrawal(vault.balanceOf(backer));
        vm.stopPrank();
        // It cannot challenge any more, and that is not its fault. Nobody has to wait for its time to pass.
        vm.warp(block.timestamp + WITHDRAWAL_DELAY - LOCK_HORIZON + 1);
        vm.expectEmit(address(court));
        emit ICourt.ChallengerSkipped(receipt, second, BOND, false);
        court.skip(receipt);
        court.skip(receipt);
        assertEq(dollar.balanceOf(second), 10 * BOND);
        assertEq(dollar.balanceOf(third), 10 * BOND);
        assertEq(dollar.balanceOf(address(court)), 0);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NobodyCalled.selector, receipt));
        court.skip(receipt);
    }

    function test_skip_reverts_receiptIsDisputed() public {
        _queue(second);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NobodyCalled.selector, receipt));
        court.skip(receipt);
    }

    function test_skip_reverts_nobodyWaits() public {
        _hostWins();
        vm.expectRevert(abi.encodeWithSelector(ICourt.NobodyCalled.selector, receipt));
        court.skip(receipt);
    }

    function test_queue_succeeds_whileTheFirstIsCalled() public {
        _queue(second);
        _hostWins();
        assertEq(_queue(third), 1);
        vm.warp(block.timestamp + MOVE_TIME + 1);
        court.skip(receipt);
        _challengeBy(third);
    }

    function _lie() private pure returns (Trace memory) {
        return _honest(2).withWord(5, 1);
    }

    function _queue(address by) private returns (uint256) {
        vm.prank(by);
        return court.queue(receipt, BOND);
    }

    /// @dev Challenges, and keeps where the dispute stands.
    function _challengeBy(address by) private {
        vm.recordLogs();
        _sendChallenge(by);
        bytes memory log = _lastLog(ICourt.ChallengeOpened.selector).data;
        (,, Dispute memory dispute,) = abi.decode(log, (address, uint128, Dispute, bytes32[64]));
        _keep(Game({id: DisputeId.wrap(court.disputeCount()), dispute: dispute}));
    }

    function _sendChallenge(address by) private {
        bytes memory opening = _opening(2, 0);
        vm.prank(by);
        court.challenge(POWERS, statement, signature, opening, children, BOND);
    }

    /// @dev The host answers and the challenger does not go on.
    function _hostWins() private {
        _silence(_descend(game, _honest(2), _lie()));
    }

    function _keep(Game memory kept) private {
        game.id = kept.id;
        game.dispute = kept.dispute;
    }
}
