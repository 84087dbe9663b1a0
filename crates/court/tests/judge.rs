//! Every word of the trace of a small model: its working, step by step, before the judge.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::num::NonZeroUsize;

use arith::{Isa, Machine, Pool, WeightType};
use claim::{Digest, Grammar, KvType, Origin, PromptToken, Sampling, Seed, TokenCount, TokenId};
use court::judge::{Docket, Party, Ruling, Weights, accuse, judge, open, working, working_height};
use court::trace::{Answer, EngineTrace, MOVE_BITS, Part, Trace as _, tree};
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

/// The docket of the word at `address`, every level opened from `trace`, and the children that were shown.
fn docket(trace: &mut EngineTrace<'_>, address: u64, word: u32, working: &[u32]) -> (Docket, Vec<Vec<Digest>>) {
    let height = trace.height();
    let mut nodes = Vec::new();
    let mut children = Vec::new();
    for level in 0..trace.levels() {
        let at = height - level * MOVE_BITS;
        nodes.push(trace.node(at, address >> at).unwrap());
        if at > MOVE_BITS {
            children.push(trace.children(at, address >> at).unwrap());
        }
    }
    let length = working.len() as u32;
    let working_root = tree::node_of(working, working_height(length));
    let statement = trace.statement().clone();
    (Docket { statement, address, word, nodes, working_root, working_length: length }, children)
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
    let (docket, children) = docket(trace, address, word, &words);
    let mut party = Party { trace, weights, prompt: &answer.prompt };
    assert!(accuse(&mut party, &docket, &children, &words).is_err(), "{name}: nothing is wrong");
    // The last step gives the word; a few before it stand for the rest.
    let mut judged = 0;
    let mut step = 0;
    loop {
        let accusation = open(&mut party, &docket, &children, &words, step).unwrap();
        match judge(&docket, step, &accusation.data, &accusation.path) {
            Ok(ruling) => assert_eq!(ruling, Ruling::AccuserLies, "{name}, step {step}"),
            Err(error) => {
                assert_eq!(error, court::judge::OpeningError::NoSuchStep { step }, "{name}");
                break;
            }
        }
        judged += 1;
        step += 1;
    }
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
    judged
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
