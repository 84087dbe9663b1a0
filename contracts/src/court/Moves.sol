// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Words} from "../judge/Words.sol";
import {Dispute} from "../types/Dispute.sol";
import {TraceTree} from "./TraceTree.sol";

/// @title The moves that narrow a dispute down to one word
/// @notice Both sides have a tree over the same trace, and take turns. A move names the first child of the other's last node
/// that differs from one's own, proves one's own child with everything to its left equal, and opens what lies below. When
/// words lie open, the other side names the first that differs and shows its working. `crates/court/src/dispute` is the same
/// in Rust.
/// @dev Nodes alternate: the challenger opened the first, the host the second. So below one's own last node lies the child
/// that the other named last, and below that the one that is named now: twelve heights.
library Moves {
    uint256 private constant NODE_WORDS = 64;
    uint256 private constant NODE_BYTES = 4 * NODE_WORDS;
    uint256 private constant TILE_WORDS = 16;

    /// @dev Above, no transaction carries the working.
    uint256 private constant WORKING_BYTES_MAX = 4 * 30_000;

    /// @notice Another kind of move is due.
    /// @param opened Nodes that lie open.
    /// @param levels Nodes that lie open when words do.
    /// @param isWorked Whether the working of a word was shown.
    error WrongMove(uint256 opened, uint256 levels, bool isWorked);

    /// @notice Something has another size.
    /// @param expected Its size in bytes; for a working, the most that it may have, a multiple of four.
    /// @param found Bytes that there are.
    error WrongSize(uint256 expected, uint256 found);

    /// @notice A path has another length.
    /// @param expected Hashes that it must have; none where the move is no place for it.
    /// @param found Hashes that there are.
    error WrongPathLength(uint256 expected, uint256 found);

    /// @notice A path leads elsewhere.
    /// @param expected The node that it should lead to.
    /// @param found The node that it leads to; in the host's first move, its root by the path of its child.
    error WrongRoot(bytes32 expected, bytes32 found);

    /// @notice There are 64 children, and 64 words.
    /// @param index The one that was named.
    error OutsideNode(uint256 index);

    /// @notice The named child, or word, is the same on both sides.
    /// @param index Its number.
    error NoDifference(uint256 index);

    /// @notice Something to the left of the named child, or word, differs.
    /// @param index Its number.
    error NotFirstDifference(uint256 index);

    /// @notice The node above the words of the last level.
    function nodeOfWords(bytes calldata words) internal view returns (bytes32) {
        require(words.length == NODE_BYTES, WrongSize(NODE_BYTES, words.length));
        return TraceTree.nodeOf(words, TraceTree.MOVE_BITS);
    }

    /// @notice Goes a level down.
    /// @param dispute Where the dispute stands, and then where the move leads.
    /// @param isLast Whether the move opened words.
    /// @param child The child of the other's last node.
    /// @param own One's own node in its place.
    /// @param ownPath The path from that to one's own last node; in the host's first move, to its root.
    /// @param theirChild The other's child.
    /// @param theirPath The path from it to the other's last node.
    /// @param endPath In the host's first move, the path to its root from the tile that holds what it signed.
    function descend(
        Dispute memory dispute,
        bool isLast,
        uint8 child,
        bytes32 own,
        bytes32[] calldata ownPath,
        bytes32 theirChild,
        bytes32[6] calldata theirPath,
        bytes32[] calldata endPath
    ) internal view {
        uint256 opened = dispute.nodes.length;
        require(
            isLast ? opened + 1 == dispute.levels : opened + 1 < dispute.levels,
            WrongMove(opened, dispute.levels, dispute.isWorked())
        );
        require(child < NODE_WORDS, OutsideNode(child));
        bool isFirst = opened == 1;
        _checkLength(isFirst ? TraceTree.MOVE_BITS : 2 * TraceTree.MOVE_BITS, ownPath.length);
        uint64 index = (dispute.index << uint64(TraceTree.MOVE_BITS)) | child;
        bytes32 root = TraceTree.climb(own, index, ownPath);
        // The host's first own node is the root that its path leads to: what it signed must lie under that.
        _checkRoot(isFirst ? _end(dispute, endPath) : dispute.nodes[opened - 2], root);
        if (!isFirst) _checkLength(0, endPath.length);
        _checkRoot(dispute.nodes[opened - 1], TraceTree.climb(theirChild, child, theirPath));
        require(own != theirChild, NoDifference(child));
        require(TraceTree.agreeLeft(child, ownPath, theirPath), NotFirstDifference(child));
        dispute.index = index;
        dispute.nodes = _append(dispute.nodes, own);
    }

    /// @notice Shows how a word comes about.
    /// @param dispute Where the dispute stands, and then where the move leads.
    /// @param index The first of the other's 64 words that differs from one's own.
    /// @param tile One's own tile that holds it.
    /// @param ownPath The path from that to one's own last node.
    /// @param theirTile The other's tile.
    /// @param theirPath The path from it to the other's node above the words.
    /// @param working How the word comes about.
    function work(
        Dispute memory dispute,
        uint8 index,
        bytes calldata tile,
        bytes32[8] calldata ownPath,
        bytes calldata theirTile,
        bytes32[2] calldata theirPath,
        bytes calldata working
    ) internal view {
        uint256 opened = dispute.nodes.length;
        require(opened == dispute.levels && !dispute.isWorked(), WrongMove(opened, dispute.levels, dispute.isWorked()));
        require(index < NODE_WORDS, OutsideNode(index));
        _checkTile(tile);
        _checkTile(theirTile);
        uint64 tileIndex = uint64(index / TILE_WORDS);
        _checkRoot(dispute.nodes[opened - 1], TraceTree.climb(TraceTree.tileHash(theirTile), tileIndex, theirPath));
        uint64 ownIndex = (dispute.index << 2) | tileIndex;
        _checkRoot(dispute.nodes[opened - 2], TraceTree.climb(TraceTree.tileHash(tile), ownIndex, ownPath));
        uint256 offset = 4 * (index % TILE_WORDS);
        bool isFirst = keccak256(tile[:offset]) == keccak256(theirTile[:offset]);
        require(isFirst && TraceTree.agreeLeft(tileIndex, ownPath, theirPath), NotFirstDifference(index));
        uint32 word = _wordAt(tile, offset);
        require(word != _wordAt(theirTile, offset), NoDifference(index));
        dispute.index = (dispute.index << uint64(TraceTree.MOVE_BITS)) | index;
        dispute.word = word;
        _keepWorking(dispute, working);
    }

    /// @notice Checks that the working of a word was shown, so that a step of it can be called wrong.
    function checkWorked(Dispute calldata dispute) internal pure {
        require(dispute.workingRoot != 0, WrongMove(dispute.nodes.length, dispute.levels, false));
    }

    /// @dev The host's root, by the tile that holds what it signed.
    function _end(Dispute memory dispute, bytes32[] calldata path) private view returns (bytes32) {
        _checkLength(dispute.levels * TraceTree.MOVE_BITS - TraceTree.TILE_HEIGHT, path.length);
        return TraceTree.climb(dispute.endLeaf, dispute.endIndex, path);
    }

    function _keepWorking(Dispute memory dispute, bytes calldata working) private view {
        uint256 length = working.length;
        require(length <= WORKING_BYTES_MAX && length % 4 == 0, WrongSize(WORKING_BYTES_MAX, length));
        uint256 height = TraceTree.TILE_HEIGHT;
        while (length > TraceTree.TILE_BYTES << (height - TraceTree.TILE_HEIGHT)) ++height;
        dispute.workingRoot = TraceTree.nodeOf(working, height);
        // Below 2^32, as the check above has it.
        dispute.workingLength = uint32(length / 4);
    }

    function _wordAt(bytes calldata tile, uint256 offset) private pure returns (uint32) {
        return uint32(Words.swapped(Words.load(tile, offset)) >> 224);
    }

    function _append(bytes32[] memory nodes, bytes32 node) private pure returns (bytes32[] memory longer) {
        longer = new bytes32[](nodes.length + 1);
        for (uint256 i; i < nodes.length; ++i) {
            longer[i] = nodes[i];
        }
        longer[nodes.length] = node;
    }

    function _checkTile(bytes calldata tile) private pure {
        require(tile.length == TraceTree.TILE_BYTES, WrongSize(TraceTree.TILE_BYTES, tile.length));
    }

    function _checkLength(uint256 expected, uint256 found) private pure {
        require(found == expected, WrongPathLength(expected, found));
    }

    function _checkRoot(bytes32 expected, bytes32 found) private pure {
        require(found == expected, WrongRoot(expected, found));
    }
}
