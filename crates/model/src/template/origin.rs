//! Where each byte of a prompt came from.

use std::ops::Range;

use claim::{Origin, PromptToken};

use super::{Marking, Message, Role, TemplateError};
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

/// Looks for each message's content in the text, in order: for templates that the marks disturb.
///
/// A content that the template trims is found in its trimmed form, one that it rewrites is not found.
pub(super) fn search(
    text: &str,
    guards: &[usize],
    guard: &Guard<'_>,
    messages: &[Message],
) -> Vec<(Range<usize>, Origin)> {
    let mut spans: Vec<(Range<usize>, Origin)> = Vec::new();
    let mut at = 0;
    for message in messages {
        let forms = [message.content.as_str(), message.content.trim()];
        let mut forms = forms.iter().filter(|form| !form.is_empty());
        let Some(range) = forms.find_map(|form| find_guarded(text, at, guards, form, &guard.split_points(form))) else {
            continue;
        };
        at = range.end;
        spans.push((range, message.role.origin()));
    }
    spans
}

/// The first occurrence of a client's text at which the split points are where its own would be. Those of the
/// template's own words are elsewhere or missing.
fn find_guarded(text: &str, from: usize, guards: &[usize], form: &str, split_points: &[usize]) -> Option<Range<usize>> {
    text[from..].match_indices(form).map(|(start, _)| from + start).find_map(|start| {
        let first = guards.partition_point(|&guard| guard < start);
        let inside = guards[first..].iter().take_while(|&&guard| guard <= start + form.len());
        let fits = inside.map(|&guard| guard - start).eq(split_points.iter().copied());
        fits.then(|| start..start + form.len())
    })
}

/// Gives to the template what lies between the spans.
pub(super) fn with_templates_part(spans: Vec<(Range<usize>, Origin)>, text: &str) -> Vec<(Range<usize>, Origin)> {
    let mut all = Vec::with_capacity(2 * spans.len() + 1);
    let mut at = 0;
    for (range, origin) in spans {
        if at < range.start {
            all.push((at..range.start, Origin::Template));
        }
        at = range.end;
        all.push((range, origin));
    }
    if at < text.len() {
        all.push((at..text.len(), Origin::Template));
    }
    all
}

/// How many bytes a client sent.
pub(super) fn input_bytes(messages: &[Message], tools: Option<&serde_json::Value>) -> usize {
    let of_message = |message: &Message| {
        let calls = message.tool_calls.iter().map(|call| call.id.len() + call.name.len() + call.arguments.len());
        message.content.len() + message.name.as_ref().map_or(0, String::len) + calls.sum::<usize>()
    };
    messages.iter().map(of_message).sum::<usize>() + tools.map_or(0, |tools| tools.to_string().len())
}

/// Characters that Unicode sets aside for the inside of programs.
const ASIDE: std::ops::RangeInclusive<char> = '\u{fdd0}'..='\u{fdef}';

/// Writes into a client's text, before it is rendered, what must be known of it afterwards: characters that occur
/// nowhere in it.
#[derive(Debug)]
pub(super) struct Guard<'a> {
    specials: &'a Specials,
    /// Splits the name of a control token.
    split: char,
    /// Begins a content, one for each role.
    open: [(char, Role); 5],
    /// Ends a content.
    close: char,
}

/// A rendered text without the guard's characters, and what they said.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unguarded {
    pub(super) text: String,
    pub(super) guards: Vec<usize>,
    pub(super) spans: Vec<(Range<usize>, Origin)>,
}

impl<'a> Guard<'a> {
    pub(super) fn new(
        specials: &'a Specials,
        messages: &[Message],
        tools: Option<&serde_json::Value>,
    ) -> Result<Self, TemplateError> {
        let tools = tools.map(ToString::to_string);
        let calls = messages.iter().flat_map(|message| &message.tool_calls);
        let of_calls = calls.flat_map(|call| [&call.id, &call.name, &call.arguments]);
        let of_messages = messages.iter().map(|message| &message.content);
        let names = messages.iter().flat_map(|message| message.name.iter().chain(&message.tool_call_id));
        let mut used = [false; 32];
        for text in of_messages.chain(names).chain(of_calls).chain(&tools) {
            mark_used(text, &mut used);
        }
        let mut free = ASIDE.zip(used).filter(|(_, used)| !used).map(|(mark, _)| mark);
        let mut next = || free.next().ok_or(TemplateError::NoGuard);
        Ok(Self {
            specials,
            split: next()?,
            close: next()?,
            open: [
                (next()?, Role::System),
                (next()?, Role::Developer),
                (next()?, Role::User),
                (next()?, Role::Assistant),
                (next()?, Role::Tool),
            ],
        })
    }

    /// Where a text is split: after the first character of each control token's name.
    fn split_points(&self, text: &str) -> Vec<usize> {
        let starts = self.specials.control_names(text).into_iter();
        starts.map(|start| start + text[start..].chars().next().map_or(0, char::len_utf8)).collect()
    }

    /// A client's text with every name of a control token split, unless nothing is to be marked.
    pub(super) fn text(&self, marking: Marking, text: &str) -> String {
        let points = if marking == Marking::None { Vec::new() } else { self.split_points(text) };
        let mut guarded = String::with_capacity(text.len() + points.len() * self.split.len_utf8());
        let mut at = 0;
        for point in points {
            guarded.push_str(&text[at..point]);
            guarded.push(self.split);
            at = point;
        }
        guarded.push_str(&text[at..]);
        guarded
    }

    /// A message's content, split and with its ends marked. White space stays outside, where a template can trim it.
    pub(super) fn marked(&self, role: Role, content: &str) -> String {
        let inner = content.trim();
        let Some((open, _)) = self.open.iter().find(|(_, of)| *of == role).filter(|_| !inner.is_empty()) else {
            return self.text(Marking::Splits, content);
        };
        let start = content.len() - content.trim_start().len();
        let (before, after) = (&content[..start], &content[start + inner.len()..]);
        format!("{before}{open}{}{}{after}", self.text(Marking::Splits, inner), self.close)
    }

    pub(super) fn json(&self, marking: Marking, value: &serde_json::Value) -> serde_json::Value {
        match value {
            serde_json::Value::String(text) => self.text(marking, text).into(),
            serde_json::Value::Array(items) => items.iter().map(|item| self.json(marking, item)).collect(),
            serde_json::Value::Object(entries) => {
                entries.iter().map(|(key, value)| (self.text(marking, key), self.json(marking, value))).collect()
            }
            other => other.clone(),
        }
    }

    /// Takes the guard's characters out. None when the marks of contents do not pair up.
    pub(super) fn remove(&self, text: &str) -> Option<Unguarded> {
        let mut out = Unguarded { text: String::with_capacity(text.len()), guards: Vec::new(), spans: Vec::new() };
        let mut opened: Option<(usize, Role)> = None;
        let mut at = 0;
        for (place, mark) in text.char_indices().filter(|(_, c)| ASIDE.contains(c)) {
            let opening = self.open.iter().find(|(open, _)| *open == mark);
            if opening.is_none() && mark != self.split && mark != self.close {
                continue;
            }
            out.text.push_str(&text[at..place]);
            at = place + mark.len_utf8();
            let here = out.text.len();
            match (opening, opened) {
                (Some((_, role)), None) => opened = Some((here, *role)),
                (None, Some((start, role))) if mark == self.close => {
                    if start < here {
                        out.spans.push((start..here, role.origin()));
                    }
                    opened = None;
                }
                (None, _) if mark == self.split => out.guards.push(here),
                _ => return None,
            }
        }
        out.text.push_str(&text[at..]);
        opened.is_none().then_some(out)
    }
}

/// Notes which of the characters set aside occur in a text, also as the escapes that JSON text may use for them.
fn mark_used(text: &str, used: &mut [bool; 32]) {
    let first = u32::from(*ASIDE.start());
    for character in text.chars().filter(|c| ASIDE.contains(c)) {
        used[(u32::from(character) - first) as usize] = true;
    }
    for (at, _) in text.match_indices("\\u") {
        let code = text.get(at + 2..at + 6).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        if let Some(used) = code.and_then(|code| code.checked_sub(first)).and_then(|at| used.get_mut(at as usize)) {
            *used = true;
        }
    }
}
