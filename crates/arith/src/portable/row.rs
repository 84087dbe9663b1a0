//! One packed row as numbers: embedding rows.

use crate::layout::{BAND_ROWS, BandBlock, BandLayout, bf16_at, f16_at, f32_at};
use crate::weight::WeightType;

/// Row `row` of a band, each element by the expression of its type.
pub(crate) fn row(kind: WeightType, layout: &BandLayout, band: &[u8], row: usize, out: &mut [f32]) {
    for (b, out) in out.chunks_exact_mut(kind.block_len()).enumerate() {
        let index = b * BAND_ROWS + row;
        match kind {
            WeightType::F32 => out[0] = f32_at(band, index),
            WeightType::F16 => out[0] = f16_at(band, index),
            WeightType::BF16 => out[0] = bf16_at(band, index),
            _ => block(kind, &BandBlock::new(layout, band, b), row, out),
        }
    }
}

fn block(kind: WeightType, block: &BandBlock<'_>, row: usize, out: &mut [f32]) {
    let mut quants = [0i16; 256];
    let quants = &mut quants[..out.len()];
    unpack(kind, block, row, quants);
    let d = block.scale(0, row);
    match kind {
        WeightType::Q4_1 | WeightType::Q5_1 => {
            let m = block.scale(1, row);
            for (y, q) in out.iter_mut().zip(quants) {
                *y = d * f32::from(*q) + m;
            }
        }
        WeightType::Q4_K | WeightType::Q5_K => {
            let dmin = block.scale(1, row);
            for (j, (out, quants)) in out.chunks_exact_mut(32).zip(quants.chunks_exact(32)).enumerate() {
                let scale = d * f32::from(block.factor(0, j, row));
                let minimum = dmin * f32::from(block.factor(1, j, row));
                for (y, q) in out.iter_mut().zip(quants) {
                    *y = scale * f32::from(*q) - minimum;
                }
            }
        }
        WeightType::Q6_K => {
            for (j, (out, quants)) in out.chunks_exact_mut(16).zip(quants.chunks_exact(16)).enumerate() {
                let scale = d * f32::from(block.factor(0, j, row).cast_signed());
                for (y, q) in out.iter_mut().zip(quants) {
                    *y = scale * f32::from(*q);
                }
            }
        }
        _ => {
            for (y, q) in out.iter_mut().zip(quants) {
                *y = d * f32::from(*q);
            }
        }
    }
}

/// The integers of one row of a block, offsets subtracted.
pub(crate) fn unpack(kind: WeightType, block: &BandBlock<'_>, row: usize, out: &mut [i16]) {
    let nibble = |word: usize, i: usize, high: bool| {
        let byte = block.quant(word, row, i);
        if high { byte >> 4 } else { byte & 15 }
    };
    for (k, q) in out.iter_mut().enumerate() {
        let i = k % 4;
        *q = match kind {
            WeightType::Q8_0 => i16::from(block.quant(k / 4, row, i).cast_signed()),
            WeightType::Q4_0 => i16::from(nibble(k % 16 / 4, i, k >= 16)) - 8,
            WeightType::Q4_1 => i16::from(nibble(k % 16 / 4, i, k >= 16)),
            WeightType::Q5_0 | WeightType::Q5_1 => {
                let fifth = (block.quant(4, row, i) >> (k / 4)) & 1;
                let offset = if kind == WeightType::Q5_0 { 16 } else { 0 };
                i16::from(nibble(k % 16 / 4, i, k >= 16) | (fifth << 4)) - offset
            }
            WeightType::Q4_K => i16::from(nibble(k / 64 * 8 + k % 32 / 4, i, k % 64 >= 32)),
            WeightType::Q5_K => {
                let fifth = (block.quant(32 + k % 32 / 4, row, i) >> (k / 32)) & 1;
                i16::from(nibble(k / 64 * 8 + k % 32 / 4, i, k % 64 >= 32) | (fifth << 4))
            }
            WeightType::Q6_K => {
                let low = nibble(k / 128 * 16 + k % 64 / 4, i, k % 128 >= 64);
                let upper = (block.quant(32 + k / 128 * 8 + k % 32 / 4, row, i) >> (k % 128 / 32 * 2)) & 3;
                i16::from(low | (upper << 4)) - 32
            }
            WeightType::F32 | WeightType::F16 | WeightType::BF16 => 0,
        };
    }
}
