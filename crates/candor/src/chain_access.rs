//! How commands reach the chain, the contracts on it, and the keys that sign for it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use claim::{Amount, HostKey};
use clap::Args;
use ledger::dollar::Payment;
use ledger::{Account, Address, Client, Deployment, LedgerError, Sent, dollar, file};
use serde::{Deserialize, Serialize};

use crate::commands::Context;
use crate::exit::UsageError;
use crate::money::{dollars, ether};
use crate::{host_key, key_file, output};

/// The chain that is spoken to where none is named.
pub(crate) const USUAL_URL: &str = "http://127.0.0.1:8545";

/// The longest file of addresses that is read.
const DEPLOYMENT_BYTES_MAX: u64 = 64 << 10;

/// Which chain, and which contracts on it. The configuration file's table `chain` may set them for all commands.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ChainOptions {
    /// Where the chain answers JSON-RPC, `http://127.0.0.1:8545` by default
    #[arg(long, value_name = "URL")]
    #[serde(rename = "url")]
    pub(crate) chain: Option<String>,
    /// File with the contracts' addresses, `deployment.json` in the data folder by default
    #[arg(long, value_name = "FILE")]
    pub(crate) deployment: Option<PathBuf>,
}

/// A chain with the contracts.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) client: Client,
    pub(crate) deployment: Deployment,
    /// Where the addresses were read.
    pub(crate) path: PathBuf,
}

impl Ledger {
    /// Connects, and sees to it that the contracts are those of this chain.
    pub(crate) async fn open(context: &Context<'_>, options: &ChainOptions) -> anyhow::Result<Self> {
        let options = context.config.merge("chain", options)?;
        let path = options.deployment.clone().unwrap_or_else(|| context.config.data.deployment());
        let Some(deployment) = read_deployment(&path)? else {
            bail!(
                "no contracts are known, because {} is not there; start a chain with `candor chain up` and the same \
                 data folder, or name a file of addresses with --deployment FILE",
                path.display()
            );
        };
        let client = connect(options.chain.as_deref().unwrap_or(USUAL_URL)).await?;
        deployment.check(&client).await.map_err(|error| match error {
            LedgerError::ChainId { expected, found } => anyhow::anyhow!(
                "{} answers for chain {found}, and the contracts in {} are on chain {expected}; name the right chain with \
                 --chain URL, or the right file with --deployment FILE",
                client.url(),
                path.display()
            ),
            other => anyhow::Error::from(other).context(format!(
                "the contracts in {} are not on this chain; name the right file with --deployment FILE",
                path.display()
            )),
        })?;
        Ok(Self { client, deployment, path })
    }

    /// The token that is paid in: the one that was named, else the deployment's.
    pub(crate) async fn dollar(&self, named: Option<claim::Address>) -> anyhow::Result<Address> {
        let named = named.map(|address| Address::from(address.get()));
        let token = named.or(self.deployment.dollar).with_context(|| {
            format!("{} names no dollar; name its contract with --token ADDRESS", self.path.display())
        })?;
        let decimals =
            dollar::decimals(&self.client, token).await.with_context(|| format!("{token} is not a token"))?;
        if decimals != dollar::DECIMALS {
            bail!(
                "the token {token} has {decimals} decimals; prices are in millionths of a dollar, so it must have {}",
                dollar::DECIMALS
            );
        }
        Ok(token)
    }

    /// The account of a key, whatever it has.
    pub(crate) fn account_to_fund(&self, key: HostKey) -> Account {
        Account::new(self.client.clone(), Arc::new(key))
    }

    /// The account of a key, which must be able to pay for gas and, where it is to pay, `amount` of a token.
    pub(crate) async fn account(&self, key: HostKey, purse: Option<(Address, Amount)>) -> anyhow::Result<Account> {
        let account = self.account_to_fund(key);
        let address = account.address();
        let advice = if dollar::is_development(self.client.chain_id()) {
            "; on this development chain `candor wallet fund` makes some, with `--host` for the host's key"
        } else {
            ""
        };
        if dollar::wei(&self.client, address).await? == 0 {
            bail!("{address} has no ether to pay for gas{advice}");
        }
        let Some((token, amount)) = purse else { return Ok(account) };
        let held = dollar::balance(&self.client, token, address).await?;
        if held < amount {
            bail!("{address} has {} dollars, and {} are needed{advice}", dollars(held), dollars(amount));
        }
        Ok(account)
    }
}

/// Connects to a chain, or says how to start one.
async fn connect(url: &str) -> anyhow::Result<Client> {
    Client::connect(url).await.map_err(|error| match error {
        LedgerError::Url { .. } => UsageError(error.to_string()).into(),
        LedgerError::Unreachable { .. } => anyhow::Error::from(error)
            .context("no chain; start one with `candor chain up`, or name another with --chain URL"),
        other => other.into(),
    })
}

/// The addresses in a file; none where it is not there.
pub(crate) fn read_deployment(path: &Path) -> anyhow::Result<Option<Deployment>> {
    let bytes = match file::read(path, DEPLOYMENT_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.is_missing() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let deployment = serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is not a file of the contracts' addresses", path.display()))?;
    Ok(Some(deployment))
}

/// Whose key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signer {
    /// The wallet.
    Wallet,
    /// The key that signs receipts; made where there is none, as `candor up` does.
    Host,
}

impl Signer {
    /// Opens the key: that of a named file, else the data folder's.
    pub(crate) fn open(self, context: &Context<'_>, named: Option<&Path>) -> anyhow::Result<HostKey> {
        let data = &context.config.data;
        let passphrase = &context.environment.passphrase;
        let path = match (named, self) {
            (Some(path), _) => path.to_owned(),
            (None, Self::Wallet) => data.wallet(),
            (None, Self::Host) => {
                data.create()?;
                return host_key::open_or_create(data, passphrase);
            }
        };
        let text = match key_file::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let advice = if named.is_some() { "" } else { "; make one with `candor wallet new`" };
                bail!("there is no key file {}{advice}", path.display());
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read the key file {}", path.display())),
        };
        key_file::decrypt("the key file", &path, &text, &key_file::passphrase_to_open(passphrase, &path)?)
    }
}

/// What a command has sent, told as it happens and kept for the result.
#[derive(Debug, Default, serde::Serialize)]
#[serde(transparent)]
pub(crate) struct Journal(Vec<Step>);

#[derive(Debug, serde::Serialize)]
struct Step {
    what: String,
    gas: u64,
    hash: String,
}

impl Journal {
    /// Tells of a transaction.
    pub(crate) fn tell(&mut self, what: impl Into<String>, sent: &Sent) {
        let step = Step { what: what.into(), gas: sent.gas_used, hash: sent.hash.to_string() };
        output::note(&format!("{}: {} gas in {}", step.what, step.gas, step.hash));
        self.0.push(step);
    }

    /// Tells of a payment.
    pub(crate) fn tell_payment(&mut self, what: impl Into<String>, payment: &Payment) {
        if let Some(approval) = &payment.approval {
            self.tell("let the contract take the money", approval);
        }
        self.tell(what, &payment.sent);
    }
}

/// How far away a time is, as a person says it.
pub(crate) fn distance(seconds: u64) -> String {
    match seconds {
        0 => "now".to_owned(),
        1..120 => format!("in {seconds} s"),
        120..7_200 => format!("in {} min", seconds / 60),
        7_200..172_800 => format!("in {} h", seconds / 3_600),
        _ => format!("in {} days", seconds / 86_400),
    }
}

/// What an account has, as text.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct Holdings {
    pub(crate) ether: String,
    pub(crate) dollars: Option<String>,
}

impl Holdings {
    /// Asks the chain.
    pub(crate) async fn of(client: &Client, token: Option<Address>, account: Address) -> anyhow::Result<Self> {
        let ether = ether(dollar::wei(client, account).await?);
        let dollars = match token {
            Some(token) => Some(dollars(dollar::balance(client, token, account).await?)),
            None => None,
        };
        Ok(Self { ether, dollars })
    }
}
