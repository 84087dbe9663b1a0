// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {F32, fromBits} from "../../judge/Binary32.sol";
import {Conversions} from "../../judge/Conversions.sol";
import {Functions} from "../../judge/Functions.sol";
import {Quantise} from "../../judge/Quantise.sol";
import {Words} from "../../judge/Words.sol";
import {Case} from "./Case.sol";
import {Findings, Found, Outcome} from "./Found.sol";
import {Inputs} from "./Inputs.sol";
import {Part} from "./Layout.sol";
import {GELU, HALVES} from "./Shape.sol";
import {Streams} from "./Streams.sol";
import {Weights} from "./Weights.sol";

/// @title The words that follow in one step: `court::judge::rules`
library Rules {
    using Inputs for Case;
    using Weights for Case;

    /// @notice Computes a step.
    function evaluate(Case memory c, uint256 step) internal view returns (Found memory) {
        (bool isForm, Part first, Part input) = _form(c.part);
        if (isForm) return _quantised(c, step, uint256(c.part) - uint256(first), input);
        return Findings.direct(c.workingLength, step, _number(c));
    }

    function _number(Case memory c) private view returns (F32) {
        Part part = c.part;
        if (part == Part.QueryTurned) {
            uint256 index = c.statement.shape.sizes.scored(c.index);
            return _turned(c, Streams.firstOf(c, Part.QueryNorm, Part.QueryBias, Part.Query), index);
        }
        if (part == Part.KeyTurned) {
            return _turned(c, Streams.firstOf(c, Part.KeyNorm, Part.KeyBias, Part.Key), c.index);
        }
        if (part == Part.KeyKept) return _kept(c, Part.KeyTurned, c.statement.shape.sizes.scored(c.index));
        if (part == Part.ValueKept) return _kept(c, Streams.firstOf(c, Part.ValueBias, Part.Value), c.index);
        if (part == Part.Gated) return _gated(c);
        if (part == Part.AttentionStream) {
            (uint256 layer, Part stream) = Streams.entering(c);
            F32 before = fromBits(c.wordAt(c.position, layer, stream, c.index));
            return before + fromBits(c.word(Streams.firstOf(c, Part.AttentionPostNorm, Part.AttentionOutput), c.index));
        }
        // What is left is the stream after the layer.
        F32 attended = fromBits(c.word(Part.AttentionStream, c.index));
        return attended + fromBits(c.word(Streams.firstOf(c, Part.FeedPostNorm, Part.Down), c.index));
    }

    function _turned(Case memory c, Part input, uint256 index) private view returns (F32) {
        unchecked {
            uint256 width = c.statement.shape.sizes.headWidth();
            uint256 element = index % width;
            uint256 head = index - element;
            uint256 pairs = width / 2;
            bool isHalves = c.statement.shape.traits.has(HALVES);
            uint256 pair = isHalves ? element % pairs : element / 2;
            bool isSecond = isHalves ? element >= pairs : element & 1 == 1;
            F32 a = fromBits(c.word(input, head + (isHalves ? pair : element & ~uint256(1))));
            F32 b = fromBits(c.word(input, head + (isHalves ? pair + pairs : element | 1)));
            bytes calldata row = c.rotary(c.statement.shape.traits.isLocal(c.layer));
            F32 cosine = Words.number(row, 4 * pair);
            F32 sine = Words.number(row, 4 * (pairs + pair));
            return isSecond ? b * cosine + a * sine : a * cosine - b * sine;
        }
    }

    function _kept(Case memory c, Part input, uint256 index) private view returns (F32) {
        F32 x = fromBits(c.word(input, index));
        return c.statement.terms.kv() == 0 ? Conversions.fromF16(Conversions.toF16(x)) : x;
    }

    function _gated(Case memory c) private view returns (F32) {
        F32 gate = fromBits(c.word(Part.Gate, c.index));
        F32 up = fromBits(c.word(Part.Up, c.index));
        return (c.statement.shape.traits.has(GELU) ? Functions.gelu(gate) : Functions.silu(gate)) * up;
    }

    /// @dev Four quants, or a scale, of one block. The forms follow each other as quants and scales of 32, then of 256.
    function _quantised(Case memory c, uint256 step, uint256 form, Part input) private view returns (Found memory) {
        unchecked {
            bool isScales = form & 1 == 1;
            uint256 size = form < 2 ? 32 : 256;
            uint256 block_ = isScales ? c.index : c.index / (size / 4);
            bytes calldata x = c.trace(input, block_ * size, size, size == 32 ? 5 : 8);
            F32 largest = Quantise.amax(x);
            if (!largest.isFinite()) return Findings.without(Outcome.NotFinite);
            uint256 word = isScales
                ? F32.unwrap(Quantise.scale(largest))
                : Quantise.word(Words.load(x, 16 * (c.index % (size / 4))), Quantise.inverse(largest));
            return Findings.direct(c.workingLength, step, word);
        }
    }

    /// @dev Whether a part is a quantised form, the first form beside it, and the vector that it is a form of.
    function _form(Part part) private pure returns (bool, Part, Part) {
        if (_isForm(part, Part.AttentionQuants32)) return (true, Part.AttentionQuants32, Part.AttentionNorm);
        if (_isForm(part, Part.MixedQuants32)) return (true, Part.MixedQuants32, Part.Mixed);
        if (_isForm(part, Part.FeedQuants32)) return (true, Part.FeedQuants32, Part.FeedNorm);
        if (_isForm(part, Part.GatedQuants32)) return (true, Part.GatedQuants32, Part.Gated);
        return (_isForm(part, Part.FinalQuants32), Part.FinalQuants32, Part.FinalNorm);
    }

    function _isForm(Part part, Part first) private pure returns (bool) {
        unchecked {
            // Below the first the difference wraps.
            return uint256(part) - uint256(first) < 4;
        }
    }
}
