//! Requests without an id: nobody waits for what comes of them.
//!
//! JSON-RPC 2.0 wants no answer to such a request. The server under this says `null` over HTTP, which is the answer of no
//! request at all and which clients stumble over.

use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::{BodyExt as _, Full};
use jsonrpsee::core::BoxError;
use jsonrpsee::server::{HttpBody, HttpRequest, HttpResponse};
use tower::{Layer, Service};

/// Makes the answer to a notification an empty one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Notifications;

impl<S> Layer<S> for Notifications {
    type Service = Unanswered<S>;

    fn layer(&self, inner: S) -> Unanswered<S> {
        Unanswered { inner }
    }
}

/// What stands before the methods.
#[derive(Debug, Clone)]
pub(super) struct Unanswered<S> {
    inner: S,
}

impl<S, B> Service<HttpRequest<B>> for Unanswered<S>
where
    S: Service<HttpRequest<B>, Response = HttpResponse, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = HttpResponse;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: HttpRequest<B>) -> Self::Future {
        let answer = self.inner.call(request);
        Box::pin(async move {
            let (head, body) = answer.await?.into_parts();
            if !head.status.is_success() {
                // Errors, and the beginning of a WebSocket.
                return Ok(HttpResponse::from_parts(head, body));
            }
            // The body lies there whole: nothing is copied.
            let body = body.collect().await?.to_bytes();
            let body = if body == "null" { HttpBody::empty() } else { HttpBody::new(Full::new(body)) };
            Ok(HttpResponse::from_parts(head, body))
        })
    }
}
