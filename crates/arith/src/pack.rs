//! From rows of GGUF blocks to interleaved bands: a transposition of four-byte words (see `layout`).

use std::sync::Mutex;

use crate::layout::{BAND_ROWS, BandLayout};
use crate::matrix::PackError;
use crate::pool::Pool;
use crate::weight::WeightType;

/// Where the pieces of a GGUF block lie: what differs between the quantised types.
struct BlockMap {
    /// Offsets of the f16 scales, in the order of the scales region.
    scales: &'static [usize],
    /// Byte ranges that are transposed as words, in the order of the quants region: (offset, words).
    words: &'static [(usize, usize)],
    /// What remains after the plain words.
    rest: Rest,
}

/// The part of a block that is more than a transposition.
enum Rest {
    Nothing,
    /// 32 fifth bits at this offset, regrouped to a word of their own.
    FifthBits(usize),
    /// 12 bytes of six-bit scales and minimums at this offset.
    SixBitFactors(usize),
    /// 16 signed byte scales at this offset.
    ByteFactors(usize),
}

const fn map(kind: WeightType) -> BlockMap {
    match kind {
        WeightType::Q8_0 => BlockMap { scales: &[0], words: &[(2, 8)], rest: Rest::Nothing },
        WeightType::Q4_0 => BlockMap { scales: &[0], words: &[(2, 4)], rest: Rest::Nothing },
        WeightType::Q4_1 => BlockMap { scales: &[0, 2], words: &[(4, 4)], rest: Rest::Nothing },
        WeightType::Q5_0 => BlockMap { scales: &[0], words: &[(6, 4)], rest: Rest::FifthBits(2) },
        WeightType::Q5_1 => BlockMap { scales: &[0, 2], words: &[(8, 4)], rest: Rest::FifthBits(4) },
        WeightType::Q4_K => BlockMap { scales: &[0, 2], words: &[(16, 32)], rest: Rest::SixBitFactors(4) },
        WeightType::Q5_K => BlockMap { scales: &[0, 2], words: &[(48, 32), (16, 8)], rest: Rest::SixBitFactors(4) },
        WeightType::Q6_K => BlockMap { scales: &[208], words: &[(0, 32), (128, 16)], rest: Rest::ByteFactors(192) },
        WeightType::F32 | WeightType::F16 | WeightType::BF16 => {
            BlockMap { scales: &[], words: &[], rest: Rest::Nothing }
        }
    }
}

/// Packs every band of `out`; `bytes` are whole rows of `row_bytes`.
pub(crate) fn bands(
    pool: Option<&Pool>,
    kind: WeightType,
    layout: &BandLayout,
    row_bytes: usize,
    bytes: &[u8],
    out: &mut [u8],
) -> Result<(), PackError> {
    let failure: Mutex<Option<PackError>> = Mutex::new(None);
    let pack = |index: usize, band: &mut [u8]| {
        let first_row = index * BAND_ROWS;
        let start = first_row * row_bytes;
        let source = &bytes[start..bytes.len().min(start + BAND_ROWS * row_bytes)];
        let done = if kind.block_len() == 1 {
            floats(kind, layout, row_bytes, source, band)
        } else {
            blocks(kind, layout, row_bytes, source, band)
        };
        if let Err((row, block)) = done {
            let mut failure = failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let found = PackError::NotFinite { row: first_row + row, block };
            // Threads race to report: the lowest row wins, so that the error does not hang on their speed.
            let earlier = matches!(*failure, Some(PackError::NotFinite { row, .. }) if row < first_row);
            if !earlier {
                *failure = Some(found);
            }
        }
    };
    match pool {
        Some(pool) => pool.chunks_mut(out, layout.size, &pack),
        None => out.chunks_mut(layout.size).enumerate().for_each(|(index, band)| pack(index, band)),
    }
    failure.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).map_or(Ok(()), Err)
}

/// Row and block of the first number that is not finite.
type NotFinite = (usize, usize);

fn blocks(
    kind: WeightType,
    layout: &BandLayout,
    row_bytes: usize,
    source: &[u8],
    band: &mut [u8],
) -> Result<(), NotFinite> {
    let map = map(kind);
    let (head, quants) = band.split_at_mut(layout.quants);
    let (scales, factors) = head.split_at_mut(layout.factors);
    let mut first: Option<NotFinite> = None;
    for b in 0..layout.blocks {
        let scales = &mut scales[b * layout.scale_bytes..][..layout.scale_bytes];
        let factors = &mut factors[b * layout.factor_bytes..][..layout.factor_bytes];
        let quants = &mut quants[b * layout.quant_bytes..][..layout.quant_bytes];
        for (row, bytes) in source.chunks_exact(row_bytes).enumerate() {
            let block = &bytes[b * kind.block_bytes()..][..kind.block_bytes()];
            for (plane, &offset) in map.scales.iter().enumerate() {
                let scale = [block[offset], block[offset + 1]];
                if !f16_is_finite(scale) && first.is_none_or(|(earlier, _)| row < earlier) {
                    first = Some((row, b));
                }
                scales[(plane * BAND_ROWS + row) * 2..][..2].copy_from_slice(&scale);
            }
            let mut next = 0;
            for &(offset, words) in map.words {
                transpose(&block[offset..][..4 * words], row, &mut quants[next..][..words * 4 * BAND_ROWS]);
                next += words * 4 * BAND_ROWS;
            }
            match map.rest {
                Rest::Nothing => {}
                Rest::FifthBits(offset) => {
                    let bits = [block[offset], block[offset + 1], block[offset + 2], block[offset + 3]];
                    transpose(&regroup_fifth_bits(bits), row, &mut quants[next..]);
                }
                Rest::SixBitFactors(offset) => six_bit_factors(&block[offset..][..12], row, factors),
                Rest::ByteFactors(offset) => {
                    for (index, &byte) in block[offset..][..16].iter().enumerate() {
                        factors[factor_offset(0, index, row)] = byte;
                    }
                }
            }
        }
    }
    first.map_or(Ok(()), Err)
}

/// Word `w` of `row` goes to line `w`, place `row`.
#[inline]
fn transpose(words: &[u8], row: usize, lines: &mut [u8]) {
    for (word, line) in words.as_chunks::<4>().0.iter().zip(lines.chunks_exact_mut(4 * BAND_ROWS)) {
        line[4 * row..][..4].copy_from_slice(word);
    }
}

/// Bit `k` of the file's 32 bits is element `k`; bit `g` of byte `i` here is element `4g + i`.
fn regroup_fifth_bits(bits: [u8; 4]) -> [u8; 4] {
    let bits = u32::from_le_bytes(bits);
    let mut out = [0u8; 4];
    for (i, byte) in out.iter_mut().enumerate() {
        for g in 0..8 {
            *byte |= (((bits >> (4 * g + i)) & 1) as u8) << g;
        }
    }
    out
}

/// Where factor `index` of a plane lies for `row` in the factors region of a block.
fn factor_offset(plane: usize, index: usize, row: usize) -> usize {
    plane * 128 + ((index / 2) * BAND_ROWS + row) * 2 + index % 2
}

/// Eight six-bit scales and eight six-bit minimums in 12 bytes: the first four of each are the low bits of bytes 0..4 and
/// 4..8; the others have their low four bits in bytes 8..12 and their upper two in the spare bits of the first eight.
fn six_bit_factors(packed: &[u8], row: usize, factors: &mut [u8]) {
    for j in 0..8 {
        let (scale, minimum) = if j < 4 {
            (packed[j] & 63, packed[j + 4] & 63)
        } else {
            ((packed[j + 4] & 15) | ((packed[j - 4] >> 6) << 4), (packed[j + 4] >> 4) | ((packed[j] >> 6) << 4))
        };
        factors[factor_offset(0, j, row)] = scale;
        factors[factor_offset(1, j, row)] = minimum;
    }
}

fn floats(
    kind: WeightType,
    layout: &BandLayout,
    row_bytes: usize,
    source: &[u8],
    band: &mut [u8],
) -> Result<(), NotFinite> {
    if row_bytes == 0 {
        return Ok(());
    }
    for (row, bytes) in source.chunks_exact(row_bytes).enumerate() {
        let size = kind.block_bytes();
        let line = BAND_ROWS * size;
        let finite = match kind {
            WeightType::F32 => {
                bytes.as_chunks::<4>().0.iter().position(|&x| u32::from_le_bytes(x) & 0x7f80_0000 == 0x7f80_0000)
            }
            WeightType::BF16 => bytes.as_chunks::<2>().0.iter().position(|&x| u16::from_le_bytes(x) & 0x7f80 == 0x7f80),
            _ => bytes.as_chunks::<2>().0.iter().position(|&x| !f16_is_finite(x)),
        };
        if let Some(col) = finite {
            return Err((row, col));
        }
        for (element, line) in bytes.chunks_exact(size).zip(band[..layout.size].chunks_exact_mut(line)) {
            line[row * size..][..size].copy_from_slice(element);
        }
    }
    Ok(())
}

fn f16_is_finite(bytes: [u8; 2]) -> bool {
    u16::from_le_bytes(bytes) & 0x7c00 != 0x7c00
}
