//! A tokenizer from the metadata of a GGUF file.

use claim::TokenId;

use super::bytes::{BytePairs, Merges, read_byte_level};
use super::characters::CharacterPairs;
use super::charsmap::CharsMap;
use super::merge::NO_TOKEN;
use super::pieces::{ScoredPieces, WRITTEN_SPACE, rank_of_score};
use super::prefixes::Prefixes;
use super::specials::Specials;
use super::split::Splitter;
use super::unigram::{Normaliser, Unigram};
use super::vocabulary::{Kind, Vocabulary};
use super::words::{Cleaner, WordPieces};
use super::{Encoder, Tokenizer, TokenizerError};
use crate::gguf::{Gguf, Strings, Value};

const TOKENS: &str = "tokenizer.ggml.tokens";
const TOKEN_TYPES: &str = "tokenizer.ggml.token_type";
const SCORES: &str = "tokenizer.ggml.scores";
const MERGES: &str = "tokenizer.ggml.merges";
const BOS: &str = "tokenizer.ggml.bos_token_id";
const EOS: &str = "tokenizer.ggml.eos_token_id";
const END_OF_TURN: &str = "tokenizer.ggml.eot_token_id";
const END_OF_MESSAGE: &str = "tokenizer.ggml.eom_token_id";
const UNKNOWN: &str = "tokenizer.ggml.unknown_token_id";
const ADD_BOS: &str = "tokenizer.ggml.add_bos_token";
const ADD_EOS: &str = "tokenizer.ggml.add_eos_token";
const SPACE_PREFIX: &str = "tokenizer.ggml.add_space_prefix";
const MERGE_SPACES: &str = "tokenizer.ggml.remove_extra_whitespaces";
const LOWERCASE: &str = "tokenizer.ggml.normalizer.lowercase";
const STRIP_ACCENTS: &str = "tokenizer.ggml.normalizer.strip_accents";
const CHARS_MAP: &str = "tokenizer.ggml.precompiled_charsmap";

/// Tokens that end an answer by their name. Most files name one such token, but chat models end a turn with another
/// than the one that ends a text; the names are those that llama.cpp recognises.
const END_NAMES: [&str; 19] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<\u{ff5c}end\u{2581}of\u{2581}sentence\u{ff5c}>",
    "<|file_sep|>",
    "<|repo_name|>",
];

/// The algorithms, as `tokenizer.ggml.model` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    /// Byte-pair encoding over bytes.
    Bytes,
    /// Byte-pair encoding over characters.
    Characters,
    /// Pieces joined by score.
    Pieces,
    /// Pieces chosen by the sum of their scores.
    Unigram,
    /// The longest pieces of words.
    Words,
}

impl Algorithm {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "gpt2" => Self::Bytes,
            "gemma4" => Self::Characters,
            "llama" => Self::Pieces,
            "t5" => Self::Unigram,
            "bert" => Self::Words,
            _ => return None,
        })
    }
}

/// What the file says about every token.
struct Entries<'a> {
    written: Strings<'a>,
    kinds: Vec<Kind>,
}

impl Tokenizer {
    /// Builds the tokenizer that a file's metadata describes.
    ///
    /// # Errors
    /// [`TokenizerError`] when a key is missing or wrong, the algorithm is unknown, or the vocabulary contradicts
    /// itself.
    pub fn from_gguf(gguf: &Gguf<'_>) -> Result<Self, TokenizerError> {
        let name = gguf.str("tokenizer.ggml.model")?;
        let algorithm = Algorithm::of(name).ok_or_else(|| TokenizerError::UnknownModel { found: name.to_owned() })?;
        let entries = Entries::read(gguf)?;
        let vocabulary = entries.vocabulary(algorithm)?;
        let names = Names::read(gguf, algorithm, vocabulary.len())?;
        let encoder = encoder(gguf, algorithm, &entries, &vocabulary, names.unknown)?;
        let mut ends: Vec<TokenId> = entries.end_tokens().chain(names.ends.iter().copied()).collect();
        ends.sort_unstable();
        ends.dedup();
        Ok(Self {
            specials: Specials::new(&vocabulary)?,
            vocabulary,
            encoder,
            bos: names.bos,
            eos: names.eos,
            unknown: names.unknown,
            ends,
            add_bos: names.add_bos,
            add_eos: names.add_eos,
        })
    }
}

impl<'a> Entries<'a> {
    fn read(gguf: &Gguf<'a>) -> Result<Self, TokenizerError> {
        let strings = gguf.array(TOKENS)?.strings();
        let written = strings.ok_or(TokenizerError::ElementType { key: TOKENS, expected: "strings" })?;
        let expected = written.len();
        let mut kinds = vec![Kind::Normal; expected];
        if gguf.metadata(TOKEN_TYPES).is_some() {
            let numbers = gguf.array(TOKEN_TYPES)?.i32s();
            let numbers = numbers.ok_or(TokenizerError::ElementType { key: TOKEN_TYPES, expected: "i32 numbers" })?;
            if numbers.len() != expected {
                return Err(TokenizerError::LengthMismatch { key: TOKEN_TYPES, expected, found: numbers.len() });
            }
            for (token, (kind, number)) in kinds.iter_mut().zip(numbers).enumerate() {
                *kind = Kind::from_gguf(token as u32, number)?;
            }
        }
        // Converters have marked end tokens as ordinary ones; a name like these is never ordinary text.
        for (kind, name) in kinds.iter_mut().zip(written.clone()) {
            if is_end_name(name) {
                *kind = Kind::Control;
            }
        }
        Ok(Self { written, kinds })
    }

    /// Every token as it is written, with its kind.
    fn iter(&self) -> impl Iterator<Item = (&'a [u8], Kind)> + '_ {
        self.written.clone().zip(self.kinds.iter().copied())
    }

    fn end_tokens(&self) -> impl Iterator<Item = TokenId> + '_ {
        let ends = self.written.clone().enumerate().filter(|(_, name)| is_end_name(name));
        ends.map(|(token, _)| TokenId::new(token as u32))
    }

    /// The tokens that text can become, ready to be matched.
    fn prefixes(&self, vocabulary: &Vocabulary) -> Result<Prefixes, TokenizerError> {
        let entries = self.iter().enumerate();
        let reachable =
            entries.filter(|(_, (text, kind))| matches!(kind, Kind::Normal | Kind::Unused) && !text.is_empty());
        Prefixes::new(vocabulary, reachable.map(|(token, _)| token as u32).collect())
    }

    fn vocabulary(&self, algorithm: Algorithm) -> Result<Vocabulary, TokenizerError> {
        let mut vocabulary = Vocabulary::with_capacity(self.kinds.len())?;
        let mut bytes = Vec::new();
        for (token, (written, kind)) in self.iter().enumerate() {
            bytes.clear();
            let reachable = match (kind, algorithm) {
                (Kind::Normal, Algorithm::Bytes) => {
                    let readable = read_byte_level(written, &mut bytes);
                    if !readable {
                        // No text becomes such a token, but the model may draw it: it then reads as it is written.
                        bytes.clear();
                        bytes.extend_from_slice(written);
                    }
                    readable
                }
                (Kind::Normal, Algorithm::Characters)
                | (Kind::Normal | Kind::Unused, Algorithm::Pieces | Algorithm::Unigram | Algorithm::Words) => {
                    read_spaces(written, &mut bytes);
                    true
                }
                (Kind::Byte, _) => {
                    bytes.push(read_byte_token(token as u32, written)?);
                    false
                }
                _ => {
                    bytes.extend_from_slice(written);
                    false
                }
            };
            vocabulary.push(&bytes, kind, reachable)?;
        }
        vocabulary.shrink();
        Ok(vocabulary)
    }
}

/// The special tokens that the file names, and its flags.
struct Names {
    bos: Option<TokenId>,
    eos: Option<TokenId>,
    unknown: Option<TokenId>,
    /// End of text, of turn and of message.
    ends: Vec<TokenId>,
    add_bos: bool,
    add_eos: bool,
}

impl Names {
    fn read(gguf: &Gguf<'_>, algorithm: Algorithm, size: usize) -> Result<Self, TokenizerError> {
        let named = |key: &'static str, default: Option<u32>| -> Result<Option<TokenId>, TokenizerError> {
            if gguf.metadata(key).is_none() {
                return Ok(default.filter(|&token| (token as usize) < size).map(TokenId::new));
            }
            let found = gguf.u32(key)?;
            if found as usize >= size {
                return Err(TokenizerError::SpecialOutside { key, found, size });
            }
            Ok(Some(TokenId::new(found)))
        };
        // SentencePiece and T5 number their unknown, start and end tokens so, and old files rely on it.
        let [unknown, bos, eos] = match algorithm {
            Algorithm::Pieces => [Some(0), Some(1), Some(2)],
            Algorithm::Unigram => [Some(2), None, Some(1)],
            Algorithm::Bytes | Algorithm::Characters | Algorithm::Words => [None; 3],
        };
        let (unknown, bos, eos) = (named(UNKNOWN, unknown)?, named(BOS, bos)?, named(EOS, eos)?);
        let ends = [eos, named(END_OF_TURN, None)?, named(END_OF_MESSAGE, None)?];
        let adds_bos = matches!(algorithm, Algorithm::Pieces | Algorithm::Characters) || whole_words(gguf);
        let add_bos = boolean(gguf, ADD_BOS, adds_bos && bos.is_some())?;
        let add_eos = boolean(gguf, ADD_EOS, false)?;
        for (wanted, token, flag, key) in [(add_bos, bos, ADD_BOS, BOS), (add_eos, eos, ADD_EOS, EOS)] {
            if wanted && token.is_none() {
                return Err(TokenizerError::MissingSpecial { flag, key });
            }
        }
        Ok(Self { bos, eos, unknown, ends: ends.into_iter().flatten().collect(), add_bos, add_eos })
    }
}

/// Whether the vocabulary is of Llama 3's family, whose words need no merges when they are tokens.
fn whole_words(gguf: &Gguf<'_>) -> bool {
    matches!(
        pre_tokenizer(gguf),
        "llama-bpe" | "llama3" | "llama-v3" | "falcon3" | "falcon-h1" | "pixtral" | "midm-2.0" | "lfm2"
    )
}

fn pre_tokenizer<'a>(gguf: &Gguf<'a>) -> &'a str {
    gguf.metadata("tokenizer.ggml.pre").and_then(Value::as_str).unwrap_or("default")
}

fn encoder(
    gguf: &Gguf<'_>,
    algorithm: Algorithm,
    entries: &Entries<'_>,
    vocabulary: &Vocabulary,
    unknown: Option<TokenId>,
) -> Result<Encoder, TokenizerError> {
    let byte_tokens = || byte_tokens(entries, vocabulary, algorithm, unknown);
    Ok(match algorithm {
        Algorithm::Bytes => Encoder::Bytes(Box::new(BytePairs {
            splitter: Splitter::named(pre_tokenizer(gguf))?,
            merges: merges(gguf, vocabulary, read_byte_level)?,
            byte_tokens: byte_tokens()?,
            whole_words: whole_words(gguf),
        })),
        Algorithm::Characters => {
            let read = |written: &[u8], bytes: &mut Vec<u8>| {
                read_spaces(written, bytes);
                true
            };
            Encoder::Characters(CharacterPairs { merges: merges(gguf, vocabulary, read)?, byte_tokens: byte_tokens()? })
        }
        Algorithm::Pieces => {
            let scores = scores(gguf, vocabulary)?.enumerate();
            let mut ranks = Vec::with_capacity(scores.len());
            for (token, score) in scores {
                ranks.push(rank_of_score(token as u32, score)?);
            }
            let space_prefix = boolean(gguf, SPACE_PREFIX, true)?;
            let by_word = ScoredPieces::spaces_lead(vocabulary);
            Encoder::Pieces(ScoredPieces { ranks, byte_tokens: byte_tokens()?, space_prefix, by_word })
        }
        Algorithm::Unigram => Encoder::Unigram(unigram(gguf, entries, vocabulary, unknown)?),
        Algorithm::Words => {
            let lowercase = boolean(gguf, LOWERCASE, true)?;
            let cleaner = Cleaner::new(lowercase, boolean(gguf, STRIP_ACCENTS, lowercase)?);
            Encoder::Words(WordPieces::new(entries.prefixes(vocabulary)?, needed(unknown)?, cleaner))
        }
    })
}

fn merges(
    gguf: &Gguf<'_>,
    vocabulary: &Vocabulary,
    read: impl Fn(&[u8], &mut Vec<u8>) -> bool,
) -> Result<Merges, TokenizerError> {
    let entries = gguf.array(MERGES)?.strings();
    let entries = entries.ok_or(TokenizerError::ElementType { key: MERGES, expected: "strings" })?;
    Merges::new(entries, vocabulary, read)
}

fn unigram(
    gguf: &Gguf<'_>,
    entries: &Entries<'_>,
    vocabulary: &Vocabulary,
    unknown: Option<TokenId>,
) -> Result<Unigram, TokenizerError> {
    let mut numbers = Vec::with_capacity(vocabulary.len());
    for (token, score) in scores(gguf, vocabulary)?.enumerate() {
        if score.is_nan() {
            return Err(TokenizerError::Score { token: token as u32 });
        }
        numbers.push(score);
    }
    let map = match gguf.metadata(CHARS_MAP) {
        None => None,
        Some(value) => {
            let blob = value.as_array().and_then(|array| array.bytes());
            Some(CharsMap::new(blob.ok_or(TokenizerError::ElementType { key: CHARS_MAP, expected: "bytes" })?)?)
        }
    };
    let normaliser = Normaliser {
        map,
        space_prefix: boolean(gguf, SPACE_PREFIX, false)?,
        merge_spaces: boolean(gguf, MERGE_SPACES, false)?,
    };
    Ok(Unigram::new(entries.prefixes(vocabulary)?, numbers, needed(unknown)?, normaliser))
}

fn needed(unknown: Option<TokenId>) -> Result<u32, TokenizerError> {
    unknown.map(TokenId::get).ok_or(TokenizerError::MissingUnknown { key: UNKNOWN })
}

fn scores<'a>(
    gguf: &Gguf<'a>,
    vocabulary: &Vocabulary,
) -> Result<impl ExactSizeIterator<Item = f32> + use<'a>, TokenizerError> {
    let scores = gguf.array(SCORES)?.f32s();
    let scores = scores.ok_or(TokenizerError::ElementType { key: SCORES, expected: "f32 numbers" })?;
    if scores.len() != vocabulary.len() {
        let (expected, found) = (vocabulary.len(), scores.len());
        return Err(TokenizerError::LengthMismatch { key: SCORES, expected, found });
    }
    Ok(scores)
}

fn boolean(gguf: &Gguf<'_>, key: &'static str, default: bool) -> Result<bool, TokenizerError> {
    let value = gguf.metadata(key).map_or(Some(default), Value::as_bool);
    value.ok_or(TokenizerError::ElementType { key, expected: "a boolean" })
}

/// The token for each byte: its own, else the unknown token, else none.
fn byte_tokens(
    entries: &Entries<'_>,
    vocabulary: &Vocabulary,
    algorithm: Algorithm,
    unknown: Option<TokenId>,
) -> Result<Box<[u32; 256]>, TokenizerError> {
    let mut tokens = Box::new([NO_TOKEN; 256]);
    if algorithm == Algorithm::Bytes {
        for byte in 0..=u8::MAX {
            tokens[usize::from(byte)] = vocabulary.find(&[byte]).unwrap_or(NO_TOKEN);
        }
    } else {
        let bytes = entries.iter().enumerate().filter(|(_, (_, kind))| *kind == Kind::Byte);
        for (token, (written, _)) in bytes {
            let token = token as u32;
            let slot = &mut tokens[usize::from(read_byte_token(token, written)?)];
            if *slot != NO_TOKEN {
                let text = String::from_utf8_lossy(written).into_owned();
                return Err(TokenizerError::DuplicateToken { first: *slot, second: token, text });
            }
            *slot = token;
        }
    }
    for byte in (0..=u8::MAX).filter(|&byte| is_in_utf8(byte)) {
        let slot = &mut tokens[usize::from(byte)];
        if *slot != NO_TOKEN {
            continue;
        }
        match (unknown, algorithm) {
            (Some(unknown), _) => *slot = unknown.get(),
            (None, Algorithm::Bytes) => {}
            (None, _) => return Err(TokenizerError::MissingByte { byte }),
        }
    }
    Ok(tokens)
}

/// Whether a byte can stand in UTF-8 text.
fn is_in_utf8(byte: u8) -> bool {
    !matches!(byte, 0xc0 | 0xc1 | 0xf5..=0xff)
}

fn is_end_name(name: &[u8]) -> bool {
    END_NAMES.iter().any(|end| end.as_bytes() == name)
}

/// `<0x0A>` and the like.
fn read_byte_token(token: u32, written: &[u8]) -> Result<u8, TokenizerError> {
    let malformed =
        || TokenizerError::MalformedByteToken { token, text: String::from_utf8_lossy(written).into_owned() };
    let digits = written.strip_prefix(b"<0x").and_then(|rest| rest.strip_suffix(b">")).ok_or_else(malformed)?;
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.len() == 2 && !digits.starts_with('+'));
    digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).ok_or_else(malformed)
}

/// Reads U+2581 as a space.
fn read_spaces(written: &[u8], bytes: &mut Vec<u8>) {
    let mut rest = written;
    while let Some((&first, tail)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(WRITTEN_SPACE.as_bytes()) {
            bytes.push(b' ');
            rest = after;
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
}
