//! `/v1/responses`: the response object and the events of its stream.

use model::template::ToolCall;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::Candor;
use crate::request::{Format, Request, ToolChoice};

/// The response object. It travels whole in answers, and in the first and last events of a stream.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ResponseObject<'a> {
    /// Id of the answer.
    pub id: &'a str,
    /// `response`.
    pub object: &'static str,
    /// Unix time in seconds.
    pub created_at: u64,
    /// Unix time in seconds, once completed.
    #[schema(required)]
    pub completed_at: Option<u64>,
    /// `in_progress`, `completed`, `incomplete` or `failed`.
    pub status: &'static str,
    /// Why it failed.
    #[schema(required)]
    pub error: Option<ResponseFault>,
    /// Why it is incomplete.
    #[schema(required)]
    pub incomplete_details: Option<IncompleteDetails>,
    /// The request's `instructions`.
    #[schema(required)]
    pub instructions: Option<&'a str>,
    /// The request's `max_output_tokens`.
    #[schema(required)]
    pub max_output_tokens: Option<u32>,
    /// Name of the model.
    pub model: &'a str,
    /// Messages and function calls.
    pub output: Vec<OutputItem>,
    /// Whether several functions may be called.
    pub parallel_tool_calls: bool,
    /// Always null: responses are not kept, send the conversation again.
    #[schema(required)]
    pub previous_response_id: Option<String>,
    /// Always false, for the same reason.
    pub store: bool,
    /// The request's temperature.
    pub temperature: f32,
    /// The request's `text`.
    #[schema(value_type = Object)]
    pub text: Value,
    /// The request's `tool_choice`.
    #[schema(value_type = Object)]
    pub tool_choice: Value,
    /// The request's tools.
    #[schema(value_type = Vec<Object>)]
    pub tools: Vec<Value>,
    /// The request's `top_p`.
    pub top_p: f32,
    /// `disabled`: a prompt past the context is refused.
    pub truncation: &'static str,
    /// Token counts, once completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<ResponseUsage>,
    /// The request's `metadata`.
    #[schema(value_type = Object)]
    pub metadata: Value,
    /// The receipts, once completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candor: Option<Candor>,
}

impl<'a> ResponseObject<'a> {
    /// The object as it is when the answer begins.
    pub fn begun(id: &'a str, request: &'a Request, created_at: u64) -> Self {
        Self {
            id,
            object: "response",
            created_at,
            completed_at: None,
            status: "in_progress",
            error: None,
            incomplete_details: None,
            instructions: request.instructions.as_deref(),
            max_output_tokens: request.controls.max_tokens,
            model: &request.model,
            output: Vec::new(),
            parallel_tool_calls: request.parallel_tool_calls,
            previous_response_id: None,
            store: false,
            temperature: request.controls.temperature,
            text: json!({ "format": format_value(&request.format) }),
            tool_choice: tool_choice_value(&request.tool_choice),
            tools: request.tools.iter().map(crate::request::Tool::responses_form).collect(),
            top_p: request.controls.top_p,
            truncation: "disabled",
            usage: None,
            metadata: request.metadata.clone().unwrap_or_else(|| json!({})),
            candor: None,
        }
    }
}

fn format_value(format: &Format) -> Value {
    match format {
        Format::Text => json!({ "type": "text" }),
        Format::JsonObject => json!({ "type": "json_object" }),
        Format::JsonSchema { name, schema } => {
            json!({ "type": "json_schema", "name": name, "schema": schema, "strict": true })
        }
        Format::Lark(definition) => json!({ "type": "grammar", "syntax": "lark", "definition": definition }),
    }
}

fn tool_choice_value(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::None => json!("none"),
        ToolChoice::Auto => json!("auto"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Function(name) => json!({ "type": "function", "name": name }),
    }
}

/// Why a response failed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ResponseFault {
    /// `server_error`, `rate_limit_exceeded` or `invalid_prompt`.
    pub code: &'static str,
    /// One sentence for a person.
    pub message: String,
}

/// Why a response is incomplete.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct IncompleteDetails {
    /// `max_output_tokens`.
    pub reason: &'static str,
}

/// Token counts of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct ResponseUsage {
    /// Tokens read.
    pub input_tokens: u64,
    /// What the input tokens were.
    pub input_tokens_details: InputTokensDetails,
    /// Tokens drawn.
    pub output_tokens: u64,
    /// What the output tokens were.
    pub output_tokens_details: OutputTokensDetails,
    /// Both together.
    pub total_tokens: u64,
}

/// What the input tokens were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct InputTokensDetails {
    /// Input tokens whose state was at hand from an earlier request.
    pub cached_tokens: u64,
    /// Always 0: this server keeps states without counting them.
    pub cache_write_tokens: u64,
}

/// What the output tokens were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct OutputTokensDetails {
    /// Always 0: this server separates no reasoning from the text.
    pub reasoning_tokens: u64,
}

impl From<super::Usage> for ResponseUsage {
    fn from(usage: super::Usage) -> Self {
        Self {
            input_tokens: usage.prompt_tokens,
            input_tokens_details: InputTokensDetails {
                cached_tokens: usage.prompt_tokens_details.cached_tokens,
                cache_write_tokens: 0,
            },
            output_tokens: usage.completion_tokens,
            output_tokens_details: OutputTokensDetails { reasoning_tokens: 0 },
            total_tokens: usage.total_tokens,
        }
    }
}

/// A message or a function call.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OutputItem {
    /// What the model said.
    Message {
        /// Id of the item.
        id: String,
        /// `in_progress`, `completed` or `incomplete`.
        status: &'static str,
        /// `assistant`.
        role: &'static str,
        /// One text part, or none yet.
        content: Vec<OutputPart>,
    },
    /// A function that the model calls.
    FunctionCall {
        /// Id of the item.
        id: String,
        /// Id that the result must name.
        call_id: String,
        /// Name of the function.
        name: String,
        /// Arguments, JSON text.
        arguments: String,
        /// `in_progress` or `completed`.
        status: &'static str,
    },
}

impl OutputItem {
    /// A message item; `part` is none while nothing was said.
    pub fn message(id: String, status: &'static str, part: Option<OutputPart>) -> Self {
        Self::Message { id, status, role: "assistant", content: part.into_iter().collect() }
    }

    /// A function call item; the arguments are left out while in progress.
    pub fn function_call(id: String, call: &ToolCall, status: &'static str) -> Self {
        let arguments = if status == "in_progress" { String::new() } else { call.arguments.clone() };
        Self::FunctionCall { id, call_id: call.id.clone(), name: call.name.clone(), arguments, status }
    }
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OutputPart {
    /// Text.
    OutputText {
        /// The text.
        text: String,
        /// Always empty: this server cites nothing.
        #[schema(value_type = Vec<Object>)]
        annotations: Vec<Value>,
        /// Log probabilities, when asked for.
        logprobs: Vec<super::chat::ChatTokenLogprob>,
    },
}

impl OutputPart {
    /// A text part.
    pub fn text(text: String, logprobs: Vec<super::chat::ChatTokenLogprob>) -> Self {
        Self::OutputText { text, annotations: Vec::new(), logprobs }
    }
}

/// One event of a response stream with its place in it.
#[derive(Debug, Serialize, ToSchema)]
pub struct StreamEvent<'a> {
    /// What happened.
    #[serde(flatten)]
    pub event: ResponseEvent<'a>,
    /// Counts up from 0.
    pub sequence_number: u64,
}

/// What happened in a response stream.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type")]
pub enum ResponseEvent<'a> {
    /// The answer begins.
    #[serde(rename = "response.created")]
    Created {
        /// The object, without output.
        response: &'a ResponseObject<'a>,
    },
    /// The model is at work.
    #[serde(rename = "response.in_progress")]
    InProgress {
        /// The object, without output.
        response: &'a ResponseObject<'a>,
    },
    /// An item begins.
    #[serde(rename = "response.output_item.added")]
    OutputItemAdded {
        /// Its place.
        output_index: u32,
        /// The item, without content.
        item: &'a OutputItem,
    },
    /// A part of a message begins.
    #[serde(rename = "response.content_part.added")]
    ContentPartAdded {
        /// The message.
        item_id: &'a str,
        /// Its place.
        output_index: u32,
        /// Place of the part.
        content_index: u32,
        /// The part, without text.
        part: &'a OutputPart,
    },
    /// More text.
    #[serde(rename = "response.output_text.delta")]
    OutputTextDelta {
        /// The message.
        item_id: &'a str,
        /// Its place.
        output_index: u32,
        /// Place of the part.
        content_index: u32,
        /// Text to append.
        delta: &'a str,
        /// Log probabilities of the new tokens, when asked for.
        logprobs: &'a [super::chat::ChatTokenLogprob],
        /// A signed receipt for the stream so far, now and then.
        #[serde(skip_serializing_if = "Option::is_none")]
        candor: Option<Candor>,
    },
    /// A part's text is whole.
    #[serde(rename = "response.output_text.done")]
    OutputTextDone {
        /// The message.
        item_id: &'a str,
        /// Its place.
        output_index: u32,
        /// Place of the part.
        content_index: u32,
        /// The text.
        text: &'a str,
        /// Log probabilities, when asked for.
        logprobs: &'a [super::chat::ChatTokenLogprob],
    },
    /// A part is whole.
    #[serde(rename = "response.content_part.done")]
    ContentPartDone {
        /// The message.
        item_id: &'a str,
        /// Its place.
        output_index: u32,
        /// Place of the part.
        content_index: u32,
        /// The part.
        part: &'a OutputPart,
    },
    /// Arguments of a function call.
    #[serde(rename = "response.function_call_arguments.delta")]
    FunctionCallArgumentsDelta {
        /// The function call.
        item_id: &'a str,
        /// Its place.
        output_index: u32,
        /// Text to append.
        delta: &'a str,
    },
    /// The arguments are whole.
    #[serde(rename = "response.function_call_arguments.done")]
    FunctionCallArgumentsDone {
        /// The function call.
        item_id: &'a str,
        /// Its place.
        output_index: u32,
        /// Name of the function.
        name: &'a str,
        /// The arguments.
        arguments: &'a str,
    },
    /// An item is whole.
    #[serde(rename = "response.output_item.done")]
    OutputItemDone {
        /// Its place.
        output_index: u32,
        /// The item.
        item: &'a OutputItem,
    },
    /// The answer is whole.
    #[serde(rename = "response.completed")]
    Completed {
        /// The object with output, usage and receipts.
        response: &'a ResponseObject<'a>,
    },
    /// The answer was cut at its token limit.
    #[serde(rename = "response.incomplete")]
    Incomplete {
        /// The object with output, usage and receipts.
        response: &'a ResponseObject<'a>,
    },
    /// The answer failed.
    #[serde(rename = "response.failed")]
    Failed {
        /// The object with its error.
        response: &'a ResponseObject<'a>,
    },
}

impl ResponseEvent<'_> {
    /// The name in the `event:` line of the stream.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Created { .. } => "response.created",
            Self::InProgress { .. } => "response.in_progress",
            Self::OutputItemAdded { .. } => "response.output_item.added",
            Self::ContentPartAdded { .. } => "response.content_part.added",
            Self::OutputTextDelta { .. } => "response.output_text.delta",
            Self::OutputTextDone { .. } => "response.output_text.done",
            Self::ContentPartDone { .. } => "response.content_part.done",
            Self::FunctionCallArgumentsDelta { .. } => "response.function_call_arguments.delta",
            Self::FunctionCallArgumentsDone { .. } => "response.function_call_arguments.done",
            Self::OutputItemDone { .. } => "response.output_item.done",
            Self::Completed { .. } => "response.completed",
            Self::Incomplete { .. } => "response.incomplete",
            Self::Failed { .. } => "response.failed",
        }
    }
}
