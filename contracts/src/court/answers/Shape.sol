// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @notice What of a model decides the layout of its traces and the rules of their words: `court::trace::Shape`.
struct Shape {
    uint32 width;
    uint32 feedForward;
    uint32 vocabulary;
    uint32 contextLength;
    uint32 epsilon;
    uint32 embeddingScale;
    uint32 windowKeys;
    uint32 flags;
    uint32 layers;
    uint32 heads;
    uint32 keyHeads;
    uint32 headWidth;
    uint32 windowPeriod;
}

// Bits of `flags`.
uint32 constant KNOWN = 1;
uint32 constant HALVES = 2;
uint32 constant GELU = 4;
uint32 constant BIAS = 8;
uint32 constant HEAD_NORM = 16;
uint32 constant POST_NORM = 32;
uint32 constant TIED = 64;

using {has, isLocal, firstKey} for Shape global;

/// @notice Whether a flag is set.
function has(Shape memory shape, uint32 flag) pure returns (bool) {
    return shape.flags & flag != 0;
}

/// @notice Whether a layer sees only a window of keys.
function isLocal(Shape memory shape, uint256 layer) pure returns (bool) {
    return shape.windowPeriod != 0 && (layer + 1) % shape.windowPeriod != 0;
}

/// @notice The first key that a query at `position` sees.
function firstKey(Shape memory shape, uint256 layer, uint256 position) pure returns (uint256) {
    if (!isLocal(shape, layer) || position + 1 < shape.windowKeys) return 0;
    return position + 1 - shape.windowKeys;
}
