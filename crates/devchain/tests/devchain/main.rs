//! The chain as its users see it: in process, over JSON-RPC, killed, and beside anvil.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod anvil;
mod chain;
mod contract;
mod hostile;
mod http;
mod kill;
mod live;
mod process;
mod raw;
mod store;
