//! The integer sampler: from logits and a seed to a token, the same one on every machine.
//!
//! # Specification
//!
//! The input is a row of finite `f32` logits, one for each token `0 .. V`; a non-finite one is a fault. All `f32`
//! operations are single IEEE operations in the written order. The steps, in order:
//!
//! 1. **Repetition penalty** `r` (as in Hugging Face `transformers`; off at 1), once for every token that occurs in the
//!    prompt or the output so far: `l = l * r` if `l < 0`, else `l = l / r`.
//! 2. **Frequency penalty** `f` and **presence penalty** `p` (as in the API of `OpenAI`; off at 0) for every token that occurs
//!    `c > 0` times in the output so far: `l = l - f32(c) * f`, then `l = l - p`.
//! 3. **Logit bias**: `l = l + bias`.
//! 4. **Mask**: tokens that the grammar forbids are no candidates. A mask is a set, not a logit of minus infinity.
//! 5. **Temperature 0**: the candidate with the largest logit, the lowest id among equals. Nothing is drawn.
//! 6. **Weights** for a temperature `T > 0`: `w = floor(exp((l - m) / T) * 2^32)` as an integer, where `m` is the largest
//!    logit of the candidates and `exp` the canonical one ([`arith::portable::exp`]). The largest weight is exactly
//!    `2^32`.
//! 7. **Order**: candidates by weight, heaviest first; among equals the lowest id first. Every cut below keeps a prefix
//!    of this order.
//! 8. **Top-k** (off at 0): the first `k` candidates stay.
//! 9. **Top-p** (off at 1): with `S` the sum of the weights that are left, the shortest non-empty prefix stays whose sum
//!    is at least `ceil(p * S)`. The `f32` `p` is taken as the exact ratio of integers that it is, and the product and
//!    its ceiling are exact.
//! 10. **Min-p** (off at 0): candidates stay whose weight is at least `ceil(q * 2^32)`, exact in the same way; `2^32` is
//!     the weight of the likeliest candidate. The first candidate always stays.
//! 11. **Draw**: `d` is [`Seed::draw_bits`] at the absolute position of the token to be drawn (the first token after a
//!     prompt of n tokens has position n). With `S` the sum of the weights that are left, the token is the first whose cumulative weight
//!     exceeds `floor(d * S / 2^64)`. A candidate of weight 0 is never drawn.
//!
//! Log probabilities are of the untouched logits at temperature 1, before all of these steps: see [`score`].

mod logprobs;
mod ranking;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use arith::{Fault, Machine};
use claim::{Position, Sampling, Seed, TokenId};

pub use logprobs::{LOGPROBS_MAX, Logprob, TokenScore, score};
use ranking::{POSITION_BITS, Scratch, pick};

/// Why sampling parameters cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SamplingError {
    /// A number is outside its range.
    #[error("{parameter} is {found}, it must be {expected}")]
    OutOfRange {
        /// Name of the parameter.
        parameter: &'static str,
        /// The range, in words.
        expected: &'static str,
        /// The value.
        found: f32,
    },
    /// A biased token is not in the vocabulary.
    #[error("logit bias for token {token}, but the vocabulary ends before {vocabulary}")]
    BiasedToken {
        /// The token.
        token: TokenId,
        /// Number of tokens.
        vocabulary: usize,
    },
    /// The biases are not sorted by token, or name one twice.
    #[error("logit bias for token {token} is out of order or given twice")]
    BiasOrder {
        /// The later of the two tokens.
        token: TokenId,
    },
    /// A prompt token is not in the vocabulary.
    #[error("prompt token {token} at position {position}, but the vocabulary ends before {vocabulary}")]
    PromptToken {
        /// The token.
        token: TokenId,
        /// Where in the prompt.
        position: Position,
        /// Number of tokens.
        vocabulary: usize,
    },
    /// The vocabulary is too large to be packed beside a weight.
    #[error("a vocabulary of {found} tokens, at most {expected} can be sampled")]
    Vocabulary {
        /// The bound.
        expected: usize,
        /// Number of tokens.
        found: usize,
    },
}

/// Why no token could be chosen, or none scored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SampleError {
    /// The row of logits has the wrong length.
    #[error("{found} logits for a vocabulary of {expected}")]
    LogitCount {
        /// Number of tokens.
        expected: usize,
        /// Number of logits.
        found: usize,
    },
    /// A logit is infinite or not a number, in the row itself or after penalties and bias.
    #[error("the logit of token {token} is not finite")]
    NonFinite {
        /// The token.
        token: TokenId,
    },
    /// The mask leaves no token.
    #[error("no token is allowed")]
    NothingAllowed,
    /// A token to be scored has no logit.
    #[error("token {token} is to be scored, but there are {found} logits")]
    UnknownToken {
        /// The token.
        token: TokenId,
        /// Number of logits.
        found: usize,
    },
}

/// A set of tokens that may be drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenMask {
    words: Vec<u32>,
}

impl TokenMask {
    /// A set from its bits: token `i` is bit `i % 32` of word `i / 32`. Tokens past the last word are not in the set.
    pub fn from_words(words: Vec<u32>) -> Self {
        Self { words }
    }

    /// Whether the set has a token.
    pub fn allows(&self, token: TokenId) -> bool {
        let index = token.get() as usize;
        self.words.get(index / 32).is_some_and(|word| word >> (index % 32) & 1 == 1)
    }

    /// The tokens in the set, in order.
    fn tokens(&self) -> impl Iterator<Item = u32> {
        let bits = |mut word: u32| {
            std::iter::from_fn(move || {
                let bit = (word != 0).then(|| word.trailing_zeros())?;
                word &= word - 1;
                Some(bit)
            })
        };
        self.words.iter().zip(0u32..).flat_map(move |(&word, index)| bits(word).map(move |bit| index * 32 + bit))
    }
}

/// The cuts of a draw; see the module's specification, steps 8 to 10.
#[derive(Debug, Clone, Copy)]
struct Cuts {
    top_k: u32,
    top_p: f32,
    min_p: f32,
}

/// The penalties and the tokens that they are for.
#[derive(Debug, Clone)]
struct Penalties {
    repetition: f32,
    frequency: f32,
    presence: f32,
    /// How often each token occurs in the output; 0 for a token that only the prompt has. Empty while no penalty is on.
    seen: BTreeMap<TokenId, u32>,
}

impl Penalties {
    fn new(sampling: &Sampling, prompt: &[TokenId]) -> Self {
        let mut penalties = Self {
            repetition: sampling.repetition_penalty,
            frequency: sampling.frequency_penalty,
            presence: sampling.presence_penalty,
            seen: BTreeMap::new(),
        };
        if penalties.repetition != 1.0 {
            penalties.seen.extend(prompt.iter().map(|&token| (token, 0)));
        }
        penalties
    }

    fn are_on(&self) -> bool {
        self.repetition != 1.0 || self.frequency != 0.0 || self.presence != 0.0
    }

    fn observe(&mut self, token: TokenId) {
        if self.are_on() {
            *self.seen.entry(token).or_insert(0) += 1;
        }
    }

    fn apply(&self, logits: &mut [f32]) {
        for (token, &count) in &self.seen {
            let logit = &mut logits[token.get() as usize];
            if self.repetition != 1.0 {
                *logit = if *logit < 0.0 { *logit * self.repetition } else { *logit / self.repetition };
            }
            if count > 0 {
                *logit -= count as f32 * self.frequency;
                *logit -= self.presence;
            }
        }
    }
}

/// Chooses tokens of one sequence by the module's specification.
#[derive(Debug, Clone)]
pub struct Sampler {
    vocabulary: usize,
    temperature: f32,
    cuts: Cuts,
    penalties: Penalties,
    bias: Vec<(TokenId, f32)>,
    /// Allowed tokens and their logits, where a mask leaves some out.
    allowed: Vec<u32>,
    allowed_logits: Vec<f32>,
    weights: Vec<u64>,
    scratch: Scratch,
}

impl Sampler {
    /// A sampler for a vocabulary of `vocabulary` tokens after `prompt`.
    ///
    /// # Errors
    ///
    /// A parameter is out of its range, or a biased or prompt token is not in the vocabulary.
    pub fn new(sampling: &Sampling, vocabulary: usize, prompt: &[TokenId]) -> Result<Self, SamplingError> {
        check_parameters(sampling)?;
        let vocabulary_max = 1 << POSITION_BITS;
        if vocabulary > vocabulary_max {
            return Err(SamplingError::Vocabulary { expected: vocabulary_max, found: vocabulary });
        }
        for (index, &(token, bias)) in sampling.logit_bias.iter().enumerate() {
            check("logit_bias", "finite", bias, bias.is_finite())?;
            if token.get() as usize >= vocabulary {
                return Err(SamplingError::BiasedToken { token, vocabulary });
            }
            if index > 0 && sampling.logit_bias[index - 1].0 >= token {
                return Err(SamplingError::BiasOrder { token });
            }
        }
        if let Some(index) = prompt.iter().position(|token| token.get() as usize >= vocabulary) {
            let position = Position::new(index as u32);
            return Err(SamplingError::PromptToken { token: prompt[index], position, vocabulary });
        }
        Ok(Self {
            vocabulary,
            temperature: sampling.temperature,
            cuts: Cuts { top_k: sampling.top_k, top_p: sampling.top_p, min_p: sampling.min_p },
            penalties: Penalties::new(sampling, prompt),
            bias: sampling.logit_bias.clone(),
            allowed: Vec::new(),
            allowed_logits: Vec::new(),
            weights: Vec::new(),
            scratch: Scratch::default(),
        })
    }

    /// Records an output token, which the penalties then count. The token must be in the vocabulary.
    pub fn observe(&mut self, token: TokenId) {
        debug_assert!((token.get() as usize) < self.vocabulary, "observed tokens are in the vocabulary");
        self.penalties.observe(token);
    }

    /// Chooses the token for `position`. The logits are changed by penalties and bias. The machine decides nothing but
    /// the speed.
    ///
    /// # Errors
    ///
    /// The row has the wrong length or a logit that is not finite, or the mask leaves no token.
    pub fn draw(
        &mut self,
        machine: &Machine,
        logits: &mut [f32],
        mask: Option<&TokenMask>,
        seed: Seed,
        position: Position,
    ) -> Result<TokenId, SampleError> {
        if logits.len() != self.vocabulary {
            return Err(SampleError::LogitCount { expected: self.vocabulary, found: logits.len() });
        }
        self.penalties.apply(logits);
        for &(token, bias) in &self.bias {
            logits[token.get() as usize] += bias;
        }
        let Some(mask) = mask else {
            return self.choose(machine, logits, seed, position).map(|index| TokenId::new(index as u32));
        };
        check_finite(logits)?;
        let mut allowed = std::mem::take(&mut self.allowed);
        let mut allowed_logits = std::mem::take(&mut self.allowed_logits);
        allowed.clear();
        allowed.extend(mask.tokens().take_while(|&token| (token as usize) < logits.len()));
        allowed_logits.clear();
        allowed_logits.extend(allowed.iter().map(|&token| logits[token as usize]));
        let token = self.choose(machine, &allowed_logits, seed, position).map(|index| TokenId::new(allowed[index]));
        (self.allowed, self.allowed_logits) = (allowed, allowed_logits);
        token
    }

    /// Chooses an index among the logits of the candidates, all of which must be finite.
    fn choose(
        &mut self,
        machine: &Machine,
        logits: &[f32],
        seed: Seed,
        position: Position,
    ) -> Result<usize, SampleError> {
        if logits.is_empty() {
            return Err(SampleError::NothingAllowed);
        }
        if self.temperature == 0.0 {
            check_finite(logits)?;
            return Ok(argmax(machine, logits));
        }
        self.weights.resize(logits.len(), 0);
        let total = machine.sample_weights(logits, self.temperature, &mut self.weights).map_err(non_finite)?;
        // At most 2^31 weights of at most 2^32 each.
        Ok(pick(&self.weights, total as u64, self.cuts, seed.draw_bits(position), &mut self.scratch))
    }
}

/// Index of the largest logit, the first among equals. There is at least one, and all are finite.
fn argmax(machine: &Machine, logits: &[f32]) -> usize {
    let max = machine.max(logits);
    logits.iter().position(|&logit| logit == max).expect("the largest logit is one of the logits")
}

/// A fault in weighing, as an error.
fn non_finite(fault: Fault) -> SampleError {
    SampleError::NonFinite { token: TokenId::new(fault.index as u32) }
}

/// The first token whose logit is not finite, as an error.
fn check_finite(logits: &[f32]) -> Result<(), SampleError> {
    // Without an early exit this is a vector loop: exponent bits of all ones mark infinities and NaNs.
    let largest = logits.iter().fold(0, |largest, logit| largest.max(logit.to_bits() & 0x7fff_ffff));
    if largest < f32::INFINITY.to_bits() {
        return Ok(());
    }
    let index = logits.iter().position(|logit| !logit.is_finite()).expect("one logit is not finite");
    Err(SampleError::NonFinite { token: TokenId::new(index as u32) })
}

fn check_parameters(sampling: &Sampling) -> Result<(), SamplingError> {
    let Sampling { temperature, top_p, min_p, .. } = *sampling;
    check("temperature", "finite and at least 0", temperature, (0.0..=f32::MAX).contains(&temperature))?;
    check("top_p", "from 0 to 1", top_p, (0.0..=1.0).contains(&top_p))?;
    check("min_p", "from 0 to 1", min_p, (0.0..=1.0).contains(&min_p))?;
    let repetition = sampling.repetition_penalty;
    check("repetition_penalty", "finite and above 0", repetition, repetition > 0.0 && repetition.is_finite())?;
    let (frequency, presence) = (sampling.frequency_penalty, sampling.presence_penalty);
    check("frequency_penalty", "finite", frequency, frequency.is_finite())?;
    check("presence_penalty", "finite", presence, presence.is_finite())
}

fn check(parameter: &'static str, expected: &'static str, found: f32, holds: bool) -> Result<(), SamplingError> {
    if holds { Ok(()) } else { Err(SamplingError::OutOfRange { parameter, expected, found }) }
}
