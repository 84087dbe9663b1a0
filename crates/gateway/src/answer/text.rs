//! Text completions.

use api::Request;
use api::response::completion::{TextChoice, TextCompletion, TextLogprobs};
use api::response::{Candor, Usage};
use claim::ChoiceIndex;
use host::event::TokenLogprob;

use super::logprobs::TextGatherer;
use super::stream::{self, Draft, Frames};
use super::whole::{Said, json};
use super::{Ended, Identity, mention, usage};

/// The body of a whole answer.
pub(super) fn whole(request: &Request, identity: &Identity, said: Vec<Said>, ended: &[Ended], usage: Usage) -> Vec<u8> {
    let texts: Vec<(String, Option<TextLogprobs>)> = said
        .into_iter()
        .map(|said| {
            let logprobs = request.logprobs.map(|top| {
                let mut gatherer = TextGatherer::new(top);
                for logprob in &said.logprobs {
                    gatherer.push(logprob);
                }
                gatherer.take()
            });
            (said.echo + &said.text, logprobs)
        })
        .collect();
    let choices = texts.iter().zip(ended).map(|((text, logprobs), ended)| TextChoice {
        text,
        index: ended.choice.get(),
        logprobs: logprobs.clone(),
        finish_reason: Some(ended.reason(0)),
    });
    json(&TextCompletion {
        choices: choices.collect(),
        usage: Some(Some(usage)),
        candor: Some(mention(ended)),
        ..empty(request, identity)
    })
}

/// A completion without choices.
fn empty<'a>(request: &'a Request, identity: &'a Identity) -> TextCompletion<'a> {
    TextCompletion {
        id: &identity.id,
        object: "text_completion",
        created: identity.created,
        model: &request.model,
        system_fingerprint: &identity.fingerprint,
        choices: Vec::new(),
        usage: None,
        candor: None,
    }
}

/// The chunks of a stream.
pub(super) struct TextFrames {
    request: Request,
    identity: Identity,
    choices: Vec<Choice>,
}

/// What is held back for one choice.
struct Choice {
    logprobs: Option<TextGatherer>,
    draft: Draft,
}

impl TextFrames {
    pub(super) fn new(request: Request, identity: Identity, choices: u32) -> Self {
        let choice = |_| Choice { logprobs: request.logprobs.map(TextGatherer::new), draft: Draft::default() };
        Self { choices: (0..choices).map(choice).collect(), request, identity }
    }

    fn chunk<'a>(
        &'a self,
        choices: Vec<TextChoice<'a>>,
        usage: Option<Usage>,
        candor: Option<Candor>,
    ) -> TextCompletion<'a> {
        let usage = self.request.include_usage.then_some(usage);
        TextCompletion { choices, usage, candor, ..empty(&self.request, &self.identity) }
    }

    /// Sends text, with whatever is held back for its choice; nothing if there is neither.
    fn text(&mut self, index: u32, text: &str, out: &mut Vec<u8>) {
        let choice = &mut self.choices[index as usize];
        let logprobs = choice.logprobs.as_mut().filter(|gatherer| !gatherer.is_empty()).map(TextGatherer::take);
        if text.is_empty() && logprobs.is_none() {
            return;
        }
        let candor = choice.draft.take();
        stream::data(out, &self.chunk(vec![TextChoice { text, index, logprobs, finish_reason: None }], None, candor));
    }

    fn gather(&mut self, index: u32, logprobs: impl IntoIterator<Item = TokenLogprob>) {
        if let Some(gatherer) = &mut self.choices[index as usize].logprobs {
            for logprob in logprobs {
                gatherer.push(&logprob);
            }
        }
    }
}

impl Frames for TextFrames {
    fn begin(&mut self, _: &mut Vec<u8>) {}

    fn echo(&mut self, choice: ChoiceIndex, text: &str, logprobs: Vec<TokenLogprob>, out: &mut Vec<u8>) {
        self.gather(choice.get(), logprobs);
        self.text(choice.get(), text, out);
    }

    fn token(&mut self, choice: ChoiceIndex, text: &str, logprob: Option<TokenLogprob>, out: &mut Vec<u8>) {
        self.gather(choice.get(), logprob);
        // Log probabilities of text that is held back travel with that text.
        if !text.is_empty() {
            self.text(choice.get(), text, out);
        }
    }

    fn draft(&mut self, choice: ChoiceIndex) -> &mut Draft {
        &mut self.choices[choice.get() as usize].draft
    }

    fn tail(&mut self, choice: ChoiceIndex, tail: &str, out: &mut Vec<u8>) {
        self.text(choice.get(), tail, out);
    }

    fn close(&mut self, ended: &[Ended], is_last: bool, out: &mut Vec<u8>) {
        let Some(last) = ended.last() else { return };
        let finish_reason = Some(last.reason(0));
        let choice = TextChoice { text: "", index: last.choice.get(), logprobs: None, finish_reason };
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
