//! Settles what would be lost: when a client closes its channel, the host has some time to collect what it is owed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use claim::{ChannelId, ModelRoot};
use ledger::channel::{self, Entry, Stage, VOUCHERS_MAX};
use ledger::{Account, Cursor};

use super::{Till, TillError};

/// How often the chain is looked at: many times in the time that a channel takes to close.
const PERIOD: Duration = Duration::from_secs(10);

/// What is to be looked at.
enum Watch {
    /// Requests to close that came while nobody watched are found by asking for each channel once.
    All,
    /// Later ones come as events. What could not be settled is tried again.
    Events { cursor: Cursor, closing: BTreeSet<ChannelId> },
}

impl Till {
    /// Settles every channel that its client is about to close, for as long as it is polled. `account` pays for the gas.
    pub async fn keep(&self, account: &Account) {
        let mut watch = Watch::All;
        loop {
            if let Err(error) = self.keep_once(account, &mut watch).await {
                tracing::warn!(%error, "till.not_kept");
            }
            tokio::time::sleep(PERIOD).await;
        }
    }

    async fn keep_once(&self, account: &Account, watch: &mut Watch) -> Result<(), TillError> {
        match watch {
            Watch::All => {
                let (head, _) = self.client.head().await?;
                self.settle_closing(account, |_| true).await?;
                let contract = self.terms.domain.contract.get().into();
                let cursor = Cursor::new(self.client.clone(), vec![contract], head.saturating_add(1));
                *watch = Watch::Events { cursor, closing: BTreeSet::new() };
            }
            Watch::Events { cursor, closing } => {
                closing.extend(cursor.poll().await?.iter().flat_map(channel::close_requests));
                if !closing.is_empty() {
                    self.settle_closing(account, |id| closing.contains(&id)).await?;
                    closing.clear();
                }
            }
        }
        Ok(())
    }

    /// Settles the newest vouchers of those channels that are about to be closed.
    async fn settle_closing(&self, account: &Account, which: impl Fn(ChannelId) -> bool) -> Result<(), TillError> {
        let terms = self.terms;
        let is_mine = |entry: &Entry| entry.domain == terms.domain && entry.terms.host == terms.host;
        let mut batches: BTreeMap<(claim::Address, ModelRoot), Vec<_>> = BTreeMap::new();
        for entry in self.book.entries()?.into_iter().filter(|entry| is_mine(entry) && which(entry.id())) {
            let Some(voucher) = entry.voucher else { continue };
            let standing = channel::standing(&self.client, terms.domain, entry.id()).await?;
            let is_due = standing.due(voucher.voucher.amount()).get() > 0;
            if matches!(standing.stage, Stage::Closing(_)) && is_due {
                let line = (entry.terms.token, voucher.voucher.model);
                batches.entry(line).or_default().push((entry.terms, voucher));
            }
        }
        for ((token, model), batch) in &batches {
            for vouchers in batch.chunks(VOUCHERS_MAX) {
                let line = (terms.host, *token, *model);
                let settled = channel::settle(account, terms.domain, line, vouchers).await?;
                tracing::info!(vouchers = vouchers.len(), paid = settled.paid.get() as u64, "till.settled_closing");
            }
        }
        Ok(())
    }
}
