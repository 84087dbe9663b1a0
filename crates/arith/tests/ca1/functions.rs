//! The functions of one number against `libm` in f64.

use crate::slow;
use arith::portable::{exp, sigmoid, silu, tanh};

/// Distance of `found` from `true_value` in units of the last place of the true value's binade (of a subnormal: of 2^-149).
fn ulp(found: f32, true_value: f64) -> f64 {
    let exponent = (true_value.abs().max(f64::from(f32::MIN_POSITIVE))).log2().floor();
    (f64::from(found) - true_value).abs() / 2f64.powf(exponent - 23.0)
}

/// The largest distance over the finite floats of `keep`, every `stride`-th of them.
fn worst(stride: usize, keep: impl Fn(f32) -> bool, f: impl Fn(f32) -> f32, truth: impl Fn(f64) -> f64) -> (f64, f32) {
    let mut worst = (0.0, 0.0);
    for bits in (0..=u32::MAX).step_by(stride) {
        let x = f32::from_bits(bits);
        if x.is_finite() && keep(x) {
            let distance = ulp(f(x), truth(f64::from(x)));
            if distance > worst.0 || distance.is_nan() {
                worst = (distance, x);
            }
        }
    }
    worst
}

/// All floats in the slow suite, and otherwise a hundred thousand or so spread over all exponents.
fn stride() -> usize {
    if slow() {
        return 1;
    }
    println!("skipped: slow (CANDOR_SLOW=1 walks all 2^32 floats)");
    32_771
}

#[test]
fn exp_is_within_two_ulp_of_libm_on_every_finite_result() {
    let (distance, x) = worst(stride(), |x| x <= 88.722_83, exp, libm::exp);
    println!("exp: {distance:.3} ulp at {x:e}");
    assert!(distance <= 1.0, "{distance} at {x:e}");
}

#[test]
fn sigmoid_is_close_to_libm() {
    let (distance, x) = worst(stride(), |_| true, sigmoid, |x| 1.0 / (1.0 + libm::exp(-x)));
    println!("sigmoid: {distance:.3} ulp at {x:e}");
    assert!(distance <= 2.5, "{distance} at {x:e}");
}

#[test]
fn silu_is_close_to_libm() {
    let (distance, x) = worst(stride(), |x| x >= -87.0, silu, |x| x / (1.0 + libm::exp(-x)));
    println!("silu: {distance:.3} ulp at {x:e}");
    assert!(distance <= 3.5, "{distance} at {x:e}");
}

#[test]
fn tanh_is_close_to_libm() {
    let (distance, x) = worst(stride(), |_| true, tanh, libm::tanh);
    println!("tanh: {distance:.3} ulp at {x:e}");
    assert!(distance <= 3.0, "{distance} at {x:e}");
}
