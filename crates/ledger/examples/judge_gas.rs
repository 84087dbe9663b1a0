#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program that prints what it measures")]
//! Prints the gas of the last call of a dispute, `Court.accuse` with the judge inside, by the vector that is disputed.
//!
//! `cargo run --release -p ledger --example judge_gas -- MODEL.gguf [POSITIONS]`
//!
//! An answer of so many positions, 40 if not said, is traced. For the last word of every vector of the last position, in the first, the
//! middle and the last layer, a dispute is put where it stands before that call, each kind of step is accused, and the transaction is
//! executed. Both sides are honest, so that the judge computes the whole step. A line has the dearest step of a vector: its gas, the
//! bytes and the hashes that were opened, and which step it is.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use alloy::sol_types::SolCall as _;
use arith::{Isa, Machine, Pool};
use claim::{Digest, KvType, Origin, PromptToken, Sampling, Seed, TokenCount, TokenId};
use court::judge::{Party, Statement, Weights, open, rehearse, steps, working};
use court::trace::{Answer, EngineTrace, Place, Trace as _};
use devchain::End;
use ledger::dispute;
use model::Model;

#[path = "../tests/bench/mod.rs"]
mod bench;

use bench::Bench;

/// A working of no more steps is accused at every one.
const STEPS_ALL: u32 = 512;
/// Otherwise at so many, the same way apart, and at so many at its end, where the sections are short.
const STEPS_PICKED: u32 = 64;

fn answer(model: &Model, positions: u32) -> Answer {
    let vocabulary = model.config().vocabulary as u32;
    let token = |i: u32| PromptToken::new(TokenId::new((7 + i * 31) % vocabulary), Origin::User);
    let prompt = (0..positions - 2).map(token).collect();
    let sampling = Sampling { temperature: 0.7, ..Sampling::greedy(TokenCount::new(9)) };
    let seed = Seed::new(Digest::sha256(b"seed"));
    Answer { prompt, output: vec![TokenId::new(1); 3], sampling, seed, kv: KvType::F16 }
}

fn picked(steps: u32) -> Vec<u32> {
    if steps <= STEPS_ALL {
        return (0..steps).collect();
    }
    let mut picked: Vec<u32> = (0..STEPS_PICKED).map(|i| steps / STEPS_PICKED * i).collect();
    // Where the paths of two neighbours have the least in common.
    picked.extend((0..8).map(|i| steps * i / 8));
    picked.extend([1, 2, 3]);
    picked.extend(steps - STEPS_PICKED..steps);
    picked
}

fn places(statement: &Statement) -> Vec<Place> {
    let layers = statement.shape.layers;
    let is_picked = |place: &&Place| [0, layers / 2, layers - 1, layers].contains(&place.layer);
    statement.layout().places().iter().filter(is_picked).copied().collect()
}

/// The dearest step of a vector.
struct Dearest {
    gas: u64,
    bytes: usize,
    hashes: usize,
    at: String,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap();
    let positions = arguments.next().map_or(40, |text| text.parse().unwrap());
    let file = std::fs::read(path).unwrap();
    let machine = Machine::new(Isa::detect(), Pool::new(NonZeroUsize::new(2).unwrap()));
    let model = Model::load(&file, &machine, &|_| ()).unwrap();
    let weights = Weights::new(&file, &model).unwrap();
    let mut bench = Bench::new();
    let learned = bench.send(bench.judge, dispute::learn_call(&model).unwrap().abi_encode());
    assert_eq!(learned.end, End::Success);
    println!("learn, once for a model: {} gas", learned.gas_used);
    let answer = answer(&model, positions);
    let mut trace = EngineTrace::new(&model, &machine, &answer, &mut |_, _| ()).unwrap();
    let statement = trace.statement().clone();
    let mut dearest: BTreeMap<String, Dearest> = BTreeMap::new();
    for place in places(&statement) {
        let position = u64::from(statement.positions()) - 1;
        let address = (position << statement.layout().bits()) + u64::from(place.start + place.length - 1);
        let word = trace.words(address, 1).unwrap()[0];
        let mut party = Party { trace: &mut trace, weights: &weights, prompt: &answer.prompt };
        let words = working(&mut party, &statement, address, word).unwrap();
        let (docket, children) = rehearse(&mut trace, &statement, (address, word), &words).unwrap();
        let mut party = Party { trace: &mut trace, weights: &weights, prompt: &answer.prompt };
        let steps = steps(&mut party, &docket, &words).unwrap();
        for step in picked(steps) {
            let opened = open(&mut party, &docket, &children, &words, step).unwrap();
            let gas = bench.accuse(&docket, &opened);
            let name = format!("{:?}", place.part);
            if dearest.get(&name).is_none_or(|before| gas > before.gas) {
                let at = format!("layer {}, step {step} of {steps}, {} words", place.layer, words.len());
                dearest.insert(name, Dearest { gas, bytes: opened.data.len(), hashes: opened.path.len(), at });
            }
        }
    }
    println!("{:26} {:>7} {:>6} {:>7}", "vector", "gas", "bytes", "hashes");
    for (name, Dearest { gas, bytes, hashes, at }) in dearest {
        println!("{name:26} {gas:7} {bytes:6} {hashes:7}  {at}");
    }
}
