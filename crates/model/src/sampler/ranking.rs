//! Walks candidates in sampling order (weight descending, position ascending) without sorting them all.
//!
//! A candidate's weight and position are packed into one integer, so that integer order is sampling order and no two
//! candidates are equal. Most draws end among the few heaviest candidates: these are gathered first ([`Head`]). Where the
//! answer lies beyond them, the weights are summed in buckets by their leading bits and only the bucket that holds the
//! answer is looked at more closely ([`Buckets`]). Both give the answers of a full sort.

use super::Cuts;

/// Weight of the likeliest candidate: `exp(0) * 2^32`. Every weight is at most this.
pub(super) const WEIGHT_MAX: u64 = 1 << 32;

/// A head holds the candidates of at least some weight. The first, 3.5 nats below the likeliest, serves most draws.
const HEAD_WEIGHT: u64 = WEIGHT_MAX >> 5;

/// Where that head is too short, these hold more: 8.3 and 13.9 nats below the likeliest, for a top-k of usual size in a
/// peaked distribution.
const HEAD_WEIGHTS_BELOW: [u64; 2] = [WEIGHT_MAX >> 12, WEIGHT_MAX >> 20];

/// Where it is too long, this one holds less: 1.4 nats below the likeliest, for a top-k in a flat distribution.
const HEAD_WEIGHTS_ABOVE: [u64; 1] = [WEIGHT_MAX >> 2];

/// A head longer than this is given up: a flat distribution, where the bucket walk is faster.
const HEAD_LENGTH_MAX: usize = 2048;

/// Bits of a weight below its leading one that choose its bucket; 128 buckets an octave leave a few hundred of 49152
/// candidates in the fullest bucket of a flat distribution.
const BUCKET_BITS: u32 = 7;

/// One bucket for each of the 33 octaves from `2^0` to `2^32` and each value of the bits below the leading one.
const BUCKETS: usize = 33 << BUCKET_BITS;

/// Slices at most this long are sorted instead of halved again.
const SORT_LENGTH: usize = 32;

/// Positions fill the low bits of a key. A weight has 33 bits, so 31 are left, and `Sampler` refuses a larger
/// vocabulary.
pub(super) const POSITION_BITS: u32 = 31;
const POSITION_MASK: u64 = (1 << POSITION_BITS) - 1;

const _: () = assert!(WEIGHT_MAX.ilog2() + POSITION_BITS < u64::BITS, "a key must hold a weight and a position");

/// Candidates are looked through in groups of this size, and most groups have none that is wanted.
const GROUP_LENGTH: usize = 16;

/// Buffers that one draw leaves for the next.
#[derive(Debug, Clone, Default)]
pub(super) struct Scratch {
    keys: Vec<u64>,
    sums: Vec<u64>,
    bucket_of: Vec<u16>,
}

/// A candidate of the order, with the weight of the prefix that it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reached {
    position: usize,
    cumulative: u64,
}

/// The sampling order of one distribution. `None` means that the answer lies beyond what this view holds.
trait Order {
    /// Weight of the first `count` candidates.
    fn weight_of_first(&mut self, count: usize) -> Option<u64>;
    /// Weight of the candidates that weigh at least `weight`, of the prefix that weighs `kept`.
    fn weight_at_least(&mut self, weight: u64, kept: u64) -> Option<u64>;
    /// The first candidate whose cumulative weight is at least `sum`; `sum` is at least 1 and at most the total.
    fn reach(&mut self, sum: u64) -> Option<Reached>;
}

/// Picks the position that `draw` selects among `weights` after `cuts`.
///
/// `weights` must hold [`WEIGHT_MAX`] at least once and nothing above it; `total` is their sum.
pub(super) fn pick(weights: &[u64], total: u64, cuts: Cuts, draw: u64, scratch: &mut Scratch) -> usize {
    pick_from_heads(weights, total, cuts, draw, &mut scratch.keys)
        .or_else(|| pick_in(&mut Buckets::sum(weights, scratch), weights.len(), total, cuts, draw))
        .expect("the bucket walk holds every candidate, so no answer lies beyond it")
}

fn pick_from_heads(weights: &[u64], total: u64, cuts: Cuts, draw: u64, keys: &mut Vec<u64>) -> Option<usize> {
    let mut pick_above = |least| {
        let mut head = Head::gather(weights, least, keys)?;
        Some(pick_in(&mut head, weights.len(), total, cuts, draw))
    };
    // The outer `None` is a head that is too long, the inner one a head that is too short.
    match pick_above(HEAD_WEIGHT) {
        Some(Some(position)) => Some(position),
        Some(None) => HEAD_WEIGHTS_BELOW.into_iter().map_while(pick_above).flatten().next(),
        None => HEAD_WEIGHTS_ABOVE.into_iter().find_map(|least| pick_above(least).flatten()),
    }
}

/// The draw itself. A prefix of the order is known by its weight alone: prefixes of equal weight differ only in
/// candidates of weight zero, which no draw selects.
fn pick_in(order: &mut impl Order, count: usize, total: u64, cuts: Cuts, draw: u64) -> Option<usize> {
    let mut kept = total;
    let top_k = cuts.top_k as usize;
    if (1..count).contains(&top_k) {
        kept = order.weight_of_first(top_k)?;
    }
    if cuts.top_p < 1.0 {
        kept = order.reach(scale_ceil(cuts.top_p, kept).max(1))?.cumulative;
    }
    if cuts.min_p > 0.0 {
        kept = order.weight_at_least(scale_ceil(cuts.min_p, WEIGHT_MAX), kept)?;
    }
    let target = ((u128::from(draw) * u128::from(kept)) >> 64) as u64;
    order.reach(target + 1).map(|reached| reached.position)
}

/// `ceil(fraction * value)`, exact: the fraction is taken as the ratio of integers that its bits stand for.
///
/// `fraction` lies in [0, 1]; `value` is below `2^63`.
pub(super) fn scale_ceil(fraction: f32, value: u64) -> u64 {
    let bits = fraction.to_bits();
    let (exponent, stored) = (bits >> 23, u128::from(bits & 0x007f_ffff));
    // fraction = mantissa * 2^-shift; subnormals have no implied leading one.
    let (mantissa, shift) = if exponent == 0 { (stored, 149) } else { (stored | 1 << 23, 150 - exponent) };
    // At most 24 + 63 bits, so the rounding term below cannot overflow.
    let product = mantissa * u128::from(value);
    if shift > 126 { u64::from(product > 0) } else { ((product + (1 << shift) - 1) >> shift) as u64 }
}

fn key(weight: u64, position: usize) -> u64 {
    weight << POSITION_BITS | (POSITION_MASK - position as u64)
}

fn weight_of(key: u64) -> u64 {
    key >> POSITION_BITS
}

fn position_of(key: u64) -> usize {
    (POSITION_MASK - (key & POSITION_MASK)) as usize
}

/// The candidates of at least some weight, in no order.
struct Head<'a> {
    keys: &'a mut [u64],
    least: u64,
    total: u64,
}

impl<'a> Head<'a> {
    /// `None` when there are more than [`HEAD_LENGTH_MAX`].
    fn gather(weights: &[u64], least: u64, keys: &'a mut Vec<u64>) -> Option<Self> {
        keys.clear();
        for (position, &weight) in weights.iter().enumerate() {
            if weight >= least {
                if keys.len() == HEAD_LENGTH_MAX {
                    return None;
                }
                keys.push(key(weight, position));
            }
        }
        let total = keys.iter().copied().map(weight_of).sum();
        Some(Self { keys, least, total })
    }
}

impl Order for Head<'_> {
    fn weight_of_first(&mut self, count: usize) -> Option<u64> {
        weight_of_first(self.keys, count)
    }

    fn weight_at_least(&mut self, weight: u64, kept: u64) -> Option<u64> {
        if weight < self.least {
            // All of the head weighs more, so a prefix that lies within it stays whole.
            return (kept <= self.total).then_some(kept);
        }
        let heavy = self.keys.iter().copied().map(weight_of).filter(|&found| found >= weight);
        Some(heavy.sum::<u64>().min(kept))
    }

    fn reach(&mut self, sum: u64) -> Option<Reached> {
        if sum > self.total { None } else { reach(self.keys, 0, sum) }
    }
}

/// All candidates, summed in buckets by the leading bits of their weight.
struct Buckets<'a> {
    weights: &'a [u64],
    keys: &'a mut Vec<u64>,
    sums: &'a [u64],
    bucket_of: &'a [u16],
}

impl<'a> Buckets<'a> {
    fn sum(weights: &'a [u64], scratch: &'a mut Scratch) -> Self {
        let Scratch { keys, sums, bucket_of } = scratch;
        sums.clear();
        sums.resize(BUCKETS, 0);
        bucket_of.clear();
        bucket_of.extend(weights.iter().map(|&weight| {
            let bucket = bucket(weight);
            sums[usize::from(bucket)] += weight;
            bucket
        }));
        Self { weights, keys, sums, bucket_of }
    }

    /// Gathers the unsorted keys of one bucket.
    fn open(&mut self, bucket: usize) -> &mut [u64] {
        self.keys.clear();
        for (group, start) in self.bucket_of.chunks(GROUP_LENGTH).zip((0..).step_by(GROUP_LENGTH)) {
            // Without an early exit this is one vector comparison.
            if !group.iter().fold(false, |found, &of| found | (usize::from(of) == bucket)) {
                continue;
            }
            for (&of, position) in group.iter().zip(start..) {
                if usize::from(of) == bucket {
                    self.keys.push(key(self.weights[position], position));
                }
            }
        }
        self.keys
    }
}

impl Order for Buckets<'_> {
    fn weight_of_first(&mut self, count: usize) -> Option<u64> {
        let mut counts = vec![0; BUCKETS];
        for &bucket in self.bucket_of {
            counts[usize::from(bucket)] += 1;
        }
        let (mut above, mut left) = (0, count);
        for index in (0..BUCKETS).rev() {
            if left < counts[index] {
                return weight_of_first(self.open(index), left).map(|first| above + first);
            }
            above += self.sums[index];
            left -= counts[index];
        }
        (left == 0).then_some(above)
    }

    fn weight_at_least(&mut self, weight: u64, kept: u64) -> Option<u64> {
        Some(self.weights.iter().filter(|&&found| found >= weight).sum::<u64>().min(kept))
    }

    fn reach(&mut self, sum: u64) -> Option<Reached> {
        let mut above = 0;
        for index in (0..BUCKETS).rev() {
            let through = above + self.sums[index];
            if through >= sum {
                return reach(self.open(index), above, sum);
            }
            above = through;
        }
        None
    }
}

/// Bucket of a weight: its octave, then the bits below its leading one. Larger weights never have a smaller bucket.
///
/// A weight is below `2^53`, so its `f64` is exact and the top of that float is just these bits. Weight 0 shares
/// bucket 0 with weight 1.
fn bucket(weight: u64) -> u16 {
    const ONE: u64 = 1f64.to_bits() >> (f64::MANTISSA_DIGITS - 1 - BUCKET_BITS);
    let leading = (weight as i64 as f64).to_bits() >> (f64::MANTISSA_DIGITS - 1 - BUCKET_BITS);
    leading.saturating_sub(ONE) as u16
}

/// Weight of the first `count` of some unsorted keys; `None` if there are fewer.
fn weight_of_first(keys: &mut [u64], count: usize) -> Option<u64> {
    if count < keys.len() {
        keys.select_nth_unstable_by(count, |a, b| b.cmp(a));
    }
    Some(keys.get(..count)?.iter().copied().map(weight_of).sum())
}

/// First of some unsorted keys whose cumulative weight, counted from `above`, is at least `sum`: halves the keys around
/// the median until the rest is short enough to sort.
fn reach(mut keys: &mut [u64], above: u64, sum: u64) -> Option<Reached> {
    let mut cumulative = above;
    while keys.len() > SORT_LENGTH {
        let half = keys.len() / 2;
        keys.select_nth_unstable_by(half, |a, b| b.cmp(a));
        let (first, second) = keys.split_at_mut(half);
        let through = cumulative + first.iter().copied().map(weight_of).sum::<u64>();
        if through >= sum {
            keys = first;
        } else {
            cumulative = through;
            keys = second;
        }
    }
    keys.sort_unstable_by(|a, b| b.cmp(a));
    for &mut key in keys {
        cumulative += weight_of(key);
        if cumulative >= sum {
            return Some(Reached { position: position_of(key), cumulative });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The specification of a draw, by a full sort.
    fn naive_pick(weights: &[u64], cuts: Cuts, draw: u64) -> usize {
        let mut sorted: Vec<(u64, usize)> = weights.iter().copied().zip(0..).collect();
        sorted.sort_by_key(|&(weight, position)| (std::cmp::Reverse(weight), position));
        if cuts.top_k > 0 {
            sorted.truncate(cuts.top_k as usize);
        }
        if cuts.top_p < 1.0 {
            let total: u64 = sorted.iter().map(|&(weight, _)| weight).sum();
            let threshold = naive_scale_ceil(cuts.top_p, total);
            let mut cumulative = 0;
            let mut kept = 0;
            while kept == 0 || cumulative < threshold {
                cumulative += sorted[kept].0;
                kept += 1;
            }
            sorted.truncate(kept);
        }
        if cuts.min_p > 0.0 {
            let least = naive_scale_ceil(cuts.min_p, WEIGHT_MAX);
            sorted.retain(|&(weight, _)| weight >= least);
        }
        let total: u64 = sorted.iter().map(|&(weight, _)| weight).sum();
        let target = (u128::from(draw) * u128::from(total)) >> 64;
        let mut cumulative = 0u128;
        for (weight, position) in sorted {
            cumulative += u128::from(weight);
            if cumulative > target {
                return position;
            }
        }
        unreachable!("the target is below the total")
    }

    /// `ceil(fraction * value)` by long multiplication: adds `value * 2^-n` for every set bit of the fraction and
    /// rounds up if anything is left.
    fn naive_scale_ceil(fraction: f32, value: u64) -> u64 {
        let mut rest = f64::from(fraction);
        let mut units = 0u128;
        let mut lost = false;
        for step in 0..=149u32 {
            if rest >= 1.0 {
                rest -= 1.0;
                // Scaled by 2^60, so that whole and fractional part are both kept for 60 steps.
                let scaled = u128::from(value) << 60;
                if step < 127 {
                    units += scaled >> step;
                    lost |= scaled & ((1u128 << step) - 1) != 0;
                } else {
                    lost |= value > 0;
                }
            }
            rest *= 2.0;
        }
        let whole = (units >> 60) as u64;
        whole + u64::from(lost || units & ((1 << 60) - 1) != 0)
    }

    fn check(weights: &[u64], cuts: Cuts, draw: u64) -> Result<(), TestCaseError> {
        let total = weights.iter().sum();
        let mut scratch = Scratch::default();
        let expected = naive_pick(weights, cuts, draw);
        prop_assert_eq!(pick(weights, total, cuts, draw, &mut scratch), expected);
        // The walk over all buckets must answer by itself too, also where the head would have answered.
        let mut order = Buckets::sum(weights, &mut scratch);
        prop_assert_eq!(pick_in(&mut order, weights.len(), total, cuts, draw), Some(expected));
        Ok(())
    }

    /// Weights of several shapes: wide, flat, heavy with ties, and nearly all zero.
    fn weights() -> impl Strategy<Value = Vec<u64>> {
        let octaves = (0u32..33, any::<u32>())
            .prop_map(|(octave, low)| (1u64 << octave | u64::from(low) & ((1 << octave) - 1)).min(WEIGHT_MAX));
        let wide = prop::collection::vec(octaves, 1..3000);
        let flat = prop::collection::vec(WEIGHT_MAX - 5000..=WEIGHT_MAX, 1..3000);
        let tied = prop::collection::vec(prop::sample::select(vec![0, 1, 2, 3, 1 << 20, 1 << 31]), 1..3000);
        let sparse = prop::collection::vec(prop::sample::select(vec![0, 0, 0, 0, 0, 0, 0, 1, 2]), 1..300);
        (prop_oneof![wide, flat, tied, sparse], any::<prop::sample::Index>()).prop_map(|(mut weights, heaviest)| {
            let heaviest = heaviest.index(weights.len());
            weights[heaviest] = WEIGHT_MAX;
            weights
        })
    }

    fn cuts() -> impl Strategy<Value = Cuts> {
        let fraction = || prop_oneof![Just(0.0f32), Just(1.0f32), 0.0f32..=1.0, (0.0f32..1.0).prop_map(|x| x * 1e-6)];
        let top_k = prop_oneof![Just(0u32), 1u32..60, 1u32..4000];
        (top_k, fraction(), fraction()).prop_map(|(top_k, top_p, min_p)| Cuts { top_k, top_p, min_p })
    }

    fn draws() -> impl Strategy<Value = u64> {
        prop_oneof![any::<u64>(), Just(0), Just(u64::MAX), (0u32..64).prop_map(|shift| u64::MAX >> shift)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn the_walk_equals_a_full_sort(weights in weights(), cuts in cuts(), draw in draws()) {
            check(&weights, cuts, draw)?;
        }

        #[test]
        fn fractions_scale_exactly(fraction in prop_oneof![0.0f32..=1.0, (0u32..0x3f80_0000).prop_map(f32::from_bits)],
                                   value in 0u64..1 << 50) {
            prop_assert_eq!(scale_ceil(fraction, value), naive_scale_ceil(fraction, value));
        }

        #[test]
        fn heavier_weights_never_have_a_lower_bucket(a in 0u64..=WEIGHT_MAX, b in 0u64..=WEIGHT_MAX) {
            prop_assert!(bucket(a.min(b)) <= bucket(a.max(b)));
            prop_assert!(usize::from(bucket(a.max(b))) < BUCKETS);
        }
    }

    #[test]
    fn fractions_at_the_edges() {
        let subnormal = f32::from_bits(1);
        for (fraction, value, expected) in
            [(0.0, 7, 0), (1.0, 7, 7), (0.5, 7, 4), (0.5, 8, 4), (subnormal, 1 << 62, 1), (subnormal, 0, 0)]
        {
            assert_eq!(scale_ceil(fraction, value), expected, "{fraction} of {value}");
        }
        // 0.1f32 is a little above one tenth, so a tenth of ten is a little above one.
        assert_eq!(scale_ceil(0.1, 10), 2);
    }

    #[test]
    fn buckets_begin_at_equal_steps_of_an_octave() {
        for octave in 0..33u32 {
            for step in 0..1u64 << BUCKET_BITS {
                let expected = (octave << BUCKET_BITS) as u16 + step as u16;
                let weight = ((1 << BUCKET_BITS) + step) << octave >> BUCKET_BITS;
                // In a low octave several steps are one weight, and that weight begins the first of them.
                let exact = octave >= BUCKET_BITS;
                assert!(if exact { bucket(weight) == expected } else { bucket(weight) <= expected }, "weight {weight}");
                assert!(weight < 2 || bucket(weight - 1) < bucket(weight), "weight {weight}");
            }
        }
    }
}
