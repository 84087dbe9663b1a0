//! Byte-pair encoding over characters: as the byte-level one, but a line starts as its characters, spaces are written
//! U+2581, and a character without a token is spelled in byte tokens (Gemma 4).

use super::Placed;
use super::bytes::Merges;
use super::merge::{Merger, NO_TOKEN, Piece};
use super::pieces::{Spaced, spell};
use super::vocabulary::Vocabulary;

/// The encoder.
#[derive(Debug, Clone)]
pub(super) struct CharacterPairs {
    pub(super) merges: Merges,
    /// The token of each byte, or the unknown token.
    pub(super) byte_tokens: Box<[u32; 256]>,
}

impl CharacterPairs {
    /// Encodes text that holds no special token; `base` is where it starts.
    pub(super) fn encode(&self, vocabulary: &Vocabulary, text: &str, base: usize, out: &mut Vec<Placed>) {
        let spaced = Spaced::new(text, false);
        let mut places = spaced.places();
        let mut merger = Merger::default();
        let mut start = 0;
        for line in lines(&spaced.text) {
            let bytes = line.as_bytes();
            // A run of line breaks that is a token as a whole is not merged from single ones.
            let whole = if line.starts_with('\n') { vocabulary.find(bytes) } else { None };
            if let Some(token) = whole {
                out.push(Placed::new(token, base + places.of(start)));
            } else {
                let pieces = line.char_indices().map(|(at, character)| {
                    let len = character.len_utf8();
                    let token = vocabulary.find(&bytes[at..at + len]).unwrap_or(NO_TOKEN);
                    Piece { start: at as u32, len: len as u32, token }
                });
                merger.run(bytes, pieces, &self.merges, |piece| {
                    let place = base + places.of(start + piece.start as usize);
                    spell(bytes, piece, &self.byte_tokens, place, out);
                });
            }
            start += line.len();
        }
    }
}

/// Runs of line breaks, and what lies between them.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let is_break = rest.starts_with('\n');
        let end = rest.find(|c| (c == '\n') != is_break).unwrap_or(rest.len());
        let (line, after) = rest.split_at(end);
        rest = after;
        (!line.is_empty()).then_some(line)
    })
}
