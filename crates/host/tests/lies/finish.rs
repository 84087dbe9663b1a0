//! Answers that do not end where or why the receipt says.

use claim::{Finish, TokenId};
use court::{Ending, Kind, Known};
use serde_json::json;

use crate::computing::Engine;
use crate::question::{Question, SKY};
use crate::statement::{Statement, assert_held, assert_refuted, judge};
use crate::subject::subject;

/// Tokens after which the hosts of these tests stop too early.
const EARLY: usize = 7;

#[track_caller]
fn assert_too_early(finish: Finish) {
    let lie = Statement::greedy().cut(EARLY, finish);
    let position = Some(lie.prompt() + EARLY);
    assert_refuted(&lie.judge(), Kind::Finish, position);
    // A verifier that looks at a part of the answer reads all of its tokens.
    assert_refuted(&judge(&lie.sign(), &lie.evidence, Known::default(), Some((1, 3))), Kind::Finish, position);
}

#[test]
fn early_stop_signed_as_stop() {
    assert_too_early(Finish::Stop);
}

#[test]
fn early_stop_signed_as_length() {
    assert_too_early(Finish::Length);
}

#[test]
fn early_stop_signed_as_stop_string() {
    assert_too_early(Finish::StopString);
}

#[test]
fn early_stop_signed_as_context() {
    assert_too_early(Finish::Context);
}

#[test]
fn early_stop_signed_as_grammar() {
    assert_too_early(Finish::Grammar);
}

#[test]
fn early_stop_signed_as_cancelled_by_a_client_that_stayed() {
    let lie = Statement::greedy().cut(EARLY, Finish::Cancelled);
    let text = lie.evidence.text.clone();
    assert_refuted(&lie.judge_as_client(&text), Kind::Finish, Some(lie.prompt() + EARLY));
    // Had the client gone, it would be true, and nobody else can know.
    let record = lie.record(&text, Ending::BrokenOff);
    assert_held(&lie.judge_knowing(Known { client: Some(record), ..Known::default() }));
    assert_held(&lie.judge());
}

#[test]
fn prefix_signed_as_the_whole() {
    // A receipt from the middle of the stream closes it.
    let lie = Statement::greedy().cut(EARLY, Finish::Prefix);
    let text = lie.evidence.text.clone();
    assert_refuted(&lie.judge_as_client(&text), Kind::Finish, Some(lie.prompt() + EARLY));
    // To others it says no more than that the stream was open then.
    assert_held(&lie.judge());
}

#[test]
fn whole_signed_as_a_prefix() {
    let mut lie = Statement::greedy();
    lie.receipt.finish = Finish::Prefix;
    assert_refuted(&lie.judge(), Kind::Finish, Some(lie.prompt() + lie.evidence.output.len()));
}

#[test]
fn whole_signed_as_cancelled() {
    let mut lie = Statement::greedy();
    lie.receipt.finish = Finish::Cancelled;
    assert_refuted(&lie.judge(), Kind::Finish, Some(lie.prompt() + lie.evidence.output.len()));
}

#[test]
fn another_reason_than_the_true_one() {
    let mut lie = Statement::greedy();
    assert_eq!(lie.receipt.finish, Finish::Length);
    lie.receipt.finish = Finish::Stop;
    assert_refuted(&lie.judge(), Kind::Finish, Some(lie.prompt() + lie.evidence.output.len()));
}

/// The statement with tokens appended that the model would consume.
fn extended(mut statement: Statement, tokens: &[TokenId]) -> Statement {
    statement.evidence.output.extend(tokens);
    statement.evidence.states = Engine::new(&subject().model).states(&statement.consumed());
    statement.bind();
    statement
}

#[test]
fn tokens_appended_after_the_end_of_text() {
    let end = subject().model.tokenizer().ends()[0];
    let extra = json!({"temperature": 0, "logit_bias": {end.to_string(): 100}});
    let truth = Statement::honest(&Question::chat(SKY, &extra));
    assert_eq!((truth.receipt.finish, truth.evidence.output.as_slice()), (Finish::Stop, [end].as_slice()));
    let more = Statement::greedy().evidence.output[..4].to_vec();
    let lie = extended(truth, &more);
    assert_refuted(&lie.judge(), Kind::Finish, Some(lie.prompt() + 1));
}

#[test]
fn tokens_appended_after_the_last_one_allowed() {
    let truth = Statement::greedy();
    let (length, more) = (truth.evidence.output.len(), truth.evidence.output[..3].to_vec());
    let lie = extended(truth, &more);
    assert_refuted(&lie.judge(), Kind::Finish, Some(lie.prompt() + length));
}

#[test]
fn tokens_where_none_were_asked_for() {
    let body = json!({"model": "model", "prompt": SKY, "max_tokens": 0, "echo": true, "temperature": 0});
    let truth = Statement::honest(&Question::of(claim::Endpoint::Completions, &body));
    assert!(truth.evidence.output.is_empty());
    let lie = extended(truth, &[TokenId::new(40)]);
    assert_refuted(&lie.judge(), Kind::Finish, Some(lie.prompt()));
}

#[test]
fn tokens_appended_past_the_context() {
    let truth = Statement::greedy();
    let (length, more) = (truth.evidence.output.len(), vec![TokenId::new(40); subject().model.config().context_length]);
    let mut lie = truth;
    lie.evidence.output.extend(more);
    lie.bind();
    // It cannot even have computed them.
    let position = Some(lie.prompt() + length);
    assert_refuted(&lie.judge(), Kind::Finish, position);
    let verdict = judge(&lie.sign(), &lie.evidence, Known::default(), Some((0, lie.evidence.output.len())));
    assert_refuted(&verdict, Kind::Finish, position);
}
