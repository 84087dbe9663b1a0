// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

// Casts between signed and unsigned words keep every bit.
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
        if ((NORMAL_EXPONENTS >> exponent) & (NORMAL_EXPONENTS >> exponentB) & 1 == 0) return addSpecial(a, b);
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
            return fromBits((a & SIGN) | (sum > INFINITY ? INFINITY : sum));
        }
        sum -= smaller;
        // 2^86 <= sum < 2^88, or else the exponents differ by one at most.
        if (sum >> 86 == 0) return cancelled(a & SIGN, sum >> 63, exponent);
        uint256 borrow = 1 - (sum >> 87);
        if (exponent == borrow) return addSpecial(a, b);
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
        return round(sign, significand, int256(exponent) - 151);
    }
}

/// @dev `|a| >= |b|`, and one of them, or the result, is not a normal number.
function addSpecial(uint256 a, uint256 b) pure returns (F32) {
    unchecked {
        uint256 magnitude = a & MAGNITUDE;
        if (magnitude >= INFINITY) {
            if (magnitude > INFINITY || a ^ b == SIGN) return fromBits(NOT_A_NUMBER);
            return fromBits(a);
        }
        // A sum of zeros is -0 where both are.
        if (b & MAGNITUDE == 0) return fromBits(magnitude == 0 ? a & b : a);
        (uint256 sum, uint256 exponent) = parts(a);
        (uint256 smaller, uint256 exponentB) = parts(b);
        sum <<= 64;
        smaller = (smaller << 64) >> (exponent - exponentB);
        sum = (a ^ b) & SIGN == 0 ? sum + smaller : sum - smaller;
        return round(sum == 0 ? 0 : a & SIGN, sum, int256(exponent) - 214);
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
        (uint256 significandA, uint256 exponentA) = parts(a);
        (uint256 significandB, uint256 exponentB) = parts(b);
        return round(sign, significandA * significandB, int256(exponentA + exponentB) - 300);
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
        (uint256 significandA, uint256 exponentA) = parts(a);
        (uint256 significandB, uint256 exponentB) = parts(b);
        // A subnormal quotient may lie halfway, so that a remainder must be seen: it sets the last of 100 places more.
        uint256 quotient = (significandA << 100) / significandB;
        if (quotient * significandB != significandA << 100) quotient |= 1;
        return round(sign, quotient, int256(exponentA) - int256(exponentB) - 100);
    }
}

function sqrt(F32 x) pure returns (F32) {
    unchecked {
        uint256 a = F32.unwrap(x);
        if (a & MAGNITUDE == 0 || a == INFINITY) return x;
        if (a > INFINITY) return fromBits(NOT_A_NUMBER);
        (uint256 significand, uint256 exponent) = parts(a);
        if (significand < HIDDEN) {
            // A subnormal number's exponent may wrap here; what follows adds more than it lacks.
            uint256 places = 23 - log2(significand);
            significand <<= places;
            exponent -= places;
        }
        // An even power of two is drawn out of the root: 2^48 <= square < 2^50.
        uint256 even = (exponent + 1) & 1;
        uint256 square = significand << (25 + even);
        // A line is at most one part in 18 off; each of Newton's steps squares that and halves it, and ends at or above the root.
        uint256 root = square / 50_331_648 + 11_184_811;
        root = (root + square / root) >> 1;
        root = (root + square / root) >> 1;
        root = (root + square / root) >> 1;
        if (root * root > square) root -= 1;
        // 25 places, the last to be rounded away. As with quotients, no root lies halfway.
        return fromBits((((exponent - even + 125) >> 1) << 23) + ((root + 1) >> 1));
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
        if (a & MAGNITUDE > INFINITY || b & MAGNITUDE > INFINITY) return false;
        // Magnitudes are ordered as integers.
        int256 signedA = a < SIGN ? int256(a) : -int256(a & MAGNITUDE);
        int256 signedB = b < SIGN ? int256(b) : -int256(b & MAGNITUDE);
        return signedA > signedB;
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

/// @dev The binary32 nearest to `significand * 2^exponent`, ties to even, for `significand < 2^250`.
function round(uint256 sign, uint256 significand, int256 exponent) pure returns (F32) {
    unchecked {
        if (significand == 0) return fromBits(sign);
        int256 places = int256(log2(significand)) - 23;
        // The last place of a subnormal number is 2^-149.
        if (places < -149 - exponent) places = -149 - exponent;
        if (places <= 0) {
            significand <<= uint256(-places);
        } else {
            uint256 lost = places > 255 ? 255 : uint256(places);
            significand = (significand + (1 << (lost - 1)) - 1 + ((significand >> lost) & 1)) >> lost;
        }
        // A subnormal number has exponent + places = -149; one that rounds up to 2^23 becomes the first normal number.
        uint256 magnitude = (uint256(exponent + places + 149) << 23) + significand;
        return fromBits(sign | (magnitude > INFINITY ? INFINITY : magnitude));
    }
}

/// @dev The place of the leading one of `x > 0`.
function log2(uint256 x) pure returns (uint256 place) {
    unchecked {
        if (x >> 32 != 0) {
            if (x >> 128 != 0) (x, place) = (x >> 128, 128);
            if (x >> 64 != 0) (x, place) = (x >> 64, place + 64);
            if (x >> 32 != 0) (x, place) = (x >> 32, place + 32);
        }
        if (x >> 16 != 0) (x, place) = (x >> 16, place + 16);
        if (x >> 8 != 0) (x, place) = (x >> 8, place + 8);
        if (x >> 4 != 0) (x, place) = (x >> 4, place + 4);
        // Two bits for each x below 16.
        place += (0xffffaa50 >> (2 * x)) & 3;
    }
}
