//! Disputes as people have them: a user with the real program against a host that lies, and a liar against a host that does not.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod desk;
#[path = "desk/town.rs"]
mod town;

use std::fs;
use std::num::NonZeroUsize;
use std::sync::Arc;

use api::receipt_json;
use arith::{Isa, Machine, Pool};
use claim::{Evidence, Finish, HostKey, OutputRoot, Receipt, SignedReceipt, StateRoot, keystore};
use court::dispute::{Player, Side, Terms};
use court::judge::Weights;
use court::trace::{Answer, EngineTrace, Part, Table};
use ledger::hearing::{self, About, Hearing};
use ledger::{Account, Address, Client, Deployment};
use model::Model;
use town::{Run, SECRET, Town};

/// A model with its file, as a party has it.
struct Bench {
    file: Vec<u8>,
    model: Model,
    machine: Machine,
}

impl Bench {
    fn new(town: &Town) -> Self {
        let file = fs::read(town.desk.path("tiny.gguf")).unwrap();
        let machine = Machine::new(Isa::detect(), Pool::new(NonZeroUsize::MIN));
        Self { model: Model::load(&file, &machine, &|_| ()).unwrap(), file, machine }
    }

    /// What an honest receipt is for.
    fn answer(&self, receipt: &Receipt, evidence: &Evidence) -> Answer {
        let request = api::parse(evidence.endpoint, &evidence.request).unwrap();
        let (tokenizer, template) = (self.model.tokenizer(), self.model.template().ok());
        let jobs = request.jobs(tokenizer, template, self.model.config().context_length, receipt.started).unwrap();
        let sampling = jobs[0].sampling.clone();
        let (prompt, output) = (evidence.prompt.clone(), evidence.output.clone());
        Answer { prompt, output, sampling, seed: receipt.seed, kv: receipt.engine.kv }
    }

    /// The trace of somebody who changed one word of the last position, with the roots that it ends in.
    fn bent(&self, answer: &Answer, part: Part, change: impl Fn(u32) -> u32) -> (Table, (StateRoot, OutputRoot)) {
        let mut engine = EngineTrace::new(&self.model, &self.machine, answer, &mut |_, _| ()).unwrap();
        let positions = engine.statement().positions();
        let mut table = Table::of(&mut engine, 0..positions).unwrap();
        let statement = engine.statement();
        let layer = if part == Part::Drawn { statement.shape.layers } else { 0 };
        let place = statement.layout().find(layer, part).unwrap();
        let last = positions as usize - 1;
        table.set(last, place.start, change(table.word(last, place.start)));
        let roots = table.link(statement);
        (table, roots)
    }
}

/// The chain as a party reads it.
struct Party {
    account: Arc<Account>,
    court: Address,
}

impl Party {
    async fn new(town: &Town, key: HostKey) -> Self {
        let deployment = fs::read(town.desk.path("chain/deployment.json")).unwrap();
        let deployment: Deployment = serde_json::from_slice(&deployment).unwrap();
        let client = Client::connect(town.chain.address()).await.unwrap();
        Self { account: Arc::new(Account::new(client, Arc::new(key))), court: deployment.court }
    }

    async fn terms(&self, bench: &Bench, answer: &Answer, roots: (StateRoot, OutputRoot)) -> Terms {
        let move_time = self.account.client().call(self.court, &ledger::abi::Court::moveTimeCall {}).await.unwrap();
        let statement = court::trace::statement(&bench.model, answer).unwrap();
        Terms { statement, roots, move_time: move_time.saturating_to() }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// An honest answer of a host that takes money, paid for: the node, the receipt and its evidence.
fn served(town: &Town) -> (desk::Node, SignedReceipt, Evidence) {
    let host = town.settled();
    let chain = ["--data", "host", "--chain", town.chain.address(), "--deployment", "chain/deployment.json"];
    let up = ["up", "--model", "tiny.gguf", "--threads", "1", "--port", "0", "--price", "500/2000"];
    let node = town.desk.start(&[&up[..], &chain].concat());
    town.json("payer", &["channel", "open", &host, "1"]);
    let ask = ["ask", "--data", "payer", "--gateway", node.address(), "--pay", "1", "--temperature", "0"];
    let rest = ["--max-tokens", "6", "--receipt", "honest.json", "Why is the sky blue?"];
    Run::of(&town.desk, &[&ask[..], &rest].concat()).ends_with(0);
    let document = receipt_json::read(&fs::read(town.desk.path("honest.json")).unwrap()).unwrap();
    (node, document.receipt, document.evidence.unwrap())
}

#[test]
fn a_host_that_lies_loses_its_bond_to_whoever_disputes_it() {
    let town = Town::new();
    let (node, honest, mut evidence) = served(&town);
    assert_eq!(node.stop(), Some(0));
    let bench = Bench::new(&town);
    let answer = bench.answer(&honest.receipt, &evidence);
    let (mut trace, roots) = bench.bent(&answer, Part::Drawn, |token| (token + 1) % 250);

    // The host signs another last token than the likeliest.
    let swapped = trace.said(&court::trace::statement(&bench.model, &answer).unwrap()).1;
    evidence.output.clone_from(&swapped);
    evidence.text = model::generation::text_of(&bench.model, &answer.sampling, &swapped, Finish::Length);
    let text = fs::read_to_string(town.desk.path("host/host-key.json")).unwrap();
    let key = keystore::decrypt(&text, "").unwrap();
    let (state_root, output_root) = roots;
    let lie = key.sign(&Receipt { state_root, output_root, finish: Finish::Length, ..honest.receipt });
    fs::write(town.desk.path("lie.json"), receipt_json::write(&lie, Some(&evidence))).unwrap();

    town.run("payer", &["dispute", "honest.json", "--model", "tiny.gguf"]).fails(3, "the receipt holds");
    let open = town.json("payer", &["dispute", "lie.json", "--model", "tiny.gguf"]);
    assert_eq!((open["state"].as_str(), open["turn"].as_str()), (Some("open"), Some("the host")));

    // The host defends its lie while the user's program plays.
    let runtime = runtime();
    let decided = std::thread::scope(|scope| {
        let playing = scope.spawn(|| town.json("payer", &["dispute", "lie.json", "--model", "tiny.gguf", "--follow"]));
        runtime.block_on(async {
            let liar = Party::new(&town, key).await;
            let about = About::Receipt(lie.id());
            let opened = hearing::open_disputes(liar.account.client(), liar.court, about).await.unwrap().remove(0);
            let terms = liar.terms(&bench, &answer, roots).await;
            let weights = Weights::new(&bench.file, &bench.model).unwrap();
            let mut hearing = Hearing::new(liar.account.clone(), liar.court, opened, terms).unwrap();
            let mut player = Player { side: Side::Host, trace: &mut trace, weights: &weights, prompt: &answer.prompt };
            // The user's word comes about as it says, so the liar has nothing true to accuse, and lets its time pass.
            hearing.play(&mut player, &mut |_| ()).await.unwrap_err();
            let client = liar.account.client();
            client.development("evm_increaseTime", (100_000,)).await.unwrap();
            client.development("evm_mine", ()).await.unwrap();
        });
        playing.join().unwrap()
    });
    assert_eq!((decided["state"].as_str(), decided["winner"].as_str()), (Some("decided"), Some("the challenger")));
    assert_eq!(decided["dispute"], open["dispute"]);
    let transactions = [&open, &decided].map(|part| part["transactions"].as_array().unwrap().len());
    assert!(transactions.iter().sum::<usize>() <= 8, "{transactions:?}");
    let again = town.run("payer", &["dispute", "lie.json", "--model", "tiny.gguf"]);
    again.fails(3, "was shown to be false before");
}

#[test]
fn a_host_that_runs_defends_an_honest_answer_by_itself() {
    let town = Town::new();
    let (node, honest, evidence) = served(&town);
    let bench = Bench::new(&town);
    let answer = bench.answer(&honest.receipt, &evidence);
    let (mut trace, _) = bench.bent(&answer, Part::Query, |word| word ^ 1);
    runtime().block_on(async {
        let liar = Party::new(&town, HostKey::from_bytes(&SECRET).unwrap()).await;
        let roots = (honest.receipt.state_root, honest.receipt.output_root);
        let terms = liar.terms(&bench, &answer, roots).await;
        let weights = Weights::new(&bench.file, &bench.model).unwrap();
        let mut player =
            Player { side: Side::Challenger, trace: &mut trace, weights: &weights, prompt: &answer.prompt };
        let deployment: Deployment =
            serde_json::from_slice(&fs::read(town.desk.path("chain/deployment.json")).unwrap()).unwrap();
        let bond = claim::Amount::new(10_000_000);
        ledger::dollar::approve(&liar.account, deployment.dollar.unwrap(), liar.court, bond).await.unwrap();
        let learn = ledger::dispute::learn_call(&bench.model).unwrap();
        liar.account.send(deployment.judge, &learn).await.unwrap();
        let charge = ledger::game::Charge {
            statement: ledger::dispute::statement(&honest.receipt),
            signature: honest.signature.to_bytes(),
            opening: ledger::dispute::opening(&evidence, &answer.sampling),
            bond: bond.get(),
        };
        let challenge = player.challenge().unwrap();
        let (opened, _) = hearing::challenge(&liar.account, liar.court, &charge, &challenge).await.unwrap();
        let mut hearing = Hearing::new(liar.account.clone(), liar.court, opened, terms).unwrap();
        let client = liar.account.client().clone();
        let purse = || ledger::dollar::balance(&client, deployment.dollar.unwrap(), liar.account.address());
        let before = purse().await.unwrap();
        // The liar plays its trace to the end, or until it has nothing to accuse and lets its time pass.
        if hearing.play(&mut player, &mut |_| ()).await.is_err() {
            client.development("evm_increaseTime", (100_000,)).await.unwrap();
            client.development("evm_mine", ()).await.unwrap();
        }
        let about = About::Receipt(honest.id());
        while !hearing::open_disputes(&client, liar.court, about).await.unwrap().is_empty() {}
        hearing.look().await.unwrap();
        assert_eq!(hearing.game().verdict.map(|verdict| verdict.winner), Some(Side::Host));
        assert_eq!(purse().await.unwrap(), before);
    });
    assert_eq!(node.stop(), Some(0));
}
