//! What request bytes mean: the OpenAI-compatible vocabulary, parsed once at the edge.
//!
//! [`parse`] turns a body into a [`Request`] in which every value is in range. The court reads the same bytes with the
//! same code, so a request has one meaning for the host that answers and for whoever checks the answer.

pub mod limits;
pub mod receipt_json;
pub mod request_schema;
pub mod response;
pub mod tool_calls;
pub mod verdict_json;

mod error;
mod fields;
mod jobs;
mod parse;
mod request;

pub use error::{ApiError, ErrorBody, ErrorFields};
pub use jobs::JobSpec;
pub use parse::parse;
pub use request::{Controls, Format, Prompts, Request, Tool, ToolChoice};
