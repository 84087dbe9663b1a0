// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

// Casts between signed and unsigned words keep every bit; `fromBits` is meant to cut.
// forge-lint: disable-start(unsafe-typecast, incorrect-shift)

// IEEE 754 binary32 as section 1 of docs/arithmetic.md wants it: every operation rounds once, to nearest even, and subnormal
// numbers are kept. Infinities and NaN go through every operation as IEEE has it, so that a caller may compute first and ask
// `isFinite` once, at the end; of sums, differences, products and roots an operand that is not finite never makes a finite
// number. Every NaN made here is 0x7fc00000.
//
// The arithmetic on words is unchecked throughout: operands are 32 bits wide, and no intermediate reaches 2^130. Where a
// difference may be negative, what its wrapped word does is said beside it.
//
// Each operation has a short path for normal operands with a normal result, and leaves the rest to a function `...Special`.

/// @notice A number of binary32, by its bits.
///
/// | bits   | meaning                                                         |
/// |--------|-----------------------------------------------------------------|
/// | 31     | sign                                                            |
/// | 30..23 | exponent e: 0 zero and subnormal numbers, 255 infinity and NaN  |
/// | 22..0  | fraction f: (2^23 + f) * 2^(e - 150), or f * 2^-149 where e = 0 |
type F32 is uint32;

using {
    add as +,
    sub as -,
    mul as *,
    div as /,
    sqrt,
    absolute,
    negative,
    isFinite,
    isGreaterThan,
    maximum
} for F32 global;

F32 constant ZERO = F32.wrap(0);
F32 constant ONE = F32.wrap(0x3f800000);

uint256 constant SIGN = 1 << 31;
uint256 constant MAGNITUDE = SIGN - 1;
uint256 constant FRACTION = (1 << 23) - 1;
// The leading one of a normal number, which is not stored.
uint256 constant HIDDEN = 1 << 23;
uint256 constant INFINITY = 255 << 23;
uint256 constant NOT_A_NUMBER = INFINITY | (1 << 22);
// Bit e is set where e is the exponent of a normal number, 1 to 254. Shifted by any other word, wrapped negatives included, its
// last bit is 0.
uint256 constant NORMAL_EXPONENTS = (1 << 255) - 2;
// Without the ends of that range: no sum of such numbers overflows, and no difference is subnormal before places cancel.
uint256 constant INNER_EXPONENTS = (1 << 254) - 4;

/// @dev The number whose bits are the lowest 32 of `word`; callers may leave anything above.
function fromBits(uint256 word) pure returns (F32) {
    return F32.wrap(uint32(word));
}

function add(F32 x, F32 y) pure returns (F32) {
    unchecked {
        uint256 a = F32.unwrap(x);
        uint256 b = F32.unwrap(y);
        if (a & MAGNITUDE < b & MAGNITUDE) (a, b) = (b, a);
        uint256 exponent = (a >> 23) & 255;
        uint256 exponentB = (b >> 23) & 255;
        if ((INNER_EXPONENTS >> exponent) & (INNER_EXPONENTS >> exponentB) & 1 == 0) return addSpecial(a, b);
        // 64 places below the larger operand's last: what falls off the smaller one is too small to turn a rounding.
        uint256 sum = ((a & FRACTION) | HIDDEN) << 64;
        uint256 smaller = (((b & FRACTION) | HIDDEN) << 64) >> (exponent - exponentB);
        if ((a ^ b) & SIGN == 0) {
            // 2^87 <= sum < 2^89
            sum += smaller;
            uint256 carry = sum >> 88;
            sum <<= 1 - carry;
            // The leading one is bit 88 now, the last place of the result bit 65. A sum that rounds up to the next power of two
            // carries into the exponent, and out of the largest exponent into infinity.
            sum = ((exponent + carry - 1) << 23) + ((sum + ((1 << 64) - 1) + ((sum >> 65) & 1)) >> 65);
            return fromBits((a & SIGN) | sum);
        }
        sum -= smaller;
        // 2^86 <= sum < 2^88, or else the exponents differ by one at most.
        if (sum >> 86 == 0) return cancelled(a & SIGN, sum >> 63, exponent);
        uint256 borrow = 1 - (sum >> 87);
        sum <<= borrow;
        sum = ((exponent - borrow - 1) << 23) + ((sum + ((1 << 63) - 1) + ((sum >> 64) & 1)) >> 64);
        return fromBits((a & SIGN) | sum);
    }
}

/// @dev `significand * 2^(exponent - 151)`, exact in binary32: what is left of operands that nearly cancel.
function cancelled(uint256 sign, uint256 significand, uint256 exponent) pure returns (F32) {
    unchecked {
        // Equal operands differ by +0.
        if (significand == 0) return ZERO;
        uint256 places = 23 - log2(significand);
        // Subnormal: the last place is 2^-149.
        if (exponent < places + 2) return fromBits(sign | ((significand << exponent) >> 2));
        return fromBits(sign | (((exponent - places - 2) << 23) + (significand << places)));
    }
}

/// @dev `|a| >= |b|`, and one of them is zero, subnormal, infinite, NaN, or near that.
function addSpecial(uint256 a, uint256 b) pure returns (F32) {
    unchecked {
        uint256 magnitude = a & MAGNITUDE;
        if (magnitude >= INFINITY) {
            return fromBits(magnitude > INFINITY || a ^ b == SIGN ? NOT_A_NUMBER : a);
        }
        uint256 magnitudeB = b & MAGNITUDE;
        // A sum of zeros is -0 where both are.
        if (magnitudeB == 0) return fromBits(magnitude == 0 ? a & b : a);
        if (magnitude < 2 * HIDDEN) {
            // Both are multiples of 2^-149 by their bits, and so is what they make below 2^-125.
            if ((a ^ b) & SIGN != 0) {
                return fromBits(magnitude == magnitudeB ? 0 : (a & SIGN) | (magnitude - magnitudeB));
            }
            magnitude += magnitudeB;
            if (magnitude < 2 * HIDDEN) return fromBits((a & SIGN) | magnitude);
            return fromBits((a & SIGN) | (HIDDEN + ((magnitude + ((magnitude >> 1) & 1)) >> 1)));
        }
        // As in `add`, but that b may lack its leading one, and that the sum may overflow.
        (uint256 smaller, uint256 exponentB) = parts(b);
        uint256 exponent = magnitude >> 23;
        smaller = (smaller << 64) >> (exponent - exponentB);
        magnitude = ((a & FRACTION) | HIDDEN) << 64;
        if ((a ^ b) & SIGN == 0) {
            magnitude += smaller;
            uint256 carry = magnitude >> 88;
            return rounded(a & SIGN, magnitude << (1 - carry), 65, int256(exponent + carry));
        }
        magnitude -= smaller;
        if (magnitude >> 86 == 0) return cancelled(a & SIGN, magnitude >> 63, exponent);
        uint256 borrow = 1 - (magnitude >> 87);
        return rounded(a & SIGN, magnitude << borrow, 64, int256(exponent - borrow));
    }
}

function sub(F32 x, F32 y) pure returns (F32) {
    return add(x, negative(y));
}

function mul(F32 x, F32 y) pure returns (F32) {
    unchecked {
        uint256 a = F32.unwrap(x);
        uint256 b = F32.unwrap(y);
        uint256 exponentA = (a >> 23) & 255;
        uint256 exponentB = (b >> 23) & 255;
        // 2^46 <= product < 2^48
        uint256 product = ((a & FRACTION) | HIDDEN) * ((b & FRACTION) | HIDDEN);
        uint256 carry = product >> 47;
        uint256 exponent = exponentA + exponentB + carry - 127;
        if ((NORMAL_EXPONENTS >> exponentA) & (NORMAL_EXPONENTS >> exponentB) & (NORMAL_EXPONENTS >> exponent) & 1 == 0)
        {
            return mulSpecial(a, b);
        }
        product <<= 1 - carry;
        // The leading one is bit 47 now. Rounding may carry, as in a sum.
        product = ((exponent - 1) << 23) + ((product + ((1 << 23) - 1) + ((product >> 24) & 1)) >> 24);
        return fromBits(((a ^ b) & SIGN) | product);
    }
}

/// @dev One of the factors, or the product, is not a normal number.
function mulSpecial(uint256 a, uint256 b) pure returns (F32) {
    unchecked {
        uint256 sign = (a ^ b) & SIGN;
        (a, b) = (a & MAGNITUDE, b & MAGNITUDE);
        if (a < b) (a, b) = (b, a);
        if (a >= INFINITY) return fromBits(a > INFINITY || b == 0 ? NOT_A_NUMBER : sign | INFINITY);
        if (b == 0) return fromBits(sign);
        (uint256 product, int256 exponent) = normalised(a);
        (uint256 significandB, int256 exponentB) = normalised(b);
        product *= significandB;
        uint256 carry = product >> 47;
        return rounded(sign, product << (1 - carry), 24, exponent + exponentB + int256(carry) - 127);
    }
}

function div(F32 x, F32 y) pure returns (F32) {
    unchecked {
        uint256 a = F32.unwrap(x);
        uint256 b = F32.unwrap(y);
        uint256 exponentA = (a >> 23) & 255;
        uint256 exponentB = (b >> 23) & 255;
        // 2^24 < quotient < 2^26. No quotient of two numbers of 24 places lies halfway between two others, so that the places
        // cut off do not matter and half may be rounded up.
        uint256 quotient = (((a & FRACTION) | HIDDEN) << 25) / ((b & FRACTION) | HIDDEN);
        uint256 carry = quotient >> 25;
        uint256 exponent = exponentA + carry + 126 - exponentB;
        if ((NORMAL_EXPONENTS >> exponentA) & (NORMAL_EXPONENTS >> exponentB) & (NORMAL_EXPONENTS >> exponent) & 1 == 0)
        {
            return divSpecial(a, b);
        }
        quotient = ((exponent - 1) << 23) + (((quotient << (1 - carry)) + 2) >> 2);
        return fromBits(((a ^ b) & SIGN) | quotient);
    }
}

/// @dev The dividend, the divisor, or the quotient is not a normal number.
function divSpecial(uint256 a, uint256 b) pure returns (F32) {
    unchecked {
        uint256 sign = (a ^ b) & SIGN;
        (a, b) = (a & MAGNITUDE, b & MAGNITUDE);
        if (a > INFINITY || b > INFINITY || (a == b && (a == 0 || a == INFINITY))) {
            return fromBits(NOT_A_NUMBER);
        }
        if (a == INFINITY || b == 0) return fromBits(sign | INFINITY);
        if (b == INFINITY || a == 0) return fromBits(sign);
        (uint256 significand, int256 exponent) = normalised(a);
        (uint256 significandB, int256 exponentB) = normalised(b);
        // 2^99 < quotient < 2^101. A subnormal one may lie halfway, so that a remainder must be seen: 76 places are more than a
        // divisor of 24 places can hide one below.
        uint256 quotient = (significand << 100) / significandB;
        uint256 carry = quotient >> 100;
        return rounded(sign, quotient << (1 - carry), 77, exponent - exponentB + int256(carry) + 126);
    }
}

function sqrt(F32 x) pure returns (F32) {
    unchecked {
        uint256 a = F32.unwrap(x);
        if (a & MAGNITUDE == 0 || a == INFINITY) return x;
        if (a > INFINITY) return fromBits(NOT_A_NUMBER);
        (uint256 significand, int256 exponent) = normalised(a);
        // An even power of two is drawn out of the root: 2^48 <= square < 2^50.
        uint256 even = uint256(exponent + 1) & 1;
        uint256 square = significand << (25 + even);
        // A line is at most one part in 18 off; each of Newton's steps squares that and halves it, and ends at or above the root.
        uint256 root = square / 50_331_648 + 11_184_811;
        root = (root + square / root) >> 1;
        root = (root + square / root) >> 1;
        root = (root + square / root) >> 1;
        if (root * root > square) root -= 1;
        // 25 places, the last to be rounded away. As with quotients, no root lies halfway.
        return fromBits((((uint256(exponent) - even + 125) >> 1) << 23) + ((root + 1) >> 1));
    }
}

function absolute(F32 x) pure returns (F32) {
    return fromBits(F32.unwrap(x) & MAGNITUDE);
}

function negative(F32 x) pure returns (F32) {
    return fromBits(F32.unwrap(x) ^ SIGN);
}

function isFinite(F32 x) pure returns (bool) {
    return F32.unwrap(x) & MAGNITUDE < INFINITY;
}

/// @dev False where one of them is NaN; zeros are equal.
function isGreaterThan(F32 x, F32 y) pure returns (bool) {
    unchecked {
        uint256 a = F32.unwrap(x);
        uint256 b = F32.unwrap(y);
        uint256 magnitudeA = a & MAGNITUDE;
        uint256 magnitudeB = b & MAGNITUDE;
        // Magnitudes are ordered as integers, and their wrapped negatives as signed ones.
        uint256 signA = a >> 31;
        uint256 signB = b >> 31;
        if (int256((magnitudeA ^ (0 - signA)) + signA) <= int256((magnitudeB ^ (0 - signB)) + signB)) return false;
        return magnitudeA <= INFINITY && magnitudeB <= INFINITY;
    }
}

/// @dev `y > x ? y : x`, a step of CA-1's maximum.
function maximum(F32 x, F32 y) pure returns (F32) {
    return isGreaterThan(y, x) ? y : x;
}

/// @dev A finite number is `significand * 2^(exponent - 150)`, sign apart.
function parts(uint256 a) pure returns (uint256 significand, uint256 exponent) {
    exponent = (a >> 23) & 255;
    significand = a & FRACTION;
    if (exponent == 0) exponent = 1;
    else significand |= HIDDEN;
}

/// @dev A finite number that is not zero is `significand * 2^(exponent - 150)`, `2^23 <= significand < 2^24`, sign apart. The exponent
/// of a subnormal number is negative or 0.
function normalised(uint256 a) pure returns (uint256 significand, int256 exponent) {
    unchecked {
        significand = a & FRACTION;
        exponent = int256((a >> 23) & 255);
        if (exponent != 0) return (significand | HIDDEN, exponent);
        uint256 places = 23 - log2(significand);
        return (significand << places, 1 - int256(places));
    }
}

/// @dev The binary32 of this exponent, as far as there is one, nearest to a significand with `places` more than 24 places; ties to
/// even.
function rounded(uint256 sign, uint256 significand, uint256 places, int256 exponent) pure returns (F32) {
    unchecked {
        if (exponent > 254) return fromBits(sign | INFINITY);
        if (exponent < 1) {
            // The last place of a subnormal number is 2^-149. More than all places lost leave 0, whatever wraps.
            places += uint256(1 - exponent);
            exponent = 1;
        }
        significand = (significand + (1 << (places - 1)) - 1 + ((significand >> places) & 1)) >> places;
        // A significand that rounds up to the next power of two carries into the exponent: out of the subnormal numbers into the
        // normal ones, and out of the largest exponent into infinity.
        return fromBits(sign | ((uint256(exponent - 1) << 23) + significand));
    }
}

/// @dev The place of the leading one of `0 < x < 2^32`. The wrapped difference of a smaller and a larger number has its uppermost bit.
function log2(uint256 x) pure returns (uint256 place) {
    unchecked {
        place = ((0xffff - x) >> 255) << 4;
        x >>= place;
        uint256 more = ((0xff - x) >> 255) << 3;
        x >>= more;
        place |= more;
        more = ((0xf - x) >> 255) << 2;
        // Two bits for each number below 16.
        return (place | more) + ((0xffffaa50 >> ((x >> more) << 1)) & 3);
    }
}
