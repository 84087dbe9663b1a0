//! Sampling weights in integers.

use crate::fault::Fault;
use crate::portable::exp;

/// The largest of `x`; a zero is +0, and an empty slice gives the most negative finite number.
pub fn max(x: &[f32]) -> f32 {
    // Adding +0 turns -0 to +0, so that the result does not hang on which zero came first.
    x.iter().fold(f32::MIN, |max, &v| if v > max { v } else { max }) + 0.0
}

/// Index of the largest of `x`, the lowest one on ties; `None` for an empty slice.
pub fn argmax(x: &[f32]) -> Option<usize> {
    let first = x.first()?;
    let mut best = (0, *first);
    for (i, &v) in x.iter().enumerate() {
        if v > best.1 {
            best = (i, v);
        }
    }
    Some(best.0)
}

/// `w_i = floor(exp((l_i - max) / T) * 2^32)`; returns their sum. The largest logit weighs exactly `2^32`.
///
/// # Errors
/// [`Fault`] (`sample_weights`) at the first logit that is not finite.
///
/// # Panics
/// Where `temperature` is not a positive finite number or `out` is not as long as `logits`.
pub fn sample_weights(logits: &[f32], temperature: f32, out: &mut [u64]) -> Result<u128, Fault> {
    check_sampling(logits, temperature, out);
    if let Some(fault) = Fault::find("sample_weights", logits) {
        return Err(fault);
    }
    Ok(u128::from(weights(logits, max(logits), temperature, out)))
}

/// Weights of some of the logits, given the largest of all; returns their sum, which fits 64 bits for up to 2^31 logits.
pub(crate) fn weights(logits: &[f32], max: f32, temperature: f32, out: &mut [u64]) -> u64 {
    let mut total = 0;
    for (w, l) in out.iter_mut().zip(logits) {
        // The product is exact, and at most 2^32.
        *w = (exp((l - max) / temperature) * 4_294_967_296.0) as u64;
        total += *w;
    }
    total
}

/// # Panics
/// As [`sample_weights`].
pub(crate) fn check_sampling(logits: &[f32], temperature: f32, out: &[u64]) {
    assert!(temperature > 0.0 && temperature.is_finite(), "temperature {temperature} is no positive number");
    assert_eq!(logits.len(), out.len(), "one weight per logit");
}
