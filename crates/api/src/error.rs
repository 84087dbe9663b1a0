//! Everything that can be wrong with a request, as the client is told it.
//!
//! Codes and wording follow what OpenAI's server answers to the same mistake, so that clients which branch on
//! `code` or `param` keep working.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A request that gets no answer, and why.
///
/// Adapters use the same type for what goes wrong around the model (a full queue, a full disk), so that every
/// error of the HTTP surface has one shape.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// The body is not JSON.
    #[error(
        "We could not parse the JSON body of your request: {problem} at line {line} column {column}. The API expects a JSON payload."
    )]
    Malformed {
        /// What the JSON parser says.
        problem: String,
        /// Line of the first wrong byte, from 1.
        line: usize,
        /// Column of the first wrong byte, from 1.
        column: usize,
    },
    /// The body is longer than the limit.
    #[error("The request body is too large: the maximum is {size_bytes_max} bytes.")]
    BodyTooLarge {
        /// The limit.
        size_bytes_max: usize,
    },
    /// The connection ended before the body did.
    #[error("The request body is incomplete: the connection ended before it did.")]
    BodyIncomplete,
    /// The body came too slowly.
    #[error("The request body took too long: it must arrive within {seconds_max} s.")]
    BodySlow {
        /// The limit.
        seconds_max: u64,
    },
    /// The long bodies of other requests take all the memory that there is for them.
    #[error("The server is busy with the large requests of others. Please retry after {retry_after_s} s.")]
    BodiesBusy {
        /// When to try again, in seconds.
        retry_after_s: u32,
    },
    /// A required field is absent or null.
    #[error("Missing required parameter: '{param}'.")]
    Missing {
        /// Path of the field.
        param: String,
    },
    /// A field has the wrong JSON type.
    #[error("Invalid type for '{param}': expected {expected}, but got {found} instead.")]
    Type {
        /// Path of the field.
        param: String,
        /// What it may be, with its article.
        expected: &'static str,
        /// What it is, with its article.
        found: &'static str,
    },
    /// An integer is too small.
    #[error("Invalid '{param}': integer below minimum value. Expected a value >= {min}, but got {found} instead.")]
    IntegerBelow {
        /// Path of the field.
        param: String,
        /// The smallest allowed value.
        min: i64,
        /// The value sent.
        found: String,
    },
    /// An integer is too large.
    #[error("Invalid '{param}': integer above maximum value. Expected a value <= {max}, but got {found} instead.")]
    IntegerAbove {
        /// Path of the field.
        param: String,
        /// The largest allowed value.
        max: u64,
        /// The value sent.
        found: String,
    },
    /// A decimal is too small.
    #[error("Invalid '{param}': decimal below minimum value. Expected a value >= {min}, but got {found} instead.")]
    DecimalBelow {
        /// Path of the field.
        param: String,
        /// The smallest allowed value.
        min: f64,
        /// The value sent.
        found: f64,
    },
    /// A decimal is too large.
    #[error("Invalid '{param}': decimal above maximum value. Expected a value <= {max}, but got {found} instead.")]
    DecimalAbove {
        /// Path of the field.
        param: String,
        /// The largest allowed value.
        max: f64,
        /// The value sent.
        found: f64,
    },
    /// A list that needs an entry has none.
    #[error("Invalid '{param}': empty array. Expected an array with minimum length 1, but got an empty array instead.")]
    ArrayEmpty {
        /// Path of the field.
        param: String,
    },
    /// A list or map has too many entries.
    #[error(
        "Invalid '{param}': array too long. Expected an array with maximum length {max}, but got an array with length {found} instead."
    )]
    ArrayTooLong {
        /// Path of the field.
        param: String,
        /// The limit.
        max: usize,
        /// Entries sent.
        found: usize,
    },
    /// A string that needs a character has none.
    #[error("Invalid '{param}': empty string. Expected a string with minimum length 1, but got an empty string.")]
    StringEmpty {
        /// Path of the field.
        param: String,
    },
    /// A string is too long.
    #[error(
        "Invalid '{param}': string too long. Expected a string with maximum length {max}, but got a string with length {found} instead."
    )]
    StringTooLong {
        /// Path of the field.
        param: String,
        /// The limit in bytes.
        max: usize,
        /// Bytes sent.
        found: usize,
    },
    /// A string is none of the allowed words.
    #[error("Invalid value: '{found}'. Supported values are: {supported}.")]
    Value {
        /// Path of the field.
        param: String,
        /// The value sent, cut to a readable length.
        found: String,
        /// The allowed words.
        supported: &'static str,
    },
    /// A name has a character that names may not have.
    #[error(
        "Invalid '{param}': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
    )]
    Name {
        /// Path of the field.
        param: String,
    },
    /// A token id is outside the model's vocabulary.
    #[error("Invalid '{param}': token {found} is not in the vocabulary of {vocabulary} tokens.")]
    TokenOutOfRange {
        /// Path of the field.
        param: String,
        /// The token id sent.
        found: u32,
        /// Number of tokens of the model.
        vocabulary: usize,
    },
    /// A known field asks for what this server does not do.
    #[error("Unsupported parameter: '{param}' is not supported: {reason}.")]
    Unsupported {
        /// Path of the field.
        param: String,
        /// What to do instead.
        reason: &'static str,
    },
    /// Two fields contradict each other.
    #[error("Invalid '{param}': {reason}.")]
    Conflict {
        /// Path of the field that cannot be honoured.
        param: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// `tool_choice` names a tool that `tools` does not hold.
    #[error("Tool choice '{name}' not found in 'tools' parameter.")]
    ToolUnknown {
        /// The name asked for.
        name: String,
    },
    /// No such model is served here.
    #[error("The model `{model}` does not exist or you do not have access to it.")]
    ModelNotFound {
        /// The name asked for.
        model: String,
    },
    /// The prompt leaves no room in the model's context.
    #[error(
        "This model's maximum context length is {context_tokens} tokens. However, your {what} resulted in {prompt_tokens} tokens. Please reduce the length of the {what}."
    )]
    ContextLengthExceeded {
        /// `messages`, `prompt` or `input`.
        what: &'static str,
        /// The model's context length.
        context_tokens: usize,
        /// Tokens of the prompt.
        prompt_tokens: usize,
    },
    /// A prompt without a single token, for a model that has no start token to put there.
    #[error("Invalid 'prompt': it has no tokens, and this model has no start token. Send at least one character.")]
    PromptEmpty,
    /// Messages were sent to a model without a chat template.
    #[error("The model has no chat template. Use /v1/completions with a prompt instead.")]
    TemplateMissing,
    /// The model's chat template rejects the messages.
    #[error("The model's chat template rejects these messages: {problem}.")]
    TemplateRejected {
        /// What the template says.
        problem: String,
    },
    /// The JSON schema or grammar cannot be compiled.
    #[error("Invalid schema for '{param}': {problem}.")]
    GrammarRejected {
        /// Path of the field.
        param: &'static str,
        /// What the compiler says.
        problem: String,
    },
    /// A header of the request is not what it must be.
    #[error("Invalid header '{header}': expected {expected}.")]
    Header {
        /// Name of the header.
        header: &'static str,
        /// What it must hold.
        expected: &'static str,
    },
    /// No route has this path.
    #[error("Unknown request URL: {method} {path}. The API is described at /openapi.json.")]
    RouteUnknown {
        /// HTTP method.
        method: String,
        /// Path of the request, cut to a readable length.
        path: String,
    },
    /// The path exists, the method does not.
    #[error("Not allowed to {method} on {path}.")]
    MethodNotAllowed {
        /// HTTP method.
        method: String,
        /// Path of the request.
        path: String,
    },
    /// The text is not a receipt id.
    #[error("Invalid receipt id '{found}': expected 0x and 64 hexadecimal digits.")]
    ReceiptIdInvalid {
        /// The text sent, cut to a readable length.
        found: String,
    },
    /// The store holds no such receipt.
    #[error("No receipt with id {id} is stored here.")]
    ReceiptUnknown {
        /// The id asked for.
        id: String,
    },
    /// A receipt that was sent along cannot be read.
    #[error("The receipt cannot be read: {problem}.")]
    ReceiptInvalid {
        /// Path of the first wrong field, and what is wrong with it.
        problem: String,
    },
    /// The model is paid for, and the request does not say how.
    #[error(
        "This model is paid for by a channel of the contract {contract} on the chain {chain_id}. Open one in the token {token} to the host {host}, and name it in the header 'x-candor-channel'."
    )]
    PaymentRequired {
        /// Who is paid.
        host: String,
        /// In what.
        token: String,
        /// On which chain.
        chain_id: u64,
        /// The contract of channels.
        contract: String,
    },
    /// The payment is not one that this host takes.
    #[error("Payment refused: {problem}.")]
    PaymentRefused {
        /// What is wrong with it.
        problem: String,
    },
    /// Nothing is known here of such a channel.
    #[error("No channel with id {id} was used here since the server was started.")]
    ChannelUnknown {
        /// The id asked for.
        id: String,
    },
    /// The chain that says what a channel holds does not answer.
    #[error("The chain does not answer, so nobody can say what the channel holds. Please retry.")]
    LedgerUnreachable,
    /// The disk did not take the voucher.
    #[error("The voucher could not be stored and counts as not given. Please send it again.")]
    VoucherNotStored,
    /// All places in the queue are taken.
    #[error("The server is at its limit of {jobs_max} queued answers. Please retry after {retry_after_s} s.")]
    Overloaded {
        /// The limit.
        jobs_max: usize,
        /// When to try again, in seconds.
        retry_after_s: u32,
    },
    /// The host is stopping.
    #[error("The server is shutting down. Please retry.")]
    Stopping,
    /// What the host handed over is no receipt for this request, or does not open the receipt, so the answer is withheld.
    #[error("The answer is withheld: {problem}.")]
    HostUnsound {
        /// What the host did wrong.
        problem: String,
    },
    /// The disk has no room for the receipt, so the answer is withheld.
    #[error("The answer is withheld because its receipt cannot be stored: the disk is full.")]
    StorageFull,
    /// The receipt store failed, so the answer is withheld.
    #[error("The answer is withheld because its receipt cannot be stored: the store failed.")]
    StorageFailed,
    /// A bug on this side; the details are in the server's log.
    #[error("The server had an error while processing your request. Sorry about that!")]
    Internal,
}

/// The body of every error answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorFields,
}

/// What a client can read from an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorFields {
    /// One sentence for a person.
    pub message: String,
    /// The class: `invalid_request_error`, `rate_limit_error` or `server_error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Path of the field at fault, when there is one.
    #[schema(required)]
    pub param: Option<String>,
    /// A word that programs branch on.
    #[schema(required)]
    pub code: Option<String>,
}

impl ApiError {
    /// The HTTP status of the answer.
    pub fn status(&self) -> u16 {
        match self {
            Self::PaymentRequired { .. } | Self::PaymentRefused { .. } => 402,
            Self::ModelNotFound { .. }
            | Self::RouteUnknown { .. }
            | Self::ReceiptUnknown { .. }
            | Self::ChannelUnknown { .. } => 404,
            Self::MethodNotAllowed { .. } => 405,
            Self::BodySlow { .. } => 408,
            Self::BodyTooLarge { .. } => 413,
            Self::BodiesBusy { .. } | Self::Overloaded { .. } => 429,
            Self::Internal => 500,
            Self::HostUnsound { .. } => 502,
            Self::Stopping | Self::StorageFailed | Self::LedgerUnreachable | Self::VoucherNotStored => 503,
            Self::StorageFull => 507,
            _ => 400,
        }
    }

    /// OpenAI's class of the error.
    pub fn kind(&self) -> &'static str {
        match self.status() {
            429 => "rate_limit_error",
            500.. => "server_error",
            _ => "invalid_request_error",
        }
    }

    /// The word that programs branch on, where OpenAI has one or this project adds one.
    pub fn code(&self) -> Option<&'static str> {
        Some(match self {
            Self::Malformed { .. } | Self::Header { .. } | Self::TemplateMissing => return None,
            Self::Missing { .. } => "missing_required_parameter",
            Self::BodyTooLarge { .. } => "request_too_large",
            Self::BodyIncomplete => "request_incomplete",
            Self::BodySlow { .. } => "request_timeout",
            Self::Type { .. } => "invalid_type",
            Self::IntegerBelow { .. } => "integer_below_min_value",
            Self::IntegerAbove { .. } => "integer_above_max_value",
            Self::DecimalBelow { .. } => "decimal_below_min_value",
            Self::DecimalAbove { .. } => "decimal_above_max_value",
            Self::ArrayEmpty { .. } => "empty_array",
            Self::ArrayTooLong { .. } => "array_above_max_length",
            Self::StringEmpty { .. } | Self::PromptEmpty => "empty_string",
            Self::StringTooLong { .. } => "string_above_max_length",
            Self::Value { .. }
            | Self::Name { .. }
            | Self::TokenOutOfRange { .. }
            | Self::Conflict { .. }
            | Self::ToolUnknown { .. } => "invalid_value",
            Self::Unsupported { .. } => "unsupported_parameter",
            Self::ModelNotFound { .. } => "model_not_found",
            Self::ContextLengthExceeded { .. } => "context_length_exceeded",
            Self::TemplateRejected { .. } => "template_rejected",
            Self::GrammarRejected { .. } => "invalid_json_schema",
            Self::RouteUnknown { .. } => "unknown_url",
            Self::MethodNotAllowed { .. } => "method_not_supported",
            Self::ReceiptIdInvalid { .. } => "invalid_receipt_id",
            Self::ReceiptUnknown { .. } => "receipt_not_found",
            Self::ReceiptInvalid { .. } => "invalid_receipt",
            Self::PaymentRequired { .. } => "payment_required",
            Self::PaymentRefused { .. } => "payment_refused",
            Self::ChannelUnknown { .. } => "channel_not_found",
            Self::LedgerUnreachable => "chain_unreachable",
            Self::VoucherNotStored => "voucher_not_stored",
            Self::BodiesBusy { .. } | Self::Overloaded { .. } => "server_overloaded",
            Self::Stopping => "server_stopping",
            Self::HostUnsound { .. } => "host_unsound",
            Self::StorageFull => "storage_full",
            Self::StorageFailed => "storage_failed",
            Self::Internal => "internal_error",
        })
    }

    /// Path of the field at fault, when there is one.
    pub fn param(&self) -> Option<&str> {
        match self {
            Self::Missing { param }
            | Self::Type { param, .. }
            | Self::IntegerBelow { param, .. }
            | Self::IntegerAbove { param, .. }
            | Self::DecimalBelow { param, .. }
            | Self::DecimalAbove { param, .. }
            | Self::ArrayEmpty { param }
            | Self::ArrayTooLong { param, .. }
            | Self::StringEmpty { param }
            | Self::StringTooLong { param, .. }
            | Self::Value { param, .. }
            | Self::Name { param }
            | Self::TokenOutOfRange { param, .. }
            | Self::Unsupported { param, .. }
            | Self::Conflict { param, .. } => Some(param),
            Self::GrammarRejected { param, .. } => Some(param),
            Self::ToolUnknown { .. } => Some("tool_choice"),
            Self::ContextLengthExceeded { what, .. } => Some(what),
            Self::PromptEmpty => Some("prompt"),
            _ => None,
        }
    }

    /// Seconds after which the same request may succeed, when waiting helps.
    pub fn retry_after_s(&self) -> Option<u32> {
        match self {
            Self::BodiesBusy { retry_after_s } | Self::Overloaded { retry_after_s, .. } => Some(*retry_after_s),
            Self::Stopping | Self::LedgerUnreachable | Self::VoucherNotStored => Some(1),
            _ => None,
        }
    }

    /// The JSON body of the answer.
    pub fn body(&self) -> ErrorBody {
        ErrorBody {
            error: ErrorFields {
                message: self.to_string(),
                kind: self.kind().to_owned(),
                param: self.param().map(str::to_owned),
                code: self.code().map(str::to_owned),
            },
        }
    }
}

/// Cuts text from outside to a length that fits an error message, at a character boundary.
pub(crate) fn excerpt(text: &str) -> String {
    const EXCERPT_BYTES_MAX: usize = 80;
    if text.len() <= EXCERPT_BYTES_MAX {
        return text.to_owned();
    }
    let mut end = EXCERPT_BYTES_MAX;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}...", &text[..end])
}
