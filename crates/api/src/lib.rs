//! What request bytes mean: the OpenAI-compatible vocabulary, parsed once at the edge.
//!
//! [`parse::parse`] turns a body into a [`request::Request`] in which every value is in range. The court reads the same
//! bytes with the same code, so a request has one meaning for the host that answers and for whoever checks the answer.

pub mod error;
mod fields;
pub mod limits;
pub mod parse;
pub mod request;
pub mod response;
