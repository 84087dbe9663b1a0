//! How tokens are chosen from the logits.

use crate::domain;
use crate::encoding::{Encoder, HashEncoder};
use crate::{SamplingHash, TokenCount, TokenId};

/// What the output must be a sentence of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Grammar {
    /// Anything.
    Free,
    /// Any JSON object.
    Json,
    /// JSON that fits a schema, whose source is given.
    JsonSchema(String),
    /// A grammar in Lark's notation, whose source is given.
    Lark(String),
}

/// Everything besides the logits and the seed that decides which token comes next.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 takes the most likely token.
    pub temperature: f32,
    /// How many of the most likely tokens stay; 0 keeps all.
    pub top_k: u32,
    /// The most likely tokens stay until their probabilities reach this; 1 keeps all.
    pub top_p: f32,
    /// Tokens less likely than this share of the most likely one go; 0 keeps all.
    pub min_p: f32,
    /// Makes tokens that have occurred less likely, by a factor; 1 is none.
    pub repetition_penalty: f32,
    /// Taken from a token's logit for each time it was output; 0 is none.
    pub frequency_penalty: f32,
    /// Taken from a token's logit if it was output; 0 is none.
    pub presence_penalty: f32,
    /// Added to the logits of tokens; sorted by token, each token once.
    pub logit_bias: Vec<(TokenId, f32)>,
    /// What the output must be a sentence of.
    pub grammar: Grammar,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// How many tokens the answer has at most.
    pub max_tokens: TokenCount,
}

impl Sampling {
    /// The most likely token each time, and nothing else that changes a logit.
    pub const fn greedy(max_tokens: TokenCount) -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            logit_bias: Vec::new(),
            grammar: Grammar::Free,
            stop: Vec::new(),
            max_tokens,
        }
    }

    /// The hash that a receipt holds.
    pub fn hash(&self) -> SamplingHash {
        let mut encoder = HashEncoder::new(domain::SAMPLING);
        encoder.raw(&self.to_bytes());
        SamplingHash::new(encoder.finish())
    }

    /// What is hashed: every field in order, floats by their bits.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut encoder = Encoder::with_capacity(64);
        encoder.f32(self.temperature);
        encoder.u32(self.top_k);
        encoder.f32(self.top_p);
        encoder.f32(self.min_p);
        encoder.f32(self.repetition_penalty);
        encoder.f32(self.frequency_penalty);
        encoder.f32(self.presence_penalty);
        encoder.count(self.logit_bias.len());
        for &(token, bias) in &self.logit_bias {
            encoder.u32(token.get());
            encoder.f32(bias);
        }
        match &self.grammar {
            Grammar::Free => encoder.u8(0),
            Grammar::Json => encoder.u8(1),
            Grammar::JsonSchema(source) => {
                encoder.u8(2);
                encoder.text(source);
            }
            Grammar::Lark(source) => {
                encoder.u8(3);
                encoder.text(source);
            }
        }
        encoder.count(self.stop.len());
        self.stop.iter().for_each(|stop| encoder.text(stop));
        encoder.u32(self.max_tokens.get());
        encoder.finish()
    }
}
