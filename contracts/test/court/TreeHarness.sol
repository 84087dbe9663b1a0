// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {CountedTree} from "../../src/court/CountedTree.sol";
import {Domain} from "../../src/court/Domains.sol";
import {Sha256} from "../../src/court/Sha256.sol";
import {TraceTree} from "../../src/court/TraceTree.sol";
import {PlainTree} from "./PlainTree.sol";

/// @notice The court's trees behind calls that give them calldata. Memory behind the free pointer is dirty, as it is in a call
/// that did something before; each also tells the gas that it took.
contract TreeHarness {
    modifier inDirt() {
        bytes memory dirt = new bytes(8_192);
        assembly ("memory-safe") {
            // Given back dirty.
            for { let at := dirt } lt(at, add(dirt, 8192)) { at := add(at, 32) } { mstore(at, not(0)) }
            mstore(0x40, dirt)
        }
        _;
    }

    function leaf(bytes calldata content) external view inDirt returns (bytes32) {
        return Sha256.leaf(content);
    }

    function leafOf(bytes memory content) external view inDirt returns (bytes32) {
        return Sha256.leafOf(content);
    }

    function node(bytes32 left, bytes32 right) external view inDirt returns (bytes32 hash, uint256 gas) {
        gas = gasleft();
        hash = Sha256.node(left, right);
        gas -= gasleft();
    }

    function plainNode(bytes32 left, bytes32 right) external view inDirt returns (bytes32 hash, uint256 gas) {
        gas = gasleft();
        hash = PlainTree.node(left, right);
        gas -= gasleft();
    }

    function zero(uint256 height) external view inDirt returns (bytes32) {
        return TraceTree.zero(height);
    }

    function nodeOf(bytes calldata words, uint256 height) external view inDirt returns (bytes32 hash, uint256 gas) {
        gas = gasleft();
        hash = TraceTree.nodeOf(words, height);
        gas -= gasleft();
    }

    function nodeAbove(bytes32[64] calldata nodes) external view inDirt returns (bytes32 hash, uint256 gas) {
        gas = gasleft();
        hash = TraceTree.nodeAbove(nodes);
        gas -= gasleft();
    }

    function climb(bytes32 from, uint256 index, bytes32[] calldata siblings)
        external
        view
        inDirt
        returns (bytes32 hash, uint256 gas)
    {
        gas = gasleft();
        hash = TraceTree.climb(from, index, siblings);
        gas -= gasleft();
    }

    function climbTwo(bytes32 from, uint256 index, bytes32[2] calldata siblings) external view returns (bytes32) {
        return TraceTree.climb(from, index, siblings);
    }

    function climbSix(bytes32 from, uint256 index, bytes32[6] calldata siblings) external view returns (bytes32) {
        return TraceTree.climb(from, index, siblings);
    }

    function climbEight(bytes32 from, uint256 index, bytes32[8] calldata siblings) external view returns (bytes32) {
        return TraceTree.climb(from, index, siblings);
    }

    function agreeLeft(uint256 index, bytes32[] calldata ours, bytes32[6] calldata theirs)
        external
        pure
        returns (bool)
    {
        return TraceTree.agreeLeft(index, ours, theirs);
    }

    function agreeLeft(uint256 index, bytes32[8] calldata ours, bytes32[2] calldata theirs)
        external
        pure
        returns (bool)
    {
        return TraceTree.agreeLeft(index, ours, theirs);
    }

    function lead(bytes32 from, uint64 index, uint64 leafCount, bytes32[] calldata path, uint256 first)
        external
        view
        inDirt
        returns (bytes32 root, uint256 next)
    {
        return CountedTree.lead(from, index, leafCount, path, first);
    }

    function bind(Domain domain, uint64 leafCount, bytes32 root) external view inDirt returns (bytes32) {
        return CountedTree.bind(domain, leafCount, root);
    }
}
