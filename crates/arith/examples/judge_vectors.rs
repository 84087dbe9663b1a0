#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program that writes a file of tests")]
//! Writes `contracts/test/judge/vectors.json`: what the portable code of this crate answers to inputs that the judges, in
//! Solidity and in Rust, must answer alike.
//!
//! `cargo run -p arith --example judge_vectors [-- --check]`
//!
//! Numbers are big-endian words of 32 bits, one after the other; every NaN is 0x7fc00000. Fields that a contract finds in
//! calldata (`weights`, `activations`, `scales`, `quants`, `x` and `y` of `products`) are bytes as they lie there, words of
//! numbers little-endian. `random` holds a SHA-256 digest for every 1,024 results; `Random` and `Case` make their operands.

use std::fmt::Write;
use std::num::NonZeroUsize;
use std::path::Path;

use arith::portable::{exp, gelu, max, sample_weights, sigmoid, silu, tanh, vector_sum};
use arith::{ActivationKind, Isa, Machine, Matrix, Pool, WeightType};
use half::f16;
use sha2::{Digest, Sha256};

/// Results under one digest.
const CASES: usize = 1_024;

/// The `SplitMix64` generator.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `-1 .. 1`.
    fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / 8_388_608.0 - 1.0
    }

    /// Mostly moderate, with zeros of both signs, subnormals and extremes.
    fn number(&mut self) -> f32 {
        match self.bits() % 40 {
            0 => 0.0,
            1 => -0.0,
            2 => self.unit() * 1e-39,
            3 => self.unit() * 1e9,
            4 => f32::from_bits(1),
            5 => self.unit() * 1e-20,
            _ => self.unit() * 4.0,
        }
    }

    fn numbers(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.number()).collect()
    }

    /// A finite f16, one in eight of them subnormal.
    fn half(&mut self) -> [u8; 2] {
        let bits = self.bits();
        let finite = if bits >> 61 == 0 { bits & 0x83ff } else { 0x1c00 + (bits & 0x8fff) };
        (finite as u16).to_le_bytes()
    }

    /// Blocks of a row, their scales finite and everything else arbitrary.
    fn blocks(&mut self, kind: WeightType, count: usize) -> Vec<u8> {
        let mut row = Vec::new();
        for _ in 0..count {
            let mut block: Vec<u8> = (0..kind.block_bytes()).map(|_| self.bits() as u8).collect();
            if self.bits().is_multiple_of(9) {
                block.fill([0x80, 0xff, 0x00][(self.bits() % 3) as usize]);
            }
            match kind {
                WeightType::F32 => block.copy_from_slice(&self.number().to_le_bytes()),
                WeightType::F16 => block.copy_from_slice(&self.half()),
                WeightType::BF16 => block.copy_from_slice(&self.number().to_le_bytes()[2..]),
                WeightType::Q6_K => block[208..].copy_from_slice(&self.half()),
                _ => {
                    block[..2].copy_from_slice(&self.half());
                    if !matches!(kind, WeightType::Q8_0 | WeightType::Q4_0 | WeightType::Q5_0) {
                        block[2..4].copy_from_slice(&self.half());
                    }
                }
            }
            row.extend(block);
        }
        row
    }
}

/// Two operands and an integer, of a distribution that meets carries, cancellations, subnormals and overflow.
struct Case {
    a: f32,
    b: f32,
    integer: i32,
}

impl Case {
    fn draw(random: &mut Random) -> Self {
        let (operands, mode) = (random.bits(), random.bits());
        let (mut a, mut b) = (operands as u32, (operands >> 32) as u32);
        let with_exponent = |x: u32, exponent: u32| x & 0x807f_ffff | (exponent & 255) << 23;
        let exponent = a >> 23 & 255;
        let near = (mode >> 8 & 31) as u32;
        match mode & 7 {
            0 | 1 => {}
            2 | 3 => b = with_exponent(b, exponent.wrapping_add(near).wrapping_sub(16)),
            4 => {
                a = with_exponent(a, 96 + (mode >> 8 & 63) as u32);
                b = with_exponent(b, 96 + (mode >> 16 & 63) as u32);
            }
            5 => {
                a &= 0xff80_0000 | (mode >> 16) as u32 & (mode >> 32) as u32;
                b = with_exponent(b, exponent.wrapping_add(near).wrapping_sub(16)) | (mode >> 40) as u32 & 0x7f_ffff;
            }
            6 => b = with_exponent(b, 112u32.wrapping_sub(exponent).wrapping_add(near)),
            _ => {
                a = with_exponent(a, 0);
                b = with_exponent(b, (mode >> 8) as u32);
            }
        }
        let integer = (operands as i32) >> (mode >> 3 & 31);
        Self { a: f32::from_bits(a), b: f32::from_bits(b), integer }
    }
}

fn bits(x: f32) -> u32 {
    if x.is_nan() { 0x7fc0_0000 } else { x.to_bits() }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn words(x: impl IntoIterator<Item = u32>) -> String {
    hex(&x.into_iter().flat_map(u32::to_be_bytes).collect::<Vec<u8>>())
}

fn numbers(x: &[f32]) -> String {
    words(x.iter().map(|&x| bits(x)))
}

fn little(x: &[f32]) -> Vec<u8> {
    x.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// An object of texts or of objects.
fn object(fields: &[(&str, String)]) -> String {
    let quoted = |value: &String| if value.starts_with('{') { value.clone() } else { format!("\"{value}\"") };
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\": {}", quoted(value))).collect();
    format!("{{\n{}\n}}", fields.join(",\n"))
}

/// Operations of two numbers.
type Binary = fn(f32, f32) -> f32;
/// Functions of one number.
type Unary = fn(f32) -> f32;
/// Operations of a case, to 32 bits.
type Operation = fn(&Case) -> u32;

const BINARY: [(&str, Binary); 5] = [
    ("add", |a, b| a + b),
    ("sub", |a, b| a - b),
    ("mul", |a, b| a * b),
    ("div", |a, b| a / b),
    ("maximum", |a, b| if b > a { b } else { a }),
];

const FUNCTIONS: [(&str, Unary); 5] =
    [("exp", exp), ("sigmoid", sigmoid), ("silu", silu), ("tanh", tanh), ("gelu", gelu)];

fn to_half(x: f32) -> u32 {
    let half = f16::from_f32(x);
    if half.is_nan() { 0x7e00 } else { half.to_bits().into() }
}

fn to_integer(x: f32) -> u32 {
    (x.round_ties_even() as i32).cast_unsigned()
}

/// Numbers at the edges of their kinds, both signs, infinities and NaN.
fn specials() -> Vec<f32> {
    let magnitudes: [u32; 30] = [
        0,
        1,
        2,
        3,
        0x3f_ffff,
        0x40_0000,
        0x7f_fffe,
        0x7f_ffff,
        0x80_0000,
        0x80_0001,
        0xff_ffff,
        0x100_0000,
        0x100_0001,
        0x3380_0000,
        0x33ff_ffff,
        0x3f00_0000,
        0x3f00_0001,
        0x3f7f_fffe,
        0x3f7f_ffff,
        0x3f80_0000,
        0x3f80_0001,
        0x3fff_ffff,
        0x4000_0000,
        0x4b00_0001,
        0x4b7f_ffff,
        0x4b80_0000,
        0x7eff_ffff,
        0x7f7f_ffff,
        0x7f80_0000,
        0x7fc0_0000,
    ];
    magnitudes.into_iter().flat_map(|m| [f32::from_bits(m), f32::from_bits(m | 1 << 31)]).collect()
}

fn pairs(specials: &[f32]) -> String {
    let all = |f: Binary| specials.iter().flat_map(|&a| specials.iter().map(move |&b| f(a, b))).collect::<Vec<f32>>();
    let mut fields = vec![("operands", numbers(specials))];
    fields.extend(BINARY.map(|(name, f)| (name, numbers(&all(f)))));
    object(&fields)
}

/// Digests of `blocks` times `CASES` results.
fn digests(seed: u64, blocks: usize, f: Operation) -> String {
    let mut random = Random(seed);
    let mut block = || (0..CASES).flat_map(|_| f(&Case::draw(&mut random)).to_be_bytes()).collect::<Vec<u8>>();
    hex(&(0..blocks).flat_map(|_| Sha256::digest(block())).collect::<Vec<u8>>())
}

fn random() -> String {
    let operations: [(&str, Operation); 15] = [
        ("add", |c| bits(c.a + c.b)),
        ("sub", |c| bits(c.a - c.b)),
        ("mul", |c| bits(c.a * c.b)),
        ("div", |c| bits(c.a / c.b)),
        ("maximum", |c| bits(if c.b > c.a { c.b } else { c.a })),
        ("sqrt", |c| bits(c.a.abs().sqrt())),
        ("from_integer", |c| bits(c.integer as f32)),
        ("to_integer", |c| to_integer(f32::from_bits(c.a.to_bits() & 0xbfff_ffff) * 256.0)),
        ("from_f16", |c| bits(f16::from_bits(c.a.to_bits() as u16).to_f32())),
        ("to_f16", |c| to_half(c.a)),
        ("exp", |c| bits(exp(c.a))),
        ("sigmoid", |c| bits(sigmoid(c.a))),
        ("silu", |c| bits(silu(c.a))),
        ("tanh", |c| bits(tanh(c.a))),
        ("gelu", |c| bits(gelu(c.a))),
    ];
    let fields = operations.iter().enumerate().map(|(index, &(name, f))| {
        let blocks = if index < 10 { 32 } else { 2 };
        (name, digests(index as u64, blocks, f))
    });
    object(&fields.collect::<Vec<_>>())
}

fn functions(specials: &[f32]) -> String {
    let mut random = Random(100);
    let mut x = specials.to_vec();
    x.extend([-103.9, -103.98, -104.0, -104.01, -87.3, -87.4, -100.0, -200.0, 88.0, 88.8, 89.0, 0.625, -0.625, 20.0]);
    // Roots that an integer method finds one too large, unless it looks.
    x.extend([0x4015_8ecb, 0x4015_a11c, 0x401d_c3f5, 0x4041_bc4e].map(f32::from_bits));
    x.extend((0..200).map(|_| random.unit() * 8.0));
    x.extend((0..200).map(|_| random.unit() * 105.0));
    let mut fields = vec![("x", numbers(&x))];
    fields.extend(FUNCTIONS.map(|(name, f)| (name, numbers(&x.iter().map(|&x| f(x)).collect::<Vec<_>>()))));
    fields.extend([
        ("sqrt", numbers(&x.iter().map(|&x| x.sqrt()).collect::<Vec<_>>())),
        ("to_f16", words(x.iter().map(|&x| to_half(x)))),
    ]);
    object(&fields)
}

/// A block's scale and signed bytes, by section 2.
fn quantise(x: &[f32]) -> (f32, Vec<u8>) {
    let amax = x.iter().fold(0.0f32, |amax, v| if v.abs() > amax { v.abs() } else { amax });
    if amax < 2f32.powi(-120) {
        return (0.0, vec![0; x.len()]);
    }
    let inverse = 127.0 / amax;
    (amax / 127.0, x.iter().map(|v| ((v * inverse).round_ties_even() as i8).cast_unsigned()).collect())
}

/// Blocks of activations; some are tiny, some huge.
fn activations(random: &mut Random, block: usize, blocks: usize) -> Vec<f32> {
    let factors = [1.0, 1.0, 1e-3, 1e-37, 1e28, 1.0, 100.0, 0.0];
    let mut x = Vec::new();
    for _ in 0..blocks {
        let factor = factors[(random.bits() % 8) as usize];
        x.extend(random.numbers(block).iter().map(|x| x * factor));
    }
    x
}

fn quantised() -> String {
    let mut random = Random(200);
    let fields = [("block_32", 32, 24), ("block_256", 256, 6)].map(|(name, block, blocks)| {
        let x = activations(&mut random, block, blocks);
        let (scales, quants): (Vec<f32>, Vec<Vec<u8>>) = x.chunks(block).map(quantise).unzip();
        let fields = [("x", hex(&little(&x))), ("scales", numbers(&scales)), ("quants", hex(&quants.concat()))];
        (name, object(&fields))
    });
    object(&fields)
}

/// Runs of a row: 256 columns (64 of the float types) continue a sum. The sum before it is that of a shorter row.
fn runs(machine: &Machine) -> String {
    let mut random = Random(300);
    let fields = WeightType::ALL.map(|kind| {
        let cols = if kind.activation() == ActivationKind::F32 { 64 } else { 256 };
        let block = kind.block_len();
        let [mut weights, mut quants, mut scales] = [const { Vec::<u8>::new() }; 3];
        let (mut before, mut after) = (vec![], vec![]);
        for case in 0..16 {
            let row = random.blocks(kind, 2 * cols / block);
            let mut x = activations(&mut random, if block == 1 { 64 } else { block }, 2 * cols / block.max(64));
            x.resize(2 * cols, 1.5);
            if case == 15 {
                x.fill(3e38);
            }
            let sum = |runs: usize| {
                let matrix = Matrix::pack(kind, 1, runs * cols, &row[..row.len() / 2 * runs]).unwrap();
                let mut y = [0.0];
                machine.matmul(
                    &matrix,
                    &machine.quantise(&x[..runs * cols], runs * cols, kind.activation()).unwrap(),
                    &mut y,
                );
                y[0]
            };
            let continued = case % 4 != 0;
            before.push(if continued { sum(1) } else { 0.0 });
            after.push(sum(if continued { 2 } else { 1 }));
            let (first, x) = if continued { (row.len() / 2, &x[cols..]) } else { (0, &x[..cols]) };
            weights.extend(&row[first..][..row.len() / 2]);
            if block == 1 {
                quants.extend(little(x));
                continue;
            }
            for x in x.chunks(block) {
                let (scale, q) = quantise(x);
                scales.extend(scale.to_le_bytes());
                quants.extend(q);
            }
        }
        let fields = [
            ("weights", hex(&weights)),
            ("activations", hex(&quants)),
            ("scales", hex(&scales)),
            ("before", numbers(&before)),
            ("after", numbers(&after)),
        ];
        (kind.name(), object(&fields))
    });
    object(&fields)
}

fn rows() -> String {
    let mut random = Random(400);
    let fields = WeightType::ALL.map(|kind| {
        let blocks = (256 / kind.block_len()).clamp(2, 32);
        let weights = random.blocks(kind, blocks);
        let mut values = vec![0.0; blocks * kind.block_len()];
        Matrix::pack(kind, 1, values.len(), &weights).unwrap().row_f32(0, &mut values);
        (kind.name(), object(&[("weights", hex(&weights)), ("values", numbers(&values))]))
    });
    object(&fields)
}

/// Sums of 64 products in 16 lanes that continue, their fold, and the largest of each 16 numbers of x.
fn vectors() -> String {
    let mut random = Random(500);
    let (mut x, mut y) = (random.numbers(64 * 12), random.numbers(64 * 12));
    x[64 * 11..].fill(3e38);
    y[64 * 11..].fill(-3e38);
    let mut lanes = [0.0f32; 16];
    let (mut after, mut folds, mut maxima) = (vec![], vec![], vec![]);
    for (x, y) in x.chunks(64).zip(y.chunks(64)) {
        for (i, (x, y)) in x.iter().zip(y).enumerate() {
            lanes[i % 16] += x * y;
        }
        after.extend(lanes);
        folds.push(vector_sum(lanes));
        maxima.extend(x.chunks(16).map(max));
    }
    object(&[
        ("x", hex(&little(&x))),
        ("y", hex(&little(&y))),
        ("lanes", numbers(&after)),
        ("folds", numbers(&folds)),
        ("maxima", numbers(&maxima)),
    ])
}

fn sampling() -> String {
    let mut random = Random(600);
    let mut logits: Vec<f32> = (0..256).map(|_| random.unit() * 20.0).collect();
    logits.extend([0.0, -0.0, f32::MIN, -1e38, 1e-45]);
    let fields = [("cool", 0.01f32), ("mild", 0.7), ("hot", 3.0), ("freezing", 1e-40), ("melting", 3e38)];
    let fields = fields.map(|(name, temperature)| {
        let mut weights = vec![0; logits.len()];
        sample_weights(&logits, temperature, &mut weights).unwrap();
        let weights: Vec<u8> = weights.iter().flat_map(|w| w.to_be_bytes()).collect();
        (name, object(&[("temperature", numbers(&[temperature])), ("weights", hex(&weights))]))
    });
    let mut all = vec![("logits", numbers(&logits)), ("largest", numbers(&[max(&logits)]))];
    all.extend(fields);
    object(&all)
}

fn main() {
    let machine = Machine::new(Isa::portable(), Pool::new(NonZeroUsize::MIN));
    let specials = specials();
    let text = object(&[
        ("pairs", pairs(&specials)),
        ("random", random()),
        ("functions", functions(&specials)),
        ("quantised", quantised()),
        ("runs", runs(&machine)),
        ("rows", rows()),
        ("vectors", vectors()),
        ("sampling", sampling()),
    ]) + "\n";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contracts/test/judge/vectors.json");
    if std::env::args().any(|argument| argument == "--check") {
        assert!(std::fs::read_to_string(&file).unwrap() == text, "the committed vectors are not what the crate makes");
    } else {
        std::fs::write(&file, &text).unwrap();
    }
    println!("{} bytes", text.len());
}
