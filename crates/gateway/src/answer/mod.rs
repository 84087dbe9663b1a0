//! From a request's bytes to its answer, whole or as a stream.

mod chat;
mod logprobs;
mod responses;
mod stream;
mod text;
mod whole;

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use api::ApiError;
use api::response::{Candor, ReceiptMention, Usage};
use axum::body::Body;
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use claim::{Address, ChoiceIndex, Endpoint, Finish, Nonce, ReceiptId, RequestHash, request_hash};
use host::event::{Answer, Done};
use host::till::Tab;

use crate::fault::Fault;
use crate::payment;
use crate::routes::Shared;
use crate::store::{StoredReceipt, Terms};
use crate::wire::{self, Received};

/// Bodies from this size on are parsed on a thread of their own: tokenising them takes longer than other connections
/// should wait.
const LARGE_BODY_BYTES: usize = 32 << 10;

/// Answers one request.
pub(crate) async fn handle(
    endpoint: Endpoint,
    shared: Arc<Shared>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Fault> {
    let started = Instant::now();
    let nonce = wire::nonce(headers)?;
    let client = wire::client(headers)?;
    let body = shared.bodies.receive(body).await?;
    let request = request_hash(endpoint, &body.bytes, nonce, client);
    let tab = payment::admit(&shared, headers, client, request).await?;
    let answer = submit(endpoint, &shared, body.bytes.clone(), nonce, client, tab).await?;
    let identity = Identity::new(endpoint, &answer)?;
    let asked = Asked { request, terms: advertised(&shared, &answer.request.model)? };
    let open = Open::new(shared, started, asked, body);
    let mut response = if answer.request.stream {
        stream::respond(answer, identity, open)
    } else {
        whole::respond(answer, identity, open).await?
    };
    response.headers_mut().insert(wire::NONCE, wire::ascii(&nonce.to_string()));
    Ok(response)
}

async fn submit(
    endpoint: Endpoint,
    shared: &Arc<Shared>,
    body: Bytes,
    nonce: Nonce,
    client: Option<Address>,
    tab: Option<Tab>,
) -> Result<Answer, ApiError> {
    if body.len() < LARGE_BODY_BYTES {
        return shared.host.submit(endpoint, body, nonce, client, tab.as_ref());
    }
    let host = Arc::clone(&shared.host);
    let submitting = tokio::task::spawn_blocking(move || host.submit(endpoint, body, nonce, client, tab.as_ref()));
    submitting.await.map_err(|error| {
        tracing::error!(%error, "gateway.submit_panicked");
        ApiError::Internal
    })?
}

/// What is advertised for the model that a request names.
fn advertised(shared: &Shared, model: &str) -> Result<Terms, ApiError> {
    let models = shared.host.models();
    let found = models.into_iter().find(|served| served.answers_to(model));
    let served = found.ok_or_else(|| ApiError::ModelNotFound { model: model.to_owned() })?;
    Ok(Terms { model_root: served.root, host: served.host, price: served.price })
}

/// What a host must answer to.
#[derive(Debug, Clone, Copy)]
struct Asked {
    request: RequestHash,
    terms: Terms,
}

impl Asked {
    /// Takes what a host hands over for a choice, if it is that: a receipt for this request, with evidence that opens it.
    /// Later nobody could tell who broke evidence that does not. A receipt that opens and lies is taken in, for it is what
    /// the host will be refuted by.
    fn take(self, done: Done) -> Result<StoredReceipt, ApiError> {
        let Done { choice, receipt, evidence, .. } = done;
        let unsound = |problem: String| {
            tracing::error!(%problem, host = %receipt.receipt.host, "gateway.host_unsound");
            ApiError::HostUnsound { problem }
        };
        if let Err(part) = court::opens(&receipt, &evidence) {
            receipt.verify().map_err(|_| unsound("the host has not signed its receipt".to_owned()))?;
            return Err(unsound(format!("the {} that the host handed over is not what it signed", part.name())));
        }
        if receipt.receipt.request_hash != self.request || receipt.receipt.choice != choice {
            return Err(unsound("the host's receipt is for another request".to_owned()));
        }
        Ok(StoredReceipt { receipt, terms: self.terms, evidence })
    }
}

/// What every part of one answer repeats.
#[derive(Debug)]
pub(crate) struct Identity {
    /// Random hexadecimal digits that the ids of the answer's parts share.
    pub(crate) unique: String,
    /// Id of the answer.
    pub(crate) id: String,
    /// Unix time in seconds.
    pub(crate) created: u64,
    /// Start of the model root.
    pub(crate) fingerprint: String,
}

impl Identity {
    fn new(endpoint: Endpoint, answer: &Answer) -> Result<Self, ApiError> {
        let unique = u128::from_be_bytes(wire::random()?);
        let unique = format!("{unique:032x}");
        let prefix = match endpoint {
            Endpoint::Chat => "chatcmpl-",
            Endpoint::Completions => "cmpl-",
            Endpoint::Responses => "resp_",
        };
        let [a, b, c, d, e, f, ..] = *answer.model_root.as_bytes();
        Ok(Self {
            id: format!("{prefix}{unique}"),
            unique,
            created: now_s(),
            fingerprint: format!("fp_{a:02x}{b:02x}{c:02x}{d:02x}{e:02x}{f:02x}"),
        })
    }

    /// Prefix of the ids of the tool calls of one choice.
    pub(crate) fn call_prefix(&self, choice: u32) -> String {
        format!("{}_{choice}_", self.unique)
    }
}

/// Unix time in seconds.
pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// An answer in the making, for the counters: dropped early, it counts as abandoned.
pub(crate) struct Open {
    pub(crate) shared: Arc<Shared>,
    asked: Asked,
    /// Held for the room that it takes.
    _body: Received,
    started: Instant,
    first_token: bool,
    finished: bool,
}

impl Open {
    fn new(shared: Arc<Shared>, started: Instant, asked: Asked, body: Received) -> Self {
        shared.metrics.answers_begun.add(1);
        Self { shared, asked, _body: body, started, first_token: false, finished: false }
    }

    /// A token has arrived.
    pub(crate) fn token(&mut self) {
        if !self.first_token {
            self.first_token = true;
            self.shared.metrics.first_token.record(self.started.elapsed());
        }
    }

    /// Parts a complete choice into what is told of it and what is stored.
    pub(crate) fn take(&self, mut done: Done) -> Result<(Ended, String, StoredReceipt), ApiError> {
        let (ended, tail) = (Ended::of(&done), std::mem::take(&mut done.tail));
        Ok((ended, tail, self.asked.take(done)?))
    }

    /// The answer has ended, well or not. Only the first call counts.
    pub(crate) fn finish(&mut self, usage: Option<Usage>) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        let metrics = &self.shared.metrics;
        metrics.answer.record(self.started.elapsed());
        if let Some(usage) = usage {
            metrics.prompt_tokens.add(usage.prompt_tokens);
            metrics.cached_tokens.add(usage.prompt_tokens_details.cached_tokens);
            metrics.output_tokens.add(usage.completion_tokens);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.finished {
            self.shared.metrics.answers_abandoned.add(1);
        }
        self.shared.metrics.answers_ended.add(1);
    }
}

/// What is left of a choice once its receipt is with the store.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    pub(crate) choice: ChoiceIndex,
    pub(crate) finish: Finish,
    pub(crate) receipt: ReceiptId,
    prompt_tokens: u32,
    cached_tokens: u32,
    output_tokens: u32,
}

impl Ended {
    fn of(done: &Done) -> Self {
        Self {
            choice: done.choice,
            finish: done.finish,
            receipt: done.receipt.id(),
            prompt_tokens: done.evidence.prompt.len() as u32,
            cached_tokens: done.cached.get(),
            output_tokens: done.evidence.output.len() as u32,
        }
    }

    /// OpenAI's word for why a choice ended. A full context is their `length` too.
    pub(crate) fn reason(&self, calls: u32) -> &'static str {
        match self.finish {
            Finish::Length | Finish::Context => "length",
            _ if calls > 0 => "tool_calls",
            _ => "stop",
        }
    }

    /// Whether the answer was cut at a limit.
    pub(crate) fn is_cut(&self) -> bool {
        matches!(self.finish, Finish::Length | Finish::Context)
    }
}

/// Names the receipts of ended choices, in the order of the choices.
pub(crate) fn mention(ended: &[Ended]) -> Candor {
    let mut receipts: Vec<ReceiptMention> = ended
        .iter()
        .map(|ended| ReceiptMention {
            choice: ended.choice.get(),
            id: ended.receipt.to_string(),
            finish: ended.finish.name(),
            tokens: ended.output_tokens,
        })
        .collect();
    receipts.sort_unstable_by_key(|mention| mention.choice);
    Candor { receipts, progress: None }
}

/// Counts tokens. A prompt with `n` answers counts once.
pub(crate) fn usage(ended: &[Ended], n: u32) -> Usage {
    let first = ended.iter().filter(|ended| ended.choice.get() % n == 0);
    let (prompt, cached) = first.fold((0, 0), |(prompt, cached), ended| {
        (prompt + u64::from(ended.prompt_tokens), cached + u64::from(ended.cached_tokens))
    });
    Usage::new(prompt, cached, ended.iter().map(|ended| u64::from(ended.output_tokens)).sum())
}
