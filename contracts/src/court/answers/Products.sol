// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {F32, ZERO, fromBits} from "../../judge/Binary32.sol";
import {Blocks} from "../../judge/Blocks.sol";
import {WeightType} from "../../judge/WeightType.sol";
import {Case} from "./Case.sol";
import {Findings, Found, Outcome} from "./Found.sol";
import {Inputs} from "./Inputs.sol";
import {Label, Labels} from "./Labels.sol";
import {Part} from "./Layout.sol";
import {Sizes, TIED} from "./Shape.sol";
import {Tensor, Weights} from "./Weights.sol";

/// @title A word of a product: one row of a matrix times the activations, by runs of columns
/// @notice Steps: the sum after each run; the last one is the word. `court::judge::product`.
library Products {
    using Inputs for Case;
    using Weights for Case;

    /// @notice Computes a step.
    function evaluate(Case memory c, uint256 step) internal view returns (Found memory) {
        unchecked {
            // Columns are below 2^32, and so are steps.
            (Tensor memory tensor, Part input) = _map(c);
            c.open(tensor, c.index, step, true);
            WeightType kind = c.leafKind;
            uint256 width = Weights.runOf(kind);
            uint256 runs = (tensor.columns + width - 1) / width;
            if (c.workingLength != runs - 1) return Findings.without(Outcome.Malformed);
            if (step >= runs) return Findings.without(Outcome.NoSuchStep);
            uint256 from = step * width;
            uint256 count = tensor.columns - from;
            if (count > width) count = width;
            F32 sum = kind.isFloat() ? _floats(c, input, step, from, count) : _blocks(c, input, step, from, count);
            return step + 1 == runs ? Findings.number(sum) : Findings.number(step, sum);
        }
    }

    function _floats(Case memory c, Part input, uint256 step, uint256 from, uint256 count) private view returns (F32) {
        bytes calldata x = c.trace(input, from, count, 4);
        return Blocks.run(c.leafKind, c.run(from, count), x, x[0:0], _before(c, step));
    }

    function _blocks(Case memory c, Part input, uint256 step, uint256 from, uint256 count) private view returns (F32) {
        unchecked {
            // The forms of a vector follow it in the layout, quants and scales of 32, then of 256; only the state comes before those
            // of the last vector.
            WeightType kind = c.leafKind;
            uint256 length = kind.blockLength();
            uint256 quants = uint256(input == Part.FinalNorm ? Part.State : input) + (length == 32 ? 1 : 3);
            uint256 height = length == 32 ? 4 : 6;
            bytes calldata x = c.trace(Part(quants), from / 4, count / 4, height);
            uint256 first = from / length;
            bytes calldata scales = c.trace(Part(quants + 1), first & ~uint256(15), 16, 4);
            first = 4 * (first & 15);
            scales = scales[first:first + 4 * (count / length)];
            return Blocks.run(kind, c.run(from, count), x, scales, _before(c, step));
        }
    }

    function _before(Case memory c, uint256 step) private view returns (F32) {
        unchecked {
            return step == 0 ? ZERO : fromBits(c.worked(step - 1));
        }
    }

    /// @dev The matrix of the disputed word's part, and what it multiplies.
    function _map(Case memory c) private pure returns (Tensor memory tensor, Part input) {
        Sizes sizes = c.statement.shape.sizes;
        Part part = c.part;
        if (part == Part.Logits) {
            Label name = c.statement.shape.traits.has(TIED) ? Labels.EMBEDDING : Labels.OUTPUT;
            return (Tensor(false, name, sizes.vocabulary(), sizes.width()), Part.FinalNorm);
        }
        if (part == Part.Down) {
            return (Tensor(true, Labels.DOWN, sizes.width(), sizes.feedForward()), Part.Gated);
        }
        if (part == Part.AttentionOutput) {
            return (Tensor(true, Labels.ATTENTION_OUTPUT, sizes.width(), sizes.queries()), Part.Mixed);
        }
        if (part >= Part.Gate) {
            Label name = part == Part.Gate ? Labels.GATE : Labels.UP;
            return (Tensor(true, name, sizes.feedForward(), sizes.width()), Part.FeedNorm);
        }
        input = Part.AttentionNorm;
        if (part == Part.Query) return (Tensor(true, Labels.QUERY, sizes.queries(), sizes.width()), input);
        tensor = Tensor(true, part == Part.Key ? Labels.KEY : Labels.VALUE, sizes.keys(), sizes.width());
    }
}
