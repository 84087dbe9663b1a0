//! The operations of CA-1 on this machine.

use crate::activations::Activations;
use crate::attention::{AttentionShape, Query};
use crate::fault::Fault;
use crate::isa::Isa;
use crate::layout::BAND_ROWS;
use crate::matrix::{Matrix, PackError};
use crate::pool::Pool;
use crate::portable;
use crate::weight::{ActivationKind, WeightType};

/// An instruction set and threads: everything that may change how fast an operation runs and nothing that changes its result.
#[derive(Debug)]
pub struct Machine {
    isa: Isa,
    pool: Pool,
}

/// Which numbers of a head a rotation pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RopeStyle {
    /// Neighbours: `(0, 1), (2, 3), ...`, as GGUF's llama models.
    Interleaved,
    /// Halves: `(0, n/2), (1, n/2 + 1), ...`, as GPT-NeoX, Qwen and Gemma.
    Halves,
}

impl Machine {
    /// A machine of this instruction set and these threads.
    pub fn new(isa: Isa, pool: Pool) -> Self {
        Self { isa, pool }
    }

    /// The instruction set.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// The threads.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// [`Matrix::pack`] over all threads.
    ///
    /// # Errors
    /// As [`Matrix::pack`].
    pub fn pack(&self, kind: WeightType, rows: usize, cols: usize, bytes: &[u8]) -> Result<Matrix, PackError> {
        Matrix::pack_on(&self.pool, kind, rows, cols, bytes)
    }

    /// Quantises `x` `[T][cols]` to `kind`, by the one quantiser of CA-1.
    ///
    /// # Errors
    /// [`Fault`] (`quantise`) at the first number that is not finite.
    ///
    /// # Panics
    /// Where `x` is no whole number of rows, or `cols` no whole number of blocks.
    pub fn quantise(&self, x: &[f32], cols: usize, kind: ActivationKind) -> Result<Activations, Fault> {
        let mut out = Activations::new();
        self.quantise_into(x, cols, kind, &mut out)?;
        Ok(out)
    }

    /// [`Machine::quantise`] into a buffer that is reused.
    ///
    /// # Errors
    /// As [`Machine::quantise`]; the buffer then holds nothing of use.
    ///
    /// # Panics
    /// As [`Machine::quantise`].
    pub fn quantise_into(
        &self,
        x: &[f32],
        cols: usize,
        kind: ActivationKind,
        out: &mut Activations,
    ) -> Result<(), Fault> {
        assert!(cols > 0 && x.len().is_multiple_of(cols), "x is [T][{cols}], found {} numbers", x.len());
        assert!(cols.is_multiple_of(kind.block_len()), "{cols} columns are no whole number of {kind:?} blocks");
        out.reshape(kind, x.len() / cols, cols);
        for (t, row) in x.chunks_exact(cols).enumerate() {
            portable::quantise(row, t, out).map_err(|fault| Fault { index: t * cols + fault.index, ..fault })?;
        }
        Ok(())
    }

    /// `out[t][r] = sum over k of w[r][k] x[t][k]` in the canonical order; `out` is `[T][R]`.
    ///
    /// Finite input can overflow to an infinity here; it then stays one (or NaN) until the next operation that returns
    /// [`Fault`] meets it.
    ///
    /// # Panics
    /// Where the shapes or the form of the activations do not fit the matrix.
    pub fn matmul(&self, w: &Matrix, x: &Activations, out: &mut [f32]) {
        assert_eq!(x.kind(), w.kind().activation(), "{} weights take another form of activations", w.kind());
        assert_eq!(x.cols(), w.cols(), "as many activations as the matrix has columns");
        assert_eq!(out.len(), x.tokens() * w.rows(), "out is [T][R]");
        for band in 0..w.bands() {
            let first = band * BAND_ROWS;
            let rows = BAND_ROWS.min(w.rows() - first);
            portable::matmul(w, band, x, 0..x.tokens(), |t, sums| {
                out[t * w.rows() + first..][..rows].copy_from_slice(&sums[..rows]);
            });
        }
    }

    /// RMS norm of every row of `x` `[T][n]`, n the length of `gain`: `y_i = (x_i * (1 / sqrt(sum_sq / n + eps))) * gain_i`.
    ///
    /// # Errors
    /// [`Fault`] (`rms_norm`) at the first number that is not finite, or at the start of a row whose sum of squares is not.
    ///
    /// # Panics
    /// Where `gain` is empty, `x` is no whole number of rows, or `out` is not as long as `x`.
    pub fn rms_norm(&self, x: &[f32], gain: &[f32], eps: f32, out: &mut [f32]) -> Result<(), Fault> {
        let n = gain.len();
        assert!(n > 0 && x.len().is_multiple_of(n), "x is [T][{n}], found {} numbers", x.len());
        assert_eq!(x.len(), out.len(), "out has the shape of x");
        for (t, (x, out)) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)).enumerate() {
            portable::rms_norm(x, gain, eps, out).map_err(|fault| Fault { index: t * n + fault.index, ..fault })?;
        }
        Ok(())
    }

    /// `x = x + y`, element by element.
    ///
    /// # Panics
    /// Where the lengths differ.
    pub fn add(&self, x: &mut [f32], y: &[f32]) {
        assert_eq!(x.len(), y.len(), "as many numbers on both sides");
        for (x, y) in x.iter_mut().zip(y) {
            *x += y;
        }
    }

    /// `x = x * factor`, element by element.
    pub fn scale(&self, x: &mut [f32], factor: f32) {
        for x in x {
            *x *= factor;
        }
    }

    /// `gate = silu(gate) * up`, element by element. A number that is not finite gives one that is not finite.
    ///
    /// # Panics
    /// Where the lengths differ.
    pub fn silu_mul(&self, gate: &mut [f32], up: &[f32]) {
        assert_eq!(gate.len(), up.len(), "as many numbers on both sides");
        for (g, u) in gate.iter_mut().zip(up) {
            *g = portable::silu(*g) * u;
        }
    }

    /// `gate = gelu(gate) * up`, element by element. A number that is not finite gives one that is not finite.
    ///
    /// # Panics
    /// Where the lengths differ.
    pub fn gelu_mul(&self, gate: &mut [f32], up: &[f32]) {
        assert_eq!(gate.len(), up.len(), "as many numbers on both sides");
        for (g, u) in gate.iter_mut().zip(up) {
            *g = portable::gelu(*g) * u;
        }
    }

    /// Rotates every head of `x` `[T][heads][head_dim]`. `table[t]` is the rotary row of token t's position: the cosines of all
    /// pairs, then their sines. Pairs `(a, b)` become `(a cos - b sin, b cos + a sin)`; numbers beyond the pairs stay.
    ///
    /// # Panics
    /// Where the shapes do not fit each other.
    pub fn rope(&self, x: &mut [f32], heads: usize, head_dim: usize, table: &[&[f32]], style: RopeStyle) {
        assert_eq!(x.len(), table.len() * heads * head_dim, "x is [T][heads][head_dim], with a table row per token");
        if x.is_empty() {
            return;
        }
        for (x, row) in x.chunks_exact_mut(heads * head_dim).zip(table) {
            assert!(row.len() <= head_dim && row.len().is_multiple_of(2), "a row holds cosines and as many sines");
            let pairs = row.len() / 2;
            let (cos, sin) = row.split_at(pairs);
            let (second, step) = match style {
                RopeStyle::Interleaved => (1, 2),
                RopeStyle::Halves => (pairs, 1),
            };
            for head in x.chunks_exact_mut(head_dim) {
                portable::rope(head, cos, sin, second, step);
            }
        }
    }

    /// Canonical attention of each query over the keys before it; `out` is `[queries][heads][head_dim]`.
    ///
    /// # Errors
    /// [`Fault`] (`attention`) where a score is not finite; the index is query * heads + head.
    ///
    /// # Panics
    /// Where the shapes do not fit each other.
    pub fn attention(&self, shape: &AttentionShape, queries: &[Query<'_>], out: &mut [f32]) -> Result<(), Fault> {
        shape.check(queries, out);
        if out.is_empty() {
            return Ok(());
        }
        for (i, out) in out.chunks_exact_mut(shape.head_dim).enumerate() {
            portable::attention(shape, &queries[i / shape.heads], i % shape.heads, out)
                .map_err(|fault| Fault { index: i, ..fault })?;
        }
        Ok(())
    }

    /// The largest of `x`; a zero is +0, and an empty slice gives the most negative finite number.
    pub fn max(&self, x: &[f32]) -> f32 {
        portable::max(x)
    }

    /// Integer sampling weights: [`portable::sample_weights`].
    ///
    /// # Errors
    /// As [`portable::sample_weights`].
    ///
    /// # Panics
    /// As [`portable::sample_weights`].
    pub fn sample_weights(&self, logits: &[f32], temperature: f32, out: &mut [u64]) -> Result<u128, Fault> {
        portable::sample_weights(logits, temperature, out)
    }
}
