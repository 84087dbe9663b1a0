// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {F32, ONE, ZERO, fromBits, sqrt} from "../../judge/Binary32.sol";
import {Conversions} from "../../judge/Conversions.sol";
import {Functions} from "../../judge/Functions.sol";
import {Vectors} from "../../judge/Vectors.sol";
import {Case, Inputs} from "./Case.sol";
import {Findings, Found, Outcome} from "./Found.sol";
import {Part} from "./Layout.sol";

/// @title A word of attention: one element of one head's mix of values
/// @notice The sections of the working are those of `court::judge::attention`.
library Attention {
    using Inputs for Case;

    uint256 private constant GROUP = 16;
    uint256 private constant CHUNK = 256;
    uint256 private constant RUN = 64;
    uint256 private constant SECTIONS = 8;

    // Sections of the working, in order.
    uint256 private constant PARTIAL = 0;
    uint256 private constant SCORE = 1;
    uint256 private constant MAX = 2;
    uint256 private constant EXP = 3;
    uint256 private constant LANES = 4;
    uint256 private constant TOTAL = 5;
    uint256 private constant OUT = 6;
    uint256 private constant SUM = 7;

    /// @notice What is fixed for a word.
    struct Head {
        uint256 element;
        uint256 query;
        uint256 key;
        uint256 width;
        /// First key of the first group, first key seen, last key seen.
        uint256 base;
        uint256 first;
        uint256 last;
        uint256 groups;
        uint256 chunks;
        uint256 pieces;
        /// Steps of each section, its first word, and words in all.
        uint256[8] steps;
        uint256[8] starts;
        uint256 length;
    }

    /// @notice Computes a step.
    function evaluate(Case memory c, uint256 step) internal view returns (Found memory) {
        unchecked {
            Head memory head = headOf(c);
            if (c.workingLength != head.length) return Findings.without(Outcome.Malformed);
            for (uint256 section; section < SECTIONS; ++section) {
                if (step < head.steps[section]) return _compute(c, head, section, step);
                step -= head.steps[section];
            }
            if (step > 0) return Findings.without(Outcome.NoSuchStep);
            F32 sum = _number(c, head.starts[SUM] + head.chunks - 1);
            return Findings.number(sum / _number(c, head.starts[TOTAL] + head.chunks - 1));
        }
    }

    /// @notice The sections for the disputed word.
    function headOf(Case memory c) internal pure returns (Head memory head) {
        unchecked {
            uint256 width = c.shape.headWidth;
            head.width = width;
            head.element = c.index % width;
            head.query = c.index - head.element;
            head.key = c.index / width / (c.shape.heads / c.shape.keyHeads) * width;
            head.first = c.shape.firstKey(c.layer, c.position);
            head.last = c.position;
            head.base = head.first & ~(GROUP - 1);
            head.groups = (head.last - head.base) / GROUP + 1;
            head.chunks = head.last / CHUNK - head.base / CHUNK + 1;
            head.pieces = (width + RUN - 1) / RUN;
            uint256 keys = GROUP * head.groups;
            head.steps =
                [keys * (head.pieces - 1), keys, head.groups, keys, head.groups, head.chunks, keys, head.chunks];
            for (uint256 section; section < SECTIONS; ++section) {
                head.starts[section] = head.length;
                bool isTile = section == PARTIAL || section == LANES;
                uint256 words = isTile ? 16 * head.steps[section] : head.steps[section];
                head.length += (words + 15) & ~uint256(15);
            }
        }
    }

    function _compute(Case memory c, Head memory head, uint256 section, uint256 step)
        private
        view
        returns (Found memory)
    {
        unchecked {
            uint256 target = head.starts[section] + step;
            if (section == PARTIAL || section == LANES) {
                (uint256 low, uint256 high) = section == LANES ? _lanes(c, head, step) : _partial(c, head, step);
                return Findings.lanes(head.starts[section] + 16 * step, low, high);
            }
            return Findings.number(target, _single(c, head, section, step));
        }
    }

    function _single(Case memory c, Head memory head, uint256 section, uint256 step) private view returns (F32) {
        unchecked {
            uint256 key = head.base + step;
            if (section == SCORE) {
                if (!_sees(head, key)) return ZERO;
                (uint256 low, uint256 high) = _piece(c, head, key, head.pieces - 1);
                return Vectors.fold(low, high) * (ONE / sqrt(Conversions.fromInteger(int256(head.width))));
            }
            if (section == MAX) return _max(c, head, step);
            if (section == EXP) {
                if (!_sees(head, key)) return ZERO;
                F32 score = _number(c, head.starts[SCORE] + step);
                return Functions.exp(score - _number(c, head.starts[MAX] + head.groups - 1));
            }
            if (section == OUT) return _out(c, head, key, step);
            if (section == TOTAL) {
                (uint256 low, uint256 high) = c.workingLanes(head.starts[LANES] / 16 + _chunkEnd(head, step) / GROUP);
                return _before(c, head, TOTAL, step) + Vectors.fold(low, high);
            }
            F32 chunk = _number(c, head.starts[OUT] + _chunkEnd(head, step));
            return _before(c, head, SUM, step) + chunk;
        }
    }

    function _out(Case memory c, Head memory head, uint256 key, uint256 step) private view returns (F32 sum) {
        unchecked {
            if (!_startsChunk(head, key)) sum = _before(c, head, OUT, step);
            if (!_sees(head, key)) return sum;
            F32 e = _number(c, head.starts[EXP] + step);
            uint256 value = c.wordAt(key, c.layer, Part.ValueKept, head.key + head.element);
            return sum + e * fromBits(value);
        }
    }

    function _lanes(Case memory c, Head memory head, uint256 step) private view returns (uint256 low, uint256 high) {
        unchecked {
            if (!_startsChunk(head, head.base + GROUP * step)) {
                (low, high) = c.workingLanes(head.starts[LANES] / 16 + step - 1);
            }
            return Vectors.addNumbers(low, high, c.workingTile(head.starts[EXP] / 16 + step));
        }
    }

    function _partial(Case memory c, Head memory head, uint256 step) private view returns (uint256 low, uint256 high) {
        unchecked {
            uint256 key = head.base + step / (head.pieces - 1);
            if (_sees(head, key)) return _piece(c, head, key, step % (head.pieces - 1));
        }
    }

    /// @dev The lanes of a score's sum after a piece.
    function _piece(Case memory c, Head memory head, uint256 key, uint256 piece)
        private
        view
        returns (uint256 low, uint256 high)
    {
        unchecked {
            uint256 from = piece * RUN;
            uint256 count = head.width - from;
            if (count > RUN) count = RUN;
            bytes calldata q = c.numbersAt(c.position, c.layer, Part.QueryTurned, head.query + from, count);
            bytes calldata k = c.numbersAt(key, c.layer, Part.KeyKept, head.key + from, count);
            if (piece > 0) {
                (low, high) = c.workingLanes((key - head.base) * (head.pieces - 1) + piece - 1);
            }
            return Vectors.addProducts(low, high, q, k);
        }
    }

    /// @dev The largest score up to a group's end.
    function _max(Case memory c, Head memory head, uint256 group) private view returns (F32 max) {
        unchecked {
            bytes calldata scores = c.workingTile(head.starts[SCORE] / 16 + group);
            max = group == 0 ? Vectors.LEAST : _number(c, head.starts[MAX] + group - 1);
            uint256 key = head.base + GROUP * group;
            uint256 from = head.first > key ? head.first - key : 0;
            uint256 to = head.last - key < 15 ? head.last - key + 1 : 16;
            return Vectors.maximum(max, scores[4 * from:4 * to]);
        }
    }

    function _number(Case memory c, uint256 index) private view returns (F32) {
        return fromBits(c.worked(index));
    }

    /// @dev The word of a section before a step, 0 before the first.
    function _before(Case memory c, Head memory head, uint256 section, uint256 step) private view returns (F32) {
        unchecked {
            return step == 0 ? ZERO : _number(c, head.starts[section] + step - 1);
        }
    }

    function _sees(Head memory head, uint256 key) private pure returns (bool) {
        return key >= head.first && key <= head.last;
    }

    function _startsChunk(Head memory head, uint256 key) private pure returns (bool) {
        return key == head.base || key % CHUNK == 0;
    }

    /// @dev The last key of a chunk that the working has, counted from the base.
    function _chunkEnd(Head memory head, uint256 chunk) private pure returns (uint256) {
        unchecked {
            uint256 end = (head.base / CHUNK + chunk + 1) * CHUNK - head.base;
            uint256 all = GROUP * head.groups;
            return (end < all ? end : all) - 1;
        }
    }
}
