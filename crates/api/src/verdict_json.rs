//! A verdict as files, HTTP and the page carry it.

use std::time::Duration;

use claim::ReceiptId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The judgement over one receipt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VerdictBody {
    /// Id of the receipt.
    pub receipt: String,
    /// What was found.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The finding in words, line by line, the first of them the verdict alone: what `candor verify` prints.
    pub report: String,
    /// How long the check took, in milliseconds.
    pub elapsed_ms: f64,
}

impl VerdictBody {
    /// The body about a receipt, whose id stays empty where it could not be read.
    pub fn new(receipt: Option<ReceiptId>, outcome: Outcome, report: String, elapsed: Duration) -> Self {
        let receipt = receipt.map(|id| id.to_string()).unwrap_or_default();
        Self { receipt, outcome, report, elapsed_ms: (elapsed.as_secs_f64() * 1e6).round() / 1e3 }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Outcome {
    /// Every checked statement is true.
    Held {
        /// Tokens of the prompt.
        prompt_tokens: u32,
        /// Tokens of the answer.
        output_tokens: u32,
        /// Hidden states that were compared.
        states: u32,
        /// Tokens of the answer that were drawn again.
        redrawn: u32,
    },
    /// The host signed something false.
    Refuted {
        /// Which field of the receipt is false: `model`, `prompt`, `sampling`, `token`, `state`, `finish`, `signature` or
        /// `price`.
        kind: String,
        /// The first position that differs, counted from the first prompt token, where the difference has one.
        position: Option<u32>,
        /// Expected and found.
        reason: String,
    },
    /// The receipt could not be checked.
    Cannot {
        /// What is missing.
        reason: String,
    },
}
