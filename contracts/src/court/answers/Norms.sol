// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {F32, ONE, fromBits, sqrt} from "../../judge/Binary32.sol";
import {Conversions} from "../../judge/Conversions.sol";
import {Vectors} from "../../judge/Vectors.sol";
import {Case} from "./Case.sol";
import {Findings, Found, Outcome} from "./Found.sol";
import {Inputs} from "./Inputs.sol";
import {Label, Labels} from "./Labels.sol";
import {Part} from "./Layout.sol";
import {Streams} from "./Streams.sol";
import {Tensor, Weights} from "./Weights.sol";

/// @title A word of an RMS norm
/// @notice Steps: the 16 lanes of the sum of squares after every 32 numbers; the sum and the factor; the word.
library Norms {
    using Inputs for Case;
    using Weights for Case;

    uint256 private constant RUN = 32;

    /// @notice Computes a step.
    function evaluate(Case memory c, uint256 step) internal view returns (Found memory) {
        unchecked {
            bool isHead = c.part == Part.QueryNorm || c.part == Part.KeyNorm;
            uint256 length = isHead ? c.statement.shape.sizes.headWidth() : c.statement.shape.sizes.width();
            uint256 runs = (length + RUN - 1) / RUN;
            if (c.workingLength != 16 * runs + 2) return Findings.without(Outcome.Malformed);
            if (step < runs) return _lanes(c, step, length);
            if (step == runs) return _factor(c, runs, length);
            if (step > runs + 1) return Findings.without(Outcome.NoSuchStep);
            F32 factor = fromBits(c.worked(16 * runs + 1));
            (uint256 layer, Part input) = _input(c);
            F32 x = fromBits(c.wordAt(c.position, layer, input, c.index));
            uint256 column = c.index % length;
            c.open(Tensor(c.part != Part.FinalNorm, _name(c.part), 0, length), 0, column, false);
            return Findings.number((x * factor) * c.element(column));
        }
    }

    function _lanes(Case memory c, uint256 step, uint256 length) private view returns (Found memory) {
        unchecked {
            uint256 from = step * RUN;
            uint256 count = length - from;
            if (count > RUN) count = RUN;
            (uint256 layer, Part input) = _input(c);
            bytes calldata x = c.numbersAt(c.position, layer, input, c.index / length * length + from, count);
            uint256 low;
            uint256 high;
            if (step > 0) (low, high) = c.workingLanes(step - 1);
            (low, high) = Vectors.addProducts(low, high, x, x);
            return Findings.numbers(16 * step, 16, low, high);
        }
    }

    function _factor(Case memory c, uint256 runs, uint256 length) private view returns (Found memory) {
        unchecked {
            (uint256 low, uint256 high) = c.workingLanes(runs - 1);
            F32 sum = Vectors.fold(low, high);
            F32 mean = sum / Conversions.fromInteger(int256(length));
            F32 factor = ONE / sqrt(mean + fromBits(c.statement.shape.traits.epsilon()));
            uint256 both = (uint256(F32.unwrap(sum)) << 32) | F32.unwrap(factor);
            return Findings.numbers(16 * runs, 2, both << 192, 0);
        }
    }

    function _input(Case memory c) private pure returns (uint256 layer, Part part) {
        layer = c.layer;
        if (c.part == Part.AttentionPostNorm) return (layer, Part.AttentionOutput);
        if (c.part == Part.FeedNorm) return (layer, Part.AttentionStream);
        if (c.part == Part.FeedPostNorm) return (layer, Part.Down);
        if (c.part == Part.QueryNorm) return (layer, Streams.firstOf(c, Part.QueryBias, Part.Query));
        if (c.part == Part.KeyNorm) return (layer, Streams.firstOf(c, Part.KeyBias, Part.Key));
        return Streams.entering(c);
    }

    function _name(Part part) private pure returns (Label) {
        if (part == Part.AttentionNorm) return Labels.ATTENTION_NORM;
        if (part == Part.FeedNorm) return Labels.FEED_NORM;
        if (part == Part.FinalNorm) return Labels.FINAL_NORM;
        if (part == Part.QueryNorm) return Labels.QUERY_NORM;
        if (part == Part.KeyNorm) return Labels.KEY_NORM;
        return part == Part.AttentionPostNorm ? Labels.ATTENTION_POST_NORM : Labels.FEED_POST_NORM;
    }
}
