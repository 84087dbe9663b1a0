// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {F32} from "../../judge/Binary32.sol";
import {Blocks} from "../../judge/Blocks.sol";
import {WeightType} from "../../judge/WeightType.sol";
import {Words} from "../../judge/Words.sol";
import {CountedTree} from "../CountedTree.sol";
import {Domain, Domains} from "../Domains.sol";
import {Sha256} from "../Sha256.sol";
import {Case} from "./Case.sol";
import {Hashes} from "./Hashes.sol";
import {Inputs} from "./Inputs.sol";
import {Label, Labels} from "./Labels.sol";

/// @notice A tensor of a model by name and shape.
/// @param isOfLayer Whether the disputed word's layer is part of the name.
/// @param name The rest of the name.
/// @param rows 0 for a tensor of one dimension.
/// @param columns Columns.
struct Tensor {
    bool isOfLayer;
    Label name;
    uint256 rows;
    uint256 columns;
}

/// @title Weights, rotary tables and prompts, believed only where they lead to a root
/// @notice `court::judge::openings`.
library Weights {
    using Inputs for Case;

    /// @notice The opened tensor's type has no rule.
    error UnknownWeightType(uint256 ggmlType);
    /// @notice The opened prompt token's origin is not one.
    error UnknownOrigin(uint256 origin);

    uint256 private constant ORIGINS = 7;

    /// @dev GGUF's number of each weight type, a byte each in the order of `WeightType`, the first one lowest.
    uint256 private constant GGML_TYPES = 0x0e0d0c07060302081e0100;
    uint256 private constant TYPES = 11;

    /// @notice Columns that one step of a product multiplies. Floats, each of which is a multiplication and an addition of its own: 16.
    /// Blocks of 32: two of them. Super-blocks: one.
    function runOf(WeightType kind) internal pure returns (uint256) {
        if (kind.isFloat()) return 16;
        return kind < WeightType.Q4_K ? 64 : 256;
    }

    /// @notice Columns of a leaf of a model's root.
    function leafOf(WeightType kind) internal pure returns (uint256) {
        return kind.isFloat() ? 64 : 256;
    }

    /// @notice Opens the leaf of row `row` that holds column `column`; for a product, the run of columns `column`.
    function open(Case memory c, Tensor memory tensor, uint256 row, uint256 column, bool isRun) internal view {
        unchecked {
            // Rows and columns are below 2^32.
            WeightType kind = typeOf(uint8(c.take(1)[0]));
            uint256 length = leafOf(kind);
            if (isRun) column *= runOf(kind);
            if (column >= tensor.columns) column = tensor.columns - 1;
            uint256 index = column / length;
            uint256 count = tensor.columns - index * length;
            if (count > length) count = length;
            c.leafKind = kind;
            c.leafData = c.data;
            c.leafSize = count / kind.blockLength() * kind.blockBytes();
            uint256 perRow = (tensor.columns + length - 1) / length;
            uint256 leaves = (tensor.rows == 0 ? 1 : tensor.rows) * perRow;
            bytes32 leaf = Sha256.leaf(c.take(c.leafSize));
            bytes32 root = _lead(c, Domains.MODEL_TENSOR, row * perRow + index, leaves, leaf);
            bytes32 digest = Hashes.tensor(_ggmlOf(kind), tensor.rows, tensor.columns, root);
            if (tensor.isOfLayer) {
                _part(c, Hashes.partLeaf(Labels.LAYER, Labels.decimal(c.layer), tensor.name, digest));
            } else {
                _part(c, Hashes.partLeaf(Labels.TENSOR, Labels.NONE, tensor.name, digest));
            }
        }
    }

    /// @notice The bytes of `count` columns from `column` on, which lie in the leaf that was opened last.
    function run(Case memory c, uint256 column, uint256 count) internal pure returns (bytes calldata slice) {
        unchecked {
            // Whole blocks within the leaf, whose bounds were checked.
            WeightType kind = c.leafKind;
            uint256 length = kind.blockLength();
            uint256 size = kind.blockBytes();
            uint256 begin = c.leafData + column % leafOf(kind) / length * size;
            uint256 end = c.leafData + c.leafSize;
            size *= count / length;
            require(begin + size <= end, Inputs.DataTooShort(size, end - begin));
            assembly ("memory-safe") {
                slice.offset := begin
                slice.length := size
            }
        }
    }

    /// @notice The weight at a column, which lies in the leaf that was opened last, as a number.
    function element(Case memory c, uint256 column) internal pure returns (F32) {
        unchecked {
            WeightType kind = c.leafKind;
            uint256 length = kind.blockLength();
            uint256 index = column % length;
            return Blocks.element(kind, run(c, column - index, length), index);
        }
    }

    /// @notice The weight type of a number in GGUF's tensor tables.
    function typeOf(uint256 ggml) internal pure returns (WeightType) {
        unchecked {
            for (uint256 kind; kind < TYPES; ++kind) {
                if ((GGML_TYPES >> (8 * kind)) & 255 == ggml) return WeightType(kind);
            }
            revert UnknownWeightType(ggml);
        }
    }

    /// @notice The disputed position's row of the rotary table, cosines then sines.
    function rotary(Case memory c, bool isLocal) internal view returns (bytes calldata row) {
        unchecked {
            // Heads are narrower than 2^32.
            row = c.take(4 * c.statement.shape.sizes.headWidth());
            uint256 positions = c.statement.shape.sizes.contextLength();
            bytes32 root = _lead(c, Domains.MODEL_ROTARY, c.position, positions, Sha256.leaf(row));
            Label name = isLocal ? Labels.ROTARY_LOCAL : Labels.ROTARY;
            _part(c, Hashes.partLeaf(Labels.NONE, Labels.NONE, name, root));
        }
    }

    /// @notice Token `index` of the prompt.
    function promptToken(Case memory c, uint256 index) internal view returns (uint256 token) {
        bytes calldata opened = c.take(5);
        token = Words.swapped(Words.load(opened, 0)) >> 224;
        uint256 origin = uint8(opened[4]);
        require(origin < ORIGINS, UnknownOrigin(origin));
        bytes32 leaf = Sha256.leafOf(abi.encodePacked(Hashes.le32(index), opened));
        Inputs.check(c.statement.promptRoot, _lead(c, Domains.PROMPT, index, c.statement.terms.prompt(), leaf));
    }

    /// @dev The number of a weight type in GGUF's tensor tables.
    function _ggmlOf(WeightType kind) private pure returns (uint256) {
        unchecked {
            return (GGML_TYPES >> (8 * uint256(kind))) & 255;
        }
    }

    /// @dev The counted root that a leaf leads to.
    function _lead(Case memory c, Domain domain, uint256 index, uint256 count, bytes32 leaf)
        private
        view
        returns (bytes32)
    {
        unchecked {
            uint256 place = c.path;
            bytes32[] calldata rest = c.hashes((c.pathEnd - place) / 32);
            (bytes32 root, uint256 next) = CountedTree.lead(leaf, uint64(index), uint64(count), rest, 0);
            c.path = place + 32 * next;
            return CountedTree.bind(domain, uint64(count), root);
        }
    }

    /// @dev Checks that a part of the model has this leaf.
    function _part(Case memory c, bytes32 leaf) private view {
        unchecked {
            bytes calldata place = c.take(4);
            uint256 index = Words.firstPair(Words.load(place, 0));
            uint256 count = Words.firstPair(Words.load(place, 2));
            Inputs.check(c.statement.modelRoot, _lead(c, Domains.MODEL, index, count, leaf));
        }
    }
}
