// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Case} from "./Case.sol";
import {Chapter} from "./Chapter.sol";
import {Chains} from "./Chains.sol";
import {Draws} from "./Draws.sol";
import {Found} from "./Found.sol";
import {Part} from "./Layout.sol";

/// @title The rules of draws and of the chains over tokens and states
contract DrawChapter is Chapter {
    function _has(Part part) internal pure override returns (bool) {
        return Chains.has(part) || part == Part.Best || part == Part.Weights || part == Part.Drawn;
    }

    function _evaluate(Case memory c, uint256 step) internal view override returns (Found memory) {
        if (c.part == Part.Best) return Draws.best(c, step);
        if (c.part == Part.Weights) return Draws.weight(c, step);
        if (c.part == Part.Drawn) return Draws.drawn(c, step);
        return Chains.evaluate(c, step);
    }
}
