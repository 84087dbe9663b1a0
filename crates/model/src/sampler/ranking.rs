//! Walks candidates in sampling order (weight descending, position ascending) without sorting them all.
//!
//! A candidate's weight and position are packed into one integer, so that integer order is sampling order and no two
//! candidates are equal. Most draws end among the few heaviest candidates: these are gathered and sorted first
//! ([`Head`]). Where the answer lies beyond them, the weights are summed in buckets by their leading bits and only the
//! bucket that holds the answer is looked at more closely ([`Buckets`]). Both give the answers of a full sort.

use super::Cuts;

/// Weight of the likeliest candidate: `exp(0) * 2^32`. Every weight is at most this.
pub(super) const WEIGHT_MAX: u64 = 1 << 32;

/// The head holds candidates of at least this weight: 3.5 nats below the likeliest. Lower gathers more than a draw
/// needs, higher sends more draws to the slower bucket walk.
const HEAD_WEIGHT: u64 = WEIGHT_MAX >> 5;

/// A head longer than this is a flat distribution, where the bucket walk is cheaper than sorting the head.
const HEAD_LENGTH_MAX: usize = 1024;

/// Bits of a weight below its leading one that choose its bucket; 32 buckets an octave keep a bucket of a typical
/// distribution under a few hundred candidates.
const BUCKET_BITS: u32 = 5;

/// One bucket for each of the 33 octaves from `2^0` to `2^32` and each value of the bits below the leading one.
const BUCKETS: usize = 33 << BUCKET_BITS;

/// Slices at most this long are sorted instead of halved again.
const SORT_LENGTH: usize = 32;

/// Positions fill the low bits of a key. A weight has 33 bits, so 31 are left, and `Sampler` refuses a larger
/// vocabulary.
pub(super) const POSITION_BITS: u32 = 31;
const POSITION_MASK: u64 = (1 << POSITION_BITS) - 1;

const _: () = assert!(WEIGHT_MAX.ilog2() + POSITION_BITS < u64::BITS, "a key must hold a weight and a position");

/// Sums that one bucket is split over. Neighbours tend to share a bucket, and one sum alone would make each addition
/// wait for the one before.
const BUCKET_SUMS: usize = 4;

/// Buffers that one draw leaves for the next.
#[derive(Debug, Clone, Default)]
pub(super) struct Scratch {
    keys: Vec<u64>,
    sums: Vec<[u64; BUCKET_SUMS]>,
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
    /// Weight of all candidates that weigh at least `weight`.
    fn weight_at_least(&mut self, weight: u64) -> Option<u64>;
    /// The first candidate whose cumulative weight is at least `sum`; `sum` is at least 1 and at most the total.
    fn reach(&mut self, sum: u64) -> Option<Reached>;
}

/// Picks the position that `draw` selects among `weights` after `cuts`.
///
/// `weights` must hold [`WEIGHT_MAX`] at least once and nothing above it; `total` is their sum.
pub(super) fn pick(weights: &[u64], total: u64, cuts: Cuts, draw: u64, scratch: &mut Scratch) -> usize {
    let Scratch { keys, sums } = scratch;
    let picked = Head::gather(weights, keys).and_then(|mut head| pick_in(&mut head, weights.len(), total, cuts, draw));
    picked
        .or_else(|| pick_in(&mut Buckets::sum(weights, keys, sums), weights.len(), total, cuts, draw))
        .expect("the bucket walk holds every candidate, so no answer lies beyond it")
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
        kept = kept.min(order.weight_at_least(scale_ceil(cuts.min_p, WEIGHT_MAX))?);
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

/// The candidates of at least [`HEAD_WEIGHT`], sorted.
struct Head<'a> {
    keys: &'a [u64],
}

impl<'a> Head<'a> {
    /// `None` when there are more than [`HEAD_LENGTH_MAX`].
    fn gather(weights: &[u64], keys: &'a mut Vec<u64>) -> Option<Self> {
        keys.clear();
        for (position, &weight) in weights.iter().enumerate() {
            if weight >= HEAD_WEIGHT {
                if keys.len() == HEAD_LENGTH_MAX {
                    return None;
                }
                keys.push(key(weight, position));
            }
        }
        keys.sort_unstable_by(|a, b| b.cmp(a));
        Some(Self { keys })
    }
}

impl Order for Head<'_> {
    fn weight_of_first(&mut self, count: usize) -> Option<u64> {
        Some(self.keys.get(..count)?.iter().copied().map(weight_of).sum())
    }

    fn weight_at_least(&mut self, weight: u64) -> Option<u64> {
        let heavy = self.keys.iter().copied().map(weight_of).take_while(|&found| found >= weight);
        (weight >= HEAD_WEIGHT).then(|| heavy.sum())
    }

    fn reach(&mut self, sum: u64) -> Option<Reached> {
        reach_sorted(self.keys, 0, sum)
    }
}

/// All candidates, summed in buckets by the leading bits of their weight.
struct Buckets<'a> {
    weights: &'a [u64],
    keys: &'a mut Vec<u64>,
    sums: &'a [[u64; BUCKET_SUMS]],
}

impl<'a> Buckets<'a> {
    fn sum(weights: &'a [u64], keys: &'a mut Vec<u64>, sums: &'a mut Vec<[u64; BUCKET_SUMS]>) -> Self {
        sums.clear();
        sums.resize(BUCKETS, [0; BUCKET_SUMS]);
        let mut groups = weights.chunks_exact(BUCKET_SUMS);
        for group in &mut groups {
            for (part, &weight) in group.iter().enumerate() {
                sums[bucket_of(weight)][part] += weight;
            }
        }
        for &weight in groups.remainder() {
            sums[bucket_of(weight)][0] += weight;
        }
        Self { weights, keys, sums }
    }

    /// Gathers the unsorted keys of one bucket.
    fn open(&mut self, bucket: usize) -> &mut [u64] {
        self.keys.clear();
        let bounds = least_of(bucket)..least_of(bucket + 1);
        for (position, weight) in self.weights.iter().enumerate() {
            if bounds.contains(weight) {
                self.keys.push(key(*weight, position));
            }
        }
        self.keys
    }
}

impl Order for Buckets<'_> {
    fn weight_of_first(&mut self, count: usize) -> Option<u64> {
        let mut counts = [0; BUCKETS];
        for &weight in self.weights {
            counts[bucket_of(weight)] += 1;
        }
        let (mut above, mut left) = (0, count);
        for index in (0..BUCKETS).rev() {
            if left < counts[index] {
                let keys = self.open(index);
                let (first, _, _) = keys.select_nth_unstable_by(left, |a, b| b.cmp(a));
                return Some(above + first.iter().copied().map(weight_of).sum::<u64>());
            }
            above += self.sums[index].iter().sum::<u64>();
            left -= counts[index];
        }
        (left == 0).then_some(above)
    }

    fn weight_at_least(&mut self, weight: u64) -> Option<u64> {
        Some(self.weights.iter().filter(|&&found| found >= weight).sum())
    }

    fn reach(&mut self, sum: u64) -> Option<Reached> {
        let mut above = 0;
        for index in (0..BUCKETS).rev() {
            let through = above + self.sums[index].iter().sum::<u64>();
            if through >= sum {
                return reach_unsorted(self.open(index), above, sum);
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
fn bucket_of(weight: u64) -> usize {
    const ONE: u64 = 1f64.to_bits() >> (f64::MANTISSA_DIGITS - 1 - BUCKET_BITS);
    let leading = (weight as i64 as f64).to_bits() >> (f64::MANTISSA_DIGITS - 1 - BUCKET_BITS);
    leading.saturating_sub(ONE) as usize
}

/// The smallest weight that has this bucket or a higher one.
fn least_of(bucket: usize) -> u64 {
    if bucket == 0 {
        return 0;
    }
    let leading = (1 << BUCKET_BITS) + (bucket as u64 & ((1 << BUCKET_BITS) - 1));
    // At most 6 + 33 bits.
    (leading << (bucket >> BUCKET_BITS)).div_ceil(1 << BUCKET_BITS)
}

/// First key of a sorted slice whose cumulative weight, counted from `above`, is at least `sum`.
fn reach_sorted(keys: &[u64], above: u64, sum: u64) -> Option<Reached> {
    let mut cumulative = above;
    for &key in keys {
        cumulative += weight_of(key);
        if cumulative >= sum {
            return Some(Reached { position: position_of(key), cumulative });
        }
    }
    None
}

/// As [`reach_sorted`] for an unsorted slice: halves it around the median until the rest is short.
fn reach_unsorted(mut keys: &mut [u64], mut above: u64, sum: u64) -> Option<Reached> {
    while keys.len() > SORT_LENGTH {
        let half = keys.len() / 2;
        keys.select_nth_unstable_by(half, |a, b| b.cmp(a));
        let (first, second) = keys.split_at_mut(half);
        let through = above + first.iter().copied().map(weight_of).sum::<u64>();
        if through >= sum {
            keys = first;
        } else {
            above = through;
            keys = second;
        }
    }
    keys.sort_unstable_by(|a, b| b.cmp(a));
    reach_sorted(keys, above, sum)
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
        let Scratch { keys, sums } = &mut scratch;
        let mut order = Buckets::sum(weights, keys, sums);
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
            prop_assert!(bucket_of(a.min(b)) <= bucket_of(a.max(b)));
            prop_assert!(bucket_of(a.max(b)) < BUCKETS);
            prop_assert!(least_of(bucket_of(a)) <= a && a < least_of(bucket_of(a) + 1));
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
    fn every_bucket_boundary_is_in_order() {
        let mut last = 0;
        for octave in 0..33u32 {
            for low in 0..32u64 {
                let weight = (1u64 << octave) + ((low << octave) >> 5);
                let bucket = bucket_of(weight);
                assert!(bucket >= last && bucket < BUCKETS, "weight {weight} has bucket {bucket} after {last}");
                last = bucket;
            }
        }
    }
}
