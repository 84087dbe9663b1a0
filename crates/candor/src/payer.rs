//! A client that pays for an answer while it comes.
//!
//! It pays what it holds a receipt for, and nothing before: the host's word for a part of the answer, signed, for this very
//! request, at the price that was advertised. Vouchers go out beside the stream, so that paying slows no answer down.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail, ensure};
use claim::{Amount, HostKey, Price, RequestHash, SignedReceipt, TokenCount};
use ledger::channel::{Addition, ChannelBook, ChannelDomain, Entry, PaidRequest, Usage};
use reqwest::RequestBuilder;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::chain_access::Signer;
use crate::commands::Context;
use crate::gateway_client::GatewayClient;
use crate::money::{Rates, dollars};

/// How long a host may wait before it takes the request, in seconds.
const EXPIRES_S: u64 = 120;

/// Tokens that a chat template may add to a request's text, and more.
const TEMPLATE_TOKENS_MAX: usize = 1_024;

/// What the gateway says of its model.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ModelCard {
    /// The name that requests use.
    pub(crate) id: String,
    owned_by: String,
    candor: Facts,
}

impl ModelCard {
    /// Sees to it that nobody has to pay.
    pub(crate) fn costs_nothing(&self) -> anyhow::Result<()> {
        if self.candor.payment.is_none() {
            return Ok(());
        }
        bail!(
            "a million tokens of {} cost {} dollars; open a channel with `candor channel open {} AMOUNT`, and pay up to so many \
             dollars for an answer with --pay AMOUNT",
            self.id,
            Rates(self.candor.price.read()?),
            self.owned_by
        )
    }

    /// Whether a request that names its model so asks for this one.
    pub(crate) fn answers_to(&self, name: &str) -> bool {
        name == self.id || name == self.candor.model_root
    }
}

#[derive(Debug, Clone, Deserialize)]
struct Facts {
    model_root: String,
    price: PriceText,
    payment: Option<PaymentText>,
}

#[derive(Debug, Clone, Deserialize)]
struct PriceText {
    prompt_per_million: String,
    output_per_million: String,
}

#[derive(Debug, Clone, Deserialize)]
struct PaymentText {
    chain_id: u64,
    contract: String,
    token: String,
}

/// Pays for one answer.
pub(crate) struct Payer {
    book: ChannelBook,
    entry: Entry,
    key: HostKey,
    price: Price,
    /// The most that the answer may cost.
    limit: Amount,
    /// What the newest voucher of this answer is over, and for how many tokens.
    paid: (Amount, Usage),
    vouchers: watch::Sender<Option<Entry>>,
    sending: JoinHandle<anyhow::Result<()>>,
}

impl Payer {
    /// Someone who pays for an answer of this model, up to a limit. None where it costs nothing.
    pub(crate) fn new(
        context: &Context<'_>,
        gateway: &GatewayClient,
        card: &ModelCard,
        limit: Amount,
    ) -> anyhow::Result<Option<Self>> {
        let Some(payment) = &card.candor.payment else { return Ok(None) };
        let price = card.candor.price.read()?;
        let host: claim::Address = card.owned_by.parse().context("the gateway names a host that is no address")?;
        let contract = payment.contract.parse().context("the gateway names a contract that is no address")?;
        let token = payment.token.parse().context("the gateway names a token that is no address")?;
        let domain = ChannelDomain { chain_id: payment.chain_id, contract };
        let key = Signer::Wallet.open(context, None)?;
        let client = key.address();
        let book = ChannelBook::new(context.config.data.channels());
        let is_ours = |entry: &Entry| {
            let terms = entry.terms;
            entry.domain == domain && (terms.client, terms.host, terms.token) == (client, host, token)
        };
        let channels = book.entries()?.into_iter().filter(is_ours);
        let Some(entry) = channels.max_by_key(|entry| entry.terms.salt) else {
            bail!("{client} has no channel to the host {host}; `candor channel open {host} AMOUNT` opens one");
        };
        let (vouchers, inbox) = watch::channel(None);
        let sending = tokio::spawn(send(gateway.clone(), inbox));
        let paid = (Amount::new(0), Usage::default());
        Ok(Some(Self { book, entry, key, price, limit, paid, vouchers, sending }))
    }

    /// The client, which goes into the request's hash.
    pub(crate) fn client(&self) -> claim::Address {
        self.entry.terms.client
    }

    /// Says in a request which channel pays for it.
    pub(crate) fn sign(&self, request: RequestBuilder, hash: RequestHash) -> RequestBuilder {
        let Entry { domain, terms, .. } = self.entry;
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let expires = now_s + EXPIRES_S;
        let signature = PaidRequest { channel: self.entry.id(), request: hash, expires }.sign(domain, &self.key);
        request
            .header("x-candor-client", terms.client.to_string())
            .header("x-candor-channel", format!("{}/{}", terms.token, terms.salt.get()))
            .header("x-candor-expires", expires)
            .header("x-candor-signature", format!("{signature:?}"))
    }

    /// Pays for the answer so far, of a request whose body has so many bytes. How many tokens its prompt has is known at the end.
    pub(crate) fn pay(&mut self, signed: &SignedReceipt, body_bytes: usize, tokens: Usage) -> anyhow::Result<()> {
        let receipt = &signed.receipt;
        signed.verify().context("the receipt to be paid is not signed by its host")?;
        ensure!(
            receipt.host == self.entry.terms.host,
            "the receipt is of the host {}, which is not paid",
            receipt.host
        );
        ensure!(receipt.channel == self.entry.id(), "the receipt is for another channel");
        ensure!(
            receipt.price == self.price,
            "the receipt says that a million tokens cost {} dollars, and {} were advertised; nothing more was paid",
            Rates(receipt.price),
            Rates(self.price)
        );
        // No tokenizer makes more tokens than there are bytes, so a host cannot ask for a longer prompt than there was.
        let prompt_max = TokenCount::new((body_bytes + TEMPLATE_TOKENS_MAX) as u32);
        let total_max = self.price.total_floor(prompt_max, TokenCount::new(tokens.output_tokens as u32));
        ensure!(receipt.total <= total_max, "the receipt is over more than its tokens cost; nothing more was paid");
        ensure!(
            receipt.total <= self.limit,
            "the answer costs more than the {} dollars that --pay allows; {} were paid for what came before",
            dollars(self.limit),
            dollars(self.paid.0)
        );
        let (before, counted) = self.paid;
        let amount = Amount::new(receipt.total.get().saturating_sub(before.get()));
        if amount.get() == 0 {
            return Ok(());
        }
        let usage = Usage {
            prompt_tokens: tokens.prompt_tokens.saturating_sub(counted.prompt_tokens),
            output_tokens: tokens.output_tokens.saturating_sub(counted.output_tokens),
        };
        let addition = Addition { amount, usage, model: receipt.model_root, receipt: signed.id() };
        let Entry { domain, terms, .. } = self.entry;
        let voucher = self.book.sign_next(domain, terms, addition, &self.key)?;
        self.paid = (receipt.total, tokens);
        // Whoever sends takes the newest, which is over all that came before.
        self.vouchers.send_replace(Some(Entry { voucher: Some(voucher), ..self.entry }));
        Ok(())
    }

    /// Waits until the host has the newest voucher. Returns what was paid.
    pub(crate) async fn finish(self) -> anyhow::Result<Amount> {
        drop(self.vouchers);
        self.sending.await.context("paying failed")?.with_context(|| {
            format!(
                "the host may not have the voucher over {} dollars yet; the next one is over all",
                dollars(self.paid.0)
            )
        })?;
        Ok(self.paid.0)
    }
}

/// Sends each voucher that is the newest when its turn comes.
async fn send(gateway: GatewayClient, mut inbox: watch::Receiver<Option<Entry>>) -> anyhow::Result<()> {
    while inbox.changed().await.is_ok() {
        let newest = inbox.borrow_and_update().as_ref().map(Entry::write);
        let Some(body) = newest else { continue };
        gateway.send(gateway.post("v1/vouchers")?.header(CONTENT_TYPE, "application/json").body(body)).await?;
    }
    Ok(())
}

impl PriceText {
    fn read(&self) -> anyhow::Result<Price> {
        let read = |text: &str| text.parse().context("the gateway names a price that is no number");
        Ok(Price::new(read(&self.prompt_per_million)?, read(&self.output_per_million)?))
    }
}
