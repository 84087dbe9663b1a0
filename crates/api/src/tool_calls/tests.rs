#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use model::template::ToolCall;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Piece, ToolMode, ToolStream, forced_schema, split};
use crate::request::{Tool, ToolChoice};

fn call(id: &str, name: &str, arguments: &str) -> ToolCall {
    ToolCall { id: id.to_owned(), name: name.to_owned(), arguments: arguments.to_owned() }
}

#[test]
fn answers_are_split_into_text_and_calls() {
    let weather = "{\"name\": \"weather\", \"arguments\": {\"city\": \"Bern\", \"days\": 2}}";
    let weather_call = |id| call(id, "weather", "{\"city\":\"Bern\",\"days\":2}");
    let cases: Vec<(ToolMode, String, Option<&str>, Vec<ToolCall>)> = vec![
        (ToolMode::Tagged, "Just text, 1 < 2.".to_owned(), Some("Just text, 1 < 2."), vec![]),
        (ToolMode::Tagged, format!("<tool_call>\n{weather}\n</tool_call>"), None, vec![weather_call("call_x0")]),
        (
            ToolMode::Tagged,
            format!("Let me see.\n<tool_call>{weather}</tool_call>\n<tool_call>{weather}</tool_call>\n"),
            Some("Let me see."),
            vec![weather_call("call_x0"), weather_call("call_x1")],
        ),
        (ToolMode::Tagged, format!("<tool_call>{weather}"), None, vec![weather_call("call_x0")]),
        (
            ToolMode::Tagged,
            "<tool_call>not json</tool_call>".to_owned(),
            Some("<tool_call>not json</tool_call>"),
            vec![],
        ),
        (ToolMode::Tagged, "ends in <tool_c".to_owned(), Some("ends in <tool_c"), vec![]),
        (ToolMode::Tagged, weather.to_owned(), Some(weather), vec![]),
        (ToolMode::Forced, weather.to_owned(), None, vec![weather_call("call_x0")]),
        (ToolMode::Forced, "{\"name\": \"f\"}".to_owned(), None, vec![call("call_x0", "f", "{}")]),
        (ToolMode::Forced, "{\"name\": \"f\", \"arg".to_owned(), Some("{\"name\": \"f\", \"arg"), vec![]),
        (
            ToolMode::Forced,
            "{\"name\": \"f\", \"arguments\": \"{\\\"a\\\":1}\"}".to_owned(),
            None,
            vec![call("call_x0", "f", "{\"a\":1}")],
        ),
        (ToolMode::Off, format!("<tool_call>{weather}</tool_call>"), Some("<tool_call>"), vec![]),
    ];
    for (mode, text, content, calls) in cases {
        let found = split(mode, "x", &text);
        if mode == ToolMode::Off {
            assert_eq!(found, (Some(text), calls));
        } else {
            assert_eq!(found, (content.map(str::to_owned), calls), "{text}");
        }
    }
}

/// Text built from fragments that matter to the splitter.
fn answer() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![
        Just("<tool_call>"),
        Just("</tool_call>"),
        Just("{\"name\":\"f\",\"arguments\":{\"a\":1}}"),
        Just("<tool_"),
        Just("<"),
        Just("\n"),
        Just("text "),
        Just("\u{e9}"),
    ];
    prop::collection::vec(fragment, 0..12).prop_map(|fragments| fragments.concat())
}

fn joined(pieces: Vec<Piece>) -> Vec<Piece> {
    pieces.into_iter().fold(Vec::new(), |mut joined, piece| {
        match (joined.last_mut(), piece) {
            (Some(Piece::Text(last)), Piece::Text(text)) => last.push_str(&text),
            (_, piece) => joined.push(piece),
        }
        joined
    })
}

proptest! {
    #[test]
    fn how_text_is_cut_does_not_matter(text in answer(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8)) {
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        ends.retain(|&end| text.is_char_boundary(end));
        ends.push(text.len());
        ends.sort_unstable();
        for mode in [ToolMode::Off, ToolMode::Tagged, ToolMode::Forced] {
            let mut whole = ToolStream::new(mode, "x");
            let mut expected = whole.push(&text);
            expected.extend(whole.finish());
            let (mut cut, mut start, mut found) = (ToolStream::new(mode, "x"), 0, Vec::new());
            for &end in &ends {
                found.extend(cut.push(&text[start..end]));
                start = end;
            }
            found.extend(cut.finish());
            prop_assert_eq!(joined(found), joined(expected));
        }
    }
}

fn tool(name: &str, parameters: Option<Value>) -> Tool {
    Tool { name: name.to_owned(), description: None, parameters, strict: None }
}

#[test]
fn a_forced_call_is_held_to_the_schema_of_its_tool() {
    let tools = [
        tool(
            "f",
            Some(
                json!({"$defs": {"N": {"type": "integer"}}, "type": "object", "properties": {"n": {"$ref": "#/$defs/N"}}}),
            ),
        ),
        tool("g", None),
    ];
    assert_eq!(forced_schema(&tools, &ToolChoice::Auto), None);
    let only = forced_schema(&tools, &ToolChoice::Function("f".to_owned())).unwrap();
    assert_eq!(only["properties"]["name"], json!({"const": "f"}));
    let target = only["properties"]["arguments"]["properties"]["n"]["$ref"].as_str().unwrap();
    assert_eq!(only.pointer(&target[1..]), Some(&json!({"type": "integer"})), "references still lead where they led");
    let any = forced_schema(&tools, &ToolChoice::Required).unwrap();
    let target = any["anyOf"][0]["properties"]["arguments"]["properties"]["n"]["$ref"].as_str().unwrap();
    assert_eq!(any.pointer(&target[1..]), Some(&json!({"type": "integer"})));
    assert_eq!(any["anyOf"][1]["properties"]["arguments"], json!({"type": "object", "additionalProperties": false}));
}
