//! Hidden states that the model does not have.

use claim::{StateHash, StateRoot};
use court::{Kind, Known, Part};
use serde_json::json;

use crate::computing::first_difference;
use crate::question::{Question, endless};
use crate::statement::{Statement, assert_held, assert_mismatch, assert_refuted, judge};
use crate::subject::subject;

#[test]
fn states_of_another_answer() {
    let mut lie = Statement::greedy();
    let extra = endless(&subject().model, &json!({"temperature": 0, "max_tokens": 40}));
    let other = Statement::honest(&Question::chat("Why is the sea salty?", &extra));
    let truth = lie.evidence.states.clone();
    lie.evidence.states = other.evidence.states[..truth.len()].to_vec();
    lie.bind();
    let position = first_difference(&truth, &lie.evidence.states);
    assert!(position > 0, "both prompts begin alike");
    assert_refuted(&lie.judge(), Kind::State, Some(position));
}

/// An answer with one state edited, in the receipt and in the evidence.
fn edited(position: usize) -> Statement {
    let mut lie = Statement::greedy();
    let mut bytes = lie.evidence.states[position].get().get();
    bytes[0] ^= 1;
    lie.evidence.states[position] = StateHash::new(claim::Digest::new(bytes));
    lie.bind();
    lie
}

#[test]
fn one_state_edited() {
    let length = Statement::greedy().evidence.states.len();
    for position in [0, length / 2, length - 1] {
        assert_refuted(&edited(position).judge(), Kind::State, Some(position));
    }
}

#[test]
fn one_state_edited_before_the_window() {
    let lie = edited(3);
    let verdict = judge(&lie.sign(), &lie.evidence, Known::default(), Some((8, 9)));
    assert_refuted(&verdict, Kind::State, Some(3));
}

#[test]
fn states_that_the_evidence_does_not_show() {
    // Signed with an edited state; the evidence shows the true ones, others, or none.
    let (truth, mut lie) = (Statement::greedy(), edited(5));
    for states in [truth.evidence.states, vec![StateHash::ZERO; 3], Vec::new()] {
        lie.evidence.states = states;
        assert_refuted(&lie.judge(), Kind::State, None);
        // A part of the answer has no chain to compare. What the evidence shows is then in the way.
        let verdict = judge(&lie.sign(), &lie.evidence, Known::default(), Some((2, 3)));
        assert_mismatch(&verdict, Part::States);
    }
}

#[test]
fn more_or_fewer_states_than_tokens() {
    let truth = Statement::greedy();
    let length = truth.evidence.states.len();
    let (mut more, mut fewer) = (truth.clone(), truth);
    more.evidence.states.push(StateHash::ZERO);
    fewer.evidence.states.pop();
    for (mut lie, position) in [(more, length), (fewer, length - 1)] {
        lie.bind();
        assert_refuted(&lie.judge(), Kind::State, Some(position));
        let verdict = judge(&lie.sign(), &lie.evidence, Known::default(), Some((2, 3)));
        assert_refuted(&verdict, Kind::State, Some(position));
    }
}

#[test]
fn no_states_signed_at_all() {
    let mut lie = Statement::greedy();
    lie.receipt.state_root = StateRoot::ZERO;
    assert_refuted(&lie.judge(), Kind::State, None);
}

#[test]
fn states_left_out_of_the_evidence_are_computed() {
    let mut truth = Statement::greedy();
    truth.evidence.states = Vec::new();
    assert_held(&truth.judge());
}
