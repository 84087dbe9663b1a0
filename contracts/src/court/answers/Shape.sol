// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @notice The sizes of a model, 32 bits each.
///
/// | bits     | size                           |
/// |----------|--------------------------------|
/// | 255..224 | width of the stream            |
/// | 223..192 | width of the feed-forward part |
/// | 191..160 | tokens of the vocabulary       |
/// | 159..128 | positions of the context       |
/// | 127..96  | layers                         |
/// | 95..64   | heads                          |
/// | 63..32   | heads of keys                  |
/// | 31..0    | width of a head                |
type Sizes is uint256;

/// @notice What else decides the rules of a model's words, 32 bits each.
///
/// | bits     | trait                                                        |
/// |----------|--------------------------------------------------------------|
/// | 159..128 | what a norm adds to the mean of squares, binary32            |
/// | 127..96  | what embeddings are multiplied by, binary32                  |
/// | 95..64   | keys that a layer with a window sees                         |
/// | 63..32   | every so many layers one has no window; 0: none has a window |
/// | 31..0    | flags                                                        |
type Traits is uint256;

/// @notice What of a model decides the layout of its traces and the rules of their words: `court::trace::Shape`.
/// @param sizes Its sizes.
/// @param traits What else there is to know.
/// @param places Where the vectors of a position lie, 16 bits each, as `Layout` has it.
struct Shape {
    Sizes sizes;
    Traits traits;
    uint256[4] places;
}

// Bits of the flags.
uint256 constant KNOWN = 1;
uint256 constant HALVES = 2;
uint256 constant GELU = 4;
uint256 constant BIAS = 8;
uint256 constant HEAD_NORM = 16;
uint256 constant POST_NORM = 32;
uint256 constant TIED = 64;

using {
    width,
    feedForward,
    vocabulary,
    contextLength,
    layers,
    heads,
    keyHeads,
    headWidth,
    queries,
    keys,
    scored
} for Sizes global;
using {epsilon, embeddingScale, windowKeys, windowPeriod, has, isLocal, firstKey} for Traits global;

/// @dev Packs sizes, each below 2^32, in the order of the table.
function packSizes(uint256[8] memory all) pure returns (Sizes) {
    return Sizes.wrap(_packed(all));
}

/// @dev Packs traits, each below 2^32; the first three places of the eight are free.
function packTraits(uint256[8] memory all) pure returns (Traits) {
    return Traits.wrap(_packed(all));
}

function _packed(uint256[8] memory all) pure returns (uint256 packed) {
    for (uint256 i; i < 8; ++i) {
        packed = (packed << 32) | all[i];
    }
}

/// @dev Width of the stream.
function width(Sizes sizes) pure returns (uint256) {
    return Sizes.unwrap(sizes) >> 224;
}

/// @dev Width of the feed-forward part.
function feedForward(Sizes sizes) pure returns (uint256) {
    return (Sizes.unwrap(sizes) >> 192) & 0xffffffff;
}

/// @dev Tokens of the vocabulary.
function vocabulary(Sizes sizes) pure returns (uint256) {
    return (Sizes.unwrap(sizes) >> 160) & 0xffffffff;
}

/// @dev Positions of the context.
function contextLength(Sizes sizes) pure returns (uint256) {
    return (Sizes.unwrap(sizes) >> 128) & 0xffffffff;
}

/// @dev Layers.
function layers(Sizes sizes) pure returns (uint256) {
    return (Sizes.unwrap(sizes) >> 96) & 0xffffffff;
}

/// @dev Heads.
function heads(Sizes sizes) pure returns (uint256) {
    return (Sizes.unwrap(sizes) >> 64) & 0xffffffff;
}

/// @dev Heads of keys and values.
function keyHeads(Sizes sizes) pure returns (uint256) {
    return (Sizes.unwrap(sizes) >> 32) & 0xffffffff;
}

/// @dev Width of a head.
function headWidth(Sizes sizes) pure returns (uint256) {
    return Sizes.unwrap(sizes) & 0xffffffff;
}

/// @dev Width of all queries.
function queries(Sizes sizes) pure returns (uint256) {
    unchecked {
        // Both factors are below 2^32.
        return sizes.heads() * sizes.headWidth();
    }
}

/// @dev Width of all keys, and of all values.
function keys(Sizes sizes) pure returns (uint256) {
    unchecked {
        // As above.
        return sizes.keyHeads() * sizes.headWidth();
    }
}

/// @dev Which element of a vector of heads word `index` of `QueryTurned` and `KeyKept` is. A score is a sum in 16 lanes, to which
/// element i of a head adds in lane i modulo 16. Heads that fill the lanes lie there lane by lane, the lanes in the order in which
/// they meet when they are folded, so that what goes into a part of a score is one piece.
function scored(Sizes sizes, uint256 index) pure returns (uint256) {
    unchecked {
        // Places in a head are smaller than its width, which is below 2^32.
        uint256 head = sizes.headWidth();
        if (head & 15 != 0) return index;
        uint256 place = index % head;
        // The lane's four bits in reverse, by a table.
        uint256 lane = (0xf7b3d591e6a2c480 >> (place / (head / 16) * 4)) & 15;
        return index - place + lane + 16 * (place % (head / 16));
    }
}

/// @dev What a norm adds to the mean of squares.
function epsilon(Traits traits) pure returns (uint256) {
    return (Traits.unwrap(traits) >> 128) & 0xffffffff;
}

/// @dev What embeddings are multiplied by.
function embeddingScale(Traits traits) pure returns (uint256) {
    return (Traits.unwrap(traits) >> 96) & 0xffffffff;
}

/// @dev Keys that a layer with a window sees.
function windowKeys(Traits traits) pure returns (uint256) {
    return (Traits.unwrap(traits) >> 64) & 0xffffffff;
}

/// @dev Every so many layers one has no window.
function windowPeriod(Traits traits) pure returns (uint256) {
    return (Traits.unwrap(traits) >> 32) & 0xffffffff;
}

/// @dev Whether a flag is set.
function has(Traits traits, uint256 flag) pure returns (bool) {
    return Traits.unwrap(traits) & flag != 0;
}

/// @dev Whether a layer sees only a window of keys.
function isLocal(Traits traits, uint256 layer) pure returns (bool) {
    uint256 period = traits.windowPeriod();
    unchecked {
        // Layers are far fewer than 2^256.
        return period != 0 && (layer + 1) % period != 0;
    }
}

/// @dev The first key that a query at `position` sees.
function firstKey(Traits traits, uint256 layer, uint256 position) pure returns (uint256) {
    unchecked {
        // Positions are below 2^40; the difference is taken where it is no less than 0.
        uint256 seen = traits.windowKeys();
        return !isLocal(traits, layer) || position + 1 < seen ? 0 : position + 1 - seen;
    }
}
