//! Serves a model: fetches it, queues, batches, signs receipts.
//!
//! [`fetch`] finds a model's file by its name in the [`catalogue`]; [`Host`] loads it and answers requests, one batch
//! thread for all of them. Whatever happens to an answer comes through its queue of [`event`]s, the signed receipt last. Where
//! the host takes money, a [`till`] sees to it that a channel pays.

pub mod catalogue;
mod engine;
pub mod event;
pub mod fetch;
mod map;
mod serve;
pub mod till;

pub use map::MappedModel;
pub use serve::{Host, HostConfig, HostError, load_model};
