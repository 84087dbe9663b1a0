//! `candor chain up`: the embedded development chain, with the contracts on it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use claim::{Digest, HostKey};
use clap::{Args, Subcommand};
use devchain::{Config, Devchain, Serving};
use ledger::{Account, Client, Deployment, LedgerError, Rules, dollar, file};
use serde_json::json;

use super::{Context, block_on};
use crate::chain_access::read_deployment;
use crate::data::DataFolder;
use crate::exit::Exit;
use crate::output;
use crate::signals::Signals;

/// The port that development chains listen on.
pub(crate) const USUAL_PORT: u16 = 8545;

/// What the key that deploys is made from. Everybody knows it, so the contracts lie at the same addresses on every chain
/// that was started this way, and nobody owns them.
const DEPLOYER: &[u8] = b"the deployer of development chains";

/// Ether of the deployer, ten times what deploying takes.
const DEPLOYER_WEI: u128 = 1_000_000_000_000_000_000;

/// What to do with chains.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  candor chain up\n  candor chain up --port 0 --data ./scratch")]
pub(crate) enum Chain {
    /// Run a development chain with the contracts; its money is worth nothing
    #[command(
        after_help = "Examples:\n  candor chain up\n  candor chain up --port 9545\n  candor chain up --data ./scratch --json"
    )]
    Up(Up),
}

/// Run a development chain.
#[derive(Debug, Args)]
pub(crate) struct Up {
    /// Port to listen on, 8545 by default; 0 takes any free one
    #[arg(long, value_name = "N")]
    port: Option<u16>,
}

/// Runs the command until it is told to stop.
pub(crate) fn run(context: &Context<'_>, command: &Chain) -> anyhow::Result<Exit> {
    let Chain::Up(command) = command;
    context.config.data.create()?;
    block_on(serve(context, command))?;
    Ok(Exit::Done)
}

async fn serve(context: &Context<'_>, command: &Up) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let starting = Embedded::start(&context.config.data, command.port.unwrap_or(USUAL_PORT));
    let embedded = tokio::select! {
        embedded = starting => embedded?,
        () = signals.wait() => return Ok(()),
    };
    let announced = announce(context, &embedded.url, &embedded.deployment, &context.config.data.deployment());
    if announced.is_ok() {
        signals.wait().await;
    }
    embedded.stop().await?;
    announced
}

/// A development chain in this process, with the contracts on it.
#[derive(Debug)]
pub(crate) struct Embedded {
    chain: Devchain,
    serving: Serving,
    /// Where it answers.
    pub(crate) url: String,
    /// Its contracts, whose addresses are in the data folder too.
    pub(crate) deployment: Deployment,
}

impl Embedded {
    /// Opens the data folder's chain, serves it on this port, and deploys the contracts if it has none.
    pub(crate) async fn start(data: &DataFolder, port: u16) -> anyhow::Result<Self> {
        let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
        let listener = TcpListener::bind(address).with_context(|| {
            format!("cannot listen on {address}; another chain may be running, or choose a port with --port N")
        })?;
        let path = data.chain();
        let opened = tokio::task::spawn_blocking(move || Devchain::open(path, Config::development()));
        let chain = opened.await.context("opening the chain failed")?.with_context(|| {
            format!("cannot open {}; another `candor chain up` may be using it", data.chain().display())
        })?;
        let serving = chain.serve_on(listener)?;
        let url = format!("http://{}", serving.address());
        match prepare(&url, &data.deployment()).await {
            Ok(deployment) => Ok(Self { chain, serving, url, deployment }),
            Err(error) => {
                close(chain, serving).await?;
                Err(error)
            }
        }
    }

    /// Waits until all is on the disk.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        close(self.chain, self.serving).await
    }
}

async fn close(chain: Devchain, serving: Serving) -> anyhow::Result<()> {
    serving.stop().await;
    // The chain ends with its last handle.
    tokio::task::spawn_blocking(move || drop(chain)).await.context("closing the chain failed")
}

/// The contracts of this chain, deployed if it has none.
async fn prepare(url: &str, path: &Path) -> anyhow::Result<Deployment> {
    let client = Client::connect(url).await?;
    if let Some(known) = read_deployment(path)? {
        match known.check(&client).await {
            Ok(()) => return Ok(known),
            Err(LedgerError::ChainId { expected, .. }) => bail!(
                "{} is of chain {expected}, not of a development chain; use another data folder with --data DIR",
                path.display()
            ),
            Err(LedgerError::NoCourt { .. }) => output::note("the chain is new: the contracts are deployed again"),
            Err(error) => return Err(error.into()),
        }
    }
    let deployment = deploy(&client).await?;
    let mut text = serde_json::to_vec_pretty(&deployment)?;
    text.push(b'\n');
    file::replace(path, &text)?;
    Ok(deployment)
}

async fn deploy(client: &Client) -> anyhow::Result<Deployment> {
    let key = HostKey::from_bytes(Digest::sha256(DEPLOYER).as_bytes()).context("the deployer's key is a constant")?;
    let account = Account::new(client.clone(), Arc::new(key));
    dollar::make_wei(client, account.address(), DEPLOYER_WEI).await?;
    let mut tell = |artefact: ledger::Artefact, sent: &ledger::Sent| {
        output::note(&format!("deployed {}: {} gas", artefact.name(), sent.gas_used));
    };
    Ok(Deployment::deploy(&account, &Rules::usual(), true, &mut tell).await?)
}

fn announce(context: &Context<'_>, url: &str, deployment: &Deployment, path: &Path) -> anyhow::Result<()> {
    if context.output.is_json() {
        return output::json(&json!({
            "ready": url, "chain_id": deployment.chain_id, "deployment": path, "court": deployment.court.to_string(),
        }));
    }
    output::note(&format!("the contracts' addresses are in {}", path.display()));
    output::line(&format!("ready {url} chain {} court {}", deployment.chain_id, deployment.court))
}
