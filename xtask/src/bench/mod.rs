//! `cargo xtask bench NAME`: numbers of the real program beside those of a peer, taken in one run.
//!
//! A ratio above 1 is better for Candor, whatever the unit. A peer that is not installed is named as missing.

mod batch;
mod chain;
mod engine;
mod gateway;
mod gguf;
mod http;
mod memory;
mod node;
mod peer;
mod perplexity;
mod side_by_side;
mod start;
mod verify;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::command::{output, program};
use crate::setup::DEFAULT_MODEL;
use crate::table;

/// What to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// Prefill and decode beside llama.cpp; what receipts cost
    Engine,
    /// Checking an answer beside generating it
    Verify,
    /// Eight requests at once beside one
    Batch,
    /// Peak memory beside the model file and the KV cache
    Memory,
    /// Seconds from the command to the ready line
    Start,
    /// Latency and requests per second with a trivial model
    Gateway,
    /// Perplexity beside llama.cpp
    Perplexity,
    /// Greedy answers to twenty prompts beside llama.cpp
    SideBySide,
    /// Transactions per second of the embedded chain beside anvil
    Chain,
}

/// What to measure, and on what.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    name: Name,
    /// One JSON object a row
    #[arg(long)]
    json: bool,
    /// A model that Candor knows by name, or a GGUF file
    #[arg(long, default_value = DEFAULT_MODEL)]
    model: String,
    /// Threads of Candor and of the peer; all cores when not said
    #[arg(long)]
    threads: Option<NonZeroUsize>,
    /// How often to measure; the best run counts
    #[arg(long, default_value = "3")]
    repeat: NonZeroUsize,
    /// Text for `perplexity`
    #[arg(long, default_value = "../shared/data/text/tinyshakespeare.txt")]
    text: PathBuf,
}

/// The setting of one run.
struct Setting {
    model: PathBuf,
    threads: usize,
    repeat: usize,
    text: PathBuf,
}

/// Which numbers are better.
#[derive(Debug, Clone, Copy)]
enum Better {
    Higher,
    Lower,
}

/// One measured case. The field order is the published one.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    bench: String,
    case: String,
    unit: String,
    ours: f64,
    peer: Option<f64>,
    peer_name: Option<String>,
    ratio: Option<f64>,
}

impl Row {
    fn new(bench: &str, case: impl Into<String>, unit: &str, ours: f64) -> Self {
        let (bench, unit) = (bench.to_owned(), unit.to_owned());
        Self { bench, case: case.into(), unit, ours, peer: None, peer_name: None, ratio: None }
    }

    /// Sets the peer's number beside ours; without one the peer is only named.
    fn beside(mut self, peer_name: &str, peer: Option<f64>, better: Better) -> Self {
        self.peer_name = Some(peer_name.to_owned());
        self.peer = peer;
        self.ratio = peer.map(|peer| match better {
            Better::Higher => self.ours / peer,
            Better::Lower => peer / self.ours,
        });
        self
    }

    fn cells(&self) -> [String; 6] {
        let peer = match (&self.peer_name, self.peer) {
            (None, _) => String::new(),
            (Some(_), Some(peer)) => number(peer),
            (Some(_), None) => "missing".to_owned(),
        };
        let ratio = self.ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let peer_name = self.peer_name.clone().unwrap_or_default();
        [format!("{}: {}", self.bench, self.case), self.unit.clone(), number(self.ours), peer, peer_name, ratio]
    }
}

/// Four significant digits for small numbers, whole ones for large.
fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 1000.0 => format!("{value:.0}"),
        middle if middle >= 100.0 => format!("{value:.1}"),
        small if small >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

/// Measures and prints.
pub(crate) fn execute(options: &Options) -> Result<()> {
    if options.name == Name::Chain {
        // It runs no model.
        let rows = chain::measure(options.repeat.get())?;
        return print(options, &rows, &format!("best of {}", options.repeat));
    }
    let node = node::Program::build()?;
    let threads =
        options.threads.map_or_else(std::thread::available_parallelism, Ok).context("cannot count the cores")?;
    let setting = Setting {
        model: node.model(&options.model)?,
        threads: threads.get(),
        repeat: options.repeat.get(),
        text: crate::layout::root().join(&options.text),
    };
    let rows = match options.name {
        Name::Engine => engine::measure(&node, &setting)?,
        Name::Verify => verify::measure(&node, &setting)?,
        Name::Batch => batch::measure(&node, &setting)?,
        Name::Memory => memory::measure(&node, &setting)?,
        Name::Start => start::measure(&node, &setting)?,
        Name::Gateway => gateway::measure(&node, &setting)?,
        Name::Perplexity => perplexity::measure(&node, &setting)?,
        Name::SideBySide => side_by_side::measure(&node, &setting, !options.json)?,
        Name::Chain => Vec::new(),
    };
    let model = setting.model.file_name().map(|name| name.display().to_string()).unwrap_or_default();
    print(options, &rows, &format!("{model}, {threads} threads, best of {}", setting.repeat))
}

/// Prints the rows, under a line that says how they came about.
fn print(options: &Options, rows: &[Row], how: &str) -> Result<()> {
    if options.json {
        for row in rows {
            println!("{}", serde_json::to_string(row)?);
        }
        return Ok(());
    }
    println!("{}", machine()?);
    println!("{how}; a ratio above 1 is better for Candor");
    let cells = rows.iter().map(Row::cells).collect::<Vec<_>>();
    println!("{}", table::render(["case", "unit", "ours", "peer", "peer name", "ratio"], &cells));
    Ok(())
}

/// Where and of what the numbers are: processor, cores, commit.
fn machine() -> Result<String> {
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let name = name.map_or("unknown processor", |(_, name)| name);
    let cores = std::thread::available_parallelism()?;
    let commit = output(&mut program("git", &["describe", "--always", "--dirty", "--exclude=*"]))?;
    Ok(format!("{name}, {cores} cores; commit {}", commit.trim()))
}

/// The largest of some measurements.
fn highest(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().fold(0.0, f64::max)
}

/// The smallest of some measurements.
fn lowest(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
mod tests {
    use super::{Better, Row};

    #[test]
    fn a_ratio_above_one_is_better_whatever_the_unit() {
        let faster = Row::new("engine", "decode", "tokens/s", 30.0).beside("x", Some(20.0), Better::Higher);
        let sooner = Row::new("verify", "answer", "s", 2.0).beside("x", Some(3.0), Better::Lower);
        assert_eq!((faster.ratio, sooner.ratio), (Some(1.5), Some(1.5)));
    }

    #[test]
    fn a_missing_peer_is_named() {
        let row = Row::new("engine", "decode", "tokens/s", 30.0).beside("llama.cpp", None, Better::Higher);
        assert_eq!(row.cells()[3..], ["missing", "llama.cpp", ""].map(str::to_owned));
        assert_eq!(
            serde_json::to_string(&row).unwrap_or_default(),
            r#"{"bench":"engine","case":"decode","unit":"tokens/s","ours":30.0,"peer":null,"peer_name":"llama.cpp","ratio":null}"#
        );
    }
}
