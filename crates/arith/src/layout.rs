//! The packed layout of a weight matrix: where each byte of a band lies.
//!
//! A *band* is 16 consecutive rows, interleaved so that the same element of the 16 rows is one vector. A matrix is its bands
//! in order; rows that are missing in the last band are zero. In a band of B blocks every region starts on a cache line:
//!
//! ```text
//! scales   B x { d[16] as f16, then for Q4_1 Q5_1 Q4_K Q5_K: m[16] (dmin[16]) as f16 }
//! factors  B x { Q4_K Q5_K: scale pairs [4][16][2] u8, minimum pairs [4][16][2] u8; Q6_K: scale pairs [8][16][2] i8 }
//! quants   B x { words [W][16] of four bytes }
//! ```
//!
//! A *word* is four bytes of a row in its GGUF block, so packing is a transposition of words. The words of each type, with
//! the element `k` of byte `i` of word `g`:
//!
//! | type | words | meaning |
//! |---|---|---|
//! | `Q8_0` | 8 | k = 4g + i |
//! | `Q4_0`, `Q4_1` | 4 | low nibble k = 4g + i, high nibble k = 4g + i + 16 |
//! | `Q5_0`, `Q5_1` | 4 + 1 | as `Q4_0`; in the fifth word bit g of byte i is the fifth bit of k = 4g + i |
//! | `Q4_K` | 32 | word 8c + g: low nibble k = 64c + 4g + i, high nibble k = 64c + 32 + 4g + i |
//! | `Q5_K` | 32 + 8 | as `Q4_K`; in word 32 + g bit j of byte i is the fifth bit of k = 32j + 4g + i |
//! | `Q6_K` | 32 + 16 | half h (128 elements): words 16h + 8c + g, low nibble k = 128h + 32c + 4g + i, high nibble 64 more; words 32 + 8h + g: bits 2p, 2p+1 of byte i are the upper bits of k = 128h + 32p + 4g + i |
//!
//! F32, F16 and BF16 bands are `[C][16]` elements.

use crate::memory::LINE;
use crate::weight::WeightType;

/// Rows in a band. Sixteen 32-bit lanes are one 512-bit register; narrower machines take a band in several passes.
pub(crate) const BAND_ROWS: usize = 16;

/// Byte offsets and sizes of a band.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BandLayout {
    /// Blocks in a row (columns, for the float types).
    pub(crate) blocks: usize,
    /// Bytes per block in the scales region.
    pub(crate) scale_bytes: usize,
    /// Bytes per block in the factors region.
    pub(crate) factor_bytes: usize,
    /// Bytes per block in the quants region.
    pub(crate) quant_bytes: usize,
    /// Where the factors region starts.
    pub(crate) factors: usize,
    /// Where the quants region starts.
    pub(crate) quants: usize,
    /// Bytes of a whole band.
    pub(crate) size: usize,
}

impl BandLayout {
    /// The layout of a band of `cols` columns, which are whole blocks; `None` where a size does not fit `usize`.
    pub(crate) fn new(kind: WeightType, cols: usize) -> Option<Self> {
        let blocks = cols / kind.block_len();
        let (scale_bytes, factor_bytes, quant_bytes) = match kind {
            WeightType::F32 => (0, 0, 4 * BAND_ROWS),
            WeightType::F16 | WeightType::BF16 => (0, 0, 2 * BAND_ROWS),
            WeightType::Q8_0 => (32, 0, 512),
            WeightType::Q4_0 => (32, 0, 256),
            WeightType::Q4_1 => (64, 0, 256),
            WeightType::Q5_0 => (32, 0, 320),
            WeightType::Q5_1 => (64, 0, 320),
            WeightType::Q4_K => (64, 256, 2048),
            WeightType::Q5_K => (64, 256, 2560),
            WeightType::Q6_K => (32, 256, 3072),
        };
        let factors = blocks.checked_mul(scale_bytes)?.checked_next_multiple_of(LINE)?;
        let quants = factors.checked_add(blocks.checked_mul(factor_bytes)?)?;
        let size = quants.checked_add(blocks.checked_mul(quant_bytes)?)?.checked_next_multiple_of(LINE)?;
        Some(Self { blocks, scale_bytes, factor_bytes, quant_bytes, factors, quants, size })
    }
}

/// The pieces of one block of a band: the only way in which plain code reads packed weights.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BandBlock<'a> {
    pub(crate) scales: &'a [u8],
    pub(crate) factors: &'a [u8],
    pub(crate) quants: &'a [u8],
}

impl<'a> BandBlock<'a> {
    /// Block `block` of `band`.
    pub(crate) fn new(layout: &BandLayout, band: &'a [u8], block: usize) -> Self {
        let piece = |start: usize, bytes: usize| &band[start + block * bytes..start + (block + 1) * bytes];
        Self {
            scales: piece(0, layout.scale_bytes),
            factors: piece(layout.factors, layout.factor_bytes),
            quants: piece(layout.quants, layout.quant_bytes),
        }
    }

    /// f16 scale `plane` (0: d, 1: m or dmin) of `row`, as f32.
    pub(crate) fn scale(&self, plane: usize, row: usize) -> f32 {
        f16_at(self.scales, plane * BAND_ROWS + row)
    }

    /// Byte `i` of word `word` of `row`.
    pub(crate) fn quant(&self, word: usize, row: usize, i: usize) -> u8 {
        self.quants[(word * BAND_ROWS + row) * 4 + i]
    }

    /// Factor `index` of plane `plane` (planes of 128 bytes) of `row`.
    pub(crate) fn factor(&self, plane: usize, index: usize, row: usize) -> u8 {
        self.factors[plane * 128 + ((index / 2) * BAND_ROWS + row) * 2 + index % 2]
    }
}

/// The little-endian f16 at element `index`, exactly, as f32.
pub(crate) fn f16_at(bytes: &[u8], index: usize) -> f32 {
    half::f16::from_le_bytes([bytes[2 * index], bytes[2 * index + 1]]).to_f32()
}

/// The little-endian bf16 at element `index`, exactly, as f32.
pub(crate) fn bf16_at(bytes: &[u8], index: usize) -> f32 {
    half::bf16::from_le_bytes([bytes[2 * index], bytes[2 * index + 1]]).to_f32()
}

/// The little-endian f32 at element `index`.
pub(crate) fn f32_at(bytes: &[u8], index: usize) -> f32 {
    f32::from_le_bytes([bytes[4 * index], bytes[4 * index + 1], bytes[4 * index + 2], bytes[4 * index + 3]])
}
