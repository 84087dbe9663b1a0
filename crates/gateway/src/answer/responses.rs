//! Responses: output items, and the events that build them up.

use api::response::Usage;
use api::response::chat::ChatTokenLogprob;
use api::response::responses::{
    IncompleteDetails, OutputItem, OutputPart, ResponseEvent, ResponseFault, ResponseObject, StreamEvent,
};
use api::tool_calls::{Piece, ToolMode, ToolStream};
use api::{ApiError, Request};
use claim::ChoiceIndex;
use host::event::TokenLogprob;
use model::template::ToolCall;

use super::stream::{Draft, Frames};
use super::whole::{Said, json};
use super::{Ended, Identity, logprobs, mention, now_s, usage};

/// The body of a whole answer: what a stream would build up, without its events.
pub(super) fn whole(request: Request, identity: Identity, said: Vec<Said>, ended: &[Ended], usage: Usage) -> Vec<u8> {
    let mut frames = ResponseFrames::new(request, identity);
    let mut events = Vec::new();
    for Said { text, logprobs, .. } in said {
        frames.logprobs = logprobs.into_iter().map(logprobs::chat).collect();
        frames.tail(ChoiceIndex::new(0), &text, &mut events);
    }
    json(&frames.ended(ended, usage))
}

/// The events of a stream.
pub(super) struct ResponseFrames {
    request: Request,
    identity: Identity,
    tools: Option<ToolStream>,
    sequence: u64,
    /// Items that are whole.
    items: Vec<OutputItem>,
    message: Option<OpenMessage>,
    /// White space around calls, which begins no message.
    space: String,
    /// Log probabilities of tokens whose text is held back.
    logprobs: Vec<ChatTokenLogprob>,
    draft: Draft,
}

/// A message that more text can be appended to.
struct OpenMessage {
    id: String,
    text: String,
    logprobs: Vec<ChatTokenLogprob>,
}

impl ResponseFrames {
    pub(super) fn new(request: Request, identity: Identity) -> Self {
        let tools = ToolStream::new(ToolMode::of(&request), &identity.call_prefix(0));
        Self {
            request,
            identity,
            tools: Some(tools),
            sequence: 0,
            items: Vec::new(),
            message: None,
            space: String::new(),
            logprobs: Vec::new(),
            draft: Draft::default(),
        }
    }

    /// The object as it was when the answer began.
    fn object(&self) -> ResponseObject<'_> {
        ResponseObject::begun(&self.identity.id, &self.request, self.identity.created)
    }

    /// The object of a complete answer.
    fn ended(&self, ended: &[Ended], usage: Usage) -> ResponseObject<'_> {
        let is_cut = ended.iter().any(Ended::is_cut);
        ResponseObject {
            status: if is_cut { "incomplete" } else { "completed" },
            completed_at: (!is_cut).then(now_s),
            incomplete_details: is_cut.then_some(IncompleteDetails { reason: "max_output_tokens" }),
            output: self.items.clone(),
            usage: Some(usage.into()),
            candor: Some(mention(ended)),
            ..self.object()
        }
    }

    /// Place of the item that is being built.
    fn index(&self) -> u32 {
        self.items.len() as u32
    }

    fn pieces(&mut self, pieces: Vec<Piece>, out: &mut Vec<u8>) {
        for piece in pieces {
            match piece {
                Piece::Text(text) if self.message.is_none() && text.trim().is_empty() => self.space.push_str(&text),
                Piece::Text(text) => self.text(&text, out),
                Piece::Call(call) => {
                    self.close_message("completed", out);
                    self.space.clear();
                    self.call(&call, out);
                }
            }
        }
    }

    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        let output_index = self.index();
        let logprobs = std::mem::take(&mut self.logprobs);
        let candor = self.draft.take();
        let message = if let Some(message) = &mut self.message {
            message
        } else {
            let id = format!("msg_{}_{output_index}", self.identity.unique);
            let item = OutputItem::message(id.clone(), "in_progress", None);
            event(&mut self.sequence, out, ResponseEvent::OutputItemAdded { output_index, item: &item });
            let part = OutputPart::text(String::new(), Vec::new());
            let added = ResponseEvent::ContentPartAdded { item_id: &id, output_index, content_index: 0, part: &part };
            event(&mut self.sequence, out, added);
            self.message.insert(OpenMessage { id, text: String::new(), logprobs: Vec::new() })
        };
        let delta = std::mem::take(&mut self.space) + text;
        message.text.push_str(&delta);
        let delta = ResponseEvent::OutputTextDelta {
            item_id: &message.id,
            output_index,
            content_index: 0,
            delta: &delta,
            logprobs: &logprobs,
            candor,
        };
        event(&mut self.sequence, out, delta);
        message.logprobs.extend(logprobs);
    }

    fn close_message(&mut self, status: &'static str, out: &mut Vec<u8>) {
        let output_index = self.index();
        let Some(OpenMessage { id, text, logprobs }) = self.message.take() else { return };
        let (item_id, content_index) = (id.as_str(), 0);
        let done =
            ResponseEvent::OutputTextDone { item_id, output_index, content_index, text: &text, logprobs: &logprobs };
        event(&mut self.sequence, out, done);
        let part = OutputPart::text(text, logprobs);
        let done = ResponseEvent::ContentPartDone { item_id, output_index, content_index, part: &part };
        event(&mut self.sequence, out, done);
        let item = OutputItem::message(id, status, Some(part));
        event(&mut self.sequence, out, ResponseEvent::OutputItemDone { output_index, item: &item });
        self.items.push(item);
    }

    fn call(&mut self, call: &ToolCall, out: &mut Vec<u8>) {
        let output_index = self.index();
        let id = format!("fc_{}_{output_index}", self.identity.unique);
        let item = OutputItem::function_call(id.clone(), call, "in_progress");
        event(&mut self.sequence, out, ResponseEvent::OutputItemAdded { output_index, item: &item });
        let (item_id, name, arguments) = (id.as_str(), call.name.as_str(), call.arguments.as_str());
        let delta = ResponseEvent::FunctionCallArgumentsDelta { item_id, output_index, delta: arguments };
        event(&mut self.sequence, out, delta);
        let done = ResponseEvent::FunctionCallArgumentsDone { item_id, output_index, name, arguments };
        event(&mut self.sequence, out, done);
        let item = OutputItem::function_call(id, call, "completed");
        event(&mut self.sequence, out, ResponseEvent::OutputItemDone { output_index, item: &item });
        self.items.push(item);
    }
}

/// Appends one named event with its number.
fn event(sequence: &mut u64, out: &mut Vec<u8>, event: ResponseEvent<'_>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(event.name().as_bytes());
    out.push(b'\n');
    super::stream::data(out, &StreamEvent { event, sequence_number: *sequence });
    *sequence += 1;
}

impl Frames for ResponseFrames {
    fn begin(&mut self, out: &mut Vec<u8>) {
        let mut sequence = self.sequence;
        let response = self.object();
        event(&mut sequence, out, ResponseEvent::Created { response: &response });
        event(&mut sequence, out, ResponseEvent::InProgress { response: &response });
        self.sequence = sequence;
    }

    fn echo(&mut self, _: ChoiceIndex, _: &str, _: Vec<TokenLogprob>, _: &mut Vec<u8>) {}

    fn token(&mut self, _: ChoiceIndex, text: &str, logprob: Option<TokenLogprob>, out: &mut Vec<u8>) {
        self.logprobs.extend(logprob.map(logprobs::chat));
        let pieces = self.tools.as_mut().map(|tools| tools.push(text)).unwrap_or_default();
        self.pieces(pieces, out);
    }

    fn draft(&mut self, _: ChoiceIndex) -> &mut Draft {
        &mut self.draft
    }

    fn tail(&mut self, _: ChoiceIndex, tail: &str, out: &mut Vec<u8>) {
        if let Some(mut tools) = self.tools.take() {
            let mut pieces = tools.push(tail);
            pieces.extend(tools.finish());
            self.pieces(pieces, out);
        }
        // Every answer has an item, and every log probability a place.
        let is_silent = self.items.is_empty() && self.message.is_none();
        if is_silent || (self.message.is_some() && !self.logprobs.is_empty()) {
            self.text("", out);
        }
        self.close_message("completed", out);
    }

    fn close(&mut self, ended: &[Ended], _: bool, out: &mut Vec<u8>) {
        let mut sequence = self.sequence;
        let response = self.ended(ended, usage(ended, 1));
        let closing = if response.status == "incomplete" {
            ResponseEvent::Incomplete { response: &response }
        } else {
            ResponseEvent::Completed { response: &response }
        };
        event(&mut sequence, out, closing);
        self.sequence = sequence;
    }

    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        let mut sequence = self.sequence;
        // This endpoint has a list of codes of its own.
        let code = match error.status() {
            429 => "rate_limit_exceeded",
            500.. => "server_error",
            _ => "invalid_prompt",
        };
        let fault = ResponseFault { code, message: error.to_string() };
        let response =
            ResponseObject { status: "failed", error: Some(fault), output: self.items.clone(), ..self.object() };
        event(&mut sequence, out, ResponseEvent::Failed { response: &response });
        self.sequence = sequence;
    }
}
