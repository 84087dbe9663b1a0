// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {F32, ONE, ZERO, fromBits, log2, sqrt} from "../../judge/Binary32.sol";
import {Conversions} from "../../judge/Conversions.sol";
import {Functions} from "../../judge/Functions.sol";
import {Vectors} from "../../judge/Vectors.sol";
import {Words} from "../../judge/Words.sol";
import {Case} from "./Case.sol";
import {Findings, Found, Outcome} from "./Found.sol";
import {Inputs} from "./Inputs.sol";
import {Part} from "./Layout.sol";
import {Shape} from "./Shape.sol";

/// @title A word of attention: one element of one head's mix of values
/// @notice The sections of the working are those of `court::judge::attention`.
/// @dev Unchecked: positions and widths are below 2^32, and words of a working fit its length or are not found.
library Attention {
    using Inputs for Case;

    uint256 private constant GROUP = 16;
    uint256 private constant CHUNK = 256;
    uint256 private constant PRODUCTS = 16;
    uint256 private constant LANES_IN_ALL = 16;
    uint256 private constant LANES_A_STEP = 2;

    /// @notice What is fixed for a word.
    /// @param element Element of the head.
    /// @param query First element of the query head.
    /// @param key First element of the key head.
    /// @param width Width of a head.
    /// @param parts Parts of a score.
    /// @param base First key of the first group.
    /// @param skipped The keys before it in its chunk.
    /// @param first First key that is seen.
    /// @param last Last key that is seen.
    /// @param keys Keys of all groups.
    /// @param chunks Chunks of keys.
    /// @param words Words of the node that the exponentials of a chunk are.
    /// @param score First word of each section: the scores,
    /// @param max the largest of them,
    /// @param exp the exponentials,
    /// @param lanes their sums in lanes,
    /// @param total their sums,
    /// @param out the mix within a chunk,
    /// @param sum the mix.
    struct Head {
        uint256 element;
        uint256 query;
        uint256 key;
        uint256 width;
        uint256 parts;
        uint256 base;
        uint256 skipped;
        uint256 first;
        uint256 last;
        uint256 keys;
        uint256 chunks;
        uint256 words;
        uint256 score;
        uint256 max;
        uint256 exp;
        uint256 lanes;
        uint256 total;
        uint256 out;
        uint256 sum;
    }

    /// @notice Computes a step.
    function evaluate(Case memory c, uint256 step) internal view returns (Found memory) {
        unchecked {
            Head memory head = _headOf(c);
            if (c.workingLength != _up(head.sum + head.chunks, GROUP)) return Findings.without(Outcome.Malformed);
            (uint256 keys, uint256 chunks) = (head.keys, head.chunks);
            // The parts of scores begin the working.
            if (step < head.score) return Findings.number(step, _part(c, head, step));
            step -= head.score;
            if (step < keys) return Findings.number(head.score + step, _score(c, head, step));
            step -= keys;
            if (step < keys / GROUP) return Findings.number(head.max + step, _max(c, head, step));
            step -= keys / GROUP;
            if (step < keys) return Findings.number(head.exp + step, _exp(c, head, step));
            step -= keys;
            if (step < chunks * (LANES_IN_ALL / LANES_A_STEP)) return _lanes(c, head, step);
            step -= chunks * (LANES_IN_ALL / LANES_A_STEP);
            if (step < chunks) return Findings.number(head.total + step, _total(c, head, step));
            step -= chunks;
            if (step < keys) return Findings.number(head.out + step, _out(c, head, step));
            step -= keys;
            if (step < chunks) return Findings.number(head.sum + step, _sum(c, head, step));
            if (step > chunks) return Findings.without(Outcome.NoSuchStep);
            F32 sum = _worked(c, head.sum + chunks - 1);
            return Findings.number(sum / _worked(c, head.total + chunks - 1));
        }
    }

    /// @dev What is fixed for the disputed word.
    function _headOf(Case memory c) private pure returns (Head memory head) {
        unchecked {
            Shape memory shape = c.statement.shape;
            uint256 width = shape.sizes.headWidth();
            head.width = width;
            head.element = c.index % width;
            head.query = c.index - head.element;
            head.key = c.index / width / (shape.sizes.heads() / shape.sizes.keyHeads()) * width;
            uint256 parts = 1;
            // A head that does not fill the lanes is one part.
            while (parts * PRODUCTS < width && parts < LANES_IN_ALL && width % LANES_IN_ALL == 0) parts <<= 1;
            head.parts = parts;
            head.first = shape.traits.firstKey(c.layer, c.position);
            head.last = c.position;
            head.base = head.first & ~(GROUP - 1);
            head.skipped = head.base % CHUNK;
            uint256 keys = _up(head.last + 1, GROUP) - head.base;
            head.keys = keys;
            head.chunks = head.last / CHUNK - head.base / CHUNK + 1;
            uint256 words = GROUP;
            while (words < head.skipped + keys && words < CHUNK) words <<= 1;
            head.words = words;
            // Keys fill tiles, and so do lanes.
            head.score = keys * parts;
            head.max = head.score + keys;
            head.exp = _up(head.max + keys / GROUP, words) + head.skipped;
            head.lanes = _up(head.exp + keys, words);
            head.total = head.lanes + LANES_IN_ALL * head.chunks;
            head.out = _up(head.total + head.chunks, GROUP);
            head.sum = head.out + keys;
        }
    }

    /// @dev The next multiple of a power of two.
    function _up(uint256 x, uint256 unit) private pure returns (uint256) {
        unchecked {
            return (x + unit - 1) & ~(unit - 1);
        }
    }

    /// @dev A part of a score: the products of some lanes, which follow each other in the vectors, folded by halves.
    function _part(Case memory c, Head memory head, uint256 step) private view returns (F32) {
        unchecked {
            uint256 key = head.base + step / head.parts;
            if (!_sees(head, key)) return ZERO;
            uint256 count = head.width / head.parts;
            uint256 first = step % head.parts * count;
            bytes calldata q = c.numbersAt(c.position, c.layer, Part.QueryTurned, head.query + first, count);
            bytes calldata k = c.numbersAt(key, c.layer, Part.KeyKept, head.key + first, count);
            if (head.width % LANES_IN_ALL == 0) return Vectors.sumOfLanes(q, k, head.width / LANES_IN_ALL);
            (uint256 low, uint256 high) = Vectors.addProducts(0, 0, q, k);
            return Vectors.fold(low, high);
        }
    }

    /// @dev The score of a key from its parts.
    function _score(Case memory c, Head memory head, uint256 step) private view returns (F32) {
        unchecked {
            if (!_sees(head, head.base + step)) return ZERO;
            uint256 first = step * head.parts;
            // Parts are as many as divide a tile.
            bytes calldata tile = c.workingTile(first / 16);
            F32 factor = ONE / sqrt(Conversions.fromInteger(int256(head.width)));
            return Vectors.foldWords(tile, first & 15, head.parts) * factor;
        }
    }

    /// @dev The largest score up to a group's end; a zero is +0.
    function _max(Case memory c, Head memory head, uint256 group) private view returns (F32 max) {
        unchecked {
            // Scores begin at a tile, and a group fills one.
            bytes calldata scores = c.workingTile(head.score / 16 + group);
            max = Vectors.LEAST;
            uint256 key = head.base + GROUP * group;
            for (uint256 i; i < GROUP; ++i) {
                if (_sees(head, key + i)) max = max.maximum(Words.number(scores, 4 * i));
            }
            if (group > 0) max = max.maximum(_worked(c, head.max + group - 1));
            return max + ZERO;
        }
    }

    /// @dev The exponential of a score, less the largest.
    function _exp(Case memory c, Head memory head, uint256 step) private view returns (F32) {
        unchecked {
            if (!_sees(head, head.base + step)) return ZERO;
            F32 score = _worked(c, head.score + step);
            return Functions.exp(score - _worked(c, head.max + head.keys / GROUP - 1));
        }
    }

    /// @dev Two lanes of the sum of a chunk's exponentials.
    function _lanes(Case memory c, Head memory head, uint256 step) private view returns (Found memory) {
        unchecked {
            uint256 words = head.words;
            uint256 before = step / (LANES_IN_ALL / LANES_A_STEP) * words;
            // All of the node is shown, and only what a step has made is added: the words around it may be anything.
            bytes calldata exps = c.working(head.exp - head.skipped + before, words, log2(words));
            uint256 end = head.skipped + head.keys - before;
            end = 4 * (end < words ? end : words);
            uint256 offset = 4 * LANES_A_STEP * (step % (LANES_IN_ALL / LANES_A_STEP));
            // The keys that are skipped fill tiles, so that lanes begin with the first ones.
            if (before == 0) offset += 4 * head.skipped;
            (F32 first, F32 second) = (ZERO, ZERO);
            for (; offset < end; offset += 4 * LANES_IN_ALL) {
                first = first + Words.number(exps, offset);
                second = second + Words.number(exps, offset + 4);
            }
            uint256 both = (uint256(F32.unwrap(first)) << 32) | F32.unwrap(second);
            return Findings.numbers(head.lanes + LANES_A_STEP * step, LANES_A_STEP, both << 192, 0);
        }
    }

    /// @dev The sum of the exponentials up to a chunk's end.
    function _total(Case memory c, Head memory head, uint256 chunk) private view returns (F32) {
        unchecked {
            (uint256 low, uint256 high) = c.workingLanes(head.lanes / 16 + chunk);
            F32 sum = Vectors.fold(low, high);
            return _before(c, head.total, chunk) + sum;
        }
    }

    /// @dev A chunk's sum of the values up to a key, each times its exponential.
    function _out(Case memory c, Head memory head, uint256 step) private view returns (F32 sum) {
        unchecked {
            uint256 key = head.base + step;
            if (key % CHUNK != 0) sum = _before(c, head.out, step);
            if (!_sees(head, key)) return sum;
            F32 e = _worked(c, head.exp + step);
            uint256 value = c.wordAt(key, c.layer, Part.ValueKept, head.key + head.element);
            return sum + e * fromBits(value);
        }
    }

    /// @dev The same up to a chunk's end, over all chunks.
    function _sum(Case memory c, Head memory head, uint256 chunk) private view returns (F32) {
        unchecked {
            // The last key of the chunk that the working has.
            uint256 last = (chunk + 1) * CHUNK - head.skipped;
            if (last > head.keys) last = head.keys;
            F32 own = _worked(c, head.out + last - 1);
            return _before(c, head.sum, chunk) + own;
        }
    }

    function _worked(Case memory c, uint256 index) private view returns (F32) {
        return fromBits(c.worked(index));
    }

    /// @dev The word before a step's of a section that begins at `start`, 0 before the first.
    function _before(Case memory c, uint256 start, uint256 step) private view returns (F32) {
        unchecked {
            return step == 0 ? ZERO : _worked(c, start + step - 1);
        }
    }

    function _sees(Head memory head, uint256 key) private pure returns (bool) {
        return key >= head.first && key <= head.last;
    }
}
