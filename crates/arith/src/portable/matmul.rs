//! Products of a weight matrix with activations.

use crate::activations::Activations;
use crate::layout::{BAND_ROWS, BandBlock, BandLayout, bf16_at, f16_at, f32_at};
use crate::matrix::{Matrix, PackError};
use crate::portable::row::unpack;
use crate::weight::WeightType;

/// One block of 16 rows, unpacked.
struct Block {
    quants: [[i16; 256]; BAND_ROWS],
    d: [f32; BAND_ROWS],
    /// `m` of `Q4_1` and `Q5_1`, `dmin` of `Q4_K` and `Q5_K`.
    m: [f32; BAND_ROWS],
    /// Integer sub-scales of the super-block types.
    scales: [[i32; 16]; BAND_ROWS],
    /// Integer sub-minimums of `Q4_K` and `Q5_K`.
    minimums: [[i32; 8]; BAND_ROWS],
}

/// Rows of band `band` for tokens `tokens`: element r of `put(t, ..)` is row `16 band + r`.
pub(crate) fn matmul(
    matrix: &Matrix,
    band: usize,
    x: &Activations,
    tokens: std::ops::Range<usize>,
    put: impl FnMut(usize, &[f32; BAND_ROWS]),
) {
    sums_from(0.0, matrix, band, x, tokens, put);
}

/// A run of one row, as a dispute computes it: `acc` plus the terms of `weights`, whole blocks of the row in the bytes of the
/// file, with as many activations `x` of one token.
///
/// # Errors
/// [`PackError`] where the weights are not as many as the activations or not finite.
///
/// # Panics
/// Where `x` is not one token in the form that `kind` asks for.
pub fn product_run(kind: WeightType, weights: &[u8], x: &Activations, acc: f32) -> Result<f32, PackError> {
    assert_eq!((x.tokens(), x.kind()), (1, kind.activation()), "activations of one token in the form of {kind}");
    let matrix = Matrix::pack(kind, 1, x.cols(), weights)?;
    let mut sum = 0.0;
    sums_from(acc, &matrix, 0, x, 0..1, |_, sums| sum = sums[0]);
    Ok(sum)
}

fn sums_from(
    acc: f32,
    matrix: &Matrix,
    band: usize,
    x: &Activations,
    tokens: std::ops::Range<usize>,
    mut put: impl FnMut(usize, &[f32; BAND_ROWS]),
) {
    let (kind, layout, bytes) = (matrix.kind(), matrix.layout(), matrix.band(band));
    let first = tokens.start;
    let mut sums = vec![[acc; BAND_ROWS]; tokens.len()];
    if kind.block_len() == 1 {
        for (acc, t) in sums.iter_mut().zip(tokens) {
            floats(kind, bytes, &x.values[t * x.cols..][..x.cols], acc);
        }
    } else {
        let mut block = Block {
            quants: [[0; 256]; BAND_ROWS],
            d: [0.0; BAND_ROWS],
            m: [0.0; BAND_ROWS],
            scales: [[0; 16]; BAND_ROWS],
            minimums: [[0; 8]; BAND_ROWS],
        };
        for b in 0..layout.blocks {
            block.read(kind, layout, bytes, b);
            for (acc, t) in sums.iter_mut().zip(tokens.clone()) {
                for (r, acc) in acc.iter_mut().enumerate() {
                    *acc += block.term(kind, r, x, t, b);
                }
            }
        }
    }
    for (t, acc) in sums.iter().enumerate() {
        put(first + t, acc);
    }
}

/// `acc = acc + w[k] * x[k]`, k upwards.
fn floats(kind: WeightType, band: &[u8], x: &[f32], acc: &mut [f32; BAND_ROWS]) {
    for (k, x) in x.iter().enumerate() {
        for (r, acc) in acc.iter_mut().enumerate() {
            let index = k * BAND_ROWS + r;
            let w = match kind {
                WeightType::F32 => f32_at(band, index),
                WeightType::F16 => f16_at(band, index),
                _ => bf16_at(band, index),
            };
            *acc += w * x;
        }
    }
}

impl Block {
    fn read(&mut self, kind: WeightType, layout: &BandLayout, band: &[u8], b: usize) {
        let packed = BandBlock::new(layout, band, b);
        for r in 0..BAND_ROWS {
            unpack(kind, &packed, r, &mut self.quants[r][..kind.block_len()]);
            self.d[r] = packed.scale(0, r);
            if layout.scale_bytes == 64 {
                self.m[r] = packed.scale(1, r);
            }
            match kind {
                WeightType::Q4_K | WeightType::Q5_K => {
                    for j in 0..8 {
                        self.scales[r][j] = i32::from(packed.factor(0, j, r));
                        self.minimums[r][j] = i32::from(packed.factor(1, j, r));
                    }
                }
                WeightType::Q6_K => {
                    for j in 0..16 {
                        self.scales[r][j] = i32::from(packed.factor(0, j, r).cast_signed());
                    }
                }
                _ => {}
            }
        }
    }

    /// What block `b` adds to the sum of row `r` and token `t`.
    fn term(&self, kind: WeightType, r: usize, x: &Activations, t: usize, b: usize) -> f32 {
        let block_len = kind.block_len();
        let block = t * (x.cols / block_len) + b;
        let q = &x.quants[block * block_len..][..block_len];
        let w = &self.quants[r][..block_len];
        let a_scale = x.scales[block];
        match kind {
            WeightType::Q4_1 | WeightType::Q5_1 => {
                let a_sum = sum(q) as f32 * a_scale;
                dot(w, q) as f32 * (self.d[r] * a_scale) + self.m[r] * a_sum
            }
            WeightType::Q4_K | WeightType::Q5_K => {
                let s = scaled_dot(w, q, &self.scales[r], 32);
                let m: i32 = self.minimums[r].iter().zip(q.chunks_exact(32)).map(|(m, q)| m * sum(q)).sum();
                s as f32 * (self.d[r] * a_scale) - m as f32 * (self.m[r] * a_scale)
            }
            WeightType::Q6_K => scaled_dot(w, q, &self.scales[r], 16) as f32 * (self.d[r] * a_scale),
            _ => dot(w, q) as f32 * (self.d[r] * a_scale),
        }
    }
}

/// Exact: at most 32 * 127.
fn sum(q: &[i8]) -> i32 {
    q.iter().map(|&q| i32::from(q)).sum()
}

/// Exact: at most 32 * 128 * 127.
fn dot(w: &[i16], q: &[i8]) -> i32 {
    w.iter().zip(q).map(|(&w, &q)| i32::from(w) * i32::from(q)).sum()
}

/// Exact: at most 256 * 31 * 127 * 63 (`Q5_K`, 63.5 million) or 256 * 32 * 127 * 128 (`Q6_K`, 133.2 million).
fn scaled_dot(w: &[i16], q: &[i8], scales: &[i32; 16], sub_len: usize) -> i32 {
    w.chunks_exact(sub_len).zip(q.chunks_exact(sub_len)).zip(scales).map(|((w, q), s)| s * dot(w, q)).sum()
}
