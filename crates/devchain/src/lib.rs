//! An Ethereum chain inside the process: revm, a durable store, JSON-RPC.

mod block;
mod call;
mod chain;
mod clock;
mod config;
mod devchain;
mod error;
mod evm;
mod history;
mod key;
mod message;
mod pool;
mod rpc;
mod state;
mod store;
mod trace;
mod transaction;
mod trie;

pub use block::{Block, End, Executed};
pub use chain::{Chain, Event, Impersonation, Mined, TIP};
pub use clock::Clock;
pub use config::{CHAIN_ID, Config, Durability, Hardfork, Limits, Mining};
pub use devchain::{Devchain, Notice, Published};
pub use error::{CallError, ChainError, Refusal, StoreError};
pub use history::{History, Place};
pub use key::Key;
pub use message::{Message, Price};
pub use pool::Pool;
pub use rpc::{ServeError, Serving};
pub use state::State;
pub use trace::{Call, Entry};
pub use transaction::{TRANSACTION_BYTES_MAX, Transaction};
