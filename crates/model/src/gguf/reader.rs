//! A cursor over untrusted bytes: it checks what is left before it hands anything out.

use super::GgufError;

/// The cursor. Invariant: `offset <= bytes.len()`.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    /// The bytes from `start` to here.
    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        &self.bytes[start..self.offset]
    }

    /// Fails when fewer than `expected` bytes are left.
    pub(super) fn need(&self, expected: u64, what: &'static str) -> Result<(), GgufError> {
        let found = (self.bytes.len() - self.offset) as u64;
        if expected > found {
            return Err(GgufError::Truncated { what, offset: self.offset, expected, found });
        }
        Ok(())
    }

    pub(super) fn bytes(&mut self, len: u64, what: &'static str) -> Result<&'a [u8], GgufError> {
        self.need(len, what)?;
        let start = self.offset;
        self.offset += len as usize;
        Ok(&self.bytes[start..self.offset])
    }

    pub(super) fn fixed<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], GgufError> {
        let bytes = self.bytes(N as u64, what)?;
        Ok(bytes.try_into().expect("bytes() returns as many bytes as asked for"))
    }

    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, GgufError> {
        self.fixed(what).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, what: &'static str) -> Result<u64, GgufError> {
        self.fixed(what).map(u64::from_le_bytes)
    }

    /// A number that must not exceed `limit`.
    pub(super) fn count(&mut self, what: &'static str, limit: u64) -> Result<u64, GgufError> {
        let offset = self.offset;
        let found = self.u64(what)?;
        if found > limit {
            return Err(GgufError::TooMany { what, found, limit, offset });
        }
        Ok(found)
    }

    /// A length and as many bytes.
    pub(super) fn string(&mut self, what: &'static str, limit: u64) -> Result<&'a [u8], GgufError> {
        let len = self.count(what, limit)?;
        self.bytes(len, what)
    }

    /// A non-empty UTF-8 string.
    pub(super) fn text(&mut self, what: &'static str, limit: u64) -> Result<&'a str, GgufError> {
        let start = self.offset;
        let bytes = self.string(what, limit)?;
        if bytes.is_empty() {
            return Err(GgufError::EmptyName { what, offset: start });
        }
        self.utf8(bytes, what)
    }

    /// Checks that the bytes just read are UTF-8.
    pub(super) fn utf8(&self, bytes: &'a [u8], what: &'static str) -> Result<&'a str, GgufError> {
        std::str::from_utf8(bytes)
            .map_err(|error| GgufError::NotUtf8 { what, offset: self.offset - bytes.len() + error.valid_up_to() })
    }
}
