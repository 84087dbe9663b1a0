// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

// Casts between signed and unsigned words keep every bit.
// forge-lint: disable-start(unsafe-typecast)

import {F32, fromBits} from "./Binary32.sol";
import {Conversions} from "./Conversions.sol";
import {Lanes} from "./Lanes.sol";
import {WeightType} from "./WeightType.sol";
import {Words} from "./Words.sol";

/// @notice Blocks of 32 weights times 32 quantised activations: the terms of section 2 of `docs/arithmetic.md` for Q8_0, Q4_0,
/// Q4_1, Q5_0 and Q5_1, added to a sum block by block.
///
/// A block in GGUF; d and m are little-endian binary16, bit k of the little-endian word h is the fifth bit of weight k, and byte
/// k of n has weight k in its lower half and weight k + 16 in its upper:
///
/// | type | bytes          |
/// |------|----------------|
/// | Q8_0 | d, 32 bytes    |
/// | Q4_0 | d, n           |
/// | Q4_1 | d, m, n        |
/// | Q5_0 | d, h, n        |
/// | Q5_1 | d, m, h, n     |
///
/// Unchecked: offsets stay within calldata, and integer sums within the 31 bits that section 2 derives.
library Blocks32 {
    uint256 private constant NIBBLES = 0x0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f;
    uint256 private constant EVERY_BYTE = 0x0101010101010101010101010101010101010101010101010101010101010101;

    /// @dev Copies of four bytes 72 bits apart, of which the mask takes one byte each: they lie 64 bits apart, the last byte
    /// of the four uppermost, 24 bits too high.
    uint256 private constant FOUR_COPIES = (1 << 216) | (1 << 144) | (1 << 72) | 1;
    uint256 private constant ONE_BYTE_EACH = ((255 << 192) | (255 << 128) | (255 << 64) | 255) << 24;
    uint256 private constant EIGHT_COPIES = 0x0101010101010101;
    /// @dev In each byte of reversed lanes, the bit that is its own weight's among its eight.
    uint256 private constant OWN_BITS = 0x4080102004080102408010200408010240801020040801024080102004080102;

    /// @notice `accumulator` and the terms of all blocks. The caller has compared the lengths.
    function run(WeightType kind, bytes calldata weights, bytes calldata quants, bytes calldata scales, F32 accumulator)
        internal
        pure
        returns (F32)
    {
        unchecked {
            // What the loop asks is asked once: every comparison of an enumeration checks its range.
            uint256 blockBytes = kind.blockBytes();
            bool isByte = kind == WeightType.Q8_0;
            bool hasMinimum = kind == WeightType.Q4_1 || kind == WeightType.Q5_1;
            bool hasFifth = kind == WeightType.Q5_0 || kind == WeightType.Q5_1;
            uint256 offset;
            uint256 eight;
            for (uint256 column; column < quants.length; column += 32) {
                if (column & 255 == 0) eight = Words.swapped(Words.load(scales, column >> 3));
                F32 scale = fromBits(eight >> 224);
                eight <<= 32;
                uint256 q = Words.load(quants, column);
                uint256 head = Words.load(weights, offset);
                F32 product = Conversions.fromF16(Words.firstPair(head)) * scale;
                if (isByte) {
                    int256 s = Lanes.dot(Words.load(weights, offset + 2), q);
                    accumulator = accumulator + Conversions.fromInteger(s) * product;
                } else if (hasMinimum) {
                    uint256 lanes = unpacked(head << 32, hasFifth);
                    (int256 s, int256 u) = Lanes.dotAndSum(lanes, hasFifth ? 16 : 8, q);
                    F32 minimum = Conversions.fromF16(Words.firstPair(head << 16));
                    minimum = minimum * (Conversions.fromInteger(u) * scale);
                    accumulator = accumulator + (Conversions.fromInteger(s) * product + minimum);
                } else {
                    uint256 lanes = unpacked(head << 16, hasFifth);
                    int256 s = Lanes.dot(lanes, hasFifth ? 16 : 8, q);
                    accumulator = accumulator + Conversions.fromInteger(s) * product;
                }
                offset += blockBytes;
            }
            return accumulator;
        }
    }

    /// @dev The weights of a block in reversed lanes; `rest` is what follows its scales, uppermost.
    function unpacked(uint256 rest, bool hasFifth) private pure returns (uint256 lanes) {
        if (hasFifth) {
            lanes = fifths(rest >> 224);
            rest <<= 32;
        }
        rest >>= 128;
        lanes |= Lanes.reversedHalves((((rest >> 4) & NIBBLES) << 128) | (rest & NIBBLES));
    }

    /// @dev Bits k of a little-endian word, 16 each, in the bytes k of reversed lanes.
    function fifths(uint256 word) private pure returns (uint256) {
        unchecked {
            uint256 own = ((((word * FOUR_COPIES) & ONE_BYTE_EACH) >> 24) * EIGHT_COPIES) & OWN_BITS;
            // A byte is 0 or a power of two: 127 more has its uppermost bit only in the second case.
            return ((own + 127 * EVERY_BYTE) >> 3) & (16 * EVERY_BYTE);
        }
    }
}
