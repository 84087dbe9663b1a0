//! The typed client of the contracts: the only crate that names `alloy`.

pub mod abi;
mod artefact;
pub mod dispute;

pub use artefact::Artefact;
