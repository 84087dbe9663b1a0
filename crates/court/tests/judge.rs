//! Every word of the trace of a small model: its working, step by step, before the judge.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::num::NonZeroUsize;

use arith::{Isa, Machine, Pool, WeightType};
use claim::{Digest, Grammar, KvType, Origin, PromptToken, Sampling, Seed, TokenCount, TokenId};
use court::judge::{
    Docket, OpeningError, Party, Ruling, Weights, accuse, judge, open, rehearse, steps, working, working_height,
};
use court::trace::{Answer, EngineTrace, Part, Trace as _, tree};
use model::Model;
use specimen::Specimen;

fn machine() -> Machine {
    Machine::new(Isa::detect(), Pool::new(NonZeroUsize::new(2).unwrap()))
}

fn answer(model: &Model, temperature: f32, prompt: usize, output: usize) -> Answer {
    let vocabulary = model.config().vocabulary as u32;
    let prompt = (0..prompt as u32).map(|i| PromptToken::new(TokenId::new((7 + i * 31) % vocabulary), Origin::User));
    let sampling = Sampling {
        temperature,
        top_k: 0,
        top_p: 1.0,
        min_p: 0.0,
        repetition_penalty: 1.0,
        frequency_penalty: 0.0,
        presence_penalty: 0.0,
        logit_bias: Vec::new(),
        grammar: Grammar::Free,
        stop: Vec::new(),
        max_tokens: TokenCount::new(100),
    };
    let seed = Seed::new(Digest::sha256(b"seed"));
    Answer { prompt: prompt.collect(), output: vec![TokenId::new(1); output], sampling, seed, kv: KvType::F16 }
}

/// Checks the words `picked` of every vector of `positions`; returns how many steps were judged.
fn check(specimen: &Specimen, temperature: f32, positions: &[u32]) -> usize {
    let (file, machine) = (specimen.to_gguf(), machine());
    let model = Model::load(&file, &machine, &|_| ()).unwrap();
    let weights = Weights::new(&file, &model).unwrap();
    let answer = answer(&model, temperature, 21, 4);
    let mut trace = EngineTrace::new(&model, &machine, &answer, &mut |_, _| ()).unwrap();
    let statement = trace.statement().clone();
    let mut judged = 0;
    for &position in positions {
        for place in statement.layout().places() {
            for index in [0, place.length / 2, place.length - 1] {
                let address = (u64::from(position) << statement.layout().bits()) + u64::from(place.start + index);
                let word = trace.words(address, 1).unwrap()[0];
                let name = format!("{specimen:?}, position {position}, {:?} {index}", place.part);
                judged += check_word(&mut trace, &weights, &answer, address, word, &name);
            }
        }
    }
    judged
}

fn check_word(
    trace: &mut EngineTrace<'_>,
    weights: &Weights<'_>,
    answer: &Answer,
    address: u64,
    word: u32,
    name: &str,
) -> usize {
    let statement = trace.statement().clone();
    let mut party = Party { trace, weights, prompt: &answer.prompt };
    let words = working(&mut party, &statement, address, word).unwrap();
    let (docket, children) = rehearse(trace, &statement, (address, word), &words).unwrap();
    let mut party = Party { trace, weights, prompt: &answer.prompt };
    assert!(accuse(&mut party, &docket, &children, &words).is_err(), "{name}: nothing is wrong");
    let judged = steps(&mut party, &docket, &words).unwrap();
    for step in 0..judged {
        let accusation = open(&mut party, &docket, &children, &words, step).unwrap();
        let ruling = judge(&docket, step, &accusation.data, &accusation.path);
        assert_eq!(ruling, Ok(Ruling::AccuserLies), "{name}, step {step}");
    }
    let accusation = open(&mut party, &docket, &children, &words, judged).unwrap();
    let ruling = judge(&docket, judged, &accusation.data, &accusation.path);
    assert_eq!(ruling, Err(OpeningError::NoSuchStep { step: judged }), "{name}");
    // A wrong word, and a wrong word of the working, are found.
    let lie = Docket { word: word ^ 1, ..docket.clone() };
    let accusation = accuse(&mut party, &lie, &children, &words).unwrap();
    assert_eq!(judge(&lie, accusation.step, &accusation.data, &accusation.path), Ok(Ruling::WorkerLies), "{name}");
    if let Some(middle) = words.len().checked_div(2).filter(|_| !words.is_empty()) {
        let mut wrong = words.clone();
        wrong[middle] ^= 1 << 5;
        let working_root = tree::node_of(&wrong, working_height(wrong.len() as u32));
        let lie = Docket { working_root, ..docket };
        if let Ok(accusation) = accuse(&mut party, &lie, &children, &wrong) {
            let ruling = judge(&lie, accusation.step, &accusation.data, &accusation.path);
            assert_eq!(ruling, Ok(Ruling::WorkerLies), "{name}: word {middle} of the working");
        }
    }
    judged as usize
}

#[test]
fn every_weight_type_is_judged() {
    use WeightType::{BF16, F16, F32, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0};
    for weights in [F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K] {
        let specimen = Specimen { layers: 1, context_length: 64, ..Specimen::llama(weights) };
        assert!(check(&specimen, 0.0, &[22]) > 100);
    }
}

#[test]
fn every_architecture_is_judged() {
    for architecture in ["llama", "qwen2", "qwen3", "gemma3"] {
        let specimen = Specimen { architecture, layers: 2, context_length: 64, ..Specimen::llama(WeightType::Q4_1) };
        check(&specimen, 0.7, &[0, 5, 20, 23]);
    }
}

#[test]
fn the_trace_draws_as_the_sampler_does() {
    let (file, machine) = (Specimen::llama(WeightType::Q8_0).to_gguf(), machine());
    let model = Model::load(&file, &machine, &|_| ()).unwrap();
    let answer = answer(&model, 1.0, 9, 12);
    let trace = EngineTrace::new(&model, &machine, &answer, &mut |_, _| ()).unwrap();
    let agreed = Answer { output: trace.drawn().to_vec(), ..answer };
    let again = EngineTrace::new(&model, &machine, &agreed, &mut |_, _| ()).unwrap();
    assert_eq!(again.roots(), trace.roots());
    let outputs: claim::OutputChain = trace.drawn().iter().copied().collect();
    assert_eq!(trace.roots().1, outputs.root());
    assert_ne!(Part::Token, Part::Drawn);
}

/// Words of a working that no step makes are shown with others, and nothing hangs on them: a worker that fills them, and counts them
/// in, is refuted at every step that reads around them.
#[test]
fn words_that_no_step_makes_decide_nothing() {
    let specimen = Specimen { architecture: "gemma3", context_length: 128, ..Specimen::llama(WeightType::Q4_1) };
    let (file, machine) = (specimen.to_gguf(), machine());
    let model = Model::load(&file, &machine, &|_| ()).unwrap();
    let weights = Weights::new(&file, &model).unwrap();
    let answer = answer(&model, 0.0, 100, 3);
    let mut trace = EngineTrace::new(&model, &machine, &answer, &mut |_, _| ()).unwrap();
    let statement = trace.statement().clone();
    let place = statement.layout().find(0, Part::Mixed).unwrap();
    let address = (101 << statement.layout().bits()) + u64::from(place.start + 3);
    let word = trace.words(address, 1).unwrap()[0];
    let mut party = Party { trace: &mut trace, weights: &weights, prompt: &answer.prompt };
    let right = working(&mut party, &statement, address, word).unwrap();
    let committed = |docket: &Docket, words: &[u32]| {
        let working_root = tree::node_of(words, working_height(words.len() as u32));
        Docket { working_root, ..docket.clone() }
    };
    let (docket, children) = rehearse(&mut trace, &statement, (address, word), &right).unwrap();
    let mut party = Party { trace: &mut trace, weights: &weights, prompt: &answer.prompt };
    // A word whose change no step notices is one that no step makes.
    let mut filled = right.clone();
    let mut free = 0;
    for index in 0..right.len() {
        let mut changed = right.clone();
        changed[index] ^= 0x4000_0000;
        if accuse(&mut party, &docket, &children, &changed).is_err() {
            filled[index] = 1.0_f32.to_bits();
            free += 1;
        }
    }
    assert!(free > 16, "{free} words between the sections");
    let full = committed(&docket, &filled);
    for step in 0..steps(&mut party, &full, &filled).unwrap() {
        let opened = open(&mut party, &full, &children, &filled, step).unwrap();
        assert_eq!(judge(&full, step, &opened.data, &opened.path), Ok(Ruling::AccuserLies), "step {step}");
    }
    for index in 0..right.len() {
        let mut wrong = filled.clone();
        wrong[index] ^= 0x0400_0000;
        let lie = committed(&docket, &wrong);
        if let Ok(accusation) = accuse(&mut party, &lie, &children, &wrong) {
            let ruling = judge(&lie, accusation.step, &accusation.data, &accusation.path);
            assert_eq!(ruling, Ok(Ruling::WorkerLies), "word {index}");
        }
    }
}
