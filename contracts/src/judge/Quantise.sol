// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

// Casts between signed and unsigned words keep every bit.
// forge-lint: disable-start(unsafe-typecast)

import {F32, ZERO, fromBits} from "./Binary32.sol";
import {Conversions} from "./Conversions.sol";
import {Words} from "./Words.sol";

/// @notice The one quantiser of activations, section 2 of `docs/arithmetic.md`.
///
/// Unchecked: offsets stay within calldata, shifts within a word.
library Quantise {
    /// @notice Bytes that are no whole number of words.
    error BlockLength(uint256 blockBytes);

    uint256 private constant MAGNITUDES = 0x000000007fffffff000000007fffffff000000007fffffff000000007fffffff;
    uint256 private constant GUARDS = 0x8000000000000000800000000000000080000000000000008000000000000000;

    /// @dev `2^-120`: a block whose largest magnitude is below counts as all zero.
    F32 private constant AMAX_MIN = F32.wrap(7 << 23);
    F32 private constant LARGEST = F32.wrap(0x42fe0000); // 127

    /// @notice The largest magnitude of a block of little-endian binary32; not finite where one of them is not.
    function amax(bytes calldata x) internal pure returns (F32) {
        unchecked {
            if (x.length & 3 != 0) revert BlockLength(x.length);
            // Magnitudes are ordered as integers, and what is not finite lies above all numbers. Eight at a time, in lanes of 64 bits:
            // a lane's uppermost bit, set beforehand, outlives the subtraction of a number that is not larger.
            uint256 largest;
            for (uint256 offset; offset < x.length; offset += 32) {
                uint256 eight = Words.swapped(Words.load(x, offset));
                uint256 rest = x.length - offset;
                if (rest < 32) eight = eight >> (256 - 8 * rest);
                largest = larger(largest, eight & MAGNITUDES);
                largest = larger(largest, (eight >> 32) & MAGNITUDES);
            }
            largest = larger(largest, largest >> 128);
            largest = larger(largest, largest >> 64);
            return fromBits(largest);
        }
    }

    /// @dev The larger of each of four numbers of 31 bits and another.
    function larger(uint256 x, uint256 y) private pure returns (uint256) {
        unchecked {
            uint256 isLarger = ((y | GUARDS) - x) & GUARDS;
            // The guard of a lane becomes all of its lower half.
            isLarger = (isLarger - (isLarger >> 32)) >> 31;
            return x ^ ((x ^ y) & isLarger);
        }
    }

    /// @notice The scale of a block.
    function scale(F32 largest) internal pure returns (F32) {
        return AMAX_MIN.isGreaterThan(largest) ? ZERO : largest / LARGEST;
    }

    /// @notice What a block's numbers are multiplied by before they are rounded.
    function inverse(F32 largest) internal pure returns (F32) {
        return AMAX_MIN.isGreaterThan(largest) ? ZERO : LARGEST / largest;
    }

    /// @notice Four little-endian numbers, the first uppermost in `four`, as the word of four signed bytes that a trace holds, its first
    /// byte lowest.
    function word(uint256 four, F32 inverse_) internal pure returns (uint32 quants) {
        unchecked {
            four = Words.swapped(four);
            for (uint256 shift; shift < 32; shift += 8) {
                int256 q = Conversions.toInteger(fromBits(four >> (224 - 4 * shift)) * inverse_);
                if (q > 127) q = 127;
                if (q < -127) q = -127;
                quants |= uint32(uint8(int8(q))) << uint32(shift);
            }
        }
    }
}
