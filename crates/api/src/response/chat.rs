//! `/v1/chat/completions`.

use model::template::ToolCall;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Candor, Usage};

/// A whole chat answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatCompletion<'a> {
    /// Id of the answer.
    pub id: &'a str,
    /// `chat.completion`.
    pub object: &'static str,
    /// Unix time in seconds.
    pub created: u64,
    /// Name of the model.
    pub model: &'a str,
    /// Names the exact weights: start of the model root.
    pub system_fingerprint: &'a str,
    /// One per answer.
    pub choices: Vec<ChatChoice>,
    /// Token counts.
    pub usage: Usage,
    /// The receipts.
    pub candor: Candor,
}

/// One answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatChoice {
    /// Index of the choice.
    pub index: u32,
    /// What the model said.
    pub message: AnswerMessage,
    /// Log probabilities, when asked for.
    #[schema(required)]
    pub logprobs: Option<ChatLogprobs>,
    /// `stop`, `length` or `tool_calls`.
    pub finish_reason: &'static str,
}

/// What the model said.
#[derive(Debug, Serialize, ToSchema)]
pub struct AnswerMessage {
    /// `assistant`.
    pub role: &'static str,
    /// The text; null when the answer is tool calls only.
    #[schema(required)]
    pub content: Option<String>,
    /// Always null: this server has no second channel for refusals.
    #[schema(required)]
    pub refusal: Option<String>,
    /// Functions called.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<WireToolCall>,
}

/// One function call as clients read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct WireToolCall {
    /// Place among the calls of the message; in streams only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// Id that the result must name.
    pub id: String,
    /// `function`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Which function with which arguments.
    pub function: WireFunctionCall,
}

/// Which function with which arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct WireFunctionCall {
    /// Name of the function.
    pub name: String,
    /// Arguments, JSON text.
    pub arguments: String,
}

impl WireToolCall {
    /// A call in a whole message (`index` none) or at a place in a stream.
    pub fn new(call: ToolCall, index: Option<u32>) -> Self {
        Self {
            index,
            id: call.id,
            kind: "function",
            function: WireFunctionCall { name: call.name, arguments: call.arguments },
        }
    }
}

/// Log probabilities of a chat answer.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ChatLogprobs {
    /// One per token of the text.
    pub content: Vec<ChatTokenLogprob>,
    /// Always null, as the message's `refusal`.
    #[schema(required)]
    pub refusal: Option<Vec<ChatTokenLogprob>>,
}

/// One token with its alternatives.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ChatTokenLogprob {
    /// The token's text.
    pub token: String,
    /// Natural logarithm of its probability; -9999 when it had none.
    #[serde(serialize_with = "super::logprob_number")]
    pub logprob: f32,
    /// The token's bytes, which may be part of a character.
    pub bytes: Vec<u8>,
    /// The likeliest tokens at this place, likeliest first.
    pub top_logprobs: Vec<ChatTopLogprob>,
}

/// One alternative.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ChatTopLogprob {
    /// The token's text.
    pub token: String,
    /// Natural logarithm of its probability.
    #[serde(serialize_with = "super::logprob_number")]
    pub logprob: f32,
    /// The token's bytes.
    pub bytes: Vec<u8>,
}

/// One event of a chat stream.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatChunk<'a> {
    /// Id of the answer, the same in every chunk.
    pub id: &'a str,
    /// `chat.completion.chunk`.
    pub object: &'static str,
    /// Unix time in seconds, the same in every chunk.
    pub created: u64,
    /// Name of the model.
    pub model: &'a str,
    /// Names the exact weights: start of the model root.
    pub system_fingerprint: &'a str,
    /// One entry, or none in the chunk that counts tokens.
    pub choices: Vec<ChunkChoice<'a>>,
    /// Absent unless asked for; then null in all chunks but the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Usage>)]
    pub usage: Option<Option<Usage>>,
    /// Receipts, in the chunks that carry some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candor: Option<Candor>,
}

/// What a chunk adds to one answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChunkChoice<'a> {
    /// Index of the choice.
    pub index: u32,
    /// What is new.
    pub delta: Delta<'a>,
    /// Log probabilities of the new tokens, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<ChatLogprobs>,
    /// Null until the answer ends.
    #[schema(required)]
    pub finish_reason: Option<&'static str>,
}

/// What is new in an answer.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Delta<'a> {
    /// `assistant`, in the first chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'static str>,
    /// Text to append.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<&'a str>,
    /// Null in the first chunk and absent later: this server has no second channel for refusals.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub refusal: Option<Option<&'a str>>,
    /// Functions called; each arrives whole.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<WireToolCall>,
}
