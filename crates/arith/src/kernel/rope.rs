#![expect(unsafe_code, reason = "vectors are loaded and stored by pointers into chunks of known length")]
#![expect(clippy::inline_always, reason = "code over `Lanes` only gets the instruction set when it is inlined")]
//! Rotary embedding of one token.

use crate::lanes::{Kernel, Lanes};
use crate::machine::RopeStyle;
use crate::portable;

/// Widest rotation for which the vector code has room; wider ones go the plain way.
const WIDTH_MAX: usize = 512;

/// Turns the pairs of every head of `x`.
#[derive(Debug)]
pub(crate) struct Rope<'a> {
    /// `[heads][head_dim]`
    pub(crate) x: &'a mut [f32],
    pub(crate) head_dim: usize,
    pub(crate) cos: &'a [f32],
    pub(crate) sin: &'a [f32],
    pub(crate) style: RopeStyle,
}

impl Kernel for Rope<'_> {
    type Output = ();

    fn portable(self) {
        let (second, step) = match self.style {
            RopeStyle::Interleaved => (1, 2),
            RopeStyle::Halves => (self.cos.len(), 1),
        };
        for head in self.x.chunks_exact_mut(self.head_dim) {
            portable::rope(head, self.cos, self.sin, second, step);
        }
    }

    #[inline(always)]
    fn lanes<L: Lanes>(self, l: L) {
        let pairs = self.cos.len();
        if !pairs.is_multiple_of(L::N) || 2 * pairs > WIDTH_MAX {
            return self.portable();
        }
        match self.style {
            RopeStyle::Halves => self.halves(l),
            RopeStyle::Interleaved => self.neighbours(l),
        }
    }
}

impl Rope<'_> {
    #[inline(always)]
    fn halves<L: Lanes>(self, l: L) {
        let pairs = self.cos.len().min(self.sin.len());
        for head in self.x.chunks_exact_mut(self.head_dim) {
            let (first, second) = head.split_at_mut(pairs);
            for i in (0..pairs).step_by(L::N) {
                // SAFETY: both halves hold `pairs` numbers, and so do the cosines and sines; N divides `pairs`.
                unsafe {
                    let (p, q) = (first.as_mut_ptr().add(i), second[..pairs].as_mut_ptr().add(i));
                    let (a, b) = (l.load(p), l.load(q));
                    let (c, s) = (l.load(self.cos.as_ptr().add(i)), l.load(self.sin.as_ptr().add(i)));
                    l.store(p, l.sub(l.mul(a, c), l.mul(b, s)));
                    l.store(q, l.add(l.mul(b, c), l.mul(a, s)));
                }
            }
        }
    }

    /// `a c - b s` is `a c + b (-s)` to the last bit, so both of a pair are a number times the cosine plus its neighbour times
    /// a signed sine.
    #[inline(always)]
    fn neighbours<L: Lanes>(self, l: L) {
        let width = 2 * self.cos.len().min(self.sin.len());
        let (mut cos, mut sin) = ([0.0f32; WIDTH_MAX], [0.0f32; WIDTH_MAX]);
        for (pair, (c, s)) in self.cos.iter().zip(self.sin).enumerate() {
            cos[2 * pair..][..2].fill(*c);
            (sin[2 * pair], sin[2 * pair + 1]) = (-s, *s);
        }
        for head in self.x.chunks_exact_mut(self.head_dim) {
            let head = &mut head[..width];
            for i in (0..width).step_by(L::N) {
                // SAFETY: `width` numbers in the head and in both tables; N divides `width`.
                unsafe {
                    let x = l.load(head.as_ptr().add(i));
                    let (c, s) = (l.load(cos.as_ptr().add(i)), l.load(sin.as_ptr().add(i)));
                    let turned = l.add(l.mul(x, c), l.mul(l.swap_neighbours(x), s));
                    l.store(head.as_mut_ptr().add(i), turned);
                }
            }
        }
    }
}
