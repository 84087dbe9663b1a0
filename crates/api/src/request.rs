//! A parsed request: every field in range, every default filled in.

use claim::{Endpoint, TokenId};
use model::template::Message;
use serde_json::Value;

/// What a request body asks for, the same for all three endpoints.
///
/// Made by [`parse`](crate::parse()) only, so that every value is in the range its field states.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the API with that type")]
pub struct Request {
    /// Where the body was sent.
    pub endpoint: Endpoint,
    /// Name of the model.
    pub model: String,
    /// What to continue.
    pub prompts: Prompts,
    /// Answers per prompt, 1 to [`N_MAX`](crate::limits::N_MAX).
    pub n: u32,
    /// How tokens are drawn.
    pub controls: Controls,
    /// The client's own seed; a negative one is taken as its two's complement.
    pub seed: Option<u64>,
    /// The form that the answer must have.
    pub format: Format,
    /// Functions that the model may call.
    pub tools: Vec<Tool>,
    /// Whether a function may or must be called.
    pub tool_choice: ToolChoice,
    /// Whether one answer may call several functions.
    pub parallel_tool_calls: bool,
    /// Whether the answer is sent as it is made.
    pub stream: bool,
    /// Whether a stream ends with a chunk that counts tokens.
    pub include_usage: bool,
    /// Log probabilities wanted: `None` for none, else how many alternatives are listed beside each token.
    pub logprobs: Option<u32>,
    /// Whether a completion repeats its prompt.
    pub echo: bool,
    /// Key-value notes of the client, given back in the responses object.
    pub metadata: Option<Value>,
    /// `instructions` of the responses endpoint, given back in the responses object.
    pub instructions: Option<String>,
}

/// What the model continues.
#[derive(Debug, Clone, PartialEq)]
pub enum Prompts {
    /// A conversation for the chat template.
    Chat(Vec<Message>),
    /// Plain texts, one answer or `n` answers each.
    Texts(Vec<String>),
    /// Token lists, one answer or `n` answers each.
    Tokens(Vec<Vec<TokenId>>),
}

impl Prompts {
    /// Number of prompts.
    pub fn count(&self) -> usize {
        match self {
            Self::Chat(_) => 1,
            Self::Texts(texts) => texts.len(),
            Self::Tokens(lists) => lists.len(),
        }
    }
}

/// The sampler's knobs as sent. All are finite, and no zero is negative.
#[derive(Debug, Clone, PartialEq)]
pub struct Controls {
    /// 0 to 2; 0 takes the likeliest token.
    pub temperature: f32,
    /// Probability mass of the candidates, 0 to 1.
    pub top_p: f32,
    /// Number of candidates; 0 for all.
    pub top_k: u32,
    /// Least probability of a candidate relative to the likeliest, 0 to 1.
    pub min_p: f32,
    /// Divides the logits of tokens seen before, above 0 and at most 10; 1 changes nothing.
    pub repetition_penalty: f32,
    /// Subtracted per occurrence, -2 to 2.
    pub frequency_penalty: f32,
    /// Subtracted once for a token that occurred, -2 to 2.
    pub presence_penalty: f32,
    /// Added to logits, -100 to 100; sorted by token, each token once.
    pub logit_bias: Vec<(TokenId, f32)>,
    /// Strings that end the answer; none is empty.
    pub stop: Vec<String>,
    /// Most tokens of the answer; `None` for the rest of the context.
    pub max_tokens: Option<u32>,
}

/// A function that the model may call.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// Its name: letters, digits, `_`, `-` and `.`.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// JSON schema of its arguments; absent when it takes none.
    pub parameters: Option<Value>,
    /// Whether the client asked for exact schema adherence.
    pub strict: Option<bool>,
}

/// Whether a function may or must be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    /// No function is called.
    None,
    /// The model decides.
    Auto,
    /// Some function is called.
    Required,
    /// This function is called.
    Function(String),
}

/// The form that an answer must have.
#[derive(Debug, Clone, PartialEq)]
pub enum Format {
    /// Any text.
    Text,
    /// One JSON object.
    JsonObject,
    /// JSON that meets a schema.
    JsonSchema {
        /// The client's name for the schema.
        name: String,
        /// The schema.
        schema: Value,
    },
    /// Text of a Lark grammar (an extension).
    Lark(String),
}

impl Tool {
    /// The tool as chat completions (and chat templates) write it.
    pub fn chat_form(&self) -> Value {
        let mut function = serde_json::Map::new();
        function.insert("name".to_owned(), Value::from(self.name.as_str()));
        if let Some(description) = &self.description {
            function.insert("description".to_owned(), Value::from(description.as_str()));
        }
        if let Some(parameters) = &self.parameters {
            function.insert("parameters".to_owned(), parameters.clone());
        }
        if let Some(strict) = self.strict {
            function.insert("strict".to_owned(), Value::from(strict));
        }
        serde_json::json!({ "type": "function", "function": function })
    }

    /// The tool as the responses endpoint writes it.
    pub fn responses_form(&self) -> Value {
        serde_json::json!({
            "type": "function",
            "name": self.name,
            "description": self.description,
            "parameters": self.parameters,
            "strict": self.strict.unwrap_or(false),
        })
    }
}
