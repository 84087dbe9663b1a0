//! What can go wrong, and why a transaction is not taken.

use alloy_primitives::{Address, Bytes, U256};

use crate::dump::DumpError;

/// Why a transaction is not taken. Nothing has happened then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Its bytes are too many.
    #[error("transaction of {found} bytes, the limit is {max}")]
    TooLong {
        /// Its length.
        found: usize,
        /// The longest that is taken.
        max: usize,
    },
    /// Its bytes are no transaction.
    #[error("failed to decode transaction")]
    Undecodable,
    /// It carries blobs.
    #[error("transactions with blobs (EIP-4844) are not taken: this chain keeps no blobs")]
    Blobs,
    /// It needs a later hardfork.
    #[error("transactions with authorizations (EIP-7702) are taken from Prague on")]
    Authorizations,
    /// Nobody signed it.
    #[error("invalid signature")]
    Signature,
    /// It is for another chain.
    #[error("invalid chain id: {found}, this chain is {expected}")]
    ChainId {
        /// This chain.
        expected: u64,
        /// The chain it names.
        found: u64,
    },
    /// Its nonce is used up.
    #[error("nonce too low: next nonce {expected}, tx nonce {found}")]
    NonceTooLow {
        /// The sender's next nonce.
        expected: u64,
        /// Its nonce.
        found: u64,
    },
    /// No account sends so many transactions (EIP-2681).
    #[error("nonce has max value")]
    NonceMax,
    /// The sender could not pay for it.
    #[error("insufficient funds for gas * price + value: have {balance} want {cost}")]
    Funds {
        /// What the sender has.
        balance: U256,
        /// What it can cost.
        cost: U256,
    },
    /// It would cost more gas than it allows before anything is executed.
    #[error("intrinsic gas too low: have {found}, want {expected}")]
    GasTooLow {
        /// What it needs at least.
        expected: u64,
        /// What it allows.
        found: u64,
    },
    /// It allows more gas than a block has.
    #[error("intrinsic gas too high: gas limit {found}, the limit is {max}")]
    GasTooHigh {
        /// The most that it may allow.
        max: u64,
        /// What it allows.
        found: u64,
    },
    /// It pays less than the next block asks for.
    #[error("max fee per gas less than block base fee: {found}, base fee {expected}")]
    FeeTooLow {
        /// The base fee.
        expected: u128,
        /// Its highest fee.
        found: u128,
    },
    /// Its tip is higher than all that it pays.
    #[error("max priority fee per gas higher than max fee per gas")]
    TipTooHigh,
    /// It waits already.
    #[error("transaction already imported")]
    Known,
    /// One of the same sender with the same nonce waits, and it pays too little more than that.
    #[error("replacement transaction underpriced: fee {found}, at least {expected} is needed")]
    Underpriced {
        /// The fee that would replace the other.
        expected: u128,
        /// Its fee.
        found: u128,
    },
    /// As many wait as may.
    #[error("{max} transactions wait already")]
    PoolFull {
        /// The limit.
        max: usize,
    },
    /// The machine does not take it.
    #[error("{0}")]
    Invalid(String),
    /// Its sender's key is not here and it is not impersonated.
    #[error("no signer available for {0}")]
    NoSigner(Address),
}

/// Why an execution that changes nothing has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The machine would not even begin.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The contract took it back, and said why in its own words.
    #[error("execution reverted")]
    Reverted(Bytes),
    /// The machine stopped, and all gas is spent.
    #[error("EVM error {0}")]
    Halted(String),
    /// What it needs is more than it may spend.
    #[error("gas required exceeds allowance ({0})")]
    Allowance(u64),
}

/// Why the chain cannot do what it was told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// A transaction is not taken.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A call has no result.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A block would be older than the one before.
    #[error("timestamp error: {found} is lower than the last block's timestamp {last}")]
    Timestamp {
        /// The last block's.
        last: u64,
        /// What was asked for.
        found: u64,
    },
    /// There are not so many blocks.
    #[error("rollback of {depth} blocks, the chain keeps {max} that can be taken back")]
    Depth {
        /// How many blocks were to be taken back.
        depth: u64,
        /// How many can be.
        max: u64,
    },
    /// More than one request may ask for.
    #[error("{what}: {found}, the limit is {max}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much was asked for.
        found: u64,
        /// How much may be.
        max: u64,
    },
    /// Bytes that were to be a dump of accounts are none.
    #[error(transparent)]
    Dump(#[from] DumpError),
    /// The disk or the database failed. The chain takes nothing more until it is opened again: what it would say could be
    /// lost.
    #[error("the store failed, open the chain again: {0}")]
    Store(String),
    /// The request failed inside of the chain, which is as it was before it: a fault of this program.
    #[error("the request failed inside of the chain, which is as it was before")]
    Panicked,
    /// The chain has been shut down.
    #[error("the chain is shut down")]
    Closed,
}

/// Why the chain's file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It is the file of another chain, or of another version of this program.
    #[error(
        "the file has {what} {found}, this chain has {expected}: use another file, or the configuration that it was made with"
    )]
    Other {
        /// What differs.
        what: &'static str,
        /// What the configuration says.
        expected: u64,
        /// What the file says.
        found: u64,
    },
    /// Bytes in it are not what they were.
    #[error("the file is damaged: a {0} cannot be read")]
    Damaged(&'static str),
    /// The database failed.
    #[error("database: {0}")]
    Database(#[source] Box<redb::Error>),
    /// The operating system failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Makes a [`StoreError`] of each of the database's errors.
macro_rules! database_errors {
    ($($error:ty),+) => {
        $(impl From<$error> for StoreError {
            fn from(error: $error) -> Self {
                Self::Database(Box::new(error.into()))
            }
        })+
    };
}

database_errors!(redb::DatabaseError, redb::TransactionError, redb::TableError, redb::StorageError, redb::CommitError);
