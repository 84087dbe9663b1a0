//! How a host is paid: by channels, while it answers.
//!
//! A request names the channel that pays for it and is signed by the channel's client. What the answer may come to is set aside;
//! whenever the host signs for a part of it, that part is owed; and the client sends vouchers over what it owes. The rules are
//! [`market::Account`]'s. A voucher is on the disk before the host says that it has it.

mod clerk;
mod keeper;
mod tab;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use api::ApiError;
use claim::{Address, Amount, ChannelId, RequestHash, Signature};
use ledger::channel::{
    self, ChannelBook, ChannelDomain, ChannelTerms, Entry, PaidRequest, Salt, SignedVoucher, Stage, Standing,
};
use ledger::{Client, LedgerError, file::FileError};
use market::{Account, Refusal, Statement};
use tokio::sync::Semaphore;

use crate::serve::now;
use clerk::Clerk;
pub use tab::{Charge, Tab};

/// How far in the future a request may expire, in seconds: requests are remembered so long, so that none is served twice.
const EXPIRY_MAX_S: u64 = 300;

/// How old the chain's word on a channel may be. A client that closes its channel has to wait for longer than that.
const STANDING_AGE_MAX: Duration = Duration::from_secs(30);

/// Questions to the chain at once.
const LOOKUPS_MAX: usize = 8;

/// How a host wants to be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaymentTerms {
    /// The contract of channels on its chain.
    pub domain: ChannelDomain,
    /// The token.
    pub token: Address,
    /// Who is paid.
    pub host: Address,
    /// How much a client may owe, in millionths of a dollar.
    pub credit: Amount,
}

/// What a request says of its payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Who pays.
    pub client: Address,
    /// In what.
    pub token: Address,
    /// By which of its channels.
    pub salt: Salt,
    /// Until when the request may be taken, in seconds since 1970.
    pub expires: u64,
    /// The client's signature of a [`PaidRequest`].
    pub signature: Signature,
}

/// Why a till does not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TillError {
    /// The chain does not answer, or refuses.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The vouchers cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The accounts of a host.
#[derive(Debug)]
pub struct Till {
    client: Client,
    terms: PaymentTerms,
    clerk: Clerk,
    book: ChannelBook,
    /// What the vouchers are over that were given to earlier runs.
    kept: BTreeMap<ChannelId, Amount>,
    channels: Mutex<BTreeMap<ChannelId, Arc<Channel>>>,
    lookups: Semaphore,
}

/// A channel that pays this host.
#[derive(Debug)]
struct Channel {
    terms: ChannelTerms,
    id: ChannelId,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    account: Account,
    stage: Stage,
    /// When the chain was asked; none when it should be asked again.
    asked: Option<Instant>,
    /// Requests that were taken, with the time until which they may come again.
    seen: BTreeMap<RequestHash, u64>,
}

impl Channel {
    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is one assignment or a method of the account that leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Till {
    /// A till that keeps its vouchers in `book`.
    ///
    /// # Errors
    ///
    /// The book cannot be read.
    pub fn open(client: Client, terms: PaymentTerms, book: ChannelBook) -> Result<Self, TillError> {
        let is_mine = |entry: &Entry| {
            entry.domain == terms.domain && entry.terms.host == terms.host && entry.terms.token == terms.token
        };
        let entries = book.entries()?.into_iter().filter(is_mine);
        let kept = entries.map(|entry| (entry.id(), entry.paid())).collect();
        let clerk = Clerk::start(book.clone());
        let (channels, lookups) = (Mutex::default(), Semaphore::new(LOOKUPS_MAX));
        Ok(Self { client, terms, clerk, book, kept, channels, lookups })
    }

    /// How it wants to be paid.
    pub const fn terms(&self) -> PaymentTerms {
        self.terms
    }

    /// What a request is told that says nothing of a payment.
    pub(crate) fn ask(&self) -> ApiError {
        let PaymentTerms { domain, token, host, .. } = self.terms;
        ApiError::PaymentRequired {
            host: host.to_string(),
            token: token.to_string(),
            chain_id: domain.chain_id,
            contract: domain.contract.to_string(),
        }
    }

    /// Sees to it that the channel's client has sent this very request, now and once, and that the channel is open.
    ///
    /// # Errors
    ///
    /// It is not, or the chain does not answer.
    pub async fn admit(&self, payment: &Payment, request: RequestHash) -> Result<Tab, ApiError> {
        let Payment { client, token, salt, expires, signature } = *payment;
        self.check_token(token)?;
        let terms = self.channel_terms(client, salt);
        let id = terms.id(self.terms.domain);
        let now_s = now().get() / 1_000;
        if expires < now_s {
            return Err(refused(format!("the request expired {} s ago", now_s - expires)));
        }
        if expires > now_s + EXPIRY_MAX_S {
            let ahead = expires - now_s;
            return Err(refused(format!("a request may expire at most {EXPIRY_MAX_S} s ahead, found {ahead} s")));
        }
        let signer = PaidRequest { channel: id, request, expires }.signer(self.terms.domain, &signature);
        if signer != Ok(client) {
            return Err(refused(format!("the request is not signed by {client} for the channel {id}")));
        }
        let channel = self.channel(terms, id).await?;
        let mut state = channel.state();
        if let Stage::Closing(_) = state.stage {
            return Err(refused(format!("the channel {id} is about to be closed")));
        }
        state.seen.retain(|_, until| *until >= now_s);
        if state.seen.insert(request, expires).is_some() {
            return Err(refused("the same request was sent before; a new one has a new nonce".to_owned()));
        }
        drop(state);
        Ok(Tab::new(channel))
    }

    /// Takes a voucher. It is on the disk when this returns.
    ///
    /// # Errors
    ///
    /// The contract would not take it, it is over less than one before or over more than there is, or it cannot be stored.
    pub async fn pay(
        &self,
        (client, token, salt): (Address, Address, Salt),
        voucher: SignedVoucher,
    ) -> Result<(ChannelId, Statement), ApiError> {
        self.check_token(token)?;
        let (domain, terms) = (self.terms.domain, self.channel_terms(client, salt));
        voucher.verify(domain, &terms).map_err(|error| refused(error.to_string()))?;
        let id = terms.id(domain);
        let channel = self.channel(terms, id).await?;
        let amount = voucher.voucher.amount();
        let is_news = channel.state().account.check(amount);
        let is_news = is_news.map_err(|refusal| channel.refuse(refusal))?;
        if is_news {
            self.clerk.keep(&Entry { domain, terms, voucher: Some(voucher) }).await.map_err(|error| {
                tracing::error!(%error, "till.voucher_not_stored");
                ApiError::VoucherNotStored
            })?;
            channel.state().account.pay(amount);
        }
        let statement = channel.state().account.statement();
        Ok((id, statement))
    }

    /// Where a channel stands, if it was used since the host was started.
    pub fn statement(&self, id: ChannelId) -> Option<Statement> {
        let channel = self.known(id)?;
        let statement = channel.state().account.statement();
        Some(statement)
    }

    fn check_token(&self, token: Address) -> Result<(), ApiError> {
        let expected = self.terms.token;
        if token == expected {
            return Ok(());
        }
        Err(refused(format!("this host is paid in the token {expected}, found {token}")))
    }

    fn channel_terms(&self, client: Address, salt: Salt) -> ChannelTerms {
        ChannelTerms { client, host: self.terms.host, token: self.terms.token, salt }
    }

    fn known(&self, id: ChannelId) -> Option<Arc<Channel>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// A channel as the chain has it, or had it a moment ago.
    async fn channel(&self, terms: ChannelTerms, id: ChannelId) -> Result<Arc<Channel>, ApiError> {
        let is_fresh =
            |channel: &Arc<Channel>| channel.state().asked.is_some_and(|asked| asked.elapsed() < STANDING_AGE_MAX);
        if let Some(channel) = self.known(id).filter(is_fresh) {
            return Ok(channel);
        }
        let _turn = self.lookups.acquire().await.map_err(|_| ApiError::Stopping)?;
        let asked = Instant::now();
        let standing =
            channel::standing(&self.client, self.terms.domain, id).await.map_err(|error| unreachable(&error))?;
        if matches!(standing.stage, Stage::Unknown | Stage::Closed) {
            let what = if standing.stage == Stage::Closed { "is closed" } else { "was never opened" };
            return Err(refused(format!("the channel {id} {what}")));
        }
        Ok(self.enter(terms, id, &standing, asked))
    }

    /// Writes down what the chain says of a channel.
    fn enter(&self, terms: ChannelTerms, id: ChannelId, standing: &Standing, asked: Instant) -> Arc<Channel> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let channel = channels.entry(id).or_insert_with(|| {
            let kept = self.kept.get(&id).copied().unwrap_or(Amount::new(0));
            let account = Account::new(standing.capacity(), kept.max(standing.settled), self.terms.credit);
            let state = State { account, stage: standing.stage, asked: None, seen: BTreeMap::new() };
            Arc::new(Channel { terms, id, state: Mutex::new(state) })
        });
        let mut state = channel.state();
        state.account.set_capacity(standing.capacity());
        (state.stage, state.asked) = (standing.stage, Some(asked));
        drop(state);
        Arc::clone(channel)
    }
}

impl Channel {
    /// Tells of a refusal. Where a payment into the channel may have gone unnoticed, the chain is asked before the next request.
    fn refuse(&self, refusal: Refusal) -> ApiError {
        if matches!(refusal, Refusal::Unfunded { .. } | Refusal::Uncovered { .. }) {
            self.state().asked = None;
        }
        refused(refusal.to_string())
    }
}

fn refused(problem: String) -> ApiError {
    ApiError::PaymentRefused { problem }
}

fn unreachable(error: &LedgerError) -> ApiError {
    tracing::error!(%error, "till.chain_unreachable");
    ApiError::LedgerUnreachable
}
