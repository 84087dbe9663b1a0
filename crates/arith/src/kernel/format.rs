#![expect(
    unsafe_code,
    reason = "kernels walk packed weights and activations by pointers whose bounds the caller checked"
)]
#![expect(clippy::inline_always, reason = "code over `Lanes` only gets the instruction set when it is inlined")]
//! What one block of each weight type adds to the sums of N rows and T tokens.
//!
//! Weights of a block are unpacked once and used for all T tokens. Words and planes are those of `layout`.

use crate::activations::{SUMS32, SUMS256};
use crate::lanes::{Lanes, TILE_TOKENS};
use crate::layout::{BAND_ROWS, BandLayout};

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
    /// Elements of a block.
    pub(crate) block_len: usize,
    /// Words of sums of a block.
    pub(crate) words: usize,
}

impl BlockAt {
    /// Block `block` of the band at `band`, from row `row` on.
    ///
    /// # Safety
    /// The band has the layout and that block.
    #[inline(always)]
    pub(crate) unsafe fn new(layout: &BandLayout, band: *const u8, block: usize, row: usize) -> Self {
        // SAFETY: the caller's word; a row is two bytes further in a plane of f16 or byte pairs and four in a word.
        unsafe {
            Self {
                scales: band.add(block * layout.scale_bytes + 2 * row),
                factors: band.add(layout.factors + block * layout.factor_bytes + 2 * row),
                quants: band.add(layout.quants + block * layout.quant_bytes + 4 * row),
            }
        }
    }
}

impl TokensAt {
    /// The same tokens at block `block`.
    ///
    /// # Safety
    /// `self` is at block 0 and there is such a block.
    #[inline(always)]
    pub(crate) unsafe fn block(self, block: usize) -> Self {
        // SAFETY: the caller's word.
        unsafe {
            Self {
                quants: self.quants.add(block * self.block_len),
                scales: self.scales.add(block),
                sums: self.sums.add(block * self.words),
                ..self
            }
        }
    }

    /// The tokens from `t` on.
    ///
    /// # Safety
    /// There is such a token.
    #[inline(always)]
    pub(crate) unsafe fn token(self, t: usize) -> Self {
        // SAFETY: the caller's word.
        unsafe {
            Self {
                quants: self.quants.add(t * self.quants_stride),
                scales: self.scales.add(t * self.blocks),
                sums: self.sums.add(t * self.blocks * self.words),
                ..self
            }
        }
    }

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
    /// What a unit for tiles takes: parts of 32 bytes a row that share a sub-scale, of which a block has this many.
    const PARTS: usize;
    /// Whether the bytes of a part are signed.
    const SIGNED: bool;

    /// The exact sums of the block `w` with each of the T tokens `x`, as `add` takes them.
    ///
    /// # Safety
    /// `w` and `x` point at a whole block of this type, of N rows and T tokens.
    unsafe fn sums<L: Lanes, const T: usize>(l: L, w: BlockAt, x: TokensAt) -> [L::I; T];

    /// `acc[t] = acc[t] + term` for the block and its sums; here as the types without a minimum have it.
    ///
    /// # Safety
    /// As for `sums`.
    #[inline(always)]
    unsafe fn add<L: Lanes, const T: usize>(l: L, w: BlockAt, x: TokensAt, sums: &[L::I; T], acc: &mut [L::F; T]) {
        // SAFETY: the caller vouches for the block and the tokens.
        unsafe {
            let d = l.load_f16(w.scales);
            for (t, acc) in acc.iter_mut().enumerate() {
                *acc = plain_term(l, *acc, sums[t], d, x.scale(l, t));
            }
        }
    }

    /// The bytes of part `part` of a block.
    ///
    /// # Safety
    /// `quants` points at a whole block, `part` is below `PARTS`.
    unsafe fn part<L: Lanes>(l: L, quants: *const u8, part: usize) -> [L::B; 8];

    /// As `sums`, from the sums of the parts, `[PARTS][16 tokens][16 rows]`, of which the first T tokens are taken; here
    /// those of the only part, as they are.
    ///
    /// # Safety
    /// As for `sums`; N is 16.
    #[inline(always)]
    unsafe fn join<L: Lanes, const T: usize>(l: L, _: BlockAt, _: TokensAt, parts: *const i32) -> [L::I; T] {
        // SAFETY: the caller vouches for the sums.
        unsafe { sums_at(l, parts) }
    }
}

/// Sums of one part, as they are.
#[inline(always)]
unsafe fn sums_at<L: Lanes, const T: usize>(l: L, sums: *const i32) -> [L::I; T] {
    let mut s = [l.splat_i(0); T];
    for (t, s) in s.iter_mut().enumerate() {
        // SAFETY: the caller's T lines of 16 sums.
        *s = l.bits(unsafe { l.load(sums.add(BAND_ROWS * t).cast()) });
    }
    s
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
    const PARTS: usize = 1;
    const SIGNED: bool = true;

    #[inline(always)]
    unsafe fn sums<L: Lanes, const T: usize>(l: L, w: BlockAt, x: TokensAt) -> [L::I; T] {
        let mut s = [l.splat_i(0); T];
        // SAFETY: the caller vouches for the block and the tokens; the bound of the sums is beside `dot_signed`.
        unsafe {
            let quants = eight!(g => l.prepare_signed(l.load_bytes(w.quants.add(g * WORD))));
            for (t, s) in s.iter_mut().enumerate() {
                *s = l.dot_signed(&quants, x.quants(t), x.sum32(t, 0));
            }
        }
        s
    }

    #[inline(always)]
    unsafe fn part<L: Lanes>(l: L, quants: *const u8, _: usize) -> [L::B; 8] {
        // SAFETY: as above.
        unsafe { eight!(g => l.load_bytes(quants.add(g * WORD))) }
    }
}

/// Nibbles (`FIFTH` false) or five bits, less 8 or 16.
pub(crate) struct Offset<const FIFTH: bool>;

impl<const FIFTH: bool> Offset<FIFTH> {
    /// Which word of the sums is -8 or -16 times the sum of the activations.
    const WHICH: usize = if FIFTH { 1 } else { 2 };
}

impl<const FIFTH: bool> Format for Offset<FIFTH> {
    const PARTS: usize = 1;
    const SIGNED: bool = false;

    #[inline(always)]
    unsafe fn sums<L: Lanes, const T: usize>(l: L, w: BlockAt, x: TokensAt) -> [L::I; T] {
        let mut s = [l.splat_i(0); T];
        // SAFETY: as for `Q8`.
        unsafe {
            for (t, s) in s.iter_mut().enumerate() {
                *s = l.splat_i(x.sum32(t, Self::WHICH));
            }
            add_dots::<L, FIFTH, T>(l, w, x, &mut s);
        }
        s
    }

    #[inline(always)]
    unsafe fn part<L: Lanes>(l: L, quants: *const u8, _: usize) -> [L::B; 8] {
        // SAFETY: as for `Q8`.
        unsafe { unsigned32::<L, FIFTH>(l, quants) }
    }

    #[inline(always)]
    unsafe fn join<L: Lanes, const T: usize>(l: L, _: BlockAt, x: TokensAt, parts: *const i32) -> [L::I; T] {
        // SAFETY: as for `Q8`.
        unsafe {
            let mut s = sums_at::<L, T>(l, parts);
            for (t, s) in s.iter_mut().enumerate() {
                *s = l.add_i(*s, l.splat_i(x.sum32(t, Self::WHICH)));
            }
            s
        }
    }
}

/// Nibbles (`FIFTH` false) or five bits, and a minimum.
pub(crate) struct Minimum<const FIFTH: bool>;

impl<const FIFTH: bool> Format for Minimum<FIFTH> {
    const PARTS: usize = 1;
    const SIGNED: bool = false;

    #[inline(always)]
    unsafe fn sums<L: Lanes, const T: usize>(l: L, w: BlockAt, x: TokensAt) -> [L::I; T] {
        let mut s = [l.splat_i(0); T];
        // SAFETY: as for `Q8`.
        unsafe { add_dots::<L, FIFTH, T>(l, w, x, &mut s) };
        s
    }

    #[inline(always)]
    unsafe fn add<L: Lanes, const T: usize>(l: L, w: BlockAt, x: TokensAt, sums: &[L::I; T], acc: &mut [L::F; T]) {
        // SAFETY: as for `Q8`. `sum32` 3 is the scaled sum of the activations, as a float's bits.
        unsafe {
            let d = l.load_f16(w.scales);
            let m = l.load_f16(w.scales.add(PLANE));
            for (t, acc) in acc.iter_mut().enumerate() {
                let a_sum = l.splat(f32::from_bits(x.sum32(t, 3).cast_unsigned()));
                *acc = minimum_term(l, *acc, sums[t], d, x.scale(l, t), m, a_sum);
            }
        }
    }

    #[inline(always)]
    unsafe fn part<L: Lanes>(l: L, quants: *const u8, _: usize) -> [L::B; 8] {
        // SAFETY: as for `Q8`.
        unsafe { unsigned32::<L, FIFTH>(l, quants) }
    }
}

/// The nibbles or five bits of a block of 32.
#[inline(always)]
unsafe fn unsigned32<L: Lanes, const FIFTH: bool>(l: L, quants: *const u8) -> [L::B; 8] {
    // SAFETY: the caller vouches for the block.
    unsafe { if FIFTH { fives32(l, quants) } else { nibbles32(l, quants) } }
}

/// Adds the dots of a block of nibbles or five bits.
#[inline(always)]
unsafe fn add_dots<L: Lanes, const FIFTH: bool, const T: usize>(l: L, w: BlockAt, x: TokensAt, s: &mut [L::I; T]) {
    // SAFETY: the caller vouches for the block and the tokens.
    unsafe {
        let quants = unsigned32::<L, FIFTH>(l, w.quants);
        for (t, s) in s.iter_mut().enumerate() {
            *s =
                if FIFTH { l.dot::<8, 31>(*s, &quants, x.quants(t)) } else { l.dot::<8, 15>(*s, &quants, x.quants(t)) };
        }
    }
}

/// Super-blocks of nibbles (`FIFTH` false) or five bits, with six-bit scales and minimums.
pub(crate) struct SuperMinimum<const FIFTH: bool>;

impl<const FIFTH: bool> Format for SuperMinimum<FIFTH> {
    const PARTS: usize = 8;
    const SIGNED: bool = false;

    // Sums stay below 256 * 31 * 127 * 63 (63.5 million), minimums below 256 * 127 * 63.

    #[inline(always)]
    unsafe fn sums<L: Lanes, const T: usize>(l: L, w: BlockAt, x: TokensAt) -> [L::I; T] {
        let mut s = [l.splat_i(0); T];
        for j in 0..Self::PARTS {
            // SAFETY: as for `Q8`.
            unsafe {
                let pairs = l.load_pairs_u8(w.factors.add(j / 2 * PLANE));
                let factor = if j.is_multiple_of(2) { l.first_factor(pairs) } else { l.second_factor(pairs) };
                let quants = Self::part(l, w.quants, j);
                for (t, s) in s.iter_mut().enumerate() {
                    let a = x.quants(t).add(32 * j);
                    *s = if FIFTH {
                        l.scaled_dot::<8, 31>(*s, factor, &quants, a)
                    } else {
                        l.scaled_dot::<8, 15>(*s, factor, &quants, a)
                    };
                }
            }
        }
        s
    }

    #[inline(always)]
    unsafe fn add<L: Lanes, const T: usize>(l: L, w: BlockAt, x: TokensAt, sums: &[L::I; T], acc: &mut [L::F; T]) {
        // SAFETY: as for `Q8`.
        unsafe {
            let d = l.load_f16(w.scales);
            let dmin = l.load_f16(w.scales.add(PLANE));
            let minimums = four!(c => l.load_pairs_u8(w.factors.add(128 + c * PLANE)));
            for (t, acc) in acc.iter_mut().enumerate() {
                let mut m = l.splat_i(0);
                for (c, minimums) in minimums.iter().enumerate() {
                    m = l.dot_pairs(m, *minimums, x.sum256(t, 8 + c));
                }
                let a_scale = x.scale(l, t);
                let scaled = l.mul(l.to_float(sums[t]), l.mul(d, a_scale));
                let minimum = l.mul(l.to_float(m), l.mul(dmin, a_scale));
                *acc = l.add(*acc, l.sub(scaled, minimum));
            }
        }
    }

    #[inline(always)]
    unsafe fn part<L: Lanes>(l: L, quants: *const u8, part: usize) -> [L::B; 8] {
        // SAFETY: as for `Q8`; a line of nibbles holds parts 2c (low) and 2c + 1, and eight lines of fifth bits follow the 32
        // lines of nibbles.
        unsafe {
            eight!(g => {
                let line = l.load_bytes(quants.add((part / 2 * 8 + g) * WORD));
                let four = if part.is_multiple_of(2) { l.low_nibbles(line) } else { l.high_nibbles(line) };
                if FIFTH {
                    l.with_upper_bits(four, l.load_bytes(quants.add((32 + g) * WORD)), part as u32, 1)
                } else {
                    four
                }
            })
        }
    }

    #[inline(always)]
    unsafe fn join<L: Lanes, const T: usize>(l: L, w: BlockAt, _: TokensAt, parts: *const i32) -> [L::I; T] {
        let mut s = [l.splat_i(0); T];
        for j in 0..Self::PARTS {
            // SAFETY: as for `Q8`.
            unsafe { add_scaled(l, l.load_pairs_u8(w.factors.add(j / 2 * PLANE)), j, parts, &mut s) };
        }
        s
    }
}

/// Adds the sums of part `j`, times the first or the second factor of `pairs`.
#[inline(always)]
unsafe fn add_scaled<L: Lanes, const T: usize>(l: L, pairs: L::I, j: usize, parts: *const i32, s: &mut [L::I; T]) {
    let factor = l.shr_i::<16>(if j.is_multiple_of(2) { l.shl_i::<16>(pairs) } else { pairs });
    // SAFETY: the caller's parts.
    let sums = unsafe { sums_at::<L, T>(l, parts.add(j * TILE_TOKENS * BAND_ROWS)) };
    for (s, sum) in s.iter_mut().zip(sums) {
        *s = l.add_i(*s, l.mul_i(factor, sum));
    }
}

/// Super-blocks of six bits less 32, with signed byte scales.
pub(crate) struct Super6;

impl Super6 {
    /// Elements 32 p ..+ 32: the lower 16 have sub-scale 2 p, the upper ones 2 p + 1.
    #[inline(always)]
    unsafe fn six<L: Lanes>(l: L, quants: *const u8, p: usize) -> [L::B; 8] {
        let (half, quarter) = (p / 4, p % 4);
        // SAFETY: the caller vouches for the block.
        unsafe {
            eight!(g => {
                let nibbles = l.load_bytes(quants.add((16 * half + 8 * (quarter % 2) + g) * WORD));
                let upper = l.load_bytes(quants.add((32 + 8 * half + g) * WORD));
                let low = if quarter < 2 { l.low_nibbles(nibbles) } else { l.high_nibbles(nibbles) };
                l.with_upper_bits(low, upper, 2 * quarter as u32, 3)
            })
        }
    }

    /// Takes 32 times the scaled sums of the activations away.
    #[inline(always)]
    unsafe fn take_offset<L: Lanes, const T: usize>(l: L, w: BlockAt, x: TokensAt, s: &mut [L::I; T]) {
        // SAFETY: the caller vouches for the block and the tokens.
        unsafe {
            let factors = eight!(c => l.load_pairs_i8(w.factors.add(c * PLANE)));
            for (t, s) in s.iter_mut().enumerate() {
                let mut offset = l.splat_i(0);
                for (c, factors) in factors.iter().enumerate() {
                    offset = l.dot_pairs(offset, *factors, x.sum256(t, c));
                }
                *s = l.sub_i(*s, l.shl_i::<5>(offset));
            }
        }
    }
}

impl Format for Super6 {
    const PARTS: usize = 16;
    const SIGNED: bool = false;

    // Sums stay below 256 * 63 * 127 * 128 (262.2 million) before the offset is taken away.

    #[inline(always)]
    unsafe fn sums<L: Lanes, const T: usize>(l: L, w: BlockAt, x: TokensAt) -> [L::I; T] {
        let mut s = [l.splat_i(0); T];
        // SAFETY: as for `Q8`.
        unsafe {
            for p in 0..8 {
                let factors = l.load_pairs_i8(w.factors.add(p * PLANE));
                let [w0, w1, w2, w3, w4, w5, w6, w7] = Self::six(l, w.quants, p);
                let (first, second) = (l.first_factor(factors), l.second_factor(factors));
                for (t, s) in s.iter_mut().enumerate() {
                    let a = x.quants(t).add(32 * p);
                    *s = l.scaled_dot::<4, 63>(*s, first, &[w0, w1, w2, w3], a);
                    *s = l.scaled_dot::<4, 63>(*s, second, &[w4, w5, w6, w7], a.add(16));
                }
            }
            Self::take_offset(l, w, x, &mut s);
        }
        s
    }

    /// A part has one sub-scale: 16 elements, and zeros for the other 16.
    #[inline(always)]
    unsafe fn part<L: Lanes>(l: L, quants: *const u8, part: usize) -> [L::B; 8] {
        // SAFETY: as for `Q8`.
        let six = unsafe { Self::six(l, quants, part / 2) };
        let zero = l.zero_bytes();
        eight!(g => if g / 4 == part % 2 { six[g] } else { zero })
    }

    #[inline(always)]
    unsafe fn join<L: Lanes, const T: usize>(l: L, w: BlockAt, x: TokensAt, parts: *const i32) -> [L::I; T] {
        let mut s = [l.splat_i(0); T];
        // SAFETY: as for `Q8`.
        unsafe {
            for j in 0..Self::PARTS {
                add_scaled(l, l.load_pairs_i8(w.factors.add(j / 2 * PLANE)), j, parts, &mut s);
            }
            Self::take_offset(l, w, x, &mut s);
        }
        s
    }
}
