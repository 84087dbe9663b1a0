//! The tokens of a model: the bytes each stands for, its kind, and the way back from bytes to token.

use claim::TokenId;

use super::TokenizerError;
use super::slots::{Slots, hash_bytes};

/// Most tokens of a vocabulary. The largest known have under 2^19; the limit keeps every table below a gigabyte.
pub(super) const TOKEN_COUNT_MAX: usize = 1 << 22;
/// Longest token in bytes. The longest known ones are runs of a few hundred spaces or dashes; a merge costs time
/// linear in this.
pub(super) const TOKEN_BYTES_MAX: usize = 16_384;

/// What a token is for, as `tokenizer.ggml.token_type` numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text.
    Normal,
    /// Stands for what has no token.
    Unknown,
    /// Structure: start of text, end of turn. Ordinary text never becomes one.
    Control,
    /// Text that is found before everything else.
    UserDefined,
    /// A hole in the numbering.
    Unused,
    /// One byte, for characters without a token.
    Byte,
}

impl Kind {
    pub(super) fn from_gguf(token: u32, number: i32) -> Result<Self, TokenizerError> {
        Ok(match number {
            1 => Self::Normal,
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            0 | 5 => Self::Unused,
            6 => Self::Byte,
            found => return Err(TokenizerError::UnknownTokenType { token, found }),
        })
    }
}

/// The table of tokens: all bytes in one buffer, and where each token ends.
#[derive(Debug, Clone)]
pub(super) struct Vocabulary {
    bytes: Vec<u8>,
    ends: Vec<u32>,
    kinds: Vec<Kind>,
    /// From bytes to token, for the tokens that text can become.
    index: Slots,
    /// Length of the longest token in the index.
    longest: usize,
}

impl Vocabulary {
    pub(super) fn with_capacity(tokens: usize) -> Result<Self, TokenizerError> {
        if tokens == 0 {
            return Err(TokenizerError::Empty);
        }
        if tokens > TOKEN_COUNT_MAX {
            return Err(TokenizerError::TooManyTokens { found: tokens, limit: TOKEN_COUNT_MAX });
        }
        Ok(Self {
            bytes: Vec::with_capacity(tokens * 8),
            ends: Vec::with_capacity(tokens),
            kinds: Vec::with_capacity(tokens),
            index: Slots::new(tokens),
            longest: 0,
        })
    }

    /// Adds the next token: the bytes it stands for and whether text can become it.
    pub(super) fn push(&mut self, bytes: &[u8], kind: Kind, reachable: bool) -> Result<(), TokenizerError> {
        let token = self.ends.len() as u32;
        if bytes.len() > TOKEN_BYTES_MAX {
            return Err(TokenizerError::TokenTooLong { token, found: bytes.len(), limit: TOKEN_BYTES_MAX });
        }
        self.bytes.extend_from_slice(bytes);
        // 2^22 tokens of 2^14 bytes could pass 2^32; no file that large is a vocabulary.
        let Ok(end) = u32::try_from(self.bytes.len()) else {
            return Err(TokenizerError::TooManyTokens { found: self.ends.len(), limit: self.ends.len() - 1 });
        };
        self.ends.push(end);
        self.kinds.push(kind);
        if reachable && !bytes.is_empty() {
            self.make_reachable(token)?;
        }
        Ok(())
    }

    fn make_reachable(&mut self, token: u32) -> Result<(), TokenizerError> {
        let (buffer, ends) = (&self.bytes, &self.ends);
        let bytes = slice(buffer, ends, token);
        self.longest = self.longest.max(bytes.len());
        let taken = self.index.insert(hash_bytes(bytes), token, |other| slice(buffer, ends, other) == bytes)?;
        match taken {
            None => Ok(()),
            Some(first) => Err(TokenizerError::DuplicateToken {
                first,
                second: token,
                text: String::from_utf8_lossy(bytes).into_owned(),
            }),
        }
    }

    /// Gives back what the estimates above took too much.
    pub(super) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
        self.kinds.shrink_to_fit();
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The bytes a token stands for; none for a number outside the vocabulary.
    pub(super) fn bytes(&self, token: TokenId) -> &[u8] {
        if (token.get() as usize) < self.ends.len() { slice(&self.bytes, &self.ends, token.get()) } else { &[] }
    }

    /// The bytes of a token of this vocabulary.
    pub(super) fn bytes_of(&self, token: u32) -> &[u8] {
        slice(&self.bytes, &self.ends, token)
    }

    pub(super) fn kind(&self, token: TokenId) -> Option<Kind> {
        self.kinds.get(token.get() as usize).copied()
    }

    /// The token that text of exactly these bytes becomes.
    pub(super) fn find(&self, bytes: &[u8]) -> Option<u32> {
        if bytes.len() > self.longest {
            return None;
        }
        self.index.get(hash_bytes(bytes), |token| slice(&self.bytes, &self.ends, token) == bytes)
    }

    /// The bytes of every token that text can become.
    pub(super) fn reachable(&self) -> impl Iterator<Item = &[u8]> {
        self.index.values().map(|token| slice(&self.bytes, &self.ends, token))
    }

    /// Every token with its kind.
    pub(super) fn kinds(&self) -> impl Iterator<Item = (TokenId, Kind)> + '_ {
        self.kinds.iter().enumerate().map(|(token, &kind)| (TokenId::new(token as u32), kind))
    }
}

fn slice<'a>(buffer: &'a [u8], ends: &[u32], token: u32) -> &'a [u8] {
    let token = token as usize;
    let start = if token == 0 { 0 } else { ends[token - 1] };
    &buffer[start as usize..ends[token] as usize]
}
