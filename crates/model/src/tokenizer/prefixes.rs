//! Finds every piece that a text begins with, in one walk over its bytes.

use super::TokenizerError;
use super::vocabulary::Vocabulary;

/// Longest piece in bytes. Each position of a text looks at pieces of up to this length; real ones stay under 64.
const PIECE_BYTES_MAX: usize = 1_024;

/// The pieces, sorted by their bytes.
#[derive(Debug, Clone)]
pub(super) struct Prefixes {
    sorted: Vec<u32>,
}

impl Prefixes {
    /// `pieces` are tokens of the vocabulary, in any order.
    pub(super) fn new(vocabulary: &Vocabulary, mut pieces: Vec<u32>) -> Result<Self, TokenizerError> {
        for &token in &pieces {
            let found = vocabulary.bytes_of(token).len();
            if found > PIECE_BYTES_MAX {
                return Err(TokenizerError::TokenTooLong { token, found, limit: PIECE_BYTES_MAX });
            }
        }
        pieces.sort_unstable_by(|&left, &right| vocabulary.bytes_of(left).cmp(vocabulary.bytes_of(right)));
        Ok(Self { sorted: pieces })
    }

    /// The pieces in the order of their bytes.
    pub(super) fn tokens(&self) -> &[u32] {
        &self.sorted
    }

    /// Calls back with the length and the token of every piece that the text begins with, shortest first.
    pub(super) fn each(&self, vocabulary: &Vocabulary, text: &[u8], mut found: impl FnMut(usize, u32)) {
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
