//! A dispute from a party's seat: found on the chain, followed through its events, and played to its end.

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, B256, U256};
use alloy::rpc::types::{Filter, Log};
use alloy::sol_types::SolEvent as _;
use claim::{Amount, ReceiptId};
use court::dispute::{Challenge, Input, MoveError, Player, PlayerError, Side, Terms};

use crate::abi::{Court, Reason};
use crate::client::{Account, Client, Sent};
use crate::cursor::{Change, Cursor};
use crate::error::LedgerError;
use crate::game::{Charge, Game, Verdict, challenge_call};

/// Blocks that one request for events spans; public chains refuse longer spans.
const SPAN_BLOCKS: u64 = 10_000;

/// Spans that are looked through, newest first: weeks at twelve seconds a block, longer than a dispute can take.
const SPANS_MAX: usize = 20;

/// How often the chain is looked at while the other side is to move.
const PERIOD: Duration = Duration::from_secs(1);

/// Why a dispute does not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HearingError {
    /// The chain does not answer, or refuses.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The side has no move, and will lose by silence.
    #[error(transparent)]
    Player(#[from] PlayerError),
    /// The court's events are not those of a dispute.
    #[error(transparent)]
    Move(#[from] MoveError),
    /// The chain went back to before the dispute began.
    #[error("the chain went back to before the dispute {id} began")]
    Undone {
        /// The dispute.
        id: U256,
    },
}

/// Whose disputes are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// Those of a receipt.
    Receipt(ReceiptId),
    /// Those of a host.
    Host(Address),
}

/// A dispute as its first event tells of it.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Its number.
    pub id: U256,
    /// What it is about.
    pub receipt: ReceiptId,
    /// Who signed that.
    pub host: Address,
    /// Who says that it is false.
    pub challenger: Address,
    /// What each side has at stake.
    pub bond: Amount,
    log: Log,
}

impl Opened {
    /// The dispute that an event opens, if it is one.
    pub fn of(log: &Log) -> Option<Self> {
        let event = log.log_decode::<Court::ChallengeOpened>().ok()?.inner.data;
        Some(Self {
            id: event.id,
            receipt: ReceiptId::new(claim::Digest::new(event.receipt.0)),
            host: event.host,
            challenger: event.challenger,
            bond: Amount::new(event.bond),
            log: log.clone(),
        })
    }

    /// The disputes that a block opens.
    pub fn in_change(change: &Change) -> Vec<Self> {
        match change {
            Change::Added { logs, .. } => logs.iter().filter_map(Self::of).collect(),
            Change::Removed { .. } => Vec::new(),
        }
    }

    fn block(&self) -> u64 {
        self.log.block_number.unwrap_or_default()
    }
}

/// The disputes whose money has not moved, oldest first.
///
/// # Errors
///
/// The chain does not answer.
pub async fn open_disputes(client: &Client, court: Address, about: About) -> Result<Vec<Opened>, LedgerError> {
    let filter = Filter::new().address(court).event_signature(Court::ChallengeOpened::SIGNATURE_HASH);
    let filter = match about {
        About::Receipt(id) => filter.topic2(B256::from(id.get().get())),
        About::Host(host) => filter.topic3(host.into_word()),
    };
    let (mut last, _) = client.head().await?;
    let mut found = Vec::new();
    for _ in 0..SPANS_MAX {
        let first = last.saturating_sub(SPAN_BLOCKS - 1);
        let mut logs = client.logs(&filter.clone().from_block(first).to_block(last)).await?;
        logs.append(&mut found);
        found = logs;
        match first.checked_sub(1) {
            Some(before) => last = before,
            None => break,
        }
    }
    let mut open = Vec::new();
    for opened in found.iter().filter_map(Opened::of) {
        let commitment = client.call(court, &Court::commitmentOfCall { id: opened.id }).await?;
        if commitment != B256::ZERO {
            open.push(opened);
        }
    }
    Ok(open)
}

/// Brings a receipt before the court.
///
/// # Errors
///
/// The court refuses: the bond is not there or not approved, the judge does not know the model, or somebody disputes it already.
pub async fn challenge(
    account: &Account,
    court: Address,
    charge: &Charge,
    challenge: &Challenge,
) -> Result<(Opened, Sent), LedgerError> {
    let sent = account.send_encoded(court, challenge_call(charge, challenge)).await?;
    let opened = sent.logs.iter().find_map(Opened::of);
    let no_event = || LedgerError::Answer {
        method: "eth_getTransactionReceipt",
        reason: "it does not say that a dispute began".to_owned(),
    };
    Ok((opened.ok_or_else(no_event)?, sent))
}

/// A move that was made, in words.
#[derive(Debug)]
pub struct Act<'a> {
    /// What was done.
    pub what: &'static str,
    /// The transaction.
    pub sent: &'a Sent,
}

/// A dispute that is followed and played.
#[derive(Debug)]
pub struct Hearing {
    account: Arc<Account>,
    court: Address,
    opened: Opened,
    terms: Terms,
    cursor: Cursor,
    game: Game,
    is_settled: bool,
}

impl Hearing {
    /// Takes a seat.
    ///
    /// # Errors
    ///
    /// The first event is none that a court lets pass.
    pub fn new(account: Arc<Account>, court: Address, opened: Opened, terms: Terms) -> Result<Self, HearingError> {
        let game = game(&opened, &terms)?;
        let cursor = Cursor::new(account.client().clone(), vec![court], opened.block());
        Ok(Self { account, court, opened, terms, cursor, game, is_settled: false })
    }

    /// The dispute as far as it was followed.
    pub const fn game(&self) -> &Game {
        &self.game
    }

    /// Follows the chain to its head.
    ///
    /// # Errors
    ///
    /// The chain does not answer, or the dispute is gone.
    pub async fn look(&mut self) -> Result<(), HearingError> {
        loop {
            let changes = self.cursor.poll().await?;
            if changes.is_empty() {
                return Ok(());
            }
            for change in changes {
                match change {
                    Change::Added { logs, .. } => logs.iter().for_each(|log| self.follow(log)),
                    Change::Removed { from } if from <= self.opened.block() => {
                        return Err(HearingError::Undone { id: self.opened.id });
                    }
                    Change::Removed { .. } => {
                        // From the start again: a dispute has a dozen events.
                        self.game = game(&self.opened, &self.terms)?;
                        self.is_settled = false;
                        let client = self.account.client().clone();
                        self.cursor = Cursor::new(client, vec![self.court], self.opened.block());
                        break;
                    }
                }
            }
        }
    }

    fn follow(&mut self, log: &Log) {
        self.game.follow(&log.inner);
        if let Ok(settled) = log.log_decode::<Court::Settled>() {
            self.is_settled |= settled.inner.data.id == self.opened.id;
        }
    }

    /// Plays a side until the verdict, and moves the money if that side won. `tell` hears of each transaction of this side.
    ///
    /// # Errors
    ///
    /// [`HearingError`]. What was played before stands; the deadline runs on.
    pub async fn play(
        &mut self,
        player: &mut Player<'_, '_>,
        tell: &mut dyn FnMut(&Act<'_>),
    ) -> Result<Verdict, HearingError> {
        loop {
            self.look().await?;
            if let Some(verdict) = self.game.verdict {
                if verdict.winner == player.side && !self.is_settled {
                    self.act("settle: the money moves", self.game.settle_call(verdict), tell).await?;
                }
                return Ok(verdict);
            }
            if self.game.state.turn() == player.side {
                let what = self.game.next_move();
                let input = player.play(&self.game.state)?;
                self.act(what, self.game.call(&input), tell).await?;
            } else if self.account.client().now().await? > self.game.state.deadline() {
                self.act("timeout: the other side was silent", self.game.call(&Input::Timeout), tell).await?;
            } else {
                tokio::time::sleep(PERIOD).await;
            }
        }
    }

    /// Sends a call. One that the court refuses because the other side was faster is no failure: the next look shows it.
    async fn act(&self, what: &'static str, call: Vec<u8>, tell: &mut dyn FnMut(&Act<'_>)) -> Result<(), HearingError> {
        match self.account.send_encoded(self.court, call).await {
            Ok(sent) => tell(&Act { what, sent: &sent }),
            Err(LedgerError::Reverted { reason, .. }) if is_overtaken(&reason) => tokio::time::sleep(PERIOD).await,
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

fn is_overtaken(reason: &str) -> bool {
    ["StaleDispute", "UnknownDispute", "TooEarly"].iter().any(|name| reason.contains(name))
}

fn game(opened: &Opened, terms: &Terms) -> Result<Game, HearingError> {
    match Game::opened(&opened.log.inner, terms.clone()) {
        Some(game) => Ok(game?),
        None => Err(HearingError::Undone { id: opened.id }),
    }
}

impl Verdict {
    /// Why, in words.
    pub const fn because(&self) -> &'static str {
        match (self.reason, self.winner) {
            (Reason::Silence, Side::Host) => "the challenger was silent",
            (Reason::Silence, Side::Challenger) => "the host was silent",
            (Reason::WorkerLied, _) => "the working has a wrong step",
            (Reason::AccuserLied, _) => "the accused step is right",
            (Reason::HostLied, _) => "the computation leaves the finite numbers, so there is no answer",
            _ => "the court did not say why",
        }
    }
}
