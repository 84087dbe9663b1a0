//! The thread that writes vouchers down: all that wait, in one flush.

use std::sync::Arc;

use ledger::channel::{ChannelBook, Entry};
use ledger::file::FileError;
use tokio::sync::{mpsc, oneshot};

/// Vouchers that may wait. More clients than that wait for room.
const WAITING_MAX: usize = 1_024;

/// A voucher, and whom to tell when it is on the disk.
struct Put {
    entry: Entry,
    done: oneshot::Sender<Result<(), Arc<FileError>>>,
}

/// Why a voucher was not written down.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClerkError {
    #[error(transparent)]
    File(Arc<FileError>),
    #[error("the thread that writes vouchers has ended")]
    Ended,
}

/// Takes vouchers. The thread ends with it.
#[derive(Debug)]
pub(super) struct Clerk(mpsc::Sender<Put>);

impl Clerk {
    pub(super) fn start(book: ChannelBook) -> Self {
        let (puts, inbox) = mpsc::channel(WAITING_MAX);
        // Without the thread every `keep` says that it has ended.
        let started = std::thread::Builder::new().name("candor-till".to_owned()).spawn(move || write(&book, inbox));
        if let Err(error) = started {
            tracing::error!(%error, "till.no_thread");
        }
        Self(puts)
    }

    /// Writes a voucher down and waits until it is on the disk.
    pub(super) async fn keep(&self, entry: &Entry) -> Result<(), ClerkError> {
        let (done, told) = oneshot::channel();
        self.0.send(Put { entry: *entry, done }).await.map_err(|_| ClerkError::Ended)?;
        told.await.map_err(|_| ClerkError::Ended)?.map_err(ClerkError::File)
    }
}

fn write(book: &ChannelBook, mut inbox: mpsc::Receiver<Put>) {
    while let Some(first) = inbox.blocking_recv() {
        let mut batch = vec![first];
        while let Ok(next) = inbox.try_recv() {
            batch.push(next);
        }
        let entries: Vec<Entry> = batch.iter().map(|put| put.entry).collect();
        let outcome = book.keep(&entries).map_err(Arc::new);
        for put in batch {
            // Who has gone away does not need to be told.
            let _ = put.done.send(outcome.clone());
        }
    }
}
