//! Tool calls in the text that a model writes, and the grammar that makes it write one.
//!
//! Models write a call as `<tool_call>{"name": ..., "arguments": {...}}</tool_call>` among their text. Where the request
//! forces a call, the whole answer is one bare JSON object of that shape, held to the functions' schemas by a grammar.

#[cfg(test)]
mod tests;

use model::template::ToolCall;
use serde_json::{Map, Value, json};

use crate::request::{Request, Tool, ToolChoice};

const OPEN: &str = "<tool_call>";
const CLOSE: &str = "</tool_call>";

/// How tool calls are looked for in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolMode {
    /// No tools: the answer is text.
    Off,
    /// Calls are marked by tags among the text.
    Tagged,
    /// The whole answer is one call.
    Forced,
}

impl ToolMode {
    /// The mode that a request asks for.
    pub fn of(request: &Request) -> Self {
        match request.tool_choice {
            ToolChoice::None => Self::Off,
            ToolChoice::Auto => Self::Tagged,
            ToolChoice::Required | ToolChoice::Function(_) => Self::Forced,
        }
    }
}

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text for the reader.
    Text(String),
    /// A function call.
    Call(ToolCall),
}

/// Takes an answer apart as it arrives: [`push`](Self::push) each piece of text, then [`finish`](Self::finish).
///
/// Text that could be the beginning of a tag is held back until it is clear; text inside a tag, until the tag is closed. What
/// looks like a call and is none comes out as text, unchanged. However the text is cut into pieces, the concatenation of
/// what comes out is the same.
#[derive(Debug)]
pub struct ToolStream {
    mode: ToolMode,
    /// Text that is held back; in tagged mode it starts at a `<` or inside a tag.
    held: String,
    /// A call was just taken: line breaks that follow are part of the notation.
    after_call: bool,
    /// Prefix of the call ids.
    id: String,
    calls: u32,
}

impl ToolStream {
    /// Starts an answer. Call ids are `call_`, then `id`, then a number: `id` must be unique to the choice.
    pub fn new(mode: ToolMode, id: &str) -> Self {
        Self { mode, held: String::new(), after_call: false, id: id.to_owned(), calls: 0 }
    }

    /// Number of calls found so far.
    pub fn calls(&self) -> u32 {
        self.calls
    }

    /// Takes the next text and gives out what is clear.
    pub fn push(&mut self, text: &str) -> Vec<Piece> {
        let mut pieces = Vec::new();
        if self.mode == ToolMode::Off {
            if !text.is_empty() {
                pieces.push(Piece::Text(text.to_owned()));
            }
            return pieces;
        }
        self.held.push_str(text);
        if self.mode == ToolMode::Tagged {
            while self.advance(&mut pieces) {}
        }
        pieces
    }

    /// Ends the answer and gives out the rest.
    pub fn finish(mut self) -> Vec<Piece> {
        let rest = std::mem::take(&mut self.held);
        if rest.is_empty() {
            return Vec::new();
        }
        let call = match self.mode {
            ToolMode::Off => None,
            // Models that end their turn right behind the object leave the tag open.
            ToolMode::Tagged => rest.strip_prefix(OPEN).and_then(|body| self.call(body)),
            ToolMode::Forced => self.call(&rest),
        };
        vec![call.map_or(Piece::Text(rest), Piece::Call)]
    }

    /// Takes one clear piece from what is held; false when nothing more is clear.
    fn advance(&mut self, pieces: &mut Vec<Piece>) -> bool {
        if self.after_call {
            let breaks = self.held.len() - self.held.trim_start_matches(['\n', '\r']).len();
            self.held.drain(..breaks);
            self.after_call = self.held.is_empty();
        }
        if !self.held.starts_with(OPEN) {
            let clear = self.held.find(OPEN).unwrap_or_else(|| self.held.len() - open_prefix(&self.held));
            if clear > 0 {
                let rest = self.held.split_off(clear);
                pieces.push(Piece::Text(std::mem::replace(&mut self.held, rest)));
            }
            return clear > 0;
        }
        let Some(end) = self.held.find(CLOSE) else { return false };
        let rest = self.held.split_off(end + CLOSE.len());
        let tagged = std::mem::replace(&mut self.held, rest);
        let call = self.call(&tagged[OPEN.len()..end]);
        self.after_call = call.is_some();
        pieces.push(call.map_or(Piece::Text(tagged), Piece::Call));
        true
    }

    fn call(&mut self, text: &str) -> Option<ToolCall> {
        let (name, arguments) = parse_call(text)?;
        let id = format!("call_{}{}", self.id, self.calls);
        self.calls += 1;
        Some(ToolCall { id, name, arguments })
    }
}

/// Length of the longest end of `text` that begins `<tool_call>`.
fn open_prefix(text: &str) -> usize {
    (1..OPEN.len()).rev().find(|&length| text.ends_with(&OPEN[..length])).unwrap_or(0)
}

/// Reads `{"name": ..., "arguments": {...}}`; `parameters` is taken for `arguments`, as Llama writes it.
fn parse_call(text: &str) -> Option<(String, String)> {
    let Value::Object(mut call) = serde_json::from_str(text.trim()).ok()? else { return None };
    let Some(Value::String(name)) = call.remove("name") else { return None };
    let arguments = call.remove("arguments").or_else(|| call.remove("parameters"));
    match arguments {
        None => Some((name, "{}".to_owned())),
        Some(Value::String(arguments)) => Some((name, arguments)),
        Some(arguments @ Value::Object(_)) => Some((name, arguments.to_string())),
        Some(_) => None,
    }
}

/// Splits a whole answer into its text, if any is left, and its calls.
pub fn split(mode: ToolMode, id: &str, text: &str) -> (Option<String>, Vec<ToolCall>) {
    let mut stream = ToolStream::new(mode, id);
    let mut pieces = stream.push(text);
    pieces.extend(stream.finish());
    let (mut content, mut calls) = (String::new(), Vec::new());
    for piece in pieces {
        match piece {
            Piece::Text(text) => content.push_str(&text),
            Piece::Call(call) => calls.push(call),
        }
    }
    if calls.is_empty() {
        return (Some(content), calls);
    }
    let content = content.trim();
    ((!content.is_empty()).then(|| content.to_owned()), calls)
}

/// JSON schema of the bare call that a forced choice must be; none when nothing is forced.
pub(crate) fn forced_schema(tools: &[Tool], choice: &ToolChoice) -> Option<Value> {
    let allowed: Vec<&Tool> = match choice {
        ToolChoice::None | ToolChoice::Auto => return None,
        ToolChoice::Required => tools.iter().collect(),
        ToolChoice::Function(name) => tools.iter().filter(|tool| tool.name == *name).collect(),
    };
    match allowed.as_slice() {
        [only] => Some(call_schema(only, "#")),
        several => {
            let schemas = several.iter().enumerate();
            let schemas: Vec<Value> =
                schemas.map(|(index, tool)| call_schema(tool, &format!("#/anyOf/{index}"))).collect();
            Some(json!({ "anyOf": schemas }))
        }
    }
}

/// Schema of a call of `tool`, to stand at `place` in the whole schema.
fn call_schema(tool: &Tool, place: &str) -> Value {
    let arguments = match &tool.parameters {
        Some(parameters) => rebased(parameters, &format!("{place}/properties/arguments")),
        None => json!({ "type": "object", "additionalProperties": false }),
    };
    json!({
        "type": "object",
        "properties": { "name": { "const": tool.name }, "arguments": arguments },
        "required": ["name", "arguments"],
        "additionalProperties": false,
    })
}

/// The schema with its references to itself turned into references to `place`, where it will stand.
fn rebased(schema: &Value, place: &str) -> Value {
    match schema {
        Value::Array(items) => items.iter().map(|item| rebased(item, place)).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| match value {
                Value::String(target) if key == "$ref" && target.starts_with('#') => {
                    (key.clone(), Value::from(format!("{place}{}", &target[1..])))
                }
                other => (key.clone(), rebased(other, place)),
            })
            .collect(),
        other => other.clone(),
    }
}

/// What a model is told about tools when its chat template does not tell it.
pub(crate) fn preamble(tools: &[Tool]) -> String {
    let mut text = String::from(
        "You can call functions. They are listed below, one JSON description per line.\n\
         To call one, answer with a line of this form and nothing after it:\n\
         <tool_call>{\"name\": \"function name\", \"arguments\": {\"argument\": \"value\"}}</tool_call>\n",
    );
    for tool in tools {
        text.push_str(&tool.chat_form().to_string());
        text.push('\n');
    }
    text
}

/// A call as a model writes it, for templates that do not write it themselves.
pub(crate) fn tagged(call: &ToolCall) -> String {
    let mut object = Map::new();
    object.insert("name".to_owned(), Value::from(call.name.as_str()));
    object.insert("arguments".to_owned(), arguments_value(&call.arguments));
    format!("{OPEN}{}{CLOSE}", Value::Object(object))
}

/// Arguments as the JSON value they spell, or as the text they are when they spell none.
pub(crate) fn arguments_value(arguments: &str) -> Value {
    serde_json::from_str(arguments).unwrap_or_else(|_| Value::from(arguments))
}
