// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";

import {F32, ZERO, fromBits} from "../../judge/Binary32.sol";
import {Blocks} from "../../judge/Blocks.sol";
import {WeightType} from "../../judge/WeightType.sol";
import {Case, Inputs, Tensor} from "./Case.sol";
import {Findings, Found, Outcome} from "./Found.sol";
import {Part} from "./Layout.sol";
import {Shape, TIED} from "./Shape.sol";

/// @title A word of a product: one row of a matrix times the activations, by runs of columns
/// @notice Steps: the sum after each run; the last one is the word. `court::judge::product`.
library Products {
    using Inputs for Case;

    /// @notice The matrix of a part and what it multiplies.
    struct Map {
        Tensor tensor;
        /// The activations as they are; their quantised forms follow in the layout.
        Part input;
        Part forms;
    }

    /// @notice Computes a step.
    function evaluate(Case memory c, uint256 step) internal view returns (Found memory) {
        unchecked {
            Map memory map = mapOf(c);
            c.openWeights(map.tensor, c.index, step, true);
            WeightType kind = c.leafKind;
            uint256 width = Inputs.runOf(kind);
            uint256 runs = (map.tensor.columns + width - 1) / width;
            if (c.workingLength != runs - 1) return Findings.without(Outcome.Malformed);
            if (step >= runs) return Findings.without(Outcome.NoSuchStep);
            uint256 from = step * width;
            uint256 count = map.tensor.columns - from;
            if (count > width) count = width;
            F32 sum = _multiply(c, map, from, count);
            return step + 1 == runs ? Findings.number(sum) : Findings.number(step, sum);
        }
    }

    /// @notice The bytes of `count` columns of a leaf.
    function columnsOf(WeightType kind, bytes calldata leaf, uint256 from, uint256 count)
        internal
        pure
        returns (bytes calldata)
    {
        uint256 length = kind.blockLength();
        uint256 size = kind.blockBytes();
        return leaf[from / length * size:(from + count) / length * size];
    }

    /// @notice Element `index` of a leaf as a number.
    function element(Case memory c, uint256 index) internal pure returns (F32) {
        (WeightType kind, bytes calldata leaf) = c.leaf();
        uint256 length = kind.blockLength();
        uint256 first = index / length * length;
        return Blocks.element(kind, columnsOf(kind, leaf, first, length), index - first);
    }

    function _multiply(Case memory c, Map memory map, uint256 from, uint256 count) private view returns (F32) {
        unchecked {
            if (c.leafKind.isFloat()) {
                bytes calldata x = c.trace(map.input, from, count, 6);
                return _run(c, from, count, x, x[0:0], _before(c, from / 64));
            }
            bool isLong = c.leafKind >= WeightType.Q4_K;
            Part forms = isLong ? Part(uint256(map.forms) + 2) : map.forms;
            uint256 length = isLong ? 256 : 32;
            bytes calldata quants = c.trace(forms, from / 4, count / 4, 6);
            uint256 first = from / length;
            bytes calldata scales = c.trace(Part(uint256(forms) + 1), first & ~uint256(15), 16, 4);
            first = 4 * (first & 15);
            scales = scales[first:first + 4 * (count / length)];
            return _run(c, from, count, quants, scales, _before(c, from / 256));
        }
    }

    function _run(
        Case memory c,
        uint256 from,
        uint256 count,
        bytes calldata activations,
        bytes calldata scales,
        F32 before
    ) private pure returns (F32) {
        (WeightType kind, bytes calldata leaf) = c.leaf();
        return Blocks.run(kind, columnsOf(kind, leaf, from % 512, count), activations, scales, before);
    }

    function _before(Case memory c, uint256 step) private view returns (F32) {
        unchecked {
            return step == 0 ? ZERO : fromBits(c.worked(step - 1));
        }
    }

    /// @notice The matrix of the disputed word's part.
    function mapOf(Case memory c) internal pure returns (Map memory map) {
        unchecked {
            Shape memory shape = c.shape;
            uint256 queries = uint256(shape.heads) * shape.headWidth;
            uint256 keys = uint256(shape.keyHeads) * shape.headWidth;
            (map.tensor.rows, map.tensor.columns) = (keys, shape.width);
            (map.input, map.forms) = (Part.AttentionNorm, Part.AttentionQuants32);
            if (c.part == Part.Query) {
                (map.tensor.name, map.tensor.rows) = ("attn_q", queries);
            } else if (c.part == Part.Key) {
                map.tensor.name = "attn_k";
            } else if (c.part == Part.Value) {
                map.tensor.name = "attn_v";
            } else if (c.part == Part.AttentionOutput) {
                (map.tensor.name, map.tensor.rows, map.tensor.columns) = ("attn_output", shape.width, queries);
                (map.input, map.forms) = (Part.Mixed, Part.MixedQuants32);
            } else if (c.part == Part.Down) {
                (map.tensor.name, map.tensor.rows, map.tensor.columns) = ("ffn_down", shape.width, shape.feedForward);
                (map.input, map.forms) = (Part.Gated, Part.GatedQuants32);
            } else if (c.part == Part.Logits) {
                map.tensor.name = shape.has(TIED) ? "token_embd.weight" : "output.weight";
                map.tensor.rows = shape.vocabulary;
                (map.input, map.forms) = (Part.FinalNorm, Part.FinalQuants32);
                return map;
            } else {
                map.tensor.name = c.part == Part.Gate ? "ffn_gate" : "ffn_up";
                map.tensor.rows = shape.feedForward;
                (map.input, map.forms) = (Part.FeedNorm, Part.FeedQuants32);
            }
            map.tensor.name = string.concat("blk.", Strings.toString(c.layer), ".", map.tensor.name, ".weight");
        }
    }
}
