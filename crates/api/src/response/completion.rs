//! `/v1/completions`.

use serde::ser::{Serialize, SerializeMap, Serializer};
use utoipa::ToSchema;

use super::{Candor, Usage};

/// A whole text completion, or one event of its stream: both have the same fields.
#[derive(Debug, serde::Serialize, ToSchema)]
pub struct TextCompletion<'a> {
    /// Id of the answer.
    pub id: &'a str,
    /// `text_completion`.
    pub object: &'static str,
    /// Unix time in seconds.
    pub created: u64,
    /// Name of the model.
    pub model: &'a str,
    /// Names the exact weights: start of the model root.
    pub system_fingerprint: &'a str,
    /// One per answer; in a stream one, or none in the chunk that counts tokens.
    pub choices: Vec<TextChoice<'a>>,
    /// Token counts: always in a whole answer; in a stream only when asked for, and null until the last chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Usage>)]
    pub usage: Option<Option<Usage>>,
    /// The receipts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candor: Option<Candor>,
}

/// One answer, or what a chunk adds to it.
#[derive(Debug, serde::Serialize, ToSchema)]
pub struct TextChoice<'a> {
    /// The text.
    pub text: &'a str,
    /// Index of the choice: answers to the first prompt come first.
    pub index: u32,
    /// Log probabilities, when asked for.
    #[schema(required)]
    pub logprobs: Option<TextLogprobs>,
    /// `stop` or `length`; null until the answer ends.
    #[schema(required)]
    pub finish_reason: Option<&'static str>,
}

/// Log probabilities of a text, as parallel lists with an entry per token.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, ToSchema)]
pub struct TextLogprobs {
    /// Where each token starts in the text, in characters.
    pub text_offset: Vec<u64>,
    /// Natural logarithm of each token's probability; null for the first token of an echoed prompt.
    pub token_logprobs: Vec<Option<f32>>,
    /// The tokens' texts; `bytes:` and hexadecimal escapes where a token is part of a character.
    pub tokens: Vec<String>,
    /// The likeliest tokens at each place; null for the first token of an echoed prompt.
    #[schema(required)]
    pub top_logprobs: Option<Vec<Option<TopLogprobs>>>,
}

/// Token texts with their log probabilities, likeliest first. Tokens of equal text appear once, as the likeliest.
#[derive(Debug, Clone, Default, PartialEq, ToSchema)]
#[schema(value_type = Object)]
pub struct TopLogprobs(pub Vec<(String, f32)>);

impl Serialize for TopLogprobs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (index, (token, logprob)) in self.0.iter().enumerate() {
            if !self.0[..index].iter().any(|(earlier, _)| earlier == token) {
                map.serialize_entry(token, &super::finite_logprob(*logprob))?;
            }
        }
        map.end()
    }
}

impl TextLogprobs {
    /// Appends one token.
    ///
    /// `logprob` is none for a token that nothing came before. `top` is none when no alternatives were asked for.
    pub fn push(&mut self, text_offset: u64, token: String, logprob: Option<f32>, top: Option<Vec<(String, f32)>>) {
        self.text_offset.push(text_offset);
        self.tokens.push(token);
        self.token_logprobs.push(logprob.map(super::finite_logprob));
        if let Some(top) = top {
            let place = logprob.map(|_| TopLogprobs(top));
            self.top_logprobs.get_or_insert_default().push(place);
        }
    }
}

/// The text of a token, or its bytes in hexadecimal escapes where it is part of a character, as OpenAI writes them.
pub fn token_text(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned();
    }
    bytes.iter().fold(String::from("bytes:"), |mut text, byte| {
        write!(text, "\\x{byte:02x}").expect("writing to a string never fails");
        text
    })
}
