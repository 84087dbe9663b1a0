//! `SentencePiece`'s byte-pair encoding: the text starts as its characters, and the neighbours whose joined text is the
//! token of highest score are joined first. There are no words: a token may span several.
//!
//! `SentencePiece` writes a space as U+2581 in its tokens. Here tokens hold the space itself, and a U+2581 in the text
//! is read as a space, which gives the same tokens.

use super::merge::{Merger, NO_TOKEN, Pairs, Piece};
use super::vocabulary::Vocabulary;
use super::{Placed, TokenizerError};

/// The visible stand-in for a space.
pub(super) const WRITTEN_SPACE: &str = "\u{2581}";

/// The encoder.
#[derive(Debug, Clone)]
pub(super) struct ScoredPieces {
    /// One rank per token: the lower, the higher its score.
    pub(super) ranks: Vec<u32>,
    /// The token of each byte, or the unknown token.
    pub(super) byte_tokens: Box<[u32; 256]>,
    /// A space is put before text that follows the start or a special token.
    pub(super) space_prefix: bool,
    /// Words are encoded one by one, see [`Self::spaces_lead`].
    pub(super) by_word: bool,
}

/// Turns scores into ranks that order the other way round.
pub(super) fn rank_of_score(token: u32, score: f32) -> Result<u32, TokenizerError> {
    if score.is_nan() {
        return Err(TokenizerError::Score { token });
    }
    // Adding zero makes -0 and 0 one score. The bits of floats order like their values once negative ones are flipped.
    let bits = (score + 0.0).to_bits();
    let ascending = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
    Ok(!ascending)
}

struct Neighbours<'a> {
    vocabulary: &'a Vocabulary,
    ranks: &'a [u32],
}

impl Pairs for Neighbours<'_> {
    fn joined(&self, text: &[u8], left: Piece, right: Piece) -> Option<(u32, u32)> {
        let start = left.start as usize;
        let token = self.vocabulary.find(&text[start..start + (left.len + right.len) as usize])?;
        Some((self.ranks[token as usize], token))
    }
}

impl ScoredPieces {
    /// Whether no token has a space behind another character: then none spans the end of a word, and words can be
    /// encoded one by one, which is the same and several times faster.
    pub(super) fn spaces_lead(vocabulary: &Vocabulary) -> bool {
        vocabulary.reachable().all(|bytes| bytes.windows(2).all(|pair| pair[1] != b' ' || pair[0] == b' '))
    }

    /// Encodes text that holds no special token and follows the start or a special token; `base` is where it starts.
    pub(super) fn encode(&self, vocabulary: &Vocabulary, text: &str, base: usize, out: &mut Vec<Placed>) {
        let spaced = Spaced::new(text, self.space_prefix);
        let neighbours = Neighbours { vocabulary, ranks: &self.ranks };
        let mut places = spaced.places();
        let mut merger = Merger::default();
        let mut rest = spaced.text.as_str();
        while !rest.is_empty() {
            let start = spaced.text.len() - rest.len();
            let (word, after) = rest.split_at(if self.by_word { word_end(rest) } else { rest.len() });
            let bytes = word.as_bytes();
            let pieces = word.char_indices().map(|(at, character)| {
                let len = character.len_utf8();
                let token = vocabulary.find(&bytes[at..at + len]).unwrap_or(NO_TOKEN);
                Piece { start: at as u32, len: len as u32, token }
            });
            merger.run(bytes, pieces, &neighbours, |piece| {
                let place = base + places.of(start + piece.start as usize);
                spell(bytes, piece, &self.byte_tokens, place, out);
            });
            rest = after;
        }
    }
}

/// The length of the first word: spaces, then what is no space.
fn word_end(text: &str) -> usize {
    let letters = text.bytes().position(|byte| byte != b' ').unwrap_or(text.len());
    text.bytes().skip(letters).position(|byte| byte == b' ').map_or(text.len(), |len| letters + len)
}

/// Hands out a piece's token. A character without one is spelled in bytes; all of them belong to the place where it
/// starts.
pub(super) fn spell(text: &[u8], piece: Piece, byte_tokens: &[u32; 256], place: usize, out: &mut Vec<Placed>) {
    if piece.token != NO_TOKEN {
        out.push(Placed::new(piece.token, place));
        return;
    }
    let start = piece.start as usize;
    for &byte in &text[start..start + piece.len as usize] {
        out.push(Placed::new(byte_tokens[usize::from(byte)], place));
    }
}

/// The text as it is encoded: with the prefix, and every U+2581 a space.
pub(super) struct Spaced {
    pub(super) text: String,
    prefix_bytes: usize,
    /// Where in `text` the characters stand that are two bytes shorter than in the original; sorted.
    shortened: Vec<usize>,
}

impl Spaced {
    pub(super) fn new(original: &str, space_prefix: bool) -> Self {
        let prefix = if space_prefix { " " } else { "" };
        let mut text = String::with_capacity(original.len() + prefix.len());
        text.push_str(prefix);
        let mut shortened = Vec::new();
        for (index, part) in original.split(WRITTEN_SPACE).enumerate() {
            if index > 0 {
                shortened.push(text.len());
                text.push(' ');
            }
            text.push_str(part);
        }
        Self { text, prefix_bytes: prefix.len(), shortened }
    }

    pub(super) fn places(&self) -> Places<'_> {
        Places { spaced: self, passed: 0 }
    }
}

/// Maps ascending offsets of the encoded text to offsets of the original.
pub(super) struct Places<'a> {
    spaced: &'a Spaced,
    passed: usize,
}

impl Places<'_> {
    pub(super) fn of(&mut self, offset: usize) -> usize {
        while self.spaced.shortened.get(self.passed).is_some_and(|&at| at < offset) {
            self.passed += 1;
        }
        offset.saturating_sub(self.spaced.prefix_bytes) + self.passed * (WRITTEN_SPACE.len() - 1)
    }
}
