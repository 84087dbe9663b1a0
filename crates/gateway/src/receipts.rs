//! Receipts over HTTP: list, show, check.

use std::sync::Arc;
use std::time::Instant;

use api::ApiError;
use api::receipt_json;
use api::verdict_json::{Outcome, VerdictBody};
use axum::Json;
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use claim::ReceiptId;

use crate::fault::Fault;
use crate::routes::Shared;
use crate::store::{StoreError, StoredReceipt};
use crate::wire::PathText;
use crate::{verdict, wire};

/// Most receipts that one listing holds.
const LISTING_MAX: usize = 100;
/// Receipts of a listing that names no number.
const LISTING_DEFAULT: usize = 20;

/// How many receipts are listed.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Listing {
    limit: Option<usize>,
}

/// Receipts, newest first.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(crate) struct ReceiptList {
    /// `list`.
    object: &'static str,
    /// Receipts without evidence.
    #[schema(value_type = Vec<receipt_json::SignedReceiptJson<'_>>)]
    data: Vec<serde_json::Value>,
}

#[utoipa::path(
    get, path = "/v1/receipts", tag = "receipts",
    params(("limit" = Option<usize>, Query, description = "How many, 1 to 100; 20 unless said")),
    responses((status = 200, description = "The newest receipts without evidence, newest first", body = ReceiptList))
)]
pub(crate) async fn latest(
    State(shared): State<Arc<Shared>>,
    listing: Result<Query<Listing>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Fault> {
    let Query(listing) = listing.map_err(|_| {
        let (expected, found) = ("an integer", "another text");
        ApiError::Type { param: "limit".to_owned(), expected, found }
    })?;
    let limit = listing.limit.unwrap_or(LISTING_DEFAULT);
    if !(1..=LISTING_MAX).contains(&limit) {
        let supported = "whole numbers from 1 to 100";
        return Err(Fault(ApiError::Value { param: "limit".to_owned(), found: limit.to_string(), supported }));
    }
    let receipts = blocking(&shared, move |shared| shared.store.latest(limit)).await?;
    let data = receipts.iter().map(receipt_json::to_value).collect();
    Ok(Json(ReceiptList { object: "list", data }).into_response())
}

#[utoipa::path(
    get, path = "/v1/receipts/{id}", tag = "receipts", params(("id" = String, Path, description = "Receipt id")),
    responses(
        (status = 200, description = "The receipt with its evidence", body = receipt_json::SignedReceiptJson<'_>),
        (status = 404, description = "No such receipt is stored here", body = api::ErrorBody),
    )
)]
pub(crate) async fn show(State(shared): State<Arc<Shared>>, id: PathText) -> Result<Response, Fault> {
    let stored = find(&shared, wire::receipt_id(&wire::path_text(id))?).await?;
    let text = receipt_json::write(&stored.receipt, Some(&stored.evidence));
    Ok(([(CONTENT_TYPE, "application/json")], text).into_response())
}

#[utoipa::path(
    post, path = "/v1/receipts/{id}/verify", tag = "receipts", params(("id" = String, Path, description = "Receipt id")),
    responses(
        (status = 200, description = "The verdict of replaying the answer here", body = VerdictBody),
        (status = 404, description = "No such receipt is stored here", body = api::ErrorBody),
    )
)]
pub(crate) async fn verify(State(shared): State<Arc<Shared>>, id: PathText) -> Result<Json<VerdictBody>, Fault> {
    let id = wire::receipt_id(&wire::path_text(id))?;
    let stored = find(&shared, id).await?;
    let _turn = shared.replays.acquire().await.map_err(|_| ApiError::Stopping)?;
    let host = Arc::clone(&shared.host);
    let replay = tokio::task::spawn_blocking(move || {
        let started = Instant::now();
        let judgement = host.verify(&stored.case());
        verdict::body(id, judgement, started.elapsed())
    });
    let body = replay.await.map_err(|error| {
        tracing::error!(%error, "gateway.replay_panicked");
        ApiError::Internal
    })?;
    let counter = match body.outcome {
        Outcome::Held { .. } => &shared.metrics.verdicts_held,
        Outcome::Refuted { .. } => &shared.metrics.verdicts_refuted,
        Outcome::Cannot { .. } => &shared.metrics.verdicts_cannot,
    };
    counter.add(1);
    Ok(Json(body))
}

async fn find(shared: &Arc<Shared>, id: ReceiptId) -> Result<StoredReceipt, Fault> {
    let stored = blocking(shared, move |shared| shared.store.get(id)).await?;
    stored.ok_or_else(|| Fault(ApiError::ReceiptUnknown { id: id.to_string() }))
}

/// Reads from the store on a thread that may wait for the disk.
async fn blocking<T: Send + 'static>(
    shared: &Arc<Shared>,
    read: impl FnOnce(&Shared) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Fault> {
    let shared = Arc::clone(shared);
    let outcome = tokio::task::spawn_blocking(move || read(&shared)).await.map_err(|_| ApiError::Internal)?;
    outcome.map_err(|error| {
        tracing::error!(%error, "store.read_failed");
        Fault(ApiError::StorageFailed)
    })
}
