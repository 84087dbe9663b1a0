//! The numbers of section 4 of `docs/arithmetic.md`. Changing one is a new version of CA-1.

/// `1 / ln 2`.
pub(crate) const LOG2_E: f32 = std::f32::consts::LOG2_E;

/// `1.5 * 2^23`: adding and subtracting it rounds a small number to the nearest integer, ties to even.
pub(crate) const ROUND: f32 = 12_582_912.0;

/// Upper part of `ln 2`: 355 / 512, nine significant bits, so that its product with any exponent is exact.
pub(crate) const LN2_HIGH: f32 = 355.0 / 512.0;

/// `ln 2 - LN2_HIGH`.
pub(crate) const LN2_LOW: f32 = -0.000_212_194_44;

/// Below this, `exp` is less than half of the smallest subnormal and rounds to +0.
pub(crate) const EXP_MIN: f32 = -104.0;

/// Above this, `exp` is an infinity.
pub(crate) const EXP_MAX: f32 = 89.0;

/// `(exp(r) - 1 - r) / r^2` on `|r| <= ln 2 / 2`, highest power first.
pub(crate) const EXP_COEFFICIENTS: [f32; 5] =
    [0.001_382_146_8, 0.008_368_663, 0.041_668_255, 0.166_665_21, 0.499_999_94];

/// Where `tanh` changes from its polynomial to `exp`.
pub(crate) const TANH_SMALL: f32 = 0.625;

/// `(tanh(x) - x) / x^3` in `x^2` on `|x| < 0.625`, highest power first.
pub(crate) const TANH_COEFFICIENTS: [f32; 5] =
    [-0.005_692_296_7, 0.020_628_167, -0.053_736_515, 0.133_314_06, -0.333_332_8];

/// `2 sqrt(2 / pi)`.
pub(crate) const GELU_SCALE: f32 = 1.595_769_2;

/// The cubic coefficient of the tanh form.
pub(crate) const GELU_CUBIC: f32 = 0.044_715;
