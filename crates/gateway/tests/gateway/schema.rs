//! Our answers against OpenAI's own description of them.

use std::io::Read as _;

use claim::Finish;
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::client::Desk;
use crate::conformance::data_folder;
use crate::stand_ins::hosts::{Deserter, Parrot};

/// The schemas of OpenAI's REST description.
struct Description(Value);

impl Description {
    fn load() -> Option<Self> {
        let file = data_folder()?.join("openai-conformance/openai-openapi-2.3.0.json.gz");
        let mut text = String::new();
        flate2::read::GzDecoder::new(std::fs::File::open(file).ok()?).read_to_string(&mut text).unwrap();
        let mut document: Value = serde_json::from_str(&text).unwrap();
        with_null(&mut document);
        Some(Self(document))
    }

    fn validator(&self, name: &str) -> Validator {
        let reference = format!("#/components/schemas/{name}");
        let schema = json!({"$ref": reference, "components": self.0["components"]});
        jsonschema::draft202012::new(&schema).unwrap()
    }
}

/// The description says `nullable`, a word of OpenAPI 3.0 that JSON schema does not know.
fn with_null(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(with_null);
            if map.remove("nullable") == Some(Value::Bool(true)) {
                let schema = std::mem::take(map);
                map.insert("anyOf".to_owned(), json!([schema, {"type": "null"}]));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(with_null),
        _ => {}
    }
}

#[track_caller]
fn check(validator: &Validator, value: &Value) {
    let faults = validator.iter_errors(value).map(|fault| format!("{} {}", fault.instance_path(), fault.schema_path()));
    let faults: Vec<String> = faults.collect();
    assert!(faults.is_empty(), "{faults:#?}\n{value:#}");
}

fn parrot() -> Desk {
    Desk::of(Parrot::saying(&["Pieces", " of", " eight"]))
}

fn caller() -> Desk {
    Desk::of(Parrot::saying(&["Wait. ", "<tool_call>{\"name\": \"f\", \"arguments\": {\"x\": 1}}</tool_call>"]))
}

#[tokio::test]
async fn chat_answers_and_chunks_fit_openais_schema() {
    let Some(description) = Description::load() else { return };
    let (whole, chunk) = (
        description.validator("CreateChatCompletionResponse"),
        description.validator("CreateChatCompletionStreamResponse"),
    );
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    let message = json!([{"role": "user", "content": "x"}]);
    let requests = [
        json!({"model": "parrot", "messages": message}),
        json!({"model": "parrot", "messages": message, "n": 2, "logprobs": true, "top_logprobs": 4}),
        json!({"model": "parrot", "messages": message, "tools": tools}),
    ];
    for mut request in requests {
        let desk = || if request.get("tools").is_some() { caller() } else { parrot() };
        check(&whole, &desk().post("/v1/chat/completions", &request).await.json());
        let desk = desk();
        request["stream"] = json!(true);
        for usage in [false, true] {
            request["stream_options"] = json!({"include_usage": usage});
            for event in desk.post("/v1/chat/completions", &request).await.events() {
                if event != "[DONE]" {
                    check(&chunk, &event);
                }
            }
        }
    }
}

#[tokio::test]
async fn completions_fit_openais_schema() {
    let Some(description) = Description::load() else { return };
    let validator = description.validator("CreateCompletionResponse");
    let request = json!({"model": "parrot", "prompt": ["one two", "three"], "n": 2});
    check(&validator, &parrot().post("/v1/completions", &request).await.json());
}

#[tokio::test]
async fn responses_and_their_events_fit_openais_schema() {
    let Some(description) = Description::load() else { return };
    let object = description.validator("Response");
    let check_event = |found: &Value| {
        // By its name: the union of all events would only say that none of them fits.
        let words = found["type"].as_str().unwrap().split(['.', '_']);
        let name: String = words.map(|word| word[..1].to_uppercase() + &word[1..]).collect();
        check(&description.validator(&format!("{}Event", name.replace("ResponseOutputTextD", "ResponseTextD"))), found);
    };
    let tools = json!([{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": false}]);
    let format = json!({"format": {"type": "json_schema", "name": "s", "schema": {"type": "object"}}});
    let requests = [
        (parrot(), json!({"model": "parrot", "input": "x"})),
        (parrot(), json!({"model": "parrot", "input": "x", "text": format, "max_output_tokens": 99})),
        (
            parrot(),
            json!({"model": "parrot", "input": "x", "include": ["message.output_text.logprobs"], "top_logprobs": 2}),
        ),
        (caller(), json!({"model": "parrot", "input": "x", "tools": tools})),
        (
            Desk::of(Parrot { finish: Finish::Length, ..Parrot::saying(&["a"]) }),
            json!({"model": "parrot", "input": "x"}),
        ),
    ];
    for (desk, mut request) in requests {
        check(&object, &desk.post("/v1/responses", &request).await.json());
        request["stream"] = json!(true);
        for found in desk.post("/v1/responses", &request).await.events() {
            check_event(&found);
        }
    }
    let deserter = Desk::of(Deserter { last_words: None });
    for found in
        deserter.post("/v1/responses", &json!({"model": "parrot", "input": "x", "stream": true})).await.events()
    {
        check_event(&found);
    }
}

#[tokio::test]
async fn models_and_errors_fit_openais_schema() {
    let Some(description) = Description::load() else { return };
    let desk = parrot();
    check(&description.validator("ListModelsResponse"), &desk.get("/v1/models").await.json());
    check(&description.validator("Model"), &desk.get("/v1/models/parrot").await.json());
    check(&description.validator("ErrorResponse"), &desk.get("/nowhere").await.json());
}
