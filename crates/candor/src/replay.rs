//! A receipt with its evidence, and the model to compute it again with.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use api::receipt_json::{self, DOCUMENT_BYTES_MAX, Document};
use claim::{Digest, Evidence, ModelRoot, ReceiptId, SignedReceipt};
use court::{Case, Judgement};
use host::catalogue::Entry;
use host::fetch::Fetcher;
use model::Model;

use crate::commands::{Context, block_on};
use crate::gateway_client::GatewayClient;
use crate::progress::Bar;

/// What a person names a receipt by: an id, which a gateway is asked for, or a file.
pub(crate) fn id_of(named: &str) -> Option<ReceiptId> {
    named.parse::<Digest>().ok().map(ReceiptId::new)
}

/// Reads a receipt from a file (`-` is standard input), or from a gateway.
pub(crate) fn read(named: &str, gateway: Option<&str>) -> anyhow::Result<Document> {
    let bytes = match id_of(named) {
        Some(id) => from_gateway(gateway, id)?,
        None => from_file(Path::new(named))?,
    };
    Ok(receipt_json::read(&bytes)?)
}

fn from_gateway(gateway: Option<&str>, id: ReceiptId) -> anyhow::Result<Vec<u8>> {
    let gateway = GatewayClient::new(gateway)?;
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
pub(crate) struct Bench<'a> {
    pub(crate) context: &'a Context<'a>,
    pub(crate) fetcher: Fetcher,
    pub(crate) machine: arith::Machine,
}

/// The outcome of looking for the model of a receipt.
pub(crate) enum Search {
    Found {
        model: Box<Model>,
        /// Its file.
        path: PathBuf,
        /// The root that the requested name stands for, where that is known apart from the receipt.
        expected: Option<ModelRoot>,
    },
    Missing {
        reason: String,
    },
}

impl Bench<'_> {
    /// The model to replay with: the one that was named, else one whose root is the receipt's.
    pub(crate) fn model(
        &self,
        named: Option<&str>,
        receipt: &SignedReceipt,
        evidence: &Evidence,
    ) -> anyhow::Result<Search> {
        let requested = self.requested(evidence);
        let expected = requested.and_then(root_of);
        if let Some(named) = named {
            let found = self.resolve(named)?;
            return Ok(Search::Found { model: Box::new(self.load(&found)?), path: found, expected });
        }
        let wanted = receipt.receipt.model_root;
        let pinned = self.fetcher.catalogue().entries().iter().find(|entry| root_of(entry) == Some(wanted));
        if let Some(entry) = pinned {
            return match self.resolve(&entry.name) {
                Ok(path) => Ok(Search::Found { model: Box::new(self.load(&path)?), path, expected }),
                Err(error) => Ok(Search::Missing { reason: format!("its model is not at hand: {error:#}") }),
            };
        }
        // The catalogue does not pin the root: the receipt's model may still be among the files, the requested one first.
        let mut cached = self.fetcher.list()?;
        cached.sort_by_key(|cached| requested.is_none_or(|entry| entry.name != cached.name));
        for cached in cached {
            match self.load(&cached.path) {
                Ok(model) if model.root() == wanted => {
                    return Ok(Search::Found { model: Box::new(model), path: cached.path, expected });
                }
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

    pub(crate) fn judge(&self, case: &Case<'_>, model: &Model) -> Judgement {
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
