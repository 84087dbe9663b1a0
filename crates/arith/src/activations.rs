//! Activations in the form that a product reads.

use crate::weight::ActivationKind;

/// T tokens of C activations each, as they are or quantised to signed bytes. The buffers are kept between uses.
///
/// Layout: `quants [T][C]` i8, `scales [T][C / block]` f32, `sums` (Block32: `[T][C / 32]`, Block256: `[T][C / 16]`) the exact
/// sums of 32 or 16 quantised values, or `values [T][C]` f32 for [`ActivationKind::F32`].
#[derive(Debug, Clone)]
pub struct Activations {
    pub(crate) kind: ActivationKind,
    pub(crate) tokens: usize,
    pub(crate) cols: usize,
    pub(crate) values: Vec<f32>,
    pub(crate) quants: Vec<i8>,
    pub(crate) scales: Vec<f32>,
    pub(crate) sums: Vec<i16>,
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

    /// Elements per entry of `sums`: the sub-blocks of a super-block are 16 or 32 long, and sums of 16 serve both.
    pub(crate) const fn sum_len(kind: ActivationKind) -> usize {
        match kind {
            ActivationKind::F32 => 1,
            ActivationKind::Block32 => 32,
            ActivationKind::Block256 => 16,
        }
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
        self.sums.resize(quantised / Self::sum_len(kind), 0);
    }
}
