//! Norm, functions, rotation, sampling weights and maximum: every instruction set against plain expressions.

use crate::blocks::Random;
use crate::{bits, cases, machine};
use arith::portable::{self, gelu, silu, vector_sum};
use arith::{ActivationKind, Isa, Machine, RopeStyle};
use proptest::prelude::*;

/// Machines of every instruction set, with one thread and with several.
fn machines() -> Vec<Machine> {
    Isa::available().into_iter().flat_map(|isa| [machine(isa, 1), machine(isa, 3)]).collect()
}

proptest! {
    #![proptest_config(cases(32))]

    #[test]
    fn element_by_element(seed in any::<u64>(), n in prop_oneof![0usize..100, 20_000usize..20_100]) {
        let mut random = Random::new(seed);
        let (x, y) = (random.numbers(n), random.numbers(n));
        let expect = |f: &dyn Fn(f32, f32) -> f32| -> Vec<u32> {
            x.iter().zip(&y).map(|(x, y)| f(*x, *y).to_bits()).collect()
        };
        for machine in machines() {
            let run = |f: &dyn Fn(&mut [f32])| -> Vec<u32> {
                let mut x = x.clone();
                f(&mut x);
                bits(&x)
            };
            prop_assert_eq!(run(&|x| machine.add(x, &y)), expect(&|x, y| x + y));
            prop_assert_eq!(run(&|x| machine.scale(x, 0.3)), expect(&|x, _| x * 0.3));
            prop_assert_eq!(run(&|x| machine.silu_mul(x, &y)), expect(&|x, y| silu(x) * y), "{}", machine.isa());
            prop_assert_eq!(run(&|x| machine.gelu_mul(x, &y)), expect(&|x, y| gelu(x) * y), "{}", machine.isa());
        }
    }

    #[test]
    fn norm(seed in any::<u64>(), n in 1usize..200, rows in prop_oneof![1usize..4, 300usize..310]) {
        let mut random = Random::new(seed);
        let (x, gain) = (random.numbers(rows * n), random.numbers(n));
        let expected: Vec<u32> = x.chunks(n).flat_map(|x| {
            let sum = vector_sum(x.iter().map(|v| v * v));
            let factor = 1.0 / (sum / n as f32 + 1e-5).sqrt();
            x.iter().zip(&gain).map(|(x, g)| ((x * factor) * g).to_bits()).collect::<Vec<_>>()
        }).collect();
        for machine in machines() {
            let mut out = vec![0.0; x.len()];
            machine.rms_norm(&x, &gain, 1e-5, &mut out).unwrap();
            prop_assert_eq!(bits(&out), expected.clone(), "{}", machine.isa());
        }
    }

    #[test]
    fn sampling_weights(seed in any::<u64>(), n in prop_oneof![1usize..70, 17_000usize..17_100], t in 0.01f32..3.0) {
        let mut random = Random::new(seed);
        let logits: Vec<f32> = (0..n).map(|_| random.unit() * 30.0).collect();
        let mut expected = vec![0; n];
        let total = portable::sample_weights(&logits, t, &mut expected).unwrap();
        prop_assert_eq!(total, expected.iter().map(|w| u128::from(*w)).sum::<u128>());
        let best = portable::argmax(&logits).unwrap();
        prop_assert_eq!(expected[best], 1 << 32);
        for machine in machines() {
            let mut out = vec![0; n];
            prop_assert_eq!(machine.sample_weights(&logits, t, &mut out).unwrap(), total, "{}", machine.isa());
            prop_assert_eq!(&out, &expected, "{}", machine.isa());
            prop_assert_eq!(machine.max(&logits).to_bits(), logits[best].to_bits());
        }
    }

    #[test]
    fn rotation(seed in any::<u64>(), pairs in prop::sample::select(vec![1usize, 16, 20, 32, 48, 64, 300]), tokens in 1usize..5) {
        let mut random = Random::new(seed);
        let (heads, head_dim) = (3, 2 * pairs + 4);
        let x = random.numbers(tokens * heads * head_dim);
        let rows: Vec<Vec<f32>> = (0..tokens).map(|_| random.numbers(2 * pairs)).collect();
        let table: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        for style in [RopeStyle::Interleaved, RopeStyle::Halves] {
            let mut expected = x.clone();
            for (head, turned) in expected.chunks_mut(head_dim).enumerate() {
                let before = turned.to_vec();
                for pair in 0..pairs {
                    let (c, s) = (rows[head / heads][pair], rows[head / heads][pairs + pair]);
                    let (i, j) = match style {
                        RopeStyle::Interleaved => (2 * pair, 2 * pair + 1),
                        RopeStyle::Halves => (pair, pairs + pair),
                    };
                    turned[i] = before[i] * c - before[j] * s;
                    turned[j] = before[j] * c + before[i] * s;
                }
            }
            for machine in machines() {
                let mut found = x.clone();
                machine.rope(&mut found, heads, head_dim, &table, style);
                prop_assert_eq!(bits(&found), bits(&expected), "{} {:?}", machine.isa(), style);
            }
        }
    }

    /// The sum that a quantised block stands for never strays from its numbers by more than half a step.
    #[test]
    fn quantised_numbers_are_near(seed in any::<u64>()) {
        let x: Vec<f32> = { let mut r = Random::new(seed); (0..512).map(|_| r.unit()).collect() };
        // A matrix of ones: its product is the sum of the quantised numbers times their scale.
        let mut bytes = Vec::new();
        for _ in 0..16 {
            bytes.extend(half::f16::from_f32(1.0).to_le_bytes());
            bytes.extend([1u8; 32]);
        }
        let w = arith::Matrix::pack(arith::WeightType::Q8_0, 1, 512, &bytes).unwrap();
        for machine in machines() {
            let a = machine.quantise(&x, 512, ActivationKind::Block32).unwrap();
            let mut out = [0.0];
            machine.matmul(&w, &a, &mut out);
            let truth: f64 = x.iter().map(|x| f64::from(*x)).sum();
            prop_assert!((f64::from(out[0]) - truth).abs() < 512.0 * 0.51 / 127.0);
        }
    }
}

#[test]
fn sampling_weights_at_the_edges() {
    let logits = [0.0, -0.0, -1e-45, -22.18, -22.19, -90.0, f32::MIN, -3.0, -1.0e9];
    let mut expected = [0; 9];
    portable::sample_weights(&logits, 1.0, &mut expected).unwrap();
    assert_eq!(expected[..3], [1 << 32; 3]);
    assert_eq!(expected[3..7], [1, 0, 0, 0]);
    for machine in machines() {
        // Repeated, so that whole vectors are met too.
        let many: Vec<f32> = logits.iter().copied().cycle().take(9 * 16).collect();
        let mut out = vec![0; many.len()];
        machine.sample_weights(&many, 1.0, &mut out).unwrap();
        assert!(out.chunks(9).all(|chunk| chunk == expected), "{}", machine.isa());
        machine.sample_weights(&many, f32::MIN_POSITIVE, &mut out).unwrap();
        assert_eq!(out[..9], [1 << 32, 1 << 32, expected_of(-1e-45, f32::MIN_POSITIVE), 0, 0, 0, 0, 0, 0]);
        let mut bad = many.clone();
        (bad[100], bad[31]) = (f32::NAN, f32::INFINITY);
        assert_eq!(machine.sample_weights(&bad, 1.0, &mut out).unwrap_err().index, 31);
    }
}

fn expected_of(logit: f32, temperature: f32) -> u64 {
    (portable::exp(logit / temperature) * 4_294_967_296.0) as u64
}

#[test]
fn argmax_takes_the_lowest_of_equals() {
    assert_eq!(portable::argmax(&[1.0, 3.0, -0.0, 3.0]), Some(1));
    assert_eq!(portable::argmax(&[-0.0, 0.0]), Some(0));
    assert_eq!(portable::argmax(&[]), None);
    assert_eq!(portable::max(&[-0.0, -0.0]).to_bits(), 0);
}

#[test]
fn rotation_turns_pairs_of_either_style() {
    let head: Vec<f32> = (0..8).map(|i| i as f32).collect();
    // Two pairs turned by a quarter and by nothing; the last four numbers are not rotated.
    let table = [0.0, 1.0, 1.0, 0.0];
    let expect = [
        (RopeStyle::Interleaved, [-1.0, 0.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]),
        (RopeStyle::Halves, [-2.0, 1.0, 0.0, 3.0, 4.0, 5.0, 6.0, 7.0]),
    ];
    for (style, expected) in expect {
        let mut x = [head.clone(), head.clone()].concat();
        machine(Isa::detect(), 1).rope(&mut x, 2, 8, &[&table], style);
        assert_eq!(x, [expected, expected].concat());
    }
}

#[test]
fn a_norm_that_overflows_is_a_fault() {
    for machine in machines() {
        let mut x = vec![1.0f32; 3 * 40];
        let (gain, mut out) = (vec![1.0; 40], vec![0.0; 3 * 40]);
        x[50] = 1e30;
        assert_eq!(machine.rms_norm(&x, &gain, 1e-5, &mut out).unwrap_err().index, 40);
        x[50] = f32::NAN;
        assert_eq!(machine.rms_norm(&x, &gain, 1e-5, &mut out).unwrap_err().index, 50);
    }
}

/// What is not finite never becomes finite again on the way to an operation that reports it.
#[test]
fn functions_pass_on_what_is_not_finite() {
    for machine in machines() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut x = vec![bad; 33];
            machine.silu_mul(&mut x, &[1.0; 33]);
            assert!(x.iter().all(|v| !v.is_finite()), "silu of {bad} on {}", machine.isa());
            let mut x = vec![bad; 33];
            machine.gelu_mul(&mut x, &[1.0; 33]);
            assert!(x.iter().all(|v| !v.is_finite()), "gelu of {bad} on {}", machine.isa());
        }
    }
}

/// Subnormals are numbers like any other, on every thread.
#[test]
fn subnormals_are_kept() {
    for machine in machines() {
        let mut x = vec![f32::MIN_POSITIVE; 40_000];
        machine.scale(&mut x, 0.25);
        machine.add(&mut x, &vec![f32::from_bits(1); 40_000]);
        assert!(x.iter().all(|v| v.to_bits() == 0x0020_0001), "{}", machine.isa());
    }
}
