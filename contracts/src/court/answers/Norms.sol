// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";

import {F32, ONE, fromBits, sqrt} from "../../judge/Binary32.sol";
import {Conversions} from "../../judge/Conversions.sol";
import {Vectors} from "../../judge/Vectors.sol";
import {Case, Inputs, Tensor} from "./Case.sol";
import {Findings, Found, Outcome} from "./Found.sol";
import {Part} from "./Layout.sol";
import {Products} from "./Products.sol";
import {Streams} from "./Streams.sol";

/// @title A word of an RMS norm
/// @notice Steps: the 16 lanes of the sum of squares after every 64 numbers; the sum and the factor; the word.
library Norms {
    using Inputs for Case;

    uint256 private constant RUN = 64;

    /// @notice Computes a step.
    function evaluate(Case memory c, uint256 step) internal view returns (Found memory found) {
        unchecked {
            bool isHead = c.part == Part.QueryNorm || c.part == Part.KeyNorm;
            uint256 length = isHead ? c.shape.headWidth : c.shape.width;
            uint256 runs = (length + RUN - 1) / RUN;
            if (c.workingLength != 16 * runs + 2) return Findings.without(Outcome.Malformed);
            if (step < runs) return _lanes(c, step, length);
            if (step == runs) return _factor(c, runs, length);
            if (step > runs + 1) return Findings.without(Outcome.NoSuchStep);
            F32 factor = fromBits(c.worked(16 * runs + 1));
            (uint256 layer, Part input) = _input(c);
            F32 x = fromBits(c.wordAt(c.position, layer, input, c.index));
            c.openWeights(Tensor(_tensor(c), 0, length), 0, c.index % length, false);
            F32 gain = Products.element(c, c.index % length % 512);
            return Findings.number((x * factor) * gain);
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
            return Findings.lanes(16 * step, low, high);
        }
    }

    function _factor(Case memory c, uint256 runs, uint256 length) private view returns (Found memory found) {
        unchecked {
            (uint256 low, uint256 high) = c.workingLanes(runs - 1);
            F32 sum = Vectors.fold(low, high);
            F32 mean = sum / Conversions.fromInteger(int256(length));
            F32 factor = ONE / sqrt(mean + fromBits(c.shape.epsilon));
            if (!sum.isFinite() || !factor.isFinite()) return Findings.without(Outcome.NotFinite);
            found.target = 16 * runs;
            found.count = 2;
            (found.words[0], found.words[1]) = (F32.unwrap(sum), F32.unwrap(factor));
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

    function _tensor(Case memory c) private pure returns (string memory) {
        string memory name = "ffn_norm";
        if (c.part == Part.FinalNorm) return "output_norm.weight";
        if (c.part == Part.AttentionNorm) name = "attn_norm";
        if (c.part == Part.AttentionPostNorm) name = "post_attention_norm";
        if (c.part == Part.QueryNorm) name = "attn_q_norm";
        if (c.part == Part.KeyNorm) name = "attn_k_norm";
        if (c.part == Part.FeedPostNorm) name = "post_ffw_norm";
        return string.concat("blk.", Strings.toString(c.layer), ".", name, ".weight");
    }
}
