//! The OpenAPI document, generated from the handlers and the types that they read and write.

use std::sync::LazyLock;

use utoipa::OpenApi;

use crate::{payment, receipts, routes};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Candor gateway",
        description = "OpenAI-compatible answers from language models, each with a receipt that anyone can check.",
    ),
    paths(
        routes::chat,
        routes::completions,
        routes::responses,
        routes::list_models,
        routes::show_model,
        receipts::latest,
        receipts::show,
        receipts::verify,
        payment::pay,
        payment::show,
        routes::health,
        routes::show_metrics,
    ),
    components(schemas(
        api::response::chat::ChatChunk<'_>,
        api::response::responses::StreamEvent<'_>,
        api::ErrorBody,
    )),
    tags(
        (name = "answers", description = "As OpenAI's clients ask for them"),
        (name = "models", description = "What is served"),
        (name = "receipts", description = "What a host signed, and whether it is true"),
        (name = "payment", description = "Vouchers of channels, where the host takes money"),
        (name = "operation", description = "For whoever runs the gateway"),
    ),
)]
struct Document;

/// The document as JSON text.
pub fn document() -> &'static str {
    static TEXT: LazyLock<String> =
        LazyLock::new(|| Document::openapi().to_json().expect("a document of plain values has a JSON form"));
    &TEXT
}
