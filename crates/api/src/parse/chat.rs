//! `/v1/chat/completions` bodies.

use claim::Endpoint;
use model::template::{Message, Role, ToolCall};
use serde_json::Value;

use super::{Nesting, controls, format, include_usage, n, refuse, seed, token_limit, tools};
use crate::error::ApiError;
use crate::fields::{self, Fields};
use crate::limits;
use crate::request::{Controls, Format, Prompts, Request};

const UNSUPPORTED: &[(&str, &str)] = &[
    ("functions", "send 'tools' instead"),
    ("function_call", "send 'tool_choice' instead"),
    ("audio", "the models here write text only"),
    ("web_search_options", "this server does not search"),
];

pub(super) fn parse(fields: Fields<'_>) -> Result<Request, ApiError> {
    refuse(fields, UNSUPPORTED)?;
    modalities(fields)?;
    let model = fields.need_text("model", limits::MODEL_BYTES_MAX)?.to_owned();
    let prompts = Prompts::Chat(messages(fields)?);
    let (tools, tool_choice) = tools::parse(fields, Nesting::Nested)?;
    let newer = token_limit(fields, "max_completion_tokens", 1)?;
    let max_tokens = newer.or(token_limit(fields, "max_tokens", 1)?);
    let controls = Controls { max_tokens, ..controls(fields)? };
    Ok(Request {
        endpoint: Endpoint::Chat,
        model,
        prompts,
        n: n(fields)?,
        controls,
        seed: seed(fields)?,
        format: match fields.get("response_format") {
            Some(value) => format(value, "response_format", Nesting::Nested)?,
            None => Format::Text,
        },
        tools,
        tool_choice,
        parallel_tool_calls: fields.flag("parallel_tool_calls")?.unwrap_or(true),
        stream: fields.flag("stream")?.unwrap_or(false),
        include_usage: include_usage(fields)?,
        logprobs: logprobs(fields)?,
        echo: false,
        metadata: None,
        instructions: None,
    })
}

fn modalities(fields: Fields<'_>) -> Result<(), ApiError> {
    for (index, value) in fields.list("modalities", limits::PARTS_MAX)?.unwrap_or_default().iter().enumerate() {
        let path = || format!("modalities[{index}]");
        let word = fields::text(value, path, limits::NAME_BYTES_MAX)?;
        if word != "text" {
            return Err(fields::wrong_value(path(), word, "'text'"));
        }
    }
    Ok(())
}

fn logprobs(fields: Fields<'_>) -> Result<Option<u32>, ApiError> {
    let wanted = fields.flag("logprobs")?.unwrap_or(false);
    let top = fields.integer("top_logprobs", 0, u64::from(limits::TOP_LOGPROBS_MAX))?;
    match (wanted, top) {
        (true, top) => Ok(Some(top.unwrap_or(0) as u32)),
        (false, None | Some(0)) => Ok(None),
        (false, Some(_)) => Err(ApiError::Conflict {
            param: "top_logprobs".to_owned(),
            reason: "'logprobs' must be true when 'top_logprobs' is used",
        }),
    }
}

fn messages(fields: Fields<'_>) -> Result<Vec<Message>, ApiError> {
    fields.need("messages")?;
    let list = fields.list("messages", limits::MESSAGES_MAX)?.unwrap_or_default();
    if list.is_empty() {
        return Err(ApiError::ArrayEmpty { param: "messages".to_owned() });
    }
    list.iter().enumerate().map(|(index, value)| message(value, &format!("messages[{index}]"))).collect()
}

fn message(value: &Value, path: &str) -> Result<Message, ApiError> {
    let fields = Fields::new(value, path)?;
    let role = role(fields)?;
    let tool_calls = if role == Role::Assistant { tool_calls(fields)? } else { Vec::new() };
    // An assistant that only called functions said nothing.
    let content = match fields.get("content") {
        None if !tool_calls.is_empty() => String::new(),
        _ => content(fields.need("content")?, &fields.path_of("content"))?,
    };
    let tool_call_id = fields.text("tool_call_id", limits::MODEL_BYTES_MAX)?.map(str::to_owned);
    let name = fields.text("name", limits::MODEL_BYTES_MAX)?.map(str::to_owned);
    if role == Role::Tool && tool_call_id.is_none() && name.is_none() {
        return Err(ApiError::Missing { param: fields.path_of("tool_call_id") });
    }
    Ok(Message { role, content, name, tool_calls, tool_call_id })
}

/// Reads `role`.
pub(super) fn role(fields: Fields<'_>) -> Result<Role, ApiError> {
    match fields.need_text("role", limits::NAME_BYTES_MAX)? {
        "system" => Ok(Role::System),
        "developer" => Ok(Role::Developer),
        "user" => Ok(Role::User),
        "assistant" => Ok(Role::Assistant),
        // `function` is the old name, and named the function instead of the call.
        "tool" | "function" => Ok(Role::Tool),
        other => {
            let supported = "'system', 'developer', 'user', 'assistant', and 'tool'";
            Err(fields::wrong_value(fields.path_of("role"), other, supported))
        }
    }
}

/// Reads content: a string, or parts that are joined by line breaks.
pub(super) fn content(value: &Value, path: &str) -> Result<String, ApiError> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Array(_) => {
            let parts = fields::list(value, || path.to_owned(), limits::PARTS_MAX)?;
            let texts = parts
                .iter()
                .enumerate()
                .map(|(index, part)| part_text(part, &format!("{path}[{index}]")))
                .collect::<Result<Vec<_>, _>>()?;
            Ok(texts.join("\n"))
        }
        other => Err(fields::wrong_type(path, "a string or an array of parts", other)),
    }
}

fn part_text(value: &Value, path: &str) -> Result<String, ApiError> {
    let fields = Fields::new(value, path)?;
    let name = match fields.need_text("type", limits::NAME_BYTES_MAX)? {
        "text" | "input_text" | "output_text" => "text",
        "refusal" => "refusal",
        "image_url" | "input_image" | "input_audio" | "file" | "input_file" => {
            let reason = "the models here read text only";
            return Err(ApiError::Unsupported { param: fields.path_of("type"), reason });
        }
        other => return Err(fields::wrong_value(fields.path_of("type"), other, "'text'")),
    };
    fields::text(fields.need(name)?, || fields.path_of(name), limits::BODY_BYTES_MAX).map(str::to_owned)
}

fn tool_calls(fields: Fields<'_>) -> Result<Vec<ToolCall>, ApiError> {
    let path = fields.path_of("tool_calls");
    let list = fields.list("tool_calls", limits::TOOL_CALLS_MAX)?.unwrap_or_default();
    list.iter().enumerate().map(|(index, value)| tool_call(value, &format!("{path}[{index}]"))).collect()
}

fn tool_call(value: &Value, path: &str) -> Result<ToolCall, ApiError> {
    let fields = Fields::new(value, path)?;
    let inner = fields.path_of("function");
    let function = Fields::new(fields.need("function")?, &inner)?;
    Ok(ToolCall {
        id: fields.need_text("id", limits::MODEL_BYTES_MAX)?.to_owned(),
        name: function.need_text("name", limits::MODEL_BYTES_MAX)?.to_owned(),
        arguments: function.text("arguments", limits::BODY_BYTES_MAX)?.unwrap_or("{}").to_owned(),
    })
}
