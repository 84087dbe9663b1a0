//! Transactions per second of the embedded chain beside anvil, by one script.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

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

/// How often a chain that does not say when it answers is asked, and how long the pauses are: ten seconds in all.
const ATTEMPTS: usize = 1_000;
const PAUSE: Duration = Duration::from_millis(10);

/// A chain in a process of its own.
struct Chain {
    child: Child,
    url: String,
}

impl Chain {
    /// The embedded chain, which says where it answers.
    fn ours(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {}", text(&command)))?;
        let mut url = String::new();
        BufReader::new(child.stdout.take().context("its output was just piped")?).read_line(&mut url)?;
        Ok(Self { child, url: url.trim().to_owned() })
    }

    /// Anvil on a port that was free a moment ago. It is to print nothing, which would cost it time, so that it cannot say
    /// where it answers either.
    fn anvil(mut command: Command) -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        command.arg(address.port().to_string()).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn().with_context(|| format!("cannot start {}", text(&command)))?;
        let chain = Self { child, url: format!("http://{address}") };
        for _ in 0..ATTEMPTS {
            if TcpStream::connect(address).is_ok() {
                return Ok(chain);
            }
            std::thread::park_timeout(PAUSE);
        }
        bail!("{} does not answer", text(&command))
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
    let mut theirs = Rates::new();
    let mut ours = vec![Rates::new(); KEEPING.len()];
    // In turns, so that a busy hour of the machine falls on both.
    for _ in 0..repeat {
        if anvil.exists() {
            let command = program(&anvil, &["--silent", "--hardfork", "prague", "--port"]);
            take(&mut theirs, &Chain::anvil(command)?)?;
        }
        for ((_, arguments), ours) in KEEPING.iter().zip(&mut ours) {
            measure_ours(arguments, ours)?;
        }
    }
    let mut rows = Vec::new();
    for ((keeping, _), ours) in KEEPING.iter().zip(&ours) {
        for (case, rate) in ours {
            let row = Row::new("chain", format!("{case}, {keeping}"), "transactions/s", *rate);
            rows.push(row.beside(PEER, theirs.get(case).copied(), Better::Higher));
        }
    }
    Ok(rows)
}

/// The highest rate of each case so far.
type Rates = BTreeMap<String, f64>;

fn measure_ours(arguments: &[&str], rates: &mut Rates) -> Result<()> {
    let folder = layout::root().join("target/bench-chain");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut command = program(layout::root().join("target/release/examples/serve"), arguments);
    if !arguments.is_empty() {
        command.arg("--data").arg(folder.join("chain.redb"));
    }
    let measured = take(rates, &Chain::ours(command)?);
    std::fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    measured
}

/// Runs the script on a chain that nobody has used yet.
fn take(rates: &mut Rates, chain: &Chain) -> Result<()> {
    let mut script = program("node", &["bench/chain/transactions.mjs"]);
    let printed = output(script.arg(layout::node()).arg(&chain.url).arg(TRANSACTIONS))?;
    let found: Rates = serde_json::from_str(&printed).context("the script printed other than rates")?;
    for (case, rate) in found {
        let best = rates.entry(case).or_default();
        *best = highest([*best, rate]);
    }
    Ok(())
}
