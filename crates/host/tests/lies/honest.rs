//! Honest answers of a real host, made and checked in every way that must make no difference.

use std::sync::Arc;

use arith::Isa;
use bytes::Bytes;
use claim::{Endpoint, Evidence, Finish, HostKey, KvType, Nonce, SeedProof, SignedReceipt, TokenId};
use court::{Case, ClientRecord, Ending, Known, Part, Source, Verdict, opens, replay};
use host::event::{Answer, Done, HostEvent};
use host::{Host, HostConfig, load_model};
use model::Model;
use model::generation::text_of;
use serde_json::{Value, json};

use crate::question::{SKY, endless};
use crate::statement::{PRICE, assert_held, assert_mismatch};
use crate::subject::{Subject, machine, machine_of, small, stories, subject};

fn host_of(model: &Arc<Model>, machine: arith::Machine, kv: KvType) -> Host {
    let config = HostConfig { price: PRICE, kv, ..HostConfig::local() };
    Host::serve(Arc::clone(model), "model", HostKey::generate(&[7; 64]), machine, config).unwrap()
}

fn host() -> Host {
    host_of(&subject().model, machine(), KvType::F16)
}

fn chat(text: &str, extra: &Value) -> Value {
    let mut body = json!({"model": "model", "max_tokens": 12, "messages": [{"role": "user", "content": text}]});
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

fn ask(host: &Host, endpoint: Endpoint, body: &Value) -> Answer {
    host.submit(endpoint, &Bytes::from(body.to_string()), Nonce::new(claim::Digest::new([2; 32])), None, None).unwrap()
}

/// What a client has in its hands at the end: per choice the text that it was shown, and what closed it.
#[derive(Default)]
struct Received {
    shown: Vec<String>,
    progress: Vec<SignedReceipt>,
    done: Vec<Done>,
}

fn receive(mut answer: Answer) -> Received {
    let mut received = Received { shown: vec![String::new(); answer.choices as usize], ..Received::default() };
    while let Some(event) = answer.events.blocking_recv() {
        match event {
            HostEvent::Token { choice, text, .. } => received.shown[choice.get() as usize].push_str(&text),
            HostEvent::Progress(progress) => received.progress.push(progress.receipt),
            HostEvent::Done(done) => {
                received.shown[done.choice.get() as usize].push_str(&done.tail);
                received.done.push(*done);
            }
            HostEvent::Echo { .. } => {}
            HostEvent::Failed(error) => panic!("{error}"),
        }
    }
    received
}

/// Everything that a client knows by itself.
fn known<'a>(model: &Model, done: &Done, shown: &'a str) -> Known<'a> {
    Known {
        model_root: Some(model.root()),
        host: Some(HostKey::generate(&[7; 64]).address()),
        price: Some(PRICE),
        channel: Some(claim::ChannelId::ZERO),
        client: Some(ClientRecord {
            request: done.receipt.receipt.request_hash,
            choice: done.choice,
            text: shown,
            ending: Ending::Closed,
        }),
        source: Source::Host,
    }
}

#[track_caller]
fn assert_all_held(received: &Received, model: &Model, verifier: &arith::Machine) {
    assert_eq!(received.done.len(), received.shown.len());
    for done in &received.done {
        assert_eq!(opens(&done.receipt, &done.evidence), Ok(()));
        let known = known(model, done, &received.shown[done.choice.get() as usize]);
        let case = Case { signed: &done.receipt, evidence: &done.evidence, known, window: None };
        let mut told = Vec::new();
        let verdict = replay(&case, model, verifier, &mut |done, total| told.push((done, total)));
        let Verdict::Held(extent) = verdict else { panic!("{verdict:?}") };
        assert_eq!(extent.redrawn, extent.output);
        assert!(told.is_sorted() && told.last().is_some_and(|(done, total)| done == total), "{told:?}");
    }
}

/// Asks and checks on one thread each.
#[track_caller]
fn assert_holds(endpoint: Endpoint, body: &Value) -> Received {
    let received = receive(ask(&host(), endpoint, body));
    assert_all_held(&received, &subject().model, &machine());
    received
}

#[test]
fn any_number_of_threads() {
    let Subject { model, .. } = subject();
    let body = chat(SKY, &json!({"seed": 1, "max_tokens": 6}));
    let mut texts = Vec::new();
    for threads in 1..=8 {
        let host = host_of(model, machine_of(Isa::detect(), threads), KvType::F16);
        let received = receive(ask(&host, Endpoint::Chat, &body));
        assert_all_held(&received, model, &machine_of(Isa::detect(), 9 - threads));
        texts.push(received.shown[0].clone());
    }
    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
}

#[test]
fn any_instruction_set_answers_and_any_checks() {
    // The host runs on one machine and the verifier on another: the portable code, AVX2, AVX-512, NEON.
    let Subject { model, .. } = small();
    let body = chat("Hello", &json!({"seed": 4, "max_tokens": 4}));
    for ours in Isa::available() {
        let received = receive(ask(&host_of(model, machine_of(ours, 1), KvType::F16), Endpoint::Chat, &body));
        for theirs in Isa::available() {
            assert_all_held(&received, model, &machine_of(theirs, 1));
        }
    }
}

#[test]
fn both_formats_of_the_cache() {
    for kv in [KvType::F16, KvType::F32] {
        let received = receive(ask(&host_of(&subject().model, machine(), kv), Endpoint::Chat, &chat(SKY, &json!({}))));
        assert_eq!(received.done[0].receipt.receipt.engine.kv, kv);
        assert_all_held(&received, &subject().model, &machine());
    }
}

#[test]
fn eight_at_once() {
    let host = host();
    let bodies: Vec<Value> = (0..8)
        .map(|index| {
            let text = format!("{} Answer number {index}.", "Please. ".repeat(index));
            chat(&text, &json!({"seed": index, "max_tokens": 4 + index}))
        })
        .collect();
    let answers: Vec<Answer> = bodies.iter().map(|body| ask(&host, Endpoint::Chat, body)).collect();
    for answer in answers {
        assert_all_held(&receive(answer), &subject().model, &machine());
    }
}

#[test]
fn cold_and_warm_cache() {
    let host = host();
    let body = chat(SKY, &json!({"seed": 2}));
    let cold = receive(ask(&host, Endpoint::Chat, &body));
    let warm = receive(ask(&host, Endpoint::Chat, &body));
    assert!(warm.done[0].cached.get() > 0 && cold.done[0].cached.get() == 0);
    assert_eq!(warm.done[0].evidence, cold.done[0].evidence);
    for received in [cold, warm] {
        assert_all_held(&received, &subject().model, &machine());
    }
}

#[test]
fn several_choices() {
    let received = assert_holds(Endpoint::Chat, &chat("Name a colour.", &json!({"n": 3})));
    assert_eq!(received.done.len(), 3);
    let body = json!({"model": "model", "prompt": ["Red and", "Green and"], "n": 2, "max_tokens": 4});
    assert_eq!(assert_holds(Endpoint::Completions, &body).done.len(), 4);
}

#[test]
fn seed_given_seed_drawn_and_none() {
    for extra in [json!({"seed": -3}), json!({}), json!({"temperature": 0}), json!({"temperature": 0, "seed": 1})] {
        assert_holds(Endpoint::Chat, &chat(SKY, &extra));
    }
}

#[test]
fn every_sampling_parameter() {
    for extra in [
        json!({"top_k": 5}),
        json!({"top_p": 0.5}),
        json!({"min_p": 0.2}),
        json!({"repetition_penalty": 1.3, "frequency_penalty": 0.5, "presence_penalty": -0.5}),
        json!({"temperature": 2.0}),
        json!({"temperature": 0.001}),
        json!({"logit_bias": {"40": 5, "41": -100}}),
    ] {
        assert_holds(Endpoint::Chat, &chat(SKY, &extra));
    }
}

#[test]
fn stop_string() {
    let longer = assert_holds(Endpoint::Chat, &chat(SKY, &json!({"temperature": 0}))).shown.remove(0);
    let stop = longer.split(' ').nth(3).unwrap();
    let received = assert_holds(Endpoint::Chat, &chat(SKY, &json!({"temperature": 0, "stop": [stop, "never"]})));
    assert_eq!(received.done[0].finish, Finish::StopString);
    assert!(longer.starts_with(&received.shown[0]) && !received.shown[0].contains(stop));
}

#[test]
fn output_by_a_schema() {
    let format = json!({"type": "json_schema", "json_schema": {"name": "colour", "schema": {
        "type": "object", "properties": {"colour": {"enum": ["red", "blue"]}}, "required": ["colour"],
        "additionalProperties": false}}});
    let extra = json!({"response_format": format, "max_tokens": 40, "seed": 8});
    let received = assert_holds(Endpoint::Chat, &chat("Which colour is the sky?", &extra));
    assert_eq!(received.done[0].finish, Finish::Grammar);
    let value: Value = serde_json::from_str(&received.shown[0]).unwrap();
    assert!(value["colour"] == "red" || value["colour"] == "blue");
}

#[test]
fn prompt_scored_without_an_answer() {
    let body = json!({"model": "model", "prompt": SKY, "max_tokens": 0, "echo": true, "logprobs": 1});
    let received = assert_holds(Endpoint::Completions, &body);
    assert_eq!(received.done[0].finish, Finish::Length);
    assert!(received.done[0].evidence.output.is_empty());
}

#[test]
fn prompt_across_an_attention_chunk() {
    let text = format!("{} {SKY}", "The sky scatters blue light more than red light. ".repeat(40));
    let received = assert_holds(Endpoint::Chat, &chat(&text, &json!({"seed": 1, "max_tokens": 6})));
    assert!(received.done[0].evidence.prompt.len() > model::PAGE_POSITIONS);
}

#[test]
fn context_filled_to_the_last_position() {
    let Subject { model, .. } = stories();
    let host = host_of(model, machine(), KvType::F16);
    let body = json!({"model": "model", "prompt": "Once upon a time", "max_tokens": 100_000, "seed": 1,
        "logit_bias": endless(model, &json!({}))["logit_bias"]});
    let received = receive(ask(&host, Endpoint::Completions, &body));
    assert_eq!(received.done[0].finish, Finish::Context);
    assert_all_held(&received, model, &machine());
}

#[test]
fn restart_between_answer_and_check() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("model.gguf"), &small().file).unwrap();
    {
        let config = HostConfig { price: PRICE, ..HostConfig::local() };
        let host = Host::start(&path("model.gguf"), "model", HostKey::generate(&[7; 64]), machine(), config).unwrap();
        let done = receive(ask(&host, Endpoint::Chat, &chat(SKY, &json!({})))).done.remove(0);
        std::fs::write(path("receipt"), done.receipt.to_bytes()).unwrap();
        std::fs::write(path("evidence"), done.evidence.to_bytes().unwrap()).unwrap();
    }
    let signed = SignedReceipt::from_bytes(&std::fs::read(path("receipt")).unwrap()).unwrap();
    let evidence = Evidence::from_bytes(&std::fs::read(path("evidence")).unwrap()).unwrap();
    let model = load_model(&path("model.gguf"), &machine()).unwrap();
    let case = Case { signed: &signed, evidence: &evidence, known: Known::default(), window: None };
    assert_held(&replay(&case, &model, &machine(), &mut |_, _| ()));
}

#[test]
fn windows() {
    let received = assert_holds(Endpoint::Chat, &chat(SKY, &endless(&subject().model, &json!({"seed": 6}))));
    let Done { receipt, evidence, .. } = &received.done[0];
    let (prompt, output) = (evidence.prompt.len(), evidence.output.len());
    for (start, end) in [(0, 1), (3, 7), (0, output), (output - 1, output), (5, 6)] {
        let case = Case { signed: receipt, evidence, known: Known::default(), window: Some((start, end)) };
        let verdict = replay(&case, &subject().model, &machine(), &mut |_, _| ());
        let Verdict::Held(extent) = verdict else { panic!("{verdict:?}") };
        assert_eq!(extent.redrawn.get() as usize, end - start);
        assert_eq!(extent.states.get() as usize, prompt + end - 1);
    }
}

/// A client that goes away keeps the last receipt it got, the tokens and the request. It lacks the states, which the
/// court computes.
#[test]
fn stream_cut_short_by_the_client() {
    let host = host();
    let body = chat(SKY, &endless(&subject().model, &json!({"max_tokens": 400})));
    let mut answer = ask(&host, Endpoint::Chat, &body);
    let (mut shown, mut output, mut seen) = (String::new(), Vec::<TokenId>::new(), None);
    while let Some(event) = answer.events.blocking_recv() {
        match event {
            HostEvent::Token { token, text, .. } => {
                shown.push_str(&text);
                output.push(token);
                if seen.is_some() {
                    break;
                }
            }
            HostEvent::Progress(progress) => seen = Some((progress, output.len())),
            other => panic!("{other:?}"),
        }
    }
    drop(answer);
    let (progress, covered) = seen.unwrap();
    let signed = progress.receipt;
    assert!(covered < output.len(), "the client has seen more than is signed");

    let request = api::parse(Endpoint::Chat, body.to_string().as_bytes()).unwrap();
    let model = &subject().model;
    let (context, started) = (model.config().context_length, signed.receipt.started);
    let job = request.jobs(model.tokenizer(), model.template().ok(), context, started).unwrap().remove(0);
    output.truncate(covered);
    let evidence = Evidence {
        endpoint: Endpoint::Chat,
        request: body.to_string().into_bytes(),
        nonce: Nonce::new(claim::Digest::new([2; 32])),
        client: None,
        choice: job.choice,
        prompt: Vec::new(),
        text: text_of(&**model, &job.sampling, &output, Finish::Prefix),
        output,
        states: Vec::new(),
        seed_proof: progress.seed_proof,
    };
    let client = ClientRecord {
        request: signed.receipt.request_hash,
        choice: job.choice,
        text: &shown,
        ending: Ending::BrokenOff,
    };
    let known = Known { client: Some(client), ..Known::default() };
    let case = Case { signed: &signed, evidence: &evidence, known, window: None };
    assert_held(&replay(&case, model, &machine(), &mut |_, _| ()));
}

/// A receipt from the middle of a stream, with its part of the evidence from the end.
#[test]
fn receipts_on_the_way() {
    let body = chat(SKY, &endless(&subject().model, &json!({"max_tokens": 70})));
    let received = assert_holds(Endpoint::Chat, &body);
    assert_eq!(received.progress.len(), 2);
    let model = &subject().model;
    let sampling = api::parse(Endpoint::Chat, body.to_string().as_bytes())
        .unwrap()
        .jobs(model.tokenizer(), model.template().ok(), model.config().context_length, claim::UnixMillis::new(0))
        .unwrap()
        .remove(0)
        .sampling;
    for (index, signed) in received.progress.iter().enumerate() {
        let mut evidence = received.done[0].evidence.clone();
        evidence.output.truncate(32 * (index + 1));
        evidence.states.truncate(evidence.prompt.len() + evidence.output.len() - 1);
        evidence.text = text_of(&**model, &sampling, &evidence.output, Finish::Prefix);
        let case = Case { signed, evidence: &evidence, known: Known::default(), window: None };
        assert_held(&replay(&case, model, &machine(), &mut |_, _| ()));
        // A drawn seed cannot be told from a ground one without the host's proof.
        evidence.seed_proof = SeedProof::Unused;
        let case = Case { signed, evidence: &evidence, known: Known::default(), window: None };
        assert_mismatch(&replay(&case, model, &machine(), &mut |_, _| ()), Part::SeedProof);
    }
}
