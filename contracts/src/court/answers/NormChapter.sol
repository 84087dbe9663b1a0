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
    function _has(Part part) internal pure override returns (bool) {
        return Elements.has(part) || part == Part.AttentionNorm || part == Part.AttentionPostNorm
            || part == Part.QueryNorm || part == Part.KeyNorm || part == Part.FeedNorm || part == Part.FeedPostNorm
            || part == Part.FinalNorm;
    }

    function _evaluate(Case memory c, uint256 step) internal view override returns (Found memory) {
        return Elements.has(c.part) ? Elements.evaluate(c, step) : Norms.evaluate(c, step);
    }
}
