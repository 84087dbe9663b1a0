// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Case} from "./Case.sol";
import {Chains} from "./Chains.sol";
import {Chapter} from "./Chapter.sol";
import {Draws} from "./Draws.sol";
import {Found} from "./Found.sol";
import {Part} from "./Layout.sol";

/// @title The rules of draws and of the chains over tokens and states
contract DrawChapter is Chapter {
    /// @dev A bit for each part.
    uint256 private constant PARTS = (1 << uint256(Part.Token)) | (1 << uint256(Part.State))
        | (1 << uint256(Part.Links)) | (1 << uint256(Part.Best)) | (1 << uint256(Part.Weights))
        | (1 << uint256(Part.Drawn));

    function _parts() internal pure override returns (uint256) {
        return PARTS;
    }

    function _evaluate(Case memory c, uint256 step) internal view override returns (Found memory) {
        if (c.part == Part.Best) return Draws.best(c, step);
        if (c.part == Part.Weights) return Draws.weight(c, step);
        return c.part == Part.Drawn ? Draws.drawn(c, step) : Chains.evaluate(c, step);
    }
}
