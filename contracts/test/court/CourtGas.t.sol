// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IVerdicts} from "../../src/interfaces/IVerdicts.sol";
import {Reason} from "../../src/types/Dispute.sol";
import {ReceiptId} from "../../src/types/Ids.sol";
import {CourtFixture, Game, Working} from "./CourtFixture.sol";
import {Trace} from "./Traces.sol";

/// @notice What each transaction of a dispute costs, over a trace of 2^30 words: 1,024 positions of a small model. `cargo xtask
/// contracts` keeps the numbers.
contract CourtGasTest is CourtFixture {
    uint8 private constant LEVELS = 5;
    uint256 private constant POSITION = 700_000_123;
    uint256 private constant GAS_MAX = 2_000_000;
    uint256 private constant TRANSACTIONS_MAX = 8;

    /// @dev Words of a working as a product over 1,536 weights has it; the checker of these tests reads two.
    uint256 private constant WORKING_BYTES = 4 * 1_536;

    uint256 private _total;
    uint256 private _transactions;

    function test_gas_ofADispute() public {
        Trace memory honest = _honest(LEVELS);
        Trace memory lie = honest.withWord(POSITION, 77);
        Game memory game = _challenge(honest);
        _count("1 challenge");
        for (uint256 move = 2; move <= LEVELS; ++move) {
            bool isHosts = game.dispute.isHostsTurn;
            game = _descend(game, isHosts ? lie : honest, isHosts ? honest : lie);
            _count(
                string.concat(vm.toString(move), game.dispute.nodes.length < LEVELS ? " descend" : " descend to words")
            );
        }
        // After an odd number of nodes it is the host that works: here, the liar.
        assertTrue(game.dispute.isHostsTurn);
        Working memory working = _workingOf(game, lie, honest);
        working.working = new bytes(WORKING_BYTES);
        for (uint256 i; i < WORKING_BYTES; ++i) {
            working.working[i] = bytes1(uint8(uint256(keccak256(abi.encode(i))) | 1));
        }
        game = _work(game, working);
        _count("6 work, 1536 words");
        _accuse(game, 0, _rightWorking(uint32(POSITION)), 0);
        _count("7 accuse, a checker that does nothing");
        _settle(game, Reason.WorkerLied);
        _count("8 settle, host lost");
        vm.snapshotValue("court", "dispute in all", _total);
        assertLe(_transactions, TRANSACTIONS_MAX);
        assertLe(_total, GAS_MAX);
        _assertVerdict(game.dispute.receipt, IVerdicts.Verdict.Refuted);
    }

    function test_gas_ofTheOtherEnds() public {
        Trace memory honest = _honest(2);
        Trace memory lie = honest.withWord(5, 1);
        Game memory game = _challenge(lie);
        game = _descend(game, honest, lie);
        vm.warp(uint256(game.dispute.deadline) + 1);
        vm.prank(anybody);
        court.timeout(game.id, game.dispute);
        vm.snapshotGasLastCall("court", "timeout");
        _settle(game, Reason.Silence);
        vm.snapshotGasLastCall("court", "settle, challenger lost");
    }

    function test_gas_ofTheQueue() public {
        address second = makeAddr("second");
        _endow(second);
        Trace memory honest = _honest(2);
        Trace memory lie = honest.withWord(5, 1);
        Game memory game = _challenge(lie);
        ReceiptId receipt = game.dispute.receipt;
        vm.startPrank(second);
        court.queue(receipt, BOND);
        vm.snapshotGasLastCall("court", "queue");
        court.queue(receipt, BOND);
        vm.stopPrank();
        _silence(_descend(game, honest, lie));
        vm.warp(block.timestamp + MOVE_TIME + 1);
        court.skip(receipt);
        vm.snapshotGasLastCall("court", "skip");
    }

    function _count(string memory name) private {
        uint256 gas = vm.snapshotGasLastCall("court", name);
        _total += gas;
        ++_transactions;
    }
}
