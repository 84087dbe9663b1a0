//! Text to tokens and back, from the vocabulary that a GGUF file carries.
//!
//! Five algorithms are built in, named as `tokenizer.ggml.model` names them:
//!
//! - `gpt2`: byte-level byte-pair encoding (GPT-2, Llama 3, Qwen, `SmolLM`, Falcon, `DeepSeek` and their kin, which differ
//!   in how text is cut into words, see `split.rs`);
//! - `llama`: `SentencePiece`'s pieces, joined by score (Llama 2, Gemma);
//! - `gemma4`: byte-pair encoding over characters;
//! - `t5`: `SentencePiece`'s unigram model (T5, XLM-R);
//! - `bert`: `WordPiece`.
//!
//! # Why not the `tokenizers` crate
//!
//! It is the reference that the tests compare with, not the engine. Its vocabularies are maps of owned strings in both
//! directions, and its word rules are look-ahead expressions on a backtracking engine, which gives no bound on hostile
//! text. What `examples/tokenizer_cost.rs` printed for `SmolLM2`'s 49,152 tokens and a megabyte of mixed scripts (release
//! build, 2 cores):
//!
//! ```text
//! ours: load               14.6 ms  kept    2.25 MB  most    2.32 MB
//! ours: encode             61.3 ms  kept    0.00 MB  most   25.17 MB
//! tokenizers: load         47.7 ms  kept    6.19 MB  most   28.31 MB
//! tokenizers: encode      410.2 ms  kept    9.31 MB  most  119.87 MB
//! ```
//!
//! # Hostile text
//!
//! Encoding n bytes takes O(n log n) time and O(n) memory whatever the bytes are; nothing backtracks, so there is no
//! limit to hit. Text that somebody else wrote never becomes a control token unless the caller says so, see
//! [`Special`] and [`crate::template::prompt_tokens`].

mod bytes;
mod characters;
mod charsmap;
mod classes;
mod error;
mod load;
mod merge;
mod pieces;
mod prefixes;
mod slots;
pub(crate) mod specials;
mod split;
mod stream;
mod unigram;
mod vocabulary;
mod words;

use std::ops::Range;

use claim::TokenId;

pub use error::TokenizerError;
pub use stream::TextStream;

use bytes::BytePairs;
use characters::CharacterPairs;
use pieces::ScoredPieces;
use specials::Specials;
use unigram::Unigram;
use vocabulary::{Kind, Vocabulary};
use words::WordPieces;

/// What to do with text that reads like a control token, such as `<|im_end|>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Special {
    /// It becomes that token: for text that a template wrote.
    Parse,
    /// It stays text: for what a person wrote.
    Text,
}

/// A model's tokenizer.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    vocabulary: Vocabulary,
    specials: Specials,
    encoder: Encoder,
    bos: Option<TokenId>,
    eos: Option<TokenId>,
    unknown: Option<TokenId>,
    /// Sorted.
    ends: Vec<TokenId>,
    add_bos: bool,
    add_eos: bool,
}

#[derive(Debug, Clone)]
enum Encoder {
    Bytes(Box<BytePairs>),
    Characters(CharacterPairs),
    Pieces(ScoredPieces),
    Unigram(Unigram),
    Words(WordPieces),
}

/// A token and the byte of the text at which it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// The token.
    pub token: TokenId,
    /// Offset of its first byte in the text.
    pub start: usize,
}

impl Placed {
    fn new(token: u32, start: usize) -> Self {
        Self { token: TokenId::new(token), start }
    }
}

impl Tokenizer {
    /// Encodes text. No start token is added: see [`Self::add_bos`].
    ///
    /// # Panics
    /// When the text has 4 GiB or more between two special tokens.
    pub fn encode(&self, text: &str, special: Special) -> Vec<TokenId> {
        let placed = match special {
            Special::Parse => self.encode_placed(text, |_| true),
            Special::Text => self.encode_placed(text, |_| false),
        };
        placed.into_iter().map(|placed| placed.token).collect()
    }

    /// Encodes text and says where each token starts. A control token is recognised only in the ranges for which
    /// `may_control` holds; elsewhere its name is text.
    ///
    /// # Panics
    /// When the text has 4 GiB or more between two special tokens.
    pub fn encode_placed(&self, text: &str, may_control: impl Fn(&Range<usize>) -> bool) -> Vec<Placed> {
        let mut out = Vec::new();
        let mut at = 0;
        while let Some(found) = self.specials.next(text, at, &may_control) {
            self.encode_plain(&text[at..found.range.start], at, &mut out);
            out.push(Placed { token: found.token, start: found.range.start });
            at = found.range.end;
        }
        self.encode_plain(&text[at..], at, &mut out);
        out
    }

    fn encode_plain(&self, text: &str, base: usize, out: &mut Vec<Placed>) {
        if text.is_empty() {
            return;
        }
        assert!(u32::try_from(text.len()).is_ok(), "text of {} bytes is above 4 GiB", text.len());
        match &self.encoder {
            Encoder::Bytes(encoder) => encoder.encode(&self.vocabulary, text, base, out),
            Encoder::Characters(encoder) => encoder.encode(&self.vocabulary, text, base, out),
            Encoder::Words(encoder) => encoder.encode(&self.vocabulary, text, base, out),
            Encoder::Unigram(encoder) => encoder.encode(&self.vocabulary, text, base, out),
            Encoder::Pieces(encoder) => encoder.encode(&self.vocabulary, text, base, out),
        }
    }

    /// The bytes that a token stands for; for a control token those of its name, for a number outside the vocabulary
    /// none. They need not be whole characters.
    pub fn token_bytes(&self, token: TokenId) -> &[u8] {
        self.vocabulary.bytes(token)
    }

    /// The bytes of a sequence, control tokens left out.
    pub fn decode(&self, tokens: &[TokenId]) -> Vec<u8> {
        let texts = tokens.iter().filter(|&&token| !self.is_control(token)).map(|&token| self.token_bytes(token));
        texts.collect::<Vec<_>>().concat()
    }

    /// How many tokens there are; every token's number is below it.
    pub fn vocab_size(&self) -> usize {
        self.vocabulary.len()
    }

    /// The start-of-text token.
    pub fn bos(&self) -> Option<TokenId> {
        self.bos
    }

    /// The end-of-text token; [`Self::is_end`] knows all tokens that end an answer.
    pub fn eos(&self) -> Option<TokenId> {
        self.eos
    }

    /// The token that stands for what has none.
    pub fn unknown(&self) -> Option<TokenId> {
        self.unknown
    }

    /// Whether a token ends an answer: end of text, of turn or of message.
    pub fn is_end(&self, token: TokenId) -> bool {
        self.ends.binary_search(&token).is_ok()
    }

    /// The tokens for which [`Self::is_end`] holds, ascending.
    pub fn ends(&self) -> &[TokenId] {
        &self.ends
    }

    /// Whether the model expects [`Self::bos`] before a prompt.
    pub fn add_bos(&self) -> bool {
        self.add_bos
    }

    /// Whether the model expects [`Self::eos`] after a prompt.
    pub fn add_eos(&self) -> bool {
        self.add_eos
    }

    /// Whether a token is structure and has no text of its own: control and unknown tokens.
    pub fn is_control(&self, token: TokenId) -> bool {
        matches!(self.vocabulary.kind(token), Some(Kind::Control | Kind::Unknown))
    }

    /// The special tokens, for those who must keep their names out of what a person wrote.
    pub(crate) fn specials(&self) -> &Specials {
        &self.specials
    }

    /// Whether a token is a hole in the numbering, which no text becomes and no model should draw.
    pub fn is_unused(&self, token: TokenId) -> bool {
        !matches!(self.vocabulary.kind(token), Some(kind) if kind != Kind::Unused)
    }
}
