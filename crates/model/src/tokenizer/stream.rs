//! Text out of tokens, piece by piece, without ever cutting a character.

use claim::TokenId;

use super::Tokenizer;

/// An incremental UTF-8 decoder.
///
/// A character may be spread over several tokens; its first bytes are held back until the rest arrives. Bytes that
/// cannot begin or continue a character become U+FFFD, one for each longest malformed run, exactly as
/// [`String::from_utf8_lossy`] does over all bytes at once.
#[derive(Debug, Clone, Default)]
pub struct TextStream {
    /// The first bytes of an unfinished character: at most three.
    held: Vec<u8>,
}

impl TextStream {
    /// A stream with nothing held back.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next token and returns the text that is now certain. Control tokens have no text.
    pub fn push(&mut self, tokenizer: &Tokenizer, token: TokenId) -> String {
        if tokenizer.is_control(token) { String::new() } else { self.push_bytes(tokenizer.token_bytes(token)) }
    }

    /// Takes the next bytes and returns the text that is now certain.
    pub fn push_bytes(&mut self, bytes: &[u8]) -> String {
        self.held.extend_from_slice(bytes);
        let mut text = String::with_capacity(self.held.len());
        let mut chunks = self.held.utf8_chunks().peekable();
        let mut kept = 0;
        while let Some(chunk) = chunks.next() {
            text.push_str(chunk.valid());
            let invalid = chunk.invalid();
            if chunks.peek().is_none() && is_unfinished(invalid) {
                kept = invalid.len();
            } else if !invalid.is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        let done = self.held.len() - kept;
        self.held.drain(..done);
        text
    }

    /// Ends the stream: a character that never came to its end becomes U+FFFD.
    pub fn finish(self) -> String {
        String::from_utf8_lossy(&self.held).into_owned()
    }

    /// How many bytes are held back.
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }
}

/// Whether more bytes could make a character of these.
fn is_unfinished(bytes: &[u8]) -> bool {
    matches!(std::str::from_utf8(bytes), Err(error) if error.error_len().is_none())
}
