//! Seeds that are not the agreed draw.

use claim::{Nonce, Seed, SeedKind, SeedProof};
use court::{Kind, Known, Part};

use crate::computing::Engine;
use crate::statement::{Statement, assert_mismatch, assert_refuted, host_key, judge, other_key, seed_from, tokens};
use crate::subject::subject;

/// The statement with its tokens drawn by another seed.
fn drawn_by(mut statement: Statement, seed: Seed) -> Statement {
    let (prompt, sampling) = (tokens(&statement.job.prompt), statement.job.sampling.clone());
    let draft = Engine::new(&subject().model).answer(&prompt, &sampling, seed);
    let evidence = &mut statement.evidence;
    (evidence.output, evidence.states, evidence.text) = (draft.output, draft.states, draft.text);
    statement.bind();
    statement
}

fn nonce(byte: u8) -> Nonce {
    Nonce::new(claim::Digest::new([byte; 32]))
}

/// A seed that the host likes better: it tries some until the answer begins otherwise.
fn ground(statement: &Statement) -> Statement {
    (1..=64)
        .map(|byte| {
            let seed = Seed::new(claim::Digest::new([byte; 32]));
            let mut lie = drawn_by(statement.clone(), seed);
            lie.receipt.seed = seed;
            lie
        })
        .find(|lie| lie.evidence.output[0] != statement.evidence.output[0])
        .expect("some seed begins otherwise")
}

#[test]
fn seed_ground_by_the_host() {
    let lie = ground(&Statement::drawn());
    assert_refuted(&lie.judge(), Kind::Sampling, None);
}

#[test]
fn seed_ground_by_the_host_and_not_signed() {
    // The true seed in the receipt, the tokens by another.
    let truth = Statement::drawn();
    let mut lie = ground(&truth);
    lie.receipt.seed = truth.receipt.seed;
    assert_refuted(&lie.judge(), Kind::Token, Some(lie.prompt()));
}

#[test]
fn seed_of_the_client_replaced() {
    let truth = Statement::seeded();
    let proof = SeedProof::Given(6);
    let seed = seed_from(&proof, &host_key(), truth.question.hash(), truth.question.nonce, truth.job.choice);
    let mut lie = drawn_by(truth, seed);
    lie.receipt.seed = seed;
    lie.evidence.seed_proof = proof;
    assert_refuted(&lie.judge(), Kind::Sampling, None);
    // What the evidence says about the client's seed changes nothing: the request says it.
    lie.evidence.seed_proof = SeedProof::Given(5);
    assert_refuted(&lie.judge(), Kind::Sampling, None);
}

#[test]
fn seed_of_the_client_replaced_by_a_draw() {
    let truth = Statement::seeded();
    let proof = SeedProof::draw(&host_key(), truth.question.hash(), truth.question.nonce);
    let seed = seed_from(&proof, &host_key(), truth.question.hash(), truth.question.nonce, truth.job.choice);
    let mut lie = drawn_by(truth, seed);
    (lie.receipt.seed, lie.receipt.seed_kind, lie.evidence.seed_proof) = (seed, SeedKind::Drawn, proof);
    assert_refuted(&lie.judge(), Kind::Sampling, None);
}

#[test]
fn draw_replaced_by_a_seed_of_the_host() {
    let truth = Statement::drawn();
    let proof = SeedProof::Given(77);
    let seed = seed_from(&proof, &host_key(), truth.question.hash(), truth.question.nonce, truth.job.choice);
    let mut lie = drawn_by(truth, seed);
    (lie.receipt.seed, lie.receipt.seed_kind, lie.evidence.seed_proof) = (seed, SeedKind::Given, proof);
    assert_refuted(&lie.judge(), Kind::Sampling, None);
}

/// A seed from a proof that is good for something else.
fn proven_elsewhere(proof: SeedProof, key: &claim::HostKey, nonce: Nonce) -> Statement {
    let truth = Statement::drawn();
    let seed = seed_from(&proof, key, truth.question.hash(), nonce, truth.job.choice);
    let mut lie = drawn_by(truth, seed);
    (lie.receipt.seed, lie.evidence.seed_proof) = (seed, proof);
    lie
}

/// Nobody signed the proof itself, and anybody can spoil an honest one. So whoever has it from the host refutes, and
/// others ask the host for a proof that holds, which it does not have.
#[track_caller]
fn assert_proof_refused(lie: &Statement) {
    assert_refuted(&lie.judge_from_host(), Kind::Sampling, None);
    assert_mismatch(&lie.judge(), Part::SeedProof);
}

#[test]
fn proof_of_another_key() {
    let question = Statement::drawn().question;
    let proof = SeedProof::draw(&other_key(), question.hash(), question.nonce);
    assert_proof_refused(&proven_elsewhere(proof, &other_key(), question.nonce));
}

#[test]
fn proof_for_another_nonce() {
    let question = Statement::drawn().question;
    let proof = SeedProof::draw(&host_key(), question.hash(), nonce(99));
    assert_proof_refused(&proven_elsewhere(proof, &host_key(), nonce(99)));
}

#[test]
fn broken_proof_does_not_shelter_another_lie() {
    let mut lie = Statement::drawn();
    lie.evidence.seed_proof = SeedProof::draw(&other_key(), lie.question.hash(), lie.question.nonce);
    let index = lie.evidence.output.len() - 1;
    let other = if lie.evidence.output[index].get() == 50 { 51 } else { 50 };
    lie.evidence.output[index] = claim::TokenId::new(other);
    lie.bind();
    let verdict = judge(&lie.sign(), &lie.evidence, Known::default(), None);
    assert_refuted(&verdict, Kind::Token, Some(lie.prompt() + index));
}
