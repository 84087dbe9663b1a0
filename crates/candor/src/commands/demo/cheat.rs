//! `candor demo cheat`: every lie, and every false accusation, before the court.

use std::num::NonZeroUsize;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use arith::Machine;
use claim::{HostKey, Price};
use clap::Args;
use court::dispute::Side;
use court::{Case, Known, Verdict};
use devchain::{Config, Devchain};
use ledger::development::Stage;
use ledger::{Client, Rules};
use model::Model;
use serde_json::json;

use super::lies::{Asked, Bill, Lie, Told};
use super::models;
use super::scene::{Act, Conduct, Outcome, Scene};
use crate::commands::{Context, block_on};
use crate::exit::Exit;
use crate::output::Colour;
use crate::{machine, output};

/// What the host puts up, in micro-dollars.
const STAKE: u128 = 100_000_000;
/// What the user puts into a channel, in micro-dollars.
const DEPOSIT: u128 = 5_000_000;
/// The price of an answer, so high that an answer of some tokens costs something to see.
const PRICE: Price = Price { prompt_per_million: 1_000_000, output_per_million: 4_000_000 };

/// A host cheats, is taken to court, and loses its bond.
///
/// A chain in memory, the contracts on it, a host with stake and a user with a channel. The host tells four lies, one after the
/// other; the user verifies, opens a dispute, and the game goes down to one word, which the contract computes again. Then the reverse: a
/// false accuser, a silent host, a silent challenger.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  candor demo cheat\n  candor demo cheat --json\n  candor demo cheat --model gemma3-270m --tokens 8"
)]
pub(crate) struct Cheat {
    /// The model to lie about; the catalogue's default if none is named
    #[arg(long, value_name = "NAME|FILE.gguf")]
    model: Option<String>,
    /// Tokens of an answer, 12 by default
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(3..=256))]
    tokens: u32,
    /// What the user asks; a story about the sea by default
    #[arg(long, value_name = "TEXT", default_value = "Tell me a long story about the sea.")]
    question: String,
    /// Threads to compute with, all cores by default
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

/// What is played.
#[derive(Clone, Copy)]
struct Play {
    name: &'static str,
    lie: Option<Lie>,
    conduct: Conduct,
}

fn plays() -> Vec<Play> {
    let lies = Lie::ALL.map(|lie| Play { name: lie.name(), lie: Some(lie), conduct: Conduct::Both });
    let reverse = [
        Play { name: "false accuser", lie: None, conduct: Conduct::FalseAccuser },
        Play { name: "silent host", lie: Some(Lie::FlippedNibble), conduct: Conduct::SilentHost },
        Play { name: "silent challenger", lie: None, conduct: Conduct::SilentChallenger },
    ];
    lies.into_iter().chain(reverse).collect()
}

/// A model and its file.
struct Loaded {
    file: Vec<u8>,
    model: Model,
}

impl Loaded {
    fn new(file: Vec<u8>, machine: &Machine) -> anyhow::Result<Self> {
        let model = Model::load(&file, machine, &|_| ())?;
        Ok(Self { file, model })
    }
}

/// The model as it is, with a flipped nibble, and in eight bits.
struct Models {
    plain: Loaded,
    bent: Loaded,
    eight: Loaded,
}

impl Models {
    /// The model that a play claims, and the one that its host has.
    fn of(&self, play: Play) -> (&Loaded, &Loaded) {
        match play.lie {
            Some(Lie::FlippedNibble) => (&self.plain, &self.bent),
            Some(Lie::FourBitsSoldAsEight) => (&self.eight, &self.plain),
            _ => (&self.plain, &self.plain),
        }
    }
}

/// Runs the command.
pub(crate) fn run(context: &Context<'_>, command: &Cheat) -> anyhow::Result<Exit> {
    let machine = machine::build(command.threads, context.environment)?;
    context.config.data.create()?;
    block_on(play_all(context, command, machine))?;
    Ok(Exit::Done)
}

async fn play_all(context: &Context<'_>, command: &Cheat, machine: Machine) -> anyhow::Result<()> {
    let fetcher = context.fetcher();
    let named = command.model.clone().unwrap_or_else(|| fetcher.catalogue().default_entry().name.clone());
    let found = fetcher.resolve(&named, &context.fetch_bars()).await?;
    let file = std::fs::read(&found.path).with_context(|| format!("cannot read {}", found.path.display()))?;
    output::note("loading the model three times: as it is, with a nibble flipped, and in eight bits");
    let models = Models {
        bent: Loaded::new(models::with_flipped_nibble(&file)?, &machine)?,
        eight: Loaded::new(models::in_eight_bits(&file)?, &machine)?,
        plain: Loaded::new(file, &machine)?,
    };
    let chain = Devchain::in_memory(Config::development())?;
    let serving = chain.serve(([127, 0, 0, 1], 0).into())?;
    let client = Client::connect(&format!("http://{}", serving.address())).await?;
    let keys = [new_key()?, new_key()?, new_key()?];
    let rules = Rules::usual();
    output::note("deploying the contracts");
    let stage = Stage::set(&client, &rules, keys.clone(), STAKE).await?;
    for loaded in [&models.plain, &models.eight] {
        stage.learn(&loaded.model).await?;
    }
    let mut rows = Vec::new();
    for (salt, play) in plays().into_iter().enumerate() {
        let channel = stage.open_channel(salt as u64, DEPOSIT).await?;
        let bill = Bill { price: PRICE, channel, client: keys[2].address() };
        let one = One { context, command, stage: &stage, machine: &machine, models: &models, rules: &rules };
        rows.push((play.name, one.play(play, &keys[1], bill).await?));
    }
    serving.stop().await;
    summary(context, &rows)
}

fn new_key() -> anyhow::Result<Arc<HostKey>> {
    let mut entropy = [0; 64];
    getrandom::fill(&mut entropy).map_err(|error| anyhow::anyhow!("the system gives no random bytes: {error}"))?;
    Ok(Arc::new(HostKey::generate(&entropy)))
}

/// What one play needs.
struct One<'a> {
    context: &'a Context<'a>,
    command: &'a Cheat,
    stage: &'a Stage,
    machine: &'a Machine,
    models: &'a Models,
    rules: &'a Rules,
}

impl One<'_> {
    async fn play(&self, play: Play, key: &HostKey, bill: Bill) -> anyhow::Result<Outcome> {
        let (claimed, had) = self.models.of(play);
        let asked = Asked::new(&claimed.model, self.machine, &self.command.question, self.command.tokens)?;
        let trace = match play.lie {
            Some(lie) => asked.lied(lie, &had.model)?,
            None => asked.honest()?,
        };
        let told = asked.sign(trace, key, bill)?;
        self.head(play, &told)?;
        let finding = self.verify(&told, &claimed.model, bill);
        ensure!(finding.is_none() != play.lie.is_some(), "replay does not find what this play is about");
        self.say(&format!("  verify: {}", finding.unwrap_or_else(|| "held".to_owned())))?;
        let before = self.stage.balances().await?;
        let scene = Scene {
            stage: self.stage,
            asked: &asked,
            told,
            conduct: play.conduct,
            move_time: self.rules.move_time,
            files: [&claimed.file, &had.file],
            host_model: &had.model,
        };
        let mut acts = 0;
        let mut tell = |act: &Act| {
            acts += 1;
            // A broken pipe ends the command at its next line.
            let _ = self.say(&format!("  {acts}  {:<10} {:<54} {:>9} gas", name(act.who), act.what, grouped(act.gas)));
        };
        let outcome = scene.play(&mut tell).await?;
        let after = self.stage.balances().await?;
        self.say(&format!(
            "  {} wins: {} moves, the stake is {} (was {}), the channel gives back {}\n",
            name(outcome.winner),
            dollars(outcome.bond_moved),
            dollars(after.stake),
            dollars(before.stake),
            dollars(outcome.freed),
        ))?;
        Ok(outcome)
    }

    fn head(&self, play: Play, told: &Told) -> anyhow::Result<()> {
        let title = self.context.output.paint(Colour::Doubtful, play.name);
        self.say(&format!("{title}\n  answer: {}", court::escaped(told.evidence.text.trim())))
    }

    /// What a replay by the user finds wrong.
    fn verify(&self, told: &Told, model: &Model, bill: Bill) -> Option<String> {
        let known = Known { price: Some(bill.price), channel: Some(bill.channel), ..Known::default() };
        let case = Case { signed: &told.receipt, evidence: &told.evidence, known, window: None };
        match court::replay(&case, model, self.machine, &mut |_, _| ()) {
            Verdict::Held(_) => None,
            Verdict::Refuted(refutation) => {
                let at = refutation.position.map(|position| format!(" at position {position}")).unwrap_or_default();
                Some(format!("refuted, {}{at}", refutation.kind.name()))
            }
            Verdict::Cannot(obstacle) => Some(format!("cannot be checked: {obstacle}")),
        }
    }

    fn say(&self, text: &str) -> anyhow::Result<()> {
        if self.context.output.is_json() { Ok(()) } else { output::line(text) }
    }
}

/// The lines or objects that the command ends with.
fn summary(context: &Context<'_>, rows: &[(&'static str, Outcome)]) -> anyhow::Result<()> {
    let verdict = |outcome: &Outcome| if outcome.winner == Side::Challenger { "refuted" } else { "held" };
    let gas_total = |outcome: &Outcome| outcome.acts.iter().map(|act| act.gas).sum::<u64>();
    if context.output.is_json() {
        return rows.iter().try_for_each(|(lie, outcome)| {
            output::json(&json!({
                "lie": lie, "verdict": verdict(outcome), "position": outcome.position,
                "transactions": outcome.acts.len(), "gas_total": gas_total(outcome),
                "gas_last_call": outcome.gas_last_call, "bond_moved": outcome.bond_moved.to_string(),
            }))
        });
    }
    let table: Vec<Vec<String>> = rows
        .iter()
        .map(|(lie, outcome)| {
            vec![
                (*lie).to_owned(),
                verdict(outcome).to_owned(),
                outcome.position.map_or_else(|| "-".to_owned(), |position| position.to_string()),
                outcome.acts.len().to_string(),
                grouped(gas_total(outcome)),
                grouped(outcome.gas_last_call),
                dollars(outcome.bond_moved),
            ]
        })
        .collect();
    let header = ["lie", "verdict", "position", "transactions", "gas in all", "gas of the last call", "bond moved"];
    context.output.table(&header, &table)
}

const fn name(side: Side) -> &'static str {
    match side {
        Side::Host => "host",
        Side::Challenger => "challenger",
    }
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Micro-dollars as dollars.
fn dollars(micros: u128) -> String {
    format!("${}.{:06}", micros / 1_000_000, micros % 1_000_000)
}
