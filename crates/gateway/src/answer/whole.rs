//! Answers in one piece.

use api::ApiError;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use host::event::{Answer, HostEvent, TokenLogprob};

use super::{Ended, Identity, Open, chat, responses, text, usage};
use crate::fault::Fault;
use crate::store::StoredReceipt;
use crate::wire;

/// Everything that was said for one choice.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// The echoed prompt.
    pub(crate) echo: String,
    /// The answer.
    pub(crate) text: String,
    /// Log probabilities of the echoed prompt and of the answer.
    pub(crate) logprobs: Vec<TokenLogprob>,
}

/// Waits for the whole answer and its receipts.
pub(super) async fn respond(mut answer: Answer, identity: Identity, mut open: Open) -> Result<Response, Fault> {
    let (said, mut ended, receipts) = match gather(&mut answer, &mut open).await {
        Ok(gathered) => gathered,
        Err(error) => {
            open.finish(None);
            return Err(Fault(error));
        }
    };
    if let Err(error) = open.shared.store.put(&receipts).await {
        open.finish(None);
        return Err(Fault(error.to_api()));
    }
    ended.sort_unstable_by_key(|ended| ended.choice);
    let usage = usage(&ended, answer.request.n);
    let body = match answer.request.endpoint {
        claim::Endpoint::Chat => chat::whole(&answer.request, &identity, said, &ended, usage),
        claim::Endpoint::Completions => text::whole(&answer.request, &identity, said, &ended, usage),
        claim::Endpoint::Responses => responses::whole(answer.request, identity, said, &ended, usage),
    };
    let mut response = ([(CONTENT_TYPE, "application/json")], body).into_response();
    let headers = response.headers_mut();
    if let Some(first) = ended.first() {
        headers.insert(wire::RECEIPT, wire::ascii(&first.receipt.to_string()));
    }
    if ended.len() > 1 {
        let ids: Vec<String> = ended.iter().map(|ended| ended.receipt.to_string()).collect();
        headers.insert(wire::RECEIPTS, wire::ascii(&ids.join(",")));
    }
    open.finish(Some(usage));
    Ok(response)
}

async fn gather(answer: &mut Answer, open: &mut Open) -> Result<(Vec<Said>, Vec<Ended>, Vec<StoredReceipt>), ApiError> {
    let choices = answer.choices as usize;
    let mut said: Vec<Said> = std::iter::repeat_with(Said::default).take(choices).collect();
    let (mut ended, mut receipts) = (Vec::with_capacity(choices), Vec::with_capacity(choices));
    while ended.len() < choices {
        let Some(event) = answer.events.recv().await else {
            tracing::error!(missing = choices - ended.len(), "gateway.answer_broke_off");
            return Err(ApiError::Internal);
        };
        match event {
            HostEvent::Echo { choice, text, logprobs } => {
                let place = place(&mut said, choice)?;
                place.echo = text;
                place.logprobs = logprobs;
            }
            HostEvent::Token { choice, text, logprob, .. } => {
                open.token();
                let place = place(&mut said, choice)?;
                place.text.push_str(&text);
                place.logprobs.extend(logprob.map(|logprob| *logprob));
            }
            HostEvent::Progress(_) => {}
            HostEvent::Done(done) => {
                let (one, tail, receipt) = open.take(*done)?;
                place(&mut said, one.choice)?.text.push_str(&tail);
                ended.push(one);
                receipts.push(receipt);
            }
            HostEvent::Failed(error) => return Err(error),
        }
    }
    Ok((said, ended, receipts))
}

fn place(said: &mut [Said], choice: claim::ChoiceIndex) -> Result<&mut Said, ApiError> {
    said.get_mut(choice.get() as usize).ok_or_else(|| {
        tracing::error!(choice = choice.get(), "gateway.choice_out_of_range");
        ApiError::Internal
    })
}

/// Writes a body.
pub(crate) fn json(body: &impl serde::Serialize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 << 10);
    serde_json::to_writer(&mut bytes, body).expect("bodies have string keys only, and a vector takes every byte");
    bytes
}
