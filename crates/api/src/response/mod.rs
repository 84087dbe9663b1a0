//! Bodies of answers, field for field as OpenAI's clients read them.
//!
//! Each borrows what it can: they are built, written once and dropped.

pub mod chat;
pub mod completion;
pub mod models;
pub mod payment;
pub mod responses;

use claim::{ChoiceIndex, SeedProof, SignedReceipt, TokenId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::receipt_json::{self, Document, ReceiptJsonError, SeedProofJson, SignedReceiptJson};

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
    pub progress: Option<Box<Progress>>,
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

/// A signed receipt for the part of a choice's stream that came before it, with what opens the receipt and is not to be
/// seen in the text. With its own request a client whose connection breaks can have that part checked.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// Index of the choice.
    pub choice: u32,
    /// The receipt with its signature, in the form of `/v1/receipts/{id}` without evidence.
    #[schema(value_type = SignedReceiptJson<'_>)]
    pub receipt: serde_json::Value,
    /// The tokens since the choice's progress before this one; all of them together are what the receipt is for.
    pub output: Vec<u32>,
    /// What shows that the seed is the only one it could be.
    pub seed_proof: SeedProofJson,
}

impl Progress {
    /// The progress of a choice, with the tokens since the one before.
    pub fn new(choice: ChoiceIndex, receipt: &SignedReceipt, output: &[TokenId], seed_proof: SeedProof) -> Self {
        Self {
            choice: choice.get(),
            receipt: receipt_json::to_value(receipt),
            output: output.iter().map(|token| token.get()).collect(),
            seed_proof: SeedProofJson::new(seed_proof),
        }
    }

    /// The receipt and the seed proof; who made them is not checked.
    ///
    /// # Errors
    ///
    /// [`ReceiptJsonError`] if either has another form.
    pub fn read(&self) -> Result<(SignedReceipt, SeedProof), ReceiptJsonError> {
        let Document { receipt, .. } = receipt_json::read(self.receipt.to_string().as_bytes())?;
        Ok((receipt, self.seed_proof.read()?))
    }
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
