// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {CountedTree} from "../../src/court/CountedTree.sol";
import {Domains} from "../../src/court/Domains.sol";
import {TraceTree} from "../../src/court/TraceTree.sol";
import {PlainTree} from "./PlainTree.sol";
import {TreeHarness} from "./TreeHarness.sol";

contract Sha256Test is Test {
    TreeHarness private harness = new TreeHarness();

    function testFuzz_leaf_equalsPlain(bytes calldata content) public view {
        assertEq(harness.leaf(content), PlainTree.leaf(content));
        assertEq(harness.leafOf(content), PlainTree.leaf(content));
    }

    function testFuzz_node_equalsPlain(bytes32 left, bytes32 right) public view {
        (bytes32 hash,) = harness.node(left, right);
        assertEq(hash, PlainTree.node(left, right));
    }
}

contract TraceTreeTest is Test {
    TreeHarness private harness = new TreeHarness();

    function test_zero_equalsPlain_everyHeight() public view {
        for (uint256 height = 4; height <= 12; ++height) {
            assertEq(harness.zero(height), PlainTree.zero(height));
        }
    }

    function testFuzz_nodeOf_equalsPlain(bytes calldata words, uint256 height) public view {
        height = bound(height, 4, 10);
        uint256 length = Math.min(words.length, 4 * 2 ** height);
        (bytes32 hash,) = harness.nodeOf(words[:length], height);
        assertEq(hash, PlainTree.nodeOf(words[:length], height));
    }

    function test_nodeOf_equalsPlain_everyNumberOfTiles() public view {
        for (uint256 tiles; tiles <= 16; ++tiles) {
            bytes memory words = new bytes(64 * tiles);
            for (uint256 i; i < words.length; ++i) {
                words[i] = bytes1(uint8(uint256(keccak256(abi.encode(i)))));
            }
            (bytes32 hash,) = harness.nodeOf(words, 8);
            assertEq(hash, PlainTree.nodeOf(words, 8));
        }
    }

    function test_nodeOf_reverts_moreWordsThanUnderTheNode() public {
        vm.expectRevert(abi.encodeWithSelector(TraceTree.TooManyWords.selector, 257, 6));
        harness.nodeOf(new bytes(257), 6);
        vm.expectRevert(abi.encodeWithSelector(TraceTree.TooManyWords.selector, 4, 3));
        harness.nodeOf(new bytes(4), 3);
    }

    function testFuzz_nodeAbove_equalsPlain(bytes32[64] calldata nodes) public view {
        bytes32[] memory level = new bytes32[](64);
        for (uint256 i; i < 64; ++i) {
            level[i] = nodes[i];
        }
        (bytes32 hash,) = harness.nodeAbove(nodes);
        assertEq(hash, PlainTree.rootOf(level));
    }

    function testFuzz_climb_equalsPlain(bytes32 from, uint256 index, bytes32[] calldata siblings) public view {
        index = bound(index, 0, 2 ** 250 - 1);
        (bytes32 hash,) = harness.climb(from, index, siblings);
        assertEq(hash, PlainTree.climb(from, index, siblings));
    }

    function testFuzz_climb_equalsPlain_fixedLengths(bytes32 from, uint256 index, bytes32[8] calldata siblings)
        public
        view
    {
        index = bound(index, 0, 2 ** 250 - 1);
        bytes32[] memory path = new bytes32[](8);
        for (uint256 i; i < 8; ++i) {
            path[i] = siblings[i];
            if (i == 1) assertEq(harness.climbTwo(from, index, [path[0], path[1]]), climb(from, index, path, 2));
        }
        bytes32[6] memory six = [path[0], path[1], path[2], path[3], path[4], path[5]];
        assertEq(harness.climbSix(from, index, six), climb(from, index, path, 6));
        assertEq(harness.climbEight(from, index, siblings), climb(from, index, path, 8));
    }

    /// @dev Two paths agree on the left if they do wherever the node is a right child.
    function testFuzz_agreeLeft_looksAtLeftSiblingsOnly(uint256 index, uint256 differing) public view {
        bytes32[] memory ours = new bytes32[](12);
        bytes32[6] memory theirs;
        bytes32[8] memory ownTiles;
        bytes32[2] memory theirTiles;
        for (uint256 i; i < 12; ++i) {
            ours[i] = bytes32(i);
            bytes32 other = bytes32(i + 100 * ((differing >> i) & 1));
            if (i < 6) theirs[i] = other;
            if (i < 8) ownTiles[i] = bytes32(i);
            if (i < 2) theirTiles[i] = other;
        }
        assertEq(harness.agreeLeft(index, ours, theirs), index & differing & 63 == 0);
        assertEq(harness.agreeLeft(index, ownTiles, theirTiles), index & differing & 3 == 0);
    }

    function test_gas_ofTrees() public {
        (, uint256 gas) = harness.node(bytes32(uint256(1)), bytes32(uint256(2)));
        vm.snapshotValue("court", "node of a tree", gas);
        (, gas) = harness.plainNode(bytes32(uint256(1)), bytes32(uint256(2)));
        vm.snapshotValue("court", "node of a tree, plain", gas);
        bytes32[64] memory nodes;
        (, gas) = harness.nodeAbove(nodes);
        vm.snapshotValue("court", "node above 64", gas);
        (, gas) = harness.climb(0, 5, new bytes32[](12));
        vm.snapshotValue("court", "path of 12", gas);
        (, gas) = harness.nodeOf(new bytes(6_144), 11);
        vm.snapshotValue("court", "tree over 1536 words", gas);
    }

    function climb(bytes32 from, uint256 index, bytes32[] memory path, uint256 length) private pure returns (bytes32) {
        bytes32[] memory siblings = new bytes32[](length);
        for (uint256 i; i < length; ++i) {
            siblings[i] = path[i];
        }
        return PlainTree.climb(from, index, siblings);
    }
}

contract CountedTreeTest is Test {
    TreeHarness private harness = new TreeHarness();

    function testFuzz_lead_equalsPlain(uint256 leafCount, uint256 index, uint256 first, bytes32 seed) public view {
        leafCount = bound(leafCount, 1, 80);
        index = bound(index, 0, leafCount - 1);
        first = bound(first, 0, 3);
        bytes32[] memory level = new bytes32[](leafCount);
        for (uint256 i; i < leafCount; ++i) {
            level[i] = keccak256(abi.encode(seed, i));
        }
        bytes32[] memory siblings = PlainTree.path(level, index);
        bytes32[] memory path = new bytes32[](first + siblings.length + 2);
        for (uint256 i; i < siblings.length; ++i) {
            path[first + i] = siblings[i];
        }
        (bytes32 root, uint256 next) = harness.lead(level[index], uint64(index), uint64(leafCount), path, first);
        assertEq(root, PlainTree.rootOf(level));
        assertEq(next, first + siblings.length);
    }

    function test_lead_reverts_leafOutside() public {
        vm.expectRevert(abi.encodeWithSelector(CountedTree.LeafOutside.selector, 5, 5));
        harness.lead(0, 5, 5, new bytes32[](3), 0);
        vm.expectRevert(abi.encodeWithSelector(CountedTree.LeafOutside.selector, 0, 0));
        harness.lead(0, 0, 0, new bytes32[](3), 0);
    }

    function test_lead_reverts_shortPath() public {
        vm.expectRevert(abi.encodeWithSelector(CountedTree.PathTooShort.selector, 3));
        harness.lead(0, 0, 9, new bytes32[](3), 0);
        vm.expectRevert(abi.encodeWithSelector(CountedTree.PathTooShort.selector, 3));
        harness.lead(0, 0, 2, new bytes32[](3), type(uint256).max);
    }

    function testFuzz_bind_equalsPlain(uint64 leafCount, bytes32 root) public view {
        assertEq(harness.bind(Domains.PROMPT, leafCount, root), PlainTree.bind("candor/1/prompt", leafCount, root));
        assertEq(harness.bind(Domains.MODEL, leafCount, root), PlainTree.bind("candor/1/model", leafCount, root));
        assertEq(
            harness.bind(Domains.MODEL_TENSOR, leafCount, root),
            PlainTree.bind("candor/1/model/tensor", leafCount, root)
        );
        assertEq(
            harness.bind(Domains.MODEL_ROTARY, leafCount, root),
            PlainTree.bind("candor/1/model/rotary", leafCount, root)
        );
    }
}
