//! Vector sums, norm, rotation, and the one quantiser of activations.

use crate::activations::{Activations, Target};
use crate::fault::Fault;
use crate::weight::ActivationKind;

/// `2^-120`: a block whose largest magnitude is below this counts as all zero, since `127 / amax` would soon be an infinity.
pub(crate) const AMAX_MIN: f32 = f32::from_bits(7 << 23);

/// The canonical sum of a vector: 16 virtual lanes, lane l adding elements l, l + 16, l + 32, ... upwards from +0, then lanes
/// folded by halves: 8, 4, 2, 1 apart.
pub fn vector_sum(terms: impl IntoIterator<Item = f32>) -> f32 {
    let mut lanes = [0.0f32; 16];
    for (i, term) in terms.into_iter().enumerate() {
        lanes[i % 16] += term;
    }
    fold(lanes)
}

/// Folds 16 lanes by halves.
pub fn fold(mut lanes: [f32; 16]) -> f32 {
    for stride in [8, 4, 2, 1] {
        for l in 0..stride {
            lanes[l] += lanes[l + stride];
        }
    }
    lanes[0]
}

/// RMS norm of one row: `y_i = (x_i * (1 / sqrt(sum_sq / n + eps))) * g_i`.
pub(crate) fn rms_norm(x: &[f32], gain: &[f32], eps: f32, out: &mut [f32]) -> Result<(), Fault> {
    let sum = vector_sum(x.iter().map(|v| v * v));
    if !sum.is_finite() {
        return Err(Fault::find("rms_norm", x).unwrap_or(Fault { operation: "rms_norm", index: 0 }));
    }
    let factor = 1.0 / (sum / x.len() as f32 + eps).sqrt();
    for ((y, x), g) in out.iter_mut().zip(x).zip(gain) {
        *y = (x * factor) * g;
    }
    Ok(())
}

/// Turns pairs of one head: `(a, b)` to `(a cos - b sin, b cos + a sin)`; `second` is the distance from a to b and `step` from one
/// a to the next.
pub(crate) fn rope(head: &mut [f32], cos: &[f32], sin: &[f32], second: usize, step: usize) {
    for (pair, (c, s)) in cos.iter().zip(sin).enumerate() {
        let (i, j) = (pair * step, pair * step + second);
        let (a, b) = (head[i], head[j]);
        head[i] = a * c - b * s;
        head[j] = b * c + a * s;
    }
}

/// Quantises one token: per block `scale = amax / 127`, `q = clamp(round_half_even(x * (127 / amax)), -127, 127)`; all zero where
/// `amax` is below [`AMAX_MIN`].
pub(crate) fn quantise(x: &[f32], out: &mut Target<'_>) -> Result<(), Fault> {
    if let Some(fault) = Fault::find("quantise", x) {
        return Err(fault);
    }
    if out.kind == ActivationKind::F32 {
        out.values.copy_from_slice(x);
        return Ok(());
    }
    let block_len = out.kind.block_len();
    let words = out.sums.len() / out.scales.len();
    let blocks = x.chunks_exact(block_len).zip(out.quants.chunks_exact_mut(block_len));
    let heads = out.scales.iter_mut().zip(out.sums.chunks_exact_mut(words));
    for ((x, quants), (scale, sums)) in blocks.zip(heads) {
        let amax = x.iter().fold(0.0f32, |amax, v| if v.abs() > amax { v.abs() } else { amax });
        let inverse = if amax < AMAX_MIN { 0.0 } else { 127.0 / amax };
        *scale = if amax < AMAX_MIN { 0.0 } else { amax / 127.0 };
        for (q, v) in quants.iter_mut().zip(x) {
            *q = (v * inverse).round_ties_even().clamp(-127.0, 127.0) as i8;
        }
        Activations::fill_sums(out.kind, quants, *scale, sums);
    }
    Ok(())
}
