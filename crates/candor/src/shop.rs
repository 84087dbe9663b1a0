//! What `candor up` needs of a chain to be paid: the chain itself, the contracts, and a till.

use std::path::PathBuf;
use std::sync::Arc;

use claim::{Amount, HostKey, Price, TokenCount};
use gateway::store::ReceiptStore;
use host::Host;
use host::till::{PaymentTerms, Till};
use ledger::channel::{ChannelBook, ChannelDomain};
use ledger::{Account, Client, LedgerError, dollar};

use crate::chain_access::{ChainOptions, Ledger, USUAL_URL};
use crate::commands::Context;
use crate::commands::chain::{Embedded, USUAL_PORT};
use crate::defence::Defence;
use crate::money::Dollars;
use crate::output;

/// What a client may owe unless told otherwise, if that is more than a long prompt and what is signed while a voucher is on its way.
const USUAL_CREDIT: Amount = Amount::new(10_000);

/// That prompt, and those tokens.
const ON_CREDIT: (TokenCount, TokenCount) = (TokenCount::new(8_192), TokenCount::new(256));

/// Ether that a host is given on a development chain, for its gas.
const DEVELOPMENT_WEI: u128 = 1_000_000_000_000_000_000;

/// A host's end of a chain.
#[derive(Debug)]
pub(crate) struct Shop {
    ledger: Ledger,
    account: Arc<Account>,
    till: Arc<Till>,
    /// The chain, where it runs in this process.
    embedded: Option<Embedded>,
}

impl Shop {
    /// Connects to the chain that was named. Where none was, and none runs where one usually does, one is started.
    pub(crate) async fn open(
        context: &Context<'_>,
        options: &ChainOptions,
        (price, credit): (Price, Option<Dollars>),
        key: Arc<HostKey>,
    ) -> anyhow::Result<Self> {
        let named = context.config.merge("chain", options)?;
        let is_named = named.chain.is_some() || named.deployment.is_some();
        let is_missing = !is_named && matches!(Client::connect(USUAL_URL).await, Err(LedgerError::Unreachable { .. }));
        let embedded = if is_missing { Some(Embedded::start(&context.config.data, USUAL_PORT).await?) } else { None };
        let ledger = Ledger::open(context, options).await?;
        let token = ledger.dollar(None).await?;
        let host = key.address();
        let account = Arc::new(Account::new(ledger.client.clone(), key));
        if dollar::wei(&ledger.client, account.address()).await? == 0 {
            if dollar::is_development(ledger.client.chain_id()) {
                dollar::make_wei(&ledger.client, account.address(), DEVELOPMENT_WEI).await?;
            } else {
                output::note(&format!(
                    "{host} has no ether to pay for gas, and can settle and defend nothing until it has"
                ));
            }
        }
        let terms = PaymentTerms {
            domain: ChannelDomain::of(&ledger.deployment),
            token: claim::Address::new(token.into()),
            host,
            credit: credit.map_or(USUAL_CREDIT.max(price.total_floor(ON_CREDIT.0, ON_CREDIT.1)), |credit| credit.0),
        };
        let till = Till::open(ledger.client.clone(), terms, ChannelBook::new(context.config.data.channels()))?;
        Ok(Self { ledger, account, till: Arc::new(till), embedded })
    }

    /// Where payments are taken.
    pub(crate) fn till(&self) -> Arc<Till> {
        Arc::clone(&self.till)
    }

    /// Where the chain answers.
    pub(crate) fn chain(&self) -> &str {
        self.ledger.client.url()
    }

    /// Sees to what happens on the chain, for as long as it is polled: channels that are closed, and challenges.
    pub(crate) async fn mind(&self, host: Arc<Host>, path: PathBuf, store: Arc<ReceiptStore>) {
        let (account, court) = (self.account.clone(), self.ledger.deployment.court);
        let defence = Arc::new(Defence { host, path, store, account, court });
        tokio::join!(self.till.keep(&self.account), defence.keep());
    }

    /// Stops the chain, where it runs in this process.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        match self.embedded {
            Some(embedded) => embedded.stop().await,
            None => Ok(()),
        }
    }
}
