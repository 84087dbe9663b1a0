#![expect(
    unsafe_code,
    reason = "kernels walk packed weights and activations by pointers whose bounds are checked here"
)]
#![expect(clippy::inline_always, reason = "code over `Lanes` only gets the instruction set when it is inlined")]
//! Products of bands of a matrix with tiles of tokens.

use std::ops::Range;

use crate::activations::Activations;
use crate::kernel::element::{Binary16, Binary32, Element, UpperHalf};
use crate::kernel::format::{BlockAt, Format, Minimum, Offset, Q8, Super6, SuperMinimum, TokensAt};
use crate::lanes::{Kernel, Lanes, TILE_TOKENS};
use crate::layout::BAND_ROWS;
use crate::matrix::Matrix;
use crate::memory::LINE;
use crate::portable;
use crate::shared::SharedSlice;
use crate::weight::WeightType;

/// How far ahead of its use a weight is fetched: more than memory's latency at its bandwidth, and past the 4 KiB at which the
/// processor's own prefetch stops.
pub(super) const AHEAD: usize = 6 * 1_024;

/// Rows of `bands` for `tokens`: the part of a product that one thread computes.
#[derive(Debug)]
pub(crate) struct Product<'a> {
    pub(crate) w: &'a Matrix,
    pub(crate) x: &'a Activations,
    pub(crate) bands: Range<usize>,
    pub(crate) tokens: Range<usize>,
    /// `[T][R]`; nobody else writes the rows of `bands` of `tokens`.
    pub(crate) out: SharedSlice<'a, f32>,
}

impl Kernel for Product<'_> {
    type Output = ();

    fn portable(self) {
        for band in self.bands.clone() {
            portable::matmul(self.w, band, self.x, self.tokens.clone(), |t, sums| self.put(band, t, sums));
        }
    }

    #[inline(always)]
    fn lanes<L: Lanes>(self, l: L) {
        assert!(self.bands.end <= self.w.bands() && self.tokens.end <= self.x.tokens(), "a part of the product");
        match self.w.kind() {
            WeightType::F32 => self.floats::<L, Binary32>(l),
            WeightType::F16 => self.floats::<L, Binary16>(l),
            WeightType::BF16 => self.floats::<L, UpperHalf>(l),
            WeightType::Q8_0 => self.blocks::<L, Q8>(l),
            WeightType::Q4_0 => self.blocks::<L, Offset<false>>(l),
            WeightType::Q5_0 => self.blocks::<L, Offset<true>>(l),
            WeightType::Q4_1 => self.blocks::<L, Minimum<false>>(l),
            WeightType::Q5_1 => self.blocks::<L, Minimum<true>>(l),
            WeightType::Q4_K => self.blocks::<L, SuperMinimum<false>>(l),
            WeightType::Q5_K => self.blocks::<L, SuperMinimum<true>>(l),
            WeightType::Q6_K => self.blocks::<L, Super6>(l),
        }
    }
}

impl Product<'_> {
    /// Writes the rows of `band` for token `t`.
    #[inline(always)]
    pub(super) fn put(&self, band: usize, t: usize, sums: &[f32; BAND_ROWS]) {
        let first = band * BAND_ROWS;
        let rows = BAND_ROWS.min(self.w.rows() - first);
        let start = t * self.w.rows() + first;
        // SAFETY: `out`'s contract: these rows are ours alone.
        let out = unsafe { self.out.part(start..start + rows) };
        if let Some(out) = out.first_chunk_mut() {
            *out = *sums;
        } else {
            out.copy_from_slice(&sums[..rows]);
        }
    }

    /// All bands and tokens of a quantised type, in tiles of 8, 4, 2 and 1 tokens.
    #[inline(always)]
    fn blocks<L: Lanes, Fmt: Format>(&self, l: L) {
        if self.tokens.len() >= TILE_TOKENS
            && let Some(unit) = l.tiles()
        {
            return self.tiled::<L, Fmt>(l, &unit);
        }
        for band in self.bands.clone() {
            let mut t = self.tokens.start;
            while t < self.tokens.end {
                t += self.next_tile::<L, Fmt>(l, band, t);
            }
        }
    }

    /// One band and as many tokens from `first` as the largest tile has that they fill; returns how many.
    #[inline(always)]
    pub(super) fn next_tile<L: Lanes, Fmt: Format>(&self, l: L, band: usize, first: usize) -> usize {
        match self.tokens.end - first {
            8.. => self.tile::<L, Fmt, 8>(l, band, first),
            4.. => self.tile::<L, Fmt, 4>(l, band, first),
            2.. => self.tile::<L, Fmt, 2>(l, band, first),
            _ => self.tile::<L, Fmt, 1>(l, band, first),
        }
    }

    /// One band and T tokens from `first`; returns T.
    #[inline(always)]
    fn tile<L: Lanes, Fmt: Format, const T: usize>(&self, l: L, band: usize, first: usize) -> usize {
        let layout = *self.w.layout();
        let bytes = self.w.band(band).as_ptr();
        let x = self.tokens_at(first, T);
        // Bands follow each other in memory, so running ahead of the first tile reaches into the next band in time.
        let ahead = first == self.tokens.start;
        let block_bytes = layout.scale_bytes + layout.factor_bytes + layout.quant_bytes;
        let mut sums = [[0.0f32; BAND_ROWS]; T];
        for pass in 0..BAND_ROWS / L::N {
            let mut acc = [l.splat(0.0); T];
            for b in 0..layout.blocks {
                if ahead {
                    let next = bytes.wrapping_add(b * block_bytes + AHEAD);
                    for line in (0..block_bytes).step_by(LINE) {
                        l.prefetch(next.wrapping_add(line));
                    }
                }
                // SAFETY: `b` is a block of the band and of the T tokens, whose buffers have the lengths of their shapes; a
                // pass starts `2 N pass` bytes into a plane of 16 f16 or byte pairs and `4 N pass` bytes into a word.
                unsafe {
                    let w = BlockAt::new(&layout, bytes, b, L::N * pass);
                    let x = x.block(b);
                    let sums = Fmt::sums(l, w, x);
                    Fmt::add(l, w, x, &sums, &mut acc);
                }
            }
            for (sums, acc) in sums.iter_mut().zip(acc) {
                // SAFETY: pass `pass` fills N of the 16 rows.
                unsafe { l.store(sums.as_mut_ptr().add(L::N * pass), acc) };
            }
        }
        for (t, sums) in sums.iter().enumerate() {
            self.put(band, first + t, sums);
        }
        T
    }

    /// Where tokens `first .. first + count` lie.
    pub(super) fn tokens_at(&self, first: usize, count: usize) -> TokensAt {
        let x = self.x;
        let blocks = x.cols / x.kind.block_len();
        let words = x.sums.len() / x.scales.len().max(1);
        assert!(first + count <= x.tokens, "tokens of the activations");
        TokensAt {
            quants: x.quants[first * x.cols..].as_ptr(),
            quants_stride: x.cols,
            scales: x.scales[first * blocks..].as_ptr(),
            sums: x.sums[first * blocks * words..].as_ptr(),
            blocks,
            block_len: x.kind.block_len(),
            words,
        }
    }

    /// All bands and tokens of a float type.
    ///
    /// Each sum is one chain, so several bands or tokens run side by side.
    #[inline(always)]
    fn floats<L: Lanes, E: Element>(&self, l: L) {
        let mut t = self.tokens.start;
        while t < self.tokens.end {
            let left = self.tokens.end - t;
            let mut band = self.bands.start;
            while band < self.bands.end {
                let bands = self.bands.end - band;
                band += match (left, bands) {
                    (8.., _) => self.float_tile::<L, E, 8, 1>(l, band, t),
                    (4.., 2..) => self.float_tile::<L, E, 4, 2>(l, band, t),
                    (4.., _) => self.float_tile::<L, E, 4, 1>(l, band, t),
                    (_, 4..) => self.float_tile::<L, E, 1, 4>(l, band, t),
                    _ => self.float_tile::<L, E, 1, 1>(l, band, t),
                };
            }
            t += match left {
                8.. => 8,
                4.. => 4,
                _ => 1,
            };
        }
    }

    /// W bands and T tokens; returns W.
    #[inline(always)]
    fn float_tile<L: Lanes, E: Element, const T: usize, const W: usize>(
        &self,
        l: L,
        band: usize,
        first: usize,
    ) -> usize {
        let cols = self.x.cols;
        let bytes: [*const u8; W] = std::array::from_fn(|i| self.w.band(band + i).as_ptr());
        let x: [*const f32; T] = std::array::from_fn(|t| self.x.values[(first + t) * cols..][..cols].as_ptr());
        let mut sums = [[[0.0f32; BAND_ROWS]; T]; W];
        for pass in 0..BAND_ROWS / L::N {
            let mut acc = [[l.splat(0.0); T]; W];
            for k in 0..cols {
                let mut w = [l.splat(0.0); W];
                for i in 0..W {
                    // SAFETY: a float band is [C][16] elements; N of column k are read.
                    w[i] = unsafe { E::load(l, bytes[i].add((k * BAND_ROWS + pass * L::N) * E::SIZE)) };
                }
                for t in 0..T {
                    // SAFETY: each token has C values.
                    let x = l.splat(unsafe { *x[t].add(k) });
                    for i in 0..W {
                        acc[i][t] = l.add(acc[i][t], l.mul(w[i], x));
                    }
                }
            }
            for i in 0..W {
                for t in 0..T {
                    // SAFETY: pass `pass` fills N of the 16 rows.
                    unsafe { l.store(sums[i][t].as_mut_ptr().add(L::N * pass), acc[i][t]) };
                }
            }
        }
        for (i, sums) in sums.iter().enumerate() {
            for (t, sums) in sums.iter().enumerate() {
                self.put(band + i, first + t, sums);
            }
        }
        W
    }
}
