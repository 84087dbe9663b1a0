// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Sha256} from "./Sha256.sol";

/// @title The tree over the words of a trace
/// @notice Full and binary. Heights count from the words: a tile, the leaf, is 16 words and has height 4. Words are 32 bits,
/// little-endian. What nobody wrote is 0. `crates/court/src/trace/tree.rs` is the same in Rust.
/// @dev Assembly for the reasons of `Sha256`, and because a loop over calldata otherwise checks each index. `TraceTreeTest`
/// holds each function to a plain one.
library TraceTree {
    uint256 internal constant TILE_HEIGHT = 4;
    uint256 internal constant TILE_BYTES = 64;

    /// @dev What a move opens: 64 nodes six heights down.
    uint256 internal constant MOVE_BITS = 6;

    /// @dev The leaf of a tile of zeros.
    bytes32 private constant ZERO_TILE = 0x98ce42deef51d40269d542f5314bef2c7468d401ad5d85168bfab4c0108f75f7;

    /// @notice More words than there are under a node.
    /// @param sizeBytes Bytes of the words.
    /// @param height The height of the node.
    error TooManyWords(uint256 sizeBytes, uint256 height);

    /// @notice The leaf of a tile.
    /// @param tile Its 64 bytes; the caller has looked at the length.
    function tileHash(bytes calldata tile) internal view returns (bytes32) {
        return Sha256.leaf(tile);
    }

    /// @notice The node under which every word is 0.
    function zero(uint256 height) internal view returns (bytes32 node) {
        node = ZERO_TILE;
        for (uint256 level = TILE_HEIGHT; level < height; ++level) {
            node = Sha256.node(node, node);
        }
    }

    /// @notice The node over these words, zeros behind them.
    function nodeOf(bytes calldata words, uint256 height) internal view returns (bytes32) {
        require(height >= TILE_HEIGHT, TooManyWords(words.length, height));
        if (words.length == 0) return zero(height);
        uint256 tiles = (words.length - 1) / TILE_BYTES + 1;
        require((tiles - 1) >> (height - TILE_HEIGHT) == 0, TooManyWords(words.length, height));
        uint256 level;
        bool isDone = true;
        assembly ("memory-safe") {
            // A level lies behind a word that is free, so that the byte before each pair of nodes is: it holds the prefix. The
            // byte belongs to a node only that is hashed already.
            level := add(mload(0x40), 32)
            calldatacopy(level, words.offset, words.length)
            // Reading calldata behind its end gives zeros.
            calldatacopy(add(level, words.length), calldatasize(), sub(mul(tiles, TILE_BYTES), words.length))
            let tile := sub(level, 1)
            let end := add(level, mul(tiles, 32))
            for { let leaf := level } lt(leaf, end) { leaf := add(leaf, 32) } {
                mstore8(tile, 0)
                isDone := and(isDone, staticcall(gas(), 2, tile, 65, leaf, 32))
                tile := add(tile, TILE_BYTES)
            }
        }
        require(isDone, Sha256.Sha256Failed());
        return _fold(level, tiles, TILE_HEIGHT, height);
    }

    /// @notice The node six heights above these.
    function nodeAbove(bytes32[64] calldata nodes) internal view returns (bytes32) {
        uint256 level;
        assembly ("memory-safe") {
            level := add(mload(0x40), 32)
            calldatacopy(level, nodes, 2048)
        }
        return _fold(level, 64, TILE_HEIGHT, TILE_HEIGHT + MOVE_BITS);
    }

    /// @notice The node that siblings, from below, lead to from `node`, which is number `index`, below 2^250, of its height.
    function climb(bytes32 node, uint256 index, bytes32[] calldata siblings) internal view returns (bytes32) {
        uint256 offset;
        assembly ("memory-safe") {
            offset := siblings.offset
        }
        return _climb(node, index, offset, siblings.length);
    }

    /// @notice The same with the path of a move.
    function climb(bytes32 node, uint256 index, bytes32[6] calldata siblings) internal view returns (bytes32) {
        uint256 offset;
        assembly ("memory-safe") {
            offset := siblings
        }
        return _climb(node, index, offset, 6);
    }

    /// @notice The same with the path from a tile to the level before the last.
    function climb(bytes32 node, uint256 index, bytes32[8] calldata siblings) internal view returns (bytes32) {
        uint256 offset;
        assembly ("memory-safe") {
            offset := siblings
        }
        return _climb(node, index, offset, 8);
    }

    /// @notice The same with the path from a tile to the last level.
    function climb(bytes32 node, uint256 index, bytes32[2] calldata siblings) internal view returns (bytes32) {
        uint256 offset;
        assembly ("memory-safe") {
            offset := siblings
        }
        return _climb(node, index, offset, 2);
    }

    /// @notice Whether the path of a move agrees with the other side's on everything to the left of node `index` of 64.
    /// @param ours At least six siblings.
    function agreeLeft(uint256 index, bytes32[] calldata ours, bytes32[6] calldata theirs)
        internal
        pure
        returns (bool isSame)
    {
        isSame = true;
        for (uint256 height; height < 6; ++height) {
            // Odd nodes have their sibling on the left.
            if ((index >> height) & 1 == 1 && ours[height] != theirs[height]) isSame = false;
        }
    }

    /// @notice The same for tile `index` of the last level's four.
    function agreeLeft(uint256 index, bytes32[8] calldata ours, bytes32[2] calldata theirs)
        internal
        pure
        returns (bool)
    {
        return (index & 1 == 0 || ours[0] == theirs[0]) && (index & 2 == 0 || ours[1] == theirs[1]);
    }

    function _climb(bytes32 node, uint256 index, uint256 offset, uint256 count) private view returns (bytes32 above) {
        bool isDone = true;
        assembly ("memory-safe") {
            // A pair starts at a multiple of 64, so that one bit of the address tells its two nodes apart.
            let pair := and(add(mload(0x40), 127), not(63))
            let prefix := sub(pair, 1)
            mstore8(prefix, 1)
            // Odd nodes lie to the right of their siblings.
            let bits := mul(index, 32)
            let place := or(pair, and(bits, 32))
            mstore(place, node)
            for { let end := add(offset, mul(count, 32)) } lt(offset, end) { offset := add(offset, 32) } {
                mstore(xor(place, 32), calldataload(offset))
                bits := shr(1, bits)
                place := or(pair, and(bits, 32))
                isDone := and(isDone, staticcall(gas(), 2, prefix, 65, place, 32))
            }
            above := mload(place)
        }
        require(isDone, Sha256.Sha256Failed());
    }

    /// @dev The node of height `to` over `count` nodes of height `from` at `level`, behind a free word. Leaves the level in ruins.
    function _fold(uint256 level, uint256 count, uint256 from, uint256 to) private view returns (bytes32 node) {
        bytes32 zeros = ZERO_TILE;
        bool isDone = true;
        assembly ("memory-safe") {
            let zerosHeight := TILE_HEIGHT
            for {} lt(from, to) { from := add(from, 1) } {
                if and(count, 1) {
                    // The place of nodes that are not there is held by zeros of this height.
                    for {} lt(zerosHeight, from) { zerosHeight := add(zerosHeight, 1) } {
                        let at := add(level, mul(count, 32))
                        mstore8(at, 1)
                        mstore(add(at, 1), zeros)
                        mstore(add(at, 33), zeros)
                        isDone := and(isDone, staticcall(gas(), 2, at, 65, 0, 32))
                        zeros := mload(0)
                    }
                    mstore(add(level, mul(count, 32)), zeros)
                    count := add(count, 1)
                }
                count := shr(1, count)
                let pair := sub(level, 1)
                let end := add(level, mul(count, 32))
                for { let above := level } lt(above, end) { above := add(above, 32) } {
                    mstore8(pair, 1)
                    isDone := and(isDone, staticcall(gas(), 2, pair, 65, above, 32))
                    pair := add(pair, 64)
                }
            }
            node := mload(level)
        }
        require(isDone, Sha256.Sha256Failed());
    }
}
