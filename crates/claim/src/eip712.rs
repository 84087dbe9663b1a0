//! Typed-data hashing after EIP-712: what a wallet shows and a contract can recompute.

use crate::{Address, Digest};

/// One 32-byte word of an encoded structure, big-endian as the EVM has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Word([u8; 32]);

impl Word {
    /// An unsigned integer of any width up to 128 bits.
    pub(crate) fn uint(value: impl Into<u128>) -> Self {
        let mut word = [0; 32];
        word[16..].copy_from_slice(&value.into().to_be_bytes());
        Self(word)
    }

    /// A `bytes32`, or the hash that stands for a value of variable size.
    pub(crate) const fn digest(value: Digest) -> Self {
        Self(value.get())
    }

    /// A `string`: its keccak-256.
    pub(crate) fn text(value: &str) -> Self {
        Self::digest(Digest::keccak256(value.as_bytes()))
    }

    /// An `address`.
    pub(crate) fn address(value: Address) -> Self {
        let mut word = [0; 32];
        word[12..].copy_from_slice(value.as_bytes());
        Self(word)
    }
}

/// `hashStruct`: the keccak-256 of the type's hash and the fields' words.
pub(crate) fn hash_struct(type_text: &str, words: &[Word]) -> Digest {
    let mut bytes = Vec::with_capacity(32 * (1 + words.len()));
    bytes.extend_from_slice(Digest::keccak256(type_text.as_bytes()).as_bytes());
    for word in words {
        bytes.extend_from_slice(&word.0);
    }
    Digest::keccak256(&bytes)
}

/// The digest that is signed: a structure's hash under its domain separator.
pub(crate) fn signing_digest(domain_separator: Digest, structure: Digest) -> Digest {
    let mut bytes = [0; 66];
    bytes[..2].copy_from_slice(&[0x19, 0x01]);
    bytes[2..34].copy_from_slice(domain_separator.as_bytes());
    bytes[34..].copy_from_slice(structure.as_bytes());
    Digest::keccak256(&bytes)
}
