//! Content ids for transport.

use std::fmt;

use crate::Digest;

/// The BLAKE3 hash of some content: what transport asks for and checks, piece by piece, while it arrives.
///
/// BLAKE3 is itself a tree over chunks of 1 KiB. Nothing that a contract may open uses it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ContentId(Digest);

impl ContentId {
    /// Wraps a digest.
    pub const fn new(digest: Digest) -> Self {
        Self(digest)
    }

    /// The digest.
    pub const fn get(self) -> Digest {
        self.0
    }

    /// The id of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Digest::new(blake3::hash(bytes).into()))
    }
}

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Computes a [`ContentId`] from pieces.
#[derive(Clone, Debug, Default)]
pub struct ContentHasher(blake3::Hasher);

impl ContentHasher {
    /// Starts with no content.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The id of all pieces joined.
    pub fn finish(&self) -> ContentId {
        ContentId(Digest::new(self.0.finalize().into()))
    }
}
