//! Rules of trade, without any input or output.

mod account;

pub use account::{Account, Refusal, Statement};
