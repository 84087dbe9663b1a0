//! `/v1/responses` bodies.

use claim::Endpoint;
use model::template::{Message, Role, ToolCall};
use serde_json::Value;

use super::{Nesting, chat, controls, format, refuse, seed, token_limit, tools};
use crate::error::ApiError;
use crate::fields::{self, Fields};
use crate::limits;
use crate::request::{Controls, Format, Prompts, Request};

const UNSUPPORTED: &[(&str, &str)] = &[
    ("previous_response_id", "responses are not kept here, send the whole conversation as 'input'"),
    ("conversation", "conversations are not kept here, send the whole conversation as 'input'"),
    ("background", "answers are given while the connection is open"),
    ("prompt", "prompt templates are not kept here, send 'instructions' and 'input'"),
];

pub(super) fn parse(fields: Fields<'_>) -> Result<Request, ApiError> {
    refuse(fields, UNSUPPORTED)?;
    let model = fields.need_text("model", limits::MODEL_BYTES_MAX)?.to_owned();
    let instructions = fields.text("instructions", limits::BODY_BYTES_MAX)?;
    let (tools, tool_choice) = tools::parse(fields, Nesting::Flat)?;
    let max_tokens = token_limit(fields, "max_output_tokens", 1)?;
    let controls = Controls { max_tokens, ..controls(fields)? };
    Ok(Request {
        endpoint: Endpoint::Responses,
        model,
        prompts: Prompts::Chat(input(fields, instructions)?),
        n: 1,
        controls,
        seed: seed(fields)?,
        format: text_format(fields)?,
        tools,
        tool_choice,
        parallel_tool_calls: fields.flag("parallel_tool_calls")?.unwrap_or(true),
        stream: fields.flag("stream")?.unwrap_or(false),
        include_usage: true,
        logprobs: logprobs(fields)?,
        echo: false,
        metadata: metadata(fields)?,
        instructions: instructions.map(str::to_owned),
    })
}

fn text_format(fields: Fields<'_>) -> Result<Format, ApiError> {
    let Some(text) = fields.get("text") else { return Ok(Format::Text) };
    match Fields::new(text, "text")?.get("format") {
        Some(value) => format(value, "text.format", Nesting::Flat),
        None => Ok(Format::Text),
    }
}

fn metadata(fields: Fields<'_>) -> Result<Option<Value>, ApiError> {
    let Some(value) = fields.get("metadata") else { return Ok(None) };
    Fields::new(value, "metadata")?;
    Ok(Some(value.clone()))
}

/// Log probabilities are asked for by an entry of `include`; `top_logprobs` says how many alternatives.
fn logprobs(fields: Fields<'_>) -> Result<Option<u32>, ApiError> {
    let top = fields.integer("top_logprobs", 0, u64::from(limits::TOP_LOGPROBS_MAX))?;
    let include = fields.list("include", limits::PARTS_MAX)?.unwrap_or_default();
    let mut wanted = false;
    for (index, entry) in include.iter().enumerate() {
        let entry = fields::text(entry, || format!("include[{index}]"), limits::MODEL_BYTES_MAX)?;
        wanted |= entry == "message.output_text.logprobs";
    }
    Ok(wanted.then(|| top.unwrap_or(0) as u32))
}

fn input(fields: Fields<'_>, instructions: Option<&str>) -> Result<Vec<Message>, ApiError> {
    let mut messages = Vec::new();
    if let Some(text) = instructions {
        messages.push(said(Role::System, text.to_owned()));
    }
    match fields.need("input")? {
        Value::String(text) => messages.push(said(Role::User, text.clone())),
        value @ Value::Array(_) => {
            let list = fields::list(value, || "input".to_owned(), limits::MESSAGES_MAX)?;
            if list.is_empty() {
                return Err(ApiError::ArrayEmpty { param: "input".to_owned() });
            }
            for (index, item) in list.iter().enumerate() {
                add_item(&mut messages, item, &format!("input[{index}]"))?;
            }
        }
        other => return Err(fields::wrong_type("input", "a string or an array of input items", other)),
    }
    Ok(messages)
}

fn said(role: Role, content: String) -> Message {
    Message { role, content, name: None, tool_calls: Vec::new(), tool_call_id: None }
}

fn add_item(messages: &mut Vec<Message>, value: &Value, path: &str) -> Result<(), ApiError> {
    let fields = Fields::new(value, path)?;
    match fields.text("type", limits::NAME_BYTES_MAX)?.unwrap_or("message") {
        "message" => {
            let content = chat::content(fields.need("content")?, &fields.path_of("content"))?;
            messages.push(said(chat::role(fields)?, content));
        }
        "function_call" => add_call(messages, function_call(fields)?),
        "function_call_output" => {
            let content = chat::content(fields.need("output")?, &fields.path_of("output"))?;
            let call_id = fields.need_text("call_id", limits::MODEL_BYTES_MAX)?.to_owned();
            messages.push(Message { tool_call_id: Some(call_id), ..said(Role::Tool, content) });
        }
        // Another model's private notes: they mean nothing to this one.
        "reasoning" => {}
        other => {
            let supported = "'message', 'function_call', 'function_call_output', and 'reasoning'";
            return Err(fields::wrong_value(fields.path_of("type"), other, supported));
        }
    }
    Ok(())
}

fn function_call(fields: Fields<'_>) -> Result<ToolCall, ApiError> {
    Ok(ToolCall {
        id: fields.need_text("call_id", limits::MODEL_BYTES_MAX)?.to_owned(),
        name: fields.need_text("name", limits::MODEL_BYTES_MAX)?.to_owned(),
        arguments: fields.text("arguments", limits::BODY_BYTES_MAX)?.unwrap_or("{}").to_owned(),
    })
}

/// Calls that follow each other, and the text before them, are one turn of the assistant.
fn add_call(messages: &mut Vec<Message>, call: ToolCall) {
    match messages.last_mut() {
        Some(last) if last.role == Role::Assistant => last.tool_calls.push(call),
        _ => messages.push(Message { tool_calls: vec![call], ..said(Role::Assistant, String::new()) }),
    }
}
