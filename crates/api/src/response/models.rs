//! `/v1/models`.

use serde::Serialize;
use utoipa::ToSchema;

use super::payment::PaymentFacts;
use crate::receipt_json::PriceJson;

/// All models that are served.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelList<'a> {
    /// `list`.
    pub object: &'static str,
    /// The models.
    pub data: Vec<ModelCard<'a>>,
}

/// One model.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ModelCard<'a> {
    /// The name that requests use.
    pub id: &'a str,
    /// `model`.
    pub object: &'static str,
    /// When the server took it into service, Unix time in seconds.
    pub created: u64,
    /// Who serves it: the host's address.
    pub owned_by: &'a str,
    /// This project's additions.
    pub candor: ModelFacts<'a>,
}

/// What receipts of a model will say about it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ModelFacts<'a> {
    /// Merkle root over weights, hyper-parameters, tokenizer and template, `0x` and 64 hexadecimal digits.
    pub model_root: &'a str,
    /// Longest context in tokens.
    pub context_length: u32,
    /// Whether messages can be sent, which takes a chat template.
    pub chat: bool,
    /// What tokens cost.
    pub price: PriceJson,
    /// How the host is paid; absent where it answers for nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaymentFacts>,
}
