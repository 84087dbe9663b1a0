// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ICourt} from "../../src/interfaces/ICourt.sol";
import {IVerdicts} from "../../src/interfaces/IVerdicts.sol";
import {DisputeId, Reason} from "../../src/types/Dispute.sol";
import {CourtFixture, Game, Working} from "./CourtFixture.sol";
import {PowersChecker} from "./PowersChecker.sol";
import {Trace} from "./Traces.sol";

/// @notice Whole disputes: who wins, and where the money is afterwards.
contract CourtTest is CourtFixture {
    function test_settle_slashesTheHost_whoHadAWordWrong() public {
        _playAndCheck(3, 100, 77, true);
    }

    function test_settle_slashesTheHost_whoLeftAWordOut() public {
        // 2^9 is a power of two.
        _playAndCheck(2, 512, 0, true);
    }

    function test_settle_paysTheHost_falselyAccused() public {
        _playAndCheck(3, 100, 77, false);
    }

    /// @dev Whoever lies, wherever, and whatever about: the liar loses. Fewer runs, as each is a whole dispute.
    /// forge-config: default.fuzz.runs = 100
    /// forge-config: deep.fuzz.runs = 1000
    /// forge-config: slow.fuzz.runs = 10000
    function testFuzz_settle_liarLoses(uint256 position, uint32 word, bool isHostLying) public {
        position = bound(position, 0, 2 ** 12 - 17);
        Trace memory honest = _honest(2);
        vm.assume(word != honest.wordAt(position));
        _playAndCheck(2, position, word, isHostLying);
    }

    function test_accuse_hostLoses_answerThatShouldNotBe() public {
        // The host has the word right, and its working too. But nobody should have answered.
        Trace memory honest = _honest(3);
        Trace memory lie = honest.withWord(100, 77);
        Game memory game = _playToWords(_challenge(lie, 100), honest, lie);
        game = _work(game, _workingOf(game, honest, lie));
        _accuse(game, 0, _rightWorking(100), 100);
        _settle(game, Reason.HostLied);
        _assertHostLost(game);
    }

    function test_timeout_challengerWins_silentHost() public {
        Game memory game = _challenge(_honest(3));
        _silence(game);
        _assertHostLost(game);
    }

    function test_timeout_hostWins_silentChallenger() public {
        Trace memory honest = _honest(3);
        Game memory game = _challenge(honest.withWord(100, 77));
        _silence(_descend(game, honest, honest.withWord(100, 77)));
        _assertChallengerLost(game);
    }

    function test_timeout_hostWins_challengerSilentAtTheWords() public {
        (Trace memory honest, Trace memory lie) = (_honest(2), _honest(2).withWord(5, 1));
        Game memory game = _playToWords(_challenge(honest), lie, honest);
        assertFalse(game.dispute.isHostsTurn);
        _silence(game);
        _assertChallengerLost(game);
    }

    function test_timeout_challengerWins_hostSilentAtTheWorking() public {
        (Trace memory honest, Trace memory lie) = (_honest(2), _honest(2).withWord(5, 1));
        Game memory game = _playToWords(_challenge(honest), lie, honest);
        game = _work(game, _workingOf(game, honest, lie));
        assertTrue(game.dispute.isHostsTurn);
        _silence(game);
        _assertHostLost(game);
    }

    function test_accuse_workerLoses_workingOfAnotherLength() public {
        (Trace memory honest, Trace memory lie) = (_honest(2), _honest(2).withWord(5, 1));
        Game memory game = _playToWords(_challenge(honest), lie, honest);
        Working memory working = _workingOf(game, honest, lie);
        working.working = "";
        game = _work(game, working);
        assertEq(game.dispute.workingLength, 0);
        _accuse(game, 0, "", 0);
        _settle(game, Reason.WorkerLied);
        _assertChallengerLost(game);
    }

    function test_accuse_leavesTheDispute_checkerReverts() public {
        (Trace memory honest, Trace memory lie) = (_honest(2), _honest(2).withWord(5, 1));
        Game memory game = _playToWords(_challenge(honest), lie, honest);
        game = _work(game, _workingOf(game, honest, lie));
        bytes32 before = court.commitmentOf(game.id);
        vm.expectPartialRevert(PowersChecker.NoSuchStep.selector);
        vm.prank(host.addr);
        _sendAccusation(game, 3, _rightWorking(5), 0);
        vm.expectPartialRevert(PowersChecker.WrongOpening.selector);
        vm.prank(host.addr);
        _sendAccusation(game, 0, _rightWorking(6), 0);
        assertEq(court.commitmentOf(game.id), before);
        _accuse(game, 2, _rightWorking(5), 0);
        _settle(game, Reason.AccuserLied);
        _assertHostLost(game);
    }

    /// @dev Plays a dispute in which one side has one word of the trace wrong, and checks that it loses.
    function _playAndCheck(uint8 levels, uint256 position, uint32 word, bool isHostLying) private {
        Trace memory honest = _honest(levels);
        Trace memory lie = honest.withWord(position, word);
        (Trace memory hosts_, Trace memory challengers) = isHostLying ? (lie, honest) : (honest, lie);
        Game memory game = _playToWords(_challenge(challengers), hosts_, challengers);
        bool isHostWorking = game.dispute.isHostsTurn;
        Trace memory workers = isHostWorking ? hosts_ : challengers;
        game = _work(game, _workingOf(game, workers, isHostWorking ? challengers : hosts_));
        // The worker's steps 0 and 1 are right in any case; step 2 is if the worker is honest.
        _accuse(game, 2, _rightWorking(uint32(position)), 0);
        _settle(game, isHostWorking == isHostLying ? Reason.WorkerLied : Reason.AccuserLied);
        if (isHostLying) _assertHostLost(game);
        else _assertChallengerLost(game);
    }

    function _assertHostLost(Game memory game) private view {
        assertEq(dollar.balanceOf(challenger), 11 * BOND);
        assertEq(vault.totalAssets(), STAKE - BOND);
        _assertOver(game, ICourt.Status.Refuted, IVerdicts.Verdict.Refuted);
    }

    function _assertChallengerLost(Game memory game) private view {
        assertEq(dollar.balanceOf(challenger), 9 * BOND);
        assertEq(dollar.balanceOf(host.addr), BOND);
        assertEq(vault.totalAssets(), STAKE);
        _assertOver(game, ICourt.Status.Undisputed, IVerdicts.Verdict.Held);
    }

    function _assertOver(Game memory game, ICourt.Status expected, IVerdicts.Verdict verdict) private view {
        (ICourt.Status status, DisputeId id, address vault_) = court.standingOf(game.dispute.receipt);
        assertEq(uint256(status), uint256(expected));
        assertEq(DisputeId.unwrap(id), DisputeId.unwrap(game.id));
        assertEq(vault_, address(vault));
        assertEq(vault.locked(), 0);
        assertEq(dollar.balanceOf(address(court)), 0);
        assertEq(court.commitmentOf(game.id), 0);
        _assertVerdict(game.dispute.receipt, verdict);
    }
}
