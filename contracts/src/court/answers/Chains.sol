// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Words} from "../../judge/Words.sol";
import {Domains} from "../Domains.sol";
import {Case, Inputs} from "./Case.sol";
import {Findings, Found} from "./Found.sol";
import {Hashes} from "./Hashes.sol";
import {Part} from "./Layout.sol";

/// @title What goes from one position to the next: its token, its state, and the chains over both
library Chains {
    using Inputs for Case;

    uint256 private constant NODE_WORDS_MAX = 4096;

    /// @notice Whether a part has such a rule.
    function has(Part part) internal pure returns (bool) {
        return part == Part.Token || part == Part.State || part == Part.Links;
    }

    /// @notice Computes a step.
    function evaluate(Case memory c, uint256 step) internal view returns (Found memory) {
        if (c.part == Part.Token) return Findings.direct(c.workingLength, step, _token(c));
        if (c.part == Part.State) return Findings.direct(c.workingLength, step, _state(c));
        return Findings.direct(c.workingLength, step, _link(c));
    }

    /// @dev The token that enters: the prompt's, or the one drawn at the position before.
    function _token(Case memory c) private view returns (uint256) {
        unchecked {
            if (c.position < c.statement.prompt) return c.promptToken(c.position);
            return c.wordAt(c.position - 1, c.shape.layers, Part.Drawn, 0);
        }
    }

    function _state(Case memory c) private view returns (uint256) {
        unchecked {
            uint256 width = c.shape.width;
            uint256 begin = c.data;
            for (uint256 from; from < width; from += NODE_WORDS_MAX) {
                uint256 count = width - from;
                if (count > NODE_WORDS_MAX) count = NODE_WORDS_MAX;
                uint256 height = 4;
                while (1 << height < count) ++height;
                c.trace(Part.FinalNorm, from, count, height);
            }
            // The pieces lie one after the other.
            c.data = begin;
            bytes calldata state = c.take(4 * width);
            bytes memory domain = Hashes.text(Domains.STATE);
            return _wordOf(sha256(abi.encodePacked(domain, Hashes.le64(width), state)), c.index);
        }
    }

    /// @dev The chains of states and tokens after this position.
    function _link(Case memory c) private view returns (uint256) {
        unchecked {
            uint256 layers = c.shape.layers;
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
            uint256 firstDrawn = c.statement.prompt - 1;
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
