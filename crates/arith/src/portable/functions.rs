//! Functions of one number, from `+ - * /` and the bits of the exponent alone.

/// `1 / ln 2`.
pub(crate) const LOG2_E: f32 = std::f32::consts::LOG2_E;
/// `1.5 * 2^23`: adding and subtracting it rounds a small number to the nearest integer, ties to even.
pub(crate) const ROUND: f32 = 12_582_912.0;
/// Upper part of `ln 2`: nine significant bits, so that its product with any exponent is exact.
pub(crate) const LN2_HIGH: f32 = 0.693_359_4;
/// `ln 2 - LN2_HIGH`.
pub(crate) const LN2_LOW: f32 = -2.121_944_4e-4;
/// Below this, `exp` is less than half of the smallest subnormal and rounds to +0.
pub(crate) const EXP_MIN: f32 = -104.0;
/// Above this, `exp` is an infinity.
pub(crate) const EXP_MAX: f32 = 89.0;
/// `(exp(r) - 1 - r) / r^2` on `|r| <= ln 2 / 2`, highest power first.
pub(crate) const EXP_COEFFICIENTS: [f32; 6] =
    [1.987_569_1e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5e-1];

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

/// Where [`tanh`] changes from its polynomial to `exp`.
pub(crate) const TANH_SMALL: f32 = 0.625;
/// `(tanh(x) - x) / x^3` in `x^2` on `|x| < 0.625`, highest power first.
pub(crate) const TANH_COEFFICIENTS: [f32; 5] =
    [-5.704_988_7e-3, 2.063_909e-2, -5.373_971_6e-2, 1.333_144_2e-1, -3.333_328e-1];

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

/// `2 sqrt(2 / pi)`.
pub(crate) const GELU_SCALE: f32 = 1.595_769;
/// The cubic coefficient of the tanh form.
pub(crate) const GELU_CUBIC: f32 = 0.044_715;

/// The tanh form of GELU, `0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`, computed as `x * sigmoid(2 ...)`, which is
/// the same function without its cancellation. A number that is not finite gives one that is not finite.
pub fn gelu(x: f32) -> f32 {
    x * sigmoid((x * GELU_SCALE) * ((x * x) * GELU_CUBIC + 1.0))
}
