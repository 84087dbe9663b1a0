//! What request bodies look like, for the OpenAPI document only: [`parse`](crate::parse()) is what reads them.
//!
//! A test sends each field listed here with a wrong type and expects the parser to name it, so that the two cannot part.

#![expect(dead_code, reason = "schemas are derived from these types; no value of them is ever made")]

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

/// How tokens are drawn; the same fields in every body.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SamplingBody {
    /// 0 takes the likeliest token each time.
    #[schema(minimum = 0, maximum = 2, default = 1)]
    temperature: Option<f32>,
    /// Candidates are the likeliest tokens that together have this probability.
    #[schema(minimum = 0, maximum = 1, default = 1)]
    top_p: Option<f32>,
    /// Number of candidates; 0 or -1 for all. An extension.
    #[schema(minimum = -1, default = 0)]
    top_k: Option<i64>,
    /// Least probability of a candidate relative to the likeliest one. An extension.
    #[schema(minimum = 0, maximum = 1, default = 0)]
    min_p: Option<f32>,
    /// Makes tokens that occurred before less likely, by a factor. An extension.
    #[schema(minimum = 0.01, maximum = 10, default = 1)]
    repetition_penalty: Option<f32>,
    /// Makes tokens less likely for each time they were said.
    #[schema(minimum = -2, maximum = 2, default = 0)]
    frequency_penalty: Option<f32>,
    /// Makes tokens less likely once they were said.
    #[schema(minimum = -2, maximum = 2, default = 0)]
    presence_penalty: Option<f32>,
    /// Added to the logits of tokens, by token id in decimal: -100 to 100, at most 1024 entries.
    #[schema(value_type = Option<Object>)]
    logit_bias: Option<Value>,
    /// A string, or up to 16 of them, that end an answer. They are not part of it.
    #[schema(value_type = Option<Object>)]
    stop: Option<Value>,
    /// With a seed, the same request gives the same text from any host of the same model.
    seed: Option<i64>,
    /// Whether the answer is sent as it is made.
    #[schema(default = false)]
    stream: Option<bool>,
}

/// What a stream holds besides text.
#[derive(Debug, Deserialize, ToSchema)]
pub struct StreamOptionsBody {
    /// Whether the last chunk counts tokens.
    #[schema(default = false)]
    include_usage: Option<bool>,
}

/// Body of `/v1/chat/completions`.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ChatBody {
    /// Name of the model.
    #[schema(max_length = 256)]
    model: String,
    /// The conversation: objects with `role`, `content` and the fields of tool use.
    #[schema(value_type = Vec<Object>, min_items = 1, max_items = 4096)]
    messages: Vec<Value>,
    /// Most tokens of an answer; the rest of the context unless said.
    #[schema(minimum = 1)]
    max_completion_tokens: Option<u32>,
    /// The old name of `max_completion_tokens`.
    #[schema(minimum = 1)]
    max_tokens: Option<u32>,
    /// Answers to give.
    #[schema(minimum = 1, maximum = 128, default = 1)]
    n: Option<u32>,
    /// Whether tokens are listed with their log probabilities.
    #[schema(default = false)]
    logprobs: Option<bool>,
    /// Alternatives listed beside each token.
    #[schema(maximum = 20)]
    top_logprobs: Option<u32>,
    /// The form of the answer: type `text`, `json_object`, `json_schema`, or `grammar` (an extension).
    #[schema(value_type = Option<Object>)]
    response_format: Option<Value>,
    /// Functions that the model may call.
    #[schema(value_type = Option<Vec<Object>>, max_items = 128)]
    tools: Option<Vec<Value>>,
    /// `none`, `auto`, `required`, or an object that names a function.
    #[schema(value_type = Option<Object>)]
    tool_choice: Option<Value>,
    /// Whether one answer may call several functions.
    #[schema(default = true)]
    parallel_tool_calls: Option<bool>,
    /// What a stream holds besides text.
    stream_options: Option<StreamOptionsBody>,
    /// How tokens are drawn.
    #[serde(flatten)]
    sampling: SamplingBody,
}

/// Body of `/v1/completions`.
#[derive(Debug, Deserialize, ToSchema)]
pub struct CompletionBody {
    /// Name of the model.
    #[schema(max_length = 256)]
    model: String,
    /// A string, a list of strings, a list of token ids, or a list of such lists.
    #[schema(value_type = Object)]
    prompt: Value,
    /// Most tokens of an answer; 0 to score the prompt alone.
    #[schema(minimum = 0, default = 16)]
    max_tokens: Option<u32>,
    /// Answers to each prompt.
    #[schema(minimum = 1, maximum = 128, default = 1)]
    n: Option<u32>,
    /// 1, or the same as `n`: answers are not ranked.
    #[schema(minimum = 0, maximum = 128, default = 1)]
    best_of: Option<u32>,
    /// Lists tokens with their log probabilities and this many alternatives.
    #[schema(maximum = 20)]
    logprobs: Option<u32>,
    /// Whether the answer repeats the prompt.
    #[schema(default = false)]
    echo: Option<bool>,
    /// The form of the answer, as in chat completions. An extension.
    #[schema(value_type = Option<Object>)]
    response_format: Option<Value>,
    /// What a stream holds besides text.
    stream_options: Option<StreamOptionsBody>,
    /// How tokens are drawn.
    #[serde(flatten)]
    sampling: SamplingBody,
}

/// Body of `/v1/responses`.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ResponseBody {
    /// Name of the model.
    #[schema(max_length = 256)]
    model: String,
    /// A string, or a list of messages, function calls and their outputs.
    #[schema(value_type = Object)]
    input: Value,
    /// A system message that comes first.
    instructions: Option<String>,
    /// Most tokens of the answer; the rest of the context unless said.
    #[schema(minimum = 1)]
    max_output_tokens: Option<u32>,
    /// `format`: type `text`, `json_object`, `json_schema`, or `grammar` (an extension).
    #[schema(value_type = Option<Object>)]
    text: Option<Value>,
    /// Functions that the model may call.
    #[schema(value_type = Option<Vec<Object>>, max_items = 128)]
    tools: Option<Vec<Value>>,
    /// `none`, `auto`, `required`, or an object that names a function.
    #[schema(value_type = Option<Object>)]
    tool_choice: Option<Value>,
    /// Whether one answer may call several functions.
    #[schema(default = true)]
    parallel_tool_calls: Option<bool>,
    /// `message.output_text.logprobs` lists tokens with their log probabilities.
    include: Option<Vec<String>>,
    /// Alternatives listed beside each token.
    #[schema(maximum = 20)]
    top_logprobs: Option<u32>,
    /// Notes of the client, given back.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    /// How tokens are drawn.
    #[serde(flatten)]
    sampling: SamplingBody,
}
