//! `candor wallet`: the key that pays.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use claim::{Amount, HostKey};
use clap::{Args, Subcommand};
use ledger::{Address, dollar};
use serde_json::json;

use super::{Context, block_on};
use crate::chain_access::{ChainOptions, Holdings, Journal, Ledger, Signer};
use crate::exit::{Exit, UsageError};
use crate::key_file::{self, Written};
use crate::money::{dollars, ether, parse_ether, parse_payment};
use crate::output;

/// The longest key that is imported: a keystore file.
const IMPORT_BYTES_MAX: u64 = 64 << 10;

/// What `fund` gives where nothing is said: enough for every example.
const USUAL_DOLLARS: Amount = Amount::new(1_000_000_000);
const USUAL_WEI: u128 = 10_000_000_000_000_000_000;

/// What to do with wallets.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  candor wallet new\n  candor wallet fund\n  candor wallet show")]
pub(crate) enum Wallet {
    /// Make a key and keep it in the data folder, encrypted with a passphrase
    #[command(after_help = "Examples:\n  candor wallet new\n  CANDOR_PASSPHRASE=... candor wallet new --json")]
    New(Kept),
    /// Keep a key that there is already: a key file (version 3) or 64 hexadecimal digits
    #[command(
        after_help = "Examples:\n  candor wallet import ./UTC--2026-01-01--f39f\n  candor wallet import - < key.txt"
    )]
    Import(Import),
    /// Print address, ether and dollars
    #[command(after_help = "Examples:\n  candor wallet show\n  candor wallet show --host --json")]
    Show(Show),
    /// Make ether and dollars out of nothing, on a development chain
    #[command(after_help = "Examples:\n  candor wallet fund\n  candor wallet fund --host --dollars 500 --ether 1")]
    Fund(Fund),
}

/// Where the key is kept.
#[derive(Debug, Args)]
pub(crate) struct Kept {
    /// The key file, `wallet.json` in the data folder by default
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

/// A key from elsewhere.
#[derive(Debug, Args)]
pub(crate) struct Import {
    #[command(flatten)]
    kept: Kept,
    /// The file with the key (`-` for standard input); the passphrase of a key file is kept
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Whose money.
#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    chain: ChainOptions,
    #[command(flatten)]
    whose: Whose,
}

/// Which key.
#[derive(Debug, Args)]
pub(crate) struct Whose {
    /// The key file, `wallet.json` in the data folder by default
    #[arg(long, value_name = "FILE", conflicts_with = "host")]
    key: Option<PathBuf>,
    /// The host's key instead of the wallet
    #[arg(long)]
    host: bool,
}

/// Whose money, and how much more of it.
#[derive(Debug, Args)]
pub(crate) struct Fund {
    #[command(flatten)]
    chain: ChainOptions,
    #[command(flatten)]
    whose: Whose,
    /// Dollars to make, 1000 by default
    #[arg(long, value_name = "AMOUNT", value_parser = parse_payment)]
    dollars: Option<Amount>,
    /// Ether to make, 10 by default
    #[arg(long, value_name = "AMOUNT", value_parser = parse_ether)]
    ether: Option<u128>,
}

/// Runs the command.
pub(crate) fn run(context: &Context<'_>, command: &Wallet) -> anyhow::Result<Exit> {
    match command {
        Wallet::New(kept) => {
            let passphrase = key_file::passphrase_to_make(&context.environment.passphrase)?;
            keep(context, kept, &key_file::generate()?, &passphrase)?;
        }
        Wallet::Import(command) => import(context, command)?,
        Wallet::Show(command) => show(context, command)?,
        Wallet::Fund(command) => fund(context, command)?,
    }
    Ok(Exit::Done)
}

/// Writes a wallet that was not there.
fn keep(
    context: &Context<'_>,
    kept: &Kept,
    key: &HostKey,
    passphrase: &crate::environment::Passphrase,
) -> anyhow::Result<()> {
    let path = kept.key.clone().unwrap_or_else(|| context.config.data.wallet());
    if kept.key.is_none() {
        context.config.data.create()?;
    }
    if let Written::WasThere = key_file::write_new(&path, key, passphrase)? {
        bail!(
            "{} is there already, and a key that is lost is lost for ever; move it away, or choose another file with --key FILE",
            path.display()
        );
    }
    if passphrase.reveal().is_empty() {
        output::note("the passphrase is empty: whoever can read the file has the money; CANDOR_PASSPHRASE sets one");
    }
    if context.output.is_json() {
        return output::json(&json!({ "address": key.address().to_string(), "path": path }));
    }
    output::line(&format!("{} is kept in {}", key.address(), path.display()))
}

fn import(context: &Context<'_>, command: &Import) -> anyhow::Result<()> {
    let text = read_key(&command.file)?;
    let given = &context.environment.passphrase;
    if text.trim_start().starts_with('{') {
        let passphrase = key_file::passphrase_to_open(given, &command.file)?;
        let key = key_file::decrypt("the key file", &command.file, &text, &passphrase)?;
        return keep(context, &command.kept, &key, &passphrase);
    }
    let key = parse_secret(text.trim()).ok_or_else(|| {
        // The text is a secret, or meant to be one, so it is not repeated.
        UsageError(format!("{} holds neither a key file nor the 64 digits of a secret key", command.file.display()))
    })?;
    keep(context, &command.kept, &key, &key_file::passphrase_to_make(given)?)
}

fn read_key(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().take(IMPORT_BYTES_MAX).read_to_string(&mut text).context("cannot read standard input")?;
        return Ok(text);
    }
    key_file::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// A key of 64 hexadecimal digits.
fn parse_secret(text: &str) -> Option<HostKey> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    // A digest is written just so.
    let bytes: claim::Digest = format!("0x{digits}").parse().ok()?;
    HostKey::from_bytes(bytes.as_bytes()).ok()
}

fn open(context: &Context<'_>, whose: &Whose) -> anyhow::Result<HostKey> {
    let signer = if whose.host { Signer::Host } else { Signer::Wallet };
    signer.open(context, whose.key.as_deref())
}

fn show(context: &Context<'_>, command: &Show) -> anyhow::Result<()> {
    let address = Address::from(open(context, &command.whose)?.address().get());
    let holdings = block_on(async {
        let ledger = Ledger::open(context, &command.chain).await.with_context(|| format!("the key is {address}"))?;
        Holdings::of(&ledger.client, ledger.deployment.dollar, address).await
    })?;
    print(context, address, &holdings)
}

fn print(context: &Context<'_>, address: Address, holdings: &Holdings) -> anyhow::Result<()> {
    if context.output.is_json() {
        return output::json(&json!({
            "address": address.to_string(), "ether": holdings.ether, "dollars": holdings.dollars,
        }));
    }
    output::line(&format!("address  {address}"))?;
    output::line(&format!("ether    {}", holdings.ether))?;
    holdings.dollars.iter().try_for_each(|dollars| output::line(&format!("dollars  {dollars}")))
}

fn fund(context: &Context<'_>, command: &Fund) -> anyhow::Result<()> {
    let key = open(context, &command.whose)?;
    let (amount, wei) = (command.dollars.unwrap_or(USUAL_DOLLARS), command.ether.unwrap_or(USUAL_WEI));
    let (address, holdings) = block_on(async {
        let ledger = Ledger::open(context, &command.chain).await?;
        let chain_id = ledger.client.chain_id();
        let token = match ledger.deployment.dollar {
            Some(token) if dollar::is_development(chain_id) => token,
            _ => bail!(
                "chain {chain_id} is not a development chain, where money comes out of nothing; send some to the wallet"
            ),
        };
        let account = ledger.account_to_fund(key);
        let address = account.address();
        dollar::make_wei(&ledger.client, address, wei).await?;
        output::note(&format!("made {} ether", ether(wei)));
        let sent = dollar::mint(&account, token, amount).await?;
        Journal::default().tell(format!("made {} dollars", dollars(amount)), &sent);
        Ok((address, Holdings::of(&ledger.client, Some(token), address).await?))
    })?;
    print(context, address, &holdings)
}
