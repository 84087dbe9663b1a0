//! The thread that writes: everything that waits, in one transaction.

use std::sync::Arc;
use std::time::Instant;

use claim::ReceiptId;
use redb::{Database, ReadableTable as _};
use tokio::sync::{mpsc, oneshot};

use super::{RECEIPTS, SEQUENCE, SIZE_BYTES, Shelf, StoreError, decode_receipt};
use crate::metrics::StoreMetrics;

/// Most bytes of one transaction, so that one flush stays short. A single put may be larger.
const TRANSACTION_BYTES_MAX: usize = 32 << 20;

/// Encoded receipts that become durable together, and whom to tell.
pub(super) struct Put {
    pub(super) entries: Vec<(ReceiptId, Vec<u8>)>,
    pub(super) done: oneshot::Sender<Result<(), StoreError>>,
}

impl Put {
    fn size_bytes(&self) -> usize {
        self.entries.iter().map(|(_, bytes)| bytes.len()).sum()
    }
}

pub(super) struct Writer {
    shelf: Arc<Shelf>,
    /// How much is kept.
    keep_bytes: u64,
    puts: mpsc::Receiver<Put>,
    metrics: Arc<StoreMetrics>,
    /// A transaction failed, and the database, which then refuses all work, could not be opened again yet.
    broken: bool,
}

impl Writer {
    pub(super) fn new(
        shelf: Arc<Shelf>,
        keep_bytes: u64,
        puts: mpsc::Receiver<Put>,
        metrics: Arc<StoreMetrics>,
    ) -> Self {
        Self { shelf, keep_bytes, puts, metrics, broken: false }
    }

    /// Writes until the store is dropped.
    pub(super) fn run(mut self) {
        while let Some(first) = self.puts.blocking_recv() {
            let mut size_bytes = first.size_bytes();
            let mut batch = vec![first];
            while size_bytes < TRANSACTION_BYTES_MAX
                && let Ok(next) = self.puts.try_recv()
            {
                size_bytes += next.size_bytes();
                batch.push(next);
            }
            let started = Instant::now();
            let outcome = self.commit(&batch);
            let count = batch.iter().map(|put| put.entries.len()).sum();
            self.metrics.committed(&outcome, count, started.elapsed());
            if let Err(error) = &outcome {
                tracing::error!(%error, receipts = count, "store.commit_failed");
            }
            for put in batch {
                // Who has gone away does not need to be told.
                let _ = put.done.send(outcome.clone().map(|_| ()));
            }
        }
    }

    /// Writes a batch and returns how many old receipts had to go for it.
    fn commit(&mut self, batch: &[Put]) -> Result<u64, StoreError> {
        if self.broken {
            self.shelf.reopen()?;
            self.broken = false;
        }
        let outcome = self.shelf.read(|database| write(database, batch, self.keep_bytes));
        if outcome.is_err() {
            // At once, so that what is stored can be read while nothing more can be written.
            self.broken = self.shelf.reopen().is_err();
        }
        outcome
    }
}

fn write(database: &Database, batch: &[Put], keep_bytes: u64) -> Result<u64, StoreError> {
    let transaction = database.begin_write()?;
    let mut dropped = 0;
    {
        let mut receipts = transaction.open_table(RECEIPTS)?;
        let mut sequences = transaction.open_table(SEQUENCE)?;
        let mut sizes = transaction.open_table(SIZE_BYTES)?;
        let mut size_bytes = sizes.get(())?.map_or(0, |size| size.value());
        let first_new = receipts.last()?.map_or(0, |(last, _)| last.value() + 1);
        let mut sequence = first_new;
        for (id, bytes) in batch.iter().flat_map(|put| &put.entries) {
            if sequences.get(id.as_bytes())?.is_none() {
                sequences.insert(id.as_bytes(), sequence)?;
                receipts.insert(sequence, bytes.as_slice())?;
                sequence += 1;
                size_bytes += bytes.len() as u64;
            }
        }
        // The new ones stay, however much they are: their clients are about to see them.
        while size_bytes > keep_bytes
            && receipts.first()?.is_some_and(|(oldest, _)| oldest.value() < first_new)
            && let Some((_, bytes)) = receipts.pop_first()?
        {
            size_bytes = size_bytes.saturating_sub(bytes.value().len() as u64);
            // A damaged receipt leaves its id behind, which then leads to nothing.
            if let Ok(receipt) = decode_receipt(bytes.value()) {
                sequences.remove(receipt.id().as_bytes())?;
            }
            dropped += 1;
        }
        sizes.insert((), size_bytes)?;
    }
    // redb flushes the disk before this returns: its default durability.
    transaction.commit()?;
    Ok(dropped)
}
