#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

use std::num::NonZeroUsize;
use std::sync::OnceLock;

use api::JobSpec;
use arith::{Isa, Machine, Pool, WeightType};
use claim::{
    Address, Amount, ChannelId, Endpoint, Engine, Evidence, Finish, HostKey, KvType, Nonce, Origin, OutputChain, Price,
    PromptToken, RECEIPT_VERSION, Receipt, ReceiptId, SeedProof, StateChain, TokenCount, TokenId, UnixMillis,
    prompt_root, request_hash,
};
use model::{BatchLimits, Batcher, Event, Job, Model};
use serde_json::{Value, json};
use specimen::Specimen;

use crate::{Case, ClientRecord, Ending, Known, Verdict, replay, report};

fn machine() -> Machine {
    Machine::new(Isa::detect(), Pool::new(NonZeroUsize::MIN))
}

fn load(specimen: &Specimen) -> Model {
    Model::load(&specimen.to_gguf(), &machine(), &|_| ()).unwrap()
}

fn model() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| load(&Specimen::llama(WeightType::Q8_0)))
}

/// A receipt to be signed, and its evidence.
struct Answer {
    receipt: Receipt,
    evidence: Evidence,
}

impl Answer {
    /// The specimen's answer to `messages`.
    fn to(messages: &Value) -> Self {
        let bias: serde_json::Map<String, Value> =
            model().tokenizer().ends().iter().map(|token| (token.to_string(), json!(-100))).collect();
        let body =
            json!({"model": "model", "messages": messages, "max_tokens": 12, "temperature": 0, "logit_bias": bias});
        let body = body.to_string().into_bytes();
        let started = UnixMillis::new(1_760_000_000_000);
        let request = api::parse(Endpoint::Chat, &body).unwrap();
        let context = model().config().context_length;
        let jobs = request.jobs(model().tokenizer(), model().template().ok(), context, started);
        let job = jobs.unwrap().remove(0);
        let (output, states, text) = compute(&job);
        let price = Price::new(1_000_000, 2_000_000);
        let receipt = Receipt {
            version: RECEIPT_VERSION,
            model_root: model().root(),
            engine: Engine::new(KvType::F16),
            request_hash: request_hash(Endpoint::Chat, &body, Nonce::ZERO, None),
            choice: job.choice,
            prompt_root: prompt_root(&job.prompt),
            sampling: job.sampling.hash(),
            seed: claim::Seed::ZERO,
            seed_kind: claim::SeedKind::Unused,
            output_root: output.iter().copied().collect::<OutputChain>().root(),
            finish: Finish::Length,
            state_root: states.iter().copied().collect::<StateChain>().root(),
            previous: ReceiptId::ZERO,
            prefix_length: TokenCount::new(0),
            price,
            total: price.total_floor(TokenCount::new(job.prompt.len() as u32), TokenCount::new(12)),
            channel: ChannelId::ZERO,
            host: key().address(),
            client: Address::ZERO,
            started,
            finished: started,
        };
        let evidence = Evidence {
            endpoint: Endpoint::Chat,
            request: body,
            nonce: Nonce::ZERO,
            client: None,
            choice: job.choice,
            prompt: job.prompt,
            output,
            states,
            seed_proof: SeedProof::Unused,
            text,
        };
        Self { receipt, evidence }
    }

    fn report(&self, known: Known<'_>, model: &Model) -> (Verdict, Vec<String>) {
        let signed = key().sign(&self.receipt);
        let case = Case { signed: &signed, evidence: &self.evidence, known, window: None };
        let verdict = replay(&case, model, &machine(), &mut |_, _| ());
        let lines = report(&case, &verdict, model).lines().map(str::to_owned).collect();
        (verdict, lines)
    }
}

fn key() -> HostKey {
    HostKey::generate(&[7; 64])
}

fn compute(job: &JobSpec) -> (Vec<TokenId>, Vec<claim::StateHash>, String) {
    let limits = BatchLimits { active_max: 1, rows_max: 64, pages_max: 8, kv: KvType::F16 };
    let mut batcher = Batcher::new(model(), limits);
    let job = Job {
        prompt: job.prompt.iter().map(|token| token.token).collect(),
        sampling: job.sampling.clone(),
        seed: claim::Seed::ZERO,
        logprobs: None,
        prompt_logprobs: None,
    };
    batcher.submit(job);
    let (mut tokens, mut all_states, mut all_text) = (Vec::new(), Vec::new(), String::new());
    while !batcher.is_idle() {
        for event in batcher.step(&machine()) {
            match event {
                Event::Token { token, text, states, .. } => {
                    tokens.push(token);
                    all_states.extend(states);
                    all_text.push_str(&text);
                }
                Event::Finished { states, text, .. } => {
                    all_states.extend(states);
                    all_text.push_str(&text);
                }
                Event::Failed { error, .. } => panic!("{error}"),
                Event::Started { .. } | Event::PromptScored { .. } => {}
            }
        }
    }
    (tokens, all_states, all_text)
}

fn hello() -> Answer {
    Answer::to(&json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]))
}

/// The text behind a label that stands once in a report.
#[track_caller]
fn entry<'a>(lines: &'a [String], label: &str) -> &'a str {
    let mut found = lines.iter().filter_map(|line| {
        let text = line.strip_prefix(label)?;
        text.starts_with(' ').then(|| text.trim_start())
    });
    let text = found.next().unwrap_or_else(|| panic!("no {label} in {lines:#?}"));
    assert_eq!(found.next(), None);
    text
}

#[test]
fn a_held_answer_says_what_was_compared() {
    let answer = hello();
    let (_, lines) = answer.report(Known::default(), model());
    assert_eq!(lines[0], "Held: this model, prompt and sampling give this answer, bit for bit");
    let prompt = answer.evidence.prompt.len();
    assert_eq!(entry(&lines, "tokens"), format!("{prompt} of prompt, 12 of answer, ended by length"));
    assert_eq!(entry(&lines, "model"), model().root().to_string());
    assert_eq!(entry(&lines, "host"), key().address().to_string());
    assert_eq!(entry(&lines, "price"), format!("{} micro-dollars", prompt + 24));
    assert_eq!(entry(&lines, "compared"), format!("{0} of {0} hidden states, equal", prompt + 11));
    assert_eq!(entry(&lines, "  system"), "Be brief.");
    assert_eq!(entry(&lines, "  user"), "Hello");
    let templates: Vec<&String> = lines.iter().filter(|line| line.starts_with("  template")).collect();
    assert_eq!(templates.len(), 3, "before, between and behind the messages");
    assert!(templates[0].ends_with(r"<|im_start|>system\n"), "{templates:?}");
}

#[test]
fn a_prompt_and_states_that_were_left_out_are_those_of_the_request_and_the_model() {
    let mut answer = hello();
    let whole = answer.report(Known::default(), model());
    answer.evidence.prompt.clear();
    answer.evidence.states.clear();
    assert_eq!(answer.report(Known::default(), model()), whole);
    // Left out or not, a prompt that the host changed is found; only the place is not.
    answer.receipt.prompt_root = prompt_root(&[PromptToken::new(TokenId::new(1), Origin::User)]);
    let (verdict, lines) = answer.report(Known::default(), model());
    assert!(refutation(&verdict).starts_with("prompt: the request gives"), "{verdict:?}");
    assert_eq!(entry(&lines, "note"), "the prompt shown here is not what was signed");
}

#[test]
fn what_is_taken_on_trust_is_said() {
    let on_trust = |known| hello().report(known, model()).1.iter().filter(|line| line.starts_with("on trust")).count();
    assert_eq!(on_trust(Known::default()), 3);
    let answer = hello();
    let client = ClientRecord {
        request: answer.receipt.request_hash,
        choice: answer.receipt.choice,
        text: &answer.evidence.text,
        ending: Ending::Closed,
    };
    let known = Known {
        model_root: Some(model().root()),
        price: Some(answer.receipt.price),
        client: Some(client),
        ..Known::default()
    };
    assert_eq!(on_trust(known), 0);
}

#[test]
fn a_wrong_token_is_shown_between_its_neighbours() {
    let mut answer = hello();
    let true_token = answer.evidence.output[5];
    answer.evidence.output[5] = TokenId::new(u32::from(b'Z'));
    answer.receipt.output_root = answer.evidence.output.iter().copied().collect::<OutputChain>().root();
    let (verdict, lines) = answer.report(Known::default(), model());
    assert_eq!(lines[0], format!("Refuted: {}", refutation(&verdict)));
    let position = answer.evidence.prompt.len() + 5;
    assert_eq!(entry(&lines, "first at"), format!("position {position}, token 6 of the answer"));
    assert_eq!(entry(&lines, "found"), "\"Z\" (token 90)");
    assert!(entry(&lines, "expected").ends_with(&format!("(token {true_token})")), "{lines:#?}");
    entry(&lines, "before");
    entry(&lines, "after");
}

#[test]
fn a_wrong_prompt_token_is_shown_with_its_origin() {
    let mut answer = hello();
    let position = answer.evidence.prompt.iter().position(|token| token.token.get() == u32::from(b'H')).unwrap();
    answer.evidence.prompt[position].token = TokenId::new(u32::from(b'J'));
    answer.receipt.prompt_root = prompt_root(&answer.evidence.prompt);
    let (_, lines) = answer.report(Known::default(), model());
    assert_eq!(entry(&lines, "first at"), format!("position {position}, in the prompt"));
    assert_eq!(entry(&lines, "expected"), "\"H\" (token 72), user");
    assert_eq!(entry(&lines, "found"), "\"J\" (token 74), user");
    assert!(entry(&lines, "after").starts_with("\"ello<|im_end|>"), "{lines:#?}");
}

#[test]
fn a_refutation_without_a_position_says_what_it_means() {
    let mut answer = hello();
    answer.receipt.total = Amount::new(1);
    let (_, lines) = answer.report(Known::default(), model());
    assert_eq!(entry(&lines, "means"), "the receipt asks for other money than was agreed or used");
    assert!(!lines.iter().any(|line| line.starts_with("first at")));
}

#[test]
fn a_terminal_obeys_no_text() {
    let mut answer = hello();
    answer.evidence.text = "a\u{1b}[2Jb\u{202e}c\r\nd".to_owned();
    let (_, lines) = answer.report(Known::default(), model());
    assert!(lines.contains(&r"  a\u{1b}[2Jb\u{202e}c".to_owned()), "{lines:#?}");
    assert!(lines.contains(&"  d".to_owned()));
    assert!(lines.iter().all(|line| !line.contains(char::is_control)));
}

#[test]
fn a_long_message_is_shown_by_its_ends() {
    let text = format!("begin {} end", "x".repeat(400));
    let (_, lines) = Answer::to(&json!([{"role": "user", "content": text}])).report(Known::default(), model());
    let shown = entry(&lines, "  user");
    assert!(shown.starts_with("begin xx") && shown.ends_with("xx end"), "{shown}");
    assert!(shown.contains("[... 250 characters ...]"), "{shown}");
}

#[test]
fn tokens_are_not_read_by_another_model() {
    let other = load(&Specimen { seed: 2, ..Specimen::llama(WeightType::Q8_0) });
    let (verdict, lines) = hello().report(Known::default(), &other);
    assert!(matches!(verdict, Verdict::Cannot(_)));
    assert!(lines[0].starts_with("Cannot be checked: the model with root 0x"), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("Hello")));
}

#[test]
fn evidence_that_opens_nothing_is_marked() {
    let mut answer = hello();
    answer.evidence.output.pop();
    let (_, lines) = answer.report(Known::default(), model());
    assert_eq!(entry(&lines, "note"), "the output shown here is not what was signed");
}

fn refutation(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Refuted(refutation) => refutation.to_string(),
        other => panic!("{other:?}"),
    }
}
