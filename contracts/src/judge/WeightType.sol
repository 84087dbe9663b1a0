// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @notice A storage format of weights, as GGUF files carry it. The order is that of `arith::WeightType`.
enum WeightType {
    F32,
    F16,
    BF16,
    Q8_0,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q4_K,
    Q5_K,
    Q6_K
}

using {blockLength, blockBytes, isFloat} for WeightType global;

// A byte for each type, the first one lowest.
uint256 constant BLOCK_BYTES = 0xd2b0901816141222020204;

/// @notice Weights in a block; 1 for the float types.
function blockLength(WeightType kind) pure returns (uint256) {
    if (kind < WeightType.Q8_0) return 1;
    return kind < WeightType.Q4_K ? 32 : 256;
}

/// @notice Bytes of a block.
function blockBytes(WeightType kind) pure returns (uint256) {
    return (BLOCK_BYTES >> (8 * uint256(kind))) & 255;
}

/// @notice Whether products take activations as they are.
function isFloat(WeightType kind) pure returns (bool) {
    return kind < WeightType.Q8_0;
}
