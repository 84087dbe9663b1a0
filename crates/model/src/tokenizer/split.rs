//! How byte-level vocabularies cut text into words before they merge bytes.
//!
//! Model makers publish these rules as regular expressions with look-ahead. Run by a backtracking engine they need
//! limits against hostile text. They all have one shape, though, so here they are data for one scanner, linear in the
//! text by construction:
//!
//! ```text
//! contraction | prefix? letters | digits | " "? others newlines | space* newline+ | space+ (not before a word) | space+
//! ```
//!
//! A rule is a list of [`Stage`]s. Each stage cuts every piece that the stage before it left, and what lies between its
//! matches stays a piece. The tests run the published expressions in the `tokenizers` crate against this module.

use super::TokenizerError;
use super::classes::{ClassSet, Classes, in_ranges, ranges};

/// The rule of a vocabulary.
#[derive(Debug, Clone)]
pub(super) struct Splitter {
    classes: Classes,
    stages: &'static [Stage],
    /// The ranges of each stage that names its characters itself, in order of the stages.
    sets: Vec<Vec<(u32, u32)>>,
}

/// One way to cut a piece.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// The words of the expression above.
    Words(Words),
    /// Runs of characters, at most `longest` in each.
    Runs { of: ClassSet, longest: usize },
    /// Runs of the characters of a class expression, after one white-space character if `spaced`.
    Set { of: &'static str, longest: usize, spaced: bool },
    /// Three ASCII digits, never fewer.
    AsciiTriples,
    /// White space at the very end of the piece.
    TrailingSpace,
}

/// The parts of the word expression that differ between vocabularies.
#[derive(Debug, Clone, Copy)]
struct Words {
    contractions: Contractions,
    /// ASCII punctuation takes the ASCII letters after it along.
    punctuated_letters: bool,
    letters: Letters,
    digits: Digits,
    /// What a run of others consists of.
    others: Others,
    /// Others take the line breaks after them along, and line breaks end the white space before them.
    newlines: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contractions {
    None,
    Lower,
    AnyCase,
}

#[derive(Debug, Clone, Copy)]
struct Letters {
    of: ClassSet,
    /// What may stand once before the letters.
    prefix: Prefix,
}

#[derive(Debug, Clone, Copy)]
enum Prefix {
    /// A space.
    Space,
    /// Any character but line breaks and these.
    NoneOf(ClassSet),
}

#[derive(Debug, Clone, Copy)]
enum Digits {
    /// No alternative for digits: an earlier stage took them.
    Earlier,
    /// A run of any length, with a space before it.
    Spaced,
    /// At most so many.
    UpTo(usize),
}

#[derive(Debug, Clone, Copy)]
enum Others {
    NoneOf(ClassSet),
    AnyOf(ClassSet),
}

const ANY_LENGTH: usize = usize::MAX;
const LETTER_NUMBER: ClassSet = ClassSet::LETTER.or(ClassSet::NUMBER);
const LETTER_MARK: ClassSet = ClassSet::LETTER.or(ClassSet::MARK);
const PUNCTUATION_SYMBOL: ClassSet = ClassSet::PUNCTUATION.or(ClassSet::SYMBOL);

/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
const GPT2: Stage = Stage::Words(Words {
    contractions: Contractions::Lower,
    punctuated_letters: false,
    letters: Letters { of: ClassSet::LETTER, prefix: Prefix::Space },
    digits: Digits::Spaced,
    others: Others::NoneOf(ClassSet::SPACE.or(LETTER_NUMBER)),
    newlines: false,
});

/// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
const LLAMA3: Words = Words {
    contractions: Contractions::AnyCase,
    punctuated_letters: false,
    letters: Letters { of: ClassSet::LETTER, prefix: Prefix::NoneOf(LETTER_NUMBER) },
    digits: Digits::UpTo(3),
    others: Others::NoneOf(ClassSet::SPACE.or(LETTER_NUMBER)),
    newlines: true,
};

/// As Llama 3, each digit alone.
const QWEN2: Words = Words { digits: Digits::UpTo(1), ..LLAMA3 };

/// As Qwen 2, combining marks counted among the letters.
const QWEN35: Words = Words {
    letters: Letters { of: LETTER_MARK, prefix: Prefix::NoneOf(LETTER_NUMBER) },
    others: Others::NoneOf(ClassSet::SPACE.or(LETTER_NUMBER).or(ClassSet::MARK)),
    ..QWEN2
};

/// The last of three expressions; digits and CJK runs are cut before it.
const DEEPSEEK3: Words = Words {
    contractions: Contractions::None,
    punctuated_letters: true,
    letters: Letters { of: LETTER_MARK, prefix: Prefix::NoneOf(ClassSet::LETTER.or(PUNCTUATION_SYMBOL)) },
    digits: Digits::Earlier,
    others: Others::AnyOf(PUNCTUATION_SYMBOL),
    newlines: true,
};

const EACH_NUMBER: Stage = Stage::Runs { of: ClassSet::NUMBER, longest: 1 };
const NEWLINE: Stage = Stage::Set { of: r"[\r\n]", longest: 1, spaced: false };
const DEEPSEEK_CJK: Stage =
    Stage::Set { of: r"[\x{4e00}-\x{9fa5}\x{800}-\x{4e00}\x{ac00}-\x{d7ff}]", longest: ANY_LENGTH, spaced: false };

/// The rule that `tokenizer.ggml.pre` names.
fn stages(name: &str) -> Option<&'static [Stage]> {
    Some(match name {
        "gpt-2" | "mpt" | "olmo" | "phi-2" | "jais" | "trillion" | "granite-docling" | "exaone4" | "gigachat"
        | "modern-bert" | "a.x-4.0" | "mellum" => &[GPT2],
        "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" | "exaone" | "minerva-7b" | "mellum2" => {
            &[EACH_NUMBER, GPT2]
        }
        "llama-bpe" | "llama3" | "llama-v3" | "falcon3" | "falcon-h1" | "pixtral" | "midm-2.0" | "lfm2" | "dbrx"
        | "smaug-bpe" | "glm4" | "chatglm-bpe" => &[Stage::Words(LLAMA3)],
        "qwen2" | "deepseek-r1-qwen" | "stablelm2" | "hunyuan" | "megrez" | "solar-open" | "grok-2" => {
            &[Stage::Words(QWEN2)]
        }
        "qwen35" => &[Stage::Words(QWEN35)],
        "falcon" => {
            &[Stage::Set { of: r"[\p{P}$+<=>\^~|`]", longest: ANY_LENGTH, spaced: false }, GPT2, Stage::AsciiTriples]
        }
        "default" => &[
            Stage::Set { of: r"[\p{P}$+<=>\^~|]", longest: ANY_LENGTH, spaced: false },
            GPT2,
            Stage::Runs { of: ClassSet::NUMBER, longest: ANY_LENGTH },
            Stage::AsciiTriples,
        ],
        "deepseek-coder" => &[
            NEWLINE,
            Stage::Set { of: r"\p{L}", longest: ANY_LENGTH, spaced: true },
            Stage::Set { of: r"\p{P}", longest: ANY_LENGTH, spaced: true },
            DEEPSEEK_CJK,
            EACH_NUMBER,
        ],
        "deepseek-llm" => &[
            NEWLINE,
            Stage::Set { of: DEEPSEEK_LETTERS, longest: ANY_LENGTH, spaced: true },
            Stage::Set {
                of: r"[!-/:-~\x{ff01}-\x{ff0f}\x{ff1a}-\x{ff5e}\x{2018}-\x{201f}\x{3000}-\x{3002}]",
                longest: ANY_LENGTH,
                spaced: true,
            },
            Stage::TrailingSpace,
            DEEPSEEK_CJK,
            Stage::Runs { of: ClassSet::NUMBER, longest: ANY_LENGTH },
        ],
        "deepseek-v3" | "hunyuan-dense" => &[
            Stage::Runs { of: ClassSet::NUMBER, longest: 3 },
            Stage::Set { of: r"[\x{4e00}-\x{9fa5}\x{3040}-\x{30ff}]", longest: ANY_LENGTH, spaced: false },
            Stage::Words(DEEPSEEK3),
        ],
        _ => return None,
    })
}

/// The cased letters of `DeepSeek` LLM's published expression, in code points.
const DEEPSEEK_LETTERS: &str = concat!(
    r"[A-Za-z\x{b5}\x{c0}-\x{d6}\x{d8}-\x{f6}\x{f8}-\x{1ba}\x{1bc}-\x{1bf}\x{1c4}-\x{293}\x{295}-\x{2af}",
    r"\x{370}-\x{373}\x{376}\x{377}\x{37b}-\x{37d}\x{37f}\x{386}\x{388}-\x{38a}\x{38c}\x{38e}-\x{3a1}\x{3a3}-\x{3f5}",
    r"\x{3f7}-\x{481}\x{48a}-\x{52f}\x{531}-\x{556}\x{10a0}-\x{10c5}\x{13a0}-\x{13f5}\x{13f8}-\x{13fd}",
    r"\x{1c90}-\x{1cba}\x{1cbd}-\x{1cbf}\x{1d00}-\x{1d2b}\x{1d6b}-\x{1d77}\x{1d79}-\x{1d9a}\x{1e00}-\x{1f15}",
    r"\x{1f18}-\x{1f1d}\x{1f20}-\x{1f45}\x{1f48}-\x{1f4d}\x{1f50}-\x{1f57}\x{1f59}\x{1f5b}\x{1f5d}\x{1f5f}-\x{1f7d}",
    r"\x{1f80}-\x{1fb4}\x{1fb6}-\x{1fbc}\x{1fbe}\x{1fc2}-\x{1fc4}\x{1fc6}-\x{1fcc}\x{1fd0}-\x{1fd3}\x{1fd6}-\x{1fdb}",
    r"\x{1fe0}-\x{1fec}\x{1ff2}-\x{1ff4}\x{1ff6}-\x{1ffc}\x{2102}\x{2107}\x{210a}-\x{2113}\x{2115}\x{2119}-\x{211d}",
    r"\x{2124}\x{2126}\x{2128}\x{212a}-\x{212d}\x{212f}-\x{2134}\x{2139}\x{213c}-\x{213f}\x{2145}-\x{2149}\x{214e}",
    r"\x{2183}\x{2184}\x{2c00}-\x{2c7b}\x{2c7e}-\x{2ce4}\x{2ceb}-\x{2cee}\x{2cf2}\x{2cf3}\x{a640}-\x{a66d}",
    r"\x{a680}-\x{a69b}\x{a722}-\x{a76f}\x{a771}-\x{a787}\x{a78b}-\x{a78e}\x{ab70}-\x{abbf}\x{fb00}-\x{fb06}",
    r"\x{fb13}-\x{fb17}\x{ff21}-\x{ff3a}\x{ff41}-\x{ff5a}\x{10400}-\x{1044f}\x{104b0}-\x{104d3}\x{104d8}-\x{104fb}",
    r"\x{10c80}-\x{10cb2}\x{10cc0}-\x{10cf2}\x{118a0}-\x{118df}\x{1e900}-\x{1e943}]",
);

impl Splitter {
    /// The splitter for a value of `tokenizer.ggml.pre`.
    pub(super) fn named(name: &str) -> Result<Self, TokenizerError> {
        let stages = stages(name).ok_or_else(|| TokenizerError::UnknownPreTokenizer { found: name.to_owned() })?;
        let sets = stages.iter().map(|stage| match stage {
            Stage::Set { of, .. } => ranges(of),
            _ => Vec::new(),
        });
        Ok(Self { classes: Classes::new(), stages, sets: sets.collect() })
    }

    /// Hands out the words of a text in order, with the offset of each. Together they are the text.
    pub(super) fn split<'t>(&self, text: &'t str, emit: &mut impl FnMut(&'t str, usize)) {
        self.stage(0, text, 0, emit);
    }

    fn stage<'t>(&self, index: usize, text: &'t str, base: usize, emit: &mut impl FnMut(&'t str, usize)) {
        let Some(stage) = self.stages.get(index) else {
            return emit(text, base);
        };
        if matches!(stage, Stage::TrailingSpace) {
            let tail = text.trim_end_matches(|c| self.is_space(c)).len();
            for (start, piece) in [(0, &text[..tail]), (tail, &text[tail..])] {
                if !piece.is_empty() {
                    self.stage(index + 1, piece, base + start, emit);
                }
            }
            return;
        }
        let mut gap_start = 0;
        let mut at = 0;
        while let Some(first) = text[at..].chars().next() {
            let Some(end) = self.match_end(stage, &self.sets[index], text, at) else {
                at += first.len_utf8();
                continue;
            };
            if gap_start < at {
                self.stage(index + 1, &text[gap_start..at], base + gap_start, emit);
            }
            self.stage(index + 1, &text[at..end], base + at, emit);
            at = end;
            gap_start = end;
        }
        if gap_start < at {
            self.stage(index + 1, &text[gap_start..at], base + gap_start, emit);
        }
    }

    /// Where the match that starts at `at` ends, if there is one. A match is never empty.
    fn match_end(&self, stage: &Stage, set: &[(u32, u32)], text: &str, at: usize) -> Option<usize> {
        match *stage {
            Stage::Words(words) => self.word_end(&words, text, at),
            Stage::Runs { of, longest } => run_end(text, at, longest, |c| self.classes.of(c).meets(of)),
            Stage::Set { longest, spaced, .. } => {
                let contains = |c| in_ranges(set, c);
                let after_space = text[at..].chars().next().filter(|&c| spaced && self.is_space(c));
                after_space
                    .and_then(|space| run_end(text, at + space.len_utf8(), longest, contains))
                    .or_else(|| run_end(text, at, longest, contains))
            }
            Stage::AsciiTriples => {
                let digits = text.as_bytes()[at..].first_chunk::<3>()?;
                digits.iter().all(u8::is_ascii_digit).then_some(at + digits.len())
            }
            Stage::TrailingSpace => None,
        }
    }

    fn is_space(&self, c: char) -> bool {
        self.classes.of(c).meets(ClassSet::SPACE)
    }

    /// The alternatives of the word expression, in its order.
    fn word_end(&self, words: &Words, text: &str, at: usize) -> Option<usize> {
        contraction_end(words.contractions, text, at)
            .or_else(|| if words.punctuated_letters { punctuated_letters_end(text, at) } else { None })
            .or_else(|| self.letters_end(words.letters, text, at))
            .or_else(|| self.digits_end(words.digits, text, at))
            .or_else(|| self.others_end(words, text, at))
            .or_else(|| self.space_end(words.newlines, text, at))
    }

    fn letters_end(&self, letters: Letters, text: &str, at: usize) -> Option<usize> {
        let is_letter = |c| self.classes.of(c).meets(letters.of);
        let first = text[at..].chars().next()?;
        let may_lead = match letters.prefix {
            Prefix::Space => first == ' ',
            Prefix::NoneOf(set) => !matches!(first, '\r' | '\n') && !self.classes.of(first).meets(set),
        };
        let led = if may_lead { run_end(text, at + first.len_utf8(), ANY_LENGTH, is_letter) } else { None };
        led.or_else(|| run_end(text, at, ANY_LENGTH, is_letter))
    }

    fn digits_end(&self, digits: Digits, text: &str, at: usize) -> Option<usize> {
        let is_number = |c| self.classes.of(c).meets(ClassSet::NUMBER);
        match digits {
            Digits::Earlier => None,
            Digits::Spaced => run_end(text, skip_space(text, at), ANY_LENGTH, is_number),
            Digits::UpTo(longest) => run_end(text, at, longest, is_number),
        }
    }

    fn others_end(&self, words: &Words, text: &str, at: usize) -> Option<usize> {
        let is_other = |c| match words.others {
            Others::NoneOf(set) => !self.classes.of(c).meets(set),
            Others::AnyOf(set) => self.classes.of(c).meets(set),
        };
        let end = run_end(text, skip_space(text, at), ANY_LENGTH, is_other)?;
        let newlines = if words.newlines { run_end(text, end, ANY_LENGTH, is_newline) } else { None };
        Some(newlines.unwrap_or(end))
    }

    /// White space: up to its last line break; else all but the last character, which leads the next word; else all.
    fn space_end(&self, newlines: bool, text: &str, at: usize) -> Option<usize> {
        let end = run_end(text, at, ANY_LENGTH, |c| self.is_space(c))?;
        let run = &text[at..end];
        if newlines && let Some(last) = run.rfind(['\r', '\n']) {
            return Some(at + last + 1);
        }
        let last_len = run.chars().next_back().map_or(0, char::len_utf8);
        Some(if end == text.len() || last_len == run.len() { end } else { end - last_len })
    }
}

fn is_newline(c: char) -> bool {
    matches!(c, '\r' | '\n')
}

/// Past one space, if there is one.
fn skip_space(text: &str, at: usize) -> usize {
    at + usize::from(text[at..].starts_with(' '))
}

/// The end of a non-empty run of at most `longest` characters.
fn run_end(text: &str, at: usize, longest: usize, belongs: impl Fn(char) -> bool) -> Option<usize> {
    let rest = text.get(at..)?;
    let len: usize = rest.chars().take(longest).take_while(|&c| belongs(c)).map(char::len_utf8).sum();
    (len > 0).then_some(at + len)
}

/// `'s|'t|'re|'ve|'m|'ll|'d`, in lower case only or in any.
fn contraction_end(contractions: Contractions, text: &str, at: usize) -> Option<usize> {
    let rest = text[at..].strip_prefix('\'')?;
    let mut letters = rest.chars();
    let mut next = || {
        let c = letters.next()?;
        match contractions {
            Contractions::None => None,
            Contractions::Lower => Some((c, c.len_utf8())),
            // Simple case folding maps U+017F, the long s, to s; no other letter folds to one of those used here.
            Contractions::AnyCase => Some((if c == '\u{17f}' { 's' } else { c.to_ascii_lowercase() }, c.len_utf8())),
        }
    };
    let (first, first_len) = next()?;
    let len = match first {
        's' | 't' | 'm' | 'd' => first_len,
        'r' | 'v' | 'l' => {
            let (second, second_len) = next()?;
            let fits = if first == 'l' { second == 'l' } else { second == 'e' };
            if !fits {
                return None;
            }
            first_len + second_len
        }
        _ => return None,
    };
    Some(at + 1 + len)
}

/// One ASCII punctuation character and the ASCII letters after it.
fn punctuated_letters_end(text: &str, at: usize) -> Option<usize> {
    text[at..].chars().next().filter(char::is_ascii_punctuation)?;
    run_end(text, at + 1, ANY_LENGTH, |c| c.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests;
