//! The routes, and what they share.

use std::sync::Arc;
use std::time::Instant;

use api::ApiError;
use api::response::models::{ModelCard, ModelFacts, ModelList};
use api::response::payment::PaymentFacts;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderName, Method, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use claim::Endpoint;
use host::event::ServedModel;
use host::till::PaymentTerms;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;

use crate::fault::{self, Fault};
use crate::metrics::{Metrics, Route};
use crate::store::ReceiptStore;
use crate::wire::{self, Bodies, PathText};
use crate::{Serve, answer, openapi, page, payment, receipts};

/// Replays that run at once. Each takes all cores that the host gives it, so more would only take turns.
const REPLAYS_MAX: usize = 1;

/// What a gateway is made of.
pub struct Gateway {
    /// Who computes answers.
    pub host: Arc<dyn Serve>,
    /// Where receipts are kept.
    pub store: Arc<ReceiptStore>,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("store", &self.store).finish_non_exhaustive()
    }
}

/// What all handlers share.
pub(crate) struct Shared {
    pub(crate) host: Arc<dyn Serve>,
    pub(crate) store: Arc<ReceiptStore>,
    pub(crate) metrics: Metrics,
    pub(crate) replays: Semaphore,
    pub(crate) bodies: Bodies,
}

/// The whole HTTP surface of a gateway.
pub fn router(gateway: Gateway) -> Router {
    let shared = Arc::new(Shared {
        host: gateway.host,
        store: gateway.store,
        metrics: Metrics::default(),
        replays: Semaphore::new(REPLAYS_MAX),
        bodies: Bodies::new(),
    });
    Router::new()
        .route("/", get(show_page))
        .route("/v1/models", get(list_models))
        .route("/v1/models/{*id}", get(show_model))
        .route("/v1/chat/completions", post(chat))
        .route("/v1/completions", post(completions))
        .route("/v1/responses", post(responses))
        .route("/v1/receipts", get(receipts::latest))
        .route("/v1/receipts/{id}", get(receipts::show))
        .route("/v1/receipts/{id}/verify", get(receipts::verify).post(receipts::verify))
        .route("/v1/vouchers", post(payment::pay))
        .route("/v1/channels/{id}", get(payment::show))
        .route("/healthz", get(health))
        .route("/metrics", get(show_metrics))
        .route("/openapi.json", get(show_openapi))
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(CatchPanicLayer::custom(fault::panicked))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), measure))
        .with_state(shared)
}

async fn measure(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let route = Route::of(request.uri().path());
    let response = next.run(request).await;
    shared.metrics.request(route, response.status().as_u16(), started.elapsed());
    response
}

#[utoipa::path(
    post, path = "/v1/chat/completions", tag = "answers", request_body = api::request_schema::ChatBody,
    params(
        ("x-candor-nonce" = Option<String>, Header, description = "32 bytes as hexadecimal digits that the client picks once"),
        ("x-candor-client" = Option<String>, Header, description = "Address of the client, which goes into the receipt"),
        ("x-candor-channel" = Option<String>, Header, description = "The channel that pays: its token's address, a slash and its salt"),
        ("x-candor-expires" = Option<u64>, Header, description = "Until when the request may be taken, in seconds since 1970, at most 300 ahead"),
        ("x-candor-signature" = Option<String>, Header, description = "The client's EIP-712 signature of PaidRequest(bytes32 channel,bytes32 request,uint64 expires)"),
    ),
    responses(
        (status = 200, description = "The answer; with `stream` server-sent events of ChatChunk", body = api::response::chat::ChatCompletion<'_>),
        (status = "4XX", description = "The request has no answer", body = api::ErrorBody),
        (status = "5XX", description = "The server has no answer", body = api::ErrorBody),
    )
)]
pub(crate) async fn chat(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Body) -> Result<Response, Fault> {
    answer::handle(Endpoint::Chat, shared, &headers, body).await
}

#[utoipa::path(
    post, path = "/v1/completions", tag = "answers", request_body = api::request_schema::CompletionBody,
    responses(
        (status = 200, description = "The answer; with `stream` server-sent events of the same form", body = api::response::completion::TextCompletion<'_>),
        (status = "4XX", description = "The request has no answer", body = api::ErrorBody),
        (status = "5XX", description = "The server has no answer", body = api::ErrorBody),
    )
)]
pub(crate) async fn completions(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Fault> {
    answer::handle(Endpoint::Completions, shared, &headers, body).await
}

#[utoipa::path(
    post, path = "/v1/responses", tag = "answers", request_body = api::request_schema::ResponseBody,
    responses(
        (status = 200, description = "The answer; with `stream` server-sent events of StreamEvent", body = api::response::responses::ResponseObject<'_>),
        (status = "4XX", description = "The request has no answer", body = api::ErrorBody),
        (status = "5XX", description = "The server has no answer", body = api::ErrorBody),
    )
)]
pub(crate) async fn responses(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Fault> {
    answer::handle(Endpoint::Responses, shared, &headers, body).await
}

/// The texts that a model card borrows.
struct CardTexts {
    owner: String,
    root: String,
}

impl CardTexts {
    fn new(model: &ServedModel) -> Self {
        Self { owner: model.host.to_string(), root: model.root.to_string() }
    }

    fn card<'a>(&'a self, model: &'a ServedModel, payment: Option<PaymentFacts>) -> ModelCard<'a> {
        ModelCard {
            id: &model.name,
            object: "model",
            created: model.since.get() / 1_000,
            owned_by: &self.owner,
            candor: ModelFacts {
                model_root: &self.root,
                context_length: model.context_length.get(),
                chat: model.chat,
                price: model.price.into(),
                payment,
            },
        }
    }
}

#[utoipa::path(get, path = "/v1/models", tag = "models", responses((status = 200, description = "All models served here", body = ModelList<'_>)))]
pub(crate) async fn list_models(State(shared): State<Arc<Shared>>) -> Response {
    let models = shared.host.models();
    let texts: Vec<CardTexts> = models.iter().map(CardTexts::new).collect();
    let payment = payment_facts(&shared);
    let data = texts.iter().zip(&models).map(|(texts, model)| texts.card(model, payment.clone())).collect();
    Json(ModelList { object: "list", data }).into_response()
}

#[utoipa::path(
    get, path = "/v1/models/{id}", tag = "models", params(("id" = String, Path, description = "Name of the model")),
    responses((status = 200, description = "The model", body = ModelCard<'_>), (status = 404, description = "No such model", body = api::ErrorBody))
)]
pub(crate) async fn show_model(State(shared): State<Arc<Shared>>, id: PathText) -> Result<Response, Fault> {
    let id = wire::path_text(id);
    let models = shared.host.models();
    let Some(model) = models.iter().find(|model| model.name == id) else {
        return Err(Fault(ApiError::ModelNotFound { model: id.chars().take(256).collect() }));
    };
    Ok(Json(CardTexts::new(model).card(model, payment_facts(&shared))).into_response())
}

fn payment_facts(shared: &Shared) -> Option<PaymentFacts> {
    let PaymentTerms { domain, token, credit, .. } = shared.host.till()?.terms();
    Some(PaymentFacts {
        chain_id: domain.chain_id,
        contract: domain.contract.to_string(),
        token: token.to_string(),
        credit: credit.to_string(),
    })
}

#[utoipa::path(get, path = "/healthz", tag = "operation", responses((status = 200, description = "The gateway answers", body = String)))]
pub(crate) async fn health() -> &'static str {
    "ok\n"
}

#[utoipa::path(get, path = "/metrics", tag = "operation", responses((status = 200, description = "Counters in Prometheus' text form", body = String)))]
pub(crate) async fn show_metrics(State(shared): State<Arc<Shared>>) -> Response {
    let text = shared.metrics.write(shared.store.metrics());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

async fn show_openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], openapi::document()).into_response()
}

/// What the page may do: run its own script and style, and talk to where it came from.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

async fn show_page() -> Response {
    let headers: [(HeaderName, &str); 4] = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-cache"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, PAGE_POLICY),
    ];
    (headers, page::PAGE).into_response()
}

async fn unknown_route(method: Method, uri: Uri) -> Fault {
    Fault(ApiError::RouteUnknown { method: method.to_string(), path: uri.path().chars().take(256).collect() })
}

async fn wrong_method(method: Method, uri: Uri) -> Fault {
    Fault(ApiError::MethodNotAllowed { method: method.to_string(), path: uri.path().chars().take(256).collect() })
}
