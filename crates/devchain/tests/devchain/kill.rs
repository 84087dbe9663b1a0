//! A chain that is killed at any moment: what it has acknowledged is there, and no block is there by half.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use alloy_primitives::{Address, B256, U256};
use devchain::{Config, Devchain, Key, Transaction};
use serde_json::json;

use crate::contract::stranger;
use crate::http::Client;
use crate::process::Process;

/// Clients that send at once.
const CLIENTS: usize = 4;

/// Kills of one file, and how many more where the suite may take its time.
const ROUNDS: usize = 6;
const ROUNDS_SLOW: usize = 100;

/// Who receives a wei with every transaction.
fn recipient() -> Address {
    stranger(77)
}

/// Sends from an account until the chain is gone, and notes what it has acknowledged. The sender of the answer that
/// completes the count is the one that kills.
fn send(url: &str, sender: Address, acknowledged: &Mutex<HashSet<B256>>, count: &AtomicUsize, kill: &dyn Fn(usize)) {
    let Ok(mut client) = Client::connect(url) else { return };
    let request =
        json!([{ "from": sender, "to": recipient(), "value": "0x1", "gas": "0x5208", "gasPrice": "0x174876e800" }]);
    while let Some(answer) = client.try_call("eth_sendTransaction", &request) {
        let hash: B256 = serde_json::from_value(answer["result"].clone()).unwrap_or_else(|_| panic!("{answer}"));
        acknowledged.lock().unwrap().insert(hash);
        kill(count.fetch_add(1, Ordering::SeqCst) + 1);
    }
}

/// Lets clients send until so many answers have come, and kills the chain in the midst of the next.
fn round(arguments: &[&str], answers: usize, acknowledged: &Mutex<HashSet<B256>>) {
    let process = Process::ours(arguments);
    let url = process.url.clone();
    let victim = Mutex::new(Some(process));
    let count = AtomicUsize::new(0);
    let kill = |reached: usize| {
        if reached == answers {
            victim.lock().unwrap().take().unwrap().kill();
        }
    };
    std::thread::scope(|scope| {
        for sender in Key::development().iter().take(CLIENTS).map(Key::address) {
            let (url, count, kill) = (&url, &count, &kill);
            scope.spawn(move || send(url, sender, acknowledged, count, kill));
        }
    });
}

/// Opens the file and checks every block of it against every other thing in it.
fn check(path: &Path, acknowledged: &HashSet<B256>) -> usize {
    let mut config = Config::development();
    config.limits.blocks = usize::MAX;
    // Opening computes the root of all accounts and compares it with the stored one.
    let chain = Devchain::open(path, config).unwrap();
    let published = chain.published();
    let (history, state) = (&published.history, published.history.state());
    let mut found = HashSet::new();
    for (height, block) in (0..).zip(history.blocks()) {
        let header = block.header();
        assert_eq!(header.number, height);
        assert_eq!(
            header.parent_hash,
            height.checked_sub(1).map_or(B256::ZERO, |parent| history.hash(parent).unwrap())
        );
        let envelopes: Vec<_> = block.transactions().iter().map(Transaction::envelope).collect();
        assert_eq!(header.transactions_root, alloy_consensus::proofs::calculate_transaction_root(&envelopes));
        assert_eq!(header.receipts_root, alloy_consensus::proofs::calculate_receipt_root(block.receipts()));
        for transaction in block.transactions() {
            assert!(found.insert(transaction.hash()), "no transaction is in two blocks");
            assert_eq!(history.place(transaction.hash()).unwrap().block, height);
        }
    }
    assert_eq!(history.head().header().state_root, state.root());
    assert_eq!(state.balance(recipient()), U256::from(found.len()), "each transaction has paid once");
    let sent: u64 = Key::development().iter().map(|key| state.nonce(key.address())).sum();
    assert_eq!(sent, found.len() as u64);
    let lost: Vec<_> = acknowledged.difference(&found).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    found.len()
}

fn kill_again_and_again(durability: &str, rounds: usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain");
    let arguments = ["--data", path.to_str().unwrap(), "--durability", durability];
    let acknowledged = Mutex::new(HashSet::new());
    let mut total = 0;
    for index in 0..rounds {
        // From the very first block on, and after more of them each time.
        round(&arguments, 1 + index * 17 % 90, &acknowledged);
        let found = check(&path, &acknowledged.lock().unwrap());
        assert!(found > total, "blocks of earlier rounds stay");
        total = found;
    }
}

fn rounds() -> usize {
    if std::env::var_os("CANDOR_SLOW").is_some() { ROUNDS_SLOW } else { ROUNDS }
}

#[test]
fn a_killed_chain_loses_nothing_that_it_acknowledged() {
    kill_again_and_again("power", rounds());
}

#[test]
fn neither_does_one_that_does_not_flush_the_disk() {
    kill_again_and_again("process", rounds());
}
