//! Random GGUF blocks, and CA-1 products computed from those blocks directly: a second implementation that shares nothing with
//! the crate but the document.

use arith::WeightType;

/// A small generator, so that a failure is reproduced by its seed.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    /// Uniform in `-1 .. 1`.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / 8_388_608.0 - 1.0
    }

    /// Numbers of a shape that tests want: mostly moderate, with zeros of both signs, subnormals and extremes.
    pub(crate) fn number(&mut self) -> f32 {
        match self.below(40) {
            0 => 0.0,
            1 => -0.0,
            2 => self.unit() * 1e-39,
            3 => self.unit() * 1e9,
            4 => f32::from_bits(1),
            5 => self.unit() * 1e-20,
            _ => self.unit() * 4.0,
        }
    }

    pub(crate) fn numbers(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.number()).collect()
    }

    /// Any finite f16: zeros, subnormals and the largest included.
    fn f16(&mut self) -> [u8; 2] {
        loop {
            let bits = match self.below(8) {
                0 => self.bits() as u16,
                1 => self.bits() as u16 & 0x83ff,
                _ => 0x1c00 + (self.bits() as u16 & 0x8fff),
            };
            if bits & 0x7c00 != 0x7c00 {
                return bits.to_le_bytes();
            }
        }
    }

    /// A row of GGUF blocks with finite scales and arbitrary quants.
    pub(crate) fn row(&mut self, kind: WeightType, cols: usize) -> Vec<u8> {
        let mut row = Vec::new();
        for _ in 0..cols / kind.block_len() {
            let mut block: Vec<u8> = (0..kind.block_bytes()).map(|_| self.bits() as u8).collect();
            if self.below(9) == 0 {
                // The most negative values everywhere, and scales whose upper bits are set.
                block.fill(if self.below(2) == 0 { 0x80 } else { 0xff });
            }
            match kind {
                WeightType::F32 => block.copy_from_slice(&self.number().to_le_bytes()),
                WeightType::F16 => block.copy_from_slice(&self.f16()),
                WeightType::BF16 => block.copy_from_slice(&self.number().to_le_bytes()[2..]),
                WeightType::Q6_K => block[208..].copy_from_slice(&self.f16()),
                WeightType::Q8_0 | WeightType::Q4_0 | WeightType::Q5_0 => block[..2].copy_from_slice(&self.f16()),
                _ => {
                    block[..2].copy_from_slice(&self.f16());
                    block[2..4].copy_from_slice(&self.f16());
                }
            }
            row.extend(block);
        }
        row
    }

    pub(crate) fn rows(&mut self, kind: WeightType, rows: usize, cols: usize) -> Vec<u8> {
        (0..rows).flat_map(|_| self.row(kind, cols)).collect()
    }
}

fn f16(bytes: &[u8]) -> f32 {
    half::f16::from_le_bytes([bytes[0], bytes[1]]).to_f32()
}

/// Integers of a block, and what multiplies them.
struct Block {
    quants: Vec<i64>,
    d: f32,
    m: f32,
    scales: Vec<i64>,
    minimums: Vec<i64>,
}

fn nibbles(bytes: &[u8]) -> Vec<i64> {
    let low = bytes.iter().map(|b| i64::from(b & 15));
    low.chain(bytes.iter().map(|b| i64::from(b >> 4))).collect()
}

fn six_bit(packed: &[u8]) -> (Vec<i64>, Vec<i64>) {
    let at = |j: usize| i64::from(packed[j]);
    let scale = |j: usize| if j < 4 { at(j) % 64 } else { at(j + 4) % 16 + at(j - 4) / 64 * 16 };
    let minimum = |j: usize| if j < 4 { at(j + 4) % 64 } else { at(j + 4) / 16 + at(j) / 64 * 16 };
    ((0..8).map(scale).collect(), (0..8).map(minimum).collect())
}

fn block(kind: WeightType, b: &[u8]) -> Block {
    let mut out = Block { quants: vec![], d: 0.0, m: 0.0, scales: vec![], minimums: vec![] };
    let fifth = |bits: &[u8], k: usize| i64::from((bits[k / 8] >> (k % 8)) & 1) * 16;
    match kind {
        WeightType::Q8_0 => {
            out.d = f16(b);
            out.quants = b[2..].iter().map(|q| i64::from(*q as i8)).collect();
        }
        WeightType::Q4_0 => {
            out.d = f16(b);
            out.quants = nibbles(&b[2..]).iter().map(|q| q - 8).collect();
        }
        WeightType::Q4_1 => {
            (out.d, out.m) = (f16(b), f16(&b[2..]));
            out.quants = nibbles(&b[4..]);
        }
        WeightType::Q5_0 => {
            out.d = f16(b);
            out.quants = nibbles(&b[6..]).iter().enumerate().map(|(k, q)| q + fifth(&b[2..6], k) - 16).collect();
        }
        WeightType::Q5_1 => {
            (out.d, out.m) = (f16(b), f16(&b[2..]));
            out.quants = nibbles(&b[8..]).iter().enumerate().map(|(k, q)| q + fifth(&b[4..8], k)).collect();
        }
        WeightType::Q4_K | WeightType::Q5_K => {
            (out.d, out.m) = (f16(b), f16(&b[2..]));
            (out.scales, out.minimums) = six_bit(&b[4..16]);
            let (high, quants) = if kind == WeightType::Q5_K { (&b[16..48], &b[48..]) } else { (&b[..0], &b[16..]) };
            out.quants = quants.chunks(32).flat_map(nibbles).collect();
            for (k, q) in out.quants.iter_mut().enumerate().filter(|_| !high.is_empty()) {
                *q += i64::from((high[k % 32] >> (k / 32)) & 1) * 16;
            }
        }
        WeightType::Q6_K => {
            out.d = f16(&b[208..]);
            out.scales = b[192..208].iter().map(|s| i64::from(*s as i8)).collect();
            for half in 0..2 {
                let low = nibbles(&b[64 * half..64 * half + 64]);
                let high = &b[128 + 32 * half..160 + 32 * half];
                for (k, low) in low.iter().enumerate() {
                    out.quants.push(low + i64::from((high[k % 32] >> (k / 32 * 2)) & 3) * 16 - 32);
                }
            }
        }
        WeightType::F32 | WeightType::F16 | WeightType::BF16 => {}
    }
    out
}

/// One number of a float type.
fn float(kind: WeightType, b: &[u8]) -> f32 {
    match kind {
        WeightType::F32 => f32::from_le_bytes(b.try_into().unwrap()),
        WeightType::F16 => f16(b),
        _ => f32::from_bits(u32::from(u16::from_le_bytes(b.try_into().unwrap())) << 16),
    }
}

/// A block of activations: scale and integers.
fn quantise(x: &[f32]) -> (f32, Vec<i64>) {
    let amax = x.iter().map(|v| v.abs()).fold(0.0, f32::max);
    if amax < 2f32.powi(-120) {
        return (0.0, vec![0; x.len()]);
    }
    let inverse = 127.0 / amax;
    (amax / 127.0, x.iter().map(|v| (v * inverse).round_ties_even().clamp(-127.0, 127.0) as i64).collect())
}

/// The product of one row of GGUF blocks with one token, by the table of `docs/arithmetic.md`, section 2.
pub(crate) fn product(kind: WeightType, row: &[u8], x: &[f32]) -> f32 {
    let mut acc = 0.0f32;
    for (bytes, x) in row.chunks(kind.block_bytes()).zip(x.chunks(kind.block_len())) {
        if kind.block_len() == 1 {
            acc += float(kind, bytes) * x[0];
            continue;
        }
        let w = block(kind, bytes);
        let (a_scale, a) = quantise(x);
        let dot = |range: std::ops::Range<usize>| -> i64 { range.map(|k| w.quants[k] * a[k]).sum() };
        let sum = |range: std::ops::Range<usize>| -> i64 { a[range].iter().sum() };
        acc += match kind {
            WeightType::Q4_1 | WeightType::Q5_1 => {
                dot(0..32) as f32 * (w.d * a_scale) + w.m * (sum(0..32) as f32 * a_scale)
            }
            WeightType::Q4_K | WeightType::Q5_K => {
                let s: i64 = (0..8).map(|j| w.scales[j] * dot(32 * j..32 * j + 32)).sum();
                let m: i64 = (0..8).map(|j| w.minimums[j] * sum(32 * j..32 * j + 32)).sum();
                s as f32 * (w.d * a_scale) - m as f32 * (w.m * a_scale)
            }
            WeightType::Q6_K => {
                let s: i64 = (0..16).map(|j| w.scales[j] * dot(16 * j..16 * j + 16)).sum();
                s as f32 * (w.d * a_scale)
            }
            _ => dot(0..32) as f32 * (w.d * a_scale),
        };
    }
    acc
}
