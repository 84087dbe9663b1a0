// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Case} from "./Case.sol";
import {Chapter} from "./Chapter.sol";
import {Found} from "./Found.sol";
import {Part} from "./Layout.sol";
import {Attention} from "./Attention.sol";

/// @title The rules of attention
contract AttentionChapter is Chapter {
    function _has(Part part) internal pure override returns (bool) {
        return part == Part.Mixed;
    }

    function _evaluate(Case memory c, uint256 step) internal view override returns (Found memory) {
        return Attention.evaluate(c, step);
    }
}
