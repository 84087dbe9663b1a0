// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {BIAS, HEAD_NORM, POST_NORM, Shape} from "./Shape.sol";

/// @notice A vector of a position, in the order of the layout: `court::trace::Part`.
enum Part {
    AttentionNorm,
    AttentionQuants32,
    AttentionScales32,
    AttentionQuants256,
    AttentionScales256,
    Query,
    Key,
    Value,
    QueryBias,
    KeyBias,
    ValueBias,
    QueryNorm,
    KeyNorm,
    QueryTurned,
    KeyTurned,
    KeyKept,
    ValueKept,
    Mixed,
    MixedQuants32,
    MixedScales32,
    MixedQuants256,
    MixedScales256,
    AttentionOutput,
    AttentionPostNorm,
    AttentionStream,
    FeedNorm,
    FeedQuants32,
    FeedScales32,
    FeedQuants256,
    FeedScales256,
    Gate,
    Up,
    Gated,
    GatedQuants32,
    GatedScales32,
    GatedQuants256,
    GatedScales256,
    Down,
    FeedPostNorm,
    FeedStream,
    FinalNorm,
    State,
    FinalQuants32,
    FinalScales32,
    FinalQuants256,
    FinalScales256,
    Logits,
    Best,
    Weights,
    Drawn,
    Links,
    Token,
    Embedding,
    None
}

/// @notice Where the vectors of a position lie.
struct Places {
    /// First word of each part: within its layer for the parts of a layer, within the position for the others.
    uint256[53] starts;
    /// Words of each part; 0 for a part that the shape lacks.
    uint256[53] lengths;
    /// First word of the first layer, words from one layer to the next, first word after the last layer.
    uint256 head;
    uint256 stride;
    uint256 tail;
    /// Words of a position.
    uint256 words;
}

/// @title Where each number of a position lies in the trace
/// @dev All numbers are below 2^40 for any shape that was learned, and 2^256 is far.
library Layout {
    uint256 private constant ALIGNMENT_MIN = 128;
    uint256 private constant ALIGNMENT_MAX = 4096;
    uint256 private constant LAYER_PARTS = 40;

    /// @notice The places of all parts of a shape.
    function places(Shape memory shape) internal pure returns (Places memory all) {
        unchecked {
            _lengths(shape, all.lengths);
            all.starts[uint256(Part.Embedding)] = _align(1, shape.width);
            all.head = _up(all.starts[uint256(Part.Embedding)] + shape.width, ALIGNMENT_MAX);
            all.stride = _up(_lay(all, 0, LAYER_PARTS, 0), ALIGNMENT_MAX);
            all.tail = all.head + all.stride * shape.layers;
            all.words = _lay(all, LAYER_PARTS, uint256(Part.Links) + 1, all.tail);
        }
    }

    /// @notice The part that holds the word begin `offset`, its layer and the word's index in it; `Part.None` between vectors.
    function locate(Places memory all, Shape memory shape, uint256 offset)
        internal
        pure
        returns (Part part, uint256 layer, uint256 index)
    {
        unchecked {
            if (offset < all.head) {
                if (offset == 0) return (Part.Token, 0, 0);
                index = offset - all.starts[uint256(Part.Embedding)];
                return index < shape.width ? (Part.Embedding, 0, index) : (Part.None, 0, 0);
            }
            if (offset >= all.tail) return _find(all, LAYER_PARTS, uint256(Part.Links) + 1, shape.layers, offset);
            layer = (offset - all.head) / all.stride;
            return _find(all, 0, LAYER_PARTS, layer, (offset - all.head) % all.stride);
        }
    }

    /// @notice The first word of a part of a layer, within the position.
    function start(Places memory all, uint256 layer, Part part) internal pure returns (uint256) {
        unchecked {
            uint256 begin = all.starts[uint256(part)];
            return uint256(part) < LAYER_PARTS ? all.head + layer * all.stride + begin : begin;
        }
    }

    /// @notice `bits` such that a position of so many words has `2^bits`.
    function bitsOf(uint256 words) internal pure returns (uint256 bits) {
        unchecked {
            while (1 << bits < words) ++bits;
        }
    }

    function _find(Places memory all, uint256 from, uint256 to, uint256 layer, uint256 offset)
        private
        pure
        returns (Part, uint256, uint256)
    {
        unchecked {
            for (uint256 i = from; i < to; ++i) {
                // Below the start the difference wraps and is larger than any length.
                uint256 index = offset - all.starts[i];
                if (index < all.lengths[i]) return (Part(i), layer, index);
            }
            return (Part.None, layer, 0);
        }
    }

    /// @dev Lays the parts `from .. to` one after the other from `next` on; returns where they end.
    function _lay(Places memory all, uint256 from, uint256 to, uint256 next) private pure returns (uint256) {
        unchecked {
            uint256 last;
            uint256 alignment;
            for (uint256 i = from; i < to; ++i) {
                uint256 length = all.lengths[i];
                if (length == 0) continue;
                if (length != last) (last, alignment) = (length, _alignment(length));
                uint256 begin = _up(next, alignment);
                all.starts[i] = begin;
                next = begin + length;
            }
            return next;
        }
    }

    function _lengths(Shape memory shape, uint256[53] memory lengths) private pure {
        unchecked {
            uint256 width = shape.width;
            uint256 inner = shape.feedForward;
            uint256 queries = uint256(shape.heads) * shape.headWidth;
            uint256 keys = uint256(shape.keyHeads) * shape.headWidth;
            lengths[uint256(Part.AttentionNorm)] = width;
            _forms(lengths, Part.AttentionQuants32, width);
            _heads(lengths, Part.Query, queries, keys);
            lengths[uint256(Part.Value)] = keys;
            if (shape.flags & BIAS != 0) {
                _heads(lengths, Part.QueryBias, queries, keys);
                lengths[uint256(Part.ValueBias)] = keys;
            }
            if (shape.flags & HEAD_NORM != 0) _heads(lengths, Part.QueryNorm, queries, keys);
            _heads(lengths, Part.QueryTurned, queries, keys);
            lengths[uint256(Part.KeyKept)] = keys;
            lengths[uint256(Part.ValueKept)] = keys;
            lengths[uint256(Part.Mixed)] = queries;
            _forms(lengths, Part.MixedQuants32, queries);
            lengths[uint256(Part.AttentionOutput)] = width;
            lengths[uint256(Part.AttentionStream)] = width;
            lengths[uint256(Part.FeedNorm)] = width;
            _forms(lengths, Part.FeedQuants32, width);
            lengths[uint256(Part.Gate)] = inner;
            lengths[uint256(Part.Up)] = inner;
            lengths[uint256(Part.Gated)] = inner;
            _forms(lengths, Part.GatedQuants32, inner);
            lengths[uint256(Part.Down)] = width;
            if (shape.flags & POST_NORM != 0) {
                lengths[uint256(Part.AttentionPostNorm)] = width;
                lengths[uint256(Part.FeedPostNorm)] = width;
            }
            lengths[uint256(Part.FeedStream)] = width;
            lengths[uint256(Part.FinalNorm)] = width;
            lengths[uint256(Part.State)] = 8;
            _forms(lengths, Part.FinalQuants32, width);
            lengths[uint256(Part.Logits)] = shape.vocabulary;
            lengths[uint256(Part.Best)] = 2;
            lengths[uint256(Part.Weights)] = 2 * uint256(shape.vocabulary);
            lengths[uint256(Part.Drawn)] = 1;
            lengths[uint256(Part.Links)] = 16;
            lengths[uint256(Part.Token)] = 1;
            lengths[uint256(Part.Embedding)] = width;
        }
    }

    function _heads(uint256[53] memory lengths, Part first, uint256 queries, uint256 keys) private pure {
        lengths[uint256(first)] = queries;
        lengths[uint256(first) + 1] = keys;
    }

    /// @dev The quantised forms of a vector: those whose blocks it fills.
    function _forms(uint256[53] memory lengths, Part first, uint256 columns) private pure {
        unchecked {
            if (columns % 32 != 0) return;
            lengths[uint256(first)] = columns / 4;
            lengths[uint256(first) + 1] = columns / 32;
            if (columns % 256 != 0) return;
            lengths[uint256(first) + 2] = columns / 4;
            lengths[uint256(first) + 3] = columns / 256;
        }
    }

    function _align(uint256 next, uint256 length) private pure returns (uint256) {
        return _up(next, _alignment(length));
    }

    /// @dev The power of two that holds `length`, within bounds.
    function _alignment(uint256 length) private pure returns (uint256 alignment) {
        unchecked {
            alignment = ALIGNMENT_MIN;
            while (alignment < length && alignment < ALIGNMENT_MAX) alignment <<= 1;
        }
    }

    function _up(uint256 next, uint256 alignment) private pure returns (uint256) {
        unchecked {
            return (next + alignment - 1) & ~(alignment - 1);
        }
    }
}
