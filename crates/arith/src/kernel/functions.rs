#![expect(clippy::inline_always, reason = "code over `Lanes` only gets the instruction set when it is inlined")]
//! `exp` and what is made of it, the same expression trees as in `portable::functions`.

use crate::lanes::Lanes;
use crate::portable::constants::{
    EXP_COEFFICIENTS, EXP_MAX, EXP_MIN, GELU_CUBIC, GELU_SCALE, LN2_HIGH, LN2_LOW, LOG2_E, ROUND,
};

/// [`crate::portable::exp`].
#[inline(always)]
pub(crate) fn exp<L: Lanes>(l: L, x: L::F) -> L::F {
    let x = l.max(l.splat(EXP_MIN), x);
    let x = l.min(l.splat(EXP_MAX), x);
    let shifted = l.add(l.mul(x, l.splat(LOG2_E)), l.splat(ROUND));
    let n = l.sub(shifted, l.splat(ROUND));
    let r = l.sub(l.sub(x, l.mul(n, l.splat(LN2_HIGH))), l.mul(n, l.splat(LN2_LOW)));
    let mut p = l.splat(EXP_COEFFICIENTS[0]);
    for c in &EXP_COEFFICIENTS[1..] {
        p = l.add(l.mul(p, r), l.splat(*c));
    }
    let p = l.add(l.add(l.mul(p, l.mul(r, r)), r), l.splat(1.0));
    let n = l.sub_i(l.bits(shifted), l.splat_i(ROUND.to_bits().cast_signed()));
    let half = l.shr_i::<1>(n);
    l.mul(l.mul(p, power_of_two(l, half)), power_of_two(l, l.sub_i(n, half)))
}

#[inline(always)]
fn power_of_two<L: Lanes>(l: L, n: L::I) -> L::F {
    l.float_of_bits(l.shl_i::<23>(l.add_i(n, l.splat_i(127))))
}

/// [`crate::portable::sigmoid`].
#[inline(always)]
pub(crate) fn sigmoid<L: Lanes>(l: L, x: L::F) -> L::F {
    let negative = l.float_of_bits(l.or_i(l.bits(x), l.splat_i(i32::MIN)));
    let e = exp(l, negative);
    let numerator = l.select_lt(x, l.splat(0.0), e, l.splat(1.0));
    l.div(numerator, l.add(l.splat(1.0), e))
}

/// [`crate::portable::silu`].
#[inline(always)]
pub(crate) fn silu<L: Lanes>(l: L, x: L::F) -> L::F {
    l.mul(x, sigmoid(l, x))
}

/// [`crate::portable::gelu`].
#[inline(always)]
pub(crate) fn gelu<L: Lanes>(l: L, x: L::F) -> L::F {
    let cubic = l.add(l.mul(l.mul(x, x), l.splat(GELU_CUBIC)), l.splat(1.0));
    l.mul(x, sigmoid(l, l.mul(l.mul(x, l.splat(GELU_SCALE)), cubic)))
}
