//! `SentencePiece`'s unigram model (T5, XLM-R): of all ways to cut the text into pieces, the one whose scores sum to the
//! most, found by Viterbi's method. A character that no piece covers counts as unknown, at a penalty; unknown characters
//! in a row are one unknown token.
//!
//! Before that, the text is normalised by the rules that the vocabulary carries, see [`CharsMap`].

use super::Placed;
use super::charsmap::CharsMap;
use super::pieces::WRITTEN_SPACE;
use super::prefixes::Prefixes;
use super::vocabulary::Vocabulary;

/// How much less than the worst piece an unknown character scores, as in `SentencePiece`.
const UNKNOWN_PENALTY: f64 = 10.0;

/// The encoder.
#[derive(Debug, Clone)]
pub(super) struct Unigram {
    scores: Vec<f32>,
    prefixes: Prefixes,
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
    /// `prefixes` holds the tokens that text can become.
    pub(super) fn new(prefixes: Prefixes, scores: Vec<f32>, unknown: u32, normaliser: Normaliser) -> Self {
        let of_pieces = prefixes.tokens().iter().map(|&token| f64::from(scores[token as usize]));
        let worst = of_pieces.reduce(f64::min).unwrap_or(0.0);
        Self { scores, prefixes, unknown, unknown_score: worst - UNKNOWN_PENALTY, normaliser }
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
            self.prefixes.each(vocabulary, &text.as_bytes()[start..], |len, token| {
                covers_character |= start + len == character_end;
                improve(&mut best[start + len], here + f64::from(self.scores[token as usize]), start, token);
            });
            if !covers_character {
                improve(&mut best[character_end], here + self.unknown_score, start, self.unknown);
            }
        }
        best
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
