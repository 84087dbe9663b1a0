// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Case} from "./Case.sol";
import {Chapter} from "./Chapter.sol";
import {Found} from "./Found.sol";
import {Part} from "./Layout.sol";
import {Rules} from "./Rules.sol";

/// @title The rules of words that follow in one step
contract WordChapter is Chapter {
    // A bit for each part; the forms of a vector follow each other.
    uint256 private constant FORMS = 15;
    uint256 private constant ALL_FORMS = (FORMS << uint256(Part.AttentionQuants32))
        | (FORMS << uint256(Part.MixedQuants32)) | (FORMS << uint256(Part.FeedQuants32))
        | (FORMS << uint256(Part.GatedQuants32)) | (FORMS << uint256(Part.FinalQuants32));
    uint256 private constant PARTS = ALL_FORMS | (1 << uint256(Part.QueryTurned)) | (1 << uint256(Part.KeyTurned))
        | (1 << uint256(Part.KeyKept)) | (1 << uint256(Part.ValueKept)) | (1 << uint256(Part.AttentionStream))
        | (1 << uint256(Part.Gated)) | (1 << uint256(Part.FeedStream));

    function _parts() internal pure override returns (uint256) {
        return PARTS;
    }

    function _evaluate(Case memory c, uint256 step) internal view override returns (Found memory) {
        return Rules.evaluate(c, step);
    }
}
