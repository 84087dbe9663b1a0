//! What the game asks of a trace, honest or not.

use claim::Digest;

use super::layout::NODE_WORDS;
use super::record::TraceError;

/// Bits of an address that a move fixes: 64 children.
pub const MOVE_BITS: u32 = 6;

/// Moves from the root to words, for so many positions of `2^position_bits` words.
pub fn levels(positions: u32, position_bits: u32) -> u32 {
    let bits = positions.max(1).next_power_of_two().trailing_zeros();
    (bits + position_bits).div_ceil(MOVE_BITS)
}

/// A party's version of a trace.
pub trait Trace {
    /// Moves from the root to words.
    fn levels(&self) -> u32;

    /// The words from `start` on.
    ///
    /// # Errors
    ///
    /// The engine cannot compute them.
    fn words(&mut self, start: u64, count: usize) -> Result<Vec<u32>, TraceError>;

    /// Node `index` of height `height`, 4 for a tile.
    ///
    /// # Errors
    ///
    /// As [`Self::words`].
    fn node(&mut self, height: u32, index: u64) -> Result<Digest, TraceError>;

    /// Height of the root.
    fn height(&self) -> u32 {
        self.levels() * MOVE_BITS
    }

    /// The siblings on the way up from node `index` of height `height` to height `to`.
    ///
    /// # Errors
    ///
    /// As [`Self::words`].
    fn siblings(&mut self, height: u32, index: u64, to: u32) -> Result<Vec<Digest>, TraceError> {
        (height..to).map(|at| self.node(at, (index >> (at - height)) ^ 1)).collect()
    }

    /// The 64 nodes six heights below node `index` of height `height`.
    ///
    /// # Errors
    ///
    /// As [`Self::words`].
    fn children(&mut self, height: u32, index: u64) -> Result<Vec<Digest>, TraceError> {
        let first = index << MOVE_BITS;
        (first..first + NODE_WORDS as u64).map(|child| self.node(height - MOVE_BITS, child)).collect()
    }
}
