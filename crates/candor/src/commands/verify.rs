//! `candor verify`: compute an answer again, on this machine.
//!
//! A receipt that a gateway hands out is judged here like one from a file: the gateway's word counts for nothing.

use std::io::Read as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Instant;

use anyhow::Context as _;
use api::receipt_json::{self, DOCUMENT_BYTES_MAX, Document};
use claim::{Digest, Evidence, ModelRoot, ReceiptId, SignedReceipt};
use clap::Args;
use court::{Case, ClientRecord, Judgement, Known};
use host::catalogue::Entry;
use host::fetch::Fetcher;
use model::Model;
use serde::{Deserialize, Serialize};

use super::{Context, block_on};
use crate::exit::Exit;
use crate::gateway_client::GatewayClient;
use crate::machine;
use crate::progress::Bar;
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
    gateway: Option<String>,
    /// The model to compute with; found by the receipt's model root by default
    #[arg(long, value_name = "NAME|FILE.gguf")]
    model: Option<String>,
    /// Threads to compute with, all cores by default
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
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
    let asked = command.receipt.parse::<Digest>().ok().map(ReceiptId::new);
    let read = match asked {
        Some(id) => from_gateway(options, id),
        None => from_file(Path::new(&command.receipt)),
    };
    let document = match read.and_then(|bytes| Ok(receipt_json::read(&bytes)?)) {
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
        Search::Found { model, expected } => (model, expected),
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

fn from_gateway(options: &VerifyOptions, id: ReceiptId) -> anyhow::Result<Vec<u8>> {
    let gateway = GatewayClient::new(options.gateway.as_deref())?;
    block_on(gateway.get(&format!("v1/receipts/{id}"), DOCUMENT_BYTES_MAX))
}

fn from_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = DOCUMENT_BYTES_MAX as u64 + 1;
    if path == Path::new("-") {
        std::io::stdin().take(limit).read_to_end(&mut bytes)?;
    } else {
        let file = std::fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        file.take(limit).read_to_end(&mut bytes).with_context(|| format!("cannot read {}", path.display()))?;
    }
    Ok(bytes)
}

/// What a replay is done with.
struct Bench<'a> {
    context: &'a Context<'a>,
    fetcher: Fetcher,
    machine: arith::Machine,
}

/// The outcome of looking for the model of a receipt.
enum Search {
    Found {
        model: Box<Model>,
        /// The root that the requested name stands for, where that is known apart from the receipt.
        expected: Option<ModelRoot>,
    },
    Missing {
        reason: String,
    },
}

impl Bench<'_> {
    /// The model to replay with: the one that was named, else one whose root is the receipt's.
    fn model(&self, named: Option<&str>, receipt: &SignedReceipt, evidence: &Evidence) -> anyhow::Result<Search> {
        let requested = self.requested(evidence);
        let expected = requested.and_then(root_of);
        if let Some(named) = named {
            let found = self.resolve(named)?;
            return Ok(Search::Found { model: Box::new(self.load(&found)?), expected });
        }
        let wanted = receipt.receipt.model_root;
        let pinned = self.fetcher.catalogue().entries().iter().find(|entry| root_of(entry) == Some(wanted));
        if let Some(entry) = pinned {
            return match self.resolve(&entry.name) {
                Ok(path) => Ok(Search::Found { model: Box::new(self.load(&path)?), expected }),
                Err(error) => Ok(Search::Missing { reason: format!("its model is not at hand: {error:#}") }),
            };
        }
        // The catalogue does not pin the root: the receipt's model may still be among the files, the requested one first.
        let mut cached = self.fetcher.list()?;
        cached.sort_by_key(|cached| requested.is_none_or(|entry| entry.name != cached.name));
        for cached in cached {
            match self.load(&cached.path) {
                Ok(model) if model.root() == wanted => return Ok(Search::Found { model: Box::new(model), expected }),
                Ok(_) => {}
                Err(error) => tracing::debug!(path = %cached.path.display(), %error, "verify.model_not_loaded"),
            }
        }
        let reason = format!("no model with root {wanted} is at hand; pass its file with --model FILE.gguf");
        Ok(Search::Missing { reason })
    }

    /// The catalogue's entry for the model that the request names.
    fn requested(&self, evidence: &Evidence) -> Option<&Entry> {
        let request = api::parse(evidence.endpoint, &evidence.request).ok()?;
        self.fetcher.catalogue().entry(&request.model)
    }

    fn resolve(&self, reference: &str) -> anyhow::Result<PathBuf> {
        let bars = self.context.fetch_bars();
        block_on(async { Ok(self.fetcher.resolve(reference, &bars).await?.path) })
    }

    fn load(&self, path: &Path) -> anyhow::Result<Model> {
        Ok(host::load_model(path, &self.machine)?)
    }

    fn judge(&self, case: &Case<'_>, model: &Model) -> Judgement {
        let mut bar = None;
        let judgement = court::judge(case, model, &self.machine, &mut |done, total| {
            let bar = bar.get_or_insert_with(|| Bar::counted(self.context.output, "replaying tokens", total as u64));
            bar.at(done as u64);
        });
        if let Some(bar) = bar {
            bar.end();
        }
        judgement
    }
}

fn root_of(entry: &Entry) -> Option<ModelRoot> {
    entry.model_root.map(|root| ModelRoot::new(Digest::new(*root.get())))
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
