// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

// Casts between signed and unsigned words keep every bit; those to eight bits give a byte its sign.
// forge-lint: disable-start(unsafe-typecast)

import {F32} from "../../src/judge/Binary32.sol";
import {Conversions} from "../../src/judge/Conversions.sol";
import {WeightType} from "../../src/judge/WeightType.sol";

/// @notice Products of quantised weights, one weight at a time, checked arithmetic: what the lanes of `Blocks32.sol` and
/// `Blocks256.sol` are fuzzed against.
contract PlainBlocks {
    struct Block {
        F32 d;
        F32 m;
        int256[] weights;
        int256[] scales;
        int256[] minimums;
    }

    function run(WeightType kind, bytes memory weights, bytes memory quants, bytes memory scales, F32 accumulator)
        external
        pure
        returns (F32)
    {
        uint256 length = kind.blockLength();
        for (uint256 b; b < weights.length / kind.blockBytes(); ++b) {
            Block memory block_ = read(kind, weights, b * kind.blockBytes());
            accumulator = accumulator + term(kind, block_, quants, b * length, little(scales, 4 * b));
        }
        return accumulator;
    }

    function term(WeightType kind, Block memory block_, bytes memory quants, uint256 first, F32 scale)
        private
        pure
        returns (F32)
    {
        int256 s;
        int256 minimums;
        uint256 length = block_.weights.length;
        for (uint256 k; k < length; ++k) {
            int256 q = int8(uint8(quants[first + k]));
            s += block_.scales[k * block_.scales.length / length] * block_.weights[k] * q;
            minimums += block_.minimums[k * block_.minimums.length / length] * q;
        }
        F32 product = Conversions.fromInteger(s) * (block_.d * scale);
        if (kind == WeightType.Q4_1 || kind == WeightType.Q5_1) {
            return product + block_.m * (Conversions.fromInteger(minimums) * scale);
        }
        if (kind == WeightType.Q4_K || kind == WeightType.Q5_K) {
            return product - Conversions.fromInteger(minimums) * (block_.m * scale);
        }
        return product;
    }

    function read(WeightType kind, bytes memory b, uint256 start) private pure returns (Block memory block_) {
        block_.weights = new int256[](kind.blockLength());
        (block_.scales, block_.minimums) = subscales(kind, b, start);
        bool isQ6 = kind == WeightType.Q6_K;
        block_.d = half(b, isQ6 ? start + 208 : start);
        block_.m = isQ6 ? F32.wrap(0) : half(b, start + 2);
        for (uint256 k; k < block_.weights.length; ++k) {
            block_.weights[k] = weight(kind, b, start, k);
        }
    }

    function subscales(WeightType kind, bytes memory b, uint256 start)
        private
        pure
        returns (int256[] memory scales, int256[] memory minimums)
    {
        uint256 count = kind == WeightType.Q6_K ? 16 : kind < WeightType.Q4_K ? 1 : 8;
        scales = new int256[](count);
        minimums = new int256[](count);
        for (uint256 j; j < count; ++j) {
            if (count == 1) {
                (scales[j], minimums[j]) = (1, 1);
            } else if (count == 16) {
                scales[j] = int8(uint8(b[start + 192 + j]));
            } else if (j < 4) {
                scales[j] = int256(uint256(uint8(b[start + 4 + j]) % 64));
                minimums[j] = int256(uint256(uint8(b[start + 8 + j]) % 64));
            } else {
                uint8 last = uint8(b[start + 8 + j]);
                scales[j] = int256(uint256(last % 16 + uint8(b[start + j]) / 64 * 16));
                minimums[j] = int256(uint256(last / 16 + uint8(b[start + 4 + j]) / 64 * 16));
            }
        }
    }

    function weight(WeightType kind, bytes memory b, uint256 start, uint256 k) private pure returns (int256) {
        if (kind == WeightType.Q8_0) return int8(uint8(b[start + 2 + k]));
        if (kind == WeightType.Q4_0) return int256(nibble(b, start + 2, k)) - 8;
        if (kind == WeightType.Q4_1) return int256(nibble(b, start + 4, k));
        if (kind == WeightType.Q5_0) return int256(nibble(b, start + 6, k) + 16 * bit(b, start + 2, k)) - 16;
        if (kind == WeightType.Q5_1) return int256(nibble(b, start + 8, k) + 16 * bit(b, start + 4, k));
        if (kind == WeightType.Q6_K) {
            uint256 low = uint8(b[start + k / 128 * 64 + k % 64]) >> (k % 128 / 64 * 4) & 15;
            uint256 high = uint8(b[start + 128 + k / 128 * 32 + k % 32]) >> (k % 128 / 32 * 2) & 3;
            return int256(low + 16 * high) - 32;
        }
        uint256 nibbles = kind == WeightType.Q5_K ? start + 48 : start + 16;
        uint256 value = uint8(b[nibbles + k / 64 * 32 + k % 32]) >> (k % 64 / 32 * 4) & 15;
        if (kind == WeightType.Q5_K) value += 16 * (uint8(b[start + 16 + k % 32]) >> (k / 32) & 1);
        return int256(value);
    }

    function nibble(bytes memory b, uint256 start, uint256 k) private pure returns (uint256) {
        return uint8(b[start + k % 16]) >> (k / 16 * 4) & 15;
    }

    function bit(bytes memory b, uint256 start, uint256 k) private pure returns (uint256) {
        return uint8(b[start + k / 8]) >> (k % 8) & 1;
    }

    function half(bytes memory b, uint256 start) private pure returns (F32) {
        return Conversions.fromF16(uint256(uint8(b[start])) + 256 * uint256(uint8(b[start + 1])));
    }

    function little(bytes memory b, uint256 start) private pure returns (F32) {
        uint256 word;
        for (uint256 i; i < 4; ++i) {
            word += uint256(uint8(b[start + i])) << (8 * i);
        }
        return F32.wrap(uint32(word));
    }
}
