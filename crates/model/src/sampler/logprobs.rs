//! Log probabilities of tokens, from the untouched logits at temperature 1.

use arith::Machine;
use claim::TokenId;

use super::{SampleError, non_finite};

/// The most alternatives that are reported beside a token.
pub const LOGPROBS_MAX: u8 = 20;

/// A token and its natural log probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Logprob {
    /// The token.
    pub token: TokenId,
    /// Natural logarithm of its probability.
    pub logprob: f64,
}

/// How likely one token was, and which were the likeliest.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenScore {
    /// The token in question.
    pub token: TokenId,
    /// Natural logarithm of its probability.
    pub logprob: f64,
    /// The likeliest tokens, likeliest first; of equally likely ones the lowest id first.
    pub top: Vec<Logprob>,
}

/// Scores `token` by a row of untouched logits, with the `top` likeliest tokens beside it (at most [`LOGPROBS_MAX`]).
///
/// With `m` the largest logit and `S` the integer sum of `floor(exp(l - m) * 2^32)` over all tokens, the log probability
/// of a token is `(f64(l) - f64(m)) - ln(f64(S) * 2^-32)`: an exact sum and a logarithm in software, so it has the same
/// bits everywhere. The floors make it too large by at most `V * 2^-32`, about 1e-5 for 49152 tokens.
///
/// # Errors
///
/// A logit is not finite, or the token has none.
pub fn score(machine: &Machine, logits: &[f32], token: TokenId, top: u8) -> Result<TokenScore, SampleError> {
    let distribution = Distribution::new(machine, logits)?;
    let logit = logits.get(token.get() as usize);
    let &logit = logit.ok_or(SampleError::UnknownToken { token, found: logits.len() })?;
    Ok(TokenScore { token, logprob: distribution.logprob(logit), top: distribution.top(logits, top) })
}

/// What turns a logit of one row into a log probability.
struct Distribution {
    max: f64,
    log_sum: f64,
}

impl Distribution {
    fn new(machine: &Machine, logits: &[f32]) -> Result<Self, SampleError> {
        if logits.is_empty() {
            return Err(SampleError::NothingAllowed);
        }
        let mut weights = vec![0; logits.len()];
        let total = machine.sample_weights(logits, 1.0, &mut weights).map_err(non_finite)?;
        // The scale is a power of two, so the product is as exact as the conversion.
        let sum = total as f64 * (1.0 / super::ranking::WEIGHT_MAX as f64);
        Ok(Self { max: f64::from(machine.max(logits)), log_sum: libm::log(sum) })
    }

    fn logprob(&self, logit: f32) -> f64 {
        (f64::from(logit) - self.max) - self.log_sum
    }

    fn top(&self, logits: &[f32], count: u8) -> Vec<Logprob> {
        let likeliest = likeliest(logits, usize::from(count.min(LOGPROBS_MAX)));
        likeliest.into_iter().map(|(logit, token)| Logprob { token, logprob: self.logprob(logit) }).collect()
    }
}

/// The `count` largest logits with their tokens, largest first, the lowest id first among equals.
fn likeliest(logits: &[f32], count: usize) -> Vec<(f32, TokenId)> {
    let mut kept: Vec<(f32, TokenId)> = Vec::with_capacity(count + 1);
    for (&logit, id) in logits.iter().zip(0..) {
        // Ids come in order, so an equal logit ranks below those that are kept.
        if kept.len() == count && kept.last().is_none_or(|&(least, _)| logit <= least) {
            continue;
        }
        let rank = kept.partition_point(|&(larger, _)| larger >= logit);
        kept.insert(rank, (logit, TokenId::new(id)));
        kept.truncate(count);
    }
    kept
}
