// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IChecker} from "../../interfaces/IChecker.sol";
import {Case, Inputs} from "./Case.sol";
import {Found, Outcome} from "./Found.sol";
import {Layout, Part} from "./Layout.sol";

/// @title The judge: one step of a working, computed again
library Judging {
    using Inputs for Case;

    /// @notice The working has no such step.
    error NoSuchStep(uint256 step);
    /// @notice More was handed in than the step needs.
    error LeftOver();

    uint256 private constant TILE_HEIGHT = 4;

    /// @notice Fills in where the disputed word lies.
    function locate(Case memory c) internal pure {
        unchecked {
            c.places = Layout.places(c.shape);
            c.bits = Layout.bitsOf(c.places.words);
            c.position = c.wordAddress >> c.bits;
            uint256 offset = c.wordAddress & ((1 << c.bits) - 1);
            (c.part, c.layer, c.index) = Layout.locate(c.places, c.shape, offset);
            uint256 positions = uint256(c.statement.prompt) + c.statement.output - 1;
            if (c.position >= positions) c.part = Part.None;
            uint256 tiles = (c.workingLength + 15) / 16;
            c.workingHeight = TILE_HEIGHT;
            while (1 << (c.workingHeight - TILE_HEIGHT) < tiles) ++c.workingHeight;
        }
    }

    /// @notice Whether the disputed word is 0 because nothing lies there: between vectors, after the last position, and where no
    /// token is drawn.
    function isNothing(Case memory c) internal pure returns (bool) {
        Part part = c.part;
        if (part == Part.None) return true;
        bool isDraw = part == Part.Logits || part == Part.Best || part == Part.Weights || part == Part.Drawn;
        // There is a prompt, so the difference does not wrap: `admit` has seen to it.
        return isDraw && c.position < c.statement.prompt - 1;
    }

    /// @notice The ruling on what was found, once everything that was handed in is read.
    function conclude(Case memory c, Found memory found, uint256 step) internal view returns (IChecker.Ruling) {
        IChecker.Ruling ruling = _ruling(c, found, step);
        if (!c.isAtEnd()) revert LeftOver();
        return ruling;
    }

    function _ruling(Case memory c, Found memory found, uint256 step) private view returns (IChecker.Ruling) {
        if (found.outcome == Outcome.NoSuchStep) revert NoSuchStep(step);
        if (found.outcome == Outcome.NotFinite) return IChecker.Ruling.HostLies;
        if (found.outcome != Outcome.Words) return IChecker.Ruling.WorkerLies;
        if (found.isWord) {
            return found.words[0] == c.claimed ? IChecker.Ruling.AccuserLies : IChecker.Ruling.WorkerLies;
        }
        bytes calldata tile = c.workingTile(found.target / 16);
        for (uint256 i; i < found.count; ++i) {
            if (Inputs.wordOf(tile, found.target % 16 + i) != found.words[i]) return IChecker.Ruling.WorkerLies;
        }
        return IChecker.Ruling.AccuserLies;
    }
}
