//! `/v1/completions` bodies.

use claim::{Endpoint, TokenId};
use serde_json::Value;

use super::{controls, include_usage, n, refuse, seed, token_limit};
use crate::error::ApiError;
use crate::fields::{self, Fields};
use crate::limits;
use crate::request::{Controls, Format, Prompts, Request, ToolChoice};

const UNSUPPORTED: &[(&str, &str)] = &[("suffix", "the models here continue text and do not fill gaps")];

pub(super) fn parse(fields: Fields<'_>) -> Result<Request, ApiError> {
    refuse(fields, UNSUPPORTED)?;
    let model = fields.need_text("model", limits::MODEL_BYTES_MAX)?.to_owned();
    let prompts = prompts(fields.need("prompt")?)?;
    let max_tokens = token_limit(fields, "max_tokens", 0)?.unwrap_or(limits::COMPLETION_TOKENS_DEFAULT);
    let controls = Controls { max_tokens: Some(max_tokens), ..controls(fields)? };
    let n = n(fields)?;
    best_of(fields, n)?;
    Ok(Request {
        endpoint: Endpoint::Completions,
        model,
        prompts,
        n,
        controls,
        seed: seed(fields)?,
        format: match fields.get("response_format") {
            Some(value) => super::format(value, "response_format", super::Nesting::Nested)?,
            None => Format::Text,
        },
        tools: Vec::new(),
        tool_choice: ToolChoice::None,
        parallel_tool_calls: false,
        stream: fields.flag("stream")?.unwrap_or(false),
        include_usage: include_usage(fields)?,
        logprobs: fields.integer("logprobs", 0, u64::from(limits::TOP_LOGPROBS_MAX))?.map(|top| top as u32),
        echo: fields.flag("echo")?.unwrap_or(false),
        metadata: None,
        instructions: None,
    })
}

/// `best_of` makes more answers than it returns; only the values that ask for none extra are taken.
fn best_of(fields: Fields<'_>, n: u32) -> Result<(), ApiError> {
    match fields.integer("best_of", 0, u64::from(limits::N_MAX))? {
        Some(best_of) if best_of > 1 && best_of != i64::from(n) => Err(ApiError::Unsupported {
            param: "best_of".to_owned(),
            reason: "answers are not ranked here, ask for 'n' of them and rank them yourself",
        }),
        _ => Ok(()),
    }
}

fn prompts(value: &Value) -> Result<Prompts, ApiError> {
    let list = match value {
        Value::String(text) => return Ok(Prompts::Texts(vec![text.clone()])),
        Value::Array(list) => list,
        other => return Err(fields::wrong_type("prompt", "a string or an array", other)),
    };
    match list.first() {
        None => Err(ApiError::ArrayEmpty { param: "prompt".to_owned() }),
        Some(Value::Number(_)) => Ok(Prompts::Tokens(vec![tokens(value, "prompt")?])),
        Some(first) => many(value, first),
    }
}

fn many(value: &Value, first: &Value) -> Result<Prompts, ApiError> {
    let list = fields::list(value, || "prompt".to_owned(), limits::PROMPTS_MAX)?.iter().enumerate();
    match first {
        Value::String(_) => list
            .map(|(index, text)| {
                fields::text(text, || format!("prompt[{index}]"), limits::BODY_BYTES_MAX).map(str::to_owned)
            })
            .collect::<Result<_, _>>()
            .map(Prompts::Texts),
        Value::Array(_) => list
            .map(|(index, entry)| tokens(entry, &format!("prompt[{index}]")))
            .collect::<Result<_, _>>()
            .map(Prompts::Tokens),
        other => Err(fields::wrong_type("prompt[0]", "a string, an integer or an array of integers", other)),
    }
}

/// Reads token ids; the body's size bounds how many there are.
fn tokens(value: &Value, path: &str) -> Result<Vec<TokenId>, ApiError> {
    let list = fields::list(value, || path.to_owned(), limits::BODY_BYTES_MAX)?;
    list.iter()
        .enumerate()
        .map(|(index, id)| {
            let id = fields::integer(id, || format!("{path}[{index}]"), 0, u64::from(u32::MAX))?;
            Ok(TokenId::new(id as u32))
        })
        .collect()
}
