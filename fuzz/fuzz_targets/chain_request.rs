//! Bodies of requests to the embedded chain, one a line, so that a later one meets what an earlier one did. Every answer is
//! JSON-RPC 2.0, a question changes nothing, and the chain that is opened again is the one that was closed.

#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use devchain::{Answer, Answering, Chain, Config, Devchain, Durability, Key, Message, Mining};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// Bodies of one run. More find nothing that fewer do not.
const BODIES_MAX: usize = 16;

/// Beginnings of the names of methods that change something; and an escape may hide a name.
const CHANGING: [&[u8]; 5] = [b"evm_", b"anvil_", b"hardhat_", b"eth_send", b"\\u"];

/// Makes a contract that adds what it is called with to its first slot, logs the sum and returns it.
const COUNTER: &[u8] = &[
    0x60, 0x13, 0x60, 0x0c, 0x5f, 0x39, 0x60, 0x13, 0x5f, 0xf3, 0x00, 0x00, // return the rest
    0x5f, 0x54, 0x5f, 0x35, 0x01, 0x5f, 0x55, // slot 0 += argument
    0x5f, 0x54, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xa0, // log0(slot 0)
    0x60, 0x20, 0x5f, 0xf3, // return it
];

/// What the chain has at one moment, as far as readers see it.
type Sight = (String, String, Vec<String>);

struct Ground {
    runtime: Runtime,
    folder: TempDir,
    /// The file of a chain with some blocks.
    file: Vec<u8>,
    /// One that is only asked.
    chain: Devchain,
    answering: Answering,
}

fn config() -> Config {
    let mut config = Config { durability: Durability::Process, gas_limit: 1_000_000, ..Config::development() };
    config.genesis_timestamp = Some(1_700_000_000);
    config.limits.block_gas = config.gas_limit;
    config.limits.mined_at_once = 64;
    config.limits.states = 64;
    config.limits.request_bytes = 1 << 16;
    config.limits.batch = 16;
    config
}

static GROUND: LazyLock<Ground> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("first");
    let chain = Devchain::open(&path, config()).expect("a new chain");
    runtime.block_on(chain.with(grow)).expect("the chain is open");
    drop(chain);
    let file = std::fs::read(&path).expect("the chain's file");
    let chain = Devchain::open(&path, config()).expect("the same chain");
    let answering = chain.answering().expect("every method has its own name");
    Ground { runtime, folder, file, chain, answering }
});

/// Makes blocks with payments, a contract that logs, and a call of it.
fn grow(chain: &mut Chain, now: u64) {
    let [alice, bob] = [0, 1].map(|index| Key::development()[index].address());
    let created = chain.execute(&Message::create(alice, COUNTER), now).expect("a creation");
    let contract = created.block.transactions()[0].creates().expect("a contract");
    for (sender, to) in [(alice, contract), (bob, contract), (alice, bob)] {
        chain.execute(&Message::call(sender, to, vec![1; 32]), now).expect("a call");
    }
}

fn sight(chain: &Devchain) -> Sight {
    let published = chain.published();
    let waiting = published.pool.iter().map(|sent| sent.hash().to_string()).collect();
    (published.history.head().hash().to_string(), published.history.state().root().to_string(), waiting)
}

fn changes(bytes: &[u8]) -> bool {
    CHANGING.iter().any(|name| bytes.windows(name.len()).any(|part| part == *name))
}

/// Asks, and checks that what comes is an answer.
fn ask(ground: &Ground, answering: &Answering, body: &[u8]) {
    let Answer { status, body: answer } = ground.runtime.block_on(answering.answer(body));
    if status != 200 {
        assert!((400..500).contains(&status), "status {status}");
        return;
    }
    if answer.is_empty() {
        // Who wants no answer gets none.
        return;
    }
    match serde_json::from_slice(&answer).expect("an answer is JSON") {
        Value::Array(answers) => answers.iter().for_each(check),
        answer => check(&answer),
    }
}

/// Checks one answer against JSON-RPC 2.0.
fn check(answer: &Value) {
    assert_eq!(answer["jsonrpc"], "2.0", "{answer}");
    assert!(answer.get("id").is_some(), "{answer}");
    match (answer.get("result"), answer.get("error")) {
        (Some(_), None) => {}
        (None, Some(error)) => assert!(error["code"].is_i64() && error["message"].is_string(), "{answer}"),
        _ => panic!("either a result or an error: {answer}"),
    }
}

/// Plays bodies on a chain of their own, closes it, and opens it again.
fn play(ground: &Ground, path: &Path, bodies: &[&[u8]]) {
    std::fs::write(path, &ground.file).expect("a file");
    let chain = Devchain::open(path, config()).expect("a chain that was closed opens");
    let answering = chain.answering().expect("every method has its own name");
    for body in bodies {
        let before = sight(&chain);
        ask(ground, &answering, body);
        if !changes(body) {
            assert_eq!(sight(&chain), before, "a question changes nothing");
        }
        // Blocks that come by the clock would come at another time in the next run.
        let stop = |chain: &mut Chain, now| match chain.mining() {
            Mining::Every(_) => chain.set_mining(Mining::Manual, now),
            Mining::Instant | Mining::Manual => Ok(()),
        };
        ground.runtime.block_on(chain.with(stop)).expect("the chain is open").expect("the chain stops");
    }
    let before = sight(&chain);
    drop((answering, chain));
    let chain = Devchain::open(path, config()).expect("whatever was done, the file is whole");
    assert_eq!(sight(&chain), before, "what was closed is opened");
    drop(chain);
    std::fs::remove_file(path).expect("the file is there");
}

fuzz_target!(|bytes: &[u8]| {
    let ground = &*GROUND;
    let bodies: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').take(BODIES_MAX).collect();
    if changes(bytes) {
        return play(ground, &ground.folder.path().join("played"), &bodies);
    }
    let before = sight(&ground.chain);
    for body in bodies {
        ask(ground, &ground.answering, body);
    }
    assert_eq!(sight(&ground.chain), before, "a question changes nothing");
});
