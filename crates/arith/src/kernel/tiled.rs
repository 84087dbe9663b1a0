#![expect(
    unsafe_code,
    reason = "kernels walk packed weights and activations by pointers whose bounds are checked here"
)]
#![expect(clippy::inline_always, reason = "code over `Lanes` only gets the instruction set when it is inlined")]
//! Products by a unit for tiles: it makes the integer sums, vectors do the rest.

use std::cell::Cell;
use std::mem::MaybeUninit;

use crate::kernel::format::{BlockAt, Format};
use crate::kernel::matmul::{AHEAD, Product};
use crate::lanes::{Lanes, TILE_TOKENS, Tiles};
use crate::layout::BAND_ROWS;
use crate::memory::LINE;

/// A line of memory that a tile has as a row.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Row([u8; LINE]);

const ZERO: Row = Row([0; LINE]);
/// Rows of the weights of a part.
const PART_ROWS: usize = 8;

thread_local! {
    /// The bytes of a band, `[blocks][PARTS][8]` rows; kept for the next product.
    static BYTES: Cell<Vec<Row>> = const { Cell::new(Vec::new()) };
}

impl Product<'_> {
    /// All bands and tokens: 16 tokens at a time by the unit, what is left by vectors.
    #[inline(always)]
    pub(super) fn tiled<L: Lanes, Fmt: Format>(&self, l: L, unit: &L::Tiles) {
        assert!(L::N == BAND_ROWS, "a unit for tiles comes with vectors of a band");
        let mut bytes = BYTES.take();
        bytes.resize(self.w.layout().blocks * Fmt::PARTS * PART_ROWS, ZERO);
        for band in self.bands.clone() {
            self.unpack::<L, Fmt>(l, band, &mut bytes);
            let mut t = self.tokens.start;
            while t < self.tokens.end {
                t += if self.tokens.end - t >= TILE_TOKENS {
                    self.unit_tile::<L, Fmt>(l, unit, &bytes, band, t)
                } else {
                    self.next_tile::<L, Fmt>(l, band, t)
                };
            }
        }
        BYTES.set(bytes);
    }

    /// The parts of all blocks of `band` as bytes.
    #[inline(always)]
    fn unpack<L: Lanes, Fmt: Format>(&self, l: L, band: usize, bytes: &mut [Row]) {
        let layout = *self.w.layout();
        let packed = self.w.band(band).as_ptr();
        for (b, block) in bytes.chunks_exact_mut(Fmt::PARTS * PART_ROWS).enumerate() {
            let quants = packed.wrapping_add(layout.quants + b * layout.quant_bytes);
            for line in (0..layout.quant_bytes).step_by(LINE) {
                l.prefetch(quants.wrapping_add(AHEAD + line));
            }
            for (part, rows) in block.chunks_exact_mut(PART_ROWS).enumerate() {
                // SAFETY: the band has a block for each chunk of `bytes`; a row holds one vector of bytes.
                unsafe {
                    for (row, bytes) in rows.iter_mut().zip(Fmt::part(l, quants, part)) {
                        l.store_bytes(row.0.as_mut_ptr(), bytes);
                    }
                }
            }
        }
    }

    /// One band, whose bytes are at hand, and 16 tokens from `first`; returns 16.
    #[inline(always)]
    fn unit_tile<L: Lanes, Fmt: Format>(
        &self,
        l: L,
        unit: &L::Tiles,
        bytes: &[Row],
        band: usize,
        first: usize,
    ) -> usize {
        /// Parts of the finest type, `Q6_K`.
        const PARTS_MAX: usize = 16;
        const HALF: usize = TILE_TOKENS / 2;
        const { assert!(Fmt::PARTS <= PARTS_MAX, "the sums of all parts have room") };
        let layout = *self.w.layout();
        let packed = self.w.band(band).as_ptr();
        let x = self.tokens_at(first, TILE_TOKENS);
        let mut sums = MaybeUninit::<[[Row; TILE_TOKENS]; PARTS_MAX]>::uninit();
        let sums: *mut i32 = sums.as_mut_ptr().cast();
        let mut acc = [l.splat(0.0); TILE_TOKENS];
        for b in 0..layout.blocks {
            // SAFETY: `b` is a block of the band, of its bytes and of the 16 tokens, whose buffers have the lengths of their
            // shapes; there is room for the sums of all parts.
            unsafe {
                let x = x.block(b);
                for part in 0..Fmt::PARTS {
                    let w = bytes.as_ptr().add((b * Fmt::PARTS + part) * PART_ROWS).cast();
                    // A part of fewer elements, with zeros for the rest, takes the whole 32 that it lies in.
                    let a = x.quants.add(part * x.block_len / Fmt::PARTS / 32 * 32);
                    unit.dot(Fmt::SIGNED, w, a, x.quants_stride, sums.add(part * TILE_TOKENS * BAND_ROWS));
                }
                let w = BlockAt::new(&layout, packed, b, 0);
                // By halves: sums and accumulators of all tokens are more than the registers.
                for (half, acc) in acc.as_chunks_mut::<HALF>().0.iter_mut().enumerate() {
                    let x = x.token(half * HALF);
                    let sums = Fmt::join::<L, HALF>(l, w, x, sums.add(half * HALF * BAND_ROWS));
                    Fmt::add(l, w, x, &sums, acc);
                }
            }
        }
        for (t, acc) in acc.into_iter().enumerate() {
            let mut row = [0.0; BAND_ROWS];
            // SAFETY: a vector is a band.
            unsafe { l.store(row.as_mut_ptr(), acc) };
            self.put(band, first + t, &row);
        }
        TILE_TOKENS
    }
}
