//! The meaning of a request for one model: prompt tokens and sampling, for each choice.
//!
//! The host computes it to answer and the court to check, so it hangs on nothing but its arguments.

#[cfg(test)]
mod tests;

use claim::{ChoiceIndex, Grammar, Origin, PromptToken, Sampling, TokenCount, TokenId, UnixMillis};
use model::template::{ChatTemplate, Message, Rendered, Role, TemplateError, prompt_tokens, raw_tokens};
use model::tokenizer::Tokenizer;
use serde_json::Value;

use crate::error::ApiError;
use crate::request::{Format, Prompts, Request, Tool, ToolChoice};
use crate::tool_calls;

/// What a host has to compute for one choice.
#[derive(Debug, Clone, PartialEq)]
pub struct JobSpec {
    /// Which answer this is: answers to the first prompt come first.
    pub choice: ChoiceIndex,
    /// What the model reads.
    pub prompt: Vec<PromptToken>,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// The client's own seed. With temperature 0 it is not used.
    pub seed: Option<u64>,
}

impl Request {
    /// What the request means for a model with this tokenizer, template and context length, in the order of the choices.
    ///
    /// `now` is the time that the receipt gives as its start; templates may print it.
    ///
    /// # Errors
    ///
    /// An [`ApiError`] of status 400: the template is missing or refuses, a token is outside the vocabulary, or the prompt
    /// leaves no room in the context.
    pub fn jobs(
        &self,
        tokenizer: &Tokenizer,
        template: Option<&ChatTemplate>,
        context_length: usize,
        now: UnixMillis,
    ) -> Result<Vec<JobSpec>, ApiError> {
        check_biases(self, tokenizer)?;
        let grammar = self.grammar();
        let prompts = match &self.prompts {
            Prompts::Chat(messages) => {
                let template = template.ok_or(ApiError::TemplateMissing)?;
                let rendered = self.render(template, messages, now).map_err(refused)?;
                vec![prompt_tokens(tokenizer, &rendered)]
            }
            Prompts::Texts(texts) => texts.iter().map(|text| raw_tokens(tokenizer, text)).collect(),
            Prompts::Tokens(lists) => given_tokens(lists, tokenizer)?,
        };
        let mut jobs = Vec::with_capacity(prompts.len() * self.n as usize);
        for prompt in prompts {
            let prompt = if prompt.is_empty() { vec![start_token(tokenizer)?] } else { prompt };
            let room = self.room(&prompt, context_length)?;
            for _ in 0..self.n {
                jobs.push(JobSpec {
                    choice: ChoiceIndex::new(jobs.len() as u32),
                    prompt: prompt.clone(),
                    sampling: self.sampling(grammar.clone(), room),
                    seed: self.seed,
                });
            }
        }
        Ok(jobs)
    }

    /// How many tokens the context holds after the prompt.
    fn room(&self, prompt: &[PromptToken], context_length: usize) -> Result<u32, ApiError> {
        let room = context_length.saturating_sub(prompt.len());
        let is_scored_only = self.controls.max_tokens == Some(0) && prompt.len() <= context_length;
        if room == 0 && !is_scored_only {
            let what = match self.endpoint {
                claim::Endpoint::Chat => "messages",
                claim::Endpoint::Completions => "prompt",
                claim::Endpoint::Responses => "input",
            };
            let (context_tokens, prompt_tokens) = (context_length, prompt.len());
            return Err(ApiError::ContextLengthExceeded { what, context_tokens, prompt_tokens });
        }
        Ok(u32::try_from(room).unwrap_or(u32::MAX))
    }

    fn sampling(&self, grammar: Grammar, room: u32) -> Sampling {
        let controls = &self.controls;
        Sampling {
            temperature: controls.temperature,
            top_k: controls.top_k,
            top_p: controls.top_p,
            min_p: controls.min_p,
            repetition_penalty: controls.repetition_penalty,
            frequency_penalty: controls.frequency_penalty,
            presence_penalty: controls.presence_penalty,
            logit_bias: controls.logit_bias.clone(),
            grammar,
            stop: controls.stop.clone(),
            max_tokens: TokenCount::new(controls.max_tokens.unwrap_or(room)),
        }
    }

    /// What the answer must be a sentence of. A forced call comes before the format, which is about text.
    fn grammar(&self) -> Grammar {
        if let Some(schema) = tool_calls::forced_schema(&self.tools, &self.tool_choice) {
            return Grammar::JsonSchema(schema.to_string());
        }
        match &self.format {
            Format::Text => Grammar::Free,
            Format::JsonObject => Grammar::Json,
            Format::JsonSchema { schema, .. } => Grammar::JsonSchema(schema.to_string()),
            Format::Lark(source) => Grammar::Lark(source.clone()),
        }
    }

    /// Renders the conversation. What a template leaves out, tools and calls, is put into the messages instead.
    fn render(
        &self,
        template: &ChatTemplate,
        messages: &[Message],
        now: UnixMillis,
    ) -> Result<Rendered, TemplateError> {
        let offered = if self.tool_choice == ToolChoice::None { &[] } else { self.tools.as_slice() };
        let tools = (!offered.is_empty()).then(|| offered.iter().map(Tool::chat_form).collect::<Value>());
        let rendered = template.render(messages, tools.as_ref(), now)?;
        let is_silent = |messages: &[Message], tools: Option<&Value>| {
            template.render(messages, tools, now).is_ok_and(|other| other.text == rendered.text)
        };
        let hides_tools = tools.is_some() && is_silent(messages, None);
        let has_calls = messages.iter().any(|message| !message.tool_calls.is_empty());
        let hides_calls = has_calls && is_silent(&without_calls(messages), tools.as_ref());
        let shown = if hides_calls { with_tagged_calls(messages) } else { messages.to_vec() };
        if hides_tools {
            let preamble = tool_calls::preamble(offered);
            let told = template.render(&with_preamble(&shown, &preamble, Role::System), tools.as_ref(), now);
            // Some templates take no system message; then the first user message carries it.
            return told
                .or_else(|_| template.render(&with_preamble(&shown, &preamble, Role::User), tools.as_ref(), now));
        }
        if hides_calls { template.render(&shown, tools.as_ref(), now) } else { Ok(rendered) }
    }
}

fn check_biases(request: &Request, tokenizer: &Tokenizer) -> Result<(), ApiError> {
    // Sorted, so the last one is the largest.
    match request.controls.logit_bias.last() {
        Some(&(token, _)) => check_token(token, tokenizer, || "logit_bias".to_owned()),
        None => Ok(()),
    }
}

fn check_token(token: TokenId, tokenizer: &Tokenizer, path: impl Fn() -> String) -> Result<(), ApiError> {
    let vocabulary = tokenizer.vocab_size();
    if (token.get() as usize) < vocabulary {
        return Ok(());
    }
    Err(ApiError::TokenOutOfRange { param: path(), found: token.get(), vocabulary })
}

/// Token lists are taken as they are: whoever sends tokens has decided about the start token too.
fn given_tokens(lists: &[Vec<TokenId>], tokenizer: &Tokenizer) -> Result<Vec<Vec<PromptToken>>, ApiError> {
    lists
        .iter()
        .map(|list| {
            list.iter()
                .map(|&token| {
                    check_token(token, tokenizer, || "prompt".to_owned())?;
                    Ok(PromptToken::new(token, Origin::Raw))
                })
                .collect()
        })
        .collect()
}

/// What stands for an empty prompt: a model cannot begin with nothing.
fn start_token(tokenizer: &Tokenizer) -> Result<PromptToken, ApiError> {
    let token = tokenizer.bos().or_else(|| tokenizer.eos()).ok_or(ApiError::PromptEmpty)?;
    Ok(PromptToken::new(token, Origin::Template))
}

fn refused(error: TemplateError) -> ApiError {
    match error {
        TemplateError::Missing => ApiError::TemplateMissing,
        other => ApiError::TemplateRejected { problem: other.to_string() },
    }
}

fn without_calls(messages: &[Message]) -> Vec<Message> {
    messages.iter().map(|message| Message { tool_calls: Vec::new(), ..message.clone() }).collect()
}

fn with_tagged_calls(messages: &[Message]) -> Vec<Message> {
    let mut messages = messages.to_vec();
    for message in &mut messages {
        for call in &message.tool_calls {
            if !message.content.is_empty() {
                message.content.push('\n');
            }
            message.content.push_str(&tool_calls::tagged(call));
        }
    }
    messages
}

/// Puts the preamble at the end of the rules that open the conversation, or opens it with them.
fn with_preamble(messages: &[Message], preamble: &str, role: Role) -> Vec<Message> {
    let mut messages = messages.to_vec();
    let carries = |message: &Message| match role {
        Role::User => message.role == Role::User,
        _ => matches!(message.role, Role::System | Role::Developer),
    };
    match messages.first_mut().filter(|first| carries(first)) {
        Some(first) if role == Role::User => first.content = format!("{preamble}\n{}", first.content),
        Some(first) => first.content = format!("{}\n\n{preamble}", first.content),
        None => messages.insert(0, Message::new(role, preamble)),
    }
    messages
}
