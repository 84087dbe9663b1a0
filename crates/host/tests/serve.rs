//! A host answers, signs, and every answer holds when it is computed again.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

use std::num::NonZeroUsize;
use std::sync::Arc;

use api::ApiError;
use arith::{Isa, Machine, Pool, WeightType};
use bytes::Bytes;
use claim::{Endpoint, Finish, HostKey, Nonce, SignedReceipt};
use court::{Case, Known, Verdict, replay};
use host::event::{Answer, Done, HostEvent};
use host::{Host, HostConfig};
use model::Model;
use serde_json::{Value, json};
use specimen::Specimen;

fn machine(threads: usize) -> Machine {
    Machine::new(Isa::detect(), Pool::new(NonZeroUsize::new(threads).unwrap()))
}

fn model() -> Arc<Model> {
    Arc::new(Model::load(&Specimen::llama(WeightType::Q8_0).to_gguf(), &machine(2), &|_| ()).unwrap())
}

fn host_with(config: HostConfig) -> Host {
    Host::serve(model(), "specimen", HostKey::generate(&[7; 64]), machine(2), config).unwrap()
}

fn host() -> Host {
    host_with(HostConfig::local())
}

fn ask(host: &Host, endpoint: Endpoint, body: &Value) -> Result<Answer, ApiError> {
    host.submit(endpoint, &Bytes::from(body.to_string()), Nonce::ZERO, None, None)
}

fn chat(text: &str, extra: &Value) -> Value {
    let mut body = json!({"model": "specimen", "max_tokens": 40, "messages": [{"role": "user", "content": text}]});
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

/// What an answer amounted to.
#[derive(Default)]
struct Collected {
    text: Vec<String>,
    tokens: usize,
    progress: Vec<SignedReceipt>,
    done: Vec<Done>,
    echo: Vec<(String, usize)>,
    logprobs: usize,
}

fn collect(mut answer: Answer) -> Collected {
    let mut all = Collected { text: vec![String::new(); answer.choices as usize], ..Collected::default() };
    while let Some(event) = answer.events.blocking_recv() {
        match event {
            HostEvent::Echo { text, logprobs, .. } => all.echo.push((text, logprobs.len())),
            HostEvent::Token { choice, text, logprob, .. } => {
                all.text[choice.get() as usize].push_str(&text);
                all.tokens += 1;
                all.logprobs += usize::from(logprob.is_some());
            }
            HostEvent::Progress(progress) => all.progress.push(progress.receipt),
            HostEvent::Done(done) => {
                all.text[done.choice.get() as usize].push_str(&done.tail);
                all.done.push(*done);
            }
            HostEvent::Failed(error) => panic!("{error}"),
        }
    }
    all
}

fn assert_held(host: &Host, done: &Done) {
    let case = Case { signed: &done.receipt, evidence: &done.evidence, known: Known::default(), window: None };
    match replay(&case, host.model(), host.machine(), &mut |_, _| ()) {
        Verdict::Held(extent) => assert_eq!(extent.redrawn, extent.output),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_answer_holds() {
    let host = host();
    for extra in
        [json!({"temperature": 0}), json!({"seed": 5}), json!({}), json!({"top_p": 0.8, "frequency_penalty": 0.5})]
    {
        let all = collect(ask(&host, Endpoint::Chat, &chat("Why is the sky blue?", &extra)).unwrap());
        assert_eq!(all.done.len(), 1);
        assert_eq!(all.done[0].evidence.text, all.text[0]);
        assert_eq!(all.done[0].evidence.output.len(), all.tokens);
        assert_held(&host, &all.done[0]);
    }
}

#[test]
fn many_at_once_hold_and_say_what_each_says_alone() {
    let host = host();
    let questions: Vec<Value> = (0..8).map(|i| chat(&format!("Question {i}?"), &json!({"seed": i}))).collect();
    let alone: Vec<String> =
        questions.iter().map(|body| collect(ask(&host, Endpoint::Chat, body).unwrap()).text.remove(0)).collect();
    let answers: Vec<Answer> = questions.iter().map(|body| ask(&host, Endpoint::Chat, body).unwrap()).collect();
    for (answer, alone) in answers.into_iter().zip(alone) {
        let all = collect(answer);
        assert_eq!(all.text[0], alone);
        assert_held(&host, &all.done[0]);
    }
}

#[test]
fn the_choices_of_a_request_differ_and_hold() {
    let host = host();
    let all = collect(ask(&host, Endpoint::Chat, &chat("Name a colour.", &json!({"n": 3}))).unwrap());
    assert_eq!(all.done.len(), 3);
    assert!(all.text[0] != all.text[1] && all.text[1] != all.text[2], "{:?}", all.text);
    all.done.iter().for_each(|done| assert_held(&host, done));
    assert!(all.done.iter().any(|done| done.cached.get() > 0), "choices share their prompt");
}

#[test]
fn progress_receipts_cover_prefixes_and_are_signed() {
    let host = host();
    let body = chat("Go on.", &json!({"max_tokens": 100, "logit_bias": {"258": -100, "256": -100, "257": -100}}));
    let all = collect(ask(&host, Endpoint::Chat, &body).unwrap());
    assert_eq!(all.done[0].finish, Finish::Length);
    assert_eq!(all.progress.len(), 3, "100 tokens, one receipt after each 32");
    for (index, signed) in all.progress.iter().enumerate() {
        signed.verify().unwrap();
        assert_eq!(signed.receipt.finish, Finish::Prefix);
        let mut evidence = all.done[0].evidence.clone();
        evidence.output.truncate(32 * (index + 1));
        evidence.states.truncate(evidence.prompt.len() + evidence.output.len() - 1);
        let known = Known::default();
        evidence.text = model::generation::text_of(
            host.model(),
            &claim::Sampling::greedy(claim::TokenCount::new(100)),
            &evidence.output,
            Finish::Prefix,
        );
        let case = Case { signed, evidence: &evidence, known, window: None };
        let verdict = replay(&case, host.model(), host.machine(), &mut |_, _| ());
        assert!(matches!(verdict, Verdict::Held(_)), "{verdict:?}");
    }
}

#[test]
fn a_prompt_is_scored_without_generating() {
    let host = host();
    let body = json!({"model": "specimen", "prompt": "Hello", "max_tokens": 0, "echo": true, "logprobs": 1});
    let all = collect(ask(&host, Endpoint::Completions, &body).unwrap());
    assert_eq!(all.echo, [("Hello".to_owned(), 5)]);
    assert_eq!((all.tokens, all.done[0].finish), (0, Finish::Length));
    assert_held(&host, &all.done[0]);
}

#[test]
fn a_grammar_is_followed_and_replayed() {
    let host = host();
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": {
        "type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": false}}});
    let all = collect(
        ask(&host, Endpoint::Chat, &chat("A number.", &json!({"response_format": format, "seed": 3}))).unwrap(),
    );
    assert_held(&host, &all.done[0]);
    if all.done[0].finish != Finish::Length {
        let value: Value = serde_json::from_str(&all.text[0]).unwrap();
        assert!(value["n"].is_i64() || value["n"].is_u64() || value["n"].is_f64(), "{value}");
    }
}

#[test]
fn a_client_that_goes_away_frees_its_place() {
    let host = host_with(HostConfig { active_max: 1, waiting_max: 1, ..HostConfig::local() });
    let long = chat("Talk.", &json!({"max_tokens": 900, "logit_bias": {"258": -100, "256": -100, "257": -100}}));
    let first = ask(&host, Endpoint::Chat, &long).unwrap();
    let second = ask(&host, Endpoint::Chat, &chat("Short.", &json!({"max_tokens": 2}))).unwrap();
    assert!(matches!(ask(&host, Endpoint::Chat, &long), Err(ApiError::Overloaded { .. })));
    drop(first);
    assert_held(&host, &collect(second).done[0]);
}

#[test]
fn requests_that_mean_nothing_get_one_clear_error() {
    let host = host();
    let unknown = json!({"model": "other", "messages": [{"role": "user", "content": "x"}]});
    assert!(matches!(ask(&host, Endpoint::Chat, &unknown), Err(ApiError::ModelNotFound { .. })));
    let long = chat(&"word ".repeat(1000), &json!({}));
    assert!(matches!(ask(&host, Endpoint::Chat, &long), Err(ApiError::ContextLengthExceeded { .. })));
    let broken = host.submit(Endpoint::Chat, &Bytes::from_static(b"{\"model\""), Nonce::ZERO, None, None);
    assert!(matches!(broken, Err(ApiError::Malformed { .. })));
    // 128 copies of a megabyte.
    let padded = Bytes::from(" ".repeat(1 << 20) + &chat("x", &json!({"n": 128})).to_string());
    let copies = host.submit(Endpoint::Chat, &padded, Nonce::ZERO, None, None);
    assert!(matches!(copies, Err(ApiError::BodyTooLarge { size_bytes_max: 524_288 })));
}
