//! Answers in every form, from a host that says the same words each time.

use axum::body::Body;
use axum::http::Request;
use claim::Finish;
use serde_json::{Value, json};

use crate::client::Desk;
use crate::stand_ins::hosts::Parrot;

const WORDS: &[&str] = &["Pieces", " of", " eight", "!"];
const TEXT: &str = "Pieces of eight!";

fn parrot() -> Desk {
    Desk::of(Parrot::saying(WORDS))
}

fn chat(extra: Value) -> Value {
    merged(json!({"model": "parrot", "messages": [{"role": "user", "content": "Speak!"}]}), extra)
}

fn merged(mut base: Value, extra: Value) -> Value {
    let Value::Object(extra) = extra else { unreachable!("tests pass objects") };
    base.as_object_mut().unwrap().extend(extra);
    base
}

fn contents(events: &[Value], choice: u64) -> String {
    let choices = events.iter().flat_map(|event| event["choices"].as_array().cloned().unwrap_or_default());
    let of_choice = choices.filter(|other| other["index"] == choice);
    of_choice.filter_map(|choice| choice["delta"]["content"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn a_whole_chat_answer_names_its_receipt() {
    let desk = parrot();
    let reply = desk.post("/v1/chat/completions", &chat(json!({}))).await;
    let body = reply.json();
    assert_eq!(body["choices"][0]["message"]["content"], TEXT);
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(body["usage"]["total_tokens"], 9);
    assert_eq!(body["usage"]["prompt_tokens_details"]["cached_tokens"], 3);
    let id = reply.header("x-candor-receipt");
    assert_eq!(body["candor"]["receipts"], json!([{"choice": 0, "id": id, "finish": "stop", "tokens": 4}]));
    assert_eq!(desk.get(&format!("/v1/receipts/{id}")).await.json()["id"], id, "stored before it was shown");
    assert!(!reply.headers.contains_key("x-candor-receipts"));
}

#[tokio::test]
async fn n_answers_have_n_receipts_and_one_prompt() {
    let reply = parrot().post("/v1/chat/completions", &chat(json!({"n": 3}))).await;
    let body = reply.json();
    assert_eq!(body["choices"].as_array().unwrap().len(), 3);
    assert_eq!((&body["usage"]["prompt_tokens"], &body["usage"]["completion_tokens"]), (&json!(5), &json!(12)));
    let ids: Vec<&str> = reply.header("x-candor-receipts").split(',').collect();
    assert_eq!(ids.len(), 3);
    assert_eq!(ids[0], reply.header("x-candor-receipt"));
}

#[tokio::test]
async fn a_chat_stream_ends_with_its_receipts_and_done() {
    let desk = parrot();
    let events = desk.post("/v1/chat/completions", &chat(json!({"stream": true, "n": 2}))).await.events();
    assert_eq!(events[0]["choices"][0]["delta"], json!({"role": "assistant", "content": "", "refusal": null}));
    assert_eq!(contents(&events, 0), TEXT);
    assert_eq!(contents(&events, 1), TEXT);
    assert_eq!(events.last().unwrap(), "[DONE]");
    let closing = &events[events.len() - 2];
    assert_eq!(closing["choices"][0]["finish_reason"], "stop");
    let receipts = closing["candor"]["receipts"].as_array().unwrap();
    assert_eq!(receipts.len(), 2);
    for receipt in receipts {
        let stored = desk.get(&format!("/v1/receipts/{}", receipt["id"].as_str().unwrap())).await;
        assert_eq!(stored.json()["evidence"]["text"], TEXT);
    }
    assert!(events.iter().all(|event| event.get("usage").is_none()));
}

#[tokio::test]
async fn a_stream_counts_tokens_when_asked_and_carries_signed_prefixes() {
    let body = chat(json!({"stream": true, "stream_options": {"include_usage": true}}));
    let events = parrot().post("/v1/chat/completions", &body).await.events();
    let last = &events[events.len() - 2];
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["completion_tokens"], 4);
    assert_eq!(last["candor"]["receipts"].as_array().unwrap().len(), 1);
    assert!(events[..events.len() - 2].iter().all(|event| event["usage"].is_null() && event.get("usage").is_some()));
    let progress = events.iter().find_map(|event| event["candor"].get("progress")).unwrap();
    let document = api::receipt_json::read(progress["receipt"].to_string().as_bytes()).unwrap();
    assert_eq!(document.receipt.receipt.finish, Finish::Prefix);
    document.receipt.verify().unwrap();
}

#[tokio::test]
async fn log_probabilities_arrive_with_their_tokens() {
    let body = chat(json!({"logprobs": true, "top_logprobs": 4}));
    let whole = parrot().post("/v1/chat/completions", &body).await.json();
    let content = whole["choices"][0]["logprobs"]["content"].as_array().unwrap().clone();
    assert_eq!(content.len(), WORDS.len());
    assert_eq!(content[1]["bytes"], json!(b" of"));
    assert_eq!(content[1]["top_logprobs"][3]["logprob"], -9999.0, "JSON has no infinity");
    let body = chat(json!({"logprobs": true, "top_logprobs": 4, "stream": true}));
    let events = parrot().post("/v1/chat/completions", &body).await.events();
    let streamed: Vec<Value> = events
        .iter()
        .filter_map(|event| event["choices"][0]["logprobs"]["content"].as_array().cloned())
        .flatten()
        .collect();
    assert_eq!(streamed, content);
}

#[tokio::test]
async fn tool_calls_are_taken_out_of_the_text() {
    let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]);
    let host =
        || Parrot::saying(&["Wait.\n<tool", "_call>{\"name\": \"f\", \"argu", "ments\": {\"x\": 1}}</tool_call>"]);
    let body = Desk::of(host()).post("/v1/chat/completions", &chat(json!({"tools": tools}))).await.json();
    let message = &body["choices"][0]["message"];
    assert_eq!((&message["content"], &body["choices"][0]["finish_reason"]), (&json!("Wait."), &json!("tool_calls")));
    assert_eq!(message["tool_calls"][0]["function"], json!({"name": "f", "arguments": "{\"x\":1}"}));
    let request = chat(json!({"tools": tools, "stream": true}));
    let events = Desk::of(host()).post("/v1/chat/completions", &request).await.events();
    assert_eq!(contents(&events, 0), "Wait.\n");
    let call = events.iter().find_map(|event| event["choices"][0]["delta"]["tool_calls"].get(0)).unwrap();
    assert_eq!((&call["index"], &call["function"]["arguments"]), (&json!(0), &json!("{\"x\":1}")));
    assert_eq!(events[events.len() - 2]["choices"][0]["finish_reason"], "tool_calls");
    let forced = Parrot::saying(&["{\"name\": \"f\", \"arguments\": {}}"]);
    let body = Desk::of(forced)
        .post("/v1/chat/completions", &chat(json!({"tools": tools, "tool_choice": "required"})))
        .await
        .json();
    assert_eq!(body["choices"][0]["message"]["content"], Value::Null);
    assert_eq!(body["choices"][0]["message"]["tool_calls"][0]["function"]["name"], "f");
}

#[tokio::test]
async fn completions_echo_and_score_as_evaluation_harnesses_read_it() {
    let body = json!({"model": "parrot", "prompt": ["one two", "three"], "echo": true, "logprobs": 1, "max_tokens": 1});
    let reply = parrot().post("/v1/completions", &body).await.json();
    let choices = reply["choices"].as_array().unwrap();
    assert_eq!(choices.len(), 2);
    assert_eq!(choices[0]["text"], format!("one two{TEXT}"));
    let logprobs = &choices[0]["logprobs"];
    let tokens: Vec<&str> = logprobs["tokens"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
    assert_eq!(tokens, ["one ", "two", "Pieces", " of", " eight", "!"]);
    assert_eq!(logprobs["token_logprobs"][0], Value::Null, "nothing came before the first token");
    assert_eq!(logprobs["token_logprobs"][1], -1.5);
    assert_eq!(logprobs["text_offset"], json!([0, 4, 7, 13, 16, 22]));
    assert_eq!(logprobs["top_logprobs"][0], Value::Null);
    assert_eq!(logprobs["top_logprobs"][2], json!({"Pieces": -0.5}));
    assert_eq!(reply["usage"]["prompt_tokens"], 10, "two prompts");
}

#[tokio::test]
async fn a_completion_stream_says_the_same_as_the_whole() {
    let request = json!({"model": "parrot", "prompt": "one two", "echo": true, "logprobs": 2});
    let whole = parrot().post("/v1/completions", &request).await.json();
    let request = merged(request, json!({"stream": true, "stream_options": {"include_usage": true}}));
    let events = parrot().post("/v1/completions", &request).await.events();
    let chunks: Vec<&Value> = events.iter().filter_map(|event| event["choices"].get(0)).collect();
    let text: String = chunks.iter().map(|chunk| chunk["text"].as_str().unwrap()).collect();
    assert_eq!(text, whole["choices"][0]["text"].as_str().unwrap());
    for list in ["tokens", "token_logprobs", "text_offset", "top_logprobs"] {
        let streamed: Vec<Value> =
            chunks.iter().filter_map(|chunk| chunk["logprobs"][list].as_array().cloned()).flatten().collect();
        assert_eq!(json!(streamed), whole["choices"][0]["logprobs"][list], "{list}");
    }
    assert_eq!(events[events.len() - 2]["usage"], whole["usage"]);
}

#[tokio::test]
async fn a_response_stream_builds_up_the_whole_response() {
    let request = json!({"model": "parrot", "input": "Speak!", "instructions": "Be brief.", "metadata": {"k": "v"},
        "include": ["message.output_text.logprobs"], "top_logprobs": 1});
    let whole = parrot().post("/v1/responses", &request).await.json();
    assert_eq!(whole["output"][0]["content"][0]["text"], TEXT);
    assert_eq!(
        (&whole["status"], &whole["instructions"], &whole["metadata"]["k"]),
        (&json!("completed"), &json!("Be brief."), &json!("v"))
    );
    assert_eq!(whole["usage"]["output_tokens"], 4);
    let reply = parrot().post("/v1/responses", &merged(request, json!({"stream": true}))).await;
    let events = reply.events();
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds[..4],
        ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"]
    );
    assert_eq!(
        kinds[kinds.len() - 4..],
        ["response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed"]
    );
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
    let names: Vec<&str> =
        std::str::from_utf8(&reply.body).unwrap().lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(names, kinds);
    let deltas: String = events.iter().filter_map(|event| event["delta"].as_str()).collect();
    assert_eq!(deltas, TEXT);
    let last = &events.last().unwrap()["response"];
    assert_eq!(last["usage"], whole["usage"]);
    assert_eq!(last["output"][0]["content"], whole["output"][0]["content"]);
    assert_eq!(last["candor"]["receipts"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_response_calls_functions_between_messages() {
    let call = "<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>";
    let tools = json!([{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": false}]);
    let request = json!({"model": "parrot", "input": "x", "tools": tools});
    let host = || Parrot::saying(&["\n", call, "\n", call, "bye"]);
    let whole = Desk::of(host()).post("/v1/responses", &request).await.json();
    let kinds: Vec<&str> =
        whole["output"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["function_call", "function_call", "message"]);
    let events = Desk::of(host()).post("/v1/responses", &merged(request, json!({"stream": true}))).await.events();
    let done: Vec<&str> = events
        .iter()
        .filter(|event| event["type"] == "response.output_item.done")
        .map(|event| event["item"]["type"].as_str().unwrap())
        .collect();
    assert_eq!(done, kinds);
}

#[tokio::test]
async fn an_answer_cut_at_a_limit_says_so() {
    let host = || Parrot { finish: Finish::Length, ..Parrot::saying(WORDS) };
    let body = Desk::of(host()).post("/v1/chat/completions", &chat(json!({}))).await.json();
    assert_eq!(body["choices"][0]["finish_reason"], "length");
    let body = Desk::of(host()).post("/v1/responses", &json!({"model": "parrot", "input": "x"})).await.json();
    assert_eq!(
        (&body["status"], &body["incomplete_details"]["reason"]),
        (&json!("incomplete"), &json!("max_output_tokens"))
    );
}

#[tokio::test]
async fn the_clients_nonce_is_used_and_reported() {
    let desk = parrot();
    let nonce = "ab".repeat(32);
    let with = |value: &str| {
        let request = Request::post("/v1/chat/completions").header("x-candor-nonce", value);
        request.body(Body::from(chat(json!({})).to_string())).unwrap()
    };
    let reply = desk.send(with(&nonce)).await;
    assert_eq!(reply.header("x-candor-nonce"), format!("0x{nonce}"));
    let receipt = desk.get(&format!("/v1/receipts/{}", reply.header("x-candor-receipt"))).await.json();
    assert_eq!(receipt["evidence"]["nonce"], format!("0x{nonce}"));
    let drawn = desk.post("/v1/chat/completions", &chat(json!({}))).await;
    let again = desk.post("/v1/chat/completions", &chat(json!({}))).await;
    assert_ne!(drawn.header("x-candor-nonce"), again.header("x-candor-nonce"));
    for wrong in ["", "0x12", "zz", &"ab".repeat(33)] {
        desk.send(with(wrong)).await.is_error(400, None);
    }
    let request = Request::post("/v1/chat/completions").header("x-candor-client", "nobody");
    desk.send(request.body(Body::from(chat(json!({})).to_string())).unwrap()).await.is_error(400, None);
}

#[tokio::test]
async fn models_are_listed_and_found() {
    let desk = parrot();
    let list = desk.get("/v1/models").await.json();
    assert_eq!((&list["object"], list["data"].as_array().unwrap().len()), (&json!("list"), 2));
    assert_eq!(desk.get("/v1/models/parrot").await.json()["id"], "parrot");
    assert_eq!(desk.get("/v1/models/zoo/parrot").await.json()["id"], "zoo/parrot", "names may have slashes");
    desk.get("/v1/models/dodo").await.is_error(404, Some("model_not_found"));
}
