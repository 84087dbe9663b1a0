//! The same scripts on this chain and on anvil, in viem, ethers and cast: they get the same answers.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Output};

use devchain::Key;
use serde_json::{Value, json};

use crate::contract::{COUNTER, creation, word};
use crate::http::Client;
use crate::process::{Packages, Process, foundry_package};

/// Where the chains are known to differ: the step's beginning, the end of the path in its answer, and why that is right.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    ("", ".mixHash", "each chain draws its own random numbers"),
    ("", ".size", "anvil leaves the empty list of withdrawals out of the block whose length it says"),
    ("", ".blockTimestamp", "anvil adds it to receipts, as a number in place of a quantity"),
    (
        "eth_getBlockByNumber [\"0x0\"",
        ".stateRoot",
        "anvil's first block says that its state is empty, which it is not",
    ),
    ("eth_getBlockByNumber [\"earliest\"", ".stateRoot", "the same"),
    ("eth_getBlockByNumber [\"finalized\"", ".stateRoot", "the same"),
    ("trace of", ".gas", "the limit of the transaction, as in geth; anvil takes the intrinsic gas off"),
    ("debug_traceCall", ".gas", "the same"),
    ("steps of 0x", ".error", "geth's words; anvil names a variant of its source"),
    ("steps of 0x", ".op", "the same"),
    ("dump", "2935.nonce", "a contract has a nonce, this one of the protocol too (EIP-2935); on anvil it has none"),
    ("eth_getBalance []", ".error.data", "what is wrong with the arguments"),
    ("heads", ".transactions", "a header has no transactions; anvil sends whole blocks"),
    ("heads", ".uncles", "the same"),
    ("heads", ".withdrawals", "the same"),
    ("replaces by too little", "", "as on public networks, a replacement pays a tenth more; on anvil any more will do"),
    ("payment of an impersonated contract", ".r", "in the place of a signature stands the sender"),
    ("payment of an impersonated contract", ".s", "the same"),
    ("payment of an impersonated contract", ".transactionsRoot", "the same"),
    ("payment of an impersonated contract: send", "", "the same"),
];

/// What was found on this chain for a hash that the other chain named. Blocks hold random numbers, so that their hashes
/// differ; but the same name must always mean the same block.
type Names = HashMap<String, String>;

/// Lists what differs between two answers, where it may not.
fn differences(step: &str, theirs: &Value, ours: &Value, names: &mut Names) -> Vec<String> {
    let mut found = Vec::new();
    compare("", theirs, ours, &mut |path, theirs, ours| {
        let is_known = DIFFERENCES.iter().any(|(start, end, _)| step.starts_with(start) && path.ends_with(end));
        if !is_known && !is_renamed(theirs, ours, names) {
            let short = |value: &Value| value.to_string().chars().take(200).collect::<String>();
            found.push(format!("{step}: {path}: anvil {}, ours {}", short(theirs), short(ours)));
        }
    });
    found
}

fn is_renamed(theirs: &Value, ours: &Value, names: &mut Names) -> bool {
    let hash =
        |value: &Value| value.as_str().filter(|text| text.starts_with("0x") && text.len() == 66).map(str::to_owned);
    match (hash(theirs), hash(ours)) {
        (Some(theirs), Some(ours)) => *names.entry(theirs).or_insert_with(|| ours.clone()) == ours,
        _ => false,
    }
}

fn compare(path: &str, theirs: &Value, ours: &Value, differ: &mut impl FnMut(&str, &Value, &Value)) {
    match (theirs, ours) {
        (Value::Object(left), Value::Object(right)) => {
            let mut keys: Vec<_> = left.keys().chain(right.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let at = format!("{path}.{key}");
                compare(&at, left.get(key).unwrap_or(&Value::Null), right.get(key).unwrap_or(&Value::Null), differ);
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                compare(&format!("{path}[{index}]"), left, right, differ);
            }
        }
        _ if theirs == ours => {}
        _ => differ(path, theirs, ours),
    }
}

fn artefact() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contracts/artefacts/DevDollar.json")
}

fn checked(output: Output) -> String {
    let Output { status, stdout, stderr } = output;
    assert!(status.success(), "{status}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

fn transcript(packages: &Packages, url: &str, hardfork: &str) -> Vec<(String, Value)> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/transcript.mjs");
    let output = Command::new("node").arg(script).arg(packages.path()).arg(url).arg(artefact()).arg(hardfork).output();
    serde_json::from_str(&checked(output.unwrap())).unwrap()
}

/// Runs the transcript on both chains with a hardfork.
fn check_transcripts(hardfork: &str, is_known: impl Fn(&str) -> bool) {
    let Some(packages) = Packages::with(&["viem", "ethers", &foundry_package("anvil")]) else { return };
    let arguments = ["--timestamp", "1700000000", "--hardfork", hardfork];
    // Anvil keeps steps only where it is told to; the flag changes nothing else.
    let (theirs, ours) = (packages.anvil(&[&arguments[..], &["--steps-tracing"]].concat()), Process::ours(&arguments));
    let (theirs, ours) = (transcript(&packages, &theirs.url, hardfork), transcript(&packages, &ours.url, hardfork));
    assert!(ours.len() > 300, "only {} steps", ours.len());
    assert_eq!(ours.len(), theirs.len());
    let mut names = Names::new();
    let mut found = Vec::new();
    for ((step, theirs), (same, ours)) in theirs.iter().zip(&ours) {
        assert_eq!(step, same);
        found
            .extend(differences(step, theirs, ours, &mut names).into_iter().filter(|difference| !is_known(difference)));
    }
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}

/// The rules without the contract that remembers block hashes, so that state roots and proofs must be equal too.
#[test]
fn viem_and_ethers_get_anvils_answers_under_cancun() {
    check_transcripts("cancun", |_| false);
}

#[test]
fn viem_and_ethers_get_anvils_answers_under_prague() {
    // The state holds the hashes of blocks, which hold random numbers.
    check_transcripts("prague", |difference| difference.contains(".stateRoot: "));
}

#[test]
fn dumps_go_from_one_chain_to_the_other() {
    let Some(packages) = Packages::with(&[&foundry_package("anvil")]) else { return };
    let start = || [Process::ours(&[]), packages.anvil(&[])].map(|chain| (Client::connect(&chain.url).unwrap(), chain));
    let (of, to) = (start(), start().into_iter().rev());
    let alice = Key::development()[0].address();
    for ((mut old, _chain), (mut new, _other)) in of.into_iter().zip(to) {
        let deployment = json!([{ "from": alice, "data": creation(COUNTER) }]);
        let contract = alice.create(0);
        old.call("eth_sendTransaction", &deployment);
        old.call("evm_mine", &json!([]));
        old.call("eth_sendTransaction", &json!([{ "from": alice, "to": contract, "data": word(40) }]));
        old.call("evm_mine", &json!([]));
        let dump = old.call("anvil_dumpState", &json!([]));
        assert_eq!(new.call("anvil_loadState", &json!([dump])), true);
        let call = json!([{ "to": contract, "data": word(2) }, "latest"]);
        assert_eq!(new.call("eth_call", &call), json!(word(42)));
        assert_eq!(new.call("eth_getTransactionCount", &json!([alice, "latest"])), "0x2");
        assert_eq!(
            new.call("eth_getBalance", &json!([alice, "latest"])),
            old.call("eth_getBalance", &json!([alice, "latest"]))
        );
    }
}

/// The key of the first account.
const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const ALICE: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
const BOB: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
/// The address of the first account's third contract.
const CONTRACT: &str = "0x9fE46736679d2D9a65F0992F2272dE9f3c7fa6e0";

/// What cast is asked to do. `CODE` stands for the code of a contract.
const CAST: &[&[&str]] = &[
    &["chain-id"],
    &["block-number"],
    &["gas-price"],
    &["rpc", "anvil_setBlockTimestampInterval", "1"],
    &["balance", ALICE],
    &["send", BOB, "--value", "1ether", "--private-key", KEY, "--json"],
    &["send", BOB, "--value", "1", "--legacy", "--private-key", KEY, "--json"],
    &["send", "--private-key", KEY, "--json", "--create", "CODE"],
    &["send", CONTRACT, "mint(address,uint256)", BOB, "500", "--private-key", KEY, "--json"],
    &["send", CONTRACT, "transfer(address,uint256)", ALICE, "20", "--from", BOB, "--unlocked", "--json"],
    &["call", CONTRACT, "balanceOf(address)(uint256)", BOB],
    &["call", CONTRACT, "symbol()(string)"],
    &["call", CONTRACT, "transfer(address,uint256)", BOB, "1000", "--from", ALICE],
    &["estimate", CONTRACT, "mint(address,uint256)", BOB, "1", "--from", ALICE],
    &["logs", "--from-block", "0", "--json"],
    &["logs", "--from-block", "0", "--address", CONTRACT, "Transfer(address,address,uint256)", "--json"],
    &["block", "latest", "--json"],
    &["block", "3", "--full", "--json"],
    &["code", CONTRACT],
    &["codesize", CONTRACT],
    &["storage", CONTRACT, "2"],
    &["nonce", ALICE],
    &["base-fee"],
    &["age"],
    &["rpc", "evm_mine"],
    &["block-number"],
    &["index-erc7201", "a"],
];

#[test]
fn cast_gets_anvils_answers() {
    let Some(packages) = Packages::with(&[&foundry_package("anvil"), &foundry_package("cast")]) else { return };
    let arguments = ["--timestamp", "1700000000", "--hardfork", "cancun"];
    let (theirs, ours) = (packages.anvil(&arguments), Process::ours(&arguments));
    let artefact: Value = serde_json::from_slice(&std::fs::read(artefact()).unwrap()).unwrap();
    let code = artefact["bytecode"].as_str().unwrap();
    let mut names = Names::new();
    let mut found = Vec::new();
    for command in CAST {
        let step = command.join(" ");
        let run = |url: &str| {
            let arguments = command.iter().map(|argument| if *argument == "CODE" { code } else { argument });
            let mut cast = Command::new(packages.foundry("cast"));
            let output = cast.args(arguments).env("ETH_RPC_URL", url).output().unwrap();
            let text = if output.status.success() { output.stdout } else { output.stderr };
            let text = String::from_utf8(text).unwrap();
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        };
        found.extend(differences(&step, &run(&theirs.url), &run(&ours.url), &mut names));
    }
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}
