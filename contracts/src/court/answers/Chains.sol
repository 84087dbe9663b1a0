// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Words} from "../../judge/Words.sol";
import {Domains} from "../Domains.sol";
import {Case} from "./Case.sol";
import {Findings, Found, Outcome} from "./Found.sol";
import {Hashes} from "./Hashes.sol";
import {Inputs} from "./Inputs.sol";
import {Part} from "./Layout.sol";
import {Weights} from "./Weights.sol";

/// @title What goes from one position to the next: its token, its state, and the chains over both
library Chains {
    using Inputs for Case;
    using Weights for Case;

    uint256 private constant PIECE = 256;
    uint256 private constant PIECE_HEIGHT = 8;
    uint256 private constant TILE_HEIGHT = 4;

    /// @notice Computes a step.
    function evaluate(Case memory c, uint256 step) internal view returns (Found memory) {
        if (c.part == Part.Token) return Findings.direct(c.workingLength, step, _token(c));
        if (c.part == Part.State) return _state(c, step);
        return Findings.direct(c.workingLength, step, _link(c));
    }

    /// @dev The token that enters: the prompt's, or the one drawn at the position before.
    function _token(Case memory c) private view returns (uint256) {
        unchecked {
            if (c.position < c.statement.terms.prompt()) return c.promptToken(c.position);
            return c.wordAt(c.position - 1, c.statement.shape.sizes.layers(), Part.Drawn, 0);
        }
    }

    /// @dev The state's hash. Steps: the digest of every 256 values; the hash of these.
    function _state(Case memory c, uint256 step) private view returns (Found memory) {
        unchecked {
            uint256 width = c.statement.shape.sizes.width();
            uint256 pieces = (width + PIECE - 1) / PIECE;
            if (c.workingLength != 8 * pieces) return Findings.without(Outcome.Malformed);
            if (step > pieces) return Findings.without(Outcome.NoSuchStep);
            if (step == pieces) {
                bytes calldata digests = c.working(0, 8 * pieces, c.workingHeight);
                bytes memory domain = Hashes.text(Domains.STATE);
                return Findings.word(_wordOf(sha256(abi.encodePacked(domain, Hashes.le64(width), digests)), c.index));
            }
            uint256 from = step * PIECE;
            bytes calldata values = _values(c, from, width - from < PIECE ? width - from : PIECE);
            return Findings.words(8 * step, 8, Words.swapped(uint256(sha256(values))));
        }
    }

    /// @dev Numbers of the last norm, by the largest nodes that hold nothing else: other vectors follow where its last tile ends.
    function _values(Case memory c, uint256 from, uint256 count) private view returns (bytes calldata values) {
        unchecked {
            uint256 begin = c.data;
            uint256 height = PIECE_HEIGHT;
            for (uint256 done; done < count; done += 1 << height) {
                uint256 size = count - done;
                while (1 << height > size && height > TILE_HEIGHT) --height;
                if (1 << height < size) size = 1 << height;
                c.trace(Part.FinalNorm, from + done, size, height);
            }
            // The pieces lie one after the other.
            c.data = begin;
            values = c.take(4 * count);
        }
    }

    /// @dev The chains of states and tokens after this position.
    function _link(Case memory c) private view returns (uint256) {
        unchecked {
            uint256 layers = c.statement.shape.sizes.layers();
            bytes32 states = Hashes.start(Domains.STATE_CHAIN);
            bytes32 outputs = Hashes.start(Domains.OUTPUT_CHAIN);
            if (c.position > 0) {
                bytes calldata before = c.traceAt(c.position - 1, layers, Part.Links, 0, 16, 4);
                (states, outputs) = (bytes32(before[:32]), bytes32(before[32:]));
            }
            if (c.index < 8) {
                bytes calldata tile = c.trace(Part.State, 0, 16, 4);
                bytes memory state = abi.encodePacked(bytes32(tile[:32]));
                return _wordOf(Hashes.link(Domains.STATE_CHAIN, states, state, c.position), c.index);
            }
            uint256 firstDrawn = c.statement.terms.prompt() - 1;
            if (c.position < firstDrawn) return _wordOf(outputs, c.index - 8);
            bytes memory token = abi.encodePacked(Hashes.le32(c.word(Part.Drawn, 0)));
            return _wordOf(Hashes.link(Domains.OUTPUT_CHAIN, outputs, token, c.position - firstDrawn), c.index - 8);
        }
    }

    /// @dev Word `index` of a digest, little-endian.
    function _wordOf(bytes32 digest, uint256 index) private pure returns (uint256) {
        unchecked {
            return Words.swapped(uint256(digest)) >> (224 - 32 * index) & 0xffffffff;
        }
    }
}
