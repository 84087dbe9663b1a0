// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {F32, ZERO, fromBits} from "../../judge/Binary32.sol";
import {Functions} from "../../judge/Functions.sol";
import {Vectors} from "../../judge/Vectors.sol";
import {Words} from "../../judge/Words.sol";
import {Domains} from "../Domains.sol";
import {Case} from "./Case.sol";
import {Findings, Found, Outcome} from "./Found.sol";
import {Hashes} from "./Hashes.sol";
import {Inputs} from "./Inputs.sol";
import {Part} from "./Layout.sol";

/// @title From logits to a token
library Draws {
    using Inputs for Case;

    uint256 private constant RUN = 64;

    /// @notice The largest logit and its index. Steps: both for every prefix of 64 logits more; the word.
    function best(Case memory c, uint256 step) internal view returns (Found memory) {
        unchecked {
            uint256 vocabulary = c.statement.shape.sizes.vocabulary();
            uint256 runs = (vocabulary + RUN - 1) / RUN;
            if (c.workingLength != 2 * runs) return Findings.without(Outcome.Malformed);
            if (step > runs) return Findings.without(Outcome.NoSuchStep);
            if (step == runs) return Findings.word(c.worked(2 * (runs - 1) + c.index));
            uint256 count = vocabulary - step * RUN;
            if (count > RUN) count = RUN;
            bytes calldata logits = c.trace(Part.Logits, step * RUN, count, 6);
            F32 max = Vectors.LEAST;
            uint256 token;
            uint256 from;
            if (step > 0) {
                max = fromBits(c.worked(2 * (step - 1)));
                token = c.worked(2 * (step - 1) + 1);
            } else {
                // The first one is the best so far whatever it is.
                (max, from) = (fromBits(Inputs.wordOf(logits, 0)) + ZERO, 1);
            }
            for (uint256 i = from; i < count; ++i) {
                F32 logit = fromBits(Inputs.wordOf(logits, i));
                if (logit.isGreaterThan(max)) (max, token) = (logit + ZERO, step * RUN + i);
            }
            if (!max.isFinite()) return Findings.without(Outcome.NotFinite);
            return Findings.words(2 * step, 2, ((uint256(F32.unwrap(max)) << 32) | token) << 192);
        }
    }

    /// @notice Half of a token's weight, low word first.
    function weight(Case memory c, uint256 step) internal view returns (Found memory) {
        unchecked {
            uint256 both;
            if (c.statement.terms.temperature() != 0) {
                F32 logit = fromBits(c.word(Part.Logits, c.index / 2));
                F32 max = fromBits(c.word(Part.Best, 0));
                both = Functions.sampleWeight(logit, max, fromBits(c.statement.terms.temperature()));
            }
            return Findings.direct(c.workingLength, step, (both >> (32 * (c.index & 1))) & 0xffffffff);
        }
    }

    /// @notice The drawn token. With a temperature the steps add up, over every prefix of 64 tokens more, all weights and those of
    /// the tokens that come before the drawn one in the order of weights.
    function drawn(Case memory c, uint256 step) internal view returns (Found memory) {
        unchecked {
            if (c.statement.terms.temperature() == 0) {
                return Findings.direct(c.workingLength, step, c.word(Part.Best, 1));
            }
            uint256 vocabulary = c.statement.shape.sizes.vocabulary();
            uint256 runs = (vocabulary + RUN - 1) / RUN;
            if (c.workingLength != 4 * runs) return Findings.without(Outcome.Malformed);
            if (step > runs) return Findings.without(Outcome.NoSuchStep);
            if (c.claimed >= vocabulary) return Findings.without(Outcome.Impossible);
            uint256 own = _long(c.trace(Part.Weights, (2 * c.claimed) & ~uint256(15), 16, 4), (2 * c.claimed) & 15);
            uint256 total;
            uint256 before;
            if (step > 0) {
                bytes calldata tile = c.workingTile((step - 1) / 4);
                uint256 first = (step - 1) % 4 * 4;
                (total, before) = (_long(tile, first), _long(tile, first + 2));
            }
            if (step == runs) return _isDrawn(c, own, total, before);
            return _add(c, step, own, total, before);
        }
    }

    function _add(Case memory c, uint256 step, uint256 own, uint256 total, uint256 before)
        private
        view
        returns (Found memory)
    {
        unchecked {
            uint256 count = c.statement.shape.sizes.vocabulary() - step * RUN;
            if (count > RUN) count = RUN;
            bytes calldata weights = c.trace(Part.Weights, 2 * step * RUN, 2 * count, 7);
            // Among equals those before the drawn one come first; of these runs, so many.
            uint256 first = step * RUN;
            uint256 earlier = c.claimed > first ? c.claimed - first : 0;
            for (uint256 i; i < count;) {
                // Four numbers of 64 bits at a time, the low half of each above.
                uint256 four = Words.swapped(Words.load(weights, 8 * i));
                uint256 end = i + 4 < count ? i + 4 : count;
                for (uint256 shift = 192; i < end; ++i) {
                    uint256 other = _halves(four >> shift);
                    total += other;
                    // No weight is less than nothing, so one more than it says "or equal".
                    if (other + (i < earlier ? 1 : 0) > own) before += other;
                    shift -= 64;
                }
            }
            // Sums of 64 bits, as the engine has them.
            return Findings.words(4 * step, 4, (_halves(total) << 192) | (_halves(before) << 128));
        }
    }

    /// @dev Whether the draw falls into the weight of the disputed token.
    function _isDrawn(Case memory c, uint256 own, uint256 total, uint256 before) private pure returns (Found memory) {
        unchecked {
            bytes memory domain = Hashes.text(Domains.DRAW);
            bytes32 hash = sha256(abi.encodePacked(domain, c.statement.seed, Hashes.le32(c.position + 1)));
            // The first 8 bytes, little-endian.
            uint256 draw = uint64(Hashes.le64(uint64(bytes8(hash))));
            uint256 threshold = draw * uint64(total) >> 64;
            bool isHit = before <= threshold && threshold - before < own;
            return isHit ? Findings.word(c.claimed) : Findings.without(Outcome.Impossible);
        }
    }

    /// @dev The two words of a number of 64 bits, the low one above; or the number of two such words.
    function _halves(uint256 x) private pure returns (uint256) {
        return ((x & 0xffffffff) << 32) | ((x >> 32) & 0xffffffff);
    }

    /// @dev A number of 64 bits, low word first.
    function _long(bytes calldata words, uint256 index) private pure returns (uint256) {
        unchecked {
            return Inputs.wordOf(words, index) | Inputs.wordOf(words, index + 1) << 32;
        }
    }
}
