// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IChecker} from "../../interfaces/IChecker.sol";
import {Words} from "../../judge/Words.sol";
import {Case} from "./Case.sol";
import {Found, Outcome} from "./Found.sol";
import {Inputs} from "./Inputs.sol";
import {Layout, Part} from "./Layout.sol";

/// @title The judge: one step of a working, computed again
library Judging {
    using Inputs for Case;

    /// @notice The working has no such step.
    error NoSuchStep(uint256 step);
    /// @notice More was handed in than the step needs.
    error LeftOver();

    uint256 private constant TILE_HEIGHT = 4;

    /// @notice Fills in where the disputed word lies, with the number of the last part that begins at or before it.
    function locate(Case memory c, uint256 part) internal pure {
        unchecked {
            // Addresses are below 2^64, lengths below 2^32.
            c.bits = Layout.bits(c.statement.shape);
            c.position = c.wordAddress >> c.bits;
            uint256 offset = c.wordAddress & ((1 << c.bits) - 1);
            bool isBetween;
            (isBetween, c.layer, c.index) = Layout.locate(c.statement.shape, part, offset);
            c.part = isBetween || c.position >= c.statement.terms.positions() ? Part.None : Part(part);
            uint256 tiles = (c.workingLength + 15) / 16;
            c.workingHeight = TILE_HEIGHT;
            while (1 << (c.workingHeight - TILE_HEIGHT) < tiles) ++c.workingHeight;
        }
    }

    /// @notice Whether the disputed word is 0 because nothing lies there: between vectors, after the last position, and where no
    /// token is drawn.
    function isNothing(Case memory c) internal pure returns (bool) {
        unchecked {
            Part part = c.part;
            if (part < Part.Logits || part == Part.Links || part == Part.Token || part == Part.Embedding) return false;
            // Nothing, or what belongs to a draw. There is a prompt, so the difference does not wrap.
            return part == Part.None || c.position < c.statement.terms.prompt() - 1;
        }
    }

    /// @notice The ruling on what was found, once everything that was handed in is read.
    function conclude(Case memory c, Found memory found, uint256 step) internal view returns (IChecker.Ruling ruling) {
        ruling = _ruling(c, found, step);
        require(c.isAtEnd(), LeftOver());
    }

    function _ruling(Case memory c, Found memory found, uint256 step) private view returns (IChecker.Ruling) {
        require(found.outcome != Outcome.NoSuchStep, NoSuchStep(step));
        if (found.outcome == Outcome.NotFinite) return IChecker.Ruling.HostLies;
        if (found.outcome != Outcome.Words) return IChecker.Ruling.WorkerLies;
        bool isSame = found.isWord ? found.low >> 224 == c.claimed : _isSame(c, found);
        return isSame ? IChecker.Ruling.AccuserLies : IChecker.Ruling.WorkerLies;
    }

    /// @dev Whether the working says what was found.
    function _isSame(Case memory c, Found memory found) private view returns (bool) {
        unchecked {
            // Offsets are within the tile's 64 bytes.
            bytes calldata tile = c.workingTile(found.target / 16);
            uint256 first = Words.swapped(Words.load(tile, 4 * (found.target & 8)));
            if (found.count == 16) return first == found.low && Words.swapped(Words.load(tile, 32)) == found.high;
            uint256 cut = 256 - 32 * found.count;
            return (first << (32 * (found.target & 7))) >> cut == found.low >> cut;
        }
    }
}
