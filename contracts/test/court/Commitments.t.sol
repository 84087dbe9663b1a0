// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";
import {Dispute, commitmentInCalldata} from "../../src/types/Dispute.sol";

contract CommitmentsTest is Test {
    uint256 private constant NODES_PLACE = 4 + 32 + 15 * 32;

    function hashOf(Dispute calldata dispute) external pure returns (bytes32) {
        return commitmentInCalldata(dispute);
    }

    function testFuzz_commitmentInCalldata_equalsPlain(Dispute calldata dispute) public pure {
        Dispute memory copy = dispute;
        assertEq(commitmentInCalldata(dispute), copy.commitment());
    }

    function testFuzz_commitmentInCalldata_isAnother_nodesElsewhere(Dispute memory dispute) public {
        bytes memory call = abi.encodeCall(this.hashOf, (dispute));
        // The same dispute, read from another place: its nodes once more, behind everything else.
        uint256 place = call.length - 4 - 32;
        bytes memory moved = abi.encodePacked(call, dispute.nodes.length, abi.encodePacked(dispute.nodes));
        assembly ("memory-safe") {
            mstore(add(add(moved, 32), NODES_PLACE), place)
        }
        (bool isDone, bytes memory found) = address(this).call(moved);
        assertTrue(isDone);
        assertNotEq(abi.decode(found, (bytes32)), dispute.commitment());
    }
}
