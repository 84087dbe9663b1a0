//! Where each byte of a prompt came from.

use std::borrow::Cow;
use std::ops::Range;

use claim::{Origin, PromptToken};

use super::{Message, TemplateError};
use crate::tokenizer::specials::Specials;
use crate::tokenizer::{Special, Tokenizer};

/// A rendered prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// The origin of every byte: ranges in order that cover the text, none empty.
    pub spans: Vec<(Range<usize>, Origin)>,
    /// Offsets, ascending, that lie within the name of a control token which a client wrote.
    pub guards: Vec<usize>,
}

impl Rendered {
    /// The origin of the byte at `offset`.
    fn origin_at(&self, offset: usize) -> Origin {
        let after = self.spans.partition_point(|(range, _)| range.start <= offset);
        after.checked_sub(1).map_or(Origin::Template, |at| self.spans[at].1)
    }

    /// Whether the template itself wrote all bytes of a range, so that a control token may stand there.
    fn is_templates_own(&self, range: &Range<usize>) -> bool {
        let first = self.spans.partition_point(|(span, _)| span.end <= range.start);
        let touching = self.spans[first..].iter().take_while(|(span, _)| span.start < range.end);
        let guard = self.guards.partition_point(|&guard| guard <= range.start);
        let guarded = self.guards.get(guard).is_some_and(|&guard| guard < range.end);
        !guarded && touching.into_iter().all(|(_, origin)| *origin == Origin::Template)
    }
}

/// The tokens of a rendered prompt, each with the origin of the byte at which it starts. The template's markers become
/// control tokens; the same names in what a client wrote stay text. The start token is put first if the model expects
/// it and the template did not write it.
pub fn prompt_tokens(tokenizer: &Tokenizer, rendered: &Rendered) -> Vec<PromptToken> {
    let placed = tokenizer.encode_placed(&rendered.text, |range| rendered.is_templates_own(range));
    let mut prompt = Vec::with_capacity(placed.len() + 1);
    if let Some(bos) = tokenizer.bos().filter(|_| tokenizer.add_bos())
        && placed.first().is_none_or(|first| first.token != bos)
    {
        prompt.push(PromptToken::new(bos, Origin::Template));
    }
    prompt.extend(placed.iter().map(|placed| PromptToken::new(placed.token, rendered.origin_at(placed.start))));
    prompt
}

/// The tokens of a prompt without roles, as `/v1/completions` takes it: nothing in it is a control token but the start
/// token that the model expects.
pub fn raw_tokens(tokenizer: &Tokenizer, text: &str) -> Vec<PromptToken> {
    let bos = tokenizer.bos().filter(|_| tokenizer.add_bos()).map(|bos| PromptToken::new(bos, Origin::Template));
    let tokens = tokenizer.encode(text, Special::Text);
    bos.into_iter().chain(tokens.into_iter().map(|token| PromptToken::new(token, Origin::Raw))).collect()
}

/// Finds each message's content in the text, in order, and gives the rest to the template.
///
/// A template that trims or rewrites a content leaves only its trimmed form, or nothing, to be found.
pub(super) fn trace(text: &str, messages: &[Message]) -> Vec<(Range<usize>, Origin)> {
    let mut spans: Vec<(Range<usize>, Origin)> = Vec::new();
    let mut at = 0;
    for message in messages {
        let content = [message.content.as_str(), message.content.trim()];
        let found = content
            .iter()
            .filter(|content| !content.is_empty())
            .find_map(|content| text[at..].find(content).map(|start| at + start..at + start + content.len()));
        let Some(range) = found else { continue };
        if at < range.start {
            spans.push((at..range.start, Origin::Template));
        }
        at = range.end;
        spans.push((range, message.role.origin()));
    }
    if at < text.len() {
        spans.push((at..text.len(), Origin::Template));
    }
    spans
}

/// How many bytes a client sent.
pub(super) fn input_bytes(messages: &[Message], tools: Option<&serde_json::Value>) -> usize {
    let of_message = |message: &Message| {
        let calls = message.tool_calls.iter().map(|call| call.id.len() + call.name.len() + call.arguments.len());
        message.content.len() + message.name.as_ref().map_or(0, String::len) + calls.sum::<usize>()
    };
    messages.iter().map(of_message).sum::<usize>() + tools.map_or(0, |tools| tools.to_string().len())
}

/// Splits the names of control tokens in a client's text by a character that occurs nowhere in it.
#[derive(Debug)]
pub(super) struct Guard<'a> {
    specials: &'a Specials,
    mark: char,
}

impl<'a> Guard<'a> {
    pub(super) fn new(
        specials: &'a Specials,
        messages: &[Message],
        tools: Option<&serde_json::Value>,
    ) -> Result<Self, TemplateError> {
        let tools = tools.map(ToString::to_string);
        let texts = || {
            let calls = messages.iter().flat_map(|message| &message.tool_calls);
            let of_calls = calls.flat_map(|call| [&call.id, &call.name, &call.arguments]);
            let of_messages = messages.iter().map(|message| &message.content);
            let names = messages.iter().flat_map(|message| message.name.iter().chain(&message.tool_call_id));
            of_messages.chain(names).chain(of_calls).chain(&tools)
        };
        // An escape like `\ufdd0` in JSON text becomes the character once the text is parsed.
        let is_free = |mark: char| {
            let escaped = [format!("\\u{:04x}", u32::from(mark)), format!("\\u{:04X}", u32::from(mark))];
            !texts().any(|text| text.contains(mark) || escaped.iter().any(|escape| text.contains(escape.as_str())))
        };
        let mark = ('\u{fdd0}'..='\u{fdef}').find(|&mark| is_free(mark)).ok_or(TemplateError::NoGuard)?;
        Ok(Self { specials, mark })
    }

    pub(super) fn text(&self, text: &str) -> String {
        let names = self.specials.control_names(text);
        let mut guarded = String::with_capacity(text.len() + names.len() * self.mark.len_utf8());
        let mut at = 0;
        for start in names {
            let inside = start + text[start..].chars().next().map_or(0, char::len_utf8);
            guarded.push_str(&text[at..inside]);
            guarded.push(self.mark);
            at = inside;
        }
        guarded.push_str(&text[at..]);
        guarded
    }

    pub(super) fn json(&self, value: &serde_json::Value) -> serde_json::Value {
        match value {
            serde_json::Value::String(text) => self.text(text).into(),
            serde_json::Value::Array(items) => items.iter().map(|item| self.json(item)).collect(),
            serde_json::Value::Object(entries) => {
                entries.iter().map(|(key, value)| (self.text(key), self.json(value))).collect()
            }
            other => other.clone(),
        }
    }

    /// Takes the marks out and says where they were.
    pub(super) fn remove(&self, text: String) -> (String, Vec<usize>) {
        let text = Cow::<str>::Owned(text);
        if !text.contains(self.mark) {
            return (text.into_owned(), Vec::new());
        }
        let mut plain = String::with_capacity(text.len());
        let mut guards = Vec::new();
        for (index, part) in text.split(self.mark).enumerate() {
            if index > 0 {
                guards.push(plain.len());
            }
            plain.push_str(part);
        }
        (plain, guards)
    }
}
