#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use claim::{Endpoint, TokenId};
use model::template::Role;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::parse;
use crate::error::ApiError;
use crate::limits;
use crate::request::{Format, Prompts, Request, ToolChoice};

fn read(endpoint: Endpoint, body: &Value) -> Result<Request, ApiError> {
    parse(endpoint, body.to_string().as_bytes())
}

/// A minimal chat request with some fields added or replaced.
fn chat(extra: Value) -> Result<Request, ApiError> {
    read(Endpoint::Chat, &merged(json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] }), extra))
}

fn completion(extra: Value) -> Result<Request, ApiError> {
    read(Endpoint::Completions, &merged(json!({ "model": "m", "prompt": "hi" }), extra))
}

fn response(extra: Value) -> Result<Request, ApiError> {
    read(Endpoint::Responses, &merged(json!({ "model": "m", "input": "hi" }), extra))
}

fn merged(mut base: Value, extra: Value) -> Value {
    let Value::Object(extra) = extra else { unreachable!("tests pass objects") };
    base.as_object_mut().unwrap().extend(extra);
    base
}

#[track_caller]
fn refused(result: Result<Request, ApiError>, status: u16, param: Option<&str>, code: Option<&str>) {
    let error = result.unwrap_err();
    assert_eq!((error.status(), error.param(), error.code()), (status, param, code), "{error}");
}

#[test]
fn defaults_are_openais() {
    let request = chat(json!({})).unwrap();
    let controls = &request.controls;
    assert_eq!((controls.temperature, controls.top_p, controls.top_k, controls.min_p), (1.0, 1.0, 0, 0.0));
    assert_eq!((controls.frequency_penalty, controls.presence_penalty, controls.repetition_penalty), (0.0, 0.0, 1.0));
    assert_eq!((request.n, request.seed, request.logprobs, controls.max_tokens), (1, None, None, None));
    assert!(!request.stream && !request.include_usage && !request.echo);
    assert_eq!(completion(json!({})).unwrap().controls.max_tokens, Some(16));
}

#[test]
fn every_control_arrives_where_it_belongs() {
    let request = chat(json!({
        "temperature": 0.5, "top_p": 0.25, "top_k": 40, "min_p": 0.05, "repetition_penalty": 1.5,
        "frequency_penalty": -2, "presence_penalty": 2, "logit_bias": {"30": -100, "7": 1.5}, "stop": ["a", "b"],
        "max_completion_tokens": 9, "max_tokens": 8, "seed": -1, "n": 128, "stream": true,
        "stream_options": {"include_usage": true}, "logprobs": true, "top_logprobs": 20, "user": "u", "unheard_of": [1],
    }))
    .unwrap();
    let controls = &request.controls;
    assert_eq!((controls.temperature, controls.top_p, controls.top_k, controls.min_p), (0.5, 0.25, 40, 0.05));
    assert_eq!((controls.frequency_penalty, controls.presence_penalty, controls.repetition_penalty), (-2.0, 2.0, 1.5));
    assert_eq!(controls.logit_bias, [(TokenId::new(7), 1.5), (TokenId::new(30), -100.0)]);
    assert_eq!(controls.stop, ["a", "b"]);
    assert_eq!(controls.max_tokens, Some(9), "max_completion_tokens replaces max_tokens");
    assert_eq!((request.seed, request.n, request.logprobs), (Some(u64::MAX), 128, Some(20)));
    assert!(request.stream && request.include_usage);
}

#[test]
fn a_null_field_is_an_absent_field() {
    let nulls = json!({
        "temperature": null, "top_p": null, "n": null, "stop": null, "logit_bias": null, "seed": null, "stream": null,
        "stream_options": null, "logprobs": null, "top_logprobs": null, "tools": null, "tool_choice": null,
        "response_format": null, "max_tokens": null, "audio": null,
    });
    assert_eq!(chat(nulls).unwrap(), chat(json!({})).unwrap());
}

#[test]
fn wrong_types_and_ranges_name_the_field() {
    let cases = [
        (json!({"temperature": "hot"}), "temperature", "invalid_type"),
        (json!({"temperature": -0.5}), "temperature", "decimal_below_min_value"),
        (json!({"temperature": 2.01}), "temperature", "decimal_above_max_value"),
        (json!({"top_p": 1.5}), "top_p", "decimal_above_max_value"),
        (json!({"min_p": -1}), "min_p", "decimal_below_min_value"),
        (json!({"top_k": 1.5}), "top_k", "invalid_type"),
        (json!({"top_k": -2}), "top_k", "integer_below_min_value"),
        (json!({"repetition_penalty": 0}), "repetition_penalty", "decimal_below_min_value"),
        (json!({"frequency_penalty": 3}), "frequency_penalty", "decimal_above_max_value"),
        (json!({"n": 0}), "n", "integer_below_min_value"),
        (json!({"n": 129}), "n", "integer_above_max_value"),
        (json!({"n": true}), "n", "invalid_type"),
        (json!({"seed": "7"}), "seed", "invalid_type"),
        (json!({"max_tokens": 0}), "max_tokens", "integer_below_min_value"),
        (json!({"max_tokens": 1e300}), "max_tokens", "invalid_type"),
        (json!({"stop": 7}), "stop", "invalid_type"),
        (json!({"stop": ["a", 7]}), "stop[1]", "invalid_type"),
        (json!({"stop": vec!["x"; 17]}), "stop", "array_above_max_length"),
        (json!({"stop": "x".repeat(1025)}), "stop", "string_above_max_length"),
        (json!({"logit_bias": {"7": 101}}), "logit_bias.7", "decimal_above_max_value"),
        (json!({"logit_bias": {"hello": 1}}), "logit_bias", "invalid_value"),
        (json!({"logit_bias": {"-1": 1}}), "logit_bias", "invalid_value"),
        (json!({"logit_bias": {"4294967296": 1}}), "logit_bias", "invalid_value"),
        (json!({"logit_bias": []}), "logit_bias", "invalid_type"),
        (json!({"stream": "yes"}), "stream", "invalid_type"),
        (json!({"stream_options": {"include_usage": 1}}), "stream_options.include_usage", "invalid_type"),
        (json!({"logprobs": 5}), "logprobs", "invalid_type"),
        (json!({"top_logprobs": 5}), "top_logprobs", "invalid_value"),
        (json!({"logprobs": true, "top_logprobs": 21}), "top_logprobs", "integer_above_max_value"),
        (json!({"model": ""}), "model", "empty_string"),
        (json!({"model": null}), "model", "missing_required_parameter"),
        (json!({"messages": []}), "messages", "empty_array"),
        (json!({"messages": "hi"}), "messages", "invalid_type"),
        (json!({"messages": [7]}), "messages[0]", "invalid_type"),
        (json!({"messages": [{"content": "x"}]}), "messages[0].role", "missing_required_parameter"),
        (json!({"messages": [{"role": "king", "content": "x"}]}), "messages[0].role", "invalid_value"),
        (json!({"messages": [{"role": "user"}]}), "messages[0].content", "missing_required_parameter"),
        (json!({"messages": [{"role": "user", "content": 7}]}), "messages[0].content", "invalid_type"),
        (
            json!({"messages": [{"role": "tool", "content": "x"}]}),
            "messages[0].tool_call_id",
            "missing_required_parameter",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}),
            "messages[0].content[0].type",
            "unsupported_parameter",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "input_audio"}]}]}),
            "messages[0].content[1].type",
            "unsupported_parameter",
        ),
        (json!({"modalities": ["text", "audio"]}), "modalities[1]", "invalid_value"),
        (json!({"functions": [{}]}), "functions", "unsupported_parameter"),
        (json!({"response_format": {"type": "xml"}}), "response_format.type", "invalid_value"),
        (
            json!({"response_format": {"type": "json_schema"}}),
            "response_format.json_schema",
            "missing_required_parameter",
        ),
        (
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "a b", "schema": {}}}}),
            "response_format.json_schema.name",
            "invalid_value",
        ),
        (json!({"tool_choice": "required"}), "tool_choice", "invalid_value"),
        (json!({"tools": [{"type": "retrieval"}]}), "tools[0].type", "unsupported_parameter"),
        (json!({"tools": [{"type": "function"}]}), "tools[0].function", "missing_required_parameter"),
    ];
    for (extra, param, code) in cases {
        refused(chat(extra), 400, Some(param), Some(code));
    }
}

#[test]
fn messages_keep_roles_parts_and_calls() {
    let request = chat(json!({"messages": [
        {"role": "developer", "content": "be kind"},
        {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "42"},
    ]}))
    .unwrap();
    let Prompts::Chat(messages) = request.prompts else { unreachable!("chat requests hold messages") };
    let roles: Vec<Role> = messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::Developer, Role::User, Role::Assistant, Role::Tool]);
    assert_eq!(messages[1].content, "one\ntwo");
    assert_eq!((messages[2].content.as_str(), messages[2].tool_calls[0].arguments.as_str()), ("", "{\"x\":1}"));
    assert_eq!(messages[3].tool_call_id.as_deref(), Some("c1"));
}

#[test]
fn tools_decide_the_default_choice() {
    let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]);
    assert_eq!(chat(json!({})).unwrap().tool_choice, ToolChoice::None);
    assert_eq!(chat(json!({"tool_choice": "auto"})).unwrap().tool_choice, ToolChoice::None);
    assert_eq!(chat(json!({"tools": tools})).unwrap().tool_choice, ToolChoice::Auto);
    let named = json!({"tools": tools, "tool_choice": {"type": "function", "function": {"name": "f"}}});
    assert_eq!(chat(named).unwrap().tool_choice, ToolChoice::Function("f".to_owned()));
    let other = json!({"tools": tools, "tool_choice": {"type": "function", "function": {"name": "g"}}});
    refused(chat(other), 400, Some("tool_choice"), Some("invalid_value"));
}

#[test]
fn completions_take_four_kinds_of_prompt() {
    let ids = |list: &[u32]| list.iter().copied().map(TokenId::new).collect::<Vec<_>>();
    let prompts = |value: Value| completion(json!({ "prompt": value })).unwrap().prompts;
    assert_eq!(prompts(json!("a")), Prompts::Texts(vec!["a".to_owned()]));
    assert_eq!(prompts(json!(["a", "b"])), Prompts::Texts(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(prompts(json!([1, 2])), Prompts::Tokens(vec![ids(&[1, 2])]));
    assert_eq!(prompts(json!([[1], [2, 3]])), Prompts::Tokens(vec![ids(&[1]), ids(&[2, 3])]));
    refused(completion(json!({"prompt": []})), 400, Some("prompt"), Some("empty_array"));
    refused(completion(json!({"prompt": ["a", 1]})), 400, Some("prompt[1]"), Some("invalid_type"));
    refused(completion(json!({"prompt": [1, "a"]})), 400, Some("prompt[1]"), Some("invalid_type"));
    refused(completion(json!({"prompt": [[1], [-2]]})), 400, Some("prompt[1][0]"), Some("integer_below_min_value"));
    refused(completion(json!({"prompt": {}})), 400, Some("prompt"), Some("invalid_type"));
}

#[test]
fn completions_score_with_echo_and_refuse_what_they_cannot_do() {
    let request = completion(json!({"echo": true, "logprobs": 1, "max_tokens": 0})).unwrap();
    assert_eq!((request.echo, request.logprobs, request.controls.max_tokens), (true, Some(1), Some(0)));
    refused(completion(json!({"suffix": "x"})), 400, Some("suffix"), Some("unsupported_parameter"));
    refused(completion(json!({"best_of": 3})), 400, Some("best_of"), Some("unsupported_parameter"));
    refused(completion(json!({"max_tokens": -1})), 400, Some("max_tokens"), Some("integer_below_min_value"));
    assert_eq!(completion(json!({"best_of": 3, "n": 3})).unwrap().n, 3);
    assert_eq!(completion(json!({"best_of": 1, "suffix": null})).unwrap().n, 1);
}

#[test]
fn prompts_times_n_is_bounded() {
    let request = json!({"prompt": vec!["a"; 100], "n": 128});
    refused(completion(request), 400, Some("n"), Some("integer_above_max_value"));
}

#[test]
fn responses_read_items_instructions_and_format() {
    let request = response(json!({
        "instructions": "be brief",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "weather?"}]},
            {"type": "reasoning", "summary": []},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
            {"type": "function_call", "call_id": "c2", "name": "g", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "rain"},
        ],
        "max_output_tokens": 5,
        "text": {"format": {"type": "json_schema", "name": "s", "schema": {"type": "object"}, "strict": true}},
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": false}],
        "tool_choice": {"type": "function", "name": "f"},
        "include": ["message.output_text.logprobs"], "top_logprobs": 2,
    }))
    .unwrap();
    let Prompts::Chat(messages) = &request.prompts else { unreachable!("responses hold messages") };
    assert_eq!(messages.len(), 4);
    assert_eq!((messages[0].role, messages[0].content.as_str()), (Role::System, "be brief"));
    assert_eq!(messages[2].tool_calls.len(), 2, "calls in a row are one turn");
    assert_eq!(messages[3].tool_call_id.as_deref(), Some("c1"));
    assert_eq!(request.controls.max_tokens, Some(5));
    assert_eq!(request.logprobs, Some(2));
    assert_eq!(request.tool_choice, ToolChoice::Function("f".to_owned()));
    assert!(matches!(&request.format, Format::JsonSchema { name, .. } if name == "s"));
    refused(
        response(json!({"previous_response_id": "r"})),
        400,
        Some("previous_response_id"),
        Some("unsupported_parameter"),
    );
    refused(response(json!({"background": true})), 400, Some("background"), Some("unsupported_parameter"));
    refused(
        response(json!({"input": [{"type": "item_reference"}]})),
        400,
        Some("input[0].type"),
        Some("invalid_value"),
    );
    refused(response(json!({"input": []})), 400, Some("input"), Some("empty_array"));
}

#[test]
fn bodies_that_are_not_json_objects_are_refused() {
    let bodies: [&[u8]; 8] =
        [b"", b"{", b"[]", b"null", b"{\"model\": \"\xff\"}", b"{\"temperature\": NaN}", b"{} {}", b"\xef\xbb\xbf{}"];
    for body in bodies {
        let error = parse(Endpoint::Chat, body).unwrap_err();
        assert_eq!((error.status(), error.kind()), (400, "invalid_request_error"), "{body:?}: {error}");
    }
    let infinite = br#"{"model": "m", "messages": [{"role": "user", "content": "x"}], "temperature": 1e999}"#;
    assert!(matches!(parse(Endpoint::Chat, infinite), Err(ApiError::Malformed { .. })));
    let deep = "[".repeat(100_000);
    assert!(matches!(parse(Endpoint::Chat, deep.as_bytes()), Err(ApiError::Malformed { .. })));
    let long = vec![b' '; limits::BODY_BYTES_MAX + 1];
    assert_eq!(parse(Endpoint::Chat, &long).unwrap_err().status(), 413);
}

#[test]
fn zero_has_one_sign() {
    let request = chat(json!({"temperature": -0.0, "frequency_penalty": -0.0})).unwrap();
    assert_eq!(request.controls.temperature.to_bits(), 0);
    assert_eq!(request.controls.frequency_penalty.to_bits(), 0);
}

#[test]
fn a_token_named_twice_in_logit_bias_counts_once() {
    let body = br#"{"model": "m", "prompt": "x", "logit_bias": {"07": 1, "3": 5, "7": 2}}"#;
    let request = parse(Endpoint::Completions, body).unwrap();
    assert_eq!(request.controls.logit_bias, [(TokenId::new(3), 5.0), (TokenId::new(7), 2.0)]);
}

/// JSON of any shape, biased towards the fields that are read.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z]{0,8}".prop_map(Value::from),
        prop_oneof![Just("user"), Just("function"), Just("text"), Just("json_schema"), Just("message")]
            .prop_map(Value::from),
    ];
    let key = prop_oneof![
        Just("model"),
        Just("messages"),
        Just("prompt"),
        Just("input"),
        Just("role"),
        Just("content"),
        Just("type"),
        Just("text"),
        Just("tools"),
        Just("function"),
        Just("name"),
        Just("tool_choice"),
        Just("stop"),
        Just("seed"),
        Just("logit_bias"),
        Just("response_format"),
        Just("json_schema"),
        Just("schema"),
        Just("n"),
        Just("logprobs"),
    ];
    leaf.prop_recursive(4, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..8).prop_map(|entries| {
                Value::Object(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
            }),
        ]
    })
}

proptest! {
    /// Whatever is sent, parsing ends in a request whose values are in range, or in an error of the client's class.
    #[test]
    fn parsing_never_panics_and_keeps_its_ranges(extra in prop::collection::vec(any_json(), 4)) {
        let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "x" }], "prompt": "x", "input": "x" });
        let fields = ["temperature", "messages", "prompt", "input", "tools", "stop", "logit_bias", "response_format"];
        for (value, field) in extra.into_iter().zip(fields.iter().cycle()) {
            body.as_object_mut().unwrap().insert((*field).to_owned(), value);
        }
        for endpoint in [Endpoint::Chat, Endpoint::Completions, Endpoint::Responses] {
            match read(endpoint, &body) {
                Ok(request) => {
                    prop_assert!((0.0..=2.0).contains(&request.controls.temperature));
                    prop_assert!(request.controls.logit_bias.windows(2).all(|pair| pair[0].0 < pair[1].0));
                    prop_assert!(request.controls.stop.iter().all(|stop| !stop.is_empty()));
                }
                Err(error) => prop_assert_eq!(error.status(), 400),
            }
        }
    }

    /// Bytes that are no JSON at all are refused, not trusted.
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for endpoint in [Endpoint::Chat, Endpoint::Completions, Endpoint::Responses] {
            prop_assert!(parse(endpoint, &bytes).is_err());
        }
    }
}
