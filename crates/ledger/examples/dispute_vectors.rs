#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program that writes a file of tests")]
//! Writes `contracts/test/court/judge-vectors.json`: steps of the workings of some answers, and what the judges, in Solidity and in
//! Rust, must say to them alike.
//!
//! `cargo run -p ledger --example dispute_vectors [-- --check]`
//!
//! `answers` says which answers the steps are of; `vectors` has one step each, as `Vector` encodes it.

use std::path::Path;

use alloy::hex;
use alloy::sol_types::SolValue as _;
use court::judge::{Party, Weights, open, rehearse, steps, working};
use court::trace::{Answer, EngineTrace, Part, Place, Trace as _};
use ledger::dispute;

#[path = "../tests/vectors/mod.rs"]
mod vectors;

use vectors::{Asked, PATH, Vector, asked, outcomes, trace};

/// The vectors whose steps are in the file: those of the last layer and around the layers; of a llama, only what hangs on the type of
/// its weights.
fn places(asked: &Asked, trace: &EngineTrace<'_>) -> Vec<Place> {
    let last = trace.statement().shape.layers - 1;
    let is_whole = asked.specimen.architecture != "llama";
    let is_in = |place: &&Place| match place.part {
        Part::Token | Part::Embedding => is_whole || place.part == Part::Embedding,
        part => place.layer >= last && (is_whole || part == Part::Down),
    };
    trace.statement().layout().places().iter().filter(is_in).copied().collect()
}

/// The steps of a word of the vector at `place`.
fn of_place(
    index: u32,
    place: Place,
    trace: &mut EngineTrace<'_>,
    weights: &Weights<'_>,
    answer: &Answer,
) -> Vec<String> {
    let statement = trace.statement().clone();
    let position = u64::from(statement.positions()) - 1;
    let address = (position << statement.layout().bits()) + u64::from(place.start + place.length - 1);
    let word = trace.words(address, 1).unwrap()[0];
    let mut party = Party { trace, weights, prompt: &answer.prompt };
    let words = working(&mut party, &statement, address, word).unwrap();
    let (docket, children) = rehearse(trace, &statement, (address, word), &words).unwrap();
    let mut party = Party { trace, weights, prompt: &answer.prompt };
    let steps = steps(&mut party, &docket, &words).unwrap();
    // One from each end and one between them; behind the last one there is none.
    let mut picked = vec![0, steps / 2, steps - 1];
    if steps > 1 {
        picked.push(steps);
    }
    picked.sort_unstable();
    picked.dedup();
    let vector = |step| {
        let opened = open(&mut party, &docket, &children, &words, step).unwrap();
        let call = dispute::judge_call(&docket, step, &opened.data, &opened.path);
        let of_judge = call.docket;
        let vector = Vector {
            name: format!("{:?} of answer {index}, step {step} of {steps}", place.part),
            answer: index,
            docket: (
                of_judge.context,
                of_judge.wordAddress,
                of_judge.word,
                of_judge.nodes,
                of_judge.workingRoot,
                of_judge.workingLength,
            ),
            context: call.context,
            step,
            data: call.data,
            path: call.path,
            outcomes: outcomes(&docket, step, &opened.data, &opened.path).into(),
        };
        format!("    \"{}\"", hex::encode_prefixed(vector.abi_encode()))
    };
    picked.into_iter().map(vector).collect()
}

fn main() {
    let all = asked();
    let (mut answers, mut steps) = (Vec::new(), Vec::new());
    for (index, asked) in (0..).zip(&all) {
        let specimen = &asked.specimen;
        answers.push(format!(
            "    \"{}, {:?}, temperature {}\"",
            specimen.architecture, specimen.weights, asked.temperature
        ));
        trace(asked, |trace, weights, answer| {
            for place in places(asked, trace) {
                steps.extend(of_place(index, place, trace, weights, answer));
            }
        });
    }
    let text = format!(
        "{{\n  \"answers\": [\n{}\n  ],\n  \"vectors\": [\n{}\n  ]\n}}\n",
        answers.join(",\n"),
        steps.join(",\n")
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PATH);
    if std::env::args().any(|argument| argument == "--check") {
        assert!(std::fs::read_to_string(&path).unwrap() == text, "the committed vectors are not what the judge makes");
    } else {
        std::fs::write(&path, &text).unwrap();
    }
    println!("{} steps, {} bytes", steps.len(), text.len());
}
