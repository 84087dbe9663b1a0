//! Recorded exchanges with OpenAI's server: its clients' requests are read, and our answers have the fields of its answers.

use std::path::PathBuf;

use api::ApiError;
use claim::Endpoint;
use serde_json::Value;

use crate::client::Desk;
use crate::stand_ins::hosts::Parrot;

/// One recorded exchange.
struct Exchange {
    name: String,
    path: String,
    request: String,
    status: u16,
    response: String,
}

fn recordings() -> Option<Vec<Exchange>> {
    let folder = data_folder()?.join("openai-conformance/envoy-cassettes");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).ok()?.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let files = files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "yaml"));
    Some(
        files
            .map(|file| exchange(file.file_stem().unwrap().to_str().unwrap(), &std::fs::read_to_string(file).unwrap()))
            .collect(),
    )
}

/// The folder of shared test data beside the workspace.
#[expect(clippy::print_stderr, reason = "whoever runs the tests must see that this one did nothing")]
pub(crate) fn data_folder() -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let found = folder.is_dir().then_some(folder);
    if found.is_none() {
        eprintln!("skipped: no shared data");
    }
    found
}

/// Takes the four values that matter out of a recording. The files are YAML of two shapes only: bodies are literal blocks
/// or double-quoted strings, whose escapes are those of JSON.
fn exchange(name: &str, text: &str) -> Exchange {
    let (request, response) = text.split_once("response:\n").unwrap();
    let value = |part: &str, key: &str| {
        let line = part.lines().find_map(|line| line.trim().strip_prefix(key)).unwrap();
        line.trim().to_owned()
    };
    Exchange {
        name: name.to_owned(),
        path: value(request, "url: ").rsplit_once(".com").unwrap().1.to_owned(),
        request: body(request),
        status: value(response, "code: ").parse().unwrap(),
        response: body(response),
    }
}

fn body(part: &str) -> String {
    let start = part.find("body:").unwrap();
    let rest = &part[start + "body:".len()..];
    let line_start = part[..start].rfind('\n').map_or(0, |at| at + 1);
    let indent = start - line_start;
    let first = rest.lines().next().unwrap().trim();
    if first.starts_with('"') {
        let quoted: String =
            rest.lines().take_while(|line| !line.trim().starts_with("headers:")).map(str::trim).collect();
        return serde_json::from_str(&quoted.replace("\\ ", " ")).unwrap_or(quoted);
    }
    if !first.starts_with('|') {
        return first.trim_matches('\'').to_owned();
    }
    let lines = rest.lines().skip(1);
    let of_block = lines.take_while(|line| line.trim().is_empty() || line.len() - line.trim_start().len() > indent);
    of_block.map(|line| line.trim_start().to_owned() + "\n").collect()
}

fn endpoint(path: &str) -> Option<Endpoint> {
    match path {
        "/v1/chat/completions" => Some(Endpoint::Chat),
        "/v1/completions" => Some(Endpoint::Completions),
        _ => None,
    }
}

/// What these recordings ask for that this server does not do, and says so.
fn is_unsupported(error: &ApiError) -> bool {
    error.code() == Some("unsupported_parameter") || error.param().is_some_and(|param| param.starts_with("modalities"))
}

#[test]
fn recorded_requests_are_read_as_openai_reads_them() {
    let Some(recordings) = recordings() else { return };
    let (mut read, mut unsupported, mut refused) = (0, 0, 0);
    for exchange in recordings {
        let Some(endpoint) = endpoint(&exchange.path) else { continue };
        let outcome = api::parse(endpoint, exchange.request.as_bytes());
        match outcome {
            Err(error) if exchange.status == 400 => {
                let theirs: Value = serde_json::from_str(&exchange.response).unwrap();
                assert_eq!(error.status(), 400);
                // OpenAI's newer models refuse a field that others take, before they look at its value.
                if theirs["error"]["code"] != "unsupported_parameter" {
                    let theirs = (theirs["error"]["param"].as_str(), theirs["error"]["code"].as_str());
                    assert_eq!((error.param(), error.code()), theirs, "{}: {error}", exchange.name);
                }
                refused += 1;
            }
            Ok(_) if exchange.status != 400 => read += 1,
            Err(error) if exchange.status == 200 && is_unsupported(&error) => unsupported += 1,
            other => unreachable!("{}: {other:?} for status {}", exchange.name, exchange.status),
        }
    }
    assert!(
        read >= 15 && unsupported >= 4 && refused == 3,
        "{read} read, {unsupported} unsupported, {refused} refused"
    );
}

/// Fields of OpenAI's answers that say things this server has nothing to say about.
const FOREIGN: &[&str] =
    &["service_tier", "obfuscation", "annotations", "completion_tokens_details", "audio_tokens", "audio"];

/// Checks that `ours` has each field of `theirs`, of the same JSON type. A null says nothing about a type.
fn compare(name: &str, path: &str, theirs: &Value, ours: &Value) {
    match (theirs, ours) {
        (Value::Null, _) | (_, Value::Null) => {}
        (Value::Object(theirs), Value::Object(ours)) => {
            for (key, value) in theirs.iter().filter(|(key, _)| !FOREIGN.contains(&key.as_str())) {
                let ours = ours.get(key).unwrap_or_else(|| unreachable!("{name}: {path}.{key} is missing"));
                compare(name, &format!("{path}.{key}"), value, ours);
            }
        }
        (Value::Array(theirs), Value::Array(ours)) => {
            for (theirs, ours) in theirs.iter().zip(ours) {
                compare(name, &format!("{path}[]"), theirs, ours);
            }
        }
        // A map from tokens to numbers has other keys each time, and so have texts other values.
        (theirs, ours) => assert_eq!(
            std::mem::discriminant(theirs),
            std::mem::discriminant(ours),
            "{name}: {path} is {theirs} there and {ours} here"
        ),
    }
}

#[tokio::test]
async fn our_answers_have_the_fields_of_recorded_answers() {
    let Some(recordings) = recordings() else { return };
    let mut compared = 0;
    for exchange in recordings {
        let Some(endpoint) = endpoint(&exchange.path) else { continue };
        let Ok(request) = api::parse(endpoint, exchange.request.as_bytes()) else { continue };
        let mut body: Value = serde_json::from_str(&exchange.request).unwrap();
        if exchange.status == 200 {
            body["model"] = Value::from("parrot");
        }
        let calls = exchange.response.contains("\"tool_calls\"");
        let words: &[&str] =
            if calls { &["<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>"] } else { &["a", "b", "c"] };
        let reply = Desk::of(Parrot::saying(words)).post(&exchange.path, &body).await;
        assert_eq!(reply.status.as_u16(), exchange.status, "{}", exchange.name);
        if request.stream {
            let data = |line: &str| line.trim().strip_prefix("data: ").and_then(|data| serde_json::from_str(data).ok());
            let theirs: Vec<Value> = exchange.response.lines().filter_map(data).collect();
            let ours = reply.events();
            compare(&exchange.name, "first", &theirs[0], &ours[0]);
            compare(&exchange.name, "last", &theirs[theirs.len() - 1], &ours[ours.len() - 2]);
            assert!(exchange.response.contains("[DONE]") && ours[ours.len() - 1] == "[DONE]");
        } else {
            let mut theirs: Value = serde_json::from_str(&exchange.response).unwrap();
            // Keys are tokens there.
            for choice in theirs.get_mut("choices").and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(logprobs) = choice.get_mut("logprobs").and_then(Value::as_object_mut) {
                    logprobs.remove("top_logprobs");
                }
            }
            compare(&exchange.name, "body", &theirs, &reply.json());
        }
        compared += 1;
    }
    assert!(compared >= 17, "{compared} compared");
}
