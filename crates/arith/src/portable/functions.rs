//! Functions of one number, from `+ - * /` and the bits of the exponent alone.

use crate::portable::constants::{
    EXP_COEFFICIENTS, EXP_MAX, EXP_MIN, GELU_CUBIC, GELU_SCALE, LN2_HIGH, LN2_LOW, LOG2_E, ROUND, TANH_COEFFICIENTS,
    TANH_SMALL,
};

/// `e^x`, at most 2 ulp from the true value, subnormal results included.
///
/// `x` is first limited to `-104 ..= 89`; beyond the first the result is +0, beyond the largest finite result an infinity,
/// which a caller must exclude (every use in CA-1 has `x <= 0`). NaN gives NaN.
pub fn exp(x: f32) -> f32 {
    let x = if x < EXP_MIN { EXP_MIN } else { x };
    let x = if x > EXP_MAX { EXP_MAX } else { x };
    let shifted = x * LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN2_HIGH) - n * LN2_LOW;
    let mut p = EXP_COEFFICIENTS[0];
    for c in &EXP_COEFFICIENTS[1..] {
        p = p * r + c;
    }
    let p = (p * (r * r) + r) + 1.0;
    // The low bits of `shifted` are the integer n. Two factors keep both in the normal range, and only the last
    // multiplication can round, which is what makes subnormal results right.
    let n = shifted.to_bits().wrapping_sub(ROUND.to_bits()).cast_signed();
    let half = n >> 1;
    (p * power_of_two(half)) * power_of_two(n.wrapping_sub(half))
}

/// `2^n` for `-126 <= n <= 127`, by its exponent field.
fn power_of_two(n: i32) -> f32 {
    f32::from_bits(n.wrapping_add(127).cast_unsigned() << 23)
}

/// `1 / (1 + e^-x)`, written so that `exp` only sees numbers that are not positive.
pub fn sigmoid(x: f32) -> f32 {
    let e = exp(-x.abs());
    (if x < 0.0 { e } else { 1.0 }) / (1.0 + e)
}

/// `x * sigmoid(x)`. A number that is not finite gives one that is not finite.
pub fn silu(x: f32) -> f32 {
    x * sigmoid(x)
}

/// Hyperbolic tangent, at most 3 ulp from the true value.
pub fn tanh(x: f32) -> f32 {
    let magnitude = x.abs();
    if magnitude < TANH_SMALL {
        let z = x * x;
        let mut p = TANH_COEFFICIENTS[0];
        for c in &TANH_COEFFICIENTS[1..] {
            p = p * z + c;
        }
        (p * z) * x + x
    } else {
        let e = exp(-2.0 * magnitude);
        ((1.0 - e) / (1.0 + e)).copysign(x)
    }
}

/// The tanh form of GELU, `0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`, computed as `x * sigmoid(2 ...)`, which is
/// the same function without its cancellation. A number that is not finite gives one that is not finite.
pub fn gelu(x: f32) -> f32 {
    x * sigmoid((x * GELU_SCALE) * ((x * x) * GELU_CUBIC + 1.0))
}
