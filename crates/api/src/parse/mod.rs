//! Request bytes to [`Request`]: the only reader of what clients send.
//!
//! Unknown fields are ignored, as OpenAI-compatible servers do. A known field of the wrong type or out of its range is
//! an error that names it. Of a field that appears twice, the last one counts.

mod chat;
mod completions;
mod responses;
mod tools;

#[cfg(test)]
mod tests;

use claim::{Endpoint, TokenId};
use serde_json::Value;

use crate::error::ApiError;
use crate::fields::{self, Fields};
use crate::limits;
use crate::request::{Controls, Format, Request};

/// Reads a request body that was sent to `endpoint`.
///
/// # Errors
///
/// An [`ApiError`] of status 400 that names the first field at fault, or 413 for a body past the limit.
pub fn parse(endpoint: Endpoint, bytes: &[u8]) -> Result<Request, ApiError> {
    if bytes.len() > limits::BODY_BYTES_MAX {
        return Err(ApiError::BodyTooLarge { size_bytes_max: limits::BODY_BYTES_MAX });
    }
    let body: Value = serde_json::from_slice(bytes).map_err(|error| malformed(&error))?;
    let fields = Fields::new(&body, "")?;
    let request = match endpoint {
        Endpoint::Chat => chat::parse(fields),
        Endpoint::Completions => completions::parse(fields),
        Endpoint::Responses => responses::parse(fields),
    }?;
    let choices = request.prompts.count().saturating_mul(request.n as usize);
    if choices > limits::CHOICES_MAX {
        let max = (limits::CHOICES_MAX / request.prompts.count().max(1)) as u64;
        return Err(ApiError::IntegerAbove { param: "n".to_owned(), max, found: request.n.to_string() });
    }
    Ok(request)
}

fn malformed(error: &serde_json::Error) -> ApiError {
    let whole = error.to_string();
    let problem = whole.rsplit_once(" at line ").map_or(whole.as_str(), |(problem, _)| problem);
    ApiError::Malformed { problem: problem.to_owned(), line: error.line(), column: error.column() }
}

/// Reads the sampler's knobs, which have the same names everywhere. `max_tokens` is left to the endpoint.
fn controls(fields: Fields<'_>) -> Result<Controls, ApiError> {
    // vLLM's clients write -1 for "all candidates".
    let top_k = fields.integer("top_k", -1, u64::from(u32::MAX))?.unwrap_or(0).max(0) as u32;
    Ok(Controls {
        temperature: fields.decimal("temperature", 0.0, 2.0)?.unwrap_or(1.0),
        top_p: fields.decimal("top_p", 0.0, 1.0)?.unwrap_or(1.0),
        top_k,
        min_p: fields.decimal("min_p", 0.0, 1.0)?.unwrap_or(0.0),
        // A penalty divides, so it keeps clear of zero.
        repetition_penalty: fields.decimal("repetition_penalty", 0.01, 10.0)?.unwrap_or(1.0),
        frequency_penalty: fields.decimal("frequency_penalty", -2.0, 2.0)?.unwrap_or(0.0),
        presence_penalty: fields.decimal("presence_penalty", -2.0, 2.0)?.unwrap_or(0.0),
        logit_bias: logit_bias(fields)?,
        stop: stop(fields)?,
        max_tokens: None,
    })
}

fn logit_bias(fields: Fields<'_>) -> Result<Vec<(TokenId, f32)>, ApiError> {
    let Some(value) = fields.get("logit_bias") else { return Ok(Vec::new()) };
    let map = Fields::new(value, "logit_bias")?;
    if map.entries().len() > limits::BIASES_MAX {
        let param = "logit_bias".to_owned();
        return Err(ApiError::ArrayTooLong { param, max: limits::BIASES_MAX, found: map.entries().len() });
    }
    let mut biases = Vec::with_capacity(map.entries().len());
    for (token, bias) in map.entries() {
        let digits = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_digit());
        let Some(id) = digits.then(|| token.parse().ok()).flatten() else {
            return Err(fields::wrong_value("logit_bias", token, "token ids in decimal"));
        };
        biases.push((TokenId::new(id), fields::decimal(bias, || map.path_of(token), -100.0, 100.0)?));
    }
    // "7" and "07" are one token: the later entry counts, as it does for a repeated key.
    biases.reverse();
    biases.sort_by_key(|&(token, _)| token);
    biases.dedup_by_key(|&mut (token, _)| token);
    Ok(biases)
}

fn stop(fields: Fields<'_>) -> Result<Vec<String>, ApiError> {
    let one = |value, path: &dyn Fn() -> String| fields::text(value, path, limits::STOP_BYTES_MAX).map(str::to_owned);
    let mut stops = match fields.get("stop") {
        None => Vec::new(),
        Some(value @ Value::String(_)) => vec![one(value, &|| "stop".to_owned())?],
        Some(Value::Array(_)) => fields
            .list("stop", limits::STOPS_MAX)?
            .unwrap_or_default()
            .iter()
            .enumerate()
            .map(|(index, value)| one(value, &|| format!("stop[{index}]")))
            .collect::<Result<_, _>>()?,
        Some(other) => return Err(fields::wrong_type("stop", "a string or an array of strings", other)),
    };
    // An empty string would end every answer before it begins; clients that send one mean none.
    stops.retain(|stop| !stop.is_empty());
    Ok(stops)
}

/// Reads `n`.
fn n(fields: Fields<'_>) -> Result<u32, ApiError> {
    Ok(fields.integer("n", 1, u64::from(limits::N_MAX))?.unwrap_or(1) as u32)
}

/// Reads a token limit; `min` is 0 where scoring a prompt without an answer makes sense.
fn token_limit(fields: Fields<'_>, name: &str, min: i64) -> Result<Option<u32>, ApiError> {
    Ok(fields.integer(name, min, limits::MAX_TOKENS_MAX)?.map(|limit| limit as u32))
}

/// Reads `seed`. The whole range of both `i64` and `u64` is taken, a negative seed as its two's complement.
fn seed(fields: Fields<'_>) -> Result<Option<u64>, ApiError> {
    match fields.get("seed") {
        Some(Value::Number(number)) if number.is_u64() => Ok(number.as_u64()),
        _ => Ok(fields.integer("seed", i64::MIN, u64::MAX)?.map(|seed| seed as u64)),
    }
}

/// Reads `stream_options.include_usage`.
fn include_usage(fields: Fields<'_>) -> Result<bool, ApiError> {
    let Some(value) = fields.get("stream_options") else { return Ok(false) };
    Ok(Fields::new(value, "stream_options")?.flag("include_usage")?.unwrap_or(false))
}

/// Refuses fields that ask for what this server does not do, unless they are null, false or empty.
fn refuse(fields: Fields<'_>, unsupported: &[(&str, &'static str)]) -> Result<(), ApiError> {
    for &(name, reason) in unsupported {
        let asks = match fields.get(name) {
            None | Some(Value::Bool(false)) => false,
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Array(list)) => !list.is_empty(),
            Some(_) => true,
        };
        if asks {
            return Err(ApiError::Unsupported { param: fields.path_of(name), reason });
        }
    }
    Ok(())
}

/// Reads the object that says what form the answer must have; `schema` is where its schema is: nested in chat
/// completions, flat in responses.
fn format(value: &Value, path: &str, nested: Nesting) -> Result<Format, ApiError> {
    let fields = Fields::new(value, path)?;
    match fields.need_text("type", limits::NAME_BYTES_MAX)? {
        "text" => Ok(Format::Text),
        "json_object" => Ok(Format::JsonObject),
        "json_schema" => {
            let inner = fields.path_of("json_schema");
            let holder = match nested {
                Nesting::Nested => Fields::new(fields.need("json_schema")?, &inner)?,
                Nesting::Flat => fields,
            };
            json_schema(holder)
        }
        "grammar" => {
            let syntax = fields.need_text("syntax", limits::NAME_BYTES_MAX)?;
            if syntax != "lark" {
                return Err(fields::wrong_value(fields.path_of("syntax"), syntax, "'lark'"));
            }
            Ok(Format::Lark(fields.need_text("definition", limits::GRAMMAR_BYTES_MAX)?.to_owned()))
        }
        other => {
            let supported = "'text', 'json_object', 'json_schema', and 'grammar'";
            Err(fields::wrong_value(fields.path_of("type"), other, supported))
        }
    }
}

/// Where a `json_schema` format keeps its name and schema.
#[derive(Clone, Copy)]
enum Nesting {
    Nested,
    Flat,
}

fn json_schema(fields: Fields<'_>) -> Result<Format, ApiError> {
    let name = fields.need_text("name", limits::NAME_BYTES_MAX)?;
    check_name(name, || fields.path_of("name"))?;
    // Without a schema OpenAI takes any object.
    let Some(schema) = fields.get("schema") else { return Ok(Format::JsonObject) };
    let path = fields.path_of("schema");
    Fields::new(schema, &path)?;
    check_size(schema, path)?;
    Ok(Format::JsonSchema { name: name.to_owned(), schema: schema.clone() })
}

/// Refuses a name with other characters than letters, digits, `_` and `-`.
fn check_name(name: &str, path: impl Fn() -> String) -> Result<(), ApiError> {
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-') {
        Ok(())
    } else {
        Err(ApiError::Name { param: path() })
    }
}

/// Refuses a schema that is too long to compile.
fn check_size(schema: &Value, path: String) -> Result<(), ApiError> {
    let found = schema.to_string().len();
    if found > limits::GRAMMAR_BYTES_MAX {
        return Err(ApiError::StringTooLong { param: path, max: limits::GRAMMAR_BYTES_MAX, found });
    }
    Ok(())
}
