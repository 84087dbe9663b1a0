//! Attention on every instruction set, against a second implementation over plain arrays.

use crate::blocks::Random;
use crate::{bits, cases, machine};
use arith::portable::{exp, vector_sum};
use arith::{AttentionShape, Isa, KvFormat, KvPage, Machine, Query};
use proptest::prelude::*;

/// A sequence: keys and values as the cache holds them, `[position][kv_heads * head_dim]`.
struct Sequence {
    shape: AttentionShape,
    keys: Vec<Vec<f32>>,
    values: Vec<Vec<f32>>,
    pages: Vec<KvPage>,
    queries: Vec<Vec<f32>>,
}

fn stored(format: KvFormat, x: f32) -> f32 {
    if format == KvFormat::F16 { half::f16::from_f32(x).to_f32() } else { x }
}

impl Sequence {
    fn new(random: &mut Random, shape: AttentionShape, format: KvFormat, positions: usize) -> Self {
        let width = shape.kv_heads * shape.head_dim;
        let number = |random: &mut Random| match random.below(30) {
            0 => -0.0,
            1 => random.unit() * 1e-7,
            _ => random.unit() * 3.0,
        };
        let mut out = Self { shape, keys: vec![], values: vec![], pages: vec![], queries: vec![] };
        for position in 0..positions {
            if position % 256 == 0 {
                out.pages.push(KvPage::new(shape.kv_heads, shape.head_dim, format));
            }
            let key: Vec<f32> = (0..width).map(|_| number(random)).collect();
            let value: Vec<f32> = (0..width).map(|_| number(random)).collect();
            out.pages[position / 256].write(position % 256, &key, &value).unwrap();
            out.keys.push(key.into_iter().map(|x| stored(format, x)).collect());
            out.values.push(value.into_iter().map(|x| stored(format, x)).collect());
            out.queries.push((0..shape.heads * shape.head_dim).map(|_| number(random)).collect());
        }
        out
    }

    /// Section 3 of `docs/arithmetic.md`, word by word.
    fn expected(&self, position: usize) -> Vec<f32> {
        let shape = &self.shape;
        let dim = shape.head_dim;
        let first = shape.window.map_or(0, |w| (position + 1).saturating_sub(w as usize));
        let mut out = vec![];
        for head in 0..shape.heads {
            let kv = head / (shape.heads / shape.kv_heads) * dim;
            let q = &self.queries[position][head * dim..][..dim];
            let scores: Vec<f32> = (first..=position)
                .map(|j| vector_sum((0..dim).map(|d| q[d] * self.keys[j][kv + d])) * shape.scale)
                .collect();
            let max = scores.iter().copied().fold(f32::MIN, f32::max);
            let mut total = 0.0f32;
            let mut sum = vec![0.0f32; dim];
            for chunk in 0..=position / 256 {
                // Every position of the chunk, those that are not seen as +0.
                let e: Vec<f32> = (chunk * 256..chunk * 256 + 256)
                    .map(|j| if j < first || j > position { 0.0 } else { exp(scores[j - first] - max) })
                    .collect();
                total += vector_sum(e.iter().copied());
                for (d, sum) in sum.iter_mut().enumerate() {
                    let mut o = 0.0f32;
                    for j in (chunk * 256).max(first)..=position.min(chunk * 256 + 255) {
                        o += e[j - chunk * 256] * self.values[j][kv + d];
                    }
                    *sum += o;
                }
            }
            out.extend(sum.iter().map(|s| s / total));
        }
        out
    }

    fn run(&self, machine: &Machine, positions: &[usize]) -> Vec<f32> {
        let pages: Vec<&KvPage> = self.pages.iter().collect();
        let queries: Vec<Query<'_>> =
            positions.iter().map(|&p| Query { q: &self.queries[p], position: p as u32, pages: &pages }).collect();
        let mut out = vec![f32::NAN; positions.len() * self.shape.heads * self.shape.head_dim];
        machine.attention(&self.shape, &queries, &mut out).unwrap();
        out
    }
}

fn shapes() -> impl Strategy<Value = AttentionShape> {
    let heads = prop::sample::select(vec![(1, 1), (3, 1), (9, 3), (4, 4), (8, 2), (5, 1)]);
    let dims = prop::sample::select(vec![16usize, 64, 80, 128, 24]);
    let window = prop::option::of(1u32..700);
    (heads, dims, window).prop_map(|((heads, kv_heads), head_dim, window)| AttentionShape {
        heads,
        kv_heads,
        head_dim,
        scale: 1.0 / (head_dim as f32).sqrt(),
        window,
    })
}

proptest! {
    #![proptest_config(cases(40))]

    #[test]
    fn every_instruction_set_and_every_batch_equals_the_text(
        seed in any::<u64>(), shape in shapes(), f16 in any::<bool>(), positions in 1usize..620,
        threads in 1usize..4, tokens in 1usize..12,
    ) {
        let mut random = Random::new(seed);
        let format = if f16 { KvFormat::F16 } else { KvFormat::F32 };
        let sequence = Sequence::new(&mut random, shape, format, positions);
        let first = random.below(positions);
        let asked: Vec<usize> = (first..positions.min(first + tokens)).collect();
        let expected: Vec<u32> = asked.iter().flat_map(|&p| bits(&sequence.expected(p))).collect();
        for isa in Isa::available() {
            let machine = machine(isa, threads);
            prop_assert_eq!(&bits(&sequence.run(&machine, &asked)), &expected, "{} together", isa);
            let alone: Vec<u32> = asked.iter().flat_map(|&p| bits(&sequence.run(&machine, &[p]))).collect();
            prop_assert_eq!(&alone, &expected, "{} alone", isa);
        }
    }
}

/// Queries of several sequences in one batch, of different lengths and in no order.
#[test]
fn sequences_in_one_batch_do_not_touch_each_other() {
    let shape = AttentionShape { heads: 6, kv_heads: 2, head_dim: 32, scale: 0.2, window: None };
    let mut random = Random::new(3);
    let sequences: Vec<Sequence> =
        [300, 5, 700].map(|n| Sequence::new(&mut random, shape, KvFormat::F16, n)).into_iter().collect();
    let pages: Vec<Vec<&KvPage>> = sequences.iter().map(|s| s.pages.iter().collect()).collect();
    let asked = [(0, 299), (2, 255), (2, 256), (1, 0), (0, 3), (1, 4), (2, 699)];
    let queries: Vec<Query<'_>> = asked
        .iter()
        .map(|&(s, p)| Query { q: &sequences[s].queries[p], position: p as u32, pages: &pages[s] })
        .collect();
    let expected: Vec<u32> = asked.iter().flat_map(|&(s, p)| bits(&sequences[s].expected(p))).collect();
    for isa in Isa::available() {
        for threads in 1..5 {
            let mut out = vec![0.0; asked.len() * 6 * 32];
            machine(isa, threads).attention(&shape, &queries, &mut out).unwrap();
            assert_eq!(bits(&out), expected, "{isa}, {threads} threads");
        }
    }
}

/// Pages are reused after a fork: what lies beyond the query's position must not be seen.
#[test]
fn numbers_beyond_the_position_are_not_seen() {
    let shape = AttentionShape { heads: 2, kv_heads: 1, head_dim: 64, scale: 0.125, window: Some(300) };
    let mut random = Random::new(4);
    let mut sequence = Sequence::new(&mut random, shape, KvFormat::F32, 600);
    let expected = bits(&sequence.expected(401));
    let huge = vec![1e38; 64];
    for position in (402..600).chain(0..102) {
        sequence.pages[position / 256].write(position % 256, &huge, &huge).unwrap();
    }
    for isa in Isa::available() {
        assert_eq!(bits(&sequence.run(&machine(isa, 2), &[401])), expected, "{isa}");
    }
}

#[test]
fn a_score_that_overflows_is_a_fault_of_its_head() {
    let shape = AttentionShape { heads: 4, kv_heads: 2, head_dim: 32, scale: 1.0, window: None };
    let mut sequence = Sequence::new(&mut Random::new(5), shape, KvFormat::F32, 20);
    let mut key = vec![1.0f32; 64];
    key[40] = -3e38;
    sequence.pages[0].write(7, &key, &[0.0; 64]).unwrap();
    sequence.queries[9][3 * 32 + 8] = 3e38;
    sequence.queries[9][2 * 32 + 8] = 0.0;
    let pages: Vec<&KvPage> = sequence.pages.iter().collect();
    let queries: Vec<Query<'_>> =
        [6, 9].iter().map(|&p| Query { q: &sequence.queries[p], position: p as u32, pages: &pages }).collect();
    for isa in Isa::available() {
        let mut out = vec![0.0; 2 * 4 * 32];
        let fault = machine(isa, 3).attention(&shape, &queries, &mut out).unwrap_err();
        assert_eq!((fault.operation, fault.index), ("attention", 7), "{isa}");
    }
}

#[test]
fn a_page_refuses_what_its_format_cannot_hold() {
    let mut page = KvPage::new(1, 16, KvFormat::F16);
    let (fine, mut wide) = ([1.0f32; 16], [1.0f32; 16]);
    wide[3] = 65_520.0;
    assert_eq!(page.write(0, &wide, &fine).unwrap_err().index, 3);
    assert_eq!(page.write(0, &fine, &wide).unwrap_err().index, 19);
    wide[3] = 65_519.0;
    assert!(page.write(0, &wide, &wide).is_ok());
    let mut page = KvPage::new(1, 16, KvFormat::F32);
    wide[3] = f32::NAN;
    assert_eq!(page.write(0, &wide, &fine).unwrap_err().operation, "kv_write");
}
