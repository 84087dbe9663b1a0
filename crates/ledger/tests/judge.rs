//! The judge in Solidity beside the judge in Rust: the same dockets, the same bytes, the same rulings.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may fail by panicking, and says what it measured"
)]

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use alloy::primitives::Bytes;
use alloy::sol_types::SolCall as _;
use arith::{Isa, Machine, Pool, WeightType};
use claim::{Digest, KvType, Origin, PromptToken, Sampling, Seed, TokenCount, TokenId};
use court::judge::{Docket, Party, Ruling, Weights, judge, open, rehearse, steps, working};
use court::trace::{Answer, EngineTrace, Trace as _};
use devchain::End;
use ledger::{abi, dispute};
use model::Model;
use specimen::Specimen;

mod bench;

use bench::Bench;

/// The last call of a dispute costs no more, whatever is disputed.
const GAS_MAX: u64 = 150_000;

/// The ruling of the judge in Solidity, or the reason that it gave for none.
fn judge_on_chain(
    bench: &mut Bench,
    docket: &Docket,
    step: u32,
    data: &[u8],
    path: &[Digest],
) -> Result<Ruling, Bytes> {
    let call = dispute::judge_call(docket, step, data, path);
    let executed = bench.send(bench.judge, call.abi_encode());
    match executed.end {
        End::Success => {}
        End::Reverted => return Err(executed.output),
        End::Halted(reason) => panic!("{reason}"),
    }
    Ok(match abi::ArithmeticJudge::judgeCall::abi_decode_returns(&executed.output).unwrap() {
        abi::Ruling::WorkerLies => Ruling::WorkerLies,
        abi::Ruling::AccuserLies => Ruling::AccuserLies,
        abi::Ruling::HostLies => Ruling::HostLies,
        other => panic!("{other:?}"),
    })
}

fn answer(model: &Model, temperature: f32) -> Answer {
    let vocabulary = model.config().vocabulary as u32;
    let prompt = (0..19).map(|i| PromptToken::new(TokenId::new((7 + i * 31) % vocabulary), Origin::User)).collect();
    let sampling = Sampling { temperature, ..Sampling::greedy(TokenCount::new(9)) };
    let seed = Seed::new(Digest::sha256(b"seed"));
    Answer { prompt, output: vec![TokenId::new(1); 3], sampling, seed, kv: KvType::F16 }
}

/// Largest gas of a last call for each vector.
type Gas = BTreeMap<String, u64>;

fn both(bench: &mut Bench, docket: &Docket, step: u32, data: &[u8], path: &[Digest], name: &str) {
    match (judge(docket, step, data, path), judge_on_chain(bench, docket, step, data, path)) {
        (Ok(expected), Ok(found)) => assert_eq!(found, expected, "{name}, step {step}"),
        (Err(_), Err(_)) => {}
        (rust, solidity) => panic!("{name}, step {step}: {rust:?} in Rust, {solidity:?} in Solidity"),
    }
}

/// Steps of a working that stand for the others: the first ones, some in between, the last.
fn picked(steps: u32) -> Vec<u32> {
    let mut picked = vec![0, 1, 2, steps / 3, steps / 2, steps - steps / 4];
    picked.extend([4, 3, 2, 1, 0].map(|back| steps.saturating_sub(back)));
    picked.sort_unstable();
    picked.dedup();
    picked
}

fn compare(bench: &mut Bench, specimen: &Specimen, temperature: f32, positions: &[u32], gas: &mut Gas) {
    let file = specimen.to_gguf();
    let machine = Machine::new(Isa::detect(), Pool::new(NonZeroUsize::new(2).unwrap()));
    let model = Model::load(&file, &machine, &|_| ()).unwrap();
    assert_eq!(bench.send(bench.judge, dispute::learn_call(&model).unwrap().abi_encode()).end, End::Success);
    let weights = Weights::new(&file, &model).unwrap();
    let answer = answer(&model, temperature);
    let mut trace = EngineTrace::new(&model, &machine, &answer, &mut |_, _| ()).unwrap();
    let statement = trace.statement().clone();
    for &position in positions {
        for place in statement.layout().places().to_vec() {
            let index = place.length - 1;
            let address = (u64::from(position) << statement.layout().bits()) + u64::from(place.start + index);
            let word = trace.words(address, 1).unwrap()[0];
            let name = format!("{:?} {index} of {specimen:?} at {position}", place.part);
            let mut party = Party { trace: &mut trace, weights: &weights, prompt: &answer.prompt };
            let words = working(&mut party, &statement, address, word).unwrap();
            let (right, children) = rehearse(&mut trace, &statement, (address, word), &words).unwrap();
            let mut party = Party { trace: &mut trace, weights: &weights, prompt: &answer.prompt };
            let steps = steps(&mut party, &right, &words).unwrap();
            for step in picked(steps) {
                let opened = open(&mut party, &right, &children, &words, step).unwrap();
                both(bench, &right, step, &opened.data, &opened.path, &name);
                if step < steps {
                    let used = bench.accuse(&right, &opened);
                    assert!(used <= GAS_MAX, "{name}, step {step}: {used} gas");
                    let most = gas.entry(format!("{:?}", place.part)).or_default();
                    *most = used.max(*most);
                }
                // Another word, a longer working, a bit of the inputs and a hash of the paths turned.
                let lie = Docket { word: word ^ 1, ..right.clone() };
                both(bench, &lie, step, &opened.data, &opened.path, &name);
                let long = Docket { working_length: right.working_length + 1, ..right.clone() };
                both(bench, &long, step, &opened.data, &opened.path, &name);
                let mut data = opened.data.clone();
                let middle = data.len() / 2;
                if let Some(byte) = data.get_mut(middle) {
                    *byte ^= 4;
                    both(bench, &right, step, &data, &opened.path, &name);
                    both(bench, &right, step, &data[1..], &opened.path, &name);
                }
                both(bench, &right, step, &opened.data, &opened.path[opened.path.len().min(1)..], &name);
            }
        }
    }
}

#[test]
fn both_judges_rule_alike_on_every_weight_type() {
    use WeightType::{BF16, F16, F32, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0};
    let (mut bench, mut gas) = (Bench::new(), Gas::new());
    for weights in [F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K] {
        let specimen = Specimen { layers: 1, context_length: 32, ..Specimen::llama(weights) };
        compare(&mut bench, &specimen, 0.0, &[19], &mut gas);
    }
    println!("{gas:#?}");
}

#[test]
fn both_judges_rule_alike_on_every_architecture() {
    let (mut bench, mut gas) = (Bench::new(), Gas::new());
    for architecture in ["llama", "qwen2", "qwen3", "gemma3"] {
        let specimen = Specimen { architecture, layers: 2, context_length: 32, ..Specimen::llama(WeightType::Q4_1) };
        compare(&mut bench, &specimen, 0.7, &[0, 18, 20], &mut gas);
    }
    println!("{gas:#?}");
}
