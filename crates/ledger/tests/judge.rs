//! The judge in Solidity beside the judge in Rust: the same dockets, the same bytes, the same rulings.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may fail by panicking, and says what it measured"
)]

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use alloy::primitives::{Address, Bytes};
use alloy::sol_types::{SolCall as _, SolValue as _};
use arith::{Isa, Machine, Pool, WeightType};
use claim::{Digest, KvType, Origin, PromptToken, Sampling, Seed, TokenCount, TokenId};
use court::judge::{Docket, OpeningError, Party, Ruling, Weights, judge, open, working, working_height};
use court::trace::{Answer, EngineTrace, MOVE_BITS, Trace as _, tree};
use devchain::{Chain, Config, End, Message};
use ledger::{Artefact, abi, dispute};
use model::Model;
use specimen::Specimen;

/// The judge deployed on a chain in memory.
struct Bench {
    chain: Chain,
    caller: Address,
    judge: Address,
}

impl Bench {
    fn new() -> Self {
        let config = Config::development();
        let caller = config.keys[0].address();
        let mut bench = Self { chain: Chain::new(config, 0), caller, judge: Address::ZERO };
        let chapters = [
            Artefact::WordChapter,
            Artefact::ProductChapter,
            Artefact::NormChapter,
            Artefact::AttentionChapter,
            Artefact::DrawChapter,
        ];
        let [words, products, norms, attention, draws] = chapters.map(|chapter| bench.deploy(chapter, &[]));
        let arguments = (words, products, norms, attention, draws).abi_encode_params();
        bench.judge = bench.deploy(Artefact::ArithmeticJudge, &arguments);
        bench
    }

    fn deploy(&mut self, artefact: Artefact, arguments: &[u8]) -> Address {
        let message = Message::create(self.caller, artefact.creation(arguments));
        let mined = self.chain.execute(&message, 0).unwrap();
        assert_eq!(mined.executed[0].end, End::Success, "{}", artefact.name());
        mined.block.transactions()[0].creates().unwrap()
    }

    /// Sends a call as a transaction: what it returned and the gas that it paid for, or the reason that it gave.
    fn send(&mut self, data: Vec<u8>) -> Result<(Bytes, u64), Bytes> {
        let message = Message::call(self.caller, self.judge, data);
        let mined = self.chain.execute(&message, 0).unwrap();
        let executed = &mined.executed[0];
        match &executed.end {
            End::Success => Ok((executed.output.clone(), executed.gas_used)),
            End::Reverted => Err(executed.output.clone()),
            End::Halted(reason) => panic!("{reason}"),
        }
    }

    fn judge(&mut self, docket: &Docket, step: u32, data: &[u8], path: &[Digest]) -> Result<(Ruling, u64), Bytes> {
        let call = dispute::judge_call(docket, step, data, path);
        let (output, gas) = self.send(call.abi_encode())?;
        let ruling = match abi::ArithmeticJudge::judgeCall::abi_decode_returns(&output).unwrap() {
            abi::Ruling::WorkerLies => Ruling::WorkerLies,
            abi::Ruling::AccuserLies => Ruling::AccuserLies,
            abi::Ruling::HostLies => Ruling::HostLies,
            other => panic!("{other:?}"),
        };
        Ok((ruling, gas))
    }
}

fn answer(model: &Model, temperature: f32) -> Answer {
    let vocabulary = model.config().vocabulary as u32;
    let prompt = (0..19).map(|i| PromptToken::new(TokenId::new((7 + i * 31) % vocabulary), Origin::User)).collect();
    let sampling = Sampling { temperature, ..Sampling::greedy(TokenCount::new(9)) };
    let seed = Seed::new(Digest::sha256(b"seed"));
    Answer { prompt, output: vec![TokenId::new(1); 3], sampling, seed, kv: KvType::F16 }
}

/// The docket of the word at `address`, every level opened from `trace`, and the children that were shown.
fn docket(trace: &mut EngineTrace<'_>, address: u64, word: u32, working: &[u32]) -> (Docket, Vec<Vec<Digest>>) {
    let height = trace.height();
    let (mut nodes, mut children) = (Vec::new(), Vec::new());
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

/// Largest gas of a call for each vector.
type Gas = BTreeMap<String, u64>;

fn both(bench: &mut Bench, docket: &Docket, step: u32, data: &[u8], path: &[Digest], name: &str, gas: &mut Gas) {
    let rust = judge(docket, step, data, path);
    let solidity = bench.judge(docket, step, data, path);
    match (rust, solidity) {
        (Ok(expected), Ok((found, used))) => {
            assert_eq!(found, expected, "{name}, step {step}");
            let part = name.split(' ').next().unwrap_or_default().to_owned();
            let most = gas.entry(part).or_default();
            *most = used.max(*most);
        }
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
    bench.send(dispute::learn_call(&model).unwrap().abi_encode()).unwrap();
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
            let (right, children) = docket(&mut trace, address, word, &words);
            let mut party = Party { trace: &mut trace, weights: &weights, prompt: &answer.prompt };
            let steps = (0..u32::MAX)
                .find(|&step| {
                    let opened = open(&mut party, &right, &children, &words, step).unwrap();
                    judge(&right, step, &opened.data, &opened.path) == Err(OpeningError::NoSuchStep { step })
                })
                .unwrap();
            for step in picked(steps) {
                let opened = open(&mut party, &right, &children, &words, step).unwrap();
                both(bench, &right, step, &opened.data, &opened.path, &name, gas);
                // Another word, a longer working, a bit of the inputs and a hash of the paths turned.
                let lie = Docket { word: word ^ 1, ..right.clone() };
                both(bench, &lie, step, &opened.data, &opened.path, &name, gas);
                let long = Docket { working_length: right.working_length + 1, ..right.clone() };
                both(bench, &long, step, &opened.data, &opened.path, &name, gas);
                let mut data = opened.data.clone();
                let middle = data.len() / 2;
                if let Some(byte) = data.get_mut(middle) {
                    *byte ^= 4;
                    both(bench, &right, step, &data, &opened.path, &name, gas);
                    both(bench, &right, step, &data[1..], &opened.path, &name, gas);
                }
                both(bench, &right, step, &opened.data, &opened.path[opened.path.len().min(1)..], &name, gas);
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
