//! OpenAI-compatible HTTP, receipts store and the page.
//!
//! The gateway understands nothing about models: it reads bytes off the wire, hands them to a [`Serve`], and turns what
//! comes back into the shapes that clients know. Before a client sees the end of an answer, its receipt is on disk.

pub mod page;
pub mod store;

mod answer;
mod connections;
mod fault;
mod metrics;
mod openapi;
mod payment;
mod receipts;
mod routes;
mod serve;
mod verdict;
mod wire;

pub use connections::serve;
pub use openapi::document;
pub use routes::{Gateway, router};
pub use serve::Serve;
pub use verdict::body as verdict_body;
