//! `candor up`: a host and a gateway in one process.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use arith::Machine;
use claim::Price;
use clap::Args;
use gateway::Gateway;
use gateway::store::ReceiptStore;
use host::event::ServedModel;
use host::fetch::Found;
use host::{Host, HostConfig};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::{Context, block_on};
use crate::chain_access::ChainOptions;
use crate::exit::Exit;
use crate::money::{Dollars, Rates};
use crate::shop::Shop;
use crate::signals::Signals;
use crate::{host_key, machine, output};

/// The port that every example uses.
const USUAL_PORT: u16 = 7411;

/// Receipts of some 150,000 answers of 256 tokens.
const USUAL_KEEP_MIB: u32 = 2048;

/// How long answers that are under way may go on after the signal to stop.
const GRACE: Duration = Duration::from_secs(5);

/// Serve a model.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  candor up\n  candor up --model gemma3-270m --port 8080\n  candor up --model ./mine.gguf --threads 4 --listen 0.0.0.0\n  candor up --price 0.05/0.20"
)]
pub(crate) struct Up {
    #[command(flatten)]
    options: UpOptions,
    #[command(flatten)]
    chain: ChainOptions,
}

/// Options that the configuration file may set.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct UpOptions {
    /// The model to serve; the catalogue's default if none is named
    #[arg(long, value_name = "NAME|FILE.gguf")]
    pub(crate) model: Option<String>,
    /// Port to listen on, 7411 by default; 0 takes any free one
    #[arg(long, value_name = "N")]
    pub(crate) port: Option<u16>,
    /// Threads to compute with, all cores by default
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,
    /// MiB of receipts to keep, 2048 by default; the oldest make room for new ones
    #[arg(long, value_name = "MIB")]
    pub(crate) keep: Option<NonZeroU32>,
    /// Address to listen on; by default only this machine can reach the gateway
    #[arg(long, value_name = "IP")]
    pub(crate) listen: Option<IpAddr>,
    /// Dollars for a million tokens of the prompt and of the answer; without it answers cost nothing
    #[arg(long, value_name = "PROMPT/OUTPUT")]
    pub(crate) price: Option<Rates>,
    /// Dollars that a client may owe while it is served, 0.01 or what a long prompt costs by default
    #[arg(long, value_name = "AMOUNT", requires = "price")]
    pub(crate) credit: Option<Dollars>,
}

/// Runs the command until it is told to stop.
pub(crate) fn run(context: &Context<'_>, command: &Up) -> anyhow::Result<Exit> {
    let options = context.config.merge("up", &command.options)?;
    let machine = machine::build(options.threads, context.environment)?;
    context.config.data.create()?;
    block_on(serve(context, &options, &command.chain, machine))?;
    Ok(Exit::Done)
}

async fn serve(
    context: &Context<'_>,
    options: &UpOptions,
    chain: &ChainOptions,
    machine: Machine,
) -> anyhow::Result<()> {
    let data = &context.config.data;
    // What can fail at once comes before what takes long: a second start learns of the first one here.
    let listener = listen(options).await?;
    let keep_bytes = u64::from(options.keep.map_or(USUAL_KEEP_MIB, NonZeroU32::get)) << 20;
    let store = ReceiptStore::open(&data.receipts(), keep_bytes)
        .with_context(|| format!("cannot open the receipts in {}", data.receipts().display()))?;
    let store = Arc::new(store);
    let key = Arc::new(host_key::open_or_create(data, &context.environment.passphrase)?);
    let mut signals = Signals::new()?;
    let fetcher = context.fetcher();
    let reference = options.model.clone().unwrap_or_else(|| fetcher.catalogue().default_entry().name.clone());
    let bars = context.fetch_bars();
    let Found { name, path } = tokio::select! {
        found = fetcher.resolve(&reference, &bars) => found?,
        () = signals.wait() => return Ok(()),
    };
    let shop = match options.price {
        Some(Rates(price)) => Some(Shop::open(context, chain, (price, options.credit), Arc::clone(&key)).await?),
        None => None,
    };
    let price = options.price.map_or(Price::FREE, |rates| rates.0);
    let config = HostConfig { price, ..HostConfig::local() };
    let file = path.clone();
    let start = move || Host::start(&file, &name, key, machine, config);
    let mut host = tokio::task::spawn_blocking(start).await.context("loading the model failed")??;
    if let Some(shop) = &shop {
        host = host.paid_by(shop.till());
    }
    let served = host.served().clone();
    let host = Arc::new(host);
    let router = gateway::router(Gateway { host: host.clone(), store: store.clone() });
    announce(context, &served, shop.as_ref(), reachable(listener.local_addr()?))?;

    let (stopping, stopped) = oneshot::channel();
    let shutdown = async move {
        signals.wait().await;
        // The other end is gone only when nobody waits any more.
        let _ = stopping.send(());
    };
    let grace = async {
        if stopped.await.is_ok() {
            tokio::time::sleep(GRACE).await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    let mind = async {
        match &shop {
            Some(shop) => shop.mind(host, path, store).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = gateway::serve(listener, router, shutdown) => (),
        () = grace => output::note("stopped with answers unfinished"),
        () = mind => (),
    }
    match shop {
        Some(shop) => shop.close().await,
        None => Ok(()),
    }
}

fn announce(
    context: &Context<'_>,
    served: &ServedModel,
    shop: Option<&Shop>,
    address: SocketAddr,
) -> anyhow::Result<()> {
    let url = format!("http://{address}");
    if context.output.is_json() {
        return output::json(&json!({
            "ready": url, "model": served.name, "model_root": served.root.to_string(), "host": served.host.to_string(),
            "price": shop.map(|_| Rates(served.price).to_string()), "chain": shop.map(Shop::chain),
        }));
    }
    output::note(&format!("serving {}, receipts signed by {}", served.name, served.host));
    if let Some(shop) = shop {
        let price = Rates(served.price);
        output::note(&format!(
            "a million tokens cost {price} dollars, paid by channels of the chain at {}",
            shop.chain()
        ));
    }
    output::line(&format!("ready {url}"))
}

async fn listen(options: &UpOptions) -> anyhow::Result<TcpListener> {
    let ip = options.listen.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let address = SocketAddr::new(ip, options.port.unwrap_or(USUAL_PORT));
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}; another `candor up` may be running, or choose a port with --port N")
    })
}

/// An address that a client on this machine can use.
fn reachable(bound: SocketAddr) -> SocketAddr {
    if bound.ip().is_unspecified() { SocketAddr::new(Ipv4Addr::LOCALHOST.into(), bound.port()) } else { bound }
}
