//! Errors as HTTP answers in OpenAI's shape.

use std::any::Any;

use api::ApiError;
use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

/// An [`ApiError`] on its way out.
#[derive(Debug)]
pub(crate) struct Fault(pub(crate) ApiError);

impl From<ApiError> for Fault {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.0.body())).into_response();
        if let Some(seconds) = self.0.retry_after_s() {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// The answer to a request whose handler panicked. The panic itself is logged, for it is a bug; what the client sent is not.
#[expect(clippy::needless_pass_by_value, reason = "the layer hands the payload over")]
pub(crate) fn panicked(payload: Box<dyn Any + Send>) -> Response {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = text.unwrap_or("of another type"), "gateway.panic");
    Fault(ApiError::Internal).into_response()
}
