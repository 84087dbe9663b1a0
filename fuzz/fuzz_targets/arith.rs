//! Every instruction set gives the portable reference's bits, or its fault.

#![no_main]

use std::num::NonZeroUsize;
use std::sync::LazyLock;

use arbitrary::Arbitrary;
use arith::{AttentionShape, Fault, Isa, KvFormat, KvPage, Machine, Matrix, PAGE_POSITIONS, Pool, Query, WeightType};
use libfuzzer_sys::fuzz_target;

static REFERENCE: LazyLock<Machine> = LazyLock::new(|| Machine::new(Isa::portable(), Pool::new(NonZeroUsize::MIN)));
static FAST: LazyLock<Vec<Machine>> = LazyLock::new(|| {
    let threads = NonZeroUsize::MIN;
    Isa::available().into_iter().map(|isa| Machine::new(isa, Pool::new(threads))).collect()
});

#[derive(Debug, Arbitrary)]
enum Input {
    Product { kind: u8, rows: u8, blocks: u8, tokens: u8, weights: Vec<u8>, numbers: Vec<u32> },
    Rows { width: u8, eps: u32, numbers: Vec<u32>, others: Vec<u32> },
    Sampling { temperature: u32, numbers: Vec<u32> },
    Attention { heads: u8, groups: u8, width: u8, position: u16, window: Option<u16>, half: bool, numbers: Vec<u32> },
}

/// As many numbers as asked for, from the fuzzer's bits over and over; `finite` replaces the others.
fn numbers(bits: &[u32], count: usize, finite: bool) -> Vec<f32> {
    let source = bits.iter().copied().chain([0x3f80_0000]).cycle().take(count).map(f32::from_bits);
    source.enumerate().map(|(index, x)| if finite && !x.is_finite() { index as f32 } else { x }).collect()
}

/// Runs one operation on the reference and on each fast path; output bits and faults must be equal.
fn compare(operation: impl Fn(&Machine) -> Result<Vec<f32>, Fault>) {
    let bits = |machine| operation(machine).map(|out| out.into_iter().map(f32::to_bits).collect::<Vec<_>>());
    let expected = bits(&REFERENCE);
    for machine in FAST.iter() {
        assert_eq!(bits(machine), expected, "{}", machine.isa().name());
    }
}

/// As [`compare`], for an operation that does not look whether its output is finite. Which NaN comes out of it is no
/// one's promise: the next operation refuses any.
fn compare_unchecked(operation: impl Fn(&Machine) -> Vec<f32>) {
    let bits = |x: f32| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() };
    let run = |machine| operation(machine).into_iter().map(bits).collect::<Vec<_>>();
    let expected = run(&REFERENCE);
    for machine in FAST.iter() {
        assert_eq!(run(machine), expected, "{}", machine.isa().name());
    }
}

fn product(kind: WeightType, rows: usize, blocks: usize, tokens: usize, weights: &[u8], bits: &[u32]) {
    let columns = blocks * kind.block_len().max(kind.activation().block_len());
    let size = rows * columns / kind.block_len() * kind.block_bytes();
    let bytes: Vec<u8> = weights.iter().copied().chain([7]).cycle().take(size).collect();
    let Ok(matrix) = Matrix::pack(kind, rows, columns, &bytes) else { return };
    let x = numbers(bits, tokens * columns, false);
    if REFERENCE.quantise(&x, columns, kind.activation()).is_err() {
        compare(|machine| machine.quantise(&x, columns, kind.activation()).map(|_| Vec::new()));
        return;
    }
    compare_unchecked(|machine| {
        let activations =
            machine.quantise(&x, columns, kind.activation()).expect("the reference took the same numbers");
        let mut out = vec![0.0; tokens * rows];
        machine.matmul(&matrix, &activations, &mut out);
        out
    });
}

fn rows(width: usize, eps: f32, bits: &[u32], others: &[u32]) {
    let count = bits.len().max(1).next_multiple_of(width);
    let (x, y) = (numbers(bits, count, false), numbers(others, count, true));
    let eps = if eps.is_finite() { eps.abs() } else { 1e-5 };
    compare(|machine| {
        let mut out = vec![0.0; count];
        machine.rms_norm(&x, &y[..width], eps, &mut out).map(|()| out)
    });
    let finite = numbers(bits, count, true);
    let in_place = |operation: &dyn Fn(&Machine, &mut [f32])| {
        compare_unchecked(|machine| {
            let mut out = finite.clone();
            operation(machine, &mut out);
            out
        });
    };
    in_place(&|machine, out| machine.add(out, &y));
    in_place(&|machine, out| machine.silu_mul(out, &y));
    in_place(&|machine, out| machine.gelu_mul(out, &y));
    compare(|machine| Ok(vec![machine.max(&x)]));
}

fn sampling(temperature: f32, bits: &[u32]) {
    let logits = numbers(bits, bits.len() + 1, false);
    let temperature = if temperature.is_normal() { temperature.abs() } else { 1.0 };
    let weights = |machine: &Machine| {
        let mut out = vec![0; logits.len()];
        machine.sample_weights(&logits, temperature, &mut out).map(|total| (total, out))
    };
    let expected = weights(&REFERENCE);
    for machine in FAST.iter() {
        assert_eq!(weights(machine), expected, "{}", machine.isa().name());
    }
}

fn attention(shape: &AttentionShape, position: u32, format: KvFormat, bits: &[u32]) {
    let (kv_width, width) = (shape.kv_heads * shape.head_dim, shape.heads * shape.head_dim);
    let positions = position as usize + 1;
    let stored = numbers(bits, 2 * positions * kv_width + width, true);
    let (stored, query) = stored.split_at(2 * positions * kv_width);
    let mut pages = Vec::new();
    for (index, pair) in stored.chunks_exact(2 * kv_width).enumerate() {
        if index % PAGE_POSITIONS == 0 {
            pages.push(KvPage::new(shape.kv_heads, shape.head_dim, format));
        }
        let page: &mut KvPage = pages.last_mut().expect("a page was pushed for position 0");
        let (key, value) = pair.split_at(kv_width);
        if page.write(index % PAGE_POSITIONS, key, value).is_err() {
            return;
        }
    }
    let pages: Vec<&KvPage> = pages.iter().collect();
    compare(|machine| {
        let mut out = vec![0.0; width];
        machine.attention(shape, &[Query { q: query, position, pages: &pages }], &mut out).map(|()| out)
    });
}

fuzz_target!(|input: Input| match input {
    Input::Product { kind, rows, blocks, tokens, weights, numbers } => {
        let kind = WeightType::ALL[usize::from(kind) % WeightType::ALL.len()];
        let (rows, blocks, tokens) = (1 + rows % 40, 1 + blocks % 4, 1 + tokens % 20);
        product(kind, rows.into(), blocks.into(), tokens.into(), &weights, &numbers);
    }
    Input::Rows { width, eps, numbers, others } => {
        rows(usize::from(width % 80) + 1, f32::from_bits(eps), &numbers, &others);
    }
    Input::Sampling { temperature, numbers } => sampling(f32::from_bits(temperature), &numbers),
    Input::Attention { heads, groups, width, position, window, half, numbers } => {
        let (kv_heads, group) = (usize::from(heads % 3) + 1, usize::from(groups % 3) + 1);
        let window = window.map(|window| u32::from(window % 600) + 1);
        let head_dim = (usize::from(width % 20) + 1) * 2;
        let shape = AttentionShape { heads: kv_heads * group, kv_heads, head_dim, scale: 0.125, window };
        let format = if half { KvFormat::F16 } else { KvFormat::F32 };
        attention(&shape, u32::from(position % 600), format, &numbers);
    }
});
