//! Receipts, verdicts, metrics, the page and the OpenAPI document.

use std::collections::BTreeSet;

use claim::{Address, Price};
use court::Kind;
use futures_util::future::join_all;
use gateway::Serve;
use serde_json::{Value, json};

use crate::client::Desk;
use crate::stand_ins::hosts::{Mislabeller, Parrot};
use crate::stand_ins::model_root;

async fn answered(host: impl Serve) -> (Desk, String) {
    let desk = Desk::of(host);
    let reply = desk.post("/v1/completions", &json!({"model": "parrot", "prompt": "x"})).await;
    let id = reply.header("x-candor-receipt").to_owned();
    (desk, id)
}

#[tokio::test]
async fn a_receipt_is_shown_whole_and_listed_without_evidence() {
    let (desk, id) = answered(Parrot::saying(&["a", "b"])).await;
    let reply = desk.get(&format!("/v1/receipts/{id}")).await;
    let document = api::receipt_json::read(&reply.body).unwrap();
    document.receipt.verify().unwrap();
    assert_eq!(document.evidence.unwrap().text, "ab");
    let second = desk.post("/v1/completions", &json!({"model": "parrot", "prompt": "y"})).await;
    let list = desk.get("/v1/receipts?limit=1").await.json();
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    assert_eq!(list["data"][0]["id"], second.header("x-candor-receipt"));
    assert_eq!(list["data"][0].get("evidence"), None);
    desk.get("/v1/receipts?limit=0").await.is_error(400, Some("invalid_value"));
    desk.get("/v1/receipts?limit=x").await.is_error(400, Some("invalid_type"));
    desk.get(&format!("/v1/receipts/0x{}", "0".repeat(64))).await.is_error(404, Some("receipt_not_found"));
    desk.get("/v1/receipts/0x12").await.is_error(400, Some("invalid_receipt_id"));
    desk.get(&format!("/v1/receipts/0x{}/verify", "0".repeat(64))).await.is_error(404, Some("receipt_not_found"));
}

#[tokio::test]
async fn every_verdict_has_its_form() {
    let (desk, id) = answered(Parrot::saying(&["a", "b"])).await;
    let path = format!("/v1/receipts/{id}/verify");
    for reply in [desk.get(&path).await, desk.post_bytes(&path, "").await] {
        let held = reply.json();
        assert_eq!((&held["verdict"], &held["receipt"], &held["states"]), (&json!("held"), &json!(id), &json!(6)));
        assert!(held["elapsed_ms"].is_number() && held["report"].is_string());
    }
    let (desk, id) = answered(Parrot::refuting(Kind::Token, 7)).await;
    let refuted = desk.get(&format!("/v1/receipts/{id}/verify")).await.json();
    assert_eq!(
        (&refuted["verdict"], &refuted["kind"], &refuted["position"]),
        (&json!("refuted"), &json!("token"), &json!(7))
    );
    let (desk, id) = answered(Parrot::helpless()).await;
    let cannot = desk.get(&format!("/v1/receipts/{id}/verify")).await.json();
    assert_eq!(cannot["verdict"], "cannot");
    assert!(cannot["reason"].as_str().unwrap().contains("--model"));
}

/// What a gateway finds about the answers of a host of its own.
async fn judged(host: Mislabeller) -> Value {
    let desk = Desk::of(host);
    let body = json!({"model": "specimen", "prompt": "x", "max_tokens": 4, "temperature": 0});
    let id = desk.post("/v1/completions", &body).await.header("x-candor-receipt").to_owned();
    desk.get(&format!("/v1/receipts/{id}/verify")).await.json()
}

#[tokio::test]
async fn a_receipt_is_held_against_what_was_advertised() {
    let held = judged(Mislabeller::with(|_| ())).await;
    assert_eq!(held["verdict"], "held");
    let report = held["report"].as_str().unwrap();
    assert!(report.starts_with("Held: ") && report.contains("tokens drawn again, equal"), "{report}");
    assert!(
        !report.contains("stands for this model root") && !report.contains("this price"),
        "nothing on trust: {report}"
    );

    let refuted = judged(Mislabeller::with(|served| served.root = model_root())).await;
    assert_eq!((&refuted["verdict"], &refuted["kind"]), (&json!("refuted"), &json!("model")));
    assert!(refuted["reason"].as_str().unwrap().contains(&model_root().to_string()), "{refuted}");
    let refuted = judged(Mislabeller::with(|served| served.price = Price::new(3, 4))).await;
    assert_eq!((&refuted["verdict"], &refuted["kind"]), (&json!("refuted"), &json!("price")));
    let refuted = judged(Mislabeller::with(|served| served.host = Address::new([1; 20]))).await;
    assert_eq!((&refuted["verdict"], &refuted["kind"]), (&json!("refuted"), &json!("signature")));
}

/// The value of a metric without labels, or with exactly these.
pub(crate) fn metric(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or("-1").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_answers_at_once_are_counted() {
    let desk = Desk::of(Parrot::saying(&["a", "b"]));
    let body = json!({"model": "parrot", "prompt": "x"});
    let streamed = json!({"model": "parrot", "prompt": "x", "stream": true});
    let bodies = (0..200).map(|index| if index % 2 == 0 { &body } else { &streamed });
    join_all(bodies.map(|body| desk.post("/v1/completions", body))).await;
    desk.post("/v1/completions", &json!({})).await.is_error(400, Some("missing_required_parameter"));
    let reply = desk.get("/metrics").await;
    assert!(reply.header("content-type").starts_with("text/plain; version=0.0.4"));
    let text = std::str::from_utf8(&reply.body).unwrap();
    assert_eq!(metric(text, "candor_receipts_stored_total"), 200.0);
    assert_eq!(metric(text, "candor_http_requests_total{route=\"completions\",status=\"200\"}"), 200.0);
    assert_eq!(metric(text, "candor_http_requests_total{route=\"completions\",status=\"400\"}"), 1.0);
    assert_eq!(metric(text, "candor_tokens_total{kind=\"output\"}"), 400.0);
    assert_eq!(metric(text, "candor_answers_open"), 0.0);
    assert_eq!(metric(text, "candor_answers_abandoned_total"), 0.0);
    assert_eq!(metric(text, "candor_first_token_seconds_count"), 200.0);
    let typed: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        assert!(typed.contains(base), "{line} has a type");
    }
}

#[tokio::test]
async fn the_page_is_one_file_that_loads_nothing() {
    let desk = Desk::of(Parrot::saying(&["a"]));
    let reply = desk.get("/").await;
    assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
    assert!(reply.header("content-security-policy").contains("default-src 'none'"));
    let page = std::str::from_utf8(&reply.body).unwrap();
    for forbidden in ["http://", "https://", "innerHTML", "<link", "import ", "eval("] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert!(page.len() < 64 << 10);
    assert_eq!(desk.get("/healthz").await.body, "ok\n");
}

/// All references of a document.
fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| match value {
            Value::String(target) if key == "$ref" => found.push(target),
            other => references(other, found),
        }),
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_openapi_document_describes_every_route_and_refers_to_nothing_missing() {
    let document = Desk::of(Parrot::saying(&["a"])).get("/openapi.json").await.json();
    let paths: BTreeSet<&str> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "/healthz",
        "/metrics",
        "/v1/channels/{id}",
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/models",
        "/v1/models/{id}",
        "/v1/receipts",
        "/v1/receipts/{id}",
        "/v1/receipts/{id}/verify",
        "/v1/responses",
        "/v1/vouchers",
    ];
    assert_eq!(paths, BTreeSet::from(expected));
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 40);
    for target in found {
        assert!(document.pointer(target.trim_start_matches('#')).is_some(), "{target}");
    }
}

/// The parser knows each field that the document shows: one of a wrong type is refused by its name.
#[tokio::test]
async fn the_openapi_document_shows_the_fields_that_are_read() {
    let desk = Desk::of(Parrot::saying(&["a"]));
    let document = desk.get("/openapi.json").await.json();
    let bases = [
        (
            "ChatBody",
            "/v1/chat/completions",
            json!({"model": "parrot", "messages": [{"role": "user", "content": "x"}]}),
        ),
        ("CompletionBody", "/v1/completions", json!({"model": "parrot", "prompt": "x"})),
        ("ResponseBody", "/v1/responses", json!({"model": "parrot", "input": "x"})),
    ];
    for (name, path, base) in bases {
        let schema = &document["components"]["schemas"][name];
        let parts = schema["allOf"].as_array().cloned().unwrap_or_else(|| vec![schema.clone()]);
        let mut count = 0;
        for part in parts {
            let target = part["$ref"].as_str().map(|target| document.pointer(&target[1..]).unwrap().clone());
            for field in target.unwrap_or(part)["properties"].as_object().unwrap().keys() {
                let mut body = base.clone();
                // No field is a list that holds only false.
                body[field] = json!([false]);
                let reply = desk.post(path, &body).await;
                assert_eq!(reply.status, 400, "{name}.{field}");
                let param = reply.json()["error"]["param"].as_str().unwrap().to_owned();
                assert!(param.starts_with(field.as_str()), "{name}.{field}: {param}");
                count += 1;
            }
        }
        assert!(count > 15, "{name} has {count} fields");
    }
}
