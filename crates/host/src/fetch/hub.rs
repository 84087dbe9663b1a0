//! The Hugging Face hub: one file of a repository, resumed where an earlier transfer broke off.

use std::path::Path;
use std::sync::Arc;

use reqwest::header::{CONTENT_RANGE, HeaderMap, LOCATION, RANGE};
use reqwest::{Client, Response, StatusCode, Url};
use tokio::io::AsyncWriteExt as _;

use super::cache::{self, Place};
use super::client::{Proxies, http_client};
use super::error::AttemptError;
use super::progress::{Event, Progress, Stage};
use super::{Settings, blocking};
use crate::catalogue::{Entry, FileHash};

/// Redirects that are followed: the hub needs one or two.
const REDIRECTS_MAX: usize = 6;

/// Transfers that may break off before the source is given up, if each brought something.
const INTERRUPTIONS_MAX: usize = 5;

/// A file of a repository.
#[derive(Debug, Clone, Copy)]
pub(super) struct File<'a> {
    pub(super) repository: &'a str,
    pub(super) revision: &'a str,
    pub(super) path: &'a str,
}

/// Brings the file to the place's whole file, whose hash is then the entry's.
pub(super) async fn download(
    settings: &Settings,
    file: &File<'_>,
    entry: &Entry,
    place: &Place,
    progress: &Arc<dyn Progress>,
) -> Result<(), AttemptError> {
    let File { repository, revision, path } = file;
    let address = format!("{}/{repository}/resolve/{revision}/{path}", settings.hub);
    let url = Url::parse(&address).map_err(|error| AttemptError::Unreachable { reason: error.to_string() })?;
    let client = http_client(settings.answer_timeout, Proxies::Environment).map_err(|error| unreachable(&error))?;
    let transfer = Transfer { settings, client, url, entry, part: &place.part() };
    let is_resumed = place.part().exists();
    transfer.run_through(progress).await?;
    match check(entry, place, progress).await {
        // The earlier run's bytes may have been of another revision.
        Err(AttemptError::WrongHash { .. }) if is_resumed => {
            transfer.run_through(progress).await?;
            check(entry, place, progress).await
        }
        outcome => outcome,
    }
}

/// Renames a part file that has the entry's hash to the whole file, and removes any other.
async fn check(entry: &Entry, place: &Place, progress: &Arc<dyn Progress>) -> Result<(), AttemptError> {
    let (part, whole, name, hash) = (place.part(), place.whole(), place.file().to_owned(), entry.hash);
    let progress = Arc::clone(progress);
    blocking(move || {
        let found =
            cache::hash_file(&part, &name, &*progress).map_err(|error| AttemptError::io("read", &part, error))?;
        if found != hash {
            drop(std::fs::remove_file(&part));
            return Err(AttemptError::WrongHash { expected: hash, found });
        }
        std::fs::rename(&part, &whole).map_err(|error| AttemptError::io("rename", &part, error))
    })
    .await
}

fn unreachable(error: &reqwest::Error) -> AttemptError {
    // The outer error only says that sending failed; the innermost says why.
    let mut innermost: &dyn std::error::Error = error;
    while let Some(inner) = innermost.source() {
        innermost = inner;
    }
    AttemptError::Unreachable { reason: innermost.to_string() }
}

/// One file on its way from the hub to a part file.
struct Transfer<'a> {
    settings: &'a Settings,
    client: Client,
    url: Url,
    entry: &'a Entry,
    part: &'a Path,
}

impl Transfer<'_> {
    /// Asks until the part file is whole, going on where the last answer broke off.
    async fn run_through(&self, progress: &Arc<dyn Progress>) -> Result<(), AttemptError> {
        let expected = self.entry.size_bytes;
        let mut have = tokio::fs::metadata(self.part).await.map_or(0, |metadata| metadata.len());
        if have > expected {
            self.discard().await?;
            have = 0;
        }
        let mut interruptions = 0;
        while have < expected {
            let before = have;
            match self.advance(have, progress).await {
                Ok(now) => have = now,
                // After a first answer that broke off, silence is the same bad line; what came is kept for the next run.
                Err(AttemptError::Unreachable { .. }) if interruptions > 0 => {
                    return Err(AttemptError::Interrupted { expected, found: have });
                }
                Err(error) => return Err(error),
            }
            if have < expected {
                interruptions += 1;
                let is_stuck = have <= before;
                if is_stuck || interruptions > INTERRUPTIONS_MAX {
                    return Err(AttemptError::Interrupted { expected, found: have });
                }
            }
        }
        Ok(())
    }

    /// Sends one request and stores what its answer brings; returns the new size of the part file.
    async fn advance(&self, have: u64, progress: &Arc<dyn Progress>) -> Result<u64, AttemptError> {
        let response = self.ask(have).await?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT if begins_at(response.headers()) == Some(have) => {
                self.store(response, have, progress).await
            }
            // The server sends all of it, or a range that was not asked for: what is at hand is of no use.
            StatusCode::OK => {
                self.discard().await?;
                self.store(response, 0, progress).await
            }
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE if have > 0 => {
                self.discard().await?;
                let response = self.ask(0).await?;
                match response.status() {
                    StatusCode::OK => self.store(response, 0, progress).await,
                    status => Err(AttemptError::Status { status: status.as_u16() }),
                }
            }
            status => Err(AttemptError::Status { status: status.as_u16() }),
        }
    }

    /// Follows redirects to the server that has the file, comparing what the hub says of it on the way.
    async fn ask(&self, have: u64) -> Result<Response, AttemptError> {
        let mut url = self.url.clone();
        for _ in 0..=REDIRECTS_MAX {
            let mut request = self.client.get(url.clone());
            if have > 0 {
                request = request.header(RANGE, format!("bytes={have}-"));
            }
            let answer = tokio::time::timeout(self.settings.answer_timeout, request.send()).await;
            let response = match answer {
                Ok(answer) => answer.map_err(|error| unreachable(&error))?,
                Err(_elapsed) => {
                    return Err(AttemptError::Unreachable {
                        reason: format!("no answer within {} ms", self.settings.answer_timeout.as_millis()),
                    });
                }
            };
            self.compare_promise(response.headers())?;
            if !response.status().is_redirection() {
                return Ok(response);
            }
            url = redirect(&url, response.headers())?;
        }
        Err(AttemptError::Redirect { reason: "there are too many in a row" })
    }

    /// The hub names the SHA-256 of a large file before sending it; another file is not worth its transfer.
    fn compare_promise(&self, headers: &HeaderMap) -> Result<(), AttemptError> {
        let text = headers.get("x-linked-etag").and_then(|value| value.to_str().ok());
        let promised = text.and_then(|text| text.trim_matches('"').parse::<FileHash>().ok());
        match promised {
            Some(found) if found != self.entry.hash => {
                Err(AttemptError::WrongHash { expected: self.entry.hash, found })
            }
            _ => Ok(()),
        }
    }

    /// Appends an answer's body to the part file; a body that breaks off is kept as far as it came.
    async fn store(
        &self,
        mut response: Response,
        have: u64,
        progress: &Arc<dyn Progress>,
    ) -> Result<u64, AttemptError> {
        let expected = self.entry.size_bytes;
        if let Some(coming) = response.content_length()
            && have.saturating_add(coming) > expected
        {
            self.discard().await?;
            return Err(AttemptError::WrongSize { expected, found: have.saturating_add(coming) });
        }
        let io = |operation| move |error| AttemptError::io(operation, self.part, error);
        let opened = tokio::fs::OpenOptions::new().create(true).append(true).open(self.part).await;
        let mut file = opened.map_err(io("open"))?;
        progress.report(Event::Begin { stage: Stage::Download, name: &self.entry.name, total_bytes: Some(expected) });
        let mut now = have;
        let outcome = loop {
            // The end, a broken line and a line that stands still look alike here: the size tells them apart.
            let arrived = tokio::time::timeout(self.settings.stall_timeout, response.chunk()).await;
            let Ok(Ok(Some(chunk))) = arrived else { break Ok(()) };
            now += chunk.len() as u64;
            if now > expected {
                break Err(AttemptError::WrongSize { expected, found: now });
            }
            if let Err(error) = file.write_all(&chunk).await {
                break Err(AttemptError::io("write", self.part, error));
            }
            progress.report(Event::At { bytes: now });
        };
        progress.report(Event::End);
        file.flush().await.map_err(io("write"))?;
        if let Err(error) = outcome {
            if matches!(error, AttemptError::WrongSize { .. }) {
                self.discard().await?;
            }
            return Err(error);
        }
        Ok(now)
    }

    async fn discard(&self) -> Result<(), AttemptError> {
        match tokio::fs::remove_file(self.part).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(AttemptError::io("remove", self.part, error))
            }
            _ => Ok(()),
        }
    }
}

/// The first byte of a partial answer.
fn begins_at(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split_once('-')?.0.trim().parse().ok()
}

/// Where a redirect leads; never from an encrypted connection to an open one.
fn redirect(from: &Url, headers: &HeaderMap) -> Result<Url, AttemptError> {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let location = location.ok_or(AttemptError::Redirect { reason: "it names no address" })?;
    let to = from.join(location).map_err(|_| AttemptError::Redirect { reason: "its address is malformed" })?;
    match (from.scheme(), to.scheme()) {
        ("https" | "http", "https") | ("http", "http") => Ok(to),
        _ => Err(AttemptError::Redirect { reason: "it leaves the encrypted connection" }),
    }
}
