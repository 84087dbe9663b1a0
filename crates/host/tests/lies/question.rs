//! What a client sends.

use api::JobSpec;
use claim::{Address, Endpoint, Nonce, RequestHash, UnixMillis, request_hash};
use model::Model;
use serde_json::{Value, json};

use crate::subject::subject;

/// When every host of these tests takes a request.
pub(crate) const STARTED: UnixMillis = UnixMillis::new(1_760_000_000_000);

/// What everybody asks.
pub(crate) const SKY: &str = "Why is the sky blue?";

/// A request as it went out.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) endpoint: Endpoint,
    pub(crate) body: Vec<u8>,
    pub(crate) nonce: Nonce,
    pub(crate) client: Option<Address>,
}

impl Question {
    /// A chat with one user message; `extra` goes into the body.
    pub(crate) fn chat(text: &str, extra: &Value) -> Self {
        let mut body = json!({"model": "model", "max_tokens": 12, "messages": [{"role": "user", "content": text}]});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        Self::of(Endpoint::Chat, &body)
    }

    pub(crate) fn of(endpoint: Endpoint, body: &Value) -> Self {
        let (nonce, client) = (Nonce::new(claim::Digest::new([3; 32])), Some(Address::new([9; 20])));
        Self { endpoint, body: body.to_string().into_bytes(), nonce, client }
    }

    /// A question with one answer and no end before its last token.
    pub(crate) fn greedy() -> Self {
        Self::chat(SKY, &endless(&subject().model, &json!({"temperature": 0})))
    }

    /// The same with tokens drawn by a seed that the client gives.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self::chat(SKY, &endless(&subject().model, &json!({"temperature": 1.0, "seed": seed})))
    }

    /// The same with tokens drawn by a seed that the host draws.
    pub(crate) fn drawn() -> Self {
        Self::chat(SKY, &endless(&subject().model, &json!({"temperature": 1.0})))
    }

    pub(crate) fn hash(&self) -> RequestHash {
        request_hash(self.endpoint, &self.body, self.nonce, self.client)
    }

    /// What the request means to a host.
    pub(crate) fn jobs(&self, model: &Model) -> Vec<JobSpec> {
        let request = api::parse(self.endpoint, &self.body).unwrap();
        request.jobs(model.tokenizer(), model.template().ok(), model.config().context_length, STARTED).unwrap()
    }
}

/// `extra` with a bias that keeps the answer from ending.
pub(crate) fn endless(model: &Model, extra: &Value) -> Value {
    let bias: serde_json::Map<String, Value> =
        model.tokenizer().ends().iter().map(|token| (token.to_string(), json!(-100))).collect();
    let mut extra = extra.clone();
    extra.as_object_mut().unwrap().insert("logit_bias".to_owned(), Value::Object(bias));
    extra
}
