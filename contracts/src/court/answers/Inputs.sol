// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {log2} from "../../judge/Binary32.sol";
import {Words} from "../../judge/Words.sol";
import {TraceTree} from "../TraceTree.sol";
import {Case, Seen} from "./Case.sol";
import {Layout, Part} from "./Layout.sol";

/// @title The inputs of a step, believed only where they lead to a root
/// @notice Reads what was handed in, in the order in which the rule asks for it: `court::judge::openings`.
library Inputs {
    /// @notice The bytes end before the step has its inputs.
    error DataTooShort(uint256 needed, uint256 left);
    /// @notice There are fewer hashes than the paths need.
    error PathTooShort(uint256 needed, uint256 left);
    /// @notice Something was opened that leads to another root.
    error WrongRoot(bytes32 expected, bytes32 found);

    uint256 private constant MOVE_BITS = 6;
    uint256 private constant TILE_HEIGHT = 4;
    uint256 private constant TILE_WORDS = 16;

    /// @notice The next `count` bytes.
    function take(Case memory c, uint256 count) internal pure returns (bytes calldata slice) {
        unchecked {
            // What begins somewhere ends at or behind that.
            uint256 place = c.data;
            uint256 left = c.dataEnd - place;
            require(count <= left, DataTooShort(count, left));
            c.data = place + count;
            return _bytes(place, count);
        }
    }

    /// @notice The next `count` hashes.
    function hashes(Case memory c, uint256 count) internal pure returns (bytes32[] calldata slice) {
        unchecked {
            // As above.
            uint256 place = c.path;
            uint256 left = (c.pathEnd - place) / 32;
            require(count <= left, PathTooShort(count, left));
            c.path = place + 32 * count;
            // Within bounds that were just checked.
            assembly ("memory-safe") {
                slice.offset := place
                slice.length := count
            }
        }
    }

    /// @notice `count` words of the trace from `from` of a part on, which are a node of height `height`.
    function trace(Case memory c, Part part, uint256 from, uint256 count, uint256 height)
        internal
        view
        returns (bytes calldata words)
    {
        return traceAt(c, c.position, c.layer, part, from, count, height);
    }

    /// @notice The same at another position or layer.
    function traceAt(
        Case memory c,
        uint256 position,
        uint256 layer,
        Part part,
        uint256 from,
        uint256 count,
        uint256 height
    ) internal view returns (bytes calldata) {
        unchecked {
            // All of it is below 2^64 and smaller than the trace.
            uint256 start = (position << c.bits) + Layout.start(c.statement.shape, layer, part) + from;
            (uint256 base, bytes32 root) = _base(c, start);
            return _open(c, c.seen, start, count, height, base, root);
        }
    }

    /// @notice One word of a part, from the tile that holds it.
    function word(Case memory c, Part part, uint256 index) internal view returns (uint256) {
        return wordAt(c, c.position, c.layer, part, index);
    }

    /// @notice The same at another position or layer.
    function wordAt(Case memory c, uint256 position, uint256 layer, Part part, uint256 index)
        internal
        view
        returns (uint256)
    {
        bytes calldata tile = traceAt(c, position, layer, part, index & ~uint256(15), TILE_WORDS, TILE_HEIGHT);
        return wordOf(tile, index & 15);
    }

    /// @notice Numbers of a part: by the node that they are, or else by the tiles that they lie in. The heads of a vector, and with
    /// them their runs, may have any width. No tile of them may have been shown already by another opening.
    function numbersAt(Case memory c, uint256 position, uint256 layer, Part part, uint256 from, uint256 count)
        internal
        view
        returns (bytes calldata)
    {
        unchecked {
            // Widths are below 2^32.
            if (count >= TILE_WORDS && count & (count - 1) == 0 && from % count == 0) {
                return traceAt(c, position, layer, part, from, count, log2(count));
            }
            uint256 begin = c.data;
            for (uint256 place = from & ~uint256(15); place < from + count; place += TILE_WORDS) {
                traceAt(c, position, layer, part, place, TILE_WORDS, TILE_HEIGHT);
            }
            // The tiles lie one after the other, and no end of them is behind the end of the data.
            return _bytes(begin + 4 * (from & 15), 4 * count);
        }
    }

    /// @notice Word `index` of little-endian words.
    function wordOf(bytes calldata words, uint256 index) internal pure returns (uint256) {
        unchecked {
            // Far below 2^256.
            return Words.swapped(Words.load(words, 4 * index)) >> 224;
        }
    }

    /// @notice `count` words of the working from `start` on, which are a node of height `height`.
    function working(Case memory c, uint256 start, uint256 count, uint256 height)
        internal
        view
        returns (bytes calldata)
    {
        return _open(c, c.seenWorking, start, count, height, c.workingHeight, c.workingRoot);
    }

    /// @notice A tile of the working.
    function workingTile(Case memory c, uint256 tile) internal view returns (bytes calldata) {
        unchecked {
            // Below 2^40.
            return working(c, TILE_WORDS * tile, TILE_WORDS, TILE_HEIGHT);
        }
    }

    /// @notice A tile of the working as lanes: two words, the lowest lane uppermost.
    function workingLanes(Case memory c, uint256 tile) internal view returns (uint256 low, uint256 high) {
        bytes calldata words = workingTile(c, tile);
        return (Words.swapped(Words.load(words, 0)), Words.swapped(Words.load(words, 32)));
    }

    /// @notice One word of the working.
    function worked(Case memory c, uint256 index) internal view returns (uint256) {
        return wordOf(workingTile(c, index >> 4), index & 15);
    }

    /// @notice Whether everything that was handed in was read.
    function isAtEnd(Case memory c) internal pure returns (bool) {
        return c.data == c.dataEnd && c.path == c.pathEnd;
    }

    /// @notice Reverts unless two roots are the same.
    function check(bytes32 expected, bytes32 found) internal pure {
        require(expected == found, WrongRoot(expected, found));
    }

    /// @dev `count` words from `start` on, a node of height `height` under one of height `base`. Words that the opening before has
    /// shown are not shown again. Otherwise the path leads to the nearest node that is known: `root`, or a sibling on the path of the
    /// opening before.
    function _open(
        Case memory c,
        Seen memory seen,
        uint256 start,
        uint256 count,
        uint256 height,
        uint256 base,
        bytes32 root
    ) private view returns (bytes calldata words) {
        unchecked {
            // Addresses are below 2^64, places in the call's data below 2^32. The difference wraps where the words begin before the
            // others, and is larger than any count then.
            uint256 skipped = start - seen.start;
            if (skipped < seen.count && count <= seen.count - skipped) {
                return _bytes(seen.data + 4 * skipped, 4 * count);
            }
            if (base < height) base = height;
            // The highest bit in which the two addresses differ: below it lie two siblings, each with one of them.
            uint256 fork = _log2(start ^ seen.start);
            if (fork >= height && fork < base && fork >= seen.height && fork < seen.top) {
                base = fork;
                root = _hash(seen.path + 32 * (fork - seen.height));
            }
            (seen.start, seen.data, seen.count) = (start, c.data, count);
            (seen.height, seen.top, seen.path) = (height, base, c.path);
            words = take(c, 4 * count);
            bytes32 node = TraceTree.nodeOf(words, height);
            check(root, TraceTree.climb(node, start >> height, hashes(c, base - height)));
        }
    }

    /// @dev The deepest opened node that holds both the disputed word and the word at `start`, and its height.
    function _base(Case memory c, uint256 start) private pure returns (uint256 height, bytes32 node) {
        unchecked {
            // Levels are at most ten.
            uint256 difference = (start ^ c.wordAddress) >> MOVE_BITS;
            height = MOVE_BITS;
            uint256 place = c.nodes + 32 * (c.nodeCount - 1);
            while (difference != 0 && place > c.nodes) {
                difference >>= MOVE_BITS;
                height += MOVE_BITS;
                place -= 32;
            }
            return (height, _hash(place));
        }
    }

    /// @dev Below 2^64.
    function _log2(uint256 x) private pure returns (uint256 place) {
        unchecked {
            // The wrapped difference of a smaller and a larger number has its uppermost bit.
            place = ((0xffffffff - x) >> 255) << 5;
            return place + log2(x >> place);
        }
    }

    function _bytes(uint256 place, uint256 count) private pure returns (bytes calldata slice) {
        // Callers have compared the end with that of what was handed in.
        assembly ("memory-safe") {
            slice.offset := place
            slice.length := count
        }
    }

    function _hash(uint256 place) private pure returns (bytes32 hash) {
        // As above.
        assembly ("memory-safe") {
            hash := calldataload(place)
        }
    }
}
