// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {BIAS, HEAD_NORM, POST_NORM, Shape, Sizes, Traits} from "./Shape.sol";

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

/// @title Where each number of a position lies in the trace
/// @notice A shape carries the places of its vectors in 64 numbers of 16 bits, the first one uppermost, in units of 128 words:
///
/// | number | meaning                                                                             |
/// |--------|-------------------------------------------------------------------------------------|
/// | 0..52  | first word of each part, from where its region begins; 2^16 - 1 where there is none |
/// | 53     | first word of the first layer                                                       |
/// | 54     | words from one layer to the next                                                    |
/// | 55     | `bits`, as it is: a position has `2^bits` words                                     |
///
/// The regions are what precedes the layers (Token, Embedding), each layer, and what follows them.
/// @dev Unchecked: sizes are below 2^32, and all sums of them far below 2^256.
library Layout {
    /// @notice A position has more words than its places can say.
    error TooManyWords(uint256 words);
    /// @notice A word does not lie in this part, nor between it and the next.
    error WrongPart(uint256 part, uint256 offset);

    uint256 private constant ALIGNMENT_MIN = 128;
    uint256 private constant ALIGNMENT_MAX = 4096;
    uint256 private constant BITS_MAX = 25;

    uint256 private constant LAYER_PARTS = 40;
    uint256 private constant TAIL_PARTS = 51;
    uint256 private constant PARTS = 53;
    uint256 private constant HEAD = 53;
    uint256 private constant STRIDE = 54;
    uint256 private constant BITS = 55;
    uint256 private constant UNIT_BITS = 7;
    uint256 private constant ABSENT = type(uint16).max;
    uint256 private constant NOWHERE = ABSENT << UNIT_BITS;

    // Parts that only some shapes have, a bit each.
    uint256 private constant BIAS_PARTS = 7 << 8;
    uint256 private constant HEAD_NORM_PARTS = 3 << 11;
    uint256 private constant POST_NORM_PARTS = (1 << 23) | (1 << 38);
    uint256 private constant QUANTS_32 = (1 << 1) | (1 << 18) | (1 << 26) | (1 << 33) | (1 << 42);
    uint256 private constant FORMS_256 = (QUANTS_32 << 2) | (QUANTS_32 << 3);
    uint256 private constant FORMS = QUANTS_32 | (QUANTS_32 << 1) | FORMS_256;

    /// @dev The length of each part, a byte each: that of a vector, named by the lower half, divided by a power of two, the upper
    /// half. Vectors: 0 the stream, 1 queries, 2 keys, 3 the feed-forward part, 4 the vocabulary, 5 twice that; 6 a power of two
    /// itself.
    uint256 private constant LENGTHS_0 = 0x0020502080010202010202010201020202012151218100000000205020800303;
    uint256 private constant LENGTHS_32 = 0x0323532383000000003620502080041605064606000000000000000000000000;

    /// @notice The places of the vectors of a model.
    function places(Sizes sizes, Traits traits) internal pure returns (uint256[4] memory packed) {
        unchecked {
            uint256[56] memory all;
            (all[uint256(Part.Token)], all[uint256(Part.Embedding)]) = (0, _up(1, _alignment(sizes.width())));
            uint256 head = _up(all[uint256(Part.Embedding)] + sizes.width(), ALIGNMENT_MAX);
            uint256 stride = _up(_lay(all, sizes, traits, 0, LAYER_PARTS), ALIGNMENT_MAX);
            uint256 words = head + stride * sizes.layers() + _lay(all, sizes, traits, LAYER_PARTS, TAIL_PARTS);
            (all[HEAD], all[STRIDE], all[BITS]) = (head, stride, bitsOf(words) << UNIT_BITS);
            require(words <= 1 << BITS_MAX, TooManyWords(words));
            for (uint256 i; i < all.length; ++i) {
                uint256 units = all[i] >> UNIT_BITS;
                bool isAbsent = i < PARTS && !_isThere(i, sizes, traits);
                require(units < ABSENT, TooManyWords(all[i]));
                packed[i >> 4] |= (isAbsent ? ABSENT : units) << (240 - ((i & 15) << 4));
            }
        }
    }

    /// @notice The first word of a part, within the position. Far outside of it for a part that is not there.
    function start(Shape memory shape, uint256 layer, Part part) internal pure returns (uint256) {
        unchecked {
            uint256 begin = _place(shape, uint256(part));
            if (uint256(part) >= TAIL_PARTS) return begin;
            uint256 region = uint256(part) < LAYER_PARTS ? layer : shape.sizes.layers();
            return _place(shape, HEAD) + region * _place(shape, STRIDE) + begin;
        }
    }

    /// @notice Whether a shape has a part.
    function has(Shape memory shape, Part part) internal pure returns (bool) {
        return _place(shape, uint256(part)) != NOWHERE;
    }

    /// @notice A position of this shape has 2 to this power words.
    function bits(Shape memory shape) internal pure returns (uint256) {
        return _place(shape, BITS) >> UNIT_BITS;
    }

    /// @notice Words of a part that is there.
    function lengthOf(Sizes sizes, Part part) internal pure returns (uint256) {
        unchecked {
            uint256 code =
                uint256(part) < 32 ? LENGTHS_0 >> (248 - 8 * uint256(part)) : LENGTHS_32 >> (504 - 8 * uint256(part));
            uint256 vector = code & 15;
            code = (code >> 4) & 15;
            if (vector == 6) return 1 << code;
            return _vector(sizes, vector) >> code;
        }
    }

    /// @notice Finds the word at `offset` of a position, with the number of the last part that begins at or before it.
    /// @return isBetween Whether it lies behind that part, where there is nothing.
    /// @return layer Its layer; the number of layers behind the last of them.
    /// @return index Its index in the part.
    function locate(Shape memory shape, uint256 number, uint256 offset)
        internal
        pure
        returns (bool isBetween, uint256 layer, uint256 index)
    {
        unchecked {
            (uint256 head, uint256 layers) = (_place(shape, HEAD), shape.sizes.layers());
            (uint256 first, uint256 end, uint256 inner) = (LAYER_PARTS, TAIL_PARTS, offset);
            if (offset < head) {
                (first, end) = (TAIL_PARTS, PARTS);
            } else {
                uint256 stride = _place(shape, STRIDE);
                layer = (offset - head) / stride;
                if (layer < layers) (first, end) = (0, LAYER_PARTS);
                else layer = layers;
                inner = offset - head - layer * stride;
            }
            require(number >= first && number < end, WrongPart(number, offset));
            uint256 begin = _place(shape, number);
            require(begin <= inner && begin != NOWHERE, WrongPart(number, offset));
            index = inner - begin;
            isBetween = index >= lengthOf(shape.sizes, Part(number));
            if (!isBetween) return (false, layer, index);
            // The next part that is there has to begin behind the word.
            for (uint256 next = number + 1; next < end; ++next) {
                begin = _place(shape, next);
                if (begin != NOWHERE) {
                    require(inner < begin, WrongPart(number, offset));
                    break;
                }
            }
        }
    }

    /// @notice `bits` such that so many words are no more than `2^bits`.
    function bitsOf(uint256 words) internal pure returns (uint256 bits_) {
        unchecked {
            while (1 << bits_ < words) ++bits_;
        }
    }

    /// @dev Number `index` of a shape's places, in words.
    function _place(Shape memory shape, uint256 index) private pure returns (uint256) {
        unchecked {
            return ((shape.places[index >> 4] >> (240 - ((index & 15) << 4))) & 0xffff) << UNIT_BITS;
        }
    }

    function _vector(Sizes sizes, uint256 vector) private pure returns (uint256) {
        unchecked {
            if (vector == 0) return sizes.width();
            if (vector == 1) return sizes.queries();
            if (vector == 2) return sizes.keys();
            if (vector == 3) return sizes.feedForward();
            return sizes.vocabulary() << (vector - 4);
        }
    }

    /// @dev Lays the parts `from .. to` of a region one after the other; returns where they end.
    function _lay(uint256[56] memory all, Sizes sizes, Traits traits, uint256 from, uint256 to)
        private
        pure
        returns (uint256 next)
    {
        unchecked {
            for (uint256 i = from; i < to; ++i) {
                if (!_isThere(i, sizes, traits)) continue;
                uint256 length = lengthOf(sizes, Part(i));
                all[i] = _up(next, _alignment(length));
                next = all[i] + length;
            }
        }
    }

    /// @dev Whether a shape has a part: a quantised form has to fill its blocks.
    function _isThere(uint256 part, Sizes sizes, Traits traits) private pure returns (bool) {
        unchecked {
            uint256 bit = 1 << part;
            if (bit & BIAS_PARTS != 0) return traits.has(BIAS);
            if (bit & HEAD_NORM_PARTS != 0) return traits.has(HEAD_NORM);
            if (bit & POST_NORM_PARTS != 0) return traits.has(POST_NORM);
            if (bit & FORMS == 0) return true;
            // A form's vector has the length of its first form's, times four.
            uint256 vector = (part < 32 ? LENGTHS_0 >> (248 - 8 * part) : LENGTHS_32 >> (504 - 8 * part)) & 15;
            return _vector(sizes, vector) % (bit & FORMS_256 != 0 ? 256 : 32) == 0;
        }
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
