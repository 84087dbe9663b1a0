//! `candor channel`: prepaid channels to hosts.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use claim::{Amount, ChannelId, Digest, ModelRoot};
use clap::{Args, Subcommand};
use ledger::channel::{
    self, ChannelBook, ChannelDomain, ChannelTerms, Entry, Settlement, SignedVoucher, Stage, Standing, VOUCHERS_MAX,
};
use ledger::{Account, Address, stake};
use serde_json::{Value, json};

use super::{Context, block_on};
use crate::chain_access::{ChainOptions, Journal, Ledger, Signer, distance};
use crate::exit::Exit;
use crate::money::{dollars, parse_payment};
use crate::output;

/// What to do with channels.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Examples:\n  candor channel open 0x90F79bf6EB2c4f870365E785982E1f101E93b906 10\n  candor channel status"
)]
pub(crate) enum Channel {
    /// Put money into a channel to a host; opens it the first time
    #[command(
        after_help = "Examples:\n  candor channel open 0x90F79bf6EB2c4f870365E785982E1f101E93b906 10\n  candor channel open 0x90F79bf6EB2c4f870365E785982E1f101E93b906 2.50 --json"
    )]
    Open(Open),
    /// Print channels: what is in them, what is paid, what is owed
    #[command(
        after_help = "Examples:\n  candor channel status\n  candor channel status 0x90F79bf6EB2c4f870365E785982E1f101E93b906 --json"
    )]
    Status(Status),
    /// As a host, collect what the vouchers of this data folder are worth
    #[command(after_help = "Examples:\n  candor channel settle\n  candor channel settle --json")]
    Settle(Settle),
    /// Get back what is left: a client asks, and closes after a delay; a host (--host) settles and closes at once
    #[command(
        after_help = "Examples:\n  candor channel close 0x90F79bf6EB2c4f870365E785982E1f101E93b906\n  candor channel close 0x6b1f... --host"
    )]
    Close(Close),
}

/// The chain and the paying key.
#[derive(Debug, Args)]
struct Payer {
    #[command(flatten)]
    chain: ChainOptions,
    /// The key file, `wallet.json` in the data folder by default
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Contract of the token to pay in, the deployment's dollar by default
    #[arg(long, value_name = "ADDRESS")]
    token: Option<claim::Address>,
}

/// Money for a host.
#[derive(Debug, Args)]
pub(crate) struct Open {
    #[command(flatten)]
    payer: Payer,
    /// Also where no stake stands behind the host
    #[arg(long)]
    unregistered: bool,
    /// The host's address, which its receipts name
    #[arg(value_name = "HOST")]
    host: claim::Address,
    /// Dollars to put in
    #[arg(value_name = "AMOUNT", value_parser = parse_payment)]
    amount: Amount,
}

/// Which channels.
#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    payer: Payer,
    /// Only the channel to this host, looked up on the chain
    #[arg(value_name = "HOST")]
    host: Option<claim::Address>,
}

/// A host's vouchers.
#[derive(Debug, Args)]
pub(crate) struct Settle {
    #[command(flatten)]
    chain: ChainOptions,
    /// The host's key file, `host-key.json` in the data folder by default
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

/// Which channel.
#[derive(Debug, Args)]
pub(crate) struct Close {
    #[command(flatten)]
    payer: Payer,
    /// Close as the host
    #[arg(long)]
    host: bool,
    /// The host of the channel in use, or a channel's id
    #[arg(value_name = "HOST|CHANNEL")]
    channel: Named,
}

/// A channel as it is named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Host(claim::Address),
    Id(ChannelId),
}

impl std::str::FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() > 42 {
            return text.parse::<Digest>().map(|id| Self::Id(ChannelId::new(id))).map_err(|error| error.to_string());
        }
        text.parse().map(Self::Host).map_err(|error| error.to_string())
    }
}

/// Runs the command.
pub(crate) fn run(context: &Context<'_>, command: &Channel) -> anyhow::Result<Exit> {
    match command {
        Channel::Open(command) => open(context, command),
        Channel::Status(command) => status(context, command),
        Channel::Settle(command) => settle(context, command),
        Channel::Close(command) => close(context, command),
    }
}

/// The file of channels.
fn book(context: &Context<'_>) -> ChannelBook {
    ChannelBook::new(context.config.data.channels())
}

fn open(context: &Context<'_>, command: &Open) -> anyhow::Result<Exit> {
    let key = Signer::Wallet.open(context, command.payer.key.as_deref())?;
    let (client, host) = (key.address(), command.host);
    context.config.data.create()?;
    block_on(async {
        let ledger = Ledger::open(context, &command.payer.chain).await?;
        let registration = stake::registration(&ledger.client, &ledger.deployment, Address::from(host.get())).await?;
        if registration.is_none() && !command.unregistered {
            bail!(
                "{host} is not a registered host, so nothing would be at stake if it lied; check the address, or pay it all \
                 the same with --unregistered"
            );
        }
        let token = ledger.dollar(command.payer.token).await?;
        let account = ledger.account(key, Some((token, command.amount))).await?;
        let domain = ChannelDomain::of(&ledger.deployment);
        let between = (client, host, claim::Address::new(token.into()));
        let found = channel::newest(&ledger.client, domain, between).await?;
        let terms = found.terms;
        let id = terms.id(domain);
        if let Stage::Closing(_) = found.standing.stage {
            bail!(
                "the channel {id} is about to be closed; `candor channel close {host}` ends it, and then a new one can be opened"
            );
        }
        book(context).add(domain, terms)?;
        let mut journal = Journal::default();
        let verb = if found.standing.stage == Stage::Open { "paid" } else { "opened the channel with" };
        let payment = channel::fund(&account, domain, &terms, command.amount).await?;
        journal.tell_payment(format!("{verb} {} dollars", dollars(command.amount)), &payment);
        let entry = Entry { domain, terms, voucher: None };
        print_one(context, &ledger, &entry, &journal).await
    })?;
    Ok(Exit::Done)
}

fn status(context: &Context<'_>, command: &Status) -> anyhow::Result<Exit> {
    let named = match command.host {
        Some(host) => Some((Signer::Wallet.open(context, command.payer.key.as_deref())?.address(), host)),
        None => None,
    };
    block_on(async {
        let ledger = Ledger::open(context, &command.payer.chain).await?;
        let domain = ChannelDomain::of(&ledger.deployment);
        if let Some((client, host)) = named {
            let entry = in_use(context, &ledger, command.payer.token, (client, host)).await?;
            return print_one(context, &ledger, &entry, &Journal::default()).await;
        }
        let entries = book(context).entries()?.into_iter().filter(|entry| entry.domain == domain);
        let mut rows = Vec::new();
        for entry in entries {
            let standing = channel::standing(&ledger.client, domain, entry.id()).await?;
            rows.push((entry, standing));
        }
        print_all(context, &ledger, &rows).await
    })?;
    Ok(Exit::Done)
}

/// The channel between two that is in use, with its voucher where the book has one.
async fn in_use(
    context: &Context<'_>,
    ledger: &Ledger,
    token: Option<claim::Address>,
    (client, host): (claim::Address, claim::Address),
) -> anyhow::Result<Entry> {
    let token = claim::Address::new(ledger.dollar(token).await?.into());
    let domain = ChannelDomain::of(&ledger.deployment);
    let found = channel::newest(&ledger.client, domain, (client, host, token)).await?;
    if found.standing.stage == Stage::Unknown {
        bail!("{client} has no open channel to {host}; `candor channel open {host} AMOUNT` opens one");
    }
    let kept = book(context).entries()?.into_iter().find(|kept| (kept.domain, kept.terms) == (domain, found.terms));
    Ok(kept.unwrap_or(Entry { domain, terms: found.terms, voucher: None }))
}

fn settle(context: &Context<'_>, command: &Settle) -> anyhow::Result<Exit> {
    let key = Signer::Host.open(context, command.key.as_deref())?;
    let host = key.address();
    let (Settled { outcomes, paid }, journal) = block_on(async {
        let ledger = Ledger::open(context, &command.chain).await?;
        let account = ledger.account(key, None).await?;
        let mut journal = Journal::default();
        // The folder may also hold channels by which its owner pays others.
        let entries = book(context).entries()?.into_iter().filter(|entry| entry.terms.host == host);
        let settled = settle_all(&ledger, &account, &entries.collect::<Vec<_>>(), &mut journal).await?;
        Ok((settled, journal))
    })?;
    let paid = dollars(Amount::new(paid));
    if context.output.is_json() {
        let vouchers: Vec<Value> = outcomes.iter().map(Outcome::body).collect();
        output::json(&json!({ "paid": paid, "vouchers": vouchers, "transactions": journal }))?;
    } else {
        for Outcome { id, what, paid, .. } in &outcomes {
            output::line(&format!("{id}  {}: {} dollars", what.text(), dollars(*paid)))?;
        }
        output::line(&format!("paid {paid} dollars for {} vouchers", outcomes.len()))?;
    }
    let is_refused = outcomes.iter().any(|outcome| outcome.what.is_refusal());
    if is_refused {
        bail!("some vouchers are not the client's for this chain and this contract; they were not sent");
    }
    Ok(Exit::Done)
}

/// What settling came to.
#[derive(Default)]
struct Settled {
    outcomes: Vec<Outcome>,
    /// What the host got, by the contract's word.
    paid: u128,
}

/// What became of a voucher of the book.
struct Outcome {
    id: ChannelId,
    /// What it was worth when it was sent.
    paid: Amount,
    what: Fate,
}

enum Fate {
    /// The contract's word, or what it would have said.
    Settled(Settlement),
    /// The contract would have refused it, so it was not sent.
    Refused(String),
}

impl Fate {
    fn text(&self) -> &str {
        match self {
            Self::Settled(settlement) => settlement.name(),
            Self::Refused(reason) => reason,
        }
    }

    fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Settled(Settlement::BadSignature))
    }
}

impl Outcome {
    fn body(&self) -> Value {
        json!({ "channel": self.id.to_string(), "outcome": self.what.text(), "paid": dollars(self.paid) })
    }
}

/// Settles the newest vouchers of this contract's channels, in batches of one host, token and model.
async fn settle_all(
    ledger: &Ledger,
    account: &Account,
    entries: &[Entry],
    journal: &mut Journal,
) -> anyhow::Result<Settled> {
    let domain = ChannelDomain::of(&ledger.deployment);
    let Settled { mut outcomes, mut paid } = Settled::default();
    let mut batches: BTreeMap<(claim::Address, claim::Address, ModelRoot), Vec<Due>> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.domain == domain) {
        let Some(voucher) = entry.voucher else { continue };
        let id = entry.id();
        let outcome = |what| Outcome { id, paid: Amount::new(0), what };
        if let Err(error) = voucher.verify(domain, &entry.terms) {
            outcomes.push(outcome(Fate::Refused(error.to_string())));
            continue;
        }
        let standing = channel::standing(&ledger.client, domain, id).await?;
        let due = standing.due(voucher.voucher.amount());
        if due.get() == 0 {
            outcomes.push(outcome(Fate::Settled(why_nothing(&standing, voucher.voucher.amount()))));
            continue;
        }
        let ChannelTerms { host, token, .. } = entry.terms;
        let due = Due { terms: entry.terms, voucher, amount: due };
        batches.entry((host, token, voucher.voucher.model)).or_default().push(due);
    }
    for (line, batch) in &batches {
        for vouchers in batch.chunks(VOUCHERS_MAX) {
            let packed: Vec<_> = vouchers.iter().map(|due| (due.terms, due.voucher)).collect();
            let settled = channel::settle(account, domain, *line, &packed).await?;
            journal.tell(format!("settled {} vouchers", vouchers.len()), &settled.sent);
            paid += settled.paid.get();
            outcomes.extend(vouchers.iter().zip(&settled.settlements).map(|(due, &settlement)| {
                let is_paid = matches!(settlement, Settlement::Paid | Settlement::PaidInPart);
                let paid = if is_paid { due.amount } else { Amount::new(0) };
                Outcome { id: due.terms.id(domain), paid, what: Fate::Settled(settlement) }
            }));
        }
    }
    Ok(Settled { outcomes, paid })
}

/// A voucher with what it is worth.
struct Due {
    terms: ChannelTerms,
    voucher: SignedVoucher,
    amount: Amount,
}

/// What the contract would say of a voucher that is worth nothing.
fn why_nothing(standing: &Standing, amount: Amount) -> Settlement {
    let owed = amount.get().saturating_sub(standing.refuted.get());
    match standing.stage {
        Stage::Unknown => Settlement::UnknownChannel,
        Stage::Closed => Settlement::Closed,
        Stage::Open | Stage::Closing(_) if owed > standing.settled.get() => Settlement::Empty,
        Stage::Open | Stage::Closing(_) => Settlement::NothingDue,
    }
}

fn close(context: &Context<'_>, command: &Close) -> anyhow::Result<Exit> {
    let signer = if command.host { Signer::Host } else { Signer::Wallet };
    let key = signer.open(context, command.payer.key.as_deref())?;
    let own = key.address();
    block_on(async {
        let ledger = Ledger::open(context, &command.payer.chain).await?;
        let domain = ChannelDomain::of(&ledger.deployment);
        let entry = match command.channel {
            Named::Host(host) => in_use(context, &ledger, command.payer.token, (own, host)).await?,
            Named::Id(id) => {
                let mut entries = book(context).entries()?.into_iter().filter(|entry| entry.domain == domain);
                let found = entries.find(|entry| entry.id() == id);
                found.with_context(|| format!("the channel {id} is not in {}", book(context).path().display()))?
            }
        };
        let account = ledger.account(key, None).await?;
        let mut journal = Journal::default();
        if own == entry.terms.host {
            let settled = settle_all(&ledger, &account, &[entry], &mut journal).await?;
            if let Some(refused) = settled.outcomes.iter().find(|outcome| outcome.what.is_refusal()) {
                bail!(
                    "the channel {} is left open, because its voucher is of no use: {}",
                    refused.id,
                    refused.what.text()
                );
            }
            finish(&account, &entry, &mut journal).await?;
        } else if own == entry.terms.client {
            ask_or_finish(&ledger, &account, &entry, &mut journal).await?;
        } else {
            bail!("{own} is neither the client nor the host of the channel {}", entry.id());
        }
        print_one(context, &ledger, &entry, &journal).await
    })?;
    Ok(Exit::Done)
}

/// The client's way: ask, wait, close.
async fn ask_or_finish(ledger: &Ledger, account: &Account, entry: &Entry, journal: &mut Journal) -> anyhow::Result<()> {
    let now = ledger.client.now().await?;
    match channel::standing(&ledger.client, entry.domain, entry.id()).await?.stage {
        Stage::Open => {
            let (sent, closable_at) = channel::request_close(account, entry.domain, &entry.terms).await?;
            let when = distance(closable_at.saturating_sub(now));
            journal.tell(format!("asked to close, which the same command does {when}"), &sent);
        }
        Stage::Closing(closable_at) if closable_at > now => {
            output::note(&format!("the host may settle until then: it can be closed {}", distance(closable_at - now)));
        }
        Stage::Closing(_) => finish(account, entry, journal).await?,
        Stage::Closed => output::note("it is closed already"),
        Stage::Unknown => bail!("the channel {} was never opened", entry.id()),
    }
    Ok(())
}

async fn finish(account: &Account, entry: &Entry, journal: &mut Journal) -> anyhow::Result<()> {
    let (sent, returned) = channel::close(account, entry.domain, &entry.terms).await?;
    journal.tell(format!("closed, {} dollars went back to the client", dollars(returned)), &sent);
    Ok(())
}

/// What the channel still owes by the newest voucher that is kept.
fn owed(entry: &Entry, standing: &Standing) -> Option<Amount> {
    entry.voucher.map(|voucher| standing.due(voucher.voucher.amount()))
}

fn stage_text(stage: Stage, now: u64) -> String {
    match stage {
        Stage::Unknown => "unknown".to_owned(),
        Stage::Open => "open".to_owned(),
        Stage::Closing(at) => format!("closable {}", distance(at.saturating_sub(now))),
        Stage::Closed => "closed".to_owned(),
    }
}

fn body(entry: &Entry, standing: &Standing) -> Value {
    let (stage, closable_at) = match standing.stage {
        Stage::Unknown => ("unknown", None),
        Stage::Open => ("open", None),
        Stage::Closing(at) => ("closing", Some(at)),
        Stage::Closed => ("closed", None),
    };
    json!({
        "channel": entry.id().to_string(),
        "client": entry.terms.client.to_string(),
        "host": entry.terms.host.to_string(),
        "token": entry.terms.token.to_string(),
        "stage": stage,
        "closable_at": closable_at,
        "deposited": dollars(standing.deposited),
        "settled": dollars(standing.settled),
        "refunded": dollars(standing.refuted),
        "voucher": entry.voucher.map(|voucher| dollars(voucher.voucher.amount())),
        "owed": owed(entry, standing).map(dollars),
    })
}

async fn print_one(context: &Context<'_>, ledger: &Ledger, entry: &Entry, journal: &Journal) -> anyhow::Result<()> {
    let standing = channel::standing(&ledger.client, entry.domain, entry.id()).await?;
    if context.output.is_json() {
        let mut body = body(entry, &standing);
        body["transactions"] = serde_json::to_value(journal)?;
        return output::json(&body);
    }
    let now = ledger.client.now().await?;
    output::line(&format!("channel    {}", entry.id()))?;
    output::line(&format!("client     {}", entry.terms.client))?;
    output::line(&format!("host       {}", entry.terms.host))?;
    output::line(&format!("state      {}", stage_text(standing.stage, now)))?;
    output::line(&format!("deposited  {} dollars", dollars(standing.deposited)))?;
    output::line(&format!("settled    {} dollars", dollars(standing.settled)))?;
    owed(entry, &standing).iter().try_for_each(|owed| output::line(&format!("owed       {} dollars", dollars(*owed))))
}

async fn print_all(context: &Context<'_>, ledger: &Ledger, rows: &[(Entry, Standing)]) -> anyhow::Result<()> {
    if context.output.is_json() {
        return rows.iter().try_for_each(|(entry, standing)| output::json(&body(entry, standing)));
    }
    let now = ledger.client.now().await?;
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|(entry, standing)| {
            vec![
                dollars(standing.deposited),
                dollars(standing.settled),
                owed(entry, standing).map_or_else(|| "-".to_owned(), dollars),
                stage_text(standing.stage, now),
                entry.terms.host.to_string(),
                entry.id().to_string(),
            ]
        })
        .collect();
    context.output.table(&["deposited", "settled", "owed", "state", "host", "channel"], &cells)
}
