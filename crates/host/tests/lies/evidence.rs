//! Evidence that somebody broke on the way: never a reason to accuse a host, never a shelter for one.

use claim::{Address, ChoiceIndex, Origin, SeedProof, StateHash, TokenId};
use court::{Kind, Known, Obstacle, Part, Source, Verdict, opens};

use crate::statement::{Statement, assert_mismatch, assert_refuted, host_key, judge, judge_by, other_key};
use crate::subject::{load, subject, with_tensor};

/// Every part of an honest host's evidence, broken.
fn broken() -> Vec<(Part, Statement)> {
    let drawn = |part, change: fn(&mut Statement)| {
        let mut statement = Statement::drawn();
        change(&mut statement);
        (part, statement)
    };
    vec![
        drawn(Part::Request, |broken| broken.evidence.request.push(b' ')),
        drawn(Part::Request, |broken| broken.evidence.nonce = claim::Nonce::ZERO),
        drawn(Part::Request, |broken| broken.evidence.client = Some(Address::new([1; 20]))),
        drawn(Part::Choice, |broken| broken.evidence.choice = ChoiceIndex::new(1)),
        drawn(Part::Prompt, |broken| broken.evidence.prompt[2].origin = Origin::Tool),
        drawn(Part::Prompt, |broken| broken.evidence.prompt.truncate(5)),
        drawn(Part::Output, |broken| broken.evidence.output[3] = TokenId::new(7)),
        drawn(Part::Output, |broken| broken.evidence.output.truncate(5)),
        drawn(Part::States, |broken| broken.evidence.states[3] = StateHash::ZERO),
        drawn(Part::States, |broken| broken.evidence.states.truncate(5)),
        drawn(Part::SeedProof, |broken| broken.evidence.seed_proof = SeedProof::Unused),
        drawn(Part::SeedProof, |broken| {
            broken.evidence.seed_proof =
                SeedProof::draw(&host_key(), broken.question.hash(), claim::Nonce::new(claim::Digest::new([1; 32])));
        }),
        drawn(Part::SeedProof, |broken| {
            broken.evidence.seed_proof = SeedProof::draw(&other_key(), broken.question.hash(), broken.question.nonce);
        }),
        drawn(Part::Text, |broken| broken.evidence.text.push('!')),
    ]
}

/// A client whose stream broke off has neither; both follow from the request and the tokens.
#[test]
fn prompt_and_states_may_be_left_out() {
    let mut bare = Statement::drawn();
    bare.evidence.prompt.clear();
    bare.evidence.states.clear();
    assert!(matches!(bare.judge(), court::Verdict::Held(_)), "{:?}", bare.judge());
    // At the door a host has to bring all of it.
    assert_eq!(opens(&bare.sign(), &bare.evidence), Err(Part::Prompt));
}

#[test]
fn broken_evidence_refutes_nobody() {
    for (part, statement) in broken() {
        assert_mismatch(&statement.judge(), part);
        // At the door it is seen as well, and there it is known who sent it.
        if part != Part::Text {
            assert_eq!(opens(&statement.sign(), &statement.evidence), Err(part));
        }
        assert_refuted(&statement.judge_from_host(), part.kind(), None);
    }
    let given = Statement::seeded();
    let mut broken = given.clone();
    broken.evidence.seed_proof = SeedProof::Given(6);
    assert_mismatch(&broken.judge(), Part::SeedProof);
    assert_eq!(opens(&given.sign(), &given.evidence), Ok(()));
}

#[test]
fn broken_evidence_shelters_no_lie() {
    for (part, mut statement) in broken() {
        // Without the request or the answer there is nothing to compare with.
        if matches!(part, Part::Request | Part::Output) {
            continue;
        }
        statement.receipt.total = claim::Amount::new(1);
        assert_refuted(&statement.judge(), Kind::Price, None);
    }
}

#[test]
fn another_model_file_refutes_nobody() {
    let other = load(&with_tensor(&subject().file, "output_norm.weight", |bytes| bytes[0] ^= 1));
    let truth = Statement::greedy();
    let verdict = judge_by(&other, &truth.sign(), &truth.evidence, Known::default(), None);
    assert_eq!(verdict, Verdict::Cannot(Obstacle::ModelNotAtHand { root: subject().model.root() }));
}

#[test]
fn window_outside_of_the_answer_refutes_nobody() {
    let truth = Statement::greedy();
    let output = truth.evidence.output.len();
    for (start, end) in [(0, 0), (3, 2), (0, output + 1), (output, output + 1), (usize::MAX, usize::MAX)] {
        let verdict = judge(&truth.sign(), &truth.evidence, Known::default(), Some((start, end)));
        assert_eq!(verdict, Verdict::Cannot(Obstacle::Window { start, end, output }));
    }
}

#[test]
fn another_answers_evidence_refutes_nobody() {
    let (truth, other) = (Statement::greedy(), Statement::drawn());
    for (signed, evidence) in [(truth.sign(), &other.evidence), (other.sign(), &truth.evidence)] {
        assert_mismatch(&judge(&signed, evidence, Known::default(), None), Part::Request);
        let known = Known { source: Source::Host, ..Known::default() };
        assert_refuted(&judge(&signed, evidence, known, None), Kind::Prompt, None);
    }
}
