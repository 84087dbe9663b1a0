//! Folders of model files: finding, checking, locking and installing.
//!
//! A file whose SHA-256 has been computed once has a sidecar `FILE.verified` beside it, with the hash, the size and the
//! time of the last change. As long as size and time are the same, the hash is believed; so a start with a cached model
//! reads no byte of it for hashing.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Found;
use super::error::{AttemptError, FetchError};
use super::progress::{Event, Progress, Stage};
use crate::catalogue::{Catalogue, Entry, FileHash};

/// Bounds what is read of a sidecar; one is about 150 bytes.
const SIDECAR_BYTES_MAX: u64 = 4096;

/// The unit of reading a file that is being hashed or copied.
const CHUNK_BYTES: usize = 1 << 20;

/// Where models are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directories {
    /// Where fetched and imported models are put; created when needed.
    pub models: PathBuf,
    /// Folders that are looked in first and never need to be writable.
    pub also: Vec<PathBuf>,
}

impl Directories {
    fn all(&self) -> impl Iterator<Item = &PathBuf> {
        self.also.iter().chain(std::iter::once(&self.models))
    }
}

/// A model file in a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cached {
    /// The catalogue's name, or the file's name without its ending.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub size_bytes: u64,
    /// Its SHA-256, where a sidecar that still fits remembers it.
    pub hash: Option<FileHash>,
}

/// The file of an entry in the first cache that has it whole.
pub(super) fn find(
    directories: &Directories,
    entry: &Entry,
    progress: &dyn Progress,
) -> Result<Option<PathBuf>, FetchError> {
    for directory in directories.all() {
        let path = directory.join(&entry.file);
        match is_whole(&path, entry, progress) {
            Ok(Some(true)) => return Ok(Some(path)),
            Ok(Some(false)) => {
                tracing::debug!(path = %path.display(), "fetch.cached_file_differs");
                progress.report(Event::Damaged { name: &entry.file });
            }
            Ok(None) => {}
            Err(source) if *directory == directories.models => {
                return Err(FetchError::Io { operation: "read", path, source });
            }
            // A shared cache that cannot be read is no reason to fail: the model can be fetched.
            Err(error) => tracing::debug!(path = %path.display(), %error, "fetch.cache_unreadable"),
        }
    }
    Ok(None)
}

/// Whether the file is the entry's, or nothing if there is no file.
fn is_whole(path: &Path, entry: &Entry, progress: &dyn Progress) -> io::Result<Option<bool>> {
    let stamp = match Stamp::of(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    if stamp.size_bytes != entry.size_bytes {
        return Ok(Some(false));
    }
    if let Some(hash) = remembered(path, stamp) {
        return Ok(Some(hash == entry.hash));
    }
    let hash = hash_file(path, &entry.file, progress)?;
    remember(path, stamp, hash);
    Ok(Some(hash == entry.hash))
}

/// What must stay the same for a remembered hash to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    size_bytes: u64,
    modified_nanoseconds: u64,
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Self {
            size_bytes: metadata.len(),
            modified_nanoseconds: u64::try_from(modified.as_nanos()).unwrap_or(u64::MAX),
        })
    }
}

#[derive(Serialize, Deserialize)]
struct Sidecar {
    sha256: String,
    size_bytes: u64,
    modified_nanoseconds: u64,
}

/// The hash in the sidecar of a file, if the file has not changed since.
fn remembered(path: &Path, stamp: Stamp) -> Option<FileHash> {
    let mut text = String::new();
    File::open(beside(path, ".verified")).ok()?.take(SIDECAR_BYTES_MAX).read_to_string(&mut text).ok()?;
    let sidecar: Sidecar = serde_json::from_str(&text).ok()?;
    let then = Stamp { size_bytes: sidecar.size_bytes, modified_nanoseconds: sidecar.modified_nanoseconds };
    (then == stamp).then(|| sidecar.sha256.parse().ok()).flatten()
}

/// Writes the sidecar of a file. A failure only means that the file is hashed again next time.
fn remember(path: &Path, stamp: Stamp, hash: FileHash) {
    let sidecar = Sidecar {
        sha256: hash.to_string(),
        size_bytes: stamp.size_bytes,
        modified_nanoseconds: stamp.modified_nanoseconds,
    };
    let written = serde_json::to_string(&sidecar).map_err(io::Error::other).and_then(|text| {
        let draft = beside(path, &format!(".verified.{}", std::process::id()));
        fs::write(&draft, text)?;
        fs::rename(&draft, beside(path, ".verified")).inspect_err(|_| drop(fs::remove_file(&draft)))
    });
    if let Err(error) = written {
        tracing::debug!(path = %path.display(), %error, "fetch.sidecar_not_written");
    }
}

/// SHA-256 of a whole file.
pub(super) fn hash_file(path: &Path, name: &str, progress: &dyn Progress) -> io::Result<FileHash> {
    let mut file = File::open(path)?;
    let total_bytes = Some(file.metadata()?.len());
    progress.report(Event::Begin { stage: Stage::Verify, name, total_bytes });
    let hash = copy_hashing(&mut file, &mut io::sink(), progress);
    progress.report(Event::End);
    hash.map(|(hash, _)| hash)
}

/// Copies a stream and returns its SHA-256 and length.
fn copy_hashing(from: &mut dyn Read, to: &mut dyn Write, progress: &dyn Progress) -> io::Result<(FileHash, u64)> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut bytes = 0;
    loop {
        let count = match from.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if count == 0 {
            return Ok((FileHash::new(hasher.finalize().into()), bytes));
        }
        hasher.update(&buffer[..count]);
        to.write_all(&buffer[..count])?;
        bytes += count as u64;
        progress.report(Event::At { bytes });
    }
}

/// `FILE` with something after its whole name.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// The right to fetch one file, held until dropped; the system drops it when a process dies.
#[derive(Debug)]
pub(super) struct Lock {
    place: Place,
    _file: File,
}

impl Lock {
    pub(super) fn place(&self) -> &Place {
        &self.place
    }
}

/// Takes the lock of a file, waiting for another process if need be.
pub(super) fn lock(directories: &Directories, file: &str, progress: &dyn Progress) -> Result<Lock, FetchError> {
    let models = &directories.models;
    fs::create_dir_all(models).map_err(|error| FetchError::io("create", models, 0, error))?;
    let path = models.join(format!(".{file}.lock"));
    let io = |source| FetchError::io("lock", &path, 0, source);
    let handle = File::options().create(true).truncate(false).write(true).open(&path).map_err(io)?;
    match handle.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            progress.report(Event::Waiting { name: file });
            handle.lock().map_err(io)?;
        }
        Err(TryLockError::Error(error)) => return Err(io(error)),
    }
    Ok(Lock { place: Place { folder: models.clone(), file: file.into() }, _file: handle })
}

/// The names under which one file is put together; only the holder of its lock may use them.
#[derive(Debug, Clone)]
pub(super) struct Place {
    folder: PathBuf,
    file: String,
}

impl Place {
    /// The name of the file, for messages.
    pub(super) fn file(&self) -> &str {
        &self.file
    }

    /// A transfer that may be resumed.
    pub(super) fn part(&self) -> PathBuf {
        self.folder.join(format!("{}.part", self.file))
    }

    /// The whole file, its hash known to be right, before it has its name.
    pub(super) fn whole(&self) -> PathBuf {
        self.folder.join(format!(".{}.whole", self.file))
    }

    /// A fresh empty folder for archives, removed when dropped.
    pub(super) fn scratch(&self) -> Result<Scratch, AttemptError> {
        let path = self.folder.join(format!(".{}.packages", self.file));
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(AttemptError::io("remove", &path, error));
            }
            _ => {}
        }
        fs::create_dir_all(&path).map_err(|error| AttemptError::io("create", &path, error))?;
        Ok(Scratch { path })
    }

    /// Gives the whole file its name, so that it survives a crash of the machine, and remembers its hash.
    pub(super) fn install(&self, entry: &Entry) -> Result<PathBuf, FetchError> {
        let (whole, path) = (self.whole(), self.folder.join(&self.file));
        let io = |operation, path: &Path| {
            let path = path.to_owned();
            move |source| FetchError::io(operation, &path, entry.size_bytes, source)
        };
        File::open(&whole).and_then(|file| file.sync_all()).map_err(io("flush", &whole))?;
        fs::rename(&whole, &path).map_err(io("rename", &whole))?;
        sync_folder(&self.folder).map_err(io("flush", &self.folder))?;
        drop(fs::remove_file(self.part()));
        let stamp = Stamp::of(&path).map_err(io("read", &path))?;
        remember(&path, stamp, entry.hash);
        Ok(path)
    }
}

/// Makes a rename durable.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// A folder that is removed when dropped.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "fetch.scratch_not_removed");
        }
    }
}

/// Every `.gguf` file in the caches. See [`super::Fetcher::list`].
pub(super) fn list(directories: &Directories, catalogue: &Catalogue) -> Result<Vec<Cached>, FetchError> {
    let mut listed: Vec<Cached> = Vec::new();
    for directory in directories.all() {
        let io = |source| FetchError::Io { operation: "list", path: directory.clone(), source };
        let names = match fs::read_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other.map_err(io)?,
        };
        for name in names {
            let path = name.map_err(io)?.path();
            let is_model = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gguf"));
            let (true, Ok(stamp)) = (is_model, Stamp::of(&path)) else { continue };
            let Some(cached) = describe(path, stamp, catalogue) else { continue };
            if !listed.iter().any(|other| other.name == cached.name) {
                listed.push(cached);
            }
        }
    }
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(listed)
}

/// Names a file; nothing for one that has a catalogue entry's name and is not that entry's file.
fn describe(path: PathBuf, stamp: Stamp, catalogue: &Catalogue) -> Option<Cached> {
    let hash = remembered(&path, stamp);
    let file = path.file_name()?.to_string_lossy();
    let claimed = catalogue.entries().iter().find(|entry| entry.file == file);
    let name = match claimed {
        Some(entry) => {
            let fits = stamp.size_bytes == entry.size_bytes && hash.is_none_or(|hash| hash == entry.hash);
            fits.then(|| entry.name.clone())?
        }
        None => path.file_stem()?.to_string_lossy().into_owned(),
    };
    Some(Cached { name, size_bytes: stamp.size_bytes, hash, path })
}

/// Copies a file into the cache. See [`super::Fetcher::import`].
pub(super) fn import(
    directories: &Directories,
    catalogue: &Catalogue,
    found: &Found,
    progress: &dyn Progress,
) -> Result<Found, FetchError> {
    let read = |source| FetchError::Io { operation: "read", path: found.path.clone(), source };
    let hash = hash_file(&found.path, &found.name, progress).map_err(read)?;
    let (name, file) = match catalogue.by_hash(&hash) {
        Some(entry) => (entry.name.clone(), entry.file.clone()),
        None => own_name(found, catalogue)?,
    };
    let lock = lock(directories, &file, progress)?;
    let target = directories.models.join(&file);
    if let Ok(stamp) = Stamp::of(&target) {
        let present = remembered(&target, stamp).map_or_else(|| hash_file(&target, &file, progress), Ok);
        if present.map_err(read)? == hash {
            remember(&target, stamp, hash);
            return Ok(Found { name, path: target });
        }
        if catalogue.by_hash(&hash).is_none() {
            return Err(FetchError::NameTaken { name });
        }
    }
    let whole = lock.place().whole();
    let size_bytes = copy_checked(found, hash, &whole, progress).inspect_err(|_| drop(fs::remove_file(&whole)))?;
    let io = |operation| {
        let path = whole.clone();
        move |source| FetchError::io(operation, &path, size_bytes, source)
    };
    fs::rename(&whole, &target).map_err(io("rename"))?;
    sync_folder(&directories.models).map_err(io("flush"))?;
    if let Ok(stamp) = Stamp::of(&target) {
        remember(&target, stamp, hash);
    }
    Ok(Found { name, path: target })
}

/// A name and file name for a model that no catalogue knows.
fn own_name(found: &Found, catalogue: &Catalogue) -> Result<(String, String), FetchError> {
    let name = found.name.clone();
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
    if name.len() > 128 || name.starts_with(['.', '-']) || !name.chars().all(is_safe) {
        return Err(FetchError::BadName { name });
    }
    let file = format!("{name}.gguf");
    if catalogue.entry(&name).is_some() || catalogue.entries().iter().any(|entry| entry.file == file) {
        return Err(FetchError::NameTaken { name });
    }
    Ok((name, file))
}

/// Copies and flushes a file, and makes sure that it did not change since it was hashed.
fn copy_checked(found: &Found, hash: FileHash, whole: &Path, progress: &dyn Progress) -> Result<u64, FetchError> {
    let read = |source| FetchError::Io { operation: "read", path: found.path.clone(), source };
    let mut from = File::open(&found.path).map_err(read)?;
    let size_bytes = from.metadata().map_err(read)?.len();
    let write = |source| FetchError::io("write", whole, size_bytes, source);
    let mut to = File::create(whole).map_err(write)?;
    progress.report(Event::Begin { stage: Stage::Copy, name: &found.name, total_bytes: Some(size_bytes) });
    let copied = copy_hashing(&mut from, &mut to, progress);
    progress.report(Event::End);
    let (copied_hash, _) = copied.map_err(write)?;
    to.sync_all().map_err(write)?;
    if copied_hash != hash {
        return Err(read(io::Error::new(io::ErrorKind::InvalidData, "the file changed while it was copied")));
    }
    Ok(size_bytes)
}
