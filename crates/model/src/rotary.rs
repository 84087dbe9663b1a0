//! Rotary tables: cosine and sine of every position and pair, computed once in `f64` with software functions, rounded to
//! `f32`, and from then on data (CA-1, section 4).

use crate::config::Config;

/// Cosines and sines of one frequency set: per position the cosines of all pairs, then their sines.
#[derive(Clone, Debug)]
pub(crate) struct RotaryTable {
    pairs: usize,
    values: Vec<f32>,
}

impl RotaryTable {
    /// Builds the table of `positions` positions: pair `i` of a head turns by `position / factor * base^(-2i / head_dim)`,
    /// divided by `divisors[i]` where a file brings its own frequency divisors.
    pub(crate) fn new(positions: usize, head_dim: usize, base: f64, factor: f64, divisors: Option<&[f32]>) -> Self {
        let pairs = head_dim / 2;
        let frequencies: Vec<f64> = (0..pairs)
            .map(|pair| {
                let frequency = libm::pow(base, -2.0 * pair as f64 / head_dim as f64) / factor;
                divisors.map_or(frequency, |divisors| frequency / f64::from(divisors[pair]))
            })
            .collect();
        let mut values = Vec::with_capacity(positions * pairs * 2);
        for position in 0..positions {
            let angles = frequencies.iter().map(|frequency| position as f64 * frequency);
            values.extend(angles.clone().map(|angle| libm::cos(angle) as f32));
            values.extend(angles.map(|angle| libm::sin(angle) as f32));
        }
        Self { pairs, values }
    }

    /// Bytes of the tables of a model.
    pub(crate) fn size_bytes(config: &Config) -> usize {
        let tables = if config.sliding_window.is_some() { 2 } else { 1 };
        config.context_length.saturating_mul(config.head_dim).saturating_mul(tables * size_of::<f32>())
    }

    /// The tables of a model: for global layers, and for local layers where they differ.
    pub(crate) fn of(config: &Config, divisors: Option<&[f32]>) -> (Self, Option<Self>) {
        let positions = config.context_length;
        let global = Self::new(positions, config.head_dim, config.rotary_base, config.rotary_factor, divisors);
        let local =
            config.sliding_window.map(|_| Self::new(positions, config.head_dim, config.rotary_base_local, 1.0, None));
        (global, local)
    }

    /// The cosines of all pairs at `position`, then their sines; length `head_dim`.
    ///
    /// # Panics
    ///
    /// `position` lies outside the table; callers check positions against the context length first.
    pub(crate) fn row(&self, position: usize) -> &[f32] {
        &self.values[position * self.pairs * 2..(position + 1) * self.pairs * 2]
    }

    /// All values in storage order, for the model root.
    pub(crate) fn values(&self) -> &[f32] {
        &self.values
    }
}
