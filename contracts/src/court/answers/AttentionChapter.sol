// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Attention} from "./Attention.sol";
import {Case} from "./Case.sol";
import {Chapter} from "./Chapter.sol";
import {Found} from "./Found.sol";
import {Part} from "./Layout.sol";

/// @title The rules of attention
contract AttentionChapter is Chapter {
    /// @dev A bit for each part.
    uint256 private constant PARTS = (1 << uint256(Part.Mixed));

    function _parts() internal pure override returns (uint256) {
        return PARTS;
    }

    function _evaluate(Case memory c, uint256 step) internal view override returns (Found memory) {
        return Attention.evaluate(c, step);
    }
}
