//! `candor host offer`: models and prices, signed, with the hash on the chain.

use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use claim::{Digest, ModelRoot, Price, Signature, UnixMillis};
use clap::Args;
use ledger::offer::{ENDPOINT_BYTES_MAX, Offer as Offered, OfferedModel};
use ledger::stake;
use ledger::{Address, file};
use serde_json::{Value, json};

use super::stake::{HostOptions, registered};
use super::{Context, block_on};
use crate::chain_access::{Journal, Ledger, Signer};
use crate::exit::UsageError;
use crate::money::{Rates, dollars};
use crate::{machine, output};

/// The version of the offer's file.
const VERSION: u16 = 1;

/// Models and prices.
#[derive(Debug, Args)]
pub(crate) struct Offer {
    #[command(flatten)]
    options: HostOptions,
    /// Where the host answers, as a URL of at most 256 bytes
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// A model, and what a million tokens of the prompt and of the answer cost in dollars
    #[arg(value_name = "MODEL=PROMPT/OUTPUT", required = true)]
    models: Vec<Priced>,
}

/// A model as it is named, with its price.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Priced {
    model: String,
    price: Price,
}

impl FromStr for Priced {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A file's name may hold an equals sign; a price holds none.
        let Some((model, rates)) = text.rsplit_once('=').filter(|(model, _)| !model.is_empty()) else {
            return Err("an offer is written MODEL=PROMPT/OUTPUT, like smollm2=0.05/0.20".into());
        };
        Ok(Self { model: model.to_owned(), price: rates.parse::<Rates>()?.0 })
    }
}

/// Runs the command.
pub(crate) fn run(context: &Context<'_>, command: &Offer) -> anyhow::Result<()> {
    let endpoint = command.endpoint.clone().unwrap_or_default();
    if endpoint.len() > ENDPOINT_BYTES_MAX {
        let found = endpoint.len();
        return Err(UsageError(format!("an endpoint has at most {ENDPOINT_BYTES_MAX} bytes, found {found}")).into());
    }
    let key = Signer::Host.open(context, command.options.key.as_deref())?;
    let host = key.address();
    let (ledger, before) = block_on(async {
        let ledger = Ledger::open(context, &command.options.chain).await?;
        let before = registered(&ledger, Address::from(host.get())).await?;
        Ok((ledger, before))
    })?;
    let models = command.models.iter().map(|priced| offered(context, priced)).collect::<anyhow::Result<Vec<_>>>()?;
    let twice =
        models.iter().enumerate().find(|(at, model)| models[..*at].iter().any(|other| other.root == model.root));
    if let Some((_, twice)) = twice {
        return Err(UsageError(format!("{} is offered twice", twice.name)).into());
    }
    let issued = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    let offer = Offered { host, issued: UnixMillis::new(issued), endpoint, models };
    let (hash, signature) = (offer.digest(&ledger.deployment), offer.sign(&ledger.deployment, &key));

    // The file comes first: a hash on the chain whose offer nobody has would say nothing.
    let path = context.config.data.offer();
    let document = document(&ledger, &offer, hash, signature);
    let mut text = serde_json::to_vec_pretty(&document)?;
    text.push(b'\n');
    file::replace(&path, &text)?;
    let mut journal = Journal::default();
    block_on(async {
        let account = ledger.account(key, None).await?;
        let sent = stake::publish_offer(&account, &ledger.deployment, &before, hash, &offer.endpoint).await?;
        journal.tell("published the offer's hash", &sent);
        Ok(())
    })?;
    if context.output.is_json() {
        return output::json(&json!({ "offer": document, "path": path, "transactions": journal }));
    }
    output::line(&format!("offer {hash} is kept in {}", path.display()))
}

/// A model with its root: the catalogue's, or computed from the file.
fn offered(context: &Context<'_>, priced: &Priced) -> anyhow::Result<OfferedModel> {
    let fetcher = context.fetcher();
    let entry = fetcher.catalogue().entry(&priced.model);
    if let Some((entry, root)) = entry.and_then(|entry| Some((entry, entry.model_root.as_ref()?))) {
        let root = ModelRoot::new(Digest::new(*root.get()));
        return Ok(OfferedModel { name: entry.name.clone(), root, price: priced.price });
    }
    let found = block_on(async { Ok(fetcher.resolve(&priced.model, &context.fetch_bars()).await?) })?;
    let machine = machine::build(None, context.environment)?;
    let model = host::load_model(&found.path, &machine)
        .with_context(|| format!("cannot compute the root of {}", found.path.display()))?;
    Ok(OfferedModel { name: found.name, root: model.root(), price: priced.price })
}

/// The offer as it is kept and handed out.
fn document(ledger: &Ledger, offer: &Offered, hash: Digest, signature: Signature) -> Value {
    let price = |per_million: u64| dollars(claim::Amount::new(per_million.into()));
    let model = |model: &OfferedModel| {
        json!({
            "name": model.name,
            "model_root": model.root.to_string(),
            "prompt_per_million": price(model.price.prompt_per_million),
            "output_per_million": price(model.price.output_per_million),
        })
    };
    json!({
        "version": VERSION,
        "chain_id": ledger.deployment.chain_id,
        "contract": ledger.deployment.hosts.to_string(),
        "host": offer.host.to_string(),
        "issued": offer.issued.get(),
        "endpoint": offer.endpoint,
        "models": offer.models.iter().map(model).collect::<Vec<_>>(),
        "hash": hash.to_string(),
        "signature": format!("{signature:?}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_are_a_model_and_two_exact_prices() {
        let price = Price::new(50_000, 200_000);
        assert_eq!("a=0.05/0.20".parse(), Ok(Priced { model: "a".into(), price }));
        assert_eq!("./x=1.gguf=0.05/0.2".parse(), Ok(Priced { model: "./x=1.gguf".into(), price }));
        for text in ["a", "a=1", "=1/1", "a=1/", "a=/1", "a=-1/1", "a=1/1/1", "a=18446744073709.551616/0"] {
            assert!(text.parse::<Priced>().is_err(), "{text}");
        }
    }
}
