//! `candor host`: the stake behind the key that signs receipts, and what it offers.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::bail;
use claim::Amount;
use clap::{Args, Subcommand};
use ledger::stake::{self, Registration, Withdrawal};
use ledger::{Account, Address};
use serde_json::{Value, json};

use super::{Context, block_on, offer};
use crate::chain_access::{ChainOptions, Journal, Ledger, Signer, distance};
use crate::exit::{Exit, UsageError};
use crate::money::{dollars, parse_payment};
use crate::output;

/// What a host does on the chain.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  candor host stake 100\n  candor host offer smollm2=0.05/0.20\n  candor host show")]
pub(crate) enum Host {
    /// Put up money that a lie would cost; registers the host the first time
    #[command(after_help = "Examples:\n  candor host stake 100\n  candor host stake 0.5 --json")]
    Stake(Stake),
    /// Ask stake back, and claim what was asked back long enough ago
    #[command(after_help = "Examples:\n  candor host unstake 50\n  candor host unstake all\n  candor host unstake")]
    Unstake(Unstake),
    /// Sign which models are served at which prices, and publish its hash
    #[command(
        after_help = "Examples:\n  candor host offer smollm2=0.05/0.20\n  candor host offer ./mine.gguf=0/0 smollm2=0.05/0.20 --endpoint https://host.example"
    )]
    Offer(offer::Offer),
    /// Print what stands behind a host
    #[command(
        after_help = "Examples:\n  candor host show\n  candor host show 0x90F79bf6EB2c4f870365E785982E1f101E93b906 --json"
    )]
    Show(Show),
}

/// The chain and the host's key.
#[derive(Debug, Args)]
pub(crate) struct HostOptions {
    #[command(flatten)]
    pub(crate) chain: ChainOptions,
    /// The host's key file, `host-key.json` in the data folder by default
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
}

/// More stake.
#[derive(Debug, Args)]
pub(crate) struct Stake {
    #[command(flatten)]
    options: HostOptions,
    /// Contract of the token to stake, the deployment's dollar by default; it is fixed the first time
    #[arg(long, value_name = "ADDRESS")]
    token: Option<claim::Address>,
    /// Dollars to put up
    #[arg(value_name = "AMOUNT", value_parser = parse_payment)]
    amount: Amount,
}

/// Less stake.
#[derive(Debug, Args)]
pub(crate) struct Unstake {
    #[command(flatten)]
    options: HostOptions,
    /// Dollars to ask back, or `all`; without it, what was asked back before is claimed
    #[arg(value_name = "AMOUNT|all")]
    portion: Option<Portion>,
}

/// How much of the stake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Portion {
    All,
    Part(Amount),
}

impl FromStr for Portion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" { Ok(Self::All) } else { parse_payment(text).map(Self::Part) }
    }
}

/// Which host.
#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    options: HostOptions,
    /// The host, this data folder's by default
    #[arg(value_name = "HOST")]
    host: Option<claim::Address>,
}

/// Runs the command.
pub(crate) fn run(context: &Context<'_>, command: &Host) -> anyhow::Result<Exit> {
    match command {
        Host::Stake(command) => put_up(context, command)?,
        Host::Unstake(command) => take_back(context, command)?,
        Host::Offer(command) => offer::run(context, command)?,
        Host::Show(command) => show(context, command)?,
    }
    Ok(Exit::Done)
}

fn put_up(context: &Context<'_>, command: &Stake) -> anyhow::Result<()> {
    let key = Signer::Host.open(context, command.options.key.as_deref())?;
    let host = Address::from(key.address().get());
    block_on(async {
        let ledger = Ledger::open(context, &command.options.chain).await?;
        let known = stake::registration(&ledger.client, &ledger.deployment, host).await?;
        let token = token(&ledger, known.as_ref(), command.token).await?;
        let account = ledger.account(key, Some((token, command.amount))).await?;
        let mut journal = Journal::default();
        let vault = match &known {
            Some(known) => known.vault,
            None => register(&ledger, &account, token, &mut journal).await?,
        };
        let payment = stake::deposit(&account, token, vault, command.amount).await?;
        journal.tell_payment(format!("staked {} dollars", dollars(command.amount)), &payment);
        print(context, &ledger, host, &journal).await
    })
}

/// The token of the vault, or the one that it is going to have.
async fn token(
    ledger: &Ledger,
    known: Option<&Registration>,
    named: Option<claim::Address>,
) -> anyhow::Result<Address> {
    let Some(known) = known else { return ledger.dollar(named).await };
    let token = stake::token(&ledger.client, known.vault).await?;
    if named.is_some_and(|named| Address::from(named.get()) != token) {
        let reason = format!("the host's vault holds {token}, and a host keeps its vault; leave --token out");
        return Err(UsageError(reason).into());
    }
    Ok(token)
}

async fn register(
    ledger: &Ledger,
    account: &Account,
    token: Address,
    journal: &mut Journal,
) -> anyhow::Result<Address> {
    let (vault, created) = stake::create_vault(account, &ledger.deployment, token).await?;
    if let Some(sent) = created {
        journal.tell(format!("made the vault {vault}"), &sent);
    }
    let sent = stake::register(account, &ledger.deployment, vault).await?;
    journal.tell(format!("registered the host {}", account.address()), &sent);
    Ok(vault)
}

/// What the chain says of a host that must be registered.
pub(crate) async fn registered(ledger: &Ledger, host: Address) -> anyhow::Result<Registration> {
    match stake::registration(&ledger.client, &ledger.deployment, host).await? {
        Some(registration) => Ok(registration),
        None => bail!("{host} is not registered as a host; `candor host stake AMOUNT` does that"),
    }
}

fn take_back(context: &Context<'_>, command: &Unstake) -> anyhow::Result<()> {
    let key = Signer::Host.open(context, command.options.key.as_deref())?;
    let host = Address::from(key.address().get());
    block_on(async {
        let ledger = Ledger::open(context, &command.options.chain).await?;
        let vault = registered(&ledger, host).await?.vault;
        let holdings = stake::holdings(&ledger.client, vault, host).await?;
        let amount = match command.portion {
            Some(Portion::All) => Some(holdings.own),
            Some(Portion::Part(amount)) if amount > holdings.own => bail!(
                "{host} has {} dollars at stake that it has not asked back, and {} are asked for",
                dollars(holdings.own),
                dollars(amount)
            ),
            Some(Portion::Part(amount)) => Some(amount),
            None => None,
        };
        let account = ledger.account(key, None).await?;
        let mut journal = Journal::default();
        let now = ledger.client.now().await?;
        for withdrawal in stake::withdrawals(&ledger.client, vault, host).await? {
            if withdrawal.mature_at <= now {
                let (sent, paid) = stake::claim(&account, vault, withdrawal.id).await?;
                journal.tell(format!("claimed {} dollars", dollars(paid)), &sent);
            }
        }
        if let Some(amount) = amount.filter(|amount| amount.get() > 0) {
            let (sent, asked) = stake::request_withdrawal(&account, vault, amount).await?;
            journal.tell(format!("asked {} dollars back", dollars(asked.amount)), &sent);
        }
        print(context, &ledger, host, &journal).await
    })
}

fn show(context: &Context<'_>, command: &Show) -> anyhow::Result<()> {
    let host = match command.host {
        Some(host) => host,
        None => Signer::Host.open(context, command.options.key.as_deref())?.address(),
    };
    block_on(async {
        let ledger = Ledger::open(context, &command.options.chain).await?;
        print(context, &ledger, Address::from(host.get()), &Journal::default()).await
    })
}

/// Prints what stands behind a host.
async fn print(context: &Context<'_>, ledger: &Ledger, host: Address, journal: &Journal) -> anyhow::Result<()> {
    let registration = registered(ledger, host).await?;
    let vault = registration.vault;
    let holdings = stake::holdings(&ledger.client, vault, host).await?;
    let waiting = stake::withdrawals(&ledger.client, vault, host).await?;
    if context.output.is_json() {
        return output::json(&json!({
            "host": host.to_string(),
            "vault": vault.to_string(),
            "stake": dollars(holdings.total),
            "own": dollars(holdings.own),
            "locked": dollars(holdings.locked),
            "lockable": dollars(holdings.lockable),
            "offer": registration.offer.to_string(),
            "endpoint": registration.endpoint,
            "withdrawals": waiting.iter().map(body).collect::<Vec<_>>(),
            "transactions": journal,
        }));
    }
    output::line(&format!("host      {host}"))?;
    output::line(&format!("vault     {vault}"))?;
    output::line(&format!(
        "stake     {} dollars, {} of them the host's own",
        dollars(holdings.total),
        dollars(holdings.own)
    ))?;
    output::line(&format!(
        "locked    {} dollars by disputes, {} could be",
        dollars(holdings.locked),
        dollars(holdings.lockable)
    ))?;
    if registration.offer != claim::Digest::ZERO {
        output::line(&format!("offer     {}", registration.offer))?;
    }
    if !registration.endpoint.is_empty() {
        output::line(&format!("endpoint  {}", registration.endpoint))?;
    }
    let now = ledger.client.now().await?;
    waiting.iter().try_for_each(|withdrawal| {
        let when = distance(withdrawal.mature_at.saturating_sub(now));
        output::line(&format!("leaving   {} dollars, to be claimed {when}", dollars(withdrawal.amount)))
    })
}

fn body(withdrawal: &Withdrawal) -> Value {
    json!({ "id": withdrawal.id, "amount": dollars(withdrawal.amount), "claimable_at": withdrawal.mature_at })
}
