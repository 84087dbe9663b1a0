//! `candor verify`: compute an answer again, on this machine.
//!
//! A receipt that a gateway hands out is judged here like one from a file: the gateway's word counts for nothing.

use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Instant;

use api::receipt_json::{self, Document};
use claim::ReceiptId;
use clap::Args;
use court::{Case, ClientRecord, Judgement, Known};
use serde::{Deserialize, Serialize};

use super::Context;
use crate::exit::Exit;
use crate::machine;
use crate::replay::{self, Bench, Search};
use crate::verdict::{self, Finding};

/// What to verify.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  candor verify sky.json\n  candor verify 0x6b1f... --gateway http://127.0.0.1:7411\n  candor verify sky.json --model ./mine.gguf --window 0..32"
)]
pub(crate) struct Verify {
    #[command(flatten)]
    options: VerifyOptions,
    /// Draw only the tokens i to j-1 of the answer again
    #[arg(long, value_name = "i..j")]
    window: Option<Window>,
    /// A file that `candor ask --receipt` wrote (`-` for standard input), or a receipt id
    #[arg(value_name = "FILE|ID")]
    receipt: String,
}

/// Options that the configuration file may set.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct VerifyOptions {
    /// Address of the gateway that has the receipt of an ID, `http://127.0.0.1:7411` by default
    #[arg(long, value_name = "URL")]
    pub(crate) gateway: Option<String>,
    /// The model to compute with; found by the receipt's model root by default
    #[arg(long, value_name = "NAME|FILE.gguf")]
    pub(crate) model: Option<String>,
    /// Threads to compute with, all cores by default
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,
}

/// Positions of the answer, from the first to one past the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    start: usize,
    end: usize,
}

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = |text: &str| text.trim().parse::<usize>().ok();
        let pair = text.split_once("..").and_then(|(start, end)| Some((parse(start)?, parse(end)?)));
        match pair {
            Some((start, end)) if start < end => Ok(Self { start, end }),
            _ => Err("a window is written i..j with i below j, like 0..32".into()),
        }
    }
}

/// Runs the command.
pub(crate) fn run(context: &Context<'_>, command: &Verify) -> anyhow::Result<Exit> {
    let options = context.config.merge("verify", &command.options)?;
    let since = Instant::now();
    let finding = match judge(context, &options, command)? {
        Judged::Verdict { id, judgement } => Finding::of(id, judgement, since.elapsed()),
        Judged::Impossible { id, reason } => Finding::cannot(id, reason, since.elapsed()),
    };
    verdict::print(context.output, &finding)?;
    Ok(finding.exit())
}

/// Either a verdict of the court, or a reason why the court has nothing to judge.
enum Judged {
    Verdict { id: ReceiptId, judgement: Judgement },
    Impossible { id: Option<ReceiptId>, reason: String },
}

fn judge(context: &Context<'_>, options: &VerifyOptions, command: &Verify) -> anyhow::Result<Judged> {
    let asked = replay::id_of(&command.receipt);
    let document = match replay::read(&command.receipt, options.gateway.as_deref()) {
        Ok(document) => document,
        Err(error) => {
            return Ok(Judged::Impossible { id: asked, reason: format!("the receipt cannot be read: {error:#}") });
        }
    };
    let Document { receipt, evidence, kept_by_client, .. } = document;
    let id = receipt.id();
    if let Some(asked) = asked.filter(|&asked| asked != id) {
        let reason = format!("the gateway sent the receipt {id} for {asked}");
        return Ok(Judged::Impossible { id: Some(asked), reason });
    }
    let Some(evidence) = evidence else {
        let reason = "it comes without evidence; get both with `candor verify ID` from the gateway that has it".into();
        return Ok(Judged::Impossible { id: Some(id), reason });
    };
    let machine = machine::build(options.threads, context.environment)?;
    let bench = Bench { context, fetcher: context.fetcher(), machine };
    let (model, model_root) = match bench.model(options.model.as_deref(), &receipt, &evidence)? {
        Search::Found { model, expected, .. } => (model, expected),
        Search::Missing { reason } => return Ok(Judged::Impossible { id: Some(id), reason }),
    };
    // A gateway cannot know what this client kept: only a file of one's own may say so.
    let client = kept_by_client.as_ref().filter(|_| asked.is_none()).map(client_record);
    let case = Case {
        signed: &receipt,
        evidence: &evidence,
        known: Known { model_root, client, ..Known::default() },
        window: command.window.map(|window| (window.start, window.end)),
    };
    Ok(Judged::Verdict { id, judgement: bench.judge(&case, &model) })
}

/// What `candor ask` kept beside the receipt.
fn client_record(kept: &receipt_json::ClientRecord) -> ClientRecord<'_> {
    ClientRecord { request: kept.request, choice: kept.choice, text: &kept.text, ending: kept.ending }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_half_open_and_not_empty() {
        assert_eq!("0..32".parse(), Ok(Window { start: 0, end: 32 }));
        for text in ["", "3", "3..", "..3", "3..3", "4..3", "-1..2", "a..b"] {
            assert!(text.parse::<Window>().is_err(), "{text}");
        }
    }
}
