// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Case} from "./Case.sol";
import {Chapter} from "./Chapter.sol";
import {Found} from "./Found.sol";
import {Part} from "./Layout.sol";
import {Products} from "./Products.sol";

/// @title The rules of products
contract ProductChapter is Chapter {
    function _has(Part part) internal pure override returns (bool) {
        return part == Part.Query || part == Part.Key || part == Part.Value || part == Part.AttentionOutput
            || part == Part.Gate || part == Part.Up || part == Part.Down || part == Part.Logits;
    }

    function _evaluate(Case memory c, uint256 step) internal view override returns (Found memory) {
        return Products.evaluate(c, step);
    }
}
