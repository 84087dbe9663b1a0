//! The canonical encoding: how values become bytes, for hashing and for storage.
//!
//! - Integers have fixed width and little-endian order; `f32` is its bit pattern as `u32`; a closed set is one byte.
//! - Digests, addresses and other values of fixed size are written bare.
//! - Text and byte strings are a `u64` length and the bytes; a list is a `u64` count and its items; an optional value is
//!   a byte 0, or a byte 1 and the value.
//! - A hash starts with its [`Domain`]: one length byte and the ASCII text.
//!
//! Each value has exactly one encoding, and [`Decoder`] refuses every other byte string. A length is compared with its
//! limit and with the bytes that are left before anything is allocated.

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::coded::Coded;
use crate::domain::Domain;
use crate::{Address, Digest};

/// Where an [`Encoder`] writes.
pub trait Sink {
    /// Takes the next bytes.
    fn write(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn write(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// A [`Sink`] that hashes what it is given with SHA-256.
#[derive(Clone, Debug)]
pub struct HashSink(Sha256);

impl Sink for HashSink {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

/// Writes values in the canonical encoding.
#[derive(Clone, Debug)]
pub struct Encoder<S> {
    sink: S,
}

/// An [`Encoder`] that ends in a digest.
pub type HashEncoder = Encoder<HashSink>;

impl HashEncoder {
    /// Starts a hash in a domain.
    pub fn new(domain: Domain) -> Self {
        let text = domain.as_str();
        let mut encoder = Self { sink: HashSink(Sha256::new()) };
        encoder.u8(text.len() as u8); // Domains are shorter than 56 bytes; their own test says so.
        encoder.raw(text.as_bytes());
        encoder
    }

    /// The SHA-256 of everything written.
    pub fn finish(self) -> Digest {
        Digest::new(self.sink.0.finalize().into())
    }
}

impl Encoder<Vec<u8>> {
    /// Starts a byte string, with room for `size_bytes`.
    pub fn with_capacity(size_bytes: usize) -> Self {
        Self { sink: Vec::with_capacity(size_bytes) }
    }

    /// The bytes written.
    pub fn finish(self) -> Vec<u8> {
        self.sink
    }
}

impl<S: Sink> Encoder<S> {
    /// Writes bytes whose length the format fixes: no length is written.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.sink.write(bytes);
    }

    /// Writes one byte.
    pub fn u8(&mut self, value: u8) {
        self.raw(&[value]);
    }

    /// Writes 2 bytes.
    pub fn u16(&mut self, value: u16) {
        self.raw(&value.to_le_bytes());
    }

    /// Writes 4 bytes.
    pub fn u32(&mut self, value: u32) {
        self.raw(&value.to_le_bytes());
    }

    /// Writes 8 bytes.
    pub fn u64(&mut self, value: u64) {
        self.raw(&value.to_le_bytes());
    }

    /// Writes 16 bytes.
    pub fn u128(&mut self, value: u128) {
        self.raw(&value.to_le_bytes());
    }

    /// Writes the 4 bytes of the bit pattern: `-0.0` and `0.0` differ.
    pub fn f32(&mut self, value: f32) {
        self.u32(value.to_bits());
    }

    /// Writes the 8 bytes of a length or a count.
    pub fn count(&mut self, value: usize) {
        self.u64(value as u64);
    }

    /// Writes the 32 bytes.
    pub fn digest(&mut self, value: Digest) {
        self.raw(value.as_bytes());
    }

    /// Writes the 20 bytes.
    pub fn address(&mut self, value: Address) {
        self.raw(value.as_bytes());
    }

    /// Writes a length and the bytes.
    pub fn bytes(&mut self, value: &[u8]) {
        self.count(value.len());
        self.raw(value);
    }

    /// Writes a length and the UTF-8 bytes.
    pub fn text(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    /// Writes 0, or 1 and the address.
    pub fn optional_address(&mut self, value: Option<Address>) {
        match value {
            None => self.u8(0),
            Some(address) => {
                self.u8(1);
                self.address(address);
            }
        }
    }

    /// Writes the member's code.
    pub(crate) fn coded(&mut self, value: impl Coded) {
        self.u8(value.byte());
    }
}

/// Why bytes are not the canonical encoding of a value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end inside a field.
    #[error("{field} needs {needed} more bytes, {left} are left")]
    Truncated {
        /// The field.
        field: &'static str,
        /// How many bytes it takes.
        needed: u64,
        /// How many there are.
        left: u64,
    },
    /// Bytes follow the last field.
    #[error("{count} bytes follow the last field")]
    Trailing {
        /// How many.
        count: usize,
    },
    /// A length or count passes its limit.
    #[error("{field} is {found} long, at most {max} is allowed")]
    TooLong {
        /// The field.
        field: &'static str,
        /// The limit.
        max: u64,
        /// What the bytes say.
        found: u64,
    },
    /// The format has another version.
    #[error("{field} is version {found}, expected {expected}")]
    Version {
        /// The format.
        field: &'static str,
        /// The version that this code reads.
        expected: u16,
        /// What the bytes say.
        found: u16,
    },
    /// A byte stands for no member of a closed set.
    #[error("{field} has the code {found}, the largest is {max}")]
    UnknownCode {
        /// The set.
        field: &'static str,
        /// The largest code.
        max: u8,
        /// What the bytes say.
        found: u8,
    },
    /// Text is not UTF-8.
    #[error("{field} is not UTF-8 after byte {valid}")]
    NotUtf8 {
        /// The field.
        field: &'static str,
        /// How many bytes are valid.
        valid: usize,
    },
    /// A signature is not in the one accepted form.
    #[error("the signature is malformed: {0}")]
    Signature(#[from] crate::SignatureError),
    /// A proof is not in the one accepted form.
    #[error("the random function's proof is malformed: {0}")]
    Proof(#[from] crate::vrf::VrfError),
}

/// Reads values in the canonical encoding from bytes that nobody has checked.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    left: &'a [u8],
}

impl<'a> Decoder<'a> {
    /// Starts at the first byte.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    /// Ends the decoding.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Trailing`] if bytes are left.
    pub const fn finish(self) -> Result<(), DecodeError> {
        match self.left.len() {
            0 => Ok(()),
            count => Err(DecodeError::Trailing { count }),
        }
    }

    /// Takes `size_bytes` bytes whose number the format fixes.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`] if fewer are left.
    pub fn raw(&mut self, field: &'static str, size_bytes: usize) -> Result<&'a [u8], DecodeError> {
        let (head, tail) =
            self.left.split_at_checked(size_bytes).ok_or_else(|| self.truncated(field, size_bytes as u64))?;
        self.left = tail;
        Ok(head)
    }

    /// Takes `N` bytes.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`] if fewer are left.
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let (head, tail) = self.left.split_first_chunk().ok_or_else(|| self.truncated(field, N as u64))?;
        self.left = tail;
        Ok(*head)
    }

    /// Takes one byte.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`] if none is left.
    pub fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        Ok(u8::from_le_bytes(self.array(field)?))
    }

    /// Takes 2 bytes.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`] if fewer are left.
    pub fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        Ok(u16::from_le_bytes(self.array(field)?))
    }

    /// Takes 4 bytes.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`] if fewer are left.
    pub fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.array(field)?))
    }

    /// Takes 8 bytes.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`] if fewer are left.
    pub fn u64(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.array(field)?))
    }

    /// Takes 16 bytes.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`] if fewer are left.
    pub fn u128(&mut self, field: &'static str) -> Result<u128, DecodeError> {
        Ok(u128::from_le_bytes(self.array(field)?))
    }

    /// Takes 32 bytes.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`] if fewer are left.
    pub fn digest(&mut self, field: &'static str) -> Result<Digest, DecodeError> {
        Ok(Digest::new(self.array(field)?))
    }

    /// Takes 20 bytes.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`] if fewer are left.
    pub fn address(&mut self, field: &'static str) -> Result<Address, DecodeError> {
        Ok(Address::new(self.array(field)?))
    }

    /// Takes a version and compares it.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Version`] if it is another, [`DecodeError::Truncated`] if bytes are missing.
    pub fn version(&mut self, field: &'static str, expected: u16) -> Result<(), DecodeError> {
        let found = self.u16(field)?;
        if found == expected { Ok(()) } else { Err(DecodeError::Version { field, expected, found }) }
    }

    /// Takes the count of a list whose items are `item_bytes` long each.
    ///
    /// # Errors
    ///
    /// [`DecodeError::TooLong`] above `max`, [`DecodeError::Truncated`] if so many items cannot follow.
    pub fn count(&mut self, field: &'static str, max: usize, item_bytes: usize) -> Result<usize, DecodeError> {
        let found = self.u64(field)?;
        if found > max as u64 {
            return Err(DecodeError::TooLong { field, max: max as u64, found });
        }
        // `found` is at most `max`, a usize; the product saturates where no input could be long enough anyway.
        let needed = found.saturating_mul(item_bytes as u64);
        if needed > self.left.len() as u64 {
            return Err(self.truncated(field, needed));
        }
        Ok(found as usize)
    }

    /// Takes a length of at most `max` and the bytes.
    ///
    /// # Errors
    ///
    /// [`DecodeError::TooLong`] or [`DecodeError::Truncated`].
    pub fn bytes(&mut self, field: &'static str, max: usize) -> Result<&'a [u8], DecodeError> {
        let size_bytes = self.count(field, max, 1)?;
        self.raw(field, size_bytes)
    }

    /// Takes a length of at most `max` bytes and the text.
    ///
    /// # Errors
    ///
    /// [`DecodeError::TooLong`], [`DecodeError::Truncated`] or [`DecodeError::NotUtf8`].
    pub fn text(&mut self, field: &'static str, max: usize) -> Result<&'a str, DecodeError> {
        let bytes = self.bytes(field, max)?;
        std::str::from_utf8(bytes).map_err(|error| DecodeError::NotUtf8 { field, valid: error.valid_up_to() })
    }

    /// Takes 0, or 1 and an address.
    ///
    /// # Errors
    ///
    /// [`DecodeError::UnknownCode`] for another first byte, [`DecodeError::Truncated`] if bytes are missing.
    pub fn optional_address(&mut self, field: &'static str) -> Result<Option<Address>, DecodeError> {
        match self.u8(field)? {
            0 => Ok(None),
            1 => self.address(field).map(Some),
            found => Err(DecodeError::UnknownCode { field, max: 1, found }),
        }
    }

    /// The error of a field that needs more bytes than are left.
    const fn truncated(&self, field: &'static str, needed: u64) -> DecodeError {
        DecodeError::Truncated { field, needed, left: self.left.len() as u64 }
    }

    /// Takes a member of a closed set.
    pub(crate) fn coded<T: Coded>(&mut self) -> Result<T, DecodeError> {
        let found = self.u8(T::SET)?;
        let max = (T::MEMBERS.len() - 1) as u8;
        T::MEMBERS.get(usize::from(found)).copied().ok_or(DecodeError::UnknownCode { field: T::SET, max, found })
    }
}
