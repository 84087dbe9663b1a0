//! The gateway from outside: over its router and over sockets, with hosts that stand in for the real one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod client;
mod conformance;
mod hostile;
mod receipts;
mod schema;
mod stand_ins;
mod store;
