//! Answers as server-sent events.
//!
//! Everything that is at hand goes out in one write; nothing waits for more. A choice's closing event waits until its
//! receipt is on disk, while the text before it is already on its way. A client that goes away drops the stream and with
//! it the queue of events, which is how the host learns of it.

use std::convert::Infallible;
use std::time::Duration;

use api::response::{self, Candor};
use api::{ApiError, Request};
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use claim::{ChoiceIndex, Endpoint, TokenId};
use host::event::{Answer, HostEvent, Progress, TokenLogprob};
use tokio::time::{Instant, sleep_until};

use super::{Ended, Identity, Open, chat, responses, text, usage};
use crate::store::StoredReceipt;

/// How often a comment shows proxies and clients that a silent stream is alive, as during a long prefill.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Most events whose frames go out in one write.
const EVENTS_AT_ONCE_MAX: usize = 128;

/// Turns events into the frames of one endpoint. Frames are appended to `out`.
pub(crate) trait Frames: Send {
    /// The stream begins.
    fn begin(&mut self, out: &mut Vec<u8>);
    /// The prompt is repeated.
    fn echo(&mut self, choice: ChoiceIndex, text: &str, logprobs: Vec<TokenLogprob>, out: &mut Vec<u8>);
    /// Text was said; it may be empty.
    fn token(&mut self, choice: ChoiceIndex, text: &str, logprob: Option<TokenLogprob>, out: &mut Vec<u8>);
    /// What is signed of a choice and waits to be sent with the choice's next text.
    fn draft(&mut self, choice: ChoiceIndex) -> &mut Draft;
    /// A choice says no more after `tail`; its receipt is not stored yet.
    fn tail(&mut self, choice: ChoiceIndex, tail: &str, out: &mut Vec<u8>);
    /// The receipt of the last of `ended` is stored; `is_last` when all choices have ended.
    fn close(&mut self, ended: &[Ended], is_last: bool, out: &mut Vec<u8>);
    /// The answer failed.
    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        data(out, &error.body());
    }
}

fn frames(request: Request, identity: Identity, choices: u32) -> Box<dyn Frames> {
    match request.endpoint {
        Endpoint::Chat => Box::new(chat::ChatFrames::new(request, identity, choices)),
        Endpoint::Completions => Box::new(text::TextFrames::new(request, identity, choices)),
        Endpoint::Responses => Box::new(responses::ResponseFrames::new(request, identity)),
    }
}

/// Answers with a stream.
pub(super) fn respond(answer: Answer, identity: Identity, open: Open) -> Response {
    let headers = [(CONTENT_TYPE, "text/event-stream; charset=utf-8"), (CACHE_CONTROL, "no-cache")];
    (headers, Body::from_stream(run(answer, identity, open))).into_response()
}

fn run(
    answer: Answer,
    identity: Identity,
    mut open: Open,
) -> impl futures_util::Stream<Item = Result<Bytes, Infallible>> + Send {
    let Answer { request, choices, mut events, .. } = answer;
    let n = request.n;
    let mut frames = frames(request, identity, choices);
    async_stream::stream! {
        let mut turn = Turn { choices, ..Turn::default() };
        frames.begin(&mut turn.out);
        yield Ok(turn.take());
        let alive = sleep_until(Instant::now() + KEEP_ALIVE);
        tokio::pin!(alive);
        while !turn.is_over() {
            tokio::select! {
                biased;
                event = events.recv() => turn.take_in(event, &mut *frames, &mut open),
                () = &mut alive => {
                    turn.out.extend_from_slice(b": waiting\n\n");
                    alive.as_mut().reset(Instant::now() + KEEP_ALIVE);
                }
            }
            // A host that is faster than this loop must not keep it from sending.
            let mut at_once = 1;
            while at_once < EVENTS_AT_ONCE_MAX && !turn.is_over() && let Ok(event) = events.try_recv() {
                turn.take_in(Some(event), &mut *frames, &mut open);
                at_once += 1;
            }
            turn.settle(&mut open, n);
            if !turn.out.is_empty() {
                yield Ok(turn.take());
            }
            if !turn.receipts.is_empty() {
                let stored = open.shared.store.put(&turn.receipts).await;
                turn.close(stored.map_err(|error| error.to_api()), &mut *frames);
                turn.settle(&mut open, n);
                yield Ok(turn.take());
            }
        }
    }
}

/// What has happened and is not sent yet.
#[derive(Default)]
struct Turn {
    choices: u32,
    out: Vec<u8>,
    /// Choices that have ended and whose receipts are stored.
    ended: Vec<Ended>,
    /// Choices that have ended and whose receipts are not stored yet, with those receipts.
    ending: Vec<Ended>,
    receipts: Vec<StoredReceipt>,
    failed: Option<ApiError>,
}

impl Turn {
    fn is_over(&self) -> bool {
        self.failed.is_some() || self.ended.len() == self.choices as usize
    }

    /// Counts the answer once it is over. That is before its last frames are sent: a client may hang up on them.
    fn settle(&self, open: &mut Open, n: u32) {
        if self.is_over() {
            open.finish(self.failed.is_none().then(|| usage(&self.ended, n)));
        }
    }

    fn take(&mut self) -> Bytes {
        Bytes::from(std::mem::take(&mut self.out))
    }

    fn take_in(&mut self, event: Option<HostEvent>, frames: &mut dyn Frames, open: &mut Open) {
        let event = event.unwrap_or_else(|| {
            tracing::error!("gateway.answer_broke_off");
            HostEvent::Failed(ApiError::Internal)
        });
        match event {
            HostEvent::Echo { choice, text, logprobs } if self.knows(choice) => {
                frames.echo(choice, &text, logprobs, &mut self.out);
            }
            HostEvent::Token { choice, token, text, logprob } if self.knows(choice) => {
                open.token();
                frames.draft(choice).push(token);
                frames.token(choice, &text, logprob.map(|logprob| *logprob), &mut self.out);
            }
            HostEvent::Progress(progress) if self.knows(progress.choice) => {
                frames.draft(progress.choice).sign(*progress);
            }
            HostEvent::Done(done) if self.knows(done.choice) => match open.take(*done) {
                Ok((ended, tail, receipt)) => {
                    frames.tail(ended.choice, &tail, &mut self.out);
                    self.ending.push(ended);
                    self.receipts.push(receipt);
                }
                Err(error) => self.fail(error, frames),
            },
            HostEvent::Failed(error) => self.fail(error, frames),
            _ => {
                tracing::error!("gateway.choice_out_of_range");
                self.fail(ApiError::Internal, frames);
            }
        }
    }

    fn knows(&self, choice: ChoiceIndex) -> bool {
        choice.get() < self.choices
    }

    fn fail(&mut self, error: ApiError, frames: &mut dyn Frames) {
        frames.fail(&error, &mut self.out);
        self.failed = Some(error);
    }

    /// Closes the choices whose receipts were put.
    fn close(&mut self, stored: Result<(), ApiError>, frames: &mut dyn Frames) {
        self.receipts.clear();
        match stored {
            // An answer that has failed closes nothing; what the host signed until then is kept.
            _ if self.failed.is_some() => return,
            Err(error) => return self.fail(error, frames),
            Ok(()) => {}
        }
        for ended in std::mem::take(&mut self.ending) {
            self.ended.push(ended);
            let is_last = self.ended.len() == self.choices as usize;
            frames.close(&self.ended, is_last, &mut self.out);
        }
    }
}

/// What is signed of an open choice and not sent yet.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// Tokens since the last progress that was sent.
    tokens: Vec<TokenId>,
    /// The progress to send, and how many of the tokens it is for.
    signed: Option<(Progress, usize)>,
}

impl Draft {
    /// A token was drawn.
    fn push(&mut self, token: TokenId) {
        self.tokens.push(token);
    }

    /// The host signed for all tokens that were pushed. A progress that was not sent yet is superseded.
    fn sign(&mut self, progress: Progress) {
        self.signed = Some((progress, self.tokens.len()));
    }

    /// What goes out with the next text: it is for the text before that.
    pub(crate) fn take(&mut self) -> Option<Candor> {
        let (Progress { choice, receipt, seed_proof }, count) = self.signed.take()?;
        let tokens: Vec<TokenId> = self.tokens.drain(..count).collect();
        let progress = response::Progress::new(choice, &receipt, &tokens, seed_proof);
        Some(Candor { receipts: Vec::new(), progress: Some(Box::new(progress)) })
    }
}

/// Appends one event of data.
pub(crate) fn data(out: &mut Vec<u8>, body: &impl serde::Serialize) {
    out.extend_from_slice(b"data: ");
    serde_json::to_writer(&mut *out, body).expect("bodies have string keys only, and a vector takes every byte");
    out.extend_from_slice(b"\n\n");
}

/// Appends the mark that ends a stream.
pub(crate) fn done(out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: [DONE]\n\n");
}
