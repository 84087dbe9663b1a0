//! Another model than the one that was asked for.

use claim::{KvType, SamplingHash};
use court::{Kind, Known, Obstacle, Verdict};
use model::Model;
use serde_json::json;

use crate::computing::{Engine, first_difference};
use crate::question::{Question, SKY, endless};
use crate::statement::{Statement, assert_refuted, host_key, judge_by, seed, tokens};
use crate::subject::{Subject, load, small, squeezed, subject, with_half_of_the_layers, with_tensor};

/// An answer computed by `engine` under the root of the model that was asked for.
fn told_by(engine: Engine<'_>, question: &Question) -> Statement {
    let job = question.jobs(&subject().model).swap_remove(0);
    let draft = engine.answer(&tokens(&job.prompt), &job.sampling, seed(question, &job));
    Statement::of(question, &job, draft)
}

/// The first position where the model that was asked for has another state.
fn first_false_state(statement: &Statement, model: &Model) -> usize {
    let truth = Engine::new(model).states(&statement.consumed());
    first_difference(&truth, &statement.evidence.states)
}

#[test]
fn another_model() {
    let cheap = load(&with_half_of_the_layers(&subject().file));
    let lie = told_by(Engine::new(&cheap), &Question::greedy());
    assert_refuted(&lie.judge(), Kind::State, Some(first_false_state(&lie, &subject().model)));
}

#[test]
fn another_model_under_its_own_root() {
    let cheap = load(&with_tensor(&subject().file, "output_norm.weight", |bytes| bytes[0] ^= 1));
    let mut lie = told_by(Engine::new(&cheap), &Question::greedy());
    lie.receipt.model_root = cheap.root();
    let known = Known { model_root: Some(subject().model.root()), ..Known::default() };
    assert_refuted(&lie.judge_knowing(known), Kind::Model, None);
    // Whoever does not know what the name stands for, and has only the true model, cannot say.
    assert_eq!(lie.judge(), Verdict::Cannot(Obstacle::ModelNotAtHand { root: cheap.root() }));
}

#[test]
fn another_model_than_the_root_in_the_request() {
    let cheap = load(&with_tensor(&subject().file, "output_norm.weight", |bytes| bytes[0] ^= 1));
    let extra = json!({"model": subject().model.root().to_string(), "temperature": 0});
    let mut lie = told_by(Engine::new(&cheap), &Question::chat(SKY, &extra));
    lie.receipt.model_root = cheap.root();
    assert_refuted(&judge_by(&cheap, &lie.sign(), &lie.evidence, Known::default(), None), Kind::Model, None);
}

#[test]
fn one_flipped_weight() {
    // The top bit of one quant: one weight of a hundred million moves by half its block's range.
    let other = load(&with_tensor(&subject().file, "blk.0.ffn_up.weight", |bytes| bytes[10] ^= 0x80));
    assert_ne!(other.root(), subject().model.root());
    let lie = told_by(Engine::new(&other), &Question::greedy());
    assert_refuted(&lie.judge(), Kind::State, Some(first_false_state(&lie, &subject().model)));
}

#[test]
fn one_edited_norm_weight() {
    let other = load(&with_tensor(&subject().file, "blk.1.attn_norm.weight", |bytes| {
        let gain = f32::from_le_bytes(bytes[..4].try_into().unwrap());
        bytes[..4].copy_from_slice(&(gain * 1.25).to_le_bytes());
    }));
    let lie = told_by(Engine::new(&other), &Question::greedy());
    assert_refuted(&lie.judge(), Kind::State, Some(first_false_state(&lie, &subject().model)));
}

#[test]
fn four_bits_sold_as_eight() {
    let Subject { file, model, .. } = small();
    let cheap = load(&squeezed(file));
    let body = json!({"model": model.root().to_string(), "temperature": 0});
    let question = Question::chat(SKY, &endless(model, &body));
    let job = question.jobs(model).swap_remove(0);
    let draft = Engine::new(&cheap).answer(&tokens(&job.prompt), &job.sampling, seed(&question, &job));
    let mut lie = Statement::of(&question, &job, draft);

    // Under the root that was asked for, the numbers give it away.
    lie.receipt.model_root = model.root();
    let judge = |lie: &Statement, model: &Model| judge_by(model, &lie.sign(), &lie.evidence, Known::default(), None);
    assert_refuted(&judge(&lie, model), Kind::State, Some(first_false_state(&lie, model)));

    // Under its own root, the root does.
    lie.receipt.model_root = cheap.root();
    assert_refuted(&judge(&lie, &cheap), Kind::Model, None);
}

#[test]
fn wide_cache_signed_as_narrow() {
    let lie = told_by(Engine { model: &subject().model, kv: KvType::F32 }, &Question::greedy());
    assert_refuted(&lie.judge(), Kind::State, Some(first_false_state(&lie, &subject().model)));
}

#[test]
fn narrow_cache_signed_as_wide() {
    let mut lie = told_by(Engine::new(&subject().model), &Question::greedy());
    lie.receipt.engine.kv = KvType::F32;
    let wide = Engine { model: &subject().model, kv: KvType::F32 };
    let position = first_difference(&wide.states(&lie.consumed()), &lie.evidence.states);
    assert_refuted(&lie.judge(), Kind::State, Some(position));
}

#[test]
fn another_arithmetic_is_not_judged() {
    let mut other = Statement::greedy();
    other.receipt.engine.arithmetic = 2;
    assert_eq!(other.judge(), Verdict::Cannot(Obstacle::EngineUnknown { found: 2, known: 1 }));
}

#[test]
fn another_receipt_version_is_not_judged() {
    let mut other = Statement::greedy();
    other.receipt.version = 2;
    // Its fields may mean anything here, so nothing that looks wrong counts.
    other.receipt.sampling = SamplingHash::ZERO;
    let unsigned = claim::SignedReceipt::new(other.receipt, host_key().sign(&Statement::greedy().receipt).signature);
    let verdict = judge_by(&subject().model, &unsigned, &other.evidence, Known::default(), None);
    assert_eq!(verdict, Verdict::Cannot(Obstacle::VersionUnknown { found: 2, known: 1 }));
}
