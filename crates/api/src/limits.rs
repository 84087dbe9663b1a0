//! Largest sizes of everything a client can send, checked before memory is reserved for it.

/// Longest request body, in bytes. Several times the text that the longest supported context holds.
pub const BODY_BYTES_MAX: usize = 8 << 20;
/// Most bytes of a request's body times its choices: the evidence of each choice holds the body.
pub const COPIES_BYTES_MAX: usize = 64 << 20;
/// Most messages or input items in one request.
pub const MESSAGES_MAX: usize = 4_096;
/// Most content parts in one message.
pub const PARTS_MAX: usize = 1_024;
/// Most prompts in one completion request, as at OpenAI.
pub const PROMPTS_MAX: usize = 2_048;
/// Most answers to one prompt, as at OpenAI.
pub const N_MAX: u32 = 128;
/// Most answers to one request: prompts times `n`. Bounds the prompt copies that a request can ask for.
pub const CHOICES_MAX: usize = 2_048;
/// Most stop strings. OpenAI takes 4; more is harmless.
pub const STOPS_MAX: usize = 16;
/// Longest stop string, in bytes.
pub const STOP_BYTES_MAX: usize = 1_024;
/// Most entries of `logit_bias`.
pub const BIASES_MAX: usize = 1_024;
/// Most alternatives listed per token, as at OpenAI.
pub const TOP_LOGPROBS_MAX: u32 = 20;
/// Most tools of one request, as at OpenAI.
pub const TOOLS_MAX: usize = 128;
/// Most tool calls in one message.
pub const TOOL_CALLS_MAX: usize = 128;
/// Longest name of a tool or schema, in bytes, as at OpenAI.
pub const NAME_BYTES_MAX: usize = 64;
/// Longest model name, in bytes.
pub const MODEL_BYTES_MAX: usize = 256;
/// Longest JSON schema or grammar, in bytes. Compiling one costs time that nobody has paid for yet.
pub const GRAMMAR_BYTES_MAX: usize = 256 << 10;
/// Largest `max_tokens`; every real context is shorter.
pub const MAX_TOKENS_MAX: u64 = 1 << 24;
/// Tokens of a completion that names no `max_tokens`, as at OpenAI.
pub const COMPLETION_TOKENS_DEFAULT: u32 = 16;
