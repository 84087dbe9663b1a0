// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

// Casts between signed and unsigned words keep every bit.
// forge-lint: disable-start(unsafe-typecast, incorrect-shift)

/// @notice Binary32 with nothing left out and nothing clever, checked arithmetic throughout: what `Binary32.sol` is fuzzed
/// against. An exact result is `numerator / denominator * 2^exponent`; it is rounded by looking for the neighbour below, one
/// place at a time.
library PlainBinary32 {
    uint256 internal constant NOT_A_NUMBER = 0x7fc00000;
    uint256 internal constant INFINITY = 0x7f800000;

    function isNotANumber(uint256 a) internal pure returns (bool) {
        return a % 2 ** 31 > INFINITY;
    }

    function add(uint256 a, uint256 b) internal pure returns (uint256) {
        if (isNotANumber(a) || isNotANumber(b)) return NOT_A_NUMBER;
        if (a % 2 ** 31 == INFINITY) return b % 2 ** 31 == INFINITY && a != b ? NOT_A_NUMBER : a;
        if (b % 2 ** 31 == INFINITY) return b;
        (int256 significandA, int256 exponentA) = value(a);
        (int256 significandB, int256 exponentB) = value(b);
        // Beyond 100 places the smaller number is any small number: one unit 100 places down.
        if (exponentA > exponentB + 100) (significandB, exponentB) = (sign(significandB), exponentA - 100);
        if (exponentB > exponentA + 100) (significandA, exponentA) = (sign(significandA), exponentB - 100);
        int256 exponent = exponentA < exponentB ? exponentA : exponentB;
        int256 sum = significandA * int256(2 ** uint256(exponentA - exponent)) + significandB
            * int256(2 ** uint256(exponentB - exponent));
        if (sum == 0) return a == 2 ** 31 && b == 2 ** 31 ? 2 ** 31 : 0;
        return nearest(sum < 0, uint256(sum < 0 ? -sum : sum), 1, exponent);
    }

    function mul(uint256 a, uint256 b) internal pure returns (uint256) {
        bool isNegative = a / 2 ** 31 != b / 2 ** 31;
        (uint256 magnitudeA, uint256 magnitudeB) = (a % 2 ** 31, b % 2 ** 31);
        if (isNotANumber(a) || isNotANumber(b)) return NOT_A_NUMBER;
        if (magnitudeA == INFINITY || magnitudeB == INFINITY) {
            if (magnitudeA == 0 || magnitudeB == 0) return NOT_A_NUMBER;
            return INFINITY + (isNegative ? 2 ** 31 : 0);
        }
        (int256 significandA, int256 exponentA) = value(magnitudeA);
        (int256 significandB, int256 exponentB) = value(magnitudeB);
        return nearest(isNegative, uint256(significandA * significandB), 1, exponentA + exponentB);
    }

    function div(uint256 a, uint256 b) internal pure returns (uint256) {
        bool isNegative = a / 2 ** 31 != b / 2 ** 31;
        (uint256 magnitudeA, uint256 magnitudeB) = (a % 2 ** 31, b % 2 ** 31);
        if (isNotANumber(a) || isNotANumber(b)) return NOT_A_NUMBER;
        if (magnitudeA == magnitudeB && (magnitudeA == 0 || magnitudeA == INFINITY)) return NOT_A_NUMBER;
        if (magnitudeA == INFINITY || magnitudeB == 0) return INFINITY + (isNegative ? 2 ** 31 : 0);
        if (magnitudeB == INFINITY) return isNegative ? 2 ** 31 : 0;
        (int256 significandA, int256 exponentA) = value(magnitudeA);
        (int256 significandB, int256 exponentB) = value(magnitudeB);
        return nearest(isNegative, uint256(significandA), uint256(significandB), exponentA - exponentB);
    }

    /// @notice Whether `root` is the root of the positive number `a`, rounded: the square of what lies half a place below does not pass
    /// `a`, that of what lies half a place above does.
    function isRoot(uint256 a, uint256 root) internal pure returns (bool) {
        (int256 significand, int256 exponent) = value(a);
        (int256 rootSignificand, int256 rootExponent) = value(root);
        uint256 low = uint256(2 * rootSignificand - 1) ** 2;
        uint256 high = uint256(2 * rootSignificand + 1) ** 2;
        int256 distance = exponent - (2 * rootExponent - 2);
        uint256 square = uint256(significand);
        if (distance >= 0) {
            square *= 2 ** uint256(distance);
        } else {
            low *= 2 ** uint256(-distance);
            high *= 2 ** uint256(-distance);
        }
        return low < square && square < high;
    }

    /// @notice A finite number as `significand * 2^exponent`.
    function value(uint256 a) internal pure returns (int256 significand, int256 exponent) {
        significand = int256(a % 2 ** 23);
        exponent = int256(a / 2 ** 23 % 256);
        if (exponent == 0) exponent = 1;
        else significand += 2 ** 23;
        if (a >= 2 ** 31) significand = -significand;
        exponent -= 150;
    }

    function sign(int256 x) private pure returns (int256) {
        return x > 0 ? int256(1) : x < 0 ? -1 : int256(0);
    }

    /// @notice The nearest binary32 to `numerator / denominator * 2^exponent`; the numerator is below 2^130.
    function nearest(bool isNegative, uint256 numerator, uint256 denominator, int256 exponent)
        internal
        pure
        returns (uint256 bits)
    {
        uint256 signBit = isNegative ? 2 ** 31 : 0;
        if (numerator == 0) return signBit;
        // Find the last place: 24 places where there is room above 2^-149.
        while (numerator / denominator >= 2 ** 24) {
            denominator *= 2;
            ++exponent;
        }
        while (numerator / denominator < 2 ** 23 && exponent > -149) {
            numerator *= 2;
            --exponent;
        }
        while (exponent < -149) {
            denominator *= 2;
            ++exponent;
            if (denominator > 4 * numerator) return signBit;
        }
        uint256 quotient = numerator / denominator;
        uint256 remainder = 2 * (numerator % denominator);
        if (remainder > denominator || (remainder == denominator && quotient % 2 == 1)) ++quotient;
        if (quotient == 2 ** 24) {
            quotient = 2 ** 23;
            ++exponent;
        }
        if (exponent > 104) return signBit + INFINITY;
        return
            quotient < 2 ** 23 ? signBit + quotient : signBit + uint256(exponent + 150) * 2 ** 23 + quotient - 2 ** 23;
    }
}
