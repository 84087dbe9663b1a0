// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Case} from "./Case.sol";
import {Chapter} from "./Chapter.sol";
import {Found} from "./Found.sol";
import {Part} from "./Layout.sol";
import {Rules} from "./Rules.sol";

/// @title The rules of words that follow in one step
contract WordChapter is Chapter {
    function _has(Part part) internal pure override returns (bool) {
        return Rules.has(part);
    }

    function _evaluate(Case memory c, uint256 step) internal view override returns (Found memory) {
        return Rules.evaluate(c, step);
    }
}
