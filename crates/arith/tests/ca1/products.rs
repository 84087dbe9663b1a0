//! Products of every weight type on every instruction set, against a second implementation that reads GGUF blocks directly.

use std::num::NonZeroUsize;

use crate::blocks::{Random, product};
use crate::{bits, cases, machine};
use arith::{Arena, Isa, Matrix, PackError, Pool, WeightType};
use proptest::prelude::*;

/// Columns that make `blocks` blocks, or an odd number of floats.
fn cols(kind: WeightType, blocks: usize) -> usize {
    if kind.block_len() == 1 { 7 * blocks + 1 } else { kind.block_len() * blocks }
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn every_instruction_set_equals_the_table(
        seed in any::<u64>(), rows in 1usize..70, blocks in 1usize..6, tokens in 1usize..20, threads in 1usize..4,
    ) {
        for kind in WeightType::ALL {
            let cols = cols(kind, blocks);
            let mut random = Random::new(seed);
            let bytes = random.rows(kind, rows, cols);
            let x = random.numbers(tokens * cols);
            let row_bytes = bytes.len() / rows;
            let expected: Vec<f32> = x.chunks(cols)
                .flat_map(|x| bytes.chunks(row_bytes).map(move |row| product(kind, row, x)))
                .collect();
            let matrix = Matrix::pack(kind, rows, cols, &bytes).unwrap();
            for isa in Isa::available() {
                let machine = machine(isa, threads);
                let activations = machine.quantise(&x, cols, kind.activation()).unwrap();
                let mut out = vec![f32::NAN; tokens * rows];
                machine.matmul(&matrix, &activations, &mut out);
                prop_assert_eq!(bits(&out), bits(&expected), "{} on {}", kind, isa);
            }
        }
    }

    #[test]
    fn one_token_equals_many(seed in any::<u64>(), rows in 1usize..50, tokens in 2usize..40) {
        for kind in WeightType::ALL {
            let cols = cols(kind, 2);
            let mut random = Random::new(seed);
            let matrix = Matrix::pack(kind, rows, cols, &random.rows(kind, rows, cols)).unwrap();
            let x = random.numbers(tokens * cols);
            for isa in Isa::available() {
                let machine = machine(isa, 2);
                let mut together = vec![0.0; tokens * rows];
                machine.matmul(&matrix, &machine.quantise(&x, cols, kind.activation()).unwrap(), &mut together);
                let mut alone = vec![0.0; tokens * rows];
                for (x, out) in x.chunks(cols).zip(alone.chunks_mut(rows)) {
                    machine.matmul(&matrix, &machine.quantise(x, cols, kind.activation()).unwrap(), out);
                }
                prop_assert_eq!(bits(&alone), bits(&together), "{} on {}", kind, isa);
            }
        }
    }
}

/// Worst cases of the integer sums: all weights and all activations at the ends of their ranges, in rows as long as a large
/// model's.
#[test]
fn extreme_blocks_do_not_overflow() {
    for kind in WeightType::ALL.into_iter().filter(|kind| kind.block_len() > 1) {
        let cols = 2_048;
        for (fill, sign) in [(0x80u8, 1.0f32), (0xff, 1.0), (0x7f, -1.0), (0x80, -1.0), (0xff, -1.0), (0x00, 1.0)] {
            let mut bytes = vec![fill; cols / kind.block_len() * kind.block_bytes()];
            for block in bytes.chunks_mut(kind.block_bytes()) {
                let scale = half::f16::from_f32(1.0).to_le_bytes();
                let at = if kind == WeightType::Q6_K { 208 } else { 0 };
                block[at..at + 2].copy_from_slice(&scale);
                if matches!(kind, WeightType::Q4_1 | WeightType::Q5_1 | WeightType::Q4_K | WeightType::Q5_K) {
                    block[2..4].copy_from_slice(&scale);
                }
            }
            let x = vec![sign * 127.0; cols];
            let expected = product(kind, &bytes, &x);
            let matrix = Matrix::pack(kind, 1, cols, &bytes).unwrap();
            for isa in Isa::available() {
                let machine = machine(isa, 1);
                let mut out = [0.0];
                machine.matmul(&matrix, &machine.quantise(&x, cols, kind.activation()).unwrap(), &mut out);
                assert_eq!(out[0].to_bits(), expected.to_bits(), "{kind} on {isa}, fill {fill:#x}, sign {sign}");
            }
        }
    }
}

#[test]
fn quantising_names_the_first_number_that_is_not_finite() {
    for isa in Isa::available() {
        for kind in WeightType::ALL.map(WeightType::activation) {
            let machine = machine(isa, 2);
            let mut x = vec![1.0f32; 100 * 512];
            x[40_000] = f32::NEG_INFINITY;
            x[30_001] = f32::NAN;
            let fault = machine.quantise(&x, 512, kind).unwrap_err();
            assert_eq!((fault.operation, fault.index), ("quantise", 30_001), "{isa}");
        }
    }
}

#[test]
fn packing_refuses_what_does_not_fit() {
    let bytes = vec![0u8; 34 * 2];
    assert_eq!(
        Matrix::pack(WeightType::Q8_0, 2, 33, &bytes).unwrap_err(),
        PackError::Columns { kind: WeightType::Q8_0, cols: 33, block_len: 32 }
    );
    assert_eq!(
        Matrix::pack(WeightType::Q8_0, 3, 32, &bytes).unwrap_err(),
        PackError::Size { kind: WeightType::Q8_0, rows: 3, cols: 32, expected: 102, found: 68 }
    );
    assert!(matches!(
        Matrix::pack(WeightType::Q8_0, usize::MAX, 1 << 40, &bytes).unwrap_err(),
        PackError::TooLarge { .. }
    ));
    assert!(Matrix::pack(WeightType::F32, 0, 0, &[]).is_ok());
}

#[test]
fn packing_names_the_row_and_block_that_is_not_finite() {
    let infinity = half::f16::INFINITY.to_le_bytes();
    for kind in WeightType::ALL {
        let (rows, cols) = (50, 4 * kind.block_len());
        let mut bytes = Random::new(7).rows(kind, rows, cols);
        let row_bytes = bytes.len() / rows;
        let size = kind.block_bytes();
        for (row, block) in [(41, 1), (18, 3)] {
            let block = &mut bytes[row * row_bytes + block * size..][..size];
            match kind {
                WeightType::F32 => block.copy_from_slice(&f32::NAN.to_le_bytes()),
                WeightType::BF16 => block.copy_from_slice(&half::bf16::NEG_INFINITY.to_le_bytes()),
                WeightType::Q6_K => block[208..].copy_from_slice(&infinity),
                _ => block[..2].copy_from_slice(&infinity),
            }
        }
        let expected = PackError::NotFinite { row: 18, block: 3 };
        assert_eq!(Matrix::pack(kind, rows, cols, &bytes).unwrap_err(), expected, "{kind}");
        let pool = Pool::new(NonZeroUsize::new(3).unwrap());
        assert_eq!(Matrix::pack_on(&pool, &Arena::new(0), kind, rows, cols, &bytes).unwrap_err(), expected, "{kind}");
    }
}

#[test]
fn packed_weights_are_about_as_large_as_the_file() {
    for kind in WeightType::ALL {
        let (rows, cols) = (576, 1_536);
        let bytes = Random::new(1).rows(kind, rows, cols);
        let size = Matrix::pack(kind, rows, cols, &bytes).unwrap().size_bytes();
        assert!(size as f64 <= bytes.len() as f64 * 1.03, "{kind}: {size} of {}", bytes.len());
    }
}
