// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";

import {F32, fromBits} from "../../judge/Binary32.sol";
import {Case, Inputs, Tensor} from "./Case.sol";
import {Findings, Found} from "./Found.sol";
import {Part} from "./Layout.sol";
import {Products} from "./Products.sol";

/// @title The words that follow from one weight
library Elements {
    using Inputs for Case;

    /// @notice Whether a part has such a rule.
    function has(Part part) internal pure returns (bool) {
        return part == Part.Embedding || part == Part.QueryBias || part == Part.KeyBias || part == Part.ValueBias;
    }

    /// @notice Computes a step.
    function evaluate(Case memory c, uint256 step) internal view returns (Found memory) {
        return Findings.direct(c.workingLength, step, _number(c));
    }

    function _number(Case memory c) private view returns (F32) {
        if (c.part == Part.QueryBias) return _biased(c, Part.Query, "attn_q");
        if (c.part == Part.KeyBias) return _biased(c, Part.Key, "attn_k");
        if (c.part == Part.ValueBias) return _biased(c, Part.Value, "attn_v");
        return _embedding(c);
    }

    function _embedding(Case memory c) private view returns (F32) {
        unchecked {
            uint256 token = c.word(Part.Token, 0);
            // No number: the host has nothing to embed.
            if (token >= c.shape.vocabulary) return fromBits(0x7fc00000);
            Tensor memory tensor = Tensor("token_embd.weight", c.shape.vocabulary, c.shape.width);
            c.openWeights(tensor, token, c.index, false);
            return Products.element(c, c.index % 512) * fromBits(c.shape.embeddingScale);
        }
    }

    function _biased(Case memory c, Part input, string memory name) private view returns (F32) {
        unchecked {
            F32 x = fromBits(c.word(input, c.index));
            Tensor memory tensor;
            tensor.name = string.concat("blk.", Strings.toString(c.layer), ".", name, ".bias");
            tensor.columns = c.places.lengths[uint256(input)];
            c.openWeights(tensor, 0, c.index, false);
            return x + Products.element(c, c.index % 512);
        }
    }
}
