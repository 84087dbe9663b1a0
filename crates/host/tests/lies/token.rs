//! Tokens and text that are not the model's.

use claim::{Sampling, TokenCount, TokenId};
use court::{Ending, Kind, Known, Part};

use crate::computing::Engine;
use crate::question::Question;
use crate::statement::{Statement, assert_held, assert_mismatch, assert_refuted, judge, tokens};
use crate::subject::{load, subject, with_half_of_the_layers};

/// An answer where the host puts another token at `index` and goes on from there.
fn swapped(index: usize) -> Statement {
    let truth = Statement::greedy();
    let other = truth.evidence.output.iter().copied().find(|token| *token != truth.evidence.output[index]).unwrap();
    let draft = Engine::new(&subject().model).answer_with(
        &tokens(&truth.job.prompt),
        &truth.job.sampling,
        truth.receipt.seed,
        |at, token| if at == index { other } else { token },
    );
    Statement::of(&truth.question, &truth.job, draft)
}

#[test]
fn one_token_swapped() {
    for index in [0, 4, 11] {
        let lie = swapped(index);
        assert_refuted(&lie.judge(), Kind::Token, Some(lie.prompt() + index));
    }
}

#[test]
fn one_token_swapped_inside_and_outside_of_a_window() {
    let lie = swapped(4);
    let judge = |window| judge(&lie.sign(), &lie.evidence, Known::default(), Some(window));
    assert_refuted(&judge((3, 6)), Kind::Token, Some(lie.prompt() + 4));
    // The states follow from the swapped token, so a window elsewhere has nothing to object to. It says what it covers.
    let court::Verdict::Held(extent) = judge((6, 9)) else { panic!("the window is true") };
    assert_eq!((extent.redrawn, extent.output), (TokenCount::new(3), TokenCount::new(12)));
}

#[test]
fn token_that_is_not_in_the_vocabulary() {
    for index in [0, 5, 11] {
        let mut lie = Statement::greedy();
        lie.evidence.output[index] = TokenId::new(u32::MAX);
        lie.bind();
        let position = Some(lie.prompt() + index);
        assert_refuted(&lie.judge(), Kind::Token, position);
        // Even where nobody looks for tokens.
        let window = if index == 5 { (8, 9) } else { (5, 6) };
        assert_refuted(&judge(&lie.sign(), &lie.evidence, Known::default(), Some(window)), Kind::Token, position);
    }
}

#[test]
fn text_edited_after_generation() {
    let truth = Statement::greedy();
    let edited = truth.evidence.text.replacen(' ', " never ", 2);
    assert_ne!(edited, truth.evidence.text);

    // The client knows what it was shown. The first token that leaves it is where the host began to edit.
    let Some(refutation) = (match truth.judge_as_client(&edited) {
        court::Verdict::Refuted(refutation) => Some(refutation),
        _ => None,
    }) else {
        panic!("the text was edited")
    };
    assert_eq!(refutation.kind, Kind::Token);
    let index = refutation.position.unwrap().get() as usize - truth.prompt();
    let text_of = |length| {
        let output = &truth.evidence.output[..length];
        model::generation::text_of(&*subject().model, &truth.job.sampling, output, claim::Finish::Prefix)
    };
    assert!(edited.starts_with(&text_of(index)) && !edited.starts_with(&text_of(index + 1)));

    // In the evidence the text is nobody's word, unless it is the host's.
    let mut lie = truth;
    lie.evidence.text = edited;
    assert_mismatch(&lie.judge(), Part::Text);
    assert_refuted(&lie.judge_from_host(), Kind::Token, None);
}

#[test]
fn text_cut_off_or_extended_after_generation() {
    let truth = Statement::greedy();
    let text = truth.evidence.text.clone();
    let cut: String = text.chars().take(text.chars().count() / 2).collect();
    assert!(matches!(truth.judge_as_client(&cut), court::Verdict::Refuted(_)));
    let longer = format!("{text} Buy Acme Cola.");
    let end = truth.prompt() + truth.evidence.output.len();
    assert_refuted(&truth.judge_as_client(&longer), Kind::Token, Some(end));
    // A client that broke off has seen a part, and that is no lie.
    let record = truth.record(&cut, Ending::BrokenOff);
    assert_held(&truth.judge_knowing(Known { client: Some(record), ..Known::default() }));
}

#[test]
fn cheap_model_first_and_the_true_states_later() {
    let model = &subject().model;
    let cheap = load(&with_half_of_the_layers(&subject().file));
    let question = Question::greedy();
    let truth = Statement::greedy();
    let prompt = tokens(&truth.job.prompt);
    let mut draft = Engine::new(&cheap).answer(&prompt, &truth.job.sampling, truth.receipt.seed);
    let consumed: Vec<TokenId> = prompt.iter().chain(&draft.output[..draft.output.len() - 1]).copied().collect();
    draft.states = Engine::new(model).states(&consumed);
    let lie = Statement::of(&question, &truth.job, draft);
    // The first token that the true model does not draw behind the tokens before it.
    let one = Sampling { max_tokens: TokenCount::new(1), ..truth.job.sampling.clone() };
    let index = (0..lie.evidence.output.len())
        .find(|&index| {
            let behind = &lie.consumed()[..lie.prompt() + index];
            Engine::new(model).answer(behind, &one, truth.receipt.seed).output[0] != lie.evidence.output[index]
        })
        .expect("the cheap model says something else");
    assert_refuted(&lie.judge(), Kind::Token, Some(lie.prompt() + index));
}
