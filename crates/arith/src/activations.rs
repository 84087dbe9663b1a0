#![expect(unsafe_code, reason = "threads fill the rows of one buffer, each its own")]
#![expect(clippy::inline_always, reason = "the sums only get the quantiser's instruction set when they are inlined")]
//! Activations in the form that a product reads.

use crate::shared::SharedSlice;
use crate::weight::ActivationKind;

/// Words of sums that a block of 32 has.
pub(crate) const SUMS32: usize = 4;
/// Words of sums that a block of 256 has.
pub(crate) const SUMS256: usize = 12;

/// T tokens of C activations each, as they are or quantised to signed bytes. The buffers are kept between uses.
///
/// Layout: `quants [T][C]` i8 and `scales [T][C / block]` f32, or `values [T][C]` f32 for [`ActivationKind::F32`]. `sums` repeats
/// what the quants say, in the forms that kernels want to have at hand:
///
/// - a block of 32, `SUMS32` words: -128, -16 and -8 times the sum of the quants; the bits of `f32(sum) * scale`;
/// - a block of 256, `SUMS256` words: the 16 sums of 16 quants as pairs of `i16`, the 8 sums of 32 likewise.
#[derive(Debug, Clone)]
pub struct Activations {
    pub(crate) kind: ActivationKind,
    pub(crate) tokens: usize,
    pub(crate) cols: usize,
    pub(crate) values: Vec<f32>,
    pub(crate) quants: Vec<i8>,
    pub(crate) scales: Vec<f32>,
    pub(crate) sums: Vec<i32>,
}

impl Default for Activations {
    fn default() -> Self {
        Self::new()
    }
}

impl Activations {
    /// No tokens: a buffer to quantise into.
    pub const fn new() -> Self {
        Self {
            kind: ActivationKind::F32,
            tokens: 0,
            cols: 0,
            values: Vec::new(),
            quants: Vec::new(),
            scales: Vec::new(),
            sums: Vec::new(),
        }
    }

    /// One token's activations as they are.
    pub fn from_values(values: &[f32]) -> Self {
        let mut out = Self::new();
        out.reshape(ActivationKind::F32, 1, values.len());
        out.values.copy_from_slice(values);
        out
    }

    /// One token's activations, already quantised: `quants` `[C]` and `scales` `[C / block]`.
    ///
    /// # Panics
    /// Where the lengths do not belong together, or `kind` is not quantised.
    pub fn from_quants(kind: ActivationKind, quants: &[i8], scales: &[f32]) -> Self {
        assert!(kind != ActivationKind::F32 && quants.len() == scales.len() * kind.block_len(), "whole blocks");
        let mut out = Self::new();
        out.reshape(kind, 1, quants.len());
        out.quants.copy_from_slice(quants);
        out.scales.copy_from_slice(scales);
        let words = out.sums.len() / scales.len().max(1);
        let blocks = quants.chunks_exact(kind.block_len()).zip(out.sums.chunks_exact_mut(words.max(1)));
        for ((quants, sums), scale) in blocks.zip(scales) {
            Self::fill_sums(kind, quants, *scale, sums);
        }
        out
    }

    /// The form.
    pub fn kind(&self) -> ActivationKind {
        self.kind
    }

    /// Tokens held.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Activations per token.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The quantised activations, `[T][C]`; none where the kind is [`ActivationKind::F32`].
    pub fn quants(&self) -> &[i8] {
        &self.quants
    }

    /// The scales of the blocks, `[T][C / block]`; none where the kind is [`ActivationKind::F32`].
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }

    /// Sets the shape and the lengths of the buffers that the kind uses.
    pub(crate) fn reshape(&mut self, kind: ActivationKind, tokens: usize, cols: usize) {
        self.kind = kind;
        self.tokens = tokens;
        self.cols = cols;
        let quantised = if kind == ActivationKind::F32 { 0 } else { tokens * cols };
        self.values.resize(tokens * cols - quantised, 0.0);
        self.quants.resize(quantised, 0);
        self.scales.resize(quantised / kind.block_len(), 0.0);
        let words = if kind == ActivationKind::Block256 { SUMS256 } else { SUMS32 };
        self.sums.resize(quantised / kind.block_len() * words, 0);
    }

    /// Fills in the sums of a block from its quants and its scale.
    #[inline(always)]
    pub(crate) fn fill_sums(kind: ActivationKind, quants: &[i8], scale: f32, sums: &mut [i32]) {
        if kind == ActivationKind::Block32 {
            let s = sum(quants);
            let scaled = s as f32 * scale;
            sums.copy_from_slice(&[-128 * s, -16 * s, -8 * s, scaled.to_bits().cast_signed()]);
        } else {
            for (word, quants) in sums[..8].iter_mut().zip(quants.chunks_exact(32)) {
                *word = pair(sum(&quants[..16]), sum(&quants[16..]));
            }
            for (word, quants) in sums[8..].iter_mut().zip(quants.chunks_exact(64)) {
                *word = pair(sum(&quants[..32]), sum(&quants[32..]));
            }
        }
    }

    /// The buffers, for several threads to fill token by token.
    pub(crate) fn targets(&mut self) -> Targets<'_> {
        Targets {
            kind: self.kind,
            tokens: self.tokens,
            values: SharedSlice::new(&mut self.values),
            quants: SharedSlice::new(&mut self.quants),
            scales: SharedSlice::new(&mut self.scales),
            sums: SharedSlice::new(&mut self.sums),
        }
    }
}

#[inline(always)]
fn sum(quants: &[i8]) -> i32 {
    let mut sum = 0;
    for &q in quants {
        sum += i32::from(q);
    }
    sum
}

/// Two 16-bit integers in one word.
#[inline(always)]
fn pair(a: i32, b: i32) -> i32 {
    (a & 0xffff) | (b << 16)
}

/// The buffers of [`Activations`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Targets<'a> {
    kind: ActivationKind,
    tokens: usize,
    values: SharedSlice<'a, f32>,
    quants: SharedSlice<'a, i8>,
    scales: SharedSlice<'a, f32>,
    sums: SharedSlice<'a, i32>,
}

/// The buffers of one token; those that its kind does not use are empty.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    pub(crate) kind: ActivationKind,
    pub(crate) values: &'a mut [f32],
    pub(crate) quants: &'a mut [i8],
    pub(crate) scales: &'a mut [f32],
    pub(crate) sums: &'a mut [i32],
}

impl<'a> Targets<'a> {
    /// The buffers of token `t`.
    ///
    /// # Safety
    /// Each token is taken once at a time.
    pub(crate) unsafe fn token(&self, t: usize) -> Target<'a> {
        // SAFETY: rows of different tokens do not overlap, and the caller takes each once.
        unsafe {
            Target {
                kind: self.kind,
                values: self.values.row(t, self.tokens),
                quants: self.quants.row(t, self.tokens),
                scales: self.scales.row(t, self.tokens),
                sums: self.sums.row(t, self.tokens),
            }
        }
    }
}
