//! Serves a model: fetches it, queues, batches, signs receipts.

pub mod catalogue;
pub mod fetch;

pub mod event;
