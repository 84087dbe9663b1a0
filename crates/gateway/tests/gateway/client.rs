//! Requests to a router, without a socket.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use bytes::Bytes;
use gateway::store::ReceiptStore;
use gateway::{Gateway, Serve, router};
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt as _;

/// A gateway with its own store.
pub(crate) struct Desk {
    pub(crate) router: Router,
    _folder: Option<TempDir>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Desk {
    pub(crate) fn of(host: impl Serve) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = ReceiptStore::open(&folder.path().join("receipts.redb"), u64::MAX).unwrap();
        Self { _folder: Some(folder), ..Self::with_store(host, store) }
    }

    pub(crate) fn with_store(host: impl Serve, store: ReceiptStore) -> Self {
        Self { router: router(Gateway { host: Arc::new(host), store: Arc::new(store) }), _folder: None }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.post_bytes(path, body.to_string()).await
    }

    pub(crate) async fn post_bytes(&self, path: &str, body: impl Into<Body>) -> Reply {
        let request = Request::builder().method(Method::POST).uri(path).header("content-type", "application/json");
        self.send(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Reply { status: head.status, headers: head.headers, body }
    }
}

impl Reply {
    /// The body, which must be JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The data of a stream's events; `[DONE]` is the string.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<Value> {
        assert_eq!(self.status, StatusCode::OK);
        assert_eq!(self.header("content-type"), "text/event-stream; charset=utf-8");
        let text = std::str::from_utf8(&self.body).unwrap();
        assert!(text.ends_with("\n\n"), "the last event is whole");
        let data = |event: &str| {
            let line = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap().to_owned();
            serde_json::from_str(&line).unwrap_or(Value::String(line))
        };
        text.split_terminator("\n\n").map(data).collect()
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap().to_str().unwrap()
    }

    /// Checks that this is an error of OpenAI's shape with this status and code.
    #[track_caller]
    pub(crate) fn is_error(&self, status: u16, code: Option<&str>) {
        let body = self.json();
        assert_eq!((self.status.as_u16(), body["error"]["code"].as_str()), (status, code), "{body}");
        let error = body["error"].as_object().unwrap();
        assert!(error["message"].is_string() && error["type"].is_string() && error.contains_key("param"), "{body}");
        assert_eq!(body.as_object().unwrap().len(), 1);
    }
}
