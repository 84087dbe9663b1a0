// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

// Casts between signed and unsigned words keep every bit.
// forge-lint: disable-start(unsafe-typecast)

import {F32} from "./Binary32.sol";
import {Conversions} from "./Conversions.sol";
import {Lanes} from "./Lanes.sol";
import {WeightType} from "./WeightType.sol";
import {Words} from "./Words.sol";

/// @notice Super-blocks of 256 weights times 256 quantised activations: the terms of section 2 of `docs/arithmetic.md` for Q4_K,
/// Q5_K and Q6_K, added to a sum block by block.
///
/// A super-block in GGUF, with d and e (CA-1's dmin) in little-endian binary16:
///
/// | type | bytes                                                                       |
/// |------|-----------------------------------------------------------------------------|
/// | Q4_K | d, e, 12 bytes of sub-scales and sub-minimums, 128 bytes n                  |
/// | Q5_K | d, e, 12 bytes of sub-scales and sub-minimums, 32 bytes h, 128 bytes n      |
/// | Q6_K | 128 bytes n, 64 bytes h, 16 signed sub-scales, d                            |
///
/// Q4_K, Q5_K: byte 32 c + i of n has weight 64 c + i in its lower half and weight 64 c + 32 + i in its upper; bit j of byte i of
/// h is the fifth bit of weight 32 j + i. Q6_K: byte 64 b + 32 c + i of n has weights 128 b + 32 c + i and 128 b + 32 c + 64 + i; bits
/// 2 p, 2 p + 1 of byte 32 b + i of h are the upper bits of weight 128 b + 32 p + i.
///
/// Unchecked: offsets stay within calldata, and integer sums within the 31 bits that section 2 derives.
library Blocks256 {
    uint256 private constant LOW_NIBBLES = 0x0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f;
    uint256 private constant EVERY_BYTE = 0x0101010101010101010101010101010101010101010101010101010101010101;
    uint256 private constant LOW_BYTES = 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff;
    uint256 private constant HALF_OFFSETS = 0x00200020002000200020002000200020;

    /// @notice `accumulator` and the terms of all blocks. The caller has compared the lengths.
    function run(WeightType kind, bytes calldata weights, bytes calldata quants, bytes calldata scales, F32 accumulator)
        internal
        pure
        returns (F32)
    {
        unchecked {
            uint256 blockBytes = kind.blockBytes();
            bool isSixBits = kind == WeightType.Q6_K;
            bool hasFifth = kind == WeightType.Q5_K;
            uint256 offset;
            for (uint256 column; column < quants.length; column += 256) {
                F32 scale = Words.number(scales, column >> 6);
                F32 term = isSixBits
                    ? term6(weights, offset, quants, column, scale)
                    : term45(weights, offset, quants, column, scale, hasFifth);
                accumulator = accumulator + term;
                offset += blockBytes;
            }
            return accumulator;
        }
    }

    /// @notice The eight sub-scales and the eight sub-minimums of a super-block whose first 16 bytes are uppermost in `head`: bytes,
    /// the first one uppermost.
    function subscales(uint256 head) internal pure returns (uint256 scales, uint256 minimums) {
        uint256 first = (head >> 192) & 0xffffffff;
        uint256 second = (head >> 160) & 0xffffffff;
        uint256 third = (head >> 128) & 0xffffffff;
        scales = ((first & 0x3f3f3f3f) << 32) | (third & 0x0f0f0f0f) | ((first >> 2) & 0x30303030);
        minimums = ((second & 0x3f3f3f3f) << 32) | ((third >> 4) & 0x0f0f0f0f) | ((second >> 2) & 0x30303030);
    }

    function term45(
        bytes calldata weights,
        uint256 offset,
        bytes calldata quants,
        uint256 column,
        F32 scale,
        bool hasFifth
    ) private pure returns (F32) {
        unchecked {
            uint256 head = Words.load(weights, offset);
            (uint256 scales, uint256 minimums) = subscales(head);
            offset += 16;
            uint256 fifths;
            uint256 middle = 8;
            if (hasFifth) {
                fifths = Lanes.reversed(Words.load(weights, offset));
                middle = 16;
                offset += 32;
            }
            int256 s;
            int256 m;
            for (uint256 shift = 64; shift > 0; column += 64) {
                uint256 lanes = Lanes.reversed(Words.load(weights, offset));
                offset += 32;
                shift -= 8;
                uint256 fifth = (fifths & EVERY_BYTE) << 4;
                (int256 dot, int256 u) =
                    Lanes.dotAndSum((lanes & LOW_NIBBLES) | fifth, middle, Words.load(quants, column));
                s += int256((scales >> shift) & 63) * dot;
                m += int256((minimums >> shift) & 63) * u;
                shift -= 8;
                fifth = ((fifths >> 1) & EVERY_BYTE) << 4;
                (dot, u) =
                    Lanes.dotAndSum(((lanes >> 4) & LOW_NIBBLES) | fifth, middle, Words.load(quants, column + 32));
                s += int256((scales >> shift) & 63) * dot;
                m += int256((minimums >> shift) & 63) * u;
                fifths >>= 2;
            }
            F32 product = Conversions.fromInteger(s) * (Conversions.fromF16(Words.firstPair(head)) * scale);
            return product - Conversions.fromInteger(m) * (Conversions.fromF16(Words.firstPair(head << 16)) * scale);
        }
    }

    function term6(bytes calldata weights, uint256 offset, bytes calldata quants, uint256 column, F32 scale)
        private
        pure
        returns (F32)
    {
        unchecked {
            uint256 tail = Words.load(weights, offset + 192);
            int256 s;
            for (uint256 j; j < 8; ++j) {
                // j = 4 b + 2 (upper halves of n) + c
                uint256 lanes = Words.load(weights, offset + ((j >> 2) << 6) + ((j & 1) << 5));
                lanes = (lanes >> ((j & 2) << 1)) & LOW_NIBBLES;
                uint256 upper = Words.load(weights, offset + 128 + ((j >> 2) << 5));
                lanes |= ((upper >> ((j & 3) << 1)) & (3 * EVERY_BYTE)) << 4;
                s += halves(Lanes.reversedHalves(lanes), Words.load(quants, column + (j << 5)), tail << (j << 4));
            }
            F32 d = Conversions.fromF16(Words.firstPair(tail << 128));
            return Conversions.fromInteger(s) * (d * scale);
        }
    }

    /// @dev Two sub-blocks of 16, each by its signed sub-scale; the first sub-scale is the uppermost byte of `scales`. A sub-block is
    /// eight lanes of even and eight of odd weights; moved to the lower or the upper half, they meet the quants of their own half in
    /// the uppermost lane.
    function halves(uint256 lanes, uint256 quants, uint256 scales) private pure returns (int256) {
        unchecked {
            (uint256 even, uint256 odd) = Lanes.signed(quants);
            uint256 weightsEven = (lanes >> 8) & LOW_BYTES;
            uint256 weightsOdd = lanes & LOW_BYTES;
            int256 first = Lanes.top(((weightsEven >> 128) - HALF_OFFSETS) * even)
                + Lanes.top(((weightsOdd >> 128) - HALF_OFFSETS) * odd);
            int256 second = Lanes.top(((weightsEven << 128) - (HALF_OFFSETS << 128)) * even)
                + Lanes.top(((weightsOdd << 128) - (HALF_OFFSETS << 128)) * odd);
            return first * (int256(scales) >> 248) + second * (int256(scales << 8) >> 248);
        }
    }
}
