//! Payment channels: what one is between, where it stands, and what moves its money.

mod book;
mod request;
mod voucher;

use alloy::primitives::{B256, U256, Uint, keccak256};
use alloy::sol_types::{Eip712Domain, SolValue as _, eip712_domain};
use claim::{Address, Amount, ChannelId, Digest, ModelRoot};

use crate::abi::{self, Channels};
use crate::client::{Account, Client, Sent};
use crate::cursor::Change;
use crate::deployment::Deployment;
use crate::dollar::Payment;
use crate::error::LedgerError;
use crate::{dollar, permit};

pub use book::{Addition, BookError, ChannelBook, Entry, EntryError};
pub use request::PaidRequest;
pub use voucher::{SignedVoucher, Usage, Voucher, VoucherError};

/// Vouchers that one transaction settles, at most: 1.2 million gas, a twenty-fifth of a block.
pub const VOUCHERS_MAX: usize = 100;

/// Channels of the same client, host and token that are looked through. Each before the newest is closed.
const CHANNELS_MAX: u32 = 10_000;

/// How long a permit may be used, in seconds by the chain's time.
const PERMIT_TIME: u64 = 3_600;

/// The contract on its chain: vouchers and channels of one mean nothing in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChannelDomain {
    /// The chain.
    pub chain_id: u64,
    /// The contract.
    pub contract: Address,
}

impl ChannelDomain {
    /// The contract of a deployment.
    pub fn of(deployment: &Deployment) -> Self {
        Self { chain_id: deployment.chain_id, contract: Address::new(deployment.channels.into()) }
    }

    fn eip712(self) -> Eip712Domain {
        eip712_domain! {
            name: "Candor Channels",
            version: "1",
            chain_id: self.chain_id,
            verifying_contract: word_address(self.contract),
        }
    }
}

/// Tells channels of one client, host and token apart. They are counted from zero, so whoever has the client's key finds
/// them all again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Salt(u32);

impl Salt {
    /// The number itself.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number itself.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// What a channel is between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChannelTerms {
    /// Who pays.
    pub client: Address,
    /// Who is paid.
    pub host: Address,
    /// In what.
    pub token: Address,
    /// Which of those.
    pub salt: Salt,
}

impl ChannelTerms {
    /// The channel's name, as the contract computes it.
    pub fn id(&self, domain: ChannelDomain) -> ChannelId {
        let separator = domain.eip712().separator();
        let line = keccak256((separator, word_address(self.host), word_address(self.token)).abi_encode());
        ChannelId::new(Digest::new(keccak256([line.0, self.payer().0].concat()).0))
    }

    /// The word that names the client and which of its channels: 160 bits and 96.
    fn payer(&self) -> B256 {
        let mut word = B256::ZERO;
        word[..20].copy_from_slice(self.client.as_bytes());
        word[28..].copy_from_slice(&self.salt.0.to_be_bytes());
        word
    }

    fn words(&self) -> abi::Terms {
        abi::Terms {
            client: word_address(self.client),
            host: word_address(self.host),
            token: word_address(self.token),
            salt: Uint::from(self.salt.0),
        }
    }
}

/// Whether a channel can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It was never opened.
    Unknown,
    /// It can be funded and settled.
    Open,
    /// The client has asked to close it, which it can from that time on, in seconds since 1970.
    Closing(u64),
    /// It is empty for ever.
    Closed,
}

/// What the chain knows of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What vouchers can draw on, settled parts included.
    pub deposited: Amount,
    /// What the host was paid.
    pub settled: Amount,
    /// What refuted answers take off every later voucher.
    pub refuted: Amount,
    /// What refuted answers freed for the client.
    pub refundable: Amount,
    /// Whether it can be used.
    pub stage: Stage,
}

impl Standing {
    /// The most that a voucher can be over and still be paid whole.
    pub fn capacity(&self) -> Amount {
        Amount::new(self.deposited.get().saturating_add(self.refuted.get()))
    }

    /// What the host would get for a voucher over `amount`.
    pub fn due(&self, amount: Amount) -> Amount {
        if !matches!(self.stage, Stage::Open | Stage::Closing(_)) {
            return Amount::new(0);
        }
        let owed = amount.get().saturating_sub(self.refuted.get());
        Amount::new(owed.min(self.deposited.get()).saturating_sub(self.settled.get()))
    }
}

/// Looks a channel up.
///
/// # Errors
///
/// The chain does not answer.
pub async fn standing(client: &Client, domain: ChannelDomain, id: ChannelId) -> Result<Standing, LedgerError> {
    let call = Channels::channelCall { id: B256::from(id.get().get()) };
    let found = client.call(word_address(domain.contract), &call).await?;
    let amount = |word: U256| Amount::new(word.saturating_to());
    let stage = match found.state {
        abi::ChannelState::Open if found.closableAt.is_zero() => Stage::Open,
        abi::ChannelState::Open => Stage::Closing(found.closableAt.saturating_to()),
        abi::ChannelState::Closed => Stage::Closed,
        _ => Stage::Unknown,
    };
    Ok(Standing {
        deposited: amount(found.deposited),
        settled: amount(found.settled),
        refuted: amount(found.refuted),
        refundable: amount(found.refundable),
        stage,
    })
}

/// A channel with the place that it has on the chain.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// What it is between.
    pub terms: ChannelTerms,
    /// Where it stands.
    pub standing: Standing,
}

/// The channel of a client, host and token that is in use; where there is none, the one that can be opened next.
///
/// # Errors
///
/// The chain does not answer, or all channels that are looked through are closed.
pub async fn newest(
    client: &Client,
    domain: ChannelDomain,
    (payer, host, token): (Address, Address, Address),
) -> Result<Found, LedgerError> {
    for salt in 0..CHANNELS_MAX {
        let terms = ChannelTerms { client: payer, host, token, salt: Salt(salt) };
        let standing = standing(client, domain, terms.id(domain)).await?;
        if standing.stage != Stage::Closed {
            return Ok(Found { terms, standing });
        }
    }
    let reason = format!("{CHANNELS_MAX} channels between these two are closed");
    Err(LedgerError::Answer { method: "channel", reason })
}

/// Pays into a channel; the first payment opens it. With a permit where the token has them, and with an approval before it
/// where not.
///
/// # Errors
///
/// The chain refuses. What was sent before is an approval at most.
pub async fn fund(
    account: &Account,
    domain: ChannelDomain,
    terms: &ChannelTerms,
    amount: Amount,
) -> Result<Payment, LedgerError> {
    let (contract, token) = (word_address(domain.contract), word_address(terms.token));
    let (_, now) = account.client().head().await?;
    let value = U256::from(amount.get());
    if let Some(permit) = permit::sign(account, token, contract, value, now.saturating_add(PERMIT_TIME)).await? {
        let call = Channels::fundWithPermitCall {
            terms: terms.words(),
            amount: value,
            deadline: permit.deadline,
            v: permit.v,
            r: permit.r,
            s: permit.s,
        };
        return Ok(Payment { approval: None, sent: account.send(contract, &call).await? });
    }
    let approval = dollar::approve(account, token, contract, amount).await?;
    let sent = account.send(contract, &Channels::fundCall { terms: terms.words(), amount: value }).await?;
    Ok(Payment { approval, sent })
}

/// Asks to close a channel. Returns the time from which the client can.
///
/// # Errors
///
/// The chain refuses: the account is not the client, or has asked before.
pub async fn request_close(
    account: &Account,
    domain: ChannelDomain,
    terms: &ChannelTerms,
) -> Result<(Sent, u64), LedgerError> {
    let call = Channels::requestCloseCall { terms: terms.words() };
    let sent = account.send(word_address(domain.contract), &call).await?;
    let event = sent.event::<Channels::CloseRequested>().ok_or_else(no_event)?;
    Ok((sent, event.closableAt.saturating_to()))
}

/// The channels that somebody asked to close in a block.
pub fn close_requests(change: &Change) -> Vec<ChannelId> {
    let Change::Added { logs, .. } = change else { return Vec::new() };
    let requests = logs.iter().filter_map(|log| log.log_decode::<Channels::CloseRequested>().ok());
    requests.map(|log| ChannelId::new(Digest::new(log.inner.data.id.0))).collect()
}

/// Closes a channel. Returns what the client got back.
///
/// # Errors
///
/// The chain refuses: the account is not the host, and the time has not come.
pub async fn close(
    account: &Account,
    domain: ChannelDomain,
    terms: &ChannelTerms,
) -> Result<(Sent, Amount), LedgerError> {
    let call = Channels::closeCall { terms: terms.words() };
    let sent = account.send(word_address(domain.contract), &call).await?;
    let event = sent.event::<Channels::ChannelClosed>().ok_or_else(no_event)?;
    Ok((sent, Amount::new(event.returned.saturating_to())))
}

/// What became of a voucher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// All that it says is paid.
    Paid,
    /// The rest of the deposit is paid, which was less.
    PaidInPart,
    /// Nothing is due.
    NothingDue,
    /// It is due, but the deposit is used up.
    Empty,
    /// There is no such channel.
    UnknownChannel,
    /// The channel is closed.
    Closed,
    /// The client did not sign it.
    BadSignature,
}

impl Settlement {
    const ALL: [Self; 7] = [
        Self::Paid,
        Self::PaidInPart,
        Self::NothingDue,
        Self::Empty,
        Self::UnknownChannel,
        Self::Closed,
        Self::BadSignature,
    ];

    /// Its name in tables and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::PaidInPart => "paid in part",
            Self::NothingDue => "nothing due",
            Self::Empty => "empty",
            Self::UnknownChannel => "unknown channel",
            Self::Closed => "closed",
            Self::BadSignature => "bad signature",
        }
    }
}

/// A batch that was settled.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The transaction.
    pub sent: Sent,
    /// What the host got.
    pub paid: Amount,
    /// What became of each voucher, in their order.
    pub settlements: Vec<Settlement>,
}

/// Settles vouchers of one host, one token and one model, at most [`VOUCHERS_MAX`] of them. Anybody may.
///
/// # Errors
///
/// The chain refuses, or says nothing of what became of them.
pub async fn settle(
    account: &Account,
    domain: ChannelDomain,
    (host, token, model): (Address, Address, ModelRoot),
    vouchers: &[(ChannelTerms, SignedVoucher)],
) -> Result<Settled, LedgerError> {
    let call = Channels::settleCall {
        host: word_address(host),
        token: word_address(token),
        model: B256::from(model.get().get()),
        vouchers: vouchers.iter().map(|(terms, voucher)| voucher.packed(terms)).collect(),
    };
    let sent = account.send(word_address(domain.contract), &call).await?;
    let event = sent.event::<Channels::VouchersSettled>().ok_or_else(no_event)?;
    let settlements = event.settlements.iter().map(|&code| Settlement::ALL.get(usize::from(code)).copied());
    let settlements: Option<Vec<Settlement>> = settlements.collect();
    let settlements = settlements.filter(|all| all.len() == vouchers.len()).ok_or_else(no_event)?;
    Ok(Settled { sent, paid: Amount::new(event.paid.saturating_to()), settlements })
}

fn no_event() -> LedgerError {
    let reason = "it does not say what the contract did".to_owned();
    LedgerError::Answer { method: "eth_getTransactionReceipt", reason }
}

pub(crate) fn word_address(address: Address) -> alloy::primitives::Address {
    address.get().into()
}
