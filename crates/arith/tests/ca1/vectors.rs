//! Committed vectors. `ca1.json` holds inputs and outputs of every operation as hexadecimal bits, small enough to be recomputed
//! by hand, by a contract or by another implementation, and hashes of large runs; `dequantise.json` comes from the `gguf`
//! package of PyPI (`dequantise.py` beside it).
//!
//! `CANDOR_WRITE_VECTORS=1 cargo test -p arith vectors` writes `ca1.json` anew: that is a new version of CA-1.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use arith::portable::{exp, gelu, sigmoid, silu, tanh, vector_sum};
use arith::{AttentionShape, Isa, KvFormat, KvPage, Machine, Matrix, Query, RopeStyle, WeightType};
use sha2::{Digest, Sha256};

use crate::blocks::{self, Random};
use crate::machine;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Big-endian bits of floats, one word each.
fn words(x: &[f32]) -> String {
    x.iter().map(|x| format!("{:08x}", x.to_bits())).collect::<Vec<_>>().join(" ")
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

/// One line of `ca1.json`.
fn line(fields: &[(&str, &str)]) -> String {
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\": \"{value}\"")).collect();
    format!("{{{}}}", fields.join(", "))
}

/// A function of CA-1.
type Function = fn(f32) -> f32;

fn functions(lines: &mut Vec<String>) {
    let mut random = Random::new(1);
    let mut x = vec![
        0.0, -0.0, 1.0, -1.0, 0.5, -0.625, 0.625, 20.0, -20.0, -87.3, -87.4, -100.0, -103.9, -104.0, -200.0, 1e-45,
        -1e-45, 1e-38, 88.0, 1e-4,
    ];
    x.extend((0..12).map(|_| random.unit() * 8.0));
    let all: [(&str, Function); 5] =
        [("exp", exp), ("sigmoid", sigmoid), ("silu", silu), ("tanh", tanh), ("gelu", gelu)];
    for (name, f) in all {
        let y: Vec<f32> = x.iter().map(|x| f(*x)).collect();
        lines.push(line(&[("operation", name), ("x", &words(&x)), ("y", &words(&y))]));
    }
    for n in [1, 5, 16, 17, 40] {
        let x = random.numbers(n);
        let sum = vector_sum(x.iter().copied());
        lines.push(line(&[("operation", "vector_sum"), ("x", &words(&x)), ("y", &words(&[sum]))]));
    }
}

fn products(machine: &Machine, lines: &mut Vec<String>) {
    let mut random = Random::new(2);
    for kind in WeightType::ALL {
        let cols = if kind.block_len() == 1 {
            6
        } else if kind.block_len() == 32 {
            64
        } else {
            256
        };
        let row = random.row(kind, cols);
        let x: Vec<f32> = (0..cols).map(|_| random.unit() * 2.0).collect();
        let matrix = Matrix::pack(kind, 1, cols, &row).unwrap();
        let mut y = [0.0];
        machine.matmul(&matrix, &machine.quantise(&x, cols, kind.activation()).unwrap(), &mut y);
        lines.push(line(&[
            ("operation", "matmul"),
            ("weights", kind.name()),
            ("row", &hex(&row)),
            ("x", &words(&x)),
            ("y", &words(&y)),
        ]));
    }
}

fn layers(machine: &Machine, lines: &mut Vec<String>) {
    let mut random = Random::new(3);
    let (x, gain) = (random.numbers(20), random.numbers(20));
    let mut y = vec![0.0; 20];
    machine.rms_norm(&x, &gain, 1e-5, &mut y).unwrap();
    lines.push(line(&[
        ("operation", "rms_norm"),
        ("eps", &words(&[1e-5])),
        ("x", &words(&x)),
        ("gain", &words(&gain)),
        ("y", &words(&y)),
    ]));
    for (name, style) in [("rope_interleaved", RopeStyle::Interleaved), ("rope_halves", RopeStyle::Halves)] {
        let (x, table) = (random.numbers(6), random.numbers(4));
        let mut y = x.clone();
        machine.rope(&mut y, 1, 6, &[&table], style);
        lines.push(line(&[("operation", name), ("table", &words(&table)), ("x", &words(&x)), ("y", &words(&y))]));
    }
    for (window, format) in [(None, KvFormat::F32), (Some(3), KvFormat::F16)] {
        let shape = AttentionShape { heads: 1, kv_heads: 1, head_dim: 16, scale: 0.25, window };
        let mut page = KvPage::new(1, 16, format);
        let (mut keys, mut values) = (vec![], vec![]);
        for slot in 0..5 {
            let (key, value): (Vec<f32>, Vec<f32>) = (0..16).map(|_| (random.unit(), random.unit())).unzip();
            page.write(slot, &key, &value).unwrap();
            keys.extend(key);
            values.extend(value);
        }
        let q: Vec<f32> = (0..16).map(|_| random.unit() * 4.0).collect();
        let mut y = [0.0; 16];
        machine.attention(&shape, &[Query { q: &q, position: 4, pages: &[&page] }], &mut y).unwrap();
        lines.push(line(&[
            ("operation", "attention"),
            ("kv", &format!("{format:?}")),
            ("window", &window.map_or("none".to_owned(), |w| w.to_string())),
            ("scale", &words(&[0.25])),
            ("q", &words(&q)),
            ("keys", &words(&keys)),
            ("values", &words(&values)),
            ("y", &words(&y)),
        ]));
    }
    let logits: Vec<f32> = (0..16).map(|_| random.unit() * 12.0).collect();
    let mut weights = vec![0; 16];
    machine.sample_weights(&logits, 0.7, &mut weights).unwrap();
    let weights: Vec<String> = weights.iter().map(|w| format!("{w:016x}")).collect();
    lines.push(line(&[
        ("operation", "sample_weights"),
        ("temperature", &words(&[0.7])),
        ("x", &words(&logits)),
        ("y", &weights.join(" ")),
    ]));
}

/// Hashes of runs too large to write down; inputs come from the generator in `blocks.rs`.
fn large(machine: &Machine, lines: &mut Vec<String>) {
    let mut pin = |name: &str, shape: &str, y: &[f32]| {
        let bytes: Vec<u8> = y.iter().flat_map(|y| y.to_bits().to_le_bytes()).collect();
        lines.push(line(&[("operation", name), ("shape", shape), ("sha256", &hex(&Sha256::digest(&bytes)))]));
    };
    for (seed, kind) in WeightType::ALL.into_iter().enumerate() {
        let mut random = Random::new(100 + seed as u64);
        let (rows, cols, tokens) = (50, 512, 11);
        let matrix = Matrix::pack(kind, rows, cols, &random.rows(kind, rows, cols)).unwrap();
        let x: Vec<f32> = random.numbers(tokens * cols);
        let mut y = vec![0.0; tokens * rows];
        machine.matmul(&matrix, &machine.quantise(&x, cols, kind.activation()).unwrap(), &mut y);
        pin("matmul", &format!("{kind} 50x512 by 11 tokens, seed {}", 100 + seed), &y);
    }
    let mut random = Random::new(200);
    let shape = AttentionShape { heads: 6, kv_heads: 2, head_dim: 64, scale: 0.125, window: Some(400) };
    let mut pages = vec![KvPage::new(2, 64, KvFormat::F16); 3];
    for position in 0..700 {
        let (key, value): (Vec<f32>, Vec<f32>) = (0..128).map(|_| (random.unit(), random.unit())).unzip();
        pages[position / 256].write(position % 256, &key, &value).unwrap();
    }
    let pages: Vec<&KvPage> = pages.iter().collect();
    let q: Vec<f32> = (0..700 * 384).map(|_| random.unit() * 6.0).collect();
    let queries: Vec<Query<'_>> =
        q.chunks(384).enumerate().map(|(p, q)| Query { q, position: p as u32, pages: &pages }).collect();
    let mut y = vec![0.0; q.len()];
    machine.attention(&shape, &queries, &mut y).unwrap();
    pin("attention", "6/2 heads of 64, window 400, positions 0..700, f16, seed 200", &y);
    let y: Vec<f32> = (0..1 << 16).map(|i| exp(f32::from_bits(0x8000_0000 | (i * 0x8_5a7)))).collect();
    pin("exp", "floats of bits 0x80000000 | i * 0x85a7, i below 2^16", &y);
}

#[test]
fn operations_equal_their_committed_vectors() {
    let file = path("ca1.json");
    let mut committed = std::fs::read_to_string(&file).unwrap_or_default();
    for isa in Isa::available().into_iter().rev() {
        let machine = machine(isa, 2);
        let mut lines = vec![];
        functions(&mut lines);
        products(&machine, &mut lines);
        layers(&machine, &mut lines);
        large(&machine, &mut lines);
        let text = format!("[\n{}\n]\n", lines.join(",\n"));
        if isa == Isa::portable() && std::env::var("CANDOR_WRITE_VECTORS").is_ok_and(|v| v == "1") {
            std::fs::write(&file, &text).unwrap();
            committed.clone_from(&text);
        }
        for (found, expected) in text.lines().zip(committed.lines()) {
            assert_eq!(found, expected, "{isa}");
        }
        assert_eq!(text.len(), committed.len(), "{isa}");
    }
}

/// The second implementation of the tests computes the same products from the committed bytes.
#[test]
fn committed_products_equal_the_table() {
    let text = std::fs::read_to_string(path("ca1.json")).unwrap();
    let lines: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let floats = |field: &serde_json::Value| -> Vec<f32> {
        let word = |word: &str| f32::from_bits(u32::from_str_radix(word, 16).unwrap());
        field.as_str().unwrap().split(' ').map(word).collect()
    };
    let mut seen = 0;
    for line in lines.iter().filter(|line| line["operation"] == "matmul" && line["row"].is_string()) {
        let kind = WeightType::ALL.into_iter().find(|kind| line["weights"] == kind.name()).unwrap();
        let y = blocks::product(kind, &unhex(line["row"].as_str().unwrap()), &floats(&line["x"]));
        assert_eq!(y.to_bits(), floats(&line["y"])[0].to_bits(), "{kind}");
        seen += 1;
    }
    assert_eq!(seen, WeightType::ALL.len());
}

#[test]
fn rows_equal_what_the_gguf_package_makes_of_them() {
    let text = std::fs::read_to_string(path("dequantise.json")).unwrap();
    let lines: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    for kind in WeightType::ALL {
        let of_kind: Vec<_> = lines.iter().filter(|line| line["kind"] == kind.name()).collect();
        assert!(of_kind.len() > 1, "{kind}");
        // All blocks as rows of one matrix, so that rows are told apart too.
        let bytes: Vec<u8> = of_kind.iter().flat_map(|line| unhex(line["block"].as_str().unwrap())).collect();
        let matrix = Matrix::pack(kind, of_kind.len(), kind.block_len(), &bytes).unwrap();
        for (row, line) in of_kind.iter().enumerate() {
            let mut found = vec![0.0; kind.block_len()];
            matrix.row_f32(row, &mut found);
            let expected = unhex(line["values"].as_str().unwrap());
            let expected: Vec<u32> = expected.chunks(4).map(|v| u32::from_le_bytes(v.try_into().unwrap())).collect();
            assert_eq!(crate::bits(&found), expected, "{kind}, row {row}");
        }
    }
}
