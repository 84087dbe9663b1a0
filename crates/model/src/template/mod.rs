//! Chat templates: from messages to the text of a prompt, with the origin of every byte.
//!
//! A template is a Jinja program that the model's maker put into the file. It is rendered as Hugging Face's
//! `apply_chat_template` renders it: block lines trimmed, key order kept, `tojson` in Python's form, `raise_exception`
//! and `strftime_now` at hand. The clock is an argument. A template is untrusted code, so it runs on a budget: each
//! instruction and each byte costs fuel, and recursion is bounded.
//!
//! # Who may say what
//!
//! A template joins its own markers, such as `<|im_end|>`, with text that a client wrote. If the client's text contains
//! a marker's name, it must stay text: otherwise anyone who can put words into a prompt can end the user's turn and
//! speak as the system. Before rendering, each name of a control token in the client's words is split by a character
//! that Unicode sets aside for such use; after rendering, these are taken out again and their places remembered, so that
//! [`prompt_tokens`] knows where no marker may be. A template that reacts to the splits is caught by comparing with a
//! rendering without them.
//!
//! A second rendering, with the ends of each content marked as well, tells which bytes are whose. Where the marks would
//! change the text, because the template looks into the contents, the contents are searched for in the text instead.

mod json;
mod origin;
mod time;

use std::sync::Arc;

use claim::{Origin, UnixMillis};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, ErrorKind, Value};

pub use origin::{Rendered, prompt_tokens, raw_tokens};

use crate::gguf::{Gguf, GgufError};
use crate::tokenizer::Tokenizer;
use crate::tokenizer::specials::Specials;
use origin::Guard;

/// Longest template source in bytes. The longest known ones, with tools in several languages, have 20 kB.
pub const SOURCE_BYTES_MAX: usize = 1 << 20;
/// Longest rendered prompt in bytes: more tokens than any context has.
pub const RENDERED_BYTES_MAX: usize = 32 << 20;

/// Fuel for a render before its input is counted: one unit pays for an instruction or for 64 bytes of text made. A chat
/// of a thousand messages takes some 100,000.
const FUEL_BASE: u64 = 1_000_000;
/// Fuel per byte of messages and tools: enough to copy each byte some dozens of times.
const FUEL_PER_BYTE: u64 = 1;
/// How deep macros and includes may call each other.
const RECURSION_MAX: usize = 64;

const NAME: &str = "chat";
const KEY: &str = "tokenizer.chat_template";

/// Why a prompt cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The model has no chat template.
    #[error("the model has no chat template; send the prompt to /v1/completions instead")]
    Missing,
    /// The template's key has the wrong type.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// The source is longer than any real one.
    #[error("the chat template has {found} bytes, the limit is {limit}")]
    SourceTooLong {
        /// Bytes of the source.
        found: usize,
        /// The most accepted.
        limit: usize,
    },
    /// The source is not a program.
    #[error("the chat template does not compile: {reason}")]
    Syntax {
        /// The engine's words, with the line.
        reason: String,
    },
    /// The template refused the conversation with `raise_exception`.
    #[error("the chat template refuses this conversation: {reason}")]
    Refused {
        /// The template's words.
        reason: String,
    },
    /// The template failed on this conversation.
    #[error("the chat template failed: {reason}")]
    Failed {
        /// The engine's words.
        reason: String,
    },
    /// The template took more steps, or made more text, than any real one.
    #[error("the chat template ran out of its budget of {fuel} steps")]
    OutOfFuel {
        /// The budget.
        fuel: u64,
    },
    /// The prompt is longer than any context.
    #[error("the rendered prompt has {found} bytes, the limit is {limit}")]
    RenderedTooLong {
        /// Bytes of the prompt.
        found: usize,
        /// The most accepted.
        limit: usize,
    },
    /// The template changes a message in which a client named a control token, so that it cannot be told whether the
    /// template or the client wrote such a token.
    #[error("a message contains the name of a control token and the chat template rewrites it; remove the name")]
    Untraceable,
    /// The messages use every character that could mark what a client wrote.
    #[error("the messages contain all of the characters U+FDD0 to U+FDEF, which Unicode sets aside; remove them")]
    NoGuard,
}

/// Who speaks in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Rules for the model.
    System,
    /// Rules for the model, from the maker of the application.
    Developer,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// The result of a function.
    Tool,
}

impl Role {
    /// The origin of what this role says.
    pub fn origin(self) -> Origin {
        match self {
            Self::System => Origin::System,
            Self::Developer => Origin::Developer,
            Self::User => Origin::User,
            Self::Assistant => Origin::Assistant,
            Self::Tool => Origin::Tool,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Developer => "developer",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// The text.
    pub content: String,
    /// Name of the speaker or of the function, when given.
    pub name: Option<String>,
    /// Functions that the assistant called.
    pub tool_calls: Vec<ToolCall>,
    /// The call that a tool's result answers.
    pub tool_call_id: Option<String>,
}

impl Message {
    /// A message with nothing but text.
    pub fn new(role: Role, content: &str) -> Self {
        Self { role, content: content.to_owned(), name: None, tool_calls: Vec::new(), tool_call_id: None }
    }
}

/// One call of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// Name that the result refers to.
    pub id: String,
    /// The function.
    pub name: String,
    /// Its arguments: JSON text as the model wrote it. An object reaches the template as one, anything else as text.
    pub arguments: String,
}

/// A model's chat template, compiled.
#[derive(Clone)]
pub struct ChatTemplate {
    environment: Arc<Environment<'static>>,
    specials: Specials,
    /// The template knows the role "developer"; otherwise such messages are shown to it as "system".
    knows_developer: bool,
    bos: Option<String>,
    eos: Option<String>,
}

impl std::fmt::Debug for ChatTemplate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChatTemplate").field("bos", &self.bos).field("eos", &self.eos).finish_non_exhaustive()
    }
}

impl ChatTemplate {
    /// Compiles the template of a file.
    ///
    /// # Errors
    /// [`TemplateError::Missing`] when the file has none; else what is wrong with it.
    pub fn from_gguf(gguf: &Gguf<'_>, tokenizer: &Tokenizer) -> Result<Self, TemplateError> {
        if gguf.metadata(KEY).is_none() {
            return Err(TemplateError::Missing);
        }
        Self::from_source(gguf.str(KEY)?, tokenizer)
    }

    /// Compiles a template.
    ///
    /// # Errors
    /// [`TemplateError::SourceTooLong`] or [`TemplateError::Syntax`].
    pub fn from_source(source: &str, tokenizer: &Tokenizer) -> Result<Self, TemplateError> {
        if source.len() > SOURCE_BYTES_MAX {
            return Err(TemplateError::SourceTooLong { found: source.len(), limit: SOURCE_BYTES_MAX });
        }
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| TemplateError::Syntax { reason: describe(&error) })?);
        environment.set_recursion_limit(RECURSION_MAX);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_filter("tojson", json::to_json);
        environment.add_function("raise_exception", |reason: String| -> Result<Value, minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, format!("{REFUSED}{reason}")))
        });
        environment
            .add_template_owned(NAME, without_generation_tags(source))
            .map_err(|error| TemplateError::Syntax { reason: describe(&error) })?;
        let name_of = |token: Option<claim::TokenId>| {
            token.map(|token| String::from_utf8_lossy(tokenizer.token_bytes(token)).into_owned())
        };
        Ok(Self {
            environment: Arc::new(environment),
            specials: tokenizer.specials().clone(),
            knows_developer: source.contains("developer"),
            bos: name_of(tokenizer.bos()),
            eos: name_of(tokenizer.eos()),
        })
    }

    /// Renders a conversation, ready for the assistant to speak. `tools` is the JSON array of functions as a client
    /// sends it; `now` is what the template sees as the current time, in UTC.
    ///
    /// # Errors
    /// [`TemplateError`] says whether the template refused, failed, or ran out of its budget.
    pub fn render(
        &self,
        messages: &[Message],
        tools: Option<&serde_json::Value>,
        now: UnixMillis,
    ) -> Result<Rendered, TemplateError> {
        let guard = Guard::new(&self.specials, messages, tools)?;
        let fuel = FUEL_BASE + FUEL_PER_BYTE * origin::input_bytes(messages, tools) as u64;
        let run = |marking| {
            let shown = messages.iter().map(|message| self.show(&guard, message, marking)).collect();
            let tools = tools.map(|tools| guard.json(marking, tools));
            let text = self.run(shown, tools.as_ref(), now, fuel)?;
            Ok(guard.remove(&text))
        };
        let plain = run(Marking::Splits)?.ok_or(TemplateError::Untraceable)?;
        if !plain.guards.is_empty() && run(Marking::None)?.is_none_or(|bare| bare.text != plain.text) {
            return Err(TemplateError::Untraceable);
        }
        if plain.text.len() > RENDERED_BYTES_MAX {
            return Err(TemplateError::RenderedTooLong { found: plain.text.len(), limit: RENDERED_BYTES_MAX });
        }
        // The marks around contents may disturb a template that looks at them. Then its text differs, or they are cut
        // apart, and the contents are searched for instead.
        let marked: Result<_, TemplateError> = run(Marking::SplitsAndEnds);
        let spans = match marked.ok().flatten().filter(|marked| marked.text == plain.text) {
            Some(marked) => marked.spans,
            None => origin::search(&plain.text, &plain.guards, &guard, messages),
        };
        let spans = origin::with_templates_part(spans, &plain.text);
        Ok(Rendered { text: plain.text, spans, guards: plain.guards })
    }

    fn run(
        &self,
        shown: Vec<serde_json::Value>,
        tools: Option<&serde_json::Value>,
        now: UnixMillis,
        fuel: u64,
    ) -> Result<String, TemplateError> {
        let context = minijinja::context! {
            messages => Value::from(Serde(shown)),
            tools => tools.map_or(Value::from(()), |tools| Value::from(Serde(tools))),
            documents => Value::from(()),
            add_generation_prompt => true,
            bos_token => self.bos.clone().map_or(Value::UNDEFINED, Value::from),
            eos_token => self.eos.clone().map_or(Value::UNDEFINED, Value::from),
            strftime_now => Value::from_function(move |format: String| time::format_utc(now, &format)),
        };
        let mut environment = Environment::clone(&self.environment);
        environment.set_fuel(Some(fuel));
        let template = environment.get_template(NAME).map_err(|error| failure(&error, fuel))?;
        template.render(context).map_err(|error| failure(&error, fuel))
    }

    /// A message as the template sees it: only the keys that it has.
    fn show(&self, guard: &Guard<'_>, message: &Message, marking: Marking) -> serde_json::Value {
        let role = match message.role {
            Role::Developer if !self.knows_developer => Role::System,
            role => role,
        };
        let mut shown = serde_json::Map::new();
        shown.insert("role".to_owned(), role.name().into());
        let content = match marking {
            Marking::SplitsAndEnds => guard.marked(message.role, &message.content),
            _ => guard.text(marking, &message.content),
        };
        shown.insert("content".to_owned(), content.into());
        if let Some(name) = &message.name {
            shown.insert("name".to_owned(), guard.text(marking, name).into());
        }
        if let Some(id) = &message.tool_call_id {
            shown.insert("tool_call_id".to_owned(), guard.text(marking, id).into());
        }
        if !message.tool_calls.is_empty() {
            shown.insert(
                "tool_calls".to_owned(),
                message.tool_calls.iter().map(|call| show_call(guard, marking, call)).collect(),
            );
        }
        shown.into()
    }
}

fn show_call(guard: &Guard<'_>, marking: Marking, call: &ToolCall) -> serde_json::Value {
    let arguments = match serde_json::from_str(&call.arguments) {
        Ok(object @ serde_json::Value::Object(_)) => guard.json(marking, &object),
        _ => guard.text(marking, &call.arguments).into(),
    };
    serde_json::json!({
        "id": guard.text(marking, &call.id),
        "type": "function",
        "function": { "name": guard.text(marking, &call.name), "arguments": arguments },
    })
}

/// What the guard writes into the client's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marking {
    /// Nothing.
    None,
    /// Splits the names of control tokens.
    Splits,
    /// Also marks where each content begins and ends.
    SplitsAndEnds,
}

/// Marks what `raise_exception` says among the engine's other messages.
const REFUSED: &str = "refused: ";

fn failure(error: &minijinja::Error, fuel: u64) -> TemplateError {
    let mut cause: &minijinja::Error = error;
    while let Some(inner) = std::error::Error::source(cause).and_then(|inner| inner.downcast_ref()) {
        cause = inner;
    }
    match (cause.kind(), cause.detail()) {
        (ErrorKind::OutOfFuel, _) => TemplateError::OutOfFuel { fuel },
        (ErrorKind::InvalidOperation, Some(detail)) if detail.starts_with(REFUSED) => {
            TemplateError::Refused { reason: detail[REFUSED.len()..].to_owned() }
        }
        _ => TemplateError::Failed { reason: describe(error) },
    }
}

fn describe(error: &minijinja::Error) -> String {
    match error.line() {
        Some(line) => format!("{error} (line {line})"),
        None => error.to_string(),
    }
}

/// Hugging Face lets training code mark the assistant's words with `{% generation %}`. For a prompt the tags mean
/// nothing, but they are no Jinja: they become a condition that always holds.
fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(open) = rest.find("{%") {
        let (before, tag_on) = rest.split_at(open);
        out.push_str(before);
        let Some(close) = tag_on.find("%}") else {
            rest = tag_on;
            break;
        };
        let (tag, after) = tag_on.split_at(close + 2);
        let word = tag[2..close].trim_matches(|c: char| c.is_whitespace() || matches!(c, '-' | '+'));
        match word {
            "generation" => out.push_str(&tag.replace(word, "if true")),
            "endgeneration" => out.push_str(&tag.replace(word, "endif")),
            _ => out.push_str(tag),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}
