// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Case} from "./Case.sol";
import {Chapter} from "./Chapter.sol";
import {Elements} from "./Elements.sol";
import {Found} from "./Found.sol";
import {Part} from "./Layout.sol";
import {Norms} from "./Norms.sol";

/// @title The rules of norms, and of words that follow from one weight
contract NormChapter is Chapter {
    /// @dev A bit for each part.
    uint256 private constant PARTS = (1 << uint256(Part.AttentionNorm)) | (1 << uint256(Part.AttentionPostNorm))
        | (1 << uint256(Part.QueryNorm)) | (1 << uint256(Part.KeyNorm)) | (1 << uint256(Part.FeedNorm))
        | (1 << uint256(Part.FeedPostNorm)) | (1 << uint256(Part.FinalNorm)) | (1 << uint256(Part.Embedding))
        | (1 << uint256(Part.QueryBias)) | (1 << uint256(Part.KeyBias)) | (1 << uint256(Part.ValueBias));

    function _parts() internal pure override returns (uint256) {
        return PARTS;
    }

    function _evaluate(Case memory c, uint256 step) internal view override returns (Found memory) {
        return Elements.has(c.part) ? Elements.evaluate(c, step) : Norms.evaluate(c, step);
    }
}
