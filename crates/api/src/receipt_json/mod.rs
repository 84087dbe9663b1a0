//! Receipts with their evidence as JSON: the form that files, HTTP and the page carry.
//!
//! ```json
//! { "version": 1, "id": "0x...", "receipt": { ... }, "signature": "0x...", "evidence": { ... }, "kept_by_client": { ... } }
//! ```
//!
//! Digests, addresses, signatures and proofs are `0x` and hexadecimal digits; amounts and seeds are decimal strings, because
//! JSON readers lose digits of large numbers; closed sets are words. The request's bytes are `request` when they are UTF-8,
//! else `request_base64`. The prompt is a list of segments, each with its origin. `evidence` and
//! `kept_by_client` may be absent.
//!
//! `id` follows from the receipt and is there for readers. It is given back as [`Document::stated_id`] and not compared
//! here: a receipt that somebody edited is for the court to refute, not for the reader to reject.

mod wire;

#[cfg(test)]
mod tests;

use claim::{ChoiceIndex, Evidence, ReceiptId, RequestHash, SignatureError, SignedReceipt};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use wire::{
    ClientRecordJson, EngineJson, EvidenceJson, PriceJson, PromptSegment, ReceiptJson, SeedProofJson, SignedReceiptJson,
};

/// The version of this form.
pub const VERSION: u32 = 1;

/// Longest document that is read, in bytes. The largest evidence within claim's limits is about twice this long as JSON;
/// its context would be past any model that is served.
pub const DOCUMENT_BYTES_MAX: usize = 128 << 20;

/// What a document holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The receipt with its signature, whose form is checked and whose maker is not.
    pub receipt: SignedReceipt,
    /// What the receipt's fields are recomputed from.
    pub evidence: Option<Evidence>,
    /// What the client itself kept, in a document that it wrote.
    pub kept_by_client: Option<ClientRecord>,
    /// The id that the document states.
    pub stated_id: ReceiptId,
}

/// A client's own memory of an answer, in a file that it keeps: what it asked and what it was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRecord {
    /// Hash of the request that was sent.
    pub request: RequestHash,
    /// Which of the request's answers it is.
    pub choice: ChoiceIndex,
    /// The text that was shown.
    pub text: String,
    /// How the answer came to its end.
    pub ending: Ending,
}

/// How an answer came to its end, as its client saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The host closed the answer, with the receipt.
    Closed,
    /// The client went away or its connection broke; the receipt is the last that it got.
    BrokenOff,
}

/// Why text is not a receipt document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptJsonError {
    /// The text is too long.
    #[error("a receipt document has at most {max} bytes, found {found}")]
    TooLarge {
        /// The limit.
        max: usize,
        /// Length of the text.
        found: usize,
    },
    /// The text is not JSON of this form.
    #[error("{problem} at line {line} column {column}")]
    Form {
        /// What is wrong.
        problem: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// The document or its receipt has another version.
    #[error("{what} has version {found}, this program reads version {expected}")]
    Version {
        /// Document or receipt.
        what: &'static str,
        /// The version read here.
        expected: u32,
        /// The version found.
        found: u32,
    },
    /// The request is given twice or not at all.
    #[error("evidence has exactly one of request and request_base64")]
    Request,
    /// `request_base64` is not base64.
    #[error("request_base64 is not base64")]
    Base64,
    /// A list or text is longer than evidence may hold.
    #[error("{field} is {found} long, at most {max} is read")]
    TooLong {
        /// The field.
        field: &'static str,
        /// The limit.
        max: usize,
        /// Its length.
        found: usize,
    },
    /// The signature has no valid form.
    #[error("the signature is malformed: {0}")]
    Signature(#[from] SignatureError),
    /// The seed proof has no valid form.
    #[error("the seed proof is malformed")]
    SeedProof,
}

/// Writes a document.
#[expect(clippy::missing_panics_doc, reason = "a struct with string keys always has a JSON form")]
pub fn write(receipt: &SignedReceipt, evidence: Option<&Evidence>) -> String {
    serde_json::to_string(&SignedReceiptJson::new(receipt, evidence, None)).expect("the form has string keys only")
}

/// Writes a document as a client keeps it, with its own record.
#[expect(clippy::missing_panics_doc, reason = "a struct with string keys always has a JSON form")]
pub fn write_kept(receipt: &SignedReceipt, evidence: Option<&Evidence>, record: &ClientRecord) -> String {
    let form = SignedReceiptJson::new(receipt, evidence, Some(record));
    serde_json::to_string(&form).expect("the form has string keys only")
}

/// Writes a receipt without evidence as a JSON value, for embedding.
#[expect(clippy::missing_panics_doc, reason = "a struct with string keys always has a JSON form")]
pub fn to_value(receipt: &SignedReceipt) -> serde_json::Value {
    serde_json::to_value(SignedReceiptJson::new(receipt, None, None)).expect("the form has string keys only")
}

/// Reads a document. Unknown fields are refused.
///
/// # Errors
///
/// [`ReceiptJsonError`] with the place of the first fault.
pub fn read(text: &[u8]) -> Result<Document, ReceiptJsonError> {
    if text.len() > DOCUMENT_BYTES_MAX {
        return Err(ReceiptJsonError::TooLarge { max: DOCUMENT_BYTES_MAX, found: text.len() });
    }
    let json: SignedReceiptJson<'_> = serde_json::from_slice(text).map_err(|error| {
        let whole = error.to_string();
        let problem = whole.rsplit_once(" at line ").map_or(whole.as_str(), |(problem, _)| problem);
        ReceiptJsonError::Form { problem: problem.to_owned(), line: error.line(), column: error.column() }
    })?;
    json.into_document()
}
