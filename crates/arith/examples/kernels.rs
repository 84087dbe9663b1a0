#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program that prints a table")]
//! How fast the kernels run here: products per weight type, then the other operations.
//!
//! `cargo run --release -p arith --example kernels -- [isa] [word of a type or operation]`
//!
//! Products: `GB/s` is packed weights read per second, what bounds a decode step; `GMAC/s` is multiply-adds per second, what
//! bounds prefill. `cold` walks over more copies of the matrix than the caches below the shared one hold.

use std::fmt::Write;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use arith::{Arena, AttentionShape, Isa, KvFormat, KvPage, Machine, Matrix, Pool, Query, WeightType};

/// Seconds of the fastest run of `f`, tried for a while.
fn best(mut f: impl FnMut()) -> f64 {
    let (start, mut best) = (Instant::now(), f64::MAX);
    while start.elapsed() < Duration::from_millis(150) {
        let run = Instant::now();
        f();
        best = best.min(run.elapsed().as_secs_f64());
    }
    best
}

/// Bytes whose numbers are small and finite, but not subnormal: hardware takes a hundred times longer over those.
fn weights(kind: WeightType, rows: usize, cols: usize) -> Vec<u8> {
    let len = rows * cols / kind.block_len() * kind.block_bytes();
    let (size, clear, set) = match kind {
        WeightType::F32 => (4, 0x7f, 0x3c),
        WeightType::BF16 => (2, 0x7f, 0x3c),
        // Every f16 that the bytes hold is below 2.
        _ => (2, 0x48, 0),
    };
    let mut state = 1u32;
    (0..len)
        .map(|i| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let byte = (state >> 24) as u8;
            if i % size == size - 1 { byte & !clear | set } else { byte }
        })
        .collect()
}

fn numbers(n: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7_919 % 2_003) as f32 - 1_001.0) / 500.0).collect()
}

/// One line: decode and prefill of a matrix.
fn products(machine: &Machine, kind: WeightType, rows: usize, cols: usize) {
    let bytes = weights(kind, rows, cols);
    let start = Instant::now();
    let matrix = machine.pack(&Arena::new(0), kind, rows, cols, &bytes).unwrap();
    let packed = start.elapsed().as_secs_f64();
    let count = (100_000_000 / matrix.size_bytes()).max(1);
    let arena = Arena::new(count * matrix.size_bytes());
    let copies: Vec<Matrix> = (0..count).map(|_| machine.pack(&arena, kind, rows, cols, &bytes).unwrap()).collect();
    let mut line = format!("{:5} {rows:5}x{cols:<5} {}t", kind.name(), machine.pool().threads());
    for tokens in [1, 8, 128] {
        let x = machine.quantise(&numbers(tokens * cols), cols, kind.activation()).unwrap();
        let mut out = vec![0.0; tokens * rows];
        let seconds = best(|| {
            for matrix in &copies {
                machine.matmul(black_box(matrix), &x, &mut out);
            }
        }) / copies.len() as f64;
        let gmac = (rows * cols * tokens) as f64 / seconds / 1e9;
        if tokens == 1 {
            let gb = matrix.size_bytes() as f64 / seconds / 1e9;
            write!(line, "  T=1 {:8.1} us {gb:6.1} GB/s", seconds * 1e6).unwrap();
        } else {
            write!(line, "  T={tokens} {gmac:6.1} GMAC/s").unwrap();
        }
    }
    println!("{line}  pack {:5.2} GB/s", bytes.len() as f64 / packed / 1e9);
}

fn attention(machine: &Machine, heads: usize, kv_heads: usize, head_dim: usize, format: KvFormat) {
    let keys = 1_024;
    let mut page = KvPage::new(kv_heads, head_dim, format);
    for slot in 0..256 {
        let x = numbers(kv_heads * head_dim);
        page.write(slot, &x, &x).unwrap();
    }
    let pages = vec![&page; keys / 256];
    let shape = AttentionShape { heads, kv_heads, head_dim, scale: 0.125, window: None };
    let q = numbers(heads * head_dim);
    let mut line = format!("attention {heads}/{kv_heads}x{head_dim} {format:?} {}t", machine.pool().threads());
    for tokens in [1, 128] {
        let queries: Vec<Query<'_>> =
            (0..tokens).map(|t| Query { q: &q, position: (keys - tokens + t) as u32, pages: &pages }).collect();
        let mut out = vec![0.0; tokens * heads * head_dim];
        let seconds = best(|| machine.attention(&shape, black_box(&queries), &mut out).unwrap());
        let gmac = (2 * tokens * keys * heads * head_dim) as f64 / seconds / 1e9;
        write!(line, "  T={tokens} {:9.1} us {gmac:5.1} GMAC/s", seconds * 1e6).unwrap();
    }
    println!("{line}");
}

fn vectors(machine: &Machine) {
    let mut x = numbers(128 * 1_536);
    let y = numbers(128 * 1_536);
    let mut out = vec![0.0; x.len()];
    let gain = numbers(576);
    let threads = machine.pool().threads();
    let mut report = |name: &str, elements: usize, f: &mut dyn FnMut(&mut [f32], &mut [f32])| {
        let fresh = numbers(elements);
        let seconds = best(|| {
            // Operations in place would otherwise run into subnormals or infinities.
            x[..elements].copy_from_slice(&fresh);
            f(&mut x[..elements], &mut out[..elements]);
        });
        let each = seconds / elements as f64 * 1e9;
        println!("{name:14} {elements:6} elements {threads}t {:8.1} us {each:6.3} ns each", seconds * 1e6);
    };
    for elements in [576, 128 * 576] {
        report("rms_norm", elements, &mut |x, out| machine.rms_norm(x, &gain, 1e-5, out).unwrap());
        report("add", elements, &mut |x, _| machine.add(x, &y[..x.len()]));
    }
    for elements in [1_536, 128 * 1_536] {
        report("silu_mul", elements, &mut |x, _| machine.silu_mul(x, &y[..x.len()]));
        let mut buffer = arith::Activations::new();
        report("quantise", elements, &mut |x, _| {
            machine.quantise_into(x, 1_536, arith::ActivationKind::Block32, &mut buffer).unwrap();
        });
    }
    let mut weights = vec![0; 49_152];
    report("sample_weights", 49_152, &mut |x, _| {
        black_box(machine.sample_weights(x, 0.8, &mut weights).unwrap());
    });
    let region = best(|| (0..1_000).for_each(|_| machine.pool().run(2, &|part| _ = black_box(part))));
    println!("region {threads}t {:.2} us", region * 1e3);
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let isa = arguments.iter().find_map(|a| Isa::named(a)).unwrap_or_else(Isa::detect);
    let wanted = |name: &str| arguments.iter().all(|a| Isa::named(a).is_some() || name.contains(a.as_str()));
    println!("{isa}");
    for threads in [1, 2] {
        let machine = Machine::new(isa, Pool::new(NonZeroUsize::new(threads).unwrap()));
        for kind in WeightType::ALL {
            for (rows, cols) in [(576, 576), (1_536, 576), (576, 1_536), (5_632, 2_048), (2_048, 5_632)] {
                if wanted(kind.name()) && cols % kind.block_len() == 0 {
                    products(&machine, kind, rows, cols);
                }
            }
        }
        if wanted("attention") {
            for format in [KvFormat::F16, KvFormat::F32] {
                attention(&machine, 9, 3, 64, format);
                attention(&machine, 32, 4, 64, format);
            }
        }
        if wanted("vectors") {
            vectors(&machine);
        }
    }
}
