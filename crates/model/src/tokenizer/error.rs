//! What can be wrong with a vocabulary.

use crate::gguf::GgufError;

/// Why a tokenizer cannot be built from a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// A metadata key is missing or has the wrong type.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// `tokenizer.ggml.model` names an algorithm that is not built in.
    #[error("tokenizer model {found:?} is not supported, expected one of gpt2, llama, gemma4, t5, bert")]
    UnknownModel {
        /// The name in the file.
        found: String,
    },
    /// `tokenizer.ggml.pre` names a way to split text that is not built in.
    #[error(
        "pre-tokenizer {found:?} is not supported; using another one would give other tokens than the model was trained on"
    )]
    UnknownPreTokenizer {
        /// The name in the file.
        found: String,
    },
    /// The vocabulary has no tokens.
    #[error("the vocabulary is empty")]
    Empty,
    /// The vocabulary has more tokens than can be numbered here.
    #[error("the vocabulary has {found} tokens, the limit is {limit}")]
    TooManyTokens {
        /// Tokens in the file.
        found: usize,
        /// The most accepted.
        limit: usize,
    },
    /// One token is longer than any real one.
    #[error("token {token} has {found} bytes, the limit is {limit}")]
    TokenTooLong {
        /// The token.
        token: u32,
        /// Its length in bytes.
        found: usize,
        /// The longest accepted.
        limit: usize,
    },
    /// The special tokens together are larger than any real set.
    #[error("control and user-defined tokens take {found} bytes, the limit is {limit}")]
    SpecialsTooLarge {
        /// Bytes of all special tokens.
        found: usize,
        /// The most accepted.
        limit: usize,
    },
    /// An array that goes with the tokens has another length.
    #[error("{key} has {found} entries, expected {expected} as there are tokens")]
    LengthMismatch {
        /// The array.
        key: &'static str,
        /// Tokens.
        expected: usize,
        /// Entries.
        found: usize,
    },
    /// An array has elements of a type that its meaning does not allow.
    #[error("{key} does not hold {expected}")]
    ElementType {
        /// The array.
        key: &'static str,
        /// The type demanded.
        expected: &'static str,
    },
    /// A token's type number is none of those defined.
    #[error("token {token} has the unknown type {found}, expected 0 to 6")]
    UnknownTokenType {
        /// The token.
        token: u32,
        /// The number in the file.
        found: i32,
    },
    /// Two tokens stand for the same bytes, so text would not have one encoding.
    #[error("tokens {first} and {second} are both {text:?}")]
    DuplicateToken {
        /// The lower token.
        first: u32,
        /// The higher one.
        second: u32,
        /// What both stand for.
        text: String,
    },
    /// A byte token is not written `<0xNN>`.
    #[error("token {token} is a byte token but reads {text:?}, expected <0x00> to <0xFF>")]
    MalformedByteToken {
        /// The token.
        token: u32,
        /// How it reads.
        text: String,
    },
    /// A byte that text can contain has no token, and there is no unknown token to stand in.
    #[error("the vocabulary has no token for the byte 0x{byte:02x} and no unknown token")]
    MissingByte {
        /// The byte.
        byte: u8,
    },
    /// A unigram or word vocabulary needs a token for what no piece covers.
    #[error("{key} is missing, and this kind of vocabulary needs it")]
    MissingUnknown {
        /// The key that should name the token.
        key: &'static str,
    },
    /// A merge is not two words with a space between.
    #[error("merge {index} is not a pair of tokens")]
    MalformedMerge {
        /// Which merge, from 0.
        index: usize,
    },
    /// A merge names a token that is not in the vocabulary.
    #[error("merge {index} needs the token {text:?}, which the vocabulary does not have")]
    MergeOutsideVocabulary {
        /// Which merge, from 0.
        index: usize,
        /// The missing token.
        text: String,
    },
    /// A score is not a number.
    #[error("the score of token {token} is not a number")]
    Score {
        /// The token.
        token: u32,
    },
    /// A special token's number is outside the vocabulary.
    #[error("{key} is {found}, the vocabulary has {size} tokens")]
    SpecialOutside {
        /// The key that names it.
        key: &'static str,
        /// The number in the file.
        found: u32,
        /// Tokens.
        size: usize,
    },
    /// The file demands a start or end token that it does not name.
    #[error("{flag} is true but {key} is missing")]
    MissingSpecial {
        /// The flag.
        flag: &'static str,
        /// The key that should name the token.
        key: &'static str,
    },
    /// The strings of the vocabulary were chosen to collide in a hash table.
    #[error("the vocabulary collides in its index: {probes} probes for {entries} entries")]
    Colliding {
        /// Slots looked at.
        probes: u64,
        /// Entries placed.
        entries: u64,
    },
    /// The text normaliser of a unigram vocabulary cannot be read.
    #[error("tokenizer.ggml.precompiled_charsmap is malformed at byte {offset}")]
    MalformedCharsMap {
        /// Where the fault lies.
        offset: usize,
    },
    /// The automaton that finds special tokens cannot be built.
    #[error("the special tokens do not fit a search automaton")]
    SpecialAutomaton,
}
