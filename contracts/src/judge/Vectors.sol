// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {F32, fromBits} from "./Binary32.sol";
import {Words} from "./Words.sol";

/// @notice Sums of vectors in 16 virtual lanes, and maxima, section 3 of `docs/arithmetic.md`.
library Vectors {
    /// @notice Two vectors of different lengths, or of no whole number of words.
    error VectorLength(uint256 xBytes, uint256 yBytes);

    /// @dev The most negative finite number, where a maximum starts.
    F32 private constant LEAST = F32.wrap(0xff7fffff);

    /// @notice Adds the products of two vectors of little-endian binary32 to the lanes: product i to lane i modulo 16, upwards.
    function addProducts(F32[16] memory lanes, bytes calldata x, bytes calldata y) internal pure {
        unchecked {
            if (x.length != y.length || x.length & 3 != 0) revert VectorLength(x.length, y.length);
            for (uint256 offset; offset < x.length; offset += 32) {
                uint256 xs = Words.swapped(Words.load(x, offset));
                uint256 ys = Words.swapped(Words.load(y, offset));
                uint256 lane = (offset >> 2) & 15;
                uint256 rest = x.length - offset;
                uint256 last = rest < 32 ? 256 - 8 * rest : 0;
                for (uint256 shift = 256; shift > last; ++lane) {
                    shift -= 32;
                    lanes[lane] = lanes[lane] + fromBits(xs >> shift) * fromBits(ys >> shift);
                }
            }
        }
    }

    /// @notice Adds the numbers of a vector of little-endian binary32 to the lanes, number i to lane i modulo 16.
    function addNumbers(F32[16] memory lanes, bytes calldata x) internal pure {
        unchecked {
            if (x.length & 3 != 0) revert VectorLength(x.length, 0);
            for (uint256 offset; offset < x.length; offset += 4) {
                uint256 lane = (offset >> 2) & 15;
                lanes[lane] = lanes[lane] + Words.number(x, offset);
            }
        }
    }

    /// @notice The sum of the lanes, by halves. The lanes are used up.
    function fold(F32[16] memory lanes) internal pure returns (F32) {
        unchecked {
            for (uint256 stride = 8; stride > 0; stride >>= 1) {
                for (uint256 lane; lane < stride; ++lane) {
                    lanes[lane] = lanes[lane] + lanes[lane + stride];
                }
            }
            return lanes[0];
        }
    }

    /// @notice The largest of a vector of little-endian binary32, finite numbers, and of `before`; a zero is +0.
    function maximum(F32 before, bytes calldata x) internal pure returns (F32) {
        unchecked {
            if (x.length & 3 != 0) revert VectorLength(x.length, 0);
            for (uint256 offset; offset < x.length; offset += 4) {
                before = before.maximum(Words.number(x, offset));
            }
            // Adding +0 turns -0 to +0.
            return before + F32.wrap(0);
        }
    }

    /// @notice Where a maximum starts: the most negative finite number.
    function least() internal pure returns (F32) {
        return LEAST;
    }
}
