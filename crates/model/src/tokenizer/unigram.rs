//! `SentencePiece`'s unigram model (T5, XLM-R): of all ways to cut the text into pieces, the one whose scores sum to the
//! most, found by Viterbi's method. A character that no piece covers counts as unknown, at a penalty; unknown characters
//! in a row are one unknown token.
//!
//! Before that, the text is normalised by the rules that the vocabulary carries, see [`CharsMap`].

use super::charsmap::CharsMap;
use super::pieces::WRITTEN_SPACE;
use super::vocabulary::Vocabulary;
use super::{Placed, TokenizerError};

/// Longest piece in bytes. Each position of a text looks at pieces of up to this length; real ones stay under 64.
const PIECE_BYTES_MAX: usize = 1_024;

/// How much less than the worst piece an unknown character scores, as in `SentencePiece`.
const UNKNOWN_PENALTY: f64 = 10.0;

/// The encoder.
#[derive(Debug, Clone)]
pub(super) struct Unigram {
    scores: Vec<f32>,
    /// The pieces that text can become, sorted by their bytes.
    sorted: Vec<u32>,
    unknown: u32,
    unknown_score: f64,
    normaliser: Normaliser,
}

/// How text is prepared.
#[derive(Debug, Clone)]
pub(super) struct Normaliser {
    pub(super) map: Option<CharsMap>,
    /// A space is put before the first word.
    pub(super) space_prefix: bool,
    /// Spaces in a row are one, and those at the ends are dropped.
    pub(super) merge_spaces: bool,
}

/// The best way to cut the text up to some byte: its score, and its last piece.
#[derive(Debug, Clone, Copy)]
struct Best {
    score: f64,
    start: u32,
    token: u32,
}

impl Unigram {
    /// `pieces` are the tokens that text can become, in any order.
    pub(super) fn new(
        vocabulary: &Vocabulary,
        mut pieces: Vec<u32>,
        scores: Vec<f32>,
        unknown: u32,
        normaliser: Normaliser,
    ) -> Result<Self, TokenizerError> {
        for &token in &pieces {
            let found = vocabulary.bytes_of(token).len();
            if found > PIECE_BYTES_MAX {
                return Err(TokenizerError::TokenTooLong { token, found, limit: PIECE_BYTES_MAX });
            }
        }
        pieces.sort_unstable_by(|&left, &right| vocabulary.bytes_of(left).cmp(vocabulary.bytes_of(right)));
        let worst = pieces.iter().map(|&token| f64::from(scores[token as usize])).reduce(f64::min).unwrap_or(0.0);
        Ok(Self { scores, sorted: pieces, unknown, unknown_score: worst - UNKNOWN_PENALTY, normaliser })
    }

    /// Encodes text that holds no special token; `base` is where it starts.
    pub(super) fn encode(&self, vocabulary: &Vocabulary, text: &str, base: usize, out: &mut Vec<Placed>) {
        let normal = self.normaliser.normalise(text);
        let best = self.best_cuts(vocabulary, &normal.text);
        let first = out.len();
        let mut end = normal.text.len();
        let mut after_is_unknown = false;
        while end > 0 {
            let cut = best[end];
            let is_unknown = cut.token == self.unknown;
            if is_unknown && after_is_unknown {
                // Part of the unknown run that follows: the run now starts here.
                out.pop();
            }
            out.push(Placed::new(cut.token, base + normal.place(cut.start as usize)));
            after_is_unknown = is_unknown;
            end = cut.start as usize;
        }
        out[first..].reverse();
    }

    /// For every byte of the text the best way to get there.
    fn best_cuts(&self, vocabulary: &Vocabulary, text: &str) -> Vec<Best> {
        let nothing = Best { score: f64::NEG_INFINITY, start: 0, token: self.unknown };
        let mut best = vec![nothing; text.len() + 1];
        best[0].score = 0.0;
        for (start, character) in text.char_indices() {
            let here = best[start].score;
            let character_end = start + character.len_utf8();
            let mut covers_character = false;
            self.for_each_piece_at(vocabulary, &text.as_bytes()[start..], |len, token| {
                covers_character |= start + len == character_end;
                improve(&mut best[start + len], here + f64::from(self.scores[token as usize]), start, token);
            });
            if !covers_character {
                improve(&mut best[character_end], here + self.unknown_score, start, self.unknown);
            }
        }
        best
    }

    /// Calls back with every piece that the text begins with, shortest first.
    fn for_each_piece_at(&self, vocabulary: &Vocabulary, text: &[u8], mut found: impl FnMut(usize, u32)) {
        let mut candidates = self.sorted.as_slice();
        for (depth, &byte) in text.iter().enumerate() {
            // The candidates share their first `depth` bytes. One that ends there sorts before those that go on.
            let at = |token: u32| vocabulary.bytes_of(token).get(depth).copied();
            let start = candidates.partition_point(|&token| at(token) < Some(byte));
            let end = candidates.partition_point(|&token| at(token) <= Some(byte));
            candidates = &candidates[start..end];
            let Some(&shortest) = candidates.first() else { return };
            if vocabulary.bytes_of(shortest).len() == depth + 1 {
                found(depth + 1, shortest);
            }
        }
    }
}

fn improve(champion: &mut Best, score: f64, start: usize, token: u32) {
    if score > champion.score {
        *champion = Best { score, start: start as u32, token };
    }
}

/// Normalised text that knows where its characters come from.
#[derive(Debug, Default, PartialEq, Eq)]
struct Normal {
    text: String,
    /// For each character: where it starts here, and where its source starts in the original.
    sources: Vec<(u32, u32)>,
}

impl Normal {
    fn push(&mut self, character: char, source: usize) {
        self.sources.push((self.text.len() as u32, source as u32));
        self.text.push(character);
    }

    fn place(&self, offset: usize) -> usize {
        let after = self.sources.partition_point(|&(start, _)| start as usize <= offset);
        after.checked_sub(1).map_or(0, |at| self.sources[at].1 as usize)
    }
}

impl Normaliser {
    fn normalise(&self, text: &str) -> Normal {
        let mut normal = Normal::default();
        let mut prefixed = false;
        let mut in_word = false;
        let mut at = 0;
        while let Some(first) = text[at..].chars().next() {
            let (replacement, len) = match self.map.as_ref().and_then(|map| map.longest_match(&text.as_bytes()[at..])) {
                // A rule must not end inside a character of the text.
                Some((replacement, len)) if text.is_char_boundary(at + len) => (replacement, len),
                _ => (&text[at..at + first.len_utf8()], first.len_utf8()),
            };
            for character in replacement.chars() {
                if character == ' ' {
                    in_word = false;
                    if !self.merge_spaces {
                        normal.push(' ', at);
                    }
                    continue;
                }
                if !in_word && (self.merge_spaces || (self.space_prefix && !prefixed)) {
                    normal.push(' ', at);
                    prefixed = true;
                }
                in_word = true;
                normal.push(if WRITTEN_SPACE.starts_with(character) { ' ' } else { character }, at);
            }
            at += len;
        }
        normal
    }
}

#[cfg(test)]
mod tests;
