//! Random disputes over small models with a random liar, against the real contracts: the liar loses.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may fail by panicking, and says what it played"
)]

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use alloy::primitives::{Address, Bytes, Log, U256};
use alloy::sol_types::{SolCall as _, SolValue as _};
use arith::{Isa, Machine, Pool, WeightType};
use claim::{
    Amount, ChannelId, ChoiceIndex, Digest, Engine, Evidence, Finish, HostKey, KvType, Nonce, Origin, Price,
    PromptToken, Receipt, ReceiptId, RequestHash, Sampling, Seed, SeedKind, SeedProof, TokenCount, TokenId, UnixMillis,
};
use court::dispute::{Input, Player, Side, Terms};
use court::judge::{Party, Statement, Weights, open};
use court::trace::{Answer, EngineTrace, Part, Table};
use devchain::{Chain, Config, End, Message};
use ledger::abi::{HostVault, HostVaults, Hosts, Token};
use ledger::game::{Charge, Game, challenge_call};
use ledger::{Artefact, dispute};
use model::Model;
use specimen::Specimen;

const MOVE_TIME: u64 = 600;
const BOND: u128 = 1_000_000;

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

/// The contracts on a chain in memory, and the two parties.
struct Hall {
    chain: Chain,
    now: u64,
    court: Address,
    judge: Address,
    vault: Address,
    dollar: Address,
    key: HostKey,
    host: Address,
    user: Address,
}

impl Hall {
    fn new() -> Self {
        let config = Config::development();
        let user = config.keys[1].address();
        let key = HostKey::from_bytes(&[7; 32]).unwrap();
        let host = Address::from(*key.address().as_bytes());
        let zero = Address::ZERO;
        let mut hall = Self {
            chain: Chain::new(config, 1_000),
            now: 1_000,
            court: zero,
            judge: zero,
            vault: zero,
            dollar: zero,
            key,
            host,
            user,
        };
        for address in [host, user] {
            hall.chain.set_balance(address, U256::from(u128::MAX));
        }
        hall.deploy();
        hall
    }

    fn deploy(&mut self) {
        let number = |x: u64| U256::from(x);
        let [words, products, norms, attention, draws] = Artefact::CHAPTERS.map(|chapter| self.create(chapter, &[]));
        let arguments = (words, products, norms, attention, draws).abi_encode_params();
        self.judge = self.create(Artefact::ArithmeticJudge, &arguments);
        self.dollar = self.create(Artefact::DevDollar, &[]);
        let nonce = self.chain.history().state().nonce(self.user);
        self.court = self.user.create(nonce + 4);
        let arguments = (self.court, number(604_800), number(100_000)).abi_encode_params();
        let vaults = self.create(Artefact::HostVaults, &arguments);
        let hosts = self.create(Artefact::Hosts, &vaults.abi_encode());
        let channels = self.create(Artefact::Channels, &(self.court, number(86_400)).abi_encode_params());
        let verdicts = self.create(Artefact::Verdicts, &(self.court, Address::ZERO).abi_encode_params());
        let times = (number(MOVE_TIME), U256::from(BOND));
        let arguments = (hosts, channels, verdicts, times.0, times.1, vec![self.judge]).abi_encode_params();
        assert_eq!(self.create(Artefact::Court, &arguments), self.court);

        let (host, user, dollar, court) = (self.host, self.user, self.dollar, self.court);
        let plenty = U256::from(1u128 << 90);
        for to in [host, user] {
            self.done(user, dollar, Token::mintCall { to, amount: plenty }.abi_encode());
        }
        let series = U256::ZERO;
        self.done(host, vaults, HostVaults::createCall { asset: dollar, host, series }.abi_encode());
        let at = HostVaults::vaultAtCall { asset: dollar, host, series }.abi_encode();
        let found = self.chain.call(&Message::call(user, vaults, at)).unwrap();
        self.vault = HostVaults::vaultAtCall::abi_decode_returns(&found).unwrap();
        self.done(host, dollar, Token::approveCall { spender: self.vault, value: plenty }.abi_encode());
        self.done(
            host,
            self.vault,
            HostVault::depositCall { assets: plenty / U256::from(2), receiver: host }.abi_encode(),
        );
        let register = Hosts::registerCall {
            vault: self.vault,
            peerKey: [0; 32].into(),
            offerHash: [0; 32].into(),
            endpoint: String::new(),
        };
        self.done(host, hosts, register.abi_encode());
        self.done(user, dollar, Token::approveCall { spender: court, value: plenty }.abi_encode());
    }

    fn create(&mut self, artefact: Artefact, arguments: &[u8]) -> Address {
        let message = Message::create(self.user, artefact.creation(arguments));
        let mined = self.chain.execute(&message, self.now).unwrap();
        assert_eq!(mined.executed[0].end, End::Success, "{}", artefact.name());
        mined.block.transactions()[0].creates().unwrap()
    }

    /// Executes a call at the time that it is: its gas and logs, or what the contract said.
    fn send(&mut self, from: Address, to: Address, data: Vec<u8>) -> Result<(u64, Vec<Log>), Bytes> {
        let mined = self.chain.execute(&Message::call(from, to, data), self.now).unwrap();
        let executed = &mined.executed[0];
        match &executed.end {
            End::Success => Ok((executed.gas_used, mined.block.receipts()[0].logs().to_vec())),
            End::Reverted => Err(executed.output.clone()),
            End::Halted(reason) => panic!("{reason}"),
        }
    }

    fn done(&mut self, from: Address, to: Address, data: Vec<u8>) -> Vec<Log> {
        self.send(from, to, data).unwrap().1
    }

    fn address(&self, side: Side) -> Address {
        match side {
            Side::Host => self.host,
            Side::Challenger => self.user,
        }
    }

    fn money(&self, side: Side) -> U256 {
        let (to, data) = match side {
            Side::Host => (self.vault, HostVault::totalAssetsCall {}.abi_encode()),
            Side::Challenger => (self.dollar, Token::balanceOfCall { account: self.user }.abi_encode()),
        };
        let found = self.chain.call(&Message::call(self.user, to, data)).unwrap();
        U256::abi_decode(&found).unwrap()
    }
}

fn answer(model: &Model, random: &mut Random) -> Answer {
    let vocabulary = model.config().vocabulary as u64;
    let mut token = || TokenId::new(random.below(vocabulary) as u32);
    let prompt = (0..3).map(|_| PromptToken::new(token(), Origin::User)).collect();
    let temperature = if random.below(2) == 0 { 0.0 } else { 0.8 };
    let sampling = Sampling { temperature, ..Sampling::greedy(TokenCount::new(9)) };
    let seed = Seed::new(Digest::sha256(&random.next().to_le_bytes()));
    Answer { prompt, output: vec![TokenId::new(0); 1 + random.below(3) as usize], sampling, seed, kv: KvType::F16 }
}

/// Bends a trace: a word anywhere, and sometimes the words behind it.
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
        for later in offset + 1..offset + 300 {
            table.set(position, later, table.word(position, later) ^ (random.next() as u32 & 0xff));
        }
    }
    place.part
}

/// A receipt for what a trace says, signed, and what opens it.
fn charge(hall: &Hall, table: &mut Table, answer: &Answer, statement: &Statement, nonce: u64) -> (Charge, Terms) {
    let roots = table.link(statement);
    let (states, output) = table.said(statement);
    let evidence = Evidence {
        endpoint: claim::Endpoint::Chat,
        request: Vec::new(),
        nonce: Nonce::ZERO,
        client: None,
        choice: ChoiceIndex::new(0),
        prompt: answer.prompt.clone(),
        output,
        states,
        seed_proof: SeedProof::Unused,
        text: String::new(),
    };
    let receipt = Receipt {
        version: claim::RECEIPT_VERSION,
        model_root: statement.model_root,
        engine: Engine { arithmetic: claim::ARITHMETIC_VERSION, kv: answer.kv },
        request_hash: RequestHash::new(Digest::sha256(&nonce.to_le_bytes())),
        choice: evidence.choice,
        prompt_root: claim::prompt_root(&evidence.prompt),
        sampling: answer.sampling.hash(),
        seed: answer.seed,
        seed_kind: SeedKind::Given,
        output_root: roots.1,
        finish: Finish::Length,
        state_root: roots.0,
        previous: ReceiptId::ZERO,
        prefix_length: TokenCount::new(0),
        price: Price { prompt_per_million: 0, output_per_million: 0 },
        total: Amount::new(0),
        channel: ChannelId::ZERO,
        host: hall.key.address(),
        client: claim::Address::ZERO,
        started: UnixMillis::new(1),
        finished: UnixMillis::new(2),
    };
    let signed = hall.key.sign(&receipt);
    let charge = Charge {
        statement: dispute::statement(&receipt),
        signature: signed.signature.to_bytes(),
        opening: dispute::opening(&evidence, &answer.sampling),
        bond: BOND,
    };
    (charge, Terms { statement: statement.clone(), roots, move_time: MOVE_TIME })
}

/// An accusation of a working in which nothing is wrong, sometimes.
fn blind(game: &Game, random: &mut Random, player: &mut Player<'_, '_>) -> Option<Input> {
    let (docket, words) = game.state.worked().filter(|_| random.below(2) == 0)?;
    let children: Vec<_> = game.state.shown().iter().filter_map(court::dispute::Shown::nodes).collect();
    let mut party = Party { trace: player.trace, weights: player.weights, prompt: player.prompt };
    let accusation = open(&mut party, docket, &children, words, 0).ok()?;
    Some(Input::Accuse(player.side, Box::new(accusation)))
}

/// Plays to the end; returns who won, transactions and gas in all.
fn play(hall: &mut Hall, game: &mut Game, players: &mut [Player<'_, '_>; 2], liar: Side, random: &mut Random) -> u64 {
    let court = hall.court;
    let mut gas = 0;
    let mut earlier: Vec<(Address, Vec<u8>)> = Vec::new();
    while game.verdict.is_none() {
        // Moves that come twice or too late, in any order, and calls for time that has not passed, change nothing.
        if let Some((from, data)) = earlier.get(random.below(4) as usize).cloned() {
            hall.send(from, court, data).unwrap_err();
        }
        let turn = game.state.turn();
        let player = &mut players[usize::from(turn == Side::Challenger)];
        let input = player.play(&game.state).ok().or_else(|| blind(game, random, player));
        // The liar may fall silent at any time.
        let input = input.filter(|_| turn != liar || random.below(8) > 0);
        let (from, data) = if let Some(input) = input {
            // A move may be lost on its way, and is sent again before its time is over.
            hall.now += random.below(MOVE_TIME / 2);
            (hall.address(turn), game.call(&input))
        } else {
            let data = game.call(&Input::Timeout);
            hall.send(hall.user, court, data.clone()).unwrap_err();
            hall.now = game.state.deadline() + 1;
            (hall.address(turn.other()), data)
        };
        let (used, logs) = hall.send(from, court, data.clone()).unwrap_or_else(|said| {
            panic!("{turn:?} was refused: {}", alloy::primitives::hex::encode(said));
        });
        gas += used;
        for log in &logs {
            game.follow(log);
        }
        earlier.push((from, data));
        hall.now += 1;
    }
    let verdict = game.verdict.unwrap();
    let (used, _) = hall.send(hall.user, court, game.settle_call(verdict)).unwrap();
    gas + used
}

/// One dispute over an answer of `model`; returns how it went.
fn one(hall: &mut Hall, model: &Model, machine: &Machine, weights: &Weights<'_>, seed: u64) -> (String, u64) {
    let mut random = Random(seed);
    let answer = answer(model, &mut random);
    let mut engine = EngineTrace::new(model, machine, &answer, &mut |_, _| ()).unwrap();
    let statement = engine.statement().clone();
    let mut honest = Table::of(&mut engine, 0..statement.positions()).unwrap();
    let mut lying = honest.clone();
    let part = bend(&mut lying, &statement, &mut random);
    let liar = if random.below(2) == 0 { Side::Host } else { Side::Challenger };
    let signed = if liar == Side::Host { &mut lying } else { &mut honest };
    if liar == Side::Host {
        // A lie is something that was signed.
        let place = statement.layout().find(statement.shape.layers, Part::State).unwrap();
        let last = signed.len() - 1;
        signed.set(last, place.start, signed.word(last, place.start) ^ 2);
    }
    let (charge, terms) = charge(hall, signed, &answer, &statement, seed);
    let (host, user) = if liar == Side::Host { (&mut lying, &mut honest) } else { (&mut honest, &mut lying) };
    let prompt = &answer.prompt[..];
    let mut players = [
        Player { side: Side::Host, trace: host, weights, prompt },
        Player { side: Side::Challenger, trace: user, weights, prompt },
    ];
    let before = [hall.money(Side::Host), hall.money(Side::Challenger)];
    let call = challenge_call(&charge, &players[1].challenge().unwrap());
    let (used, logs) = hall.send(hall.user, hall.court, call).unwrap();
    let mut game = logs.iter().find_map(|log| Game::opened(log, terms.clone())).unwrap().unwrap();
    let gas = used + play(hall, &mut game, &mut players, liar, &mut random);
    let verdict = game.verdict.unwrap();
    assert_eq!(verdict.winner, liar.other(), "seed {seed}: {liar:?} bent {part:?}, {:?}", verdict.reason);
    let after = [hall.money(Side::Host), hall.money(Side::Challenger)];
    let bond = U256::from(BOND);
    let expected =
        if liar == Side::Host { [before[0] - bond, before[1] + bond] } else { [before[0], before[1] - bond] };
    assert!(after[0] >= expected[0] && after[1] == expected[1], "seed {seed}: {before:?} became {after:?}");
    (format!("{liar:?} {:?}", verdict.reason), gas)
}

#[test]
fn a_liar_loses_its_bond_whoever_it_is_and_whatever_it_bends() {
    use WeightType::{F32, Q4_1, Q6_K, Q8_0};
    let count = if std::env::var("CANDOR_SLOW").is_ok_and(|v| v == "1") { 2_500 } else { 12 };
    let machine = Machine::new(Isa::detect(), Pool::new(NonZeroUsize::new(2).unwrap()));
    let mut hall = Hall::new();
    let (mut reasons, mut most) = (BTreeMap::<String, u64>::new(), 0);
    for (architecture, weights) in [("llama", Q4_1), ("qwen2", Q8_0), ("qwen3", Q6_K), ("gemma3", F32)] {
        let specimen = Specimen { architecture, layers: 1, context_length: 32, ..Specimen::llama(weights) };
        let file = specimen.to_gguf();
        let model = Model::load(&file, &machine, &|_| ()).unwrap();
        hall.done(hall.user, hall.judge, dispute::learn_call(&model).unwrap().abi_encode());
        let weights = Weights::new(&file, &model).unwrap();
        for seed in 0..count {
            let (reason, gas) = one(&mut hall, &model, &machine, &weights, seed);
            *reasons.entry(reason).or_default() += 1;
            most = most.max(gas);
        }
    }
    println!("{} disputes, {reasons:?}; the dearest cost {most} gas", 4 * count);
    assert!(most <= 2_000_000, "{most} gas");
}
