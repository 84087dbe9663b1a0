// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

// Casts between signed and unsigned words keep every bit.
// forge-lint: disable-start(unsafe-typecast)

import {F32, MAGNITUDE, ONE, SIGN, ZERO, fromBits} from "./Binary32.sol";

/// @notice The functions of section 4 of `docs/arithmetic.md`, and the weight of a logit of section 5, operation by operation.
///
/// Unchecked: small integers only.
library Functions {
    F32 private constant LOG2_E = F32.wrap(0x3fb8aa3b); // 1.442695
    F32 private constant ROUND = F32.wrap(0x4b400000); // 1.5 * 2^23
    F32 private constant LN2_HIGH = F32.wrap(0x3f318000); // 355 / 512
    F32 private constant LN2_LOW = F32.wrap(0xb95e8083); // ln 2 - 355 / 512
    F32 private constant EXP_MIN = F32.wrap(0xc2d00000); // -104
    F32 private constant EXP_MAX = F32.wrap(0x42b20000); // 89
    F32 private constant EXP_4 = F32.wrap(0x3ab52927); // 0.0013821468
    F32 private constant EXP_3 = F32.wrap(0x3c091cb7); // 0.008368663
    F32 private constant EXP_2 = F32.wrap(0x3d2aac55); // 0.041668255
    F32 private constant EXP_1 = F32.wrap(0x3e2aaa49); // 0.16666521
    F32 private constant EXP_0 = F32.wrap(0x3efffffe); // 0.49999994
    F32 private constant TANH_SMALL = F32.wrap(0x3f200000); // 0.625
    F32 private constant TANH_4 = F32.wrap(0xbbba8672); // -0.0056922967
    F32 private constant TANH_3 = F32.wrap(0x3ca8fc67); // 0.020628167
    F32 private constant TANH_2 = F32.wrap(0xbd5c1ad2); // -0.053736515
    F32 private constant TANH_1 = F32.wrap(0x3e08837b); // 0.13331406
    F32 private constant TANH_0 = F32.wrap(0xbeaaaa99); // -0.3333328
    F32 private constant GELU_SCALE = F32.wrap(0x3fcc422a); // 1.5957692
    F32 private constant GELU_CUBIC = F32.wrap(0x3d372713); // 0.044715
    F32 private constant TWO = F32.wrap(0x40000000);

    /// @notice `e^x`. NaN gives NaN, minus infinity +0.
    function exp(F32 x) internal pure returns (F32) {
        if (EXP_MIN.isGreaterThan(x)) x = EXP_MIN;
        if (x.isGreaterThan(EXP_MAX)) x = EXP_MAX;
        F32 shifted = x * LOG2_E + ROUND;
        F32 n = shifted - ROUND;
        F32 r = (x - n * LN2_HIGH) - n * LN2_LOW;
        F32 p = (((EXP_4 * r + EXP_3) * r + EXP_2) * r + EXP_1) * r + EXP_0;
        p = (p * (r * r) + r) + ONE;
        unchecked {
            // The low bits of the shifted number are the integer n, -150 to 128; what NaN makes of it does not matter.
            int256 integer = int256(uint256(F32.unwrap(shifted))) - int256(uint256(F32.unwrap(ROUND)));
            return (p * powerOfTwo(integer >> 1)) * powerOfTwo(integer - (integer >> 1));
        }
    }

    /// @notice `1 / (1 + e^-x)`.
    function sigmoid(F32 x) internal pure returns (F32) {
        F32 e = exp(x.absolute().negative());
        return (ZERO.isGreaterThan(x) ? e : ONE) / (ONE + e);
    }

    /// @notice `x * sigmoid(x)`. A number that is not finite gives one that is not finite.
    function silu(F32 x) internal pure returns (F32) {
        return x * sigmoid(x);
    }

    /// @notice Hyperbolic tangent.
    function tanh(F32 x) internal pure returns (F32) {
        F32 magnitude = x.absolute();
        if (TANH_SMALL.isGreaterThan(magnitude)) {
            F32 z = x * x;
            F32 p = (((TANH_4 * z + TANH_3) * z + TANH_2) * z + TANH_1) * z + TANH_0;
            return (p * z) * x + x;
        }
        F32 e = exp((TWO * magnitude).negative());
        F32 y = (ONE - e) / (ONE + e);
        return fromBits((F32.unwrap(x) & SIGN) | (F32.unwrap(y) & MAGNITUDE));
    }

    /// @notice The tanh form of GELU. A number that is not finite gives one that is not finite.
    function gelu(F32 x) internal pure returns (F32) {
        return x * sigmoid((x * GELU_SCALE) * ((x * x) * GELU_CUBIC + ONE));
    }

    /// @notice `floor(exp((logit - largest) / temperature) * 2^32)` for finite numbers, `logit <= largest`, `temperature > 0`.
    /// The quotient may be minus infinity, which weighs nothing.
    function sampleWeight(F32 logit, F32 largest, F32 temperature) internal pure returns (uint64) {
        unchecked {
            uint256 e = F32.unwrap(exp((logit - largest) / temperature));
            // 0 <= e <= 1: its exponent is 127 at most, and (2^23 + fraction) * 2^(exponent - 118) loses what lies below 1.
            uint256 significand = (e & ((1 << 23) - 1)) | (1 << 23);
            uint256 exponent = e >> 23;
            return uint64(exponent < 118 ? significand >> (118 - exponent) : significand << (exponent - 118));
        }
    }

    /// @dev `2^n` for `-126 <= n <= 127`, by its exponent field.
    function powerOfTwo(int256 n) private pure returns (F32) {
        unchecked {
            return fromBits(uint256(n + 127) << 23);
        }
    }
}
