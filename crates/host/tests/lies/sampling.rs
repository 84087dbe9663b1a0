//! Tokens that were not chosen as the request asks.

use claim::{ChoiceIndex, Grammar, Position, Sampling, Seed, SeedProof};
use court::{Kind, Known};
use serde_json::{Value, json};

use crate::computing::{Engine, first_difference};
use crate::question::{Question, SKY, endless};
use crate::statement::{Statement, assert_refuted, bent, host_key, judge, seed, tokens};
use crate::subject::{machine, subject};

/// Questions with these parameters, one for each seed.
fn asking(extra: Value) -> impl Fn(u64) -> Question {
    move |seed| {
        let mut extra = extra.clone();
        let defaults = json!({"temperature": 1.0, "seed": seed, "max_tokens": 16});
        for (name, value) in defaults.as_object().unwrap() {
            extra.as_object_mut().unwrap().entry(name).or_insert(value.clone());
        }
        Question::chat(SKY, &endless(&subject().model, &extra))
    }
}

/// Draws by other parameters than it signs; the first token that comes out otherwise is found.
#[track_caller]
fn assert_found(extra: Value, bend: impl Fn(&mut Sampling)) {
    let (lie, index) = bent(asking(extra), bend);
    assert_refuted(&lie.judge(), Kind::Token, Some(lie.prompt() + index));
}

#[test]
fn temperature_changed_and_signed() {
    let mut lie = Statement::seeded();
    let sampling = Sampling { temperature: 0.7, ..lie.job.sampling.clone() };
    let prompt = tokens(&lie.job.prompt);
    let draft = Engine::new(&subject().model).answer(&prompt, &sampling, lie.receipt.seed);
    (lie.evidence.output, lie.evidence.states, lie.evidence.text) = (draft.output, draft.states, draft.text);
    lie.bind();
    lie.receipt.sampling = sampling.hash();
    assert_refuted(&lie.judge(), Kind::Sampling, None);
}

#[test]
fn temperature_changed() {
    assert_found(json!({"temperature": 1.0}), |sampling| sampling.temperature = 0.7);
}

#[test]
fn greedy_though_a_temperature_was_asked_for() {
    assert_found(json!({"temperature": 1.0}), |sampling| sampling.temperature = 0.0);
}

/// The smallest change there is. It moves the odds by about a ten millionth, and there are many tokens to fall between,
/// so some seed in a few ten thousand gives another token.
#[test]
fn temperature_changed_by_one_unit_in_the_last_place() {
    let model = &subject().model;
    let question = |seed: u64| {
        let extra = json!({"model": "model", "prompt": "The", "temperature": 2, "seed": seed, "max_tokens": 4});
        Question::of(claim::Endpoint::Completions, &extra)
    };
    let job = question(0).jobs(model).swap_remove(0);
    let moved = Sampling { temperature: job.sampling.temperature.next_down(), ..job.sampling.clone() };
    let prompt = tokens(&job.prompt);
    let logits = &Engine::new(model).logits(&prompt)[..model.tokenizer().vocab_size()];
    let (asked, changed) = (odds(logits, job.sampling.temperature), odds(logits, moved.temperature));
    let number = (0..2_000_000)
        .find(|&number| {
            let seed = given(number, job.choice);
            let draw = seed.draw_bits(Position::new(prompt.len() as u32));
            picked(&asked, draw) != picked(&changed, draw)
        })
        .expect("some seed falls between");

    let question = question(number);
    let truth = Statement::honest(&question);
    let draft = Engine::new(model).answer(&prompt, &moved, seed(&question, &truth.job));
    assert_ne!(truth.evidence.output[0], draft.output[0]);
    let lie = Statement::of(&question, &truth.job, draft);
    assert_refuted(&lie.judge(), Kind::Token, Some(lie.prompt()));
}

/// The seed of a client that gives this number.
fn given(number: u64, choice: ChoiceIndex) -> Seed {
    let proof = SeedProof::Given(number);
    proof.seed(&host_key().public(), claim::RequestHash::ZERO, claim::Nonce::ZERO, choice).unwrap()
}

/// Tokens by falling weight, each with the sum of the weights down to it.
fn odds(logits: &[f32], temperature: f32) -> Vec<(u128, usize)> {
    let mut weights = vec![0; logits.len()];
    machine().sample_weights(logits, temperature, &mut weights).unwrap();
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by_key(|&token| std::cmp::Reverse(weights[token]));
    let mut sum = 0;
    order
        .into_iter()
        .map(|token| {
            sum += u128::from(weights[token]);
            (sum, token)
        })
        .collect()
}

/// The token that a draw falls on.
fn picked(odds: &[(u128, usize)], draw: u64) -> usize {
    let (total, _) = odds[odds.len() - 1];
    let point = (u128::from(draw) * total) >> 64;
    odds[odds.partition_point(|(sum, _)| *sum <= point)].1
}

#[test]
fn top_k_ignored() {
    assert_found(json!({"top_k": 2, "temperature": 1.8}), |sampling| sampling.top_k = 0);
}

#[test]
fn top_p_ignored() {
    assert_found(json!({"top_p": 0.3, "temperature": 1.8}), |sampling| sampling.top_p = 1.0);
}

#[test]
fn min_p_ignored() {
    assert_found(json!({"min_p": 0.5, "temperature": 1.8}), |sampling| sampling.min_p = 0.0);
}

#[test]
fn logit_bias_ignored() {
    let prompt = tokens(&Question::greedy().jobs(&subject().model)[0].prompt);
    let likeliest = arith::portable::argmax(&Engine::new(&subject().model).logits(&prompt)).unwrap();
    let extra = json!({"temperature": 0, "logit_bias": {likeliest.to_string(): -100}});
    let (lie, index) = bent(|_| Question::chat(SKY, &extra), |sampling| sampling.logit_bias.clear());
    assert_eq!(index, 0);
    assert_refuted(&lie.judge(), Kind::Token, Some(lie.prompt()));
}

#[test]
fn repetition_penalty_ignored() {
    let extra = json!({"repetition_penalty": 1.8, "temperature": 0, "max_tokens": 40});
    assert_found(extra, |sampling| sampling.repetition_penalty = 1.0);
}

#[test]
fn frequency_penalty_ignored() {
    assert_found(json!({"frequency_penalty": 2.0, "max_tokens": 40}), |sampling| sampling.frequency_penalty = 0.0);
}

#[test]
fn presence_penalty_ignored() {
    assert_found(json!({"presence_penalty": 2.0, "max_tokens": 40}), |sampling| sampling.presence_penalty = 0.0);
}

fn as_json() -> Value {
    json!({"type": "json_schema", "json_schema": {"name": "colour", "schema": {
        "type": "object", "properties": {"colour": {"type": "string"}}, "required": ["colour"],
        "additionalProperties": false}}})
}

#[test]
fn grammar_ignored() {
    let extra = json!({"response_format": as_json(), "temperature": 0, "max_tokens": 24});
    let (lie, index) = bent(|_| Question::chat(SKY, &extra), |sampling| sampling.grammar = Grammar::Free);
    let position = Some(lie.prompt() + index);
    assert_refuted(&lie.judge(), Kind::Token, position);
    // A verifier that draws the last token only still reads the others.
    let length = lie.evidence.output.len();
    let verdict = judge(&lie.sign(), &lie.evidence, Known::default(), Some((length - 1, length)));
    assert_refuted(&verdict, Kind::Token, position);
}

#[test]
fn grammar_that_cannot_be_used_ignored() {
    // An honest host refuses a schema that it cannot follow. This one lets it go.
    let schema =
        json!({"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "string", "pattern": "("}}});
    let question = Question::chat(SKY, &json!({"response_format": schema, "temperature": 0}));
    let job = question.jobs(&subject().model).swap_remove(0);
    let free = Sampling { grammar: Grammar::Free, ..job.sampling.clone() };
    let draft = Engine::new(&subject().model).answer(&tokens(&job.prompt), &free, seed(&question, &job));
    assert_refuted(&Statement::of(&question, &job, draft).judge(), Kind::Sampling, None);
}

#[test]
fn stop_string_ignored() {
    let longer = Statement::greedy();
    let words: Vec<&str> = longer.evidence.text.split(' ').collect();
    let stop = words[words.len() / 2];
    let bias = endless(&subject().model, &json!({"temperature": 0, "stop": [stop]}));
    let question = Question::chat(SKY, &bias);
    let stopped = Statement::honest(&question);
    assert_eq!(stopped.receipt.finish, claim::Finish::StopString);
    let deaf = Sampling { stop: Vec::new(), ..stopped.job.sampling.clone() };
    let draft = Engine::new(&subject().model).answer(&tokens(&stopped.job.prompt), &deaf, stopped.receipt.seed);
    let lie = Statement::of(&question, &stopped.job, draft);
    let length = first_difference(&stopped.evidence.output, &lie.evidence.output);
    assert_eq!(length, stopped.evidence.output.len());
    assert_refuted(&lie.judge(), Kind::Finish, Some(lie.prompt() + length));
}

#[test]
fn more_tokens_than_allowed() {
    let asked = Question::chat(SKY, &endless(&subject().model, &json!({"temperature": 0, "max_tokens": 5})));
    let job = asked.jobs(&subject().model).swap_remove(0);
    let draft = Engine::new(&subject().model).answer(
        &tokens(&job.prompt),
        &Sampling { max_tokens: claim::TokenCount::new(9), ..job.sampling.clone() },
        seed(&asked, &job),
    );
    let lie = Statement::of(&asked, &job, draft);
    assert_refuted(&lie.judge(), Kind::Finish, Some(lie.prompt() + 5));
}
