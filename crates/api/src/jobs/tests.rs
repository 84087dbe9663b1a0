#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::LazyLock;

use arith::WeightType;
use claim::{Endpoint, Grammar, Origin, TokenCount, TokenId, UnixMillis};
use model::gguf::Gguf;
use model::template::ChatTemplate;
use model::tokenizer::Tokenizer;
use serde_json::{Value, json};
use specimen::Specimen;

use super::JobSpec;
use crate::error::ApiError;
use crate::parse;

const CONTEXT: usize = 1_000;

static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(|| {
    let file = Specimen { layers: 1, ..Specimen::llama(WeightType::Q8_0) }.to_gguf();
    Tokenizer::from_gguf(&Gguf::parse(&file).unwrap()).unwrap()
});

/// Knows nothing of tools.
const PLAIN: &str = "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}<assistant>";
/// Writes tools and calls itself.
const WITH_TOOLS: &str = "{% if tools %}tools: {{ tools | tojson }}\n{% endif %}{% for m in messages %}<{{ m.role }}>{{ m.content }}\
    {% for c in m.tool_calls %}[{{ c.function.name }}]{% endfor %}\n{% endfor %}<assistant>";
/// Takes no system message.
const STERN: &str = "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no rules') }}{% endif %}\
    <{{ m.role }}>{{ m.content }}\n{% endfor %}";
/// Prints the date.
const DATED: &str = "{{ strftime_now('%Y-%m-%d') }}";

fn jobs(endpoint: Endpoint, template: Option<&str>, body: &Value) -> Result<Vec<JobSpec>, ApiError> {
    let template = template.map(|source| ChatTemplate::from_source(source, &TOKENIZER).unwrap());
    let request = parse(endpoint, body.to_string().as_bytes()).unwrap();
    request.jobs(&TOKENIZER, template.as_ref(), CONTEXT, UnixMillis::new(86_400_000))
}

fn chat(template: &str, body: &Value) -> Result<Vec<JobSpec>, ApiError> {
    jobs(Endpoint::Chat, Some(template), body)
}

/// The text that the model reads.
fn shown(jobs: &[JobSpec]) -> String {
    let tokens: Vec<TokenId> = jobs[0].prompt.iter().map(|token| token.token).collect();
    String::from_utf8(TOKENIZER.decode(&tokens)).unwrap()
}

fn user(text: &str) -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": text}]})
}

fn with(mut body: Value, extra: Value) -> Value {
    let Value::Object(extra) = extra else { unreachable!("tests pass objects") };
    body.as_object_mut().unwrap().extend(extra);
    body
}

#[test]
fn a_conversation_is_rendered_with_the_origin_of_its_parts() {
    let jobs = chat(PLAIN, &user("hello")).unwrap();
    assert_eq!(shown(&jobs), "<user>hello\n<assistant>");
    let origins: Vec<Origin> = jobs[0].prompt.iter().map(|token| token.origin).collect();
    assert!(origins.contains(&Origin::User) && origins.contains(&Origin::Template));
    assert_eq!(shown(&chat(DATED, &user("x")).unwrap()), "1970-01-02", "the clock is an argument");
}

#[test]
fn choices_count_through_prompts_and_n() {
    let body = json!({"model": "m", "prompt": ["a", "bc"], "n": 2, "seed": 7});
    let jobs = jobs(Endpoint::Completions, None, &body).unwrap();
    let choices: Vec<u32> = jobs.iter().map(|job| job.choice.get()).collect();
    assert_eq!(choices, [0, 1, 2, 3]);
    assert_eq!(jobs[0].prompt, jobs[1].prompt);
    assert_ne!(jobs[1].prompt, jobs[2].prompt);
    assert!(jobs.iter().all(|job| job.seed == Some(7) && job.sampling.max_tokens == TokenCount::new(16)));
    assert!(jobs[0].prompt.iter().all(|token| token.origin == Origin::Raw));
}

#[test]
fn without_a_limit_an_answer_may_fill_the_context() {
    let jobs = chat(PLAIN, &user("hello")).unwrap();
    assert_eq!(jobs[0].sampling.max_tokens.get() as usize, CONTEXT - jobs[0].prompt.len());
    let limited = chat(PLAIN, &with(user("hello"), json!({"max_tokens": 5_000}))).unwrap();
    assert_eq!(limited[0].sampling.max_tokens.get(), 5_000, "a client's own limit is kept as it is");
}

#[test]
fn a_prompt_past_the_context_is_told_so() {
    let tokens = |count: usize| json!({"model": "m", "prompt": vec![1; count]});
    let run = |body: &Value| jobs(Endpoint::Completions, None, body);
    assert!(run(&tokens(CONTEXT - 1)).is_ok());
    let error = run(&tokens(CONTEXT)).unwrap_err();
    assert_eq!((error.status(), error.code(), error.param()), (400, Some("context_length_exceeded"), Some("prompt")));
    let scored = json!({"max_tokens": 0, "echo": true});
    assert!(run(&with(tokens(CONTEXT), scored.clone())).is_ok(), "scoring needs no room for an answer");
    assert!(run(&with(tokens(CONTEXT + 1), scored)).is_err());
    let error = chat(PLAIN, &user(&"x y ".repeat(4_000))).unwrap_err();
    assert_eq!(error.param(), Some("messages"));
}

#[test]
fn tokens_outside_the_vocabulary_are_refused() {
    let size = TOKENIZER.vocab_size();
    let run = |body: &Value| jobs(Endpoint::Completions, None, body);
    let error = run(&json!({"model": "m", "prompt": [[1], [size]]})).unwrap_err();
    assert_eq!((error.status(), error.param()), (400, Some("prompt")));
    let error = run(&json!({"model": "m", "prompt": "x", "logit_bias": {"3": 1, size.to_string(): 1}})).unwrap_err();
    assert_eq!(error.param(), Some("logit_bias"));
    assert!(run(&json!({"model": "m", "prompt": [size - 1]})).is_ok());
}

#[test]
fn an_empty_prompt_starts_with_the_start_token() {
    let found = jobs(Endpoint::Completions, None, &json!({"model": "m", "prompt": ""})).unwrap();
    assert_eq!(found[0].prompt.len(), 1);
    let start = TOKENIZER.bos().or(TOKENIZER.eos()).unwrap();
    assert_eq!((found[0].prompt[0].token, found[0].prompt[0].origin), (start, Origin::Template));
}

#[test]
fn without_a_template_there_is_no_chat() {
    assert_eq!(jobs(Endpoint::Chat, None, &user("x")), Err(ApiError::TemplateMissing));
    let body = with(user("x"), json!({"messages": [{"role": "system", "content": "x"}]}));
    assert!(matches!(chat(STERN, &body), Err(ApiError::TemplateRejected { problem }) if problem.contains("no rules")));
}

fn weather() -> Value {
    json!([{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}])
}

#[test]
fn tools_are_shown_by_the_template_or_by_a_preamble() {
    let body = with(user("rain?"), json!({"tools": weather()}));
    let text = shown(&chat(WITH_TOOLS, &body).unwrap());
    assert!(text.starts_with("tools: [{\"type\": \"function\"") && !text.contains("<system>"), "{text}");
    let text = shown(&chat(PLAIN, &body).unwrap());
    assert!(text.starts_with("<system>You can call functions.") && text.contains("\"name\":\"weather\""), "{text}");
    let text = shown(&chat(STERN, &body).unwrap());
    assert!(text.starts_with("<user>You can call functions.") && text.ends_with("rain?\n"), "{text}");
    let none = with(body.clone(), json!({"tool_choice": "none"}));
    assert_eq!(shown(&chat(PLAIN, &none).unwrap()), "<user>rain?\n<assistant>");
    let ruled = with(
        body,
        json!({"messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "rain?"}]}),
    );
    let text = shown(&chat(PLAIN, &ruled).unwrap());
    assert!(text.starts_with("<system>Be kind.\n\nYou can call functions."), "{text}");
}

#[test]
fn earlier_calls_are_shown_by_the_template_or_as_text() {
    let messages = json!([
        {"role": "user", "content": "rain?"},
        {"role": "assistant", "content": "Let me see.", "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Bern\"}"}}]},
        {"role": "tool", "tool_call_id": "c", "content": "yes"},
    ]);
    let body = with(user(""), json!({"messages": messages}));
    let text = shown(&chat(WITH_TOOLS, &body).unwrap());
    assert!(text.contains("Let me see.[weather]"), "{text}");
    let text = shown(&chat(PLAIN, &body).unwrap());
    let call = "<tool_call>{\"name\":\"weather\",\"arguments\":{\"city\":\"Bern\"}}</tool_call>";
    assert!(text.contains(&format!("Let me see.\n{call}\n<tool>yes")), "{text}");
}

#[test]
fn formats_and_forced_calls_become_grammars() {
    let grammar = |extra: Value| chat(PLAIN, &with(user("x"), extra)).unwrap()[0].sampling.grammar.clone();
    assert_eq!(grammar(json!({})), Grammar::Free);
    assert_eq!(grammar(json!({"response_format": {"type": "json_object"}})), Grammar::Json);
    let schema =
        json!({"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object", "b": 1, "a": 2}}});
    let kept = Grammar::JsonSchema("{\"type\":\"object\",\"b\":1,\"a\":2}".to_owned());
    assert_eq!(grammar(json!({"response_format": schema})), kept, "key order is part of the schema's text");
    let lark = json!({"type": "grammar", "syntax": "lark", "definition": "start: \"a\""});
    assert_eq!(grammar(json!({"response_format": lark})), Grammar::Lark("start: \"a\"".to_owned()));
    let Grammar::JsonSchema(forced) =
        grammar(json!({"tools": weather(), "tool_choice": "required", "response_format": {"type": "json_object"}}))
    else {
        unreachable!("a forced call has a schema")
    };
    assert!(forced.contains("\"const\":\"weather\""));
    assert_eq!(grammar(json!({"tools": weather()})), Grammar::Free);
}

#[test]
fn the_same_bytes_mean_the_same() {
    let body = with(user("x"), json!({"tools": weather(), "logit_bias": {"9": 1, "3": 2}, "stop": ["b", "a"], "n": 3}));
    assert_eq!(chat(PLAIN, &body), chat(PLAIN, &body));
}
