// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {F32, fromBits} from "./Binary32.sol";
import {Conversions} from "./Conversions.sol";
import {WeightType} from "./WeightType.sol";
import {Words} from "./Words.sol";

/// @notice Weights of F32, F16 and BF16 times activations as they are: `acc = acc + w * x`, one chain, section 2 of
/// `docs/arithmetic.md`.
///
/// Unchecked: offsets stay within calldata, shifts within a word.
library Floats {
    uint256 private constant LOW_LONGS = 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff;
    uint256 private constant LOW_WORDS = 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff;
    uint256 private constant LOW_PAIRS = 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff;
    /// @dev One in each word of 32 bits.
    uint256 private constant EVERY_WORD = 0x0000000100000001000000010000000100000001000000010000000100000001;

    /// @notice `accumulator` and all products, upwards. The caller has compared the lengths.
    function run(WeightType kind, bytes calldata weights, bytes calldata activations, F32 accumulator)
        internal
        pure
        returns (F32)
    {
        unchecked {
            bool isWhole = kind == WeightType.F32;
            bool isF16 = kind == WeightType.F16;
            for (uint256 offset; offset < activations.length; offset += 32) {
                uint256 w = isWhole
                    ? Words.swapped(Words.load(weights, offset))
                    : widened(Words.swappedPairs(Words.load(weights, offset >> 1)) >> 128, isF16);
                uint256 x = Words.swapped(Words.load(activations, offset));
                uint256 rest = activations.length - offset;
                uint256 last = rest < 32 ? 256 - 8 * rest : 0;
                for (uint256 shift = 256; shift > last;) {
                    shift -= 32;
                    accumulator = accumulator + fromBits(w >> shift) * fromBits(x >> shift);
                }
            }
            return accumulator;
        }
    }

    /// @dev Eight numbers of 16 bits as eight words of binary32.
    function widened(uint256 halves, bool isF16) private pure returns (uint256) {
        halves = (halves | (halves << 64)) & LOW_LONGS;
        halves = (halves | (halves << 32)) & LOW_WORDS;
        halves = (halves | (halves << 16)) & LOW_PAIRS;
        return isF16 ? fromF16(halves) : halves << 16;
    }

    /// @dev Eight words of binary32 from the binary16 in the lower half of each: together where all are normal numbers, which only
    /// need another bias, or else one by one.
    function fromF16(uint256 halves) private pure returns (uint256 words) {
        unchecked {
            uint256 magnitudes = halves & (EVERY_WORD * 0x7fff);
            // An exponent of 0 or 31 has none of its four upper bits left when it grows by one; each of the others has one of them.
            uint256 isNormal = (magnitudes + EVERY_WORD * 0x400) & (EVERY_WORD * 0x7800);
            isNormal = (isNormal + EVERY_WORD * 0x7fff) & (EVERY_WORD * 0x8000);
            if (isNormal == EVERY_WORD * 0x8000) {
                return ((halves & (EVERY_WORD * 0x8000)) << 16) | ((magnitudes << 13) + EVERY_WORD * (112 << 23));
            }
            for (uint256 shift = 256; shift > 0;) {
                shift -= 32;
                words = (words << 32) | F32.unwrap(Conversions.fromF16((halves >> shift) & 0xffff));
            }
        }
    }
}
