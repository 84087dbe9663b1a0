//! Receipts and their evidence on disk.
//!
//! A client that has seen a receipt's id must find the receipt after any crash, so [`ReceiptStore::put`] returns only when
//! the receipt is on disk. Making one durable costs a flush of the disk whatever its size; one thread therefore writes
//! everything that waits in a single transaction, and a flush serves as many answers as came in during the one before.
//!
//! When writing fails, for example because the disk is full, the transaction is undone, everyone who waits for it is told,
//! and the database is opened anew: nothing that was stored is lost or out of reach, and storing goes on when there is room
//! again.

mod error;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;

use claim::encoding::{Decoder, Encoder};
use claim::{Address, Evidence, ModelRoot, Price, ReceiptId, SignedReceipt};
use court::{Case, Known, Source};
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use tokio::sync::{mpsc, oneshot};

pub use error::StoreError;
use writer::{Put, Writer};

use crate::metrics::StoreMetrics;

/// Receipts in the order they came: signed receipt, terms and evidence in claim's canonical encoding, one after the other.
/// Ascending keys keep new receipts on the same pages, which makes a transaction of many small.
const RECEIPTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("receipts/2");
/// Where a receipt is in [`RECEIPTS`].
const SEQUENCE: TableDefinition<'_, [u8; 32], u64> = TableDefinition::new("receipt-sequence/2");

/// How many bytes [`RECEIPTS`] holds, under the only key.
const SIZE_BYTES: TableDefinition<'_, (), u64> = TableDefinition::new("receipts-size/2");

/// Most receipts that wait to be written. A put beyond that waits for its place.
const QUEUE_MAX: usize = 1_024;

/// A receipt with its evidence, as its host handed them over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReceipt {
    /// What the host signed.
    pub receipt: SignedReceipt,
    /// What was advertised to whoever asked.
    pub terms: Terms,
    /// What its fields are recomputed from.
    pub evidence: Evidence,
}

impl StoredReceipt {
    /// What the court is asked: whether the host told this gateway the truth.
    pub fn case(&self) -> Case<'_> {
        let Terms { model_root, host, price } = self.terms;
        let known = Known {
            model_root: Some(model_root),
            host: Some(host),
            price: Some(price),
            source: Source::Host,
            ..Known::default()
        };
        Case { signed: &self.receipt, evidence: &self.evidence, known, window: None }
    }
}

/// What a gateway advertised for a model at the time that it was asked for. Advertisements change, with a new file under
/// an old name or with a new price; an answer is judged by the one it was asked under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The root that the model's name stood for.
    pub model_root: ModelRoot,
    /// Who would answer.
    pub host: Address,
    /// What tokens would cost.
    pub price: Price,
}

impl Terms {
    const SIZE_BYTES: usize = 32 + 20 + 8 + 8;

    fn to_bytes(self) -> Vec<u8> {
        let mut encoder = Encoder::with_capacity(Self::SIZE_BYTES);
        encoder.digest(self.model_root.get());
        encoder.address(self.host);
        encoder.u64(self.price.prompt_per_million);
        encoder.u64(self.price.output_per_million);
        encoder.finish()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, StoreError> {
        let mut decoder = Decoder::new(bytes);
        let terms = Self {
            model_root: ModelRoot::new(decoder.digest("model root")?),
            host: decoder.address("host")?,
            price: Price::new(decoder.u64("prompt price")?, decoder.u64("output price")?),
        };
        decoder.finish()?;
        Ok(terms)
    }
}

/// Opens the database: anew after a failure, which is why it is kept.
type Opener = Box<dyn Fn() -> Result<Database, redb::DatabaseError> + Send + Sync>;

/// The database, absent while it could not be opened again after a failure.
struct Shelf {
    database: RwLock<Option<Database>>,
    open: Opener,
}

/// Durable receipts, found by id or by age.
pub struct ReceiptStore {
    shelf: Arc<Shelf>,
    queue: Option<mpsc::Sender<Put>>,
    writer: Option<JoinHandle<()>>,
    metrics: Arc<StoreMetrics>,
}

impl ReceiptStore {
    /// Opens the store in a file, which is created when absent and repaired when a crash left it unfinished.
    ///
    /// It keeps about `keep_bytes` of receipts with their evidence; the oldest make room for new ones. Of the file more may
    /// be in use, because the database rounds up, but it does not grow without end.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the file cannot be opened, is in use by another process, or is no store.
    pub fn open(path: &Path, keep_bytes: u64) -> Result<Self, StoreError> {
        let path = path.to_owned();
        Self::with_opener(keep_bytes, Box::new(move || Database::create(&path)))
    }

    /// Opens the store with a function that gives the database, on whatever backend.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the database cannot be opened.
    pub fn with_opener(
        keep_bytes: u64,
        open: Box<dyn Fn() -> Result<Database, redb::DatabaseError> + Send + Sync>,
    ) -> Result<Self, StoreError> {
        let database = open()?;
        prepare(&database)?;
        let shelf = Arc::new(Shelf { database: RwLock::new(Some(database)), open });
        let metrics = Arc::new(StoreMetrics::default());
        let (queue, puts) = mpsc::channel(QUEUE_MAX);
        let writer = Writer::new(Arc::clone(&shelf), keep_bytes, puts, Arc::clone(&metrics));
        let thread = std::thread::Builder::new().name("receipt-store".to_owned()).spawn(move || writer.run());
        let writer = Some(thread.map_err(StoreError::thread)?);
        Ok(Self { shelf, queue: Some(queue), writer, metrics })
    }

    /// Stores receipts and returns when they are on disk. A receipt that is there already is left as it is.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when they are not stored; then none of them is.
    pub async fn put(&self, receipts: &[StoredReceipt]) -> Result<(), StoreError> {
        let entries = receipts
            .iter()
            .map(|stored| Ok((stored.receipt.id(), encode(stored)?)))
            .collect::<Result<Vec<_>, StoreError>>()?;
        let (done, outcome) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or(StoreError::Closed)?;
        queue.send(Put { entries, done }).await.map_err(|_| StoreError::Closed)?;
        outcome.await.map_err(|_| StoreError::Closed)?
    }

    /// The receipt with this id, if it is stored here.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the store cannot be read.
    pub fn get(&self, id: ReceiptId) -> Result<Option<StoredReceipt>, StoreError> {
        self.shelf.read(|database| {
            let transaction = database.begin_read()?;
            let Some(sequence) = transaction.open_table(SEQUENCE)?.get(id.as_bytes())? else { return Ok(None) };
            let receipts = transaction.open_table(RECEIPTS)?;
            let bytes = receipts.get(sequence.value())?;
            bytes.map(|bytes| decode(id, bytes.value())).transpose()
        })
    }

    /// The newest receipts, newest first, at most `count`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the store cannot be read.
    pub fn latest(&self, count: usize) -> Result<Vec<SignedReceipt>, StoreError> {
        self.shelf.read(|database| {
            let receipts = database.begin_read()?.open_table(RECEIPTS)?;
            let mut newest = Vec::new();
            for entry in receipts.iter()?.rev().take(count) {
                newest.push(decode_receipt(entry?.1.value())?);
            }
            Ok(newest)
        })
    }

    /// Counters of this store.
    pub(crate) fn metrics(&self) -> &StoreMetrics {
        &self.metrics
    }
}

impl Drop for ReceiptStore {
    /// Waits until everything that was put is written.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("store.writer_panicked");
        }
    }
}

impl fmt::Debug for ReceiptStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiptStore").finish_non_exhaustive()
    }
}

impl Shelf {
    /// Reads from the database.
    fn read<T>(&self, read: impl FnOnce(&Database) -> Result<T, StoreError>) -> Result<T, StoreError> {
        // A panic while the lock was held leaves the database itself sound: redb undoes the open transaction.
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        read(database.as_ref().ok_or(StoreError::Closed)?)
    }

    /// Closes the database and opens it again, which redb asks for after a failed write.
    fn reopen(&self) -> Result<(), StoreError> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        *database = None;
        let opened = (self.open)()?;
        prepare(&opened)?;
        *database = Some(opened);
        Ok(())
    }
}

/// Makes sure that all tables exist, so that reading never has to ask, and that the size is known.
fn prepare(database: &Database) -> Result<(), StoreError> {
    if database.begin_read()?.open_table(SIZE_BYTES).is_ok() {
        return Ok(());
    }
    let transaction = database.begin_write()?;
    {
        let receipts = transaction.open_table(RECEIPTS)?;
        transaction.open_table(SEQUENCE)?;
        let mut size_bytes = 0;
        for entry in receipts.iter()? {
            size_bytes += entry?.1.value().len() as u64;
        }
        transaction.open_table(SIZE_BYTES)?.insert((), size_bytes)?;
    }
    transaction.commit()?;
    Ok(())
}

/// Receipt and terms, which have fixed sizes.
const HEAD_BYTES: usize = SignedReceipt::SIZE_BYTES + Terms::SIZE_BYTES;

fn encode(stored: &StoredReceipt) -> Result<Vec<u8>, StoreError> {
    let evidence = stored.evidence.to_bytes()?;
    let mut bytes = Vec::with_capacity(HEAD_BYTES + evidence.len());
    bytes.extend_from_slice(&stored.receipt.to_bytes());
    bytes.extend_from_slice(&stored.terms.to_bytes());
    bytes.extend_from_slice(&evidence);
    Ok(bytes)
}

fn decode_receipt(bytes: &[u8]) -> Result<SignedReceipt, StoreError> {
    let receipt = bytes.get(..SignedReceipt::SIZE_BYTES).ok_or(StoreError::Torn)?;
    Ok(SignedReceipt::from_bytes(receipt)?)
}

fn decode(id: ReceiptId, bytes: &[u8]) -> Result<StoredReceipt, StoreError> {
    let receipt = decode_receipt(bytes)?;
    if receipt.id() != id {
        return Err(StoreError::WrongReceipt { expected: id, found: receipt.id() });
    }
    let (head, evidence) = bytes.split_at_checked(HEAD_BYTES).ok_or(StoreError::Torn)?;
    let terms = Terms::from_bytes(&head[SignedReceipt::SIZE_BYTES..])?;
    Ok(StoredReceipt { receipt, terms, evidence: Evidence::from_bytes(evidence)? })
}
