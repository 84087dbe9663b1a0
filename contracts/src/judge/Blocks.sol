// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

// Casts between signed and unsigned words keep every bit.
// forge-lint: disable-start(unsafe-typecast)

import {Blocks256} from "./Blocks256.sol";
import {Blocks32} from "./Blocks32.sol";
import {F32} from "./Binary32.sol";
import {Conversions} from "./Conversions.sol";
import {Floats} from "./Floats.sol";
import {WeightType} from "./WeightType.sol";
import {Words} from "./Words.sol";

/// @notice Rows of weights as GGUF files carry them: a product with activations, continued, and single elements.
library Blocks {
    /// @notice The parts of a run do not belong together: so many blocks (or floats) of `kind` want other lengths.
    error RunLength(WeightType kind, uint256 weightBytes, uint256 activationBytes, uint256 scaleBytes);
    /// @notice No whole block of `kind`, or no such element in it.
    error NoSuchElement(WeightType kind, uint256 blockBytes, uint256 index);

    /// @notice Continues the product of a row with a token's activations over some of its columns. The sum may leave the finite
    /// numbers; it then never comes back.
    /// @param kind The weights' storage format.
    /// @param weights Whole blocks, or floats, that follow each other in the row.
    /// @param activations Their activations as they lie in a trace: signed bytes, or little-endian binary32 for the float types.
    /// @param scales The scale of each block's activations, little-endian binary32; nothing for the float types.
    /// @param accumulator The sum of what precedes, +0 at the row's start.
    function run(
        WeightType kind,
        bytes calldata weights,
        bytes calldata activations,
        bytes calldata scales,
        F32 accumulator
    ) internal pure returns (F32) {
        unchecked {
            // Lengths of calldata are far below 2^200.
            uint256 count = weights.length / kind.blockBytes();
            bool isFloat = kind.isFloat();
            bool isLength = weights.length == count * kind.blockBytes()
                && activations.length == count * (isFloat ? 4 : kind.blockLength())
                && scales.length == (isFloat ? 0 : 4 * count);
            if (!isLength) revert RunLength(kind, weights.length, activations.length, scales.length);
            if (isFloat) return Floats.run(kind, weights, activations, accumulator);
            if (kind < WeightType.Q4_K) return Blocks32.run(kind, weights, activations, scales, accumulator);
            return Blocks256.run(kind, weights, activations, scales, accumulator);
        }
    }

    /// @notice Weight `index` of a block, as a number: a row of embeddings, section 2 of `docs/arithmetic.md`.
    function element(WeightType kind, bytes calldata block_, uint256 index) internal pure returns (F32) {
        if (block_.length != kind.blockBytes() || index >= kind.blockLength()) {
            revert NoSuchElement(kind, block_.length, index);
        }
        if (kind == WeightType.F32) return Words.number(block_, 0);
        if (kind == WeightType.BF16) return Conversions.fromBf16(half(block_, 0));
        if (kind == WeightType.F16) return Conversions.fromF16(half(block_, 0));
        if (kind < WeightType.Q4_K) return element32(kind, block_, index);
        return kind == WeightType.Q6_K ? element6(block_, index) : element45(kind, block_, index);
    }

    function element32(WeightType kind, bytes calldata block_, uint256 k) private pure returns (F32) {
        F32 d = Conversions.fromF16(half(block_, 0));
        if (kind == WeightType.Q8_0) return d * Conversions.fromInteger(int8(uint8(block_[2 + k])));
        bool hasMinimum = kind == WeightType.Q4_1 || kind == WeightType.Q5_1;
        bool hasFifth = kind >= WeightType.Q5_0;
        uint256 offset = hasMinimum ? 4 : 2;
        uint256 weight;
        if (hasFifth) {
            weight = ((uint8(block_[offset + k / 8]) >> (k % 8)) & 1) << 4;
            offset += 4;
        }
        weight |= (uint8(block_[offset + k % 16]) >> (k / 16 * 4)) & 15;
        if (hasMinimum) {
            return d * Conversions.fromInteger(int256(weight)) + Conversions.fromF16(half(block_, 2));
        }
        return d * Conversions.fromInteger(int256(weight) - (hasFifth ? int256(16) : int256(8)));
    }

    function element45(WeightType kind, bytes calldata block_, uint256 k) private pure returns (F32) {
        uint256 j = k / 32;
        uint256 offset = 16;
        uint256 weight;
        if (kind == WeightType.Q5_K) {
            weight = ((uint8(block_[offset + k % 32]) >> j) & 1) << 4;
            offset += 32;
        }
        weight |= (uint8(block_[offset + k / 64 * 32 + k % 32]) >> (j % 2 * 4)) & 15;
        (uint256 scales, uint256 minimums) = Blocks256.subscales(Words.load(block_, 0));
        F32 scale =
            Conversions.fromF16(half(block_, 0)) * Conversions.fromInteger(int256((scales >> (56 - 8 * j)) & 63));
        F32 minimum =
            Conversions.fromF16(half(block_, 2)) * Conversions.fromInteger(int256((minimums >> (56 - 8 * j)) & 63));
        return scale * Conversions.fromInteger(int256(weight)) - minimum;
    }

    function element6(bytes calldata block_, uint256 k) private pure returns (F32) {
        uint256 lower = (uint8(block_[k / 128 * 64 + k % 64]) >> (k % 128 / 64 * 4)) & 15;
        uint256 upper = (uint8(block_[128 + k / 128 * 32 + k % 32]) >> (k % 128 / 32 * 2)) & 3;
        F32 scale = Conversions.fromF16(half(block_, 208)) * Conversions.fromInteger(int8(uint8(block_[192 + k / 16])));
        return scale * Conversions.fromInteger(int256(lower | (upper << 4)) - 32);
    }

    /// @dev The little-endian 16 bits at `offset`.
    function half(bytes calldata block_, uint256 offset) private pure returns (uint256) {
        return Words.firstPair(Words.load(block_, offset));
    }
}
