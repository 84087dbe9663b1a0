//! Bodies of answers, field for field as OpenAI's clients read them.
//!
//! Each borrows what it can: they are built, written once and dropped.

pub mod chat;
pub mod completion;
pub mod models;
pub mod responses;

use serde::Serialize;
use utoipa::ToSchema;

/// Token counts of a chat or text completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Usage {
    /// Tokens read; a prompt that has several answers counts once.
    pub prompt_tokens: u64,
    /// Tokens drawn, over all answers.
    pub completion_tokens: u64,
    /// Both together.
    pub total_tokens: u64,
    /// What the prompt tokens were.
    pub prompt_tokens_details: PromptTokensDetails,
}

/// What the prompt tokens were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct PromptTokensDetails {
    /// Prompt tokens whose state was at hand from an earlier request.
    pub cached_tokens: u64,
}

impl Usage {
    /// Counts of one request.
    pub fn new(prompt_tokens: u64, cached_tokens: u64, completion_tokens: u64) -> Self {
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens + completion_tokens,
            prompt_tokens_details: PromptTokensDetails { cached_tokens },
        }
    }
}

/// This project's addition to answers: the receipts. Clients that do not know the field ignore it.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct Candor {
    /// Receipts of finished choices; they are stored when this is sent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub receipts: Vec<ReceiptMention>,
    /// A signed receipt for the part of a stream that was sent so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}

/// Says which receipt belongs to which choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReceiptMention {
    /// Index of the choice.
    pub choice: u32,
    /// Receipt id, `0x` and 64 hexadecimal digits.
    pub id: String,
    /// Why the answer ended, in the receipt's words.
    pub finish: &'static str,
    /// Tokens drawn.
    pub tokens: u32,
}

/// A signed receipt for a prefix of a stream.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Progress {
    /// Index of the choice.
    pub choice: u32,
    /// The receipt with its signature, in the form of `/v1/receipts/{id}` without evidence.
    #[schema(value_type = Object)]
    pub receipt: serde_json::Value,
}

/// Writes a log probability as JSON can: minus infinity becomes OpenAI's mark for "very unlikely".
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that the derived code calls")]
pub(crate) fn logprob_number<S: serde::Serializer>(value: &f32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f32(finite_logprob(*value))
}

/// The value itself, or -9999 where it is not finite.
pub(crate) fn finite_logprob(value: f32) -> f32 {
    if value.is_finite() { value } else { -9999.0 }
}
