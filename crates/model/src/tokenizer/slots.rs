//! A hash table from keys that live elsewhere to `u32` values: one flat array of slots.
//!
//! A vocabulary of 50,000 tokens takes 512 KiB this way, where a map of owned strings takes several megabytes. The
//! hash is fixed, so that the same file gives the same table everywhere; a file whose strings are chosen to collide is
//! refused instead of being slow.

use super::TokenizerError;

/// Marks a free slot; values are therefore below it.
const FREE: u32 = u32::MAX;

/// Probes per entry, on average, above which the keys were not chosen in good faith. At a load of two thirds, honest
/// keys need about 2.
const PROBES_PER_ENTRY_MAX: u64 = 16;

/// Entries up to which the average says nothing yet.
const PROBES_SLACK: u64 = 4_096;

/// The table. Linear probing at a load of at most two thirds; the size is a power of two.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    values: Vec<u32>,
    entries: u64,
    probes: u64,
}

impl Slots {
    /// A table for at most `capacity` entries.
    pub(super) fn new(capacity: usize) -> Self {
        let size = (capacity + capacity / 2 + 1).next_power_of_two();
        Self { values: vec![FREE; size], entries: 0, probes: 0 }
    }

    /// The value whose key has this hash and for which `is_it` holds.
    pub(super) fn get(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mut at = self.home(hash);
        loop {
            match self.values[at] {
                FREE => return None,
                value if is_it(value) => return Some(value),
                _ => at = (at + 1) & (self.values.len() - 1),
            }
        }
    }

    /// Puts a value in unless an equal key is there already, whose value is then returned.
    pub(super) fn insert(
        &mut self,
        hash: u64,
        value: u32,
        is_it: impl Fn(u32) -> bool,
    ) -> Result<Option<u32>, TokenizerError> {
        let mut at = self.home(hash);
        loop {
            self.probes += 1;
            match self.values[at] {
                FREE => break,
                found if is_it(found) => return Ok(Some(found)),
                _ => at = (at + 1) & (self.values.len() - 1),
            }
            if self.probes > PROBES_SLACK + self.entries * PROBES_PER_ENTRY_MAX {
                return Err(TokenizerError::Colliding { probes: self.probes, entries: self.entries });
            }
        }
        self.values[at] = value;
        self.entries += 1;
        Ok(None)
    }

    /// Every value, in no useful order.
    pub(super) fn values(&self) -> impl Iterator<Item = u32> + '_ {
        self.values.iter().copied().filter(|&value| value != FREE)
    }

    fn home(&self, hash: u64) -> usize {
        // The high bits of a product are its best mixed ones.
        (hash >> 32) as usize & (self.values.len() - 1)
    }
}

/// Odd constants with bits well spread: the fractional parts of the golden ratio and of the square root of three.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
const SPREAD_AGAIN: u64 = 0xbb67_ae85_84ca_a73b;

/// Hashes a string.
pub(super) fn hash_bytes(bytes: &[u8]) -> u64 {
    let (words, tail) = bytes.as_chunks::<8>();
    let mut hash = (bytes.len() as u64).wrapping_mul(SPREAD);
    for word in words {
        hash = mix(hash, u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..tail.len()].copy_from_slice(tail);
    mix(hash, u64::from_le_bytes(last))
}

/// Hashes a pair of tokens.
pub(super) fn hash_pair(left: u32, right: u32) -> u64 {
    mix(SPREAD, u64::from(left) << 32 | u64::from(right))
}

fn mix(hash: u64, word: u64) -> u64 {
    let product = (hash.rotate_left(29) ^ word).wrapping_mul(SPREAD);
    (product ^ product >> 32).wrapping_mul(SPREAD_AGAIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_is_found() -> Result<(), TokenizerError> {
        let words: Vec<String> = (0..10_000).map(|n| format!("word{n}")).collect();
        let mut slots = Slots::new(words.len());
        for (value, word) in words.iter().enumerate() {
            let hash = hash_bytes(word.as_bytes());
            assert_eq!(slots.insert(hash, value as u32, |other| words[other as usize] == *word)?, None);
            assert_eq!(slots.insert(hash, 1 << 20, |other| words[other as usize] == *word)?, Some(value as u32));
        }
        for (value, word) in words.iter().enumerate() {
            let found = slots.get(hash_bytes(word.as_bytes()), |other| words[other as usize] == *word);
            assert_eq!(found, Some(value as u32));
        }
        assert_eq!(slots.get(hash_bytes(b"none"), |_| false), None);
        Ok(())
    }

    /// Keys chosen to fall into one slot would make loading quadratic.
    #[test]
    fn colliding_keys_are_refused() {
        let mut slots = Slots::new(1 << 16);
        let error = (0..1 << 16).find_map(|value| slots.insert(42, value, |_| false).err());
        assert!(matches!(error, Some(TokenizerError::Colliding { entries, .. }) if entries < 1_000), "{error:?}");
    }

    /// Small numbers, single bits and short strings spread well: the probes stay near what chance gives.
    #[test]
    fn ordinary_keys_spread() -> Result<(), TokenizerError> {
        let mut pairs = Slots::new(1 << 16);
        for n in 0..1_u32 << 16 {
            pairs.insert(hash_pair(n & 255, n >> 8), n, |_| false)?;
        }
        let mut strings = Slots::new(1 << 16);
        for n in 0..1_u32 << 16 {
            strings.insert(hash_bytes(&n.to_le_bytes()[..2]), n, |_| false)?;
        }
        for slots in [pairs, strings] {
            assert!(slots.probes < 2 * slots.entries, "{} probes", slots.probes);
        }
        Ok(())
    }
}
