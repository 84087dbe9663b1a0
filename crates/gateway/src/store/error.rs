//! What can go wrong with the store.

use std::io;
use std::sync::Arc;

use api::ApiError;
use claim::EvidenceError;
use claim::ReceiptId;
use claim::encoding::DecodeError;

/// Why a receipt was not stored or not found.
///
/// It is `Clone` because one failed transaction is the failure of everyone who waited for it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No space is left for the database. Transient: free some and go on.
    #[error("no space is left on the disk of the receipt store; free some")]
    Full,
    /// The file cannot be read or written.
    #[error("the receipt store cannot be read or written: {0}")]
    Io(Arc<io::Error>),
    /// The database failed in another way.
    #[error("the receipt store failed: {0}")]
    Database(Arc<redb::Error>),
    /// The store is stopped, or could not be opened again after a failure.
    #[error("the receipt store is closed")]
    Closed,
    /// A stored value is shorter than a receipt.
    #[error("a stored receipt is incomplete")]
    Torn,
    /// A stored value does not have the canonical encoding.
    #[error("a stored receipt cannot be decoded: {0}")]
    Decode(#[from] DecodeError),
    /// Another receipt is stored under the id.
    #[error("receipt {found} is stored under the id {expected}")]
    WrongReceipt {
        /// The id asked for.
        expected: ReceiptId,
        /// The id of what was there.
        found: ReceiptId,
    },
    /// Evidence passes a limit.
    #[error("the evidence cannot be stored: {0}")]
    Evidence(#[from] EvidenceError),
}

impl StoreError {
    /// The writing thread could not be started.
    pub(super) fn thread(error: io::Error) -> Self {
        Self::from_io(error)
    }

    fn from_io(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Io(Arc::new(error)),
        }
    }

    /// What a client is told whose answer is withheld because of this.
    pub fn to_api(&self) -> ApiError {
        match self {
            Self::Full => ApiError::StorageFull,
            _ => ApiError::StorageFailed,
        }
    }
}

impl From<redb::Error> for StoreError {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Io(error) => Self::from_io(error),
            other => Self::Database(Arc::new(other)),
        }
    }
}

/// redb has an error type per operation; all of them are `redb::Error` in the end.
macro_rules! from_redb {
    ($($error:ty),*) => {$(
        impl From<$error> for StoreError {
            fn from(error: $error) -> Self {
                redb::Error::from(error).into()
            }
        }
    )*};
}

from_redb!(redb::DatabaseError, redb::TransactionError, redb::TableError, redb::StorageError, redb::CommitError);
