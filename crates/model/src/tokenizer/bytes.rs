//! Byte-level byte-pair encoding, as GPT-2 introduced it: text is cut into words, each word starts as its bytes, and
//! neighbours are merged in the order of the merge list.

use std::collections::HashSet;

use super::merge::{Merger, NO_TOKEN, Pairs, Piece};
use super::slots::{Slots, hash_pair};
use super::split::Splitter;
use super::vocabulary::{Kind, Vocabulary};
use super::{Placed, TokenizerError};

/// The encoder.
#[derive(Debug, Clone)]
pub(super) struct BytePairs {
    pub(super) splitter: Splitter,
    pub(super) merges: Merges,
    /// The token of each byte: its own, the unknown token, or [`NO_TOKEN`].
    pub(super) byte_tokens: Box<[u32; 256]>,
    /// A word that is a token as a whole is not merged from its bytes (Llama 3).
    pub(super) whole_words: bool,
}

/// The merge list, looked up by its two sides.
#[derive(Debug, Clone)]
pub(super) struct Merges {
    merges: Vec<Merge>,
    slots: Slots,
}

#[derive(Debug, Clone, Copy)]
struct Merge {
    left: u32,
    right: u32,
    joined: u32,
}

impl Merges {
    /// Reads the list: each entry is two tokens, as the vocabulary writes them, with a space between.
    ///
    /// `read` turns the written form of a token into its bytes.
    pub(super) fn new<'a>(
        entries: impl ExactSizeIterator<Item = &'a [u8]>,
        vocabulary: &Vocabulary,
        read: impl Fn(&[u8], &mut Vec<u8>) -> bool,
    ) -> Result<Self, TokenizerError> {
        let mut list = Self { merges: Vec::with_capacity(entries.len()), slots: Slots::new(entries.len()) };
        // Some lists spell a control token out of text. Such merges are left out: text never becomes one.
        let special = vocabulary.kinds().filter(|&(_, kind)| !matches!(kind, Kind::Normal | Kind::Byte));
        let special: HashSet<&[u8]> = special.map(|(token, _)| vocabulary.bytes(token)).collect();
        let mut bytes = Vec::new();
        for (index, entry) in entries.enumerate() {
            // The left side may itself begin with the separator in vocabularies that write spaces as they are.
            let space = entry.iter().skip(1).position(|&byte| byte == b' ').map(|at| at + 1);
            let space = space.ok_or(TokenizerError::MalformedMerge { index })?;
            let (written_left, written_right) = (&entry[..space], &entry[space + 1..]);
            bytes.clear();
            let left_ok = read(written_left, &mut bytes);
            let left_len = bytes.len();
            let right_ok = read(written_right, &mut bytes);
            if !left_ok || !right_ok || left_len == 0 || left_len == bytes.len() {
                return Err(TokenizerError::MalformedMerge { index });
            }
            let sides = [&bytes[..left_len], &bytes[left_len..], &bytes[..]];
            if sides.iter().any(|side| special.contains(side)) {
                continue;
            }
            let [left, right, joined] = sides.map(|side| {
                vocabulary.find(side).ok_or_else(|| TokenizerError::MergeOutsideVocabulary {
                    index,
                    text: String::from_utf8_lossy(side).into_owned(),
                })
            });
            list.push(Merge { left: left?, right: right?, joined: joined? })?;
        }
        list.merges.shrink_to_fit();
        Ok(list)
    }

    /// Adds the next merge; of two with the same sides the first counts.
    fn push(&mut self, merge: Merge) -> Result<(), TokenizerError> {
        let rank = self.merges.len() as u32;
        let merges = &self.merges;
        let same = |other: u32| {
            let other: Merge = merges[other as usize];
            (other.left, other.right) == (merge.left, merge.right)
        };
        if self.slots.insert(hash_pair(merge.left, merge.right), rank, same)?.is_none() {
            self.merges.push(merge);
        }
        Ok(())
    }
}

impl Pairs for Merges {
    fn joined(&self, _text: &[u8], left: Piece, right: Piece) -> Option<(u32, u32)> {
        let rank = self.slots.get(hash_pair(left.token, right.token), |rank| {
            let merge = self.merges[rank as usize];
            (merge.left, merge.right) == (left.token, right.token)
        })?;
        Some((rank, self.merges[rank as usize].joined))
    }
}

impl BytePairs {
    /// Encodes text that holds no special token; `base` is where it starts.
    pub(super) fn encode(&self, vocabulary: &Vocabulary, text: &str, base: usize, out: &mut Vec<Placed>) {
        let mut merger = Merger::default();
        self.splitter.split(text, &mut |word, offset| {
            let bytes = word.as_bytes();
            if self.whole_words
                && let Some(token) = vocabulary.find(bytes)
            {
                out.push(Placed::new(token, base + offset));
                return;
            }
            let pieces = bytes.iter().enumerate().map(|(at, &byte)| Piece {
                start: at as u32,
                len: 1,
                token: self.byte_tokens[usize::from(byte)],
            });
            merger.run(bytes, pieces, &self.merges, |piece| {
                // Some vocabularies lack tokens for control characters. Their reference tokenizers drop such bytes.
                if piece.token != NO_TOKEN {
                    out.push(Placed::new(piece.token, base + offset + piece.start as usize));
                }
            });
        });
    }
}

/// Reads the written form of a byte-level token: printable Latin-1 characters stand for themselves and the other bytes
/// for U+0100 onwards, so that every token is visible text. False when a character stands for no byte.
pub(super) fn read_byte_level(written: &[u8], bytes: &mut Vec<u8>) -> bool {
    let Ok(text) = std::str::from_utf8(written) else { return false };
    for character in text.chars() {
        match byte_of(character) {
            Some(byte) => bytes.push(byte),
            None => return false,
        }
    }
    true
}

/// The byte that a character of the byte-level alphabet stands for.
fn byte_of(character: char) -> Option<u8> {
    let code = u32::from(character);
    match code {
        0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff => Some(code as u8),
        // The bytes left out above, in order: 0x00 to 0x20, 0x7f to 0xa0, 0xad.
        0x100..=0x120 => Some((code - 0x100) as u8),
        0x121..=0x142 => Some((code - 0x121 + 0x7f) as u8),
        0x143 => Some(0xad),
        _ => None,
    }
}
