//! The client on chains that do not behave: that take what is sent and say otherwise, that go back, that answer nonsense.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod anvil;
mod malformed;
mod proxy;
mod reorganisation;
mod retries;
mod stand;
