// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {F32, SIGN, ZERO, fromBits} from "./Binary32.sol";
import {Words} from "./Words.sol";

/// @notice Sums of vectors in 16 virtual lanes, and maxima, section 3 of `docs/arithmetic.md`.
///
/// Lanes are two words of eight binary32, lanes 0 to 7 and 8 to 15, the lowest lane uppermost: `Words.swapped` of what a tile
/// holds in calldata, and the other way round.
///
/// Unchecked: offsets stay within calldata, shifts within a word.
library Vectors {
    /// @notice Two vectors of different lengths, or of no whole number of words.
    error VectorLength(uint256 xBytes, uint256 yBytes);

    /// @notice The most negative finite number, where a maximum starts.
    F32 internal constant LEAST = F32.wrap(0xff7fffff);

    /// @notice Adds the products of two vectors of little-endian binary32 to the lanes: product i to lane i modulo 16, upwards.
    function addProducts(uint256 low, uint256 high, bytes calldata x, bytes calldata y)
        internal
        pure
        returns (uint256, uint256)
    {
        unchecked {
            if (x.length != y.length || x.length & 3 != 0) revert VectorLength(x.length, y.length);
            for (uint256 offset; offset < x.length; offset += 64) {
                low = addEight(low, x, y, offset);
                if (offset + 32 < x.length) high = addEight(high, x, y, offset + 32);
            }
            return (low, high);
        }
    }

    /// @notice Adds the numbers of a vector of little-endian binary32 to the lanes, number i to lane i modulo 16.
    function addNumbers(uint256 low, uint256 high, bytes calldata x) internal pure returns (uint256, uint256) {
        unchecked {
            if (x.length & 3 != 0) revert VectorLength(x.length, 0);
            for (uint256 offset; offset < x.length; offset += 4) {
                uint256 shift = 224 - ((offset & 31) << 3);
                F32 number = Words.number(x, offset);
                if (offset & 32 == 0) low = replaced(low, shift, fromBits(low >> shift) + number);
                else high = replaced(high, shift, fromBits(high >> shift) + number);
            }
            return (low, high);
        }
    }

    /// @notice The products of two vectors of little-endian binary32 in lanes of so many numbers, which follow each other: each lane is
    /// added up from +0, and the lanes, a power of two of them, are folded by halves. Neighbours meet first.
    function sumOfLanes(bytes calldata x, bytes calldata y, uint256 perLane) internal pure returns (F32) {
        unchecked {
            if (x.length != y.length || x.length & 3 != 0) revert VectorLength(x.length, y.length);
            // The sums that wait for one of their kind, the last one lowest; and what is left of the lane at hand.
            uint256 sums;
            uint256 lane;
            F32 sum;
            uint256 left = perLane;
            for (uint256 offset; offset < x.length; offset += 32) {
                uint256 xs = Words.swapped(Words.load(x, offset));
                uint256 ys = Words.swapped(Words.load(y, offset));
                uint256 rest = x.length - offset;
                uint256 last = rest < 32 ? 256 - 8 * rest : 0;
                for (uint256 shift = 256; shift > last;) {
                    shift -= 32;
                    F32 product = fromBits(xs >> shift) * fromBits(ys >> shift);
                    // +0 and -0 make +0; to anything else +0 adds nothing.
                    if (left != perLane) sum = sum + product;
                    else sum = F32.unwrap(product) == SIGN ? ZERO : product;
                    if (--left == 0) {
                        left = perLane;
                        sums = folded(sums, sum, ++lane);
                    }
                }
            }
            return fromBits(sums);
        }
    }

    /// @notice `count` words, a power of two up to 16, from word `first` of little-endian binary32 on, folded to one. Neighbours meet
    /// first.
    function foldWords(bytes calldata x, uint256 first, uint256 count) internal pure returns (F32) {
        unchecked {
            uint256 sums;
            for (uint256 i; i < count;) {
                F32 number = Words.number(x, 4 * (first + i));
                sums = folded(sums, number, ++i);
            }
            return fromBits(sums);
        }
    }

    /// @dev Puts sum number `count`, from 1, to those that wait, the last one lowest: as often as two divides its number, there is one
    /// to be added to.
    function folded(uint256 sums, F32 sum, uint256 count) private pure returns (uint256) {
        unchecked {
            for (; count & 1 == 0; count >>= 1) {
                sum = fromBits(sums) + sum;
                sums >>= 32;
            }
            return (sums << 32) | F32.unwrap(sum);
        }
    }

    /// @notice The sum of the lanes, by halves.
    function fold(uint256 low, uint256 high) internal pure returns (F32) {
        unchecked {
            uint256 lanes;
            for (uint256 shift; shift < 256; shift += 32) {
                lanes |= uint256(F32.unwrap(fromBits(low >> shift) + fromBits(high >> shift))) << shift;
            }
            // Lanes l and l + width are summed where lane l + width lies, so that the sum of all ends in the last lane.
            for (uint256 width = 128; width >= 32; width >>= 1) {
                for (uint256 shift; shift < width; shift += 32) {
                    F32 sum = fromBits(lanes >> (shift + width)) + fromBits(lanes >> shift);
                    lanes = replaced(lanes, shift, sum);
                }
            }
            return fromBits(lanes);
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
            return before + ZERO;
        }
    }

    /// @dev Eight lanes and the products of words `offset` to `offset + 28`, as far as there are any.
    function addEight(uint256 lanes, bytes calldata x, bytes calldata y, uint256 offset)
        private
        pure
        returns (uint256 sums)
    {
        unchecked {
            uint256 xs = Words.swapped(Words.load(x, offset));
            uint256 ys = Words.swapped(Words.load(y, offset));
            uint256 rest = x.length - offset;
            uint256 last = rest < 32 ? 256 - 8 * rest : 0;
            for (uint256 shift = 256; shift > last;) {
                shift -= 32;
                F32 sum = fromBits(lanes >> shift) + fromBits(xs >> shift) * fromBits(ys >> shift);
                sums = (sums << 32) | F32.unwrap(sum);
            }
            // Lanes beyond the last product stay.
            return (sums << last) | (lanes & ~(type(uint256).max << last));
        }
    }

    /// @dev `lanes` with the one at `shift` replaced.
    function replaced(uint256 lanes, uint256 shift, F32 lane) private pure returns (uint256) {
        return (lanes & ~(uint256(type(uint32).max) << shift)) | (uint256(F32.unwrap(lane)) << shift);
    }
}
