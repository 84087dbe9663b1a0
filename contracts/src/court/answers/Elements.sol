// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {F32, fromBits} from "../../judge/Binary32.sol";
import {Case} from "./Case.sol";
import {Findings, Found} from "./Found.sol";
import {Inputs} from "./Inputs.sol";
import {Label, Labels} from "./Labels.sol";
import {Part} from "./Layout.sol";
import {Sizes} from "./Shape.sol";
import {Tensor, Weights} from "./Weights.sol";

/// @title The words that follow from one weight
library Elements {
    using Inputs for Case;
    using Weights for Case;

    uint256 private constant NOT_A_NUMBER = 0x7fc00000;

    /// @notice Whether a part has such a rule.
    function has(Part part) internal pure returns (bool) {
        return part == Part.Embedding || part == Part.QueryBias || part == Part.KeyBias || part == Part.ValueBias;
    }

    /// @notice Computes a step.
    function evaluate(Case memory c, uint256 step) internal view returns (Found memory) {
        return Findings.direct(c.workingLength, step, _number(c));
    }

    function _number(Case memory c) private view returns (F32) {
        Sizes sizes = c.statement.shape.sizes;
        if (c.part == Part.QueryBias) return _biased(c, Part.Query, Labels.QUERY_BIAS, sizes.queries());
        if (c.part == Part.KeyBias) return _biased(c, Part.Key, Labels.KEY_BIAS, sizes.keys());
        if (c.part == Part.ValueBias) return _biased(c, Part.Value, Labels.VALUE_BIAS, sizes.keys());
        uint256 token = c.word(Part.Token, 0);
        // The host has nothing to embed.
        if (token >= sizes.vocabulary()) return fromBits(NOT_A_NUMBER);
        c.open(Tensor(false, Labels.EMBEDDING, sizes.vocabulary(), sizes.width()), token, c.index, false);
        return c.element(c.index) * fromBits(c.statement.shape.traits.embeddingScale());
    }

    function _biased(Case memory c, Part input, Label name, uint256 length) private view returns (F32) {
        F32 x = fromBits(c.word(input, c.index));
        c.open(Tensor(true, name, 0, length), 0, c.index, false);
        return x + c.element(c.index);
    }
}
