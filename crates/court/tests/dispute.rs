//! Disputes over small models with a random liar: the liar loses.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may fail by panicking, and says what it played"
)]

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use arith::{Isa, Machine, Pool, WeightType};
use claim::{Digest, Grammar, KvType, Origin, OutputRoot, PromptToken, Sampling, Seed, StateRoot, TokenCount, TokenId};
use court::dispute::{Input, MoveError, Output, Player, Reason, Shown, Side, State, Terms, step};
use court::judge::{Party, Statement, Weights, open};
use court::trace::{Answer, EngineTrace, Part, Table};
use model::Model;
use specimen::Specimen;

/// A splitmix64 generator, so that a failure names a seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

fn machine() -> Machine {
    Machine::new(Isa::detect(), Pool::new(NonZeroUsize::new(2).unwrap()))
}

fn answer(model: &Model, random: &mut Random) -> Answer {
    let vocabulary = model.config().vocabulary as u64;
    let mut token = || TokenId::new(random.below(vocabulary) as u32);
    let prompt = (0..3).map(|_| PromptToken::new(token(), Origin::User)).collect();
    let sampling = Sampling {
        temperature: if random.below(2) == 0 { 0.0 } else { 0.8 },
        top_k: 0,
        top_p: 1.0,
        min_p: 0.0,
        repetition_penalty: 1.0,
        frequency_penalty: 0.0,
        presence_penalty: 0.0,
        logit_bias: Vec::new(),
        grammar: Grammar::Free,
        stop: Vec::new(),
        max_tokens: TokenCount::new(9),
    };
    let seed = Seed::new(Digest::sha256(&random.next().to_le_bytes()));
    Answer { prompt, output: vec![TokenId::new(0); 1 + random.below(3) as usize], sampling, seed, kv: KvType::F16 }
}

/// What a receipt for this trace says.
fn roots(table: &Table, statement: &Statement) -> (StateRoot, OutputRoot) {
    let place = statement.layout().find(statement.shape.layers, Part::Links).unwrap();
    let digest = |from: u32| {
        let words = (from..from + 8).map(|i| table.word(table.len() - 1, place.start + i));
        Digest::new(words.flat_map(u32::to_le_bytes).collect::<Vec<u8>>().try_into().unwrap())
    };
    (StateRoot::new(digest(0)), OutputRoot::new(digest(8)))
}

/// Bends a trace: a word anywhere, and sometimes everything behind it.
fn bend(table: &mut Table, statement: &Statement, random: &mut Random) -> Part {
    let position = random.below(table.len() as u64) as usize;
    let places = statement.layout().places();
    let place = places[random.below(places.len() as u64) as usize];
    let offset = place.start + random.below(place.length.into()) as u32;
    let word = table.word(position, offset);
    let bent = match random.below(4) {
        0 => word ^ 1,
        1 => word.wrapping_add(1 << 23),
        2 => random.next() as u32,
        _ => f32::NAN.to_bits(),
    };
    table.set(position, offset, if bent == word { word ^ 1 } else { bent });
    if random.below(3) == 0 {
        for later in offset + 1..statement.layout().words() as u32 {
            table.set(position, later, table.word(position, later) ^ (random.next() as u32 & 0xff));
        }
    }
    place.part
}

/// An accusation of a working in which nothing is wrong, sometimes.
fn blind(state: &State, random: &mut Random, player: &mut Player<'_, '_>) -> Option<Input> {
    let (docket, words) = state.worked().filter(|_| random.below(2) == 0)?;
    let shown = state.shown().iter().filter_map(|shown| match shown {
        Shown::Nodes(nodes) => Some(nodes.clone()),
        Shown::Words(_) => None,
    });
    let children: Vec<_> = shown.collect();
    let mut party = Party { trace: player.trace, weights: player.weights, prompt: player.prompt };
    let accusation = open(&mut party, docket, &children, words, 0).ok()?;
    Some(Input::Accuse(state.turn(), Box::new(accusation)))
}

/// Plays until somebody has won. A player without a move stays silent. Between moves the liar sends what it should not.
fn play(
    terms: Terms,
    host: &mut Player<'_, '_>,
    challenger: &mut Player<'_, '_>,
    random: &mut Random,
) -> (Side, Reason, usize) {
    let mut now = 1_000;
    let mut state = State::open(terms, &challenger.challenge().unwrap(), now).unwrap();
    let mut moves = 1;
    let mut last: Option<Input> = None;
    loop {
        let input = if state.turn() == Side::Host {
            host.play(&state).ok().or_else(|| blind(&state, random, host))
        } else {
            challenger.play(&state).ok().or_else(|| blind(&state, random, challenger))
        };
        let input = input.unwrap_or(Input::Timeout);
        // A replayed move, and a call for time that has not passed, change nothing.
        for early in last.iter().chain([&Input::Timeout]) {
            state = match step(state, early, now) {
                Err((state, _)) => *state,
                Ok(_) => panic!("{early:?} was taken at the wrong time"),
            };
        }
        if let Input::Descend(side, descent) = &input {
            let mut outside = descent.clone();
            outside.child |= 64;
            state = match step(state, &Input::Descend(*side, outside), now) {
                Err((state, MoveError::Child { .. })) => *state,
                other => panic!("a child outside of the node: {other:?}"),
            };
        }
        if matches!(input, Input::Timeout) {
            now = state.deadline() + 1;
        } else {
            moves += 1;
            now += random.below(state.deadline() - now + 1);
        }
        let (next, output) = step(state, &input, now).unwrap_or_else(|(_, error)| panic!("{input:?}: {error}"));
        if let Output::Over { winner, reason } = output {
            return (winner, reason, moves);
        }
        state = next;
        last = Some(input);
    }
}

fn specimens() -> Vec<(Vec<u8>, &'static str)> {
    use WeightType::{F32, Q4_1, Q6_K, Q8_0};
    [("llama", Q4_1), ("qwen2", Q8_0), ("qwen3", Q6_K), ("gemma3", F32)]
        .map(|(architecture, weights)| {
            let base = Specimen::llama(weights);
            let specimen = Specimen { architecture, layers: 1, context_length: 32, ..base };
            (specimen.to_gguf(), architecture)
        })
        .to_vec()
}

/// Plays `count` disputes over answers of one model.
fn disputes(file: &[u8], name: &str, count: u64, reasons: &mut BTreeMap<String, u64>) {
    let machine = machine();
    let model = Model::load(file, &machine, &|_| ()).unwrap();
    let weights = Weights::new(file, &model).unwrap();
    for seed in 0..count {
        let mut random = Random(seed);
        let answer = answer(&model, &mut random);
        let mut engine = EngineTrace::new(&model, &machine, &answer, &mut |_, _| ()).unwrap();
        let statement = engine.statement().clone();
        let mut honest = Table::of(&mut engine, 0..statement.positions()).unwrap();
        let mut lying = honest.clone();
        let part = bend(&mut lying, &statement, &mut random);
        let liar = if random.below(2) == 0 { Side::Host } else { Side::Challenger };
        if liar == Side::Host {
            // A lie is something that was signed.
            let place = statement.layout().find(statement.shape.layers, Part::Links).unwrap();
            let last = lying.len() - 1;
            lying.set(last, place.start, lying.word(last, place.start) ^ 2);
        }
        let signed = if liar == Side::Host { &lying } else { &honest };
        let terms = Terms { roots: roots(signed, &statement), statement, move_time: 100 };
        let (host, challenger) = if liar == Side::Host { (&mut lying, &mut honest) } else { (&mut honest, &mut lying) };
        let prompt = &answer.prompt[..];
        let mut host = Player { side: Side::Host, trace: host, weights: &weights, prompt };
        let mut challenger = Player { side: Side::Challenger, trace: challenger, weights: &weights, prompt };
        let (winner, reason, moves) = play(terms, &mut host, &mut challenger, &mut random);
        assert_eq!(winner, liar.other(), "{name}, seed {seed}: {liar:?} bent {part:?}, {reason:?} after {moves} moves");
        *reasons.entry(format!("{liar:?} {reason:?} in {moves}")).or_default() += 1;
    }
}

#[test]
fn a_liar_loses_whoever_it_is_and_whatever_it_bends() {
    let count = if std::env::var("CANDOR_SLOW").is_ok_and(|v| v == "1") { 2_500 } else { 60 };
    let mut reasons = BTreeMap::new();
    for (file, name) in specimens() {
        disputes(&file, name, count, &mut reasons);
    }
    println!("{reasons:#?}");
}
