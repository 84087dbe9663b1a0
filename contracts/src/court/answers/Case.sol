// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {CountedTree} from "../CountedTree.sol";
import {Domain, Domains} from "../Domains.sol";
import {Sha256} from "../Sha256.sol";
import {TraceTree} from "../TraceTree.sol";
import {WeightType} from "../../judge/WeightType.sol";
import {Words} from "../../judge/Words.sol";
import {Layout, Part, Places} from "./Layout.sol";
import {Hashes} from "./Hashes.sol";
import {Shape} from "./Shape.sol";

/// @notice What a disputed answer states: `court::judge::Statement`.
struct Statement {
    bytes32 modelRoot;
    bytes32 promptRoot;
    bytes32 seed;
    /// 0 f16, 1 f32.
    uint8 kv;
    uint32 prompt;
    uint32 output;
    uint32 temperature;
}

/// @notice A tensor of a model by name and shape.
struct Tensor {
    string name;
    /// 0 for a tensor of one dimension.
    uint256 rows;
    uint256 columns;
}

/// @notice One word before the judge, and what was handed in to judge it.
struct Case {
    Statement statement;
    Shape shape;
    Places places;
    uint256 bits;
    uint256 position;
    uint256 layer;
    Part part;
    uint256 index;
    /// What the worker says the word is.
    uint256 claimed;
    uint256 wordAddress;
    bytes32[] nodes;
    bytes32 workingRoot;
    uint256 workingLength;
    uint256 workingHeight;
    // The leaf of weights that was opened last: its type, where it begins and its size.
    WeightType leafKind;
    uint256 leafData;
    uint256 leafSize;
    // Where in the call's data the unread bytes and hashes begin and end. Slices of calldata cannot be kept in memory.
    uint256 data;
    uint256 dataEnd;
    uint256 path;
    uint256 pathEnd;
}

/// @title The inputs of a step, believed only where they lead to a root
/// @notice Reads what was handed in, in the order in which the rule asks for it: `court::judge::openings`.
library Inputs {
    /// @notice The bytes end before the step has its inputs.
    error DataTooShort(uint256 needed, uint256 left);
    /// @notice There are fewer hashes than the paths need.
    error PathTooShort(uint256 needed, uint256 left);
    /// @notice Something was opened that leads to another root.
    error WrongRoot(bytes32 expected, bytes32 found);
    /// @notice The opened tensor's type has no rule.
    error UnknownWeightType(uint256 ggmlType);
    /// @notice The opened prompt token's origin is not one.
    error UnknownOrigin(uint256 origin);

    uint256 private constant MOVE_BITS = 6;
    uint256 private constant TILE_HEIGHT = 4;
    uint256 private constant LEAF_WEIGHTS = 512;
    uint256 private constant ORIGINS = 7;
    /// @dev GGUF's number of each weight type, in the order of `WeightType`.
    bytes11 private constant GGML_TYPES = hex"00011e0802030607" hex"0c0d0e";

    /// @notice The next `count` bytes.
    function take(Case memory c, uint256 count) internal pure returns (bytes calldata slice) {
        uint256 place = c.data;
        uint256 left = c.dataEnd - place;
        if (count > left) revert DataTooShort(count, left);
        unchecked {
            c.data = place + count;
        }
        // A slice of this call's data, within bounds that were just checked.
        assembly ("memory-safe") {
            slice.offset := place
            slice.length := count
        }
    }

    /// @notice The next `count` hashes.
    function hashes(Case memory c, uint256 count) internal pure returns (bytes32[] calldata slice) {
        uint256 place = c.path;
        uint256 left = (c.pathEnd - place) / 32;
        if (count > left) revert PathTooShort(count, left);
        unchecked {
            c.path = place + 32 * count;
        }
        // As above.
        assembly ("memory-safe") {
            slice.offset := place
            slice.length := count
        }
    }

    /// @notice `count` words of the trace from `from` of a part on, under one node of height `height` that starts there.
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
    ) internal view returns (bytes calldata words) {
        unchecked {
            uint256 start = (position << c.bits) + Layout.start(c.places, layer, part) + from;
            words = take(c, 4 * count);
            (uint256 level, uint256 base) = _base(c, start);
            uint256 rise = base > height ? base - height : 0;
            bytes32 node = TraceTree.nodeOf(words, height);
            check(c.nodes[level], TraceTree.climb(node, start >> height, hashes(c, rise)));
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
        unchecked {
            bytes calldata tile = traceAt(c, position, layer, part, index & ~uint256(15), 16, TILE_HEIGHT);
            return wordOf(tile, index & 15);
        }
    }

    /// @notice Up to 64 numbers of a part, by the node that they are, or by the tiles that they lie in where they begin elsewhere: the
    /// heads of a vector may be no multiple of 64 wide.
    function numbersAt(Case memory c, uint256 position, uint256 layer, Part part, uint256 from, uint256 count)
        internal
        view
        returns (bytes calldata)
    {
        unchecked {
            if (from % 64 == 0) return traceAt(c, position, layer, part, from, count, 6);
            uint256 begin = c.data;
            for (uint256 place = from & ~uint256(15); place < from + count; place += 16) {
                traceAt(c, position, layer, part, place, 16, TILE_HEIGHT);
            }
            // The tiles lie one after the other.
            uint256 end = c.data;
            c.data = begin;
            bytes calldata tiles = take(c, end - begin);
            uint256 skipped = 4 * (from & 15);
            return tiles[skipped:skipped + 4 * count];
        }
    }

    /// @notice Word `index` of little-endian words.
    function wordOf(bytes calldata words, uint256 index) internal pure returns (uint256) {
        unchecked {
            return Words.swapped(Words.load(words, 4 * index)) >> 224;
        }
    }

    /// @notice A tile of the working.
    function workingTile(Case memory c, uint256 tile) internal view returns (bytes calldata words) {
        unchecked {
            words = take(c, 64);
            bytes32 node = TraceTree.nodeOf(words, TILE_HEIGHT);
            check(c.workingRoot, TraceTree.climb(node, tile, hashes(c, c.workingHeight - TILE_HEIGHT)));
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

    /// @notice Opens the leaf of row `row` that holds column `place`; for a product, the run of columns `place`. `leaf` then has it.
    function openWeights(Case memory c, Tensor memory tensor, uint256 row, uint256 place, bool isRun) internal view {
        unchecked {
            WeightType kind = typeOf(uint8(take(c, 1)[0]));
            if (isRun) place *= runOf(kind);
            if (place >= tensor.columns) place = tensor.columns - 1;
            uint256 count = tensor.columns - place / LEAF_WEIGHTS * LEAF_WEIGHTS;
            if (count > LEAF_WEIGHTS) count = LEAF_WEIGHTS;
            c.leafKind = kind;
            c.leafData = c.data;
            c.leafSize = count / kind.blockLength() * kind.blockBytes();
            _checkTensor(c, tensor, row, place / LEAF_WEIGHTS);
        }
    }

    /// @notice The leaf that was opened last.
    function leaf(Case memory c) internal pure returns (WeightType kind, bytes calldata run) {
        kind = c.leafKind;
        uint256 begin = c.leafData;
        uint256 size = c.leafSize;
        // A slice of this call's data, within bounds that `take` checked.
        assembly ("memory-safe") {
            run.offset := begin
            run.length := size
        }
    }

    function _checkTensor(Case memory c, Tensor memory tensor, uint256 row, uint256 place) private view {
        unchecked {
            bytes32 hash = Sha256.leaf(take(c, c.leafSize));
            uint256 perRow = (tensor.columns + LEAF_WEIGHTS - 1) / LEAF_WEIGHTS;
            uint256 leaves = (tensor.rows == 0 ? 1 : tensor.rows) * perRow;
            bytes32 root = _lead(c, Domains.MODEL_TENSOR, row * perRow + place, leaves, hash);
            _part(
                c,
                string.concat("tensor/", tensor.name),
                Hashes.tensor(ggmlOf(c.leafKind), tensor.rows, tensor.columns, root)
            );
        }
    }

    /// @notice The number of a weight type in GGUF's tensor tables.
    function ggmlOf(WeightType kind) internal pure returns (uint256) {
        return uint8(GGML_TYPES[uint256(kind)]);
    }

    /// @notice The weight type of a number in GGUF's tensor tables.
    function typeOf(uint256 ggml) internal pure returns (WeightType) {
        for (uint256 kind; kind < GGML_TYPES.length; ++kind) {
            if (uint8(GGML_TYPES[kind]) == ggml) return WeightType(kind);
        }
        revert UnknownWeightType(ggml);
    }

    /// @notice Columns that one step multiplies.
    function runOf(WeightType kind) internal pure returns (uint256) {
        return kind.isFloat() ? 64 : 256;
    }

    /// @notice Row `position` of the rotary table, cosines then sines.
    function rotary(Case memory c, bool isLocal) internal view returns (bytes calldata row) {
        row = take(c, 4 * uint256(c.shape.headWidth));
        bytes32 root = _lead(c, Domains.MODEL_ROTARY, c.position, c.shape.contextLength, Sha256.leaf(row));
        _part(c, isLocal ? "rotary-local" : "rotary", root);
    }

    /// @notice Token `index` of the prompt.
    function promptToken(Case memory c, uint256 index) internal view returns (uint256 token) {
        bytes calldata opened = take(c, 5);
        token = Words.swapped(Words.load(opened, 0)) >> 224;
        uint256 origin = uint8(opened[4]);
        if (origin >= ORIGINS) revert UnknownOrigin(origin);
        bytes32 hash = Sha256.leafOf(abi.encodePacked(Hashes.le32(index), opened));
        check(c.statement.promptRoot, _lead(c, Domains.PROMPT, index, c.statement.prompt, hash));
    }

    /// @notice Whether everything that was handed in was read.
    function isAtEnd(Case memory c) internal pure returns (bool) {
        return c.data == c.dataEnd && c.path == c.pathEnd;
    }

    /// @notice Reverts unless two roots are the same.
    function check(bytes32 expected, bytes32 found) internal pure {
        if (expected != found) revert WrongRoot(expected, found);
    }

    /// @dev The deepest opened level whose node holds both the disputed word and the word at `start`, and that node's height.
    function _base(Case memory c, uint256 start) private pure returns (uint256 level, uint256 height) {
        unchecked {
            uint256 top = c.nodes.length * MOVE_BITS;
            uint256 difference = start ^ c.wordAddress;
            for (level = c.nodes.length - 1; level > 0; --level) {
                if (difference >> (top - level * MOVE_BITS) == 0) break;
            }
            height = top - level * MOVE_BITS;
        }
    }

    /// @dev The counted root that a leaf leads to.
    function _lead(Case memory c, Domain domain, uint256 index, uint256 count, bytes32 hash)
        private
        view
        returns (bytes32)
    {
        uint256 left = (c.pathEnd - c.path) / 32;
        uint256 place = c.path;
        bytes32[] calldata rest = hashes(c, left);
        (bytes32 root, uint256 next) = CountedTree.lead(hash, uint64(index), uint64(count), rest, 0);
        unchecked {
            c.path = place + 32 * next;
        }
        return CountedTree.bind(domain, uint64(count), root);
    }

    /// @dev Checks that the part `name` of the model has this digest.
    function _part(Case memory c, string memory name, bytes32 digest) private view {
        bytes calldata place = take(c, 4);
        uint256 index = uint8(place[0]) | uint256(uint8(place[1])) << 8;
        uint256 count = uint8(place[2]) | uint256(uint8(place[3])) << 8;
        check(c.statement.modelRoot, _lead(c, Domains.MODEL, index, count, Hashes.partLeaf(name, digest)));
    }
}
