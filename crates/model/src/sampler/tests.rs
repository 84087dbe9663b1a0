#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::num::NonZeroUsize;

use arith::{Isa, Machine, Pool};
use claim::{Digest, Position, Sampling, Seed, TokenCount, TokenId};
use proptest::prelude::*;

use super::ranking::scale_ceil;
use super::*;

fn machine() -> Machine {
    Machine::new(Isa::portable(), Pool::new(NonZeroUsize::MIN))
}

fn greedy() -> Sampling {
    Sampling::greedy(TokenCount::new(100))
}

fn warm(temperature: f32) -> Sampling {
    Sampling { temperature, ..greedy() }
}

fn tokens(ids: &[u32]) -> Vec<TokenId> {
    ids.iter().copied().map(TokenId::new).collect()
}

fn mask(vocabulary: usize, allowed: &[u32]) -> TokenMask {
    let mut words = vec![0u32; vocabulary.div_ceil(32)];
    for &token in allowed {
        words[token as usize / 32] |= 1 << (token % 32);
    }
    TokenMask::from_words(words)
}

fn draw(sampling: &Sampling, logits: &[f32], mask: Option<&TokenMask>, position: u32) -> Result<u32, SampleError> {
    let mut sampler = Sampler::new(sampling, logits.len(), &[]).unwrap();
    let (mut logits, position) = (logits.to_vec(), Position::new(position));
    sampler.draw(&machine(), &mut logits, mask, seed(3), position).map(TokenId::get)
}

fn seed(byte: u8) -> Seed {
    Seed::new(Digest::new([byte; 32]))
}

/// The logits that a draw leaves behind: penalties and bias applied.
fn adjusted(sampling: &Sampling, prompt: &[u32], output: &[u32], logits: &[f32]) -> Vec<f32> {
    let mut sampler = Sampler::new(sampling, logits.len(), &tokens(prompt)).unwrap();
    for token in tokens(output) {
        sampler.observe(token);
    }
    let mut logits = logits.to_vec();
    sampler.draw(&machine(), &mut logits, None, seed(0), Position::new(0)).unwrap();
    logits
}

#[test]
fn draws_are_the_first_bytes_of_sha_256() {
    // Computed with Python's hashlib.
    let key = Seed::new(Digest::new(*b"whats the Elvish word for friend"));
    for (position, expected) in [
        (0, 0xbffd_6632_a22e_18fd),
        (1, 0xf8c6_f92d_a504_c2b1),
        (7, 0x98ad_58d3_6268_b4f4),
        (0x0302_0100, 0xe15f_298a_e229_a47f),
        (u32::MAX, 0x2792_e253_2339_86dd),
    ] {
        assert_eq!(key.draw_bits(Position::new(position)), expected, "position {position}");
    }
}

#[test]
fn temperature_zero_takes_the_largest_logit_and_the_lowest_id_of_equals() {
    for (logits, expected) in [
        (&[1.0, 3.0, 2.0][..], 1),
        (&[3.0, 1.0, 3.0][..], 0),
        (&[-5.0, -2.0, -2.0][..], 1),
        (&[-0.0, 0.0][..], 0),
        (&[0.0, -0.0][..], 0),
        (&[f32::MIN, f32::MIN][..], 0),
        (&[f32::MIN, f32::from_bits(0x8000_0001), f32::MAX][..], 2),
    ] {
        assert_eq!(draw(&greedy(), logits, None, 0), Ok(expected), "{logits:?}");
    }
}

#[test]
fn equal_logits_are_drawn_in_id_order() {
    let logits = [0.25f32; 40];
    for position in 0..200 {
        let expected = (u128::from(seed(3).draw_bits(Position::new(position))) * 40) >> 64;
        assert_eq!(draw(&warm(1.0), &logits, None, position), Ok(expected as u32));
    }
}

#[test]
fn repetition_penalty_divides_what_is_positive_and_multiplies_what_is_not() {
    let sampling = Sampling { repetition_penalty: 2.0, ..greedy() };
    // Tokens 0 and 1 are in the prompt, 2 and 3 in the output (3 twice), 0 in both: each counts once.
    let after = adjusted(&sampling, &[0, 1, 1], &[2, 3, 3, 0], &[3.0, -3.0, 0.0, 5.0, 7.0, -7.0]);
    assert_eq!(after, [1.5, -6.0, 0.0, 2.5, 7.0, -7.0]);
}

#[test]
fn frequency_and_presence_penalties_count_the_output_alone() {
    let sampling = Sampling { frequency_penalty: 0.5, presence_penalty: 0.25, ..greedy() };
    let after = adjusted(&sampling, &[0, 0, 1], &[1, 2, 2, 2], &[1.0, 1.0, 1.0, 1.0]);
    assert_eq!(after, [1.0, 1.0 - 0.5 - 0.25, 1.0 - 1.5 - 0.25, 1.0]);
    let sampling = Sampling { frequency_penalty: -1.0, ..greedy() };
    assert_eq!(adjusted(&sampling, &[], &[1, 1], &[0.0, 0.0]), [0.0, 2.0]);
}

#[test]
fn repetition_comes_before_frequency_and_presence_and_bias_last() {
    let sampling = Sampling {
        repetition_penalty: 2.0,
        frequency_penalty: 1.0,
        presence_penalty: 0.5,
        logit_bias: vec![(TokenId::new(0), 10.0), (TokenId::new(2), -1.0)],
        ..greedy()
    };
    assert_eq!(adjusted(&sampling, &[], &[0, 0], &[4.0, 4.0, 4.0]), [2.0 - 2.0 - 0.5 + 10.0, 4.0, 3.0]);
}

#[test]
fn a_mask_leaves_out_tokens_whatever_their_logits() {
    let logits = [9.0, 1.0, f32::MIN, 8.0];
    assert_eq!(draw(&greedy(), &logits, Some(&mask(4, &[1, 2])), 0), Ok(1));
    assert_eq!(draw(&greedy(), &logits, Some(&mask(4, &[2])), 0), Ok(2));
    for position in 0..50 {
        assert_eq!(draw(&warm(5.0), &logits, Some(&mask(4, &[2])), position), Ok(2));
        assert_ne!(draw(&warm(5.0), &logits, Some(&mask(4, &[1, 3])), position), Ok(0));
    }
    assert_eq!(draw(&greedy(), &logits, Some(&mask(4, &[])), 0), Err(SampleError::NothingAllowed));
    // Bits past the vocabulary are no tokens.
    assert_eq!(
        draw(&greedy(), &logits, Some(&TokenMask::from_words(vec![1 << 4, 7])), 0),
        Err(SampleError::NothingAllowed)
    );
}

#[test]
fn masks_know_their_tokens() {
    let set = mask(100, &[0, 31, 32, 99]);
    assert_eq!(set.tokens().collect::<Vec<_>>(), [0, 31, 32, 99]);
    for token in 0..200 {
        assert_eq!(set.allows(TokenId::new(token)), [0, 31, 32, 99].contains(&token), "token {token}");
    }
}

/// Every token that some position draws.
fn drawn(sampling: &Sampling, logits: &[f32]) -> Vec<u32> {
    let mut found: Vec<u32> = (0..3000).map(|position| draw(sampling, logits, None, position).unwrap()).collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[test]
fn cuts_keep_what_they_say() {
    // Probabilities 1/2, 1/4, 1/8, 1/8 in the order of ids 2, 0, 1, 3.
    let ln2 = std::f32::consts::LN_2;
    let logits = [2.0 * ln2, ln2, 3.0 * ln2, ln2];
    let with = |top_k, top_p, min_p| Sampling { top_k, top_p, min_p, ..warm(1.0) };
    for (sampling, expected) in [
        (with(0, 1.0, 0.0), &[0, 1, 2, 3][..]),
        (with(1, 1.0, 0.0), &[2]),
        (with(2, 1.0, 0.0), &[0, 2]),
        // Tokens 1 and 3 are equally likely; the lower id comes first.
        (with(3, 1.0, 0.0), &[0, 1, 2]),
        (with(9, 1.0, 0.0), &[0, 1, 2, 3]),
        (with(0, 0.0, 0.0), &[2]),
        (with(0, 0.4, 0.0), &[2]),
        (with(0, 0.6, 0.0), &[0, 2]),
        (with(0, 0.8, 0.0), &[0, 1, 2]),
        (with(0, 0.9, 0.0), &[0, 1, 2, 3]),
        (with(0, 1.0, 1.0), &[2]),
        (with(0, 1.0, 0.6), &[2]),
        (with(0, 1.0, 0.4), &[0, 2]),
        (with(0, 1.0, 0.2), &[0, 1, 2, 3]),
        // Top-p is of what top-k left: 0.7 of 3/4 needs two of the two.
        (with(2, 0.7, 0.0), &[0, 2]),
        (with(2, 0.6, 0.0), &[2]),
    ] {
        assert_eq!(drawn(&sampling, &logits), expected, "{sampling:?}");
    }
}

#[test]
fn weight_zero_is_never_drawn_and_never_needed() {
    // exp(-23) * 2^32 is below 1.
    let logits = [-23.0, 0.0, -23.0];
    assert_eq!(drawn(&warm(1.0), &logits), [1]);
    assert_eq!(drawn(&Sampling { top_k: 3, min_p: 1e-30, ..warm(1.0) }, &logits), [1]);
}

#[test]
fn a_tiny_temperature_is_greedy_and_a_huge_one_flat() {
    let logits = [1.0, 2.0, 1.5];
    assert_eq!(drawn(&warm(f32::from_bits(1)), &logits), [1]);
    assert_eq!(drawn(&warm(f32::MAX), &logits), [0, 1, 2]);
}

/// Draws from a known distribution and compares how often each token came with how often it should have.
#[test]
fn draws_follow_the_probabilities() {
    const DRAWS: u32 = 40_000;
    let logits: Vec<f32> = (0..30u8).map(|id| -0.17 * f32::from(id % 10) + 0.02 * f32::from(id)).collect();
    for temperature in [0.5f32, 1.0, 1.7] {
        let mut sampler = Sampler::new(&warm(temperature), logits.len(), &[]).unwrap();
        let mut counts = vec![0u32; logits.len()];
        for position in 0..DRAWS {
            let mut row = logits.clone();
            let token = sampler.draw(&machine(), &mut row, None, seed(9), Position::new(position)).unwrap();
            counts[token.get() as usize] += 1;
        }
        let odds: Vec<f64> = logits.iter().map(|&logit| f64::from(logit / temperature).exp()).collect();
        let sum: f64 = odds.iter().sum();
        let statistic: f64 = counts
            .iter()
            .zip(&odds)
            .map(|(&count, odds)| {
                let expected = f64::from(DRAWS) * odds / sum;
                (f64::from(count) - expected).powi(2) / expected
            })
            .sum();
        // Chi-square with 29 degrees of freedom: 0.1 % of true samples are above 58.3, 0.1 % below 10.2.
        assert!((10.2..58.3).contains(&statistic), "temperature {temperature}: chi-square {statistic}");
    }
}

#[test]
fn a_logit_that_is_not_finite_is_a_fault() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for sampling in [greedy(), warm(1.0)] {
            let expected = Err(SampleError::NonFinite { token: TokenId::new(1) });
            assert_eq!(draw(&sampling, &[0.0, bad, 1.0], None, 0), expected);
            // Also where the mask would leave it out.
            assert_eq!(draw(&sampling, &[0.0, bad, 1.0], Some(&mask(3, &[0])), 0), expected);
        }
    }
    let overflow = Sampling { logit_bias: vec![(TokenId::new(2), f32::MAX)], ..greedy() };
    let expected = Err(SampleError::NonFinite { token: TokenId::new(2) });
    assert_eq!(draw(&overflow, &[0.0, 1.0, f32::MAX], None, 0), expected);
}

#[test]
fn rows_of_the_wrong_length_are_refused() {
    let mut sampler = Sampler::new(&greedy(), 3, &[]).unwrap();
    for found in [0, 2, 4] {
        let drawn = sampler.draw(&machine(), &mut vec![0.0; found], None, seed(0), Position::new(0));
        assert_eq!(drawn, Err(SampleError::LogitCount { expected: 3, found }));
    }
}

#[test]
fn parameters_out_of_range_are_refused() {
    let biased = |logit_bias: Vec<(u32, f32)>| Sampling {
        logit_bias: logit_bias.into_iter().map(|(token, bias)| (TokenId::new(token), bias)).collect(),
        ..greedy()
    };
    let name = |sampling: &Sampling| match Sampler::new(sampling, 10, &[]) {
        Err(SamplingError::OutOfRange { parameter, .. }) => parameter,
        other => panic!("expected a refusal, found {other:?}"),
    };
    for bad in [-1.0, f32::NAN, f32::INFINITY] {
        assert_eq!(name(&warm(bad)), "temperature");
        assert_eq!(name(&Sampling { top_p: bad, ..greedy() }), "top_p");
        assert_eq!(name(&Sampling { min_p: bad, ..greedy() }), "min_p");
        assert_eq!(name(&Sampling { repetition_penalty: bad, ..greedy() }), "repetition_penalty");
    }
    for bad in [f32::NAN, f32::NEG_INFINITY] {
        assert_eq!(name(&Sampling { frequency_penalty: bad, ..greedy() }), "frequency_penalty");
        assert_eq!(name(&Sampling { presence_penalty: bad, ..greedy() }), "presence_penalty");
        assert_eq!(name(&biased(vec![(0, bad)])), "logit_bias");
    }
    assert_eq!(name(&Sampling { repetition_penalty: 0.0, ..greedy() }), "repetition_penalty");
    assert_eq!(name(&Sampling { top_p: 1.1, ..greedy() }), "top_p");
    let token = TokenId::new;
    for (bias, expected) in [
        (vec![(10, 1.0)], SamplingError::BiasedToken { token: token(10), vocabulary: 10 }),
        (vec![(3, 1.0), (2, 1.0)], SamplingError::BiasOrder { token: token(2) }),
        (vec![(3, 1.0), (3, 1.0)], SamplingError::BiasOrder { token: token(3) }),
    ] {
        assert_eq!(Sampler::new(&biased(bias), 10, &[]).err(), Some(expected));
    }
    let expected = SamplingError::PromptToken { token: token(10), position: Position::new(1), vocabulary: 10 };
    assert_eq!(Sampler::new(&greedy(), 10, &tokens(&[9, 10])).err(), Some(expected));
    let found = (1 << 31) + 1;
    let expected = SamplingError::Vocabulary { expected: 1 << 31, found };
    assert_eq!(Sampler::new(&greedy(), found, &[]).err(), Some(expected));
}

#[test]
fn scores_are_log_softmax() {
    let logits = [1.0f32, 3.0, -2.0, 3.0, 0.5, -30.0];
    let sum: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
    for token in 0..logits.len() {
        let scored = score(&machine(), &logits, TokenId::new(token as u32), 4).unwrap();
        let expected = f64::from(logits[token]) - sum.ln();
        assert!((scored.logprob - expected).abs() < 1e-6, "token {token}: {} {expected}", scored.logprob);
        let top: Vec<u32> = scored.top.iter().map(|entry| entry.token.get()).collect();
        assert_eq!(top, [1, 3, 0, 4]);
        for entry in &scored.top {
            assert_eq!(*entry, entry_of(&logits, entry.token));
        }
    }
}

fn entry_of(logits: &[f32], token: TokenId) -> Logprob {
    Logprob { token, logprob: score(&machine(), logits, token, 0).unwrap().logprob }
}

#[test]
fn scores_have_limits() {
    let logits: Vec<f32> = (0..50u8).map(f32::from).collect();
    assert_eq!(score(&machine(), &logits, TokenId::new(0), u8::MAX).unwrap().top.len(), usize::from(LOGPROBS_MAX));
    assert_eq!(score(&machine(), &logits[..3], TokenId::new(0), 20).unwrap().top.len(), 3);
    let unknown = Err(SampleError::UnknownToken { token: TokenId::new(50), found: 50 });
    assert_eq!(score(&machine(), &logits, TokenId::new(50), 0), unknown);
    let fault = Err(SampleError::NonFinite { token: TokenId::new(1) });
    assert_eq!(score(&machine(), &[0.0, f32::NAN], TokenId::new(0), 0), fault);
    assert_eq!(score(&machine(), &[], TokenId::new(0), 0), Err(SampleError::NothingAllowed));
}

/// The whole specification again, in the plainest way: one list, one sort.
fn reference(
    sampling: &Sampling,
    prompt: &[u32],
    output: &[u32],
    logits: &[f32],
    allowed: Option<&[u32]>,
    draw: u64,
) -> u32 {
    let mut candidates: Vec<(u32, f32)> = (0..).zip(logits.iter().copied()).collect();
    for (id, logit) in &mut candidates {
        let count = output.iter().filter(|&seen| seen == id).count();
        if count > 0 || prompt.contains(id) {
            *logit =
                if *logit < 0.0 { *logit * sampling.repetition_penalty } else { *logit / sampling.repetition_penalty };
        }
        if count > 0 {
            *logit = *logit - count as f32 * sampling.frequency_penalty - sampling.presence_penalty;
        }
        for (token, bias) in &sampling.logit_bias {
            if token.get() == *id {
                *logit += bias;
            }
        }
    }
    candidates.retain(|(id, _)| allowed.is_none_or(|allowed| allowed.contains(id)));
    let max = candidates.iter().map(|&(_, logit)| logit).fold(f32::MIN, f32::max);
    if sampling.temperature == 0.0 {
        return candidates.iter().find(|&&(_, logit)| logit == max).unwrap().0;
    }
    let mut weighted: Vec<(u64, u32)> = candidates
        .iter()
        .map(|&(id, logit)| {
            let share = arith::portable::exp((logit - max) / sampling.temperature);
            ((f64::from(share) * 4_294_967_296.0).floor() as u64, id)
        })
        .collect();
    weighted.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    if sampling.top_k > 0 {
        weighted.truncate(sampling.top_k as usize);
    }
    let sum = |weighted: &[(u64, u32)]| weighted.iter().map(|&(weight, _)| weight).sum::<u64>();
    if sampling.top_p < 1.0 {
        let needed = scale_ceil(sampling.top_p, sum(&weighted));
        let kept = (1..=weighted.len()).find(|&kept| sum(&weighted[..kept]) >= needed).unwrap();
        weighted.truncate(kept);
    }
    let least = scale_ceil(sampling.min_p, 1 << 32);
    weighted.retain(|&(weight, _)| weight >= least);
    let target = ((u128::from(draw) * u128::from(sum(&weighted))) >> 64) as u64;
    (1..=weighted.len()).find(|&kept| sum(&weighted[..kept]) > target).map(|kept| weighted[kept - 1].1).unwrap()
}

fn samplings() -> impl Strategy<Value = Sampling> {
    let temperature = prop_oneof![Just(0.0f32), 0.05f32..3.0];
    let cuts = (
        prop_oneof![Just(0u32), 1u32..50],
        prop_oneof![Just(1.0f32), 0.0f32..1.0],
        prop_oneof![Just(0.0f32), 0.0f32..0.3],
    );
    let penalties = (
        prop_oneof![Just(1.0f32), 0.5f32..2.0],
        prop_oneof![Just(0.0f32), -2.0f32..2.0],
        prop_oneof![Just(0.0f32), -2.0f32..2.0],
    );
    let bias = prop::collection::btree_map(0u32..300, -5.0f32..5.0, 0..4);
    (temperature, cuts, penalties, bias).prop_map(
        |(temperature, (top_k, top_p, min_p), (repetition, frequency, presence), bias)| Sampling {
            temperature,
            top_k,
            top_p,
            min_p,
            repetition_penalty: repetition,
            frequency_penalty: frequency,
            presence_penalty: presence,
            logit_bias: bias.into_iter().map(|(token, bias)| (TokenId::new(token), bias)).collect(),
            ..greedy()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn the_sampler_equals_its_specification(
        sampling in samplings(),
        logits in prop_oneof![
            prop::collection::vec(-12.0f32..12.0, 300..700),
            prop::collection::vec((-3i8..3).prop_map(f32::from), 300..700),
        ],
        prompt in prop::collection::vec(0u32..300, 0..20),
        output in prop::collection::vec(0u32..300, 0..20),
        allowed in prop::option::of(prop::collection::btree_set(0u32..300, 1..200)),
        position in any::<u32>(),
    ) {
        let allowed: Option<Vec<u32>> = allowed.map(|allowed| allowed.into_iter().collect());
        let mask = allowed.as_ref().map(|allowed| mask(logits.len(), allowed));
        let mut sampler = Sampler::new(&sampling, logits.len(), &tokens(&prompt)).unwrap();
        for token in tokens(&output) {
sampler.observe(token);
}
        let position = Position::new(position);
        let expected = reference(&sampling, &prompt, &output, &logits, allowed.as_deref(), seed(5).draw_bits(position));
        for isa in Isa::available() {
            let machine = Machine::new(isa, Pool::new(NonZeroUsize::MIN));
            // Twice: nothing that a draw leaves behind may change the next.
            for _ in 0..2 {
                let drawn = sampler.draw(&machine, &mut logits.clone(), mask.as_ref(), seed(5), position);
                prop_assert_eq!(drawn, Ok(TokenId::new(expected)), "{}", isa.name());
            }
        }
    }

    #[test]
    fn the_likeliest_tokens_are_those_of_a_sort(
        logits in prop::collection::vec((-6i8..6).prop_map(f32::from), 1..80),
        top in 0u8..25,
    ) {
        let mut sorted: Vec<u32> = (0..logits.len() as u32).collect();
        sorted.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]));
        sorted.truncate(usize::from(top.min(LOGPROBS_MAX)));
        let scored = score(&machine(), &logits, TokenId::new(0), top).unwrap();
        prop_assert_eq!(scored.top.iter().map(|entry| entry.token.get()).collect::<Vec<_>>(), sorted);
    }
}
