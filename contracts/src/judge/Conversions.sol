// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

// Casts between signed and unsigned words keep every bit.
// forge-lint: disable-start(unsafe-typecast, incorrect-shift)

import {
    F32,
    FRACTION,
    HIDDEN,
    INFINITY,
    MAGNITUDE,
    NOT_A_NUMBER,
    SIGN,
    ZERO,
    log2,
    parts,
    fromBits
} from "./Binary32.sol";

/// @notice From and to binary32: integers, binary16 ("f16") and the upper half of binary32 ("bf16"), section 1 of
/// `docs/arithmetic.md`. Unchecked throughout: what comes in has at most 32 bits, and what is
/// made of it fits a word many times over.
library Conversions {
    uint256 private constant HALF_INFINITY = 31 << 10;
    uint256 private constant HALF_NOT_A_NUMBER = HALF_INFINITY | (1 << 9);

    /// @notice The nearest binary32 of an integer of magnitude below 2^32, ties to even.
    function fromInteger(int256 value) internal pure returns (F32) {
        unchecked {
            if (value == 0) return ZERO;
            // A negative word is the complement of its magnitude, less one.
            uint256 isNegative = uint256(value) >> 255;
            uint256 magnitude = (uint256(value) ^ (0 - isNegative)) + isNegative;
            uint256 place = log2(magnitude);
            if (place > 23) {
                uint256 places = place - 23;
                magnitude = (magnitude + (1 << (places - 1)) - 1 + ((magnitude >> places) & 1)) >> places;
            } else {
                magnitude <<= 23 - place;
            }
            return fromBits((isNegative << 31) | (((place + 126) << 23) + magnitude));
        }
    }

    /// @notice The nearest integer of a finite number, ties to even.
    function toInteger(F32 x) internal pure returns (int256) {
        unchecked {
            uint256 a = F32.unwrap(x);
            (uint256 magnitude, uint256 exponent) = parts(a);
            if (exponent < 126) return 0;
            if (exponent < 150) {
                uint256 places = 150 - exponent;
                magnitude = (magnitude + (1 << (places - 1)) - 1 + ((magnitude >> places) & 1)) >> places;
            } else {
                magnitude <<= exponent - 150;
            }
            return a & SIGN == 0 ? int256(magnitude) : -int256(magnitude);
        }
    }

    /// @notice The number that 16 bits of binary16 mean, exactly; infinities and NaN stay what they are.
    function fromF16(uint256 half) internal pure returns (F32) {
        unchecked {
            uint256 sign = (half & 0x8000) << 16;
            half &= 0x7fff;
            // Normal numbers: the exponent's bias grows from 15 to 127.
            if ((half >> 10) - 1 < 30) return fromBits(sign | ((half << 13) + (112 << 23)));
            if (half == 0) return fromBits(sign);
            if (half > HALF_INFINITY) return fromBits(NOT_A_NUMBER);
            if (half == HALF_INFINITY) return fromBits(sign | INFINITY);
            // Subnormal: half * 2^-24, a normal number of binary32.
            uint256 place = log2(half);
            return fromBits(sign | (((place + 102) << 23) + (half << (23 - place))));
        }
    }

    /// @notice The nearest binary16, ties to even. Numbers from 65520 on become infinities; NaN becomes 0x7e00.
    function toF16(F32 x) internal pure returns (uint256) {
        unchecked {
            uint256 a = F32.unwrap(x);
            uint256 sign = (a & SIGN) >> 16;
            a &= MAGNITUDE;
            if (a > INFINITY) return HALF_NOT_A_NUMBER;
            uint256 exponent = a >> 23;
            // Less than half of the smallest subnormal number, 2^-24.
            if (exponent < 102) return sign;
            if (exponent > 142) return sign | HALF_INFINITY;
            uint256 significand = (a & FRACTION) | HIDDEN;
            // Subnormal numbers keep fewer places: their last one is 2^-24.
            uint256 places = exponent < 113 ? 126 - exponent : 13;
            significand = (significand + (1 << (places - 1)) - 1 + ((significand >> places) & 1)) >> places;
            // A significand that rounds up carries into the exponent, and out of the largest into infinity.
            if (exponent > 112) significand += (exponent - 113) << 10;
            return sign | significand;
        }
    }

    /// @notice Whether 16 bits of binary16 are a number.
    function isFiniteF16(uint256 half) internal pure returns (bool) {
        return half & 0x7fff < HALF_INFINITY;
    }

    /// @notice The number that the upper 16 bits of a binary32 mean.
    function fromBf16(uint256 half) internal pure returns (F32) {
        return fromBits(half << 16);
    }
}
