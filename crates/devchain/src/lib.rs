//! An Ethereum chain inside the process: revm, a durable store, JSON-RPC.
//!
//! Candor's contracts run on it unless they are told to run elsewhere, and so do the tests of everything that touches a
//! contract. It makes real blocks: headers with true hashes, state roots of a real Merkle Patricia trie, receipts, logs
//! and the fees of EIP-1559. It has one maker of blocks, no peers and no consensus, so that nobody should trust it who does
//! not run it.
//!
//! - [`Chain`] is a state machine without a clock, a disk or a wire: time comes in as an argument. Simulations use it as it
//!   is; [`Chain::execute`] makes a block of one message whoever sends it.
//! - [`Devchain`] runs one on a thread of its own, keeps it in a file where there is one, and answers JSON-RPC
//!   ([`Devchain::serve`]). Nothing is shown to anyone before it is stored, so that no answer can be lost by a crash.
//!
//! What clients see is what `anvil` shows them, with the differences that `tests/devchain/anvil.rs` lists. Not offered:
//! forks of other chains, transactions with blobs, and the hardforks before Cancun. States are kept for the newest blocks only ([`Limits::states`]); calls on older ones are refused.
//! Snapshots, impersonation and what else tests set up end with the process; blocks, accounts, waiting transactions and the
//! chain's clock do not.
//!
//! ```
//! use alloy_primitives::U256;
//! use devchain::{Chain, Config, Key, Message};
//!
//! let mut chain = Chain::new(Config::development(), 1_700_000_000);
//! let (alice, bob) = (Key::development()[0].address(), Key::development()[1].address());
//! let payment = Message::call(alice, bob, vec![]).with_value(U256::from(5));
//! let mined = chain.execute(&payment, 1_700_000_012)?;
//! assert_eq!(mined.executed[0].gas_used, 21_000);
//! assert_eq!(mined.block.header().state_root, chain.history().state().root());
//! # Ok::<_, devchain::ChainError>(())
//! ```

mod access;
mod block;
mod call;
mod chain;
mod clock;
mod config;
mod devchain;
mod dump;
mod error;
mod evm;
mod history;
mod key;
mod message;
mod pool;
mod rpc;
mod state;
mod steps;
mod store;
mod trace;
mod transaction;
mod trie;

pub use block::{Block, End, Executed};
pub use chain::{Chain, Event, Impersonation, Mined, TIP};
pub use clock::Clock;
pub use config::{CHAIN_ID, Config, Durability, Hardfork, Limits, Mining};
pub use devchain::{Devchain, Notice, Published};
pub use dump::DumpError;
pub use error::{CallError, ChainError, Refusal, StoreError};
pub use history::{History, Place};
pub use key::Key;
pub use message::{Message, Price};
pub use pool::Pool;
pub use rpc::{Answer, Answering, ServeError, Serving};
pub use state::State;
pub use trace::{Call, Entry};
pub use transaction::{TRANSACTION_BYTES_MAX, Transaction};
