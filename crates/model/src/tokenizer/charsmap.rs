//! `SentencePiece`'s precompiled normalisation rules: which sequences of bytes are replaced by which.
//!
//! The rules lie in the file as a little-endian blob: the length of a trie in bytes, the trie, and the replacements,
//! each ended by a zero byte. The trie is a double array of 32-bit units as the `darts-clone` library writes it:
//!
//! ```text
//! inner unit   bits 0-7 label, bit 8 "a value hangs here", bit 9 offset scale, bits 10-30 offset, bit 31 zero
//! value unit   bits 0-30 offset of the replacement, bit 31 one
//! ```
//!
//! From the unit at `i` the child for byte `b` is at `i ^ offset ^ b`, if that unit's label is `b`; the value is at
//! `i ^ offset`. An index outside the array, or a replacement outside its part, ends a match: a broken map normalises
//! less, and reads nothing that is not its own.

use super::TokenizerError;

/// Largest map in bytes. The map of NFKC with extras has 240 kB.
const MAP_BYTES_MAX: usize = 8 << 20;

/// The rules.
#[derive(Debug, Clone)]
pub(super) struct CharsMap {
    units: Vec<u32>,
    replacements: String,
}

impl CharsMap {
    pub(super) fn new(blob: &[u8]) -> Result<Self, TokenizerError> {
        let malformed = |offset| TokenizerError::MalformedCharsMap { offset };
        if blob.len() > MAP_BYTES_MAX {
            return Err(malformed(MAP_BYTES_MAX));
        }
        let (length, rest) = blob.split_first_chunk::<4>().ok_or(malformed(0))?;
        let (trie, replacements) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or(malformed(0))?;
        let (units, odd) = trie.as_chunks::<4>();
        if !odd.is_empty() {
            return Err(malformed(4 + trie.len()));
        }
        let text =
            std::str::from_utf8(replacements).map_err(|error| malformed(4 + trie.len() + error.valid_up_to()))?;
        Ok(Self { units: units.iter().map(|unit| u32::from_le_bytes(*unit)).collect(), replacements: text.to_owned() })
    }

    /// The rule with the longest left side that the text begins with: its right side, and the length of the left one.
    pub(super) fn longest_match(&self, text: &[u8]) -> Option<(&str, usize)> {
        let mut best = None;
        let mut at = offset(*self.units.first()?);
        for (index, &byte) in text.iter().enumerate().take_while(|(_, byte)| **byte != 0) {
            at ^= u32::from(byte);
            let Some(&unit) = self.units.get(at as usize) else { break };
            if unit & LABEL != u32::from(byte) {
                break;
            }
            at ^= offset(unit);
            if unit & HAS_VALUE != 0
                && let Some(replacement) = self.units.get(at as usize).and_then(|&value| self.replacement(value))
            {
                best = Some((replacement, index + 1));
            }
        }
        best
    }

    fn replacement(&self, value: u32) -> Option<&str> {
        let rest = self.replacements.get((value & !IS_VALUE) as usize..)?;
        rest.split_once('\0').map(|(replacement, _)| replacement)
    }
}

const IS_VALUE: u32 = 1 << 31;
/// A value unit has no label, so its topmost bit is compared as well.
const LABEL: u32 = IS_VALUE | 0xff;
const HAS_VALUE: u32 = 1 << 8;

/// The distance to the children; wide ones are counted in steps of 256.
fn offset(unit: u32) -> u32 {
    let wide = (unit >> 9 & 1) * 8;
    (unit >> 10) << wide
}
