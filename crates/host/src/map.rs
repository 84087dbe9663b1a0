//! A model file, mapped into memory.
#![expect(unsafe_code, reason = "mapping a file is unsafe in Rust, because another process could change it underneath")]

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

use memmap2::{Mmap, UncheckedAdvice};

/// A mapped file. Its pages are read from disk as they are touched and can be given back one by one.
#[derive(Debug)]
pub struct MappedModel {
    map: Mmap,
}

/// The kernel takes advice in whole pages only.
const PAGE_BYTES: usize = 4096;

impl MappedModel {
    /// Maps the file at `path`.
    ///
    /// # Errors
    ///
    /// The file cannot be opened or mapped.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        // SAFETY: the bytes are only read, and every count and offset found in them is checked against the mapping's
        // length before use. Files in the cache are never written in place: they arrive by an atomic rename. Somebody who
        // truncates a model file that is being loaded stops the process with SIGBUS; nothing is computed from it.
        let map = unsafe { Mmap::map(&file) }?;
        Ok(Self { map })
    }

    /// The whole file.
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Gives the memory of `range` back; its bytes would be read from disk again.
    pub(crate) fn release(&self, range: Range<usize>) {
        let start = range.start.next_multiple_of(PAGE_BYTES);
        let end = range.end / PAGE_BYTES * PAGE_BYTES;
        if start < end && end <= self.map.len() {
            // SAFETY: the mapping is shared, read-only and backed by a file, so dropped pages come back with the same
            // bytes; no reference is invalidated.
            let advised = unsafe { self.map.unchecked_advise_range(UncheckedAdvice::DontNeed, start, end - start) };
            // Memory that is not given back costs memory and nothing else.
            drop(advised);
        }
    }
}
