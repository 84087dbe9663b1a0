//! Chat completions.

use api::Request;
use api::response::chat::{
    AnswerMessage, ChatChoice, ChatChunk, ChatCompletion, ChatLogprobs, ChatTokenLogprob, ChunkChoice, Delta,
    WireToolCall,
};
use api::response::{Candor, Usage};
use api::tool_calls::{Piece, ToolMode, ToolStream, split};
use claim::ChoiceIndex;
use host::event::TokenLogprob;

use super::stream::{self, Draft, Frames};
use super::whole::{Said, json};
use super::{Ended, Identity, logprobs, mention, usage};

/// The body of a whole answer.
pub(super) fn whole(request: &Request, identity: &Identity, said: Vec<Said>, ended: &[Ended], usage: Usage) -> Vec<u8> {
    let mode = ToolMode::of(request);
    let choices = said.into_iter().zip(ended).map(|(said, ended)| {
        let index = ended.choice.get();
        let (content, calls) = match mode {
            ToolMode::Off => (Some(said.text), Vec::new()),
            mode => split(mode, &identity.call_prefix(index), &said.text),
        };
        ChatChoice {
            index,
            finish_reason: ended.reason(calls.len() as u32),
            message: AnswerMessage {
                role: "assistant",
                content,
                refusal: None,
                tool_calls: calls.into_iter().map(|call| WireToolCall::new(call, None)).collect(),
            },
            logprobs: request.logprobs.map(|_| {
                let content = said.logprobs.into_iter().map(logprobs::chat).collect();
                ChatLogprobs { content, refusal: None }
            }),
        }
    });
    json(&ChatCompletion {
        id: &identity.id,
        object: "chat.completion",
        created: identity.created,
        model: &request.model,
        system_fingerprint: &identity.fingerprint,
        choices: choices.collect(),
        usage,
        candor: mention(ended),
    })
}

/// The chunks of a stream.
pub(super) struct ChatFrames {
    request: Request,
    identity: Identity,
    choices: Vec<Choice>,
}

/// What is held back for one choice.
struct Choice {
    tools: Option<ToolStream>,
    calls: u32,
    logprobs: Vec<ChatTokenLogprob>,
    draft: Draft,
}

impl ChatFrames {
    pub(super) fn new(request: Request, identity: Identity, choices: u32) -> Self {
        let mode = ToolMode::of(&request);
        let choice = |index| Choice {
            tools: Some(ToolStream::new(mode, &identity.call_prefix(index))),
            calls: 0,
            logprobs: Vec::new(),
            draft: Draft::default(),
        };
        Self { choices: (0..choices).map(choice).collect(), request, identity }
    }

    fn chunk<'a>(
        &'a self,
        choices: Vec<ChunkChoice<'a>>,
        usage: Option<Usage>,
        candor: Option<Candor>,
    ) -> ChatChunk<'a> {
        ChatChunk {
            id: &self.identity.id,
            object: "chat.completion.chunk",
            created: self.identity.created,
            model: &self.request.model,
            system_fingerprint: &self.identity.fingerprint,
            choices,
            usage: self.request.include_usage.then_some(usage),
            candor,
        }
    }

    /// Sends a delta, with whatever is held back for its choice.
    fn delta(&mut self, index: u32, delta: Delta<'_>, out: &mut Vec<u8>) {
        let choice = &mut self.choices[index as usize];
        let content = std::mem::take(&mut choice.logprobs);
        let candor = choice.draft.take();
        let logprobs = (!content.is_empty()).then_some(ChatLogprobs { content, refusal: None });
        stream::data(out, &self.chunk(vec![ChunkChoice { index, delta, logprobs, finish_reason: None }], None, candor));
    }

    fn pieces(&mut self, index: u32, pieces: Vec<Piece>, out: &mut Vec<u8>) {
        for piece in pieces {
            match piece {
                Piece::Text(text) => self.delta(index, Delta { content: Some(&text), ..Delta::default() }, out),
                Piece::Call(call) => {
                    let choice = &mut self.choices[index as usize];
                    let call = WireToolCall::new(call, Some(choice.calls));
                    choice.calls += 1;
                    self.delta(index, Delta { tool_calls: vec![call], ..Delta::default() }, out);
                }
            }
        }
    }
}

impl Frames for ChatFrames {
    fn begin(&mut self, out: &mut Vec<u8>) {
        for index in 0..self.choices.len() as u32 {
            self.delta(
                index,
                Delta { role: Some("assistant"), content: Some(""), refusal: Some(None), ..Delta::default() },
                out,
            );
        }
    }

    fn echo(&mut self, _: ChoiceIndex, _: &str, _: Vec<TokenLogprob>, _: &mut Vec<u8>) {}

    fn token(&mut self, choice: ChoiceIndex, text: &str, logprob: Option<TokenLogprob>, out: &mut Vec<u8>) {
        let index = choice.get();
        let place = &mut self.choices[index as usize];
        place.logprobs.extend(logprob.map(logprobs::chat));
        let pieces = place.tools.as_mut().map(|tools| tools.push(text)).unwrap_or_default();
        self.pieces(index, pieces, out);
    }

    fn draft(&mut self, choice: ChoiceIndex) -> &mut Draft {
        &mut self.choices[choice.get() as usize].draft
    }

    fn tail(&mut self, choice: ChoiceIndex, tail: &str, out: &mut Vec<u8>) {
        let index = choice.get();
        let place = &mut self.choices[index as usize];
        if let Some(mut tools) = place.tools.take() {
            let mut pieces = tools.push(tail);
            pieces.extend(tools.finish());
            self.pieces(index, pieces, out);
        }
        if !self.choices[index as usize].logprobs.is_empty() {
            self.delta(index, Delta { content: Some(""), ..Delta::default() }, out);
        }
    }

    fn close(&mut self, ended: &[Ended], is_last: bool, out: &mut Vec<u8>) {
        let Some(last) = ended.last() else { return };
        let index = last.choice.get();
        let finish_reason = Some(last.reason(self.choices[index as usize].calls));
        let choice = ChunkChoice { index, delta: Delta::default(), logprobs: None, finish_reason };
        // The receipts are in the last chunk, which is the one that counts tokens where that was asked for.
        let with_usage = self.request.include_usage;
        let candor = (is_last && !with_usage).then(|| mention(ended));
        stream::data(out, &self.chunk(vec![choice], None, candor));
        if is_last {
            if with_usage {
                let usage = usage(ended, self.request.n);
                stream::data(out, &self.chunk(Vec::new(), Some(usage), Some(mention(ended))));
            }
            stream::done(out);
        }
    }
}
