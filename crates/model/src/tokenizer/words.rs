//! `WordPiece` (BERT): text is cleaned, cut at white space, punctuation and Chinese characters, and each word is cut
//! into the longest pieces from its start on. A word that cannot be cut so is one unknown token.
//!
//! A piece that begins a word is written with U+2581 before it, here a space; the others continue a word.

use unicode_normalization::UnicodeNormalization;

use super::Placed;
use super::classes::{ClassSet, Classes, in_ranges, ranges};
use super::prefixes::Prefixes;
use super::vocabulary::Vocabulary;

/// The encoder.
#[derive(Debug, Clone)]
pub(super) struct WordPieces {
    prefixes: Prefixes,
    unknown: u32,
    cleaner: Cleaner,
}

/// How text is cleaned.
#[derive(Debug, Clone)]
pub(super) struct Cleaner {
    classes: Classes,
    /// Characters that are dropped, also where they are white space: control, format and private-use ones.
    dropped: Vec<(u32, u32)>,
    /// Marks that take no room of their own.
    accents: Vec<(u32, u32)>,
    lowercase: bool,
    strip_accents: bool,
}

/// A word: a space, then its characters; and for each byte the place it came from.
#[derive(Debug, Default)]
struct Word {
    text: String,
    sources: Vec<usize>,
}

impl Word {
    fn push(&mut self, character: char, source: usize) {
        if self.text.is_empty() {
            self.text.push(' ');
            self.sources.push(source);
        }
        self.text.push(character);
        self.sources.resize(self.text.len(), source);
    }
}

impl WordPieces {
    pub(super) fn new(prefixes: Prefixes, unknown: u32, cleaner: Cleaner) -> Self {
        Self { prefixes, unknown, cleaner }
    }

    /// Encodes text that holds no special token; `base` is where it starts.
    pub(super) fn encode(&self, vocabulary: &Vocabulary, text: &str, base: usize, out: &mut Vec<Placed>) {
        self.cleaner.words(text, &mut |word| {
            let first = out.len();
            let mut at = 0;
            while at < word.text.len() {
                let mut longest = None;
                self.prefixes.each(vocabulary, &word.text.as_bytes()[at..], |len, token| longest = Some((len, token)));
                let Some((len, token)) = longest else {
                    out.truncate(first);
                    out.push(Placed::new(self.unknown, base + word.sources[0]));
                    return;
                };
                out.push(Placed::new(token, base + word.sources[at]));
                at += len;
            }
        });
    }
}

impl Cleaner {
    pub(super) fn new(lowercase: bool, strip_accents: bool) -> Self {
        Self {
            classes: Classes::new(),
            dropped: ranges(r"[\p{Cc}\p{Cf}\p{Co}\x{fffd}--[\t\n\r]]"),
            accents: ranges(r"\p{Mn}"),
            lowercase,
            strip_accents,
        }
    }

    fn words(&self, text: &str, emit: &mut impl FnMut(&Word)) {
        let mut word = Word::default();
        let mut end = |word: &mut Word| {
            if !word.text.is_empty() {
                emit(word);
                *word = Word::default();
            }
        };
        for (source, original) in text.char_indices() {
            for character in self.decompose(original) {
                let classes = self.classes.of(character);
                if self.is_dropped(character) {
                    continue;
                }
                if classes.meets(ClassSet::SPACE) {
                    end(&mut word);
                } else {
                    let lower = if self.lowercase { lower(character) } else { character };
                    let stands_alone = classes.meets(ClassSet::PUNCTUATION)
                        || (character.is_ascii() && classes.meets(ClassSet::SYMBOL))
                        || is_chinese(character);
                    if stands_alone {
                        end(&mut word);
                    }
                    word.push(lower, source);
                    if stands_alone {
                        end(&mut word);
                    }
                }
            }
        }
        end(&mut word);
    }

    /// The character, or its base and marks where accents are to be stripped.
    fn decompose(&self, character: char) -> impl Iterator<Item = char> {
        let parts = self.strip_accents.then(|| std::iter::once(character).nfd());
        let whole = (!self.strip_accents).then_some(character);
        parts.into_iter().flatten().chain(whole)
    }

    fn is_dropped(&self, character: char) -> bool {
        in_ranges(&self.dropped, character) || (self.strip_accents && in_ranges(&self.accents, character))
    }
}

/// The lower case where it is one character; only U+0130 has two, and it is decomposed before.
fn lower(character: char) -> char {
    character.to_lowercase().next().unwrap_or(character)
}

/// The blocks of Chinese characters that BERT's authors list.
fn is_chinese(character: char) -> bool {
    matches!(character,
        '\u{4e00}'..='\u{9fff}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{20000}'..='\u{2a6df}'
        | '\u{2a700}'..='\u{2b73f}'
        | '\u{2b740}'..='\u{2b81f}'
        | '\u{2b920}'..='\u{2ceaf}'
        | '\u{f900}'..='\u{faff}'
        | '\u{2f800}'..='\u{2fa1f}')
}
