//! A host that is challenged defends itself, for as long as it runs.
//!
//! Whoever challenges an honest host loses its bond to it, but only if the host answers in time. Each dispute is played on a
//! thread of its own, from the receipt and evidence in the store and the model that is served.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use court::dispute::{Player, Side};
use court::judge::Weights;
use court::trace::EngineTrace;
use gateway::store::ReceiptStore;
use host::{Host, MappedModel};
use ledger::hearing::{self, About, Hearing, Opened};
use ledger::{Account, Address, Cursor};
use tokio::sync::Semaphore;

use crate::money::dollars;
use crate::{output, party};

/// How often the chain is looked at: many times in the time for a move.
const PERIOD: Duration = Duration::from_secs(2);

/// Disputes that are played at once; others wait for their turn. Each holds a trace and a cache of its own.
const PLAYED_MAX: usize = 8;

/// What a host defends itself with.
pub(crate) struct Defence {
    /// The model, and the machine to compute with.
    pub(crate) host: Arc<Host>,
    /// The model's file.
    pub(crate) path: PathBuf,
    /// What was signed, with its evidence.
    pub(crate) store: Arc<ReceiptStore>,
    /// The host's own: the court knows it by the key that signs receipts.
    pub(crate) account: Arc<Account>,
    pub(crate) court: Address,
}

impl Defence {
    /// Answers every challenge, for as long as it is polled.
    pub(crate) async fn keep(self: Arc<Self>) {
        let turns = Arc::new(Semaphore::new(PLAYED_MAX));
        let mut taken = BTreeSet::new();
        let mut cursor = None;
        loop {
            match self.challenges(&mut cursor).await {
                Ok(opened) => {
                    for opened in opened.into_iter().filter(|opened| taken.insert(opened.id)) {
                        output::note(&format!(
                            "dispute {}: {} says that the receipt {} is false, for {} dollars",
                            opened.id,
                            opened.challenger,
                            opened.receipt,
                            dollars(opened.bond)
                        ));
                        self.take(opened, &turns);
                    }
                }
                Err(error) => tracing::warn!(%error, "defence.chain_not_read"),
            }
            tokio::time::sleep(PERIOD).await;
        }
    }

    /// Disputes that have come up since the last time; at first, those that are open.
    async fn challenges(&self, cursor: &mut Option<Cursor>) -> Result<Vec<Opened>, ledger::LedgerError> {
        let (client, own) = (self.account.client(), self.account.address());
        let Some(known) = cursor else {
            let (head, _) = client.head().await?;
            let open = hearing::open_disputes(client, self.court, About::Host(own)).await?;
            *cursor = Some(Cursor::new(client.clone(), vec![self.court], head.saturating_add(1)));
            return Ok(open);
        };
        let changes = known.poll().await?;
        Ok(changes.iter().flat_map(Opened::in_change).filter(|opened| opened.host == own).collect())
    }

    fn take(self: &Arc<Self>, opened: Opened, turns: &Arc<Semaphore>) {
        let (defence, turns, id) = (Arc::clone(self), Arc::clone(turns), opened.id);
        // The game computes between its looks at the chain, so it has a thread to itself.
        let runtime = tokio::runtime::Handle::current();
        let play = move || {
            let outcome = runtime.block_on(async {
                let _turn = turns.acquire().await?;
                defence.play(opened).await
            });
            match outcome {
                Ok(told) => output::note(&format!("dispute {id}: {told}")),
                Err(error) => output::note(&format!("dispute {id} cannot be defended: {error:#}")),
            }
        };
        if let Err(error) = std::thread::Builder::new().name("candor-defence".to_owned()).spawn(play) {
            tracing::error!(%error, "defence.no_thread");
        }
    }

    async fn play(&self, opened: Opened) -> anyhow::Result<String> {
        let stored = self.store.get(opened.receipt)?;
        let stored = stored.context("its receipt and evidence are no longer in the store")?;
        let (model, receipt) = (self.host.model(), stored.receipt.receipt);
        let answer = party::answer(model, &receipt, &stored.evidence)?;
        let file = MappedModel::open(&self.path)
            .with_context(|| format!("cannot read the model file {}", self.path.display()))?;
        let weights = Weights::new(file.bytes(), model)?;
        let mut trace = EngineTrace::new(model, self.host.machine(), &answer, &mut |_, _| ())?;
        let terms = party::terms(self.account.client(), self.court, model, &receipt, &answer).await?;
        let bond = dollars(opened.bond);
        let mut hearing = Hearing::new(self.account.clone(), self.court, opened, terms)?;
        let mut player = Player { side: Side::Host, trace: &mut trace, weights: &weights, prompt: &answer.prompt };
        let verdict = hearing.play(&mut player, &mut |_| ()).await?;
        let what = if verdict.winner == Side::Host { "won" } else { "lost" };
        Ok(format!("{what} {bond} dollars: {}", verdict.because()))
    }
}
