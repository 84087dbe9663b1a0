#![expect(
    unsafe_code,
    reason = "kernels walk packed weights and activations by pointers whose bounds the caller checked"
)]
#![expect(clippy::inline_always, reason = "code over `Lanes` only gets the instruction set when it is inlined")]
//! What one block of each weight type adds to the sums of N rows and T tokens.
//!
//! Weights of a block are unpacked once and used for all T tokens. Words and planes are those of `layout`.

use crate::activations::{SUMS32, SUMS256};
use crate::lanes::Lanes;
use crate::layout::BAND_ROWS;

/// Bytes of a word of all rows of a band.
const WORD: usize = 4 * BAND_ROWS;
/// Bytes of a plane of 16 f16 scales.
const PLANE: usize = 2 * BAND_ROWS;

/// One block of N rows of a band.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockAt {
    /// The block's scales, at the first of the N rows.
    pub(crate) scales: *const u8,
    /// The block's factors, at the first of the N rows.
    pub(crate) factors: *const u8,
    /// The block's quants, at the first of the N rows.
    pub(crate) quants: *const u8,
}

/// One block of T tokens; what belongs to token t lies t strides further.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokensAt {
    /// Quantised activations, `stride` bytes from token to token.
    pub(crate) quants: *const i8,
    pub(crate) quants_stride: usize,
    /// One scale per token, `blocks` floats from token to token.
    pub(crate) scales: *const f32,
    /// [`SUMS32`] or [`SUMS256`] words per block (see [`crate::Activations`]).
    pub(crate) sums: *const i32,
    /// Blocks of a row.
    pub(crate) blocks: usize,
}

impl TokensAt {
    #[inline(always)]
    unsafe fn quants(&self, t: usize) -> *const i8 {
        // SAFETY: the caller's T tokens lie there.
        unsafe { self.quants.add(t * self.quants_stride) }
    }

    #[inline(always)]
    unsafe fn scale<L: Lanes>(&self, l: L, t: usize) -> L::F {
        // SAFETY: as above.
        l.splat(unsafe { *self.scales.add(t * self.blocks) })
    }

    /// Word `which` of the sums of a block of 32.
    #[inline(always)]
    unsafe fn sum32(&self, t: usize, which: usize) -> i32 {
        // SAFETY: as above; `which` is below SUMS32.
        unsafe { *self.sums.add(t * self.blocks * SUMS32 + which) }
    }

    /// Word `which` of the sums of a block of 256.
    #[inline(always)]
    unsafe fn sum256(&self, t: usize, which: usize) -> i32 {
        // SAFETY: as above; `which` is below SUMS256.
        unsafe { *self.sums.add(t * self.blocks * SUMS256 + which) }
    }
}

/// A quantised weight type.
pub(crate) trait Format {
    /// `acc[t] = acc[t] + term` for the block `w` and each of the T tokens `x`.
    ///
    /// # Safety
    /// `w` and `x` point at a whole block of this type, of N rows and T tokens.
    unsafe fn add_block<L: Lanes, const T: usize>(l: L, w: BlockAt, x: TokensAt, acc: &mut [L::F; T]);
}

/// `acc + f32(s) * (d * a_scale)`
#[inline(always)]
fn plain_term<L: Lanes>(l: L, acc: L::F, s: L::I, d: L::F, a_scale: L::F) -> L::F {
    l.add(acc, l.mul(l.to_float(s), l.mul(d, a_scale)))
}

/// `acc + (f32(s) * (d * a_scale) + m * a_sum)`
#[inline(always)]
fn minimum_term<L: Lanes>(l: L, acc: L::F, s: L::I, d: L::F, a_scale: L::F, m: L::F, a_sum: L::F) -> L::F {
    l.add(acc, l.add(l.mul(l.to_float(s), l.mul(d, a_scale)), l.mul(m, a_sum)))
}

/// Eight words of nibbles: the low ones of four lines, then the high ones.
#[inline(always)]
unsafe fn nibbles32<L: Lanes>(l: L, quants: *const u8) -> [L::B; 8] {
    // SAFETY: the caller's block holds four lines of words.
    let packed = unsafe { four!(i => l.load_bytes(quants.add(i * WORD))) };
    eight!(g => if g < 4 { l.low_nibbles(packed[g]) } else { l.high_nibbles(packed[g - 4]) })
}

/// As [`nibbles32`], with the fifth bits of the fifth line.
#[inline(always)]
unsafe fn fives32<L: Lanes>(l: L, quants: *const u8) -> [L::B; 8] {
    // SAFETY: the caller's block holds five lines of words.
    let (low, fifth) = unsafe { (nibbles32(l, quants), l.load_bytes(quants.add(4 * WORD))) };
    eight!(g => l.with_upper_bits(low[g], fifth, g as u32, 1))
}

/// Signed bytes.
pub(crate) struct Q8;

impl Format for Q8 {
    #[inline(always)]
    unsafe fn add_block<L: Lanes, const T: usize>(l: L, w: BlockAt, x: TokensAt, acc: &mut [L::F; T]) {
        // SAFETY: the caller vouches for the block and the tokens; the bound of the sums is beside `dot_signed`.
        unsafe {
            let quants = eight!(g => l.prepare_signed(l.load_bytes(w.quants.add(g * WORD))));
            let d = l.load_f16(w.scales);
            for (t, acc) in acc.iter_mut().enumerate() {
                let s = l.dot_signed(&quants, x.quants(t), x.sum32(t, 0));
                *acc = plain_term(l, *acc, s, d, x.scale(l, t));
            }
        }
    }
}

/// Nibbles (`FIFTH` false) or five bits, less 8 or 16.
pub(crate) struct Offset<const FIFTH: bool>;

impl<const FIFTH: bool> Format for Offset<FIFTH> {
    #[inline(always)]
    unsafe fn add_block<L: Lanes, const T: usize>(l: L, w: BlockAt, x: TokensAt, acc: &mut [L::F; T]) {
        // SAFETY: as for `Q8`. `sum32` 1 and 2 are -16 and -8 times the sum of the activations.
        unsafe {
            let quants = if FIFTH { fives32(l, w.quants) } else { nibbles32(l, w.quants) };
            let d = l.load_f16(w.scales);
            for (t, acc) in acc.iter_mut().enumerate() {
                let init = l.splat_i(x.sum32(t, if FIFTH { 1 } else { 2 }));
                let s = if FIFTH {
                    l.dot::<8, 31>(init, &quants, x.quants(t))
                } else {
                    l.dot::<8, 15>(init, &quants, x.quants(t))
                };
                *acc = plain_term(l, *acc, s, d, x.scale(l, t));
            }
        }
    }
}

/// Nibbles (`FIFTH` false) or five bits, and a minimum.
pub(crate) struct Minimum<const FIFTH: bool>;

impl<const FIFTH: bool> Format for Minimum<FIFTH> {
    #[inline(always)]
    unsafe fn add_block<L: Lanes, const T: usize>(l: L, w: BlockAt, x: TokensAt, acc: &mut [L::F; T]) {
        // SAFETY: as for `Q8`. `sum32` 3 is the scaled sum of the activations, as a float's bits.
        unsafe {
            let quants = if FIFTH { fives32(l, w.quants) } else { nibbles32(l, w.quants) };
            let d = l.load_f16(w.scales);
            let m = l.load_f16(w.scales.add(PLANE));
            for (t, acc) in acc.iter_mut().enumerate() {
                let s = if FIFTH {
                    l.dot::<8, 31>(l.splat_i(0), &quants, x.quants(t))
                } else {
                    l.dot::<8, 15>(l.splat_i(0), &quants, x.quants(t))
                };
                let a_sum = l.splat(f32::from_bits(x.sum32(t, 3).cast_unsigned()));
                *acc = minimum_term(l, *acc, s, d, x.scale(l, t), m, a_sum);
            }
        }
    }
}

/// Super-blocks of nibbles (`FIFTH` false) or five bits, with six-bit scales and minimums.
pub(crate) struct SuperMinimum<const FIFTH: bool>;

impl<const FIFTH: bool> Format for SuperMinimum<FIFTH> {
    #[inline(always)]
    unsafe fn add_block<L: Lanes, const T: usize>(l: L, w: BlockAt, x: TokensAt, acc: &mut [L::F; T]) {
        // SAFETY: as for `Q8`. Sums stay below 256 * 31 * 127 * 63 (63.5 million), minimums below 256 * 127 * 63.
        unsafe {
            let mut s = [l.splat_i(0); T];
            for c in 0..4 {
                let factors = l.load_pairs_u8(w.factors.add(c * PLANE));
                let line = eight!(g => l.load_bytes(w.quants.add((8 * c + g) * WORD)));
                let mut low = eight!(g => l.low_nibbles(line[g]));
                if FIFTH {
                    low = with_fifth(l, low, w.quants, 2 * c);
                }
                let factor = l.first_factor(factors);
                for (t, s) in s.iter_mut().enumerate() {
                    let a = x.quants(t).add(64 * c);
                    *s = if FIFTH {
                        l.scaled_dot::<8, 31>(*s, factor, &low, a)
                    } else {
                        l.scaled_dot::<8, 15>(*s, factor, &low, a)
                    };
                }
                let mut high = eight!(g => l.high_nibbles(line[g]));
                if FIFTH {
                    high = with_fifth(l, high, w.quants, 2 * c + 1);
                }
                let factor = l.second_factor(factors);
                for (t, s) in s.iter_mut().enumerate() {
                    let a = x.quants(t).add(64 * c + 32);
                    *s = if FIFTH {
                        l.scaled_dot::<8, 31>(*s, factor, &high, a)
                    } else {
                        l.scaled_dot::<8, 15>(*s, factor, &high, a)
                    };
                }
            }
            let d = l.load_f16(w.scales);
            let dmin = l.load_f16(w.scales.add(PLANE));
            let minimums = four!(c => l.load_pairs_u8(w.factors.add(128 + c * PLANE)));
            for (t, acc) in acc.iter_mut().enumerate() {
                let mut m = l.splat_i(0);
                for (c, minimums) in minimums.iter().enumerate() {
                    m = l.dot_pairs(m, *minimums, x.sum256(t, 8 + c));
                }
                let a_scale = x.scale(l, t);
                let scaled = l.mul(l.to_float(s[t]), l.mul(d, a_scale));
                let minimum = l.mul(l.to_float(m), l.mul(dmin, a_scale));
                *acc = l.add(*acc, l.sub(scaled, minimum));
            }
        }
    }
}

/// Sets the fifth bits of sub-block `j`.
#[inline(always)]
unsafe fn with_fifth<L: Lanes>(l: L, low: [L::B; 8], quants: *const u8, j: usize) -> [L::B; 8] {
    eight!(g => {
        // SAFETY: the caller's block holds eight lines of fifth bits after its 32 lines of nibbles.
        let fifth = unsafe { l.load_bytes(quants.add((32 + g) * WORD)) };
        l.with_upper_bits(low[g], fifth, j as u32, 1)
    })
}

/// Super-blocks of six bits less 32, with signed byte scales.
pub(crate) struct Super6;

impl Format for Super6 {
    #[inline(always)]
    unsafe fn add_block<L: Lanes, const T: usize>(l: L, w: BlockAt, x: TokensAt, acc: &mut [L::F; T]) {
        // SAFETY: as for `Q8`. Sums stay below 256 * 63 * 127 * 128 (262.2 million) before the offset is taken away.
        unsafe {
            let mut s = [l.splat_i(0); T];
            for h in 0..2 {
                for p in 0..4 {
                    // Sub-blocks 8h + 2p and 8h + 2p + 1: elements 128h + 32p ..+ 32.
                    let factors = l.load_pairs_i8(w.factors.add((4 * h + p) * PLANE));
                    let six = eight!(g => {
                        let nibbles = l.load_bytes(w.quants.add((16 * h + 8 * (p % 2) + g) * WORD));
                        let upper = l.load_bytes(w.quants.add((32 + 8 * h + g) * WORD));
                        let low = if p < 2 { l.low_nibbles(nibbles) } else { l.high_nibbles(nibbles) };
                        l.with_upper_bits(low, upper, 2 * p as u32, 3)
                    });
                    let [w0, w1, w2, w3, w4, w5, w6, w7] = six;
                    let (first, second) = (l.first_factor(factors), l.second_factor(factors));
                    for (t, s) in s.iter_mut().enumerate() {
                        let a = x.quants(t).add(128 * h + 32 * p);
                        *s = l.scaled_dot::<4, 63>(*s, first, &[w0, w1, w2, w3], a);
                        *s = l.scaled_dot::<4, 63>(*s, second, &[w4, w5, w6, w7], a.add(16));
                    }
                }
            }
            let d = l.load_f16(w.scales);
            let factors = eight!(c => l.load_pairs_i8(w.factors.add(c * PLANE)));
            for (t, acc) in acc.iter_mut().enumerate() {
                let mut offset = l.splat_i(0);
                for (c, factors) in factors.iter().enumerate() {
                    offset = l.dot_pairs(offset, *factors, x.sum256(t, c));
                }
                let s = l.sub_i(s[t], l.shl_i::<5>(offset));
                *acc = plain_term(l, *acc, s, d, x.scale(l, t));
            }
        }
    }
}
