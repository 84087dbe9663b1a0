//! The typed client of the contracts: the only crate that names `alloy`.

pub mod abi;
mod artefact;
pub mod channel;
mod client;
mod cursor;
mod deployment;
pub mod development;
pub mod dispute;
pub mod dollar;
mod error;
pub mod file;
pub mod game;
pub mod hearing;
pub mod offer;
mod permit;
pub mod stake;

pub use artefact::Artefact;
pub use client::{Account, Client, Sent};
pub use cursor::{Change, Cursor};
pub use deployment::{ANSWERS, Deployment, Rules};
pub use error::LedgerError;

pub use alloy::primitives::Address;
