//! Transactions per second of the embedded chain beside anvil, by one script.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use serde_json::{Map, Value};

use super::{Better, Row, highest};
use crate::command::{cargo, output, program, run, text};
use crate::layout;

/// Transactions of each case.
const TRANSACTIONS: &str = "1000";

/// How the peer is called in tables.
const PEER: &str = "anvil";

/// What the embedded chain is measured with: how it keeps its blocks, and the arguments for that. Anvil keeps none.
const KEEPING: &[(&str, &[&str])] = &[
    ("disk flushed before every answer", &["--durability", "power"]),
    ("blocks survive the process", &["--durability", "process"]),
    ("in memory", &[]),
];

/// A chain in a process of its own.
struct Chain {
    child: Child,
    url: String,
}

impl Chain {
    fn start(command: &mut Command, url: impl Fn(&str) -> Option<String>) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {}", text(command)))?;
        let lines = BufReader::new(child.stdout.take().context("its output was just piped")?).lines();
        let found = lines.map_while(Result::ok).find_map(|line| url(&line));
        // Made before the check, so that the process ends whatever it has said.
        let chain = Self { child, url: found.unwrap_or_default() };
        anyhow::ensure!(!chain.url.is_empty(), "{} does not say where it answers", text(command));
        Ok(chain)
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn measure(repeat: usize) -> Result<Vec<Row>> {
    run(&mut cargo(&["build", "--quiet", "--release", "--locked", "--package", "devchain", "--example", "serve"]))?;
    let anvil = layout::foundry(PEER);
    let theirs = if anvil.exists() {
        Some(best(repeat, |_| {
            let mut command = program(&anvil, &["--port", "0", "--hardfork", "prague"]);
            Chain::start(&mut command, |line| Some(format!("http://{}", line.strip_prefix("Listening on ")?)))
        })?)
    } else {
        None
    };
    let mut rows = Vec::new();
    for (keeping, arguments) in KEEPING {
        let folder = layout::root().join("target/bench-chain");
        let ours = best(repeat, |index| {
            let mut command = program(layout::root().join("target/release/examples/serve"), arguments);
            if !arguments.is_empty() {
                std::fs::create_dir_all(&folder)?;
                command.arg("--data").arg(folder.join(format!("{index}.redb")));
            }
            Chain::start(&mut command, |line| line.starts_with("http://").then(|| line.to_owned()))
        })?;
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        for (case, rate) in &ours {
            let peer = theirs.as_ref().and_then(|theirs| theirs.get(case)).and_then(Value::as_f64);
            let row = Row::new("chain", format!("{case}, {keeping}"), "transactions/s", rate.as_f64().unwrap_or(0.0));
            rows.push(row.beside(PEER, peer, Better::Higher));
        }
    }
    Ok(rows)
}

/// The highest rate of each case over several chains, each new.
fn best(repeat: usize, start: impl Fn(usize) -> Result<Chain>) -> Result<Map<String, Value>> {
    let mut found = Map::new();
    for index in 0..repeat {
        let chain = start(index)?;
        let mut script = program("node", &["bench/chain/transactions.mjs"]);
        let printed = output(script.arg(layout::node()).arg(&chain.url).arg(TRANSACTIONS))?;
        let rates: Map<String, Value> =
            serde_json::from_str(&printed).context("the script printed other than rates")?;
        for (case, rate) in rates {
            let rates = [found.get(&case).and_then(Value::as_f64), rate.as_f64()];
            found.insert(case, highest(rates.into_iter().flatten()).into());
        }
    }
    Ok(found)
}
