//! The chain itself: a state machine that knows no clock, no disk and no network.
//!
//! Time comes in as an argument, in seconds. What happens goes out as [`Event`]s, in order, for whoever keeps or shows the
//! chain. A chain in memory needs neither: its methods return what came of them.

mod control;
mod genesis;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, Bytes};
use revm::context::{Cfg as _, CfgEnv};

use crate::block::{Block, Builder, Built, Executed, Frame, gas_price};
use crate::call::{Moment, check_gas};
use crate::clock::Clock;
use crate::config::{Config, Hardfork, Mining};
use crate::error::{CallError, ChainError, Refusal};
use crate::evm::configuration;
use crate::history::History;
use crate::message::{Message, Suggested};
use crate::pool::{Order, Pool};
use crate::state::State;
use crate::transaction::Transaction;

pub use control::Impersonation;

/// The least that is suggested to go to a block's maker, in wei for a unit of gas.
pub const TIP: u128 = 1_000_000_000;

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A transaction waits.
    Pooled(Transaction),
    /// A transaction waits no more, and is in no block.
    Dropped(B256),
    /// A block was added, with the state after it. Its transactions wait no more.
    Added(Arc<Block>, State),
    /// The state after the newest block is another one.
    Changed(State),
    /// Blocks were taken back: the chain is now this one.
    Reverted {
        /// What is left, and what stands in the place of what is gone.
        history: Box<History>,
        /// How often blocks have been taken back by now.
        count: u64,
    },
    /// The clock was set.
    Clock(Clock),
}

/// A transaction that no block can take, and why.
type Invalid = (B256, Refusal);

/// What can be gone back to.
#[derive(Debug, Clone)]
struct Snapshot {
    history: History,
    base_fee: Option<u64>,
}

/// A chain in memory.
#[derive(Debug, Clone)]
pub struct Chain {
    config: Config,
    configuration: CfgEnv,
    history: History,
    pool: Pool,
    clock: Clock,
    mining: Mining,
    /// What the next block's gas costs, where that was set.
    base_fee: Option<u64>,
    snapshots: BTreeMap<u64, Snapshot>,
    snapshots_taken: u64,
    impersonated: HashSet<Address>,
    impersonates_all: bool,
    /// How often blocks were taken back.
    reverts: u64,
    /// What happened since it was last asked for; nothing where nobody asks.
    events: Option<Vec<Event>>,
}

/// A block with what came of its transactions.
#[derive(Debug, Clone)]
pub struct Mined {
    /// The block.
    pub block: Arc<Block>,
    /// What came of each transaction, in order.
    pub executed: Vec<Executed>,
}

impl Chain {
    /// A new chain with its first block.
    pub fn new(config: Config, now: u64) -> Self {
        let timestamp = config.genesis_timestamp.unwrap_or(now);
        let (block, state) = genesis::first(&config, timestamp);
        let history = History::new(Arc::new(block), state, &config.limits);
        Self::resume(config, history, Clock::starting(timestamp, now), 0)
    }

    /// A chain that was there before.
    pub(crate) fn resume(config: Config, history: History, clock: Clock, reverts: u64) -> Self {
        Self {
            configuration: configuration(config.chain_id, config.hardfork),
            history,
            pool: Pool::new(config.limits.pool),
            clock,
            mining: config.mining,
            base_fee: None,
            snapshots: BTreeMap::new(),
            snapshots_taken: 0,
            impersonated: HashSet::new(),
            impersonates_all: false,
            reverts,
            events: None,
            config,
        }
    }

    /// From now on, what happens is kept until it is asked for.
    pub(crate) fn record(&mut self) {
        self.events = Some(Vec::new());
    }

    /// How many things have happened that nobody has asked for yet.
    pub(crate) fn events_waiting(&self) -> usize {
        self.events.as_ref().map_or(0, Vec::len)
    }

    /// Forgets the newest things that happened.
    pub(crate) fn truncate_events(&mut self, count: usize) {
        if let Some(events) = &mut self.events {
            events.truncate(count);
        }
    }

    /// Goes on from an earlier moment, whatever has happened since.
    pub(crate) fn recover(&mut self, history: History, pool: Pool, clock: Clock) {
        (self.history, self.pool, self.clock, self.base_fee) = (history, pool, clock, None);
    }

    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        self.events.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn emit(&mut self, event: Event) {
        if let Some(events) = &mut self.events {
            events.push(event);
        }
    }

    /// The newest blocks and states.
    pub const fn history(&self) -> &History {
        &self.history
    }

    /// What waits.
    pub const fn pool(&self) -> &Pool {
        &self.pool
    }

    /// What the chain was made from.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) const fn clock(&self) -> Clock {
        self.clock
    }

    /// When blocks are made.
    pub const fn mining(&self) -> Mining {
        self.mining
    }

    /// What the next block's gas costs, in wei a unit.
    pub fn next_base_fee(&self) -> u64 {
        self.base_fee.unwrap_or_else(|| next_base_fee(&self.config, self.history.head()))
    }

    /// Takes a transaction, and with instant blocks makes one of it when it is its turn.
    ///
    /// # Errors
    ///
    /// When it is not taken.
    pub fn submit(&mut self, transaction: Transaction, now: u64) -> Result<B256, ChainError> {
        self.check(&transaction)?;
        let hash = transaction.hash();
        self.insert(transaction);
        if self.mining == Mining::Instant {
            let invalid = self.mine_waiting(now)?;
            if let Some((_, refusal)) = invalid.into_iter().find(|(found, _)| *found == hash) {
                return Err(refusal.into());
            }
        }
        Ok(hash)
    }

    /// Puts a transaction among those that wait, and makes no block of it.
    pub(crate) fn insert(&mut self, transaction: Transaction) {
        self.emit(Event::Pooled(transaction.clone()));
        if let Some(old) = self.pool.add(transaction) {
            self.emit(Event::Dropped(old.hash()));
        }
    }

    /// Whether a transaction is one that a block could take, now or later.
    pub(crate) fn check(&self, transaction: &Transaction) -> Result<(), Refusal> {
        let envelope = transaction.envelope();
        if let Some(found) = envelope.chain_id().filter(|found| *found != self.config.chain_id) {
            return Err(Refusal::ChainId { expected: self.config.chain_id, found });
        }
        if envelope.authorization_list().is_some() && self.config.hardfork < Hardfork::Prague {
            return Err(Refusal::Authorizations);
        }
        let (state, sender) = (self.history.state(), transaction.sender());
        let (expected, found) = (state.nonce(sender), envelope.nonce());
        if found < expected {
            return Err(Refusal::NonceTooLow { expected, found });
        }
        if found == u64::MAX {
            return Err(Refusal::NonceMax);
        }
        let (max, found) = (self.gas_max(), envelope.gas_limit());
        if found > max {
            return Err(Refusal::GasTooHigh { max, found });
        }
        let (expected, found) = (u128::from(self.next_base_fee()), envelope.max_fee_per_gas());
        if found < expected {
            return Err(Refusal::FeeTooLow { expected, found });
        }
        if envelope.max_priority_fee_per_gas().is_some_and(|tip| tip > found) {
            return Err(Refusal::TipTooHigh);
        }
        let (balance, cost) = (state.balance(sender), transaction.cost_max());
        if balance < cost {
            return Err(Refusal::Funds { balance, cost });
        }
        check_gas(&transaction.environment(), &self.configuration)?;
        self.pool.check(transaction)
    }

    /// Most gas that one transaction may use.
    fn gas_max(&self) -> u64 {
        self.config.gas_limit.min(self.configuration.tx_gas_limit_cap())
    }

    /// Executes a message at once in a block of its own, whoever sends it and whatever the mining mode: for tests and
    /// simulations. Nobody signs it, and no other transaction is taken along.
    ///
    /// # Errors
    ///
    /// When the machine does not take it; a message that fails inside of the machine is in the block all the same.
    pub fn execute(&mut self, message: &Message, now: u64) -> Result<Mined, ChainError> {
        let nonce = message.nonce.unwrap_or_else(|| self.history.state().nonce(message.from));
        let gas = message.gas.unwrap_or_else(|| self.gas_max());
        let suggested = Suggested { price: u128::from(self.next_base_fee()), tip: 0 };
        let transaction = message.transaction(self.config.chain_id, nonce, gas, suggested);
        let transaction = Transaction::impersonate(transaction, message.from);
        let frame = self.next_frame(now);
        let built = {
            let hashes = |number| self.history.hash(number);
            let state = self.history.state().clone();
            let mut builder = Builder::new(frame, self.config.hardfork, &self.configuration, &hashes, state)?;
            builder.add(&transaction)?;
            builder.finish()
        };
        Ok(self.append(built, now))
    }

    /// What a message would return on the newest block.
    ///
    /// # Errors
    ///
    /// When it fails, with what it said.
    pub fn call(&self, message: &Message) -> Result<Bytes, CallError> {
        let hashes = |number| self.history.hash(number);
        self.moment(&hashes).call(message)
    }

    fn moment<'a>(&self, hashes: crate::evm::Hashes<'a>) -> Moment<'a> {
        let head = self.history.head();
        let (chain_id, hardfork) = (self.config.chain_id, self.config.hardfork);
        Moment::new(self.history.state().clone(), &Frame::of(head.header()), chain_id, hardfork, hashes)
    }

    /// Makes a transaction of a message and signs it with the sender's key, if that is here, or without one, if the sender
    /// is impersonated.
    pub(crate) fn prepare(&self, message: &Message) -> Result<Transaction, ChainError> {
        let sender = message.from;
        let key = self.config.keys.iter().find(|key| key.address() == sender);
        if key.is_none() && !self.is_impersonated(sender) {
            return Err(Refusal::NoSigner(sender).into());
        }
        let nonce = message.nonce.unwrap_or_else(|| self.pool.next_nonce(sender, self.history.state().nonce(sender)));
        let gas = message.gas.unwrap_or_else(|| self.gas_max());
        let transaction = message.transaction(self.config.chain_id, nonce, gas, self.suggested());
        Ok(match key.filter(|_| !self.impersonated.contains(&sender)) {
            Some(key) => Transaction::sign(transaction, key),
            None => Transaction::impersonate(transaction, sender),
        })
    }

    fn suggested(&self) -> Suggested {
        let price = u128::from(self.next_base_fee()).saturating_add(suggested_tip(self.history.head()));
        Suggested { price, tip: TIP }
    }

    /// What the next block says about itself.
    pub(crate) fn next_frame(&self, now: u64) -> Frame {
        let head = self.history.head();
        let number = head.number() + 1;
        Frame {
            number,
            parent_hash: head.hash(),
            timestamp: self.clock.peek(head.header().timestamp, now),
            coinbase: self.config.coinbase,
            gas_limit: self.config.gas_limit,
            base_fee: self.next_base_fee(),
            random: Frame::random(self.config.seed, number, self.reverts),
        }
    }

    /// Makes blocks of what waits, as long as a block can be filled. Returns what turned out to be invalid.
    fn mine_waiting(&mut self, now: u64) -> Result<Vec<Invalid>, ChainError> {
        let mut all = Vec::new();
        loop {
            let state = self.history.state();
            let is_ready = Order::new(&self.pool, |sender| state.nonce(sender)).next(self.next_base_fee()).is_some();
            if !is_ready {
                return Ok(all);
            }
            let (built, mut invalid) = self.fill(self.next_frame(now))?;
            self.drop_all_of(&invalid);
            all.append(&mut invalid);
            if built.block.transactions().is_empty() {
                return Ok(all);
            }
            self.append(built, now);
        }
    }

    fn drop_all_of(&mut self, invalid: &[Invalid]) {
        for (hash, _) in invalid {
            self.drop_transaction(*hash);
        }
    }

    /// Makes a block of what waits, an empty one where nothing does.
    ///
    /// # Errors
    ///
    /// Where the contracts of the protocol fail, which no chain of ours can bring about.
    pub fn mine(&mut self, now: u64) -> Result<Mined, ChainError> {
        let (built, invalid) = self.fill(self.next_frame(now))?;
        self.drop_all_of(&invalid);
        Ok(self.append(built, now))
    }

    fn fill(&self, frame: Frame) -> Result<(Built, Vec<Invalid>), Refusal> {
        let base_fee = frame.base_fee;
        let hashes = |number| self.history.hash(number);
        let state = self.history.state().clone();
        let mut builder = Builder::new(frame, self.config.hardfork, &self.configuration, &hashes, state)?;
        let mut invalid = Vec::new();
        let before = self.history.state();
        let mut order = Order::new(&self.pool, |sender| before.nonce(sender));
        while let Some(transaction) = order.next(base_fee) {
            if transaction.envelope().gas_limit() > builder.gas_left() {
                order.left(transaction);
            } else if let Err(refusal) = builder.add(transaction) {
                // Something before it has taken what it needs: its sender's ether, for example.
                invalid.push((transaction.hash(), refusal));
                order.left(transaction);
            } else {
                order.taken(transaction);
            }
        }
        Ok((builder.finish(), invalid))
    }

    /// The block that what waits would make, and the state after it.
    pub(crate) fn pending(&mut self, now: u64) -> Result<(Block, State), Refusal> {
        let (built, _) = self.fill(self.next_frame(now))?;
        Ok((built.block, built.state))
    }

    fn append(&mut self, built: Built, now: u64) -> Mined {
        let block = Arc::new(built.block);
        self.base_fee = None;
        for transaction in block.transactions() {
            self.pool.remove(transaction.hash());
        }
        let clock = self.clock;
        self.clock.used(block.header().timestamp, now);
        self.history.append(block.clone(), built.state.clone());
        self.emit(Event::Added(block.clone(), built.state));
        if self.clock != clock {
            self.emit(Event::Clock(self.clock));
        }
        Mined { block, executed: built.executed }
    }

    /// Makes many blocks, `spacing` seconds apart where that is given.
    ///
    /// # Errors
    ///
    /// When they are more than one request may ask for.
    pub fn mine_many(&mut self, count: u64, spacing: Option<u64>, now: u64) -> Result<(), ChainError> {
        let max = self.config.limits.mined_at_once;
        if count > max {
            return Err(ChainError::Limit { what: "blocks at once", found: count, max });
        }
        for index in 0..count {
            if let Some(spacing) = spacing.filter(|_| index > 0) {
                self.clock.advance(spacing);
            }
            self.mine(now)?;
        }
        Ok(())
    }
}

/// What is suggested to go to the maker of the block after `head`: the least that one there has paid.
pub(crate) fn suggested_tip(head: &Block) -> u128 {
    let tips = head.transactions().iter().map(|sent| gas_price(sent, head.base_fee()) - u128::from(head.base_fee()));
    tips.min().map_or(TIP, |tip| tip.max(TIP))
}

/// What the block after `head` asks for a unit of gas, where nobody set that.
pub(crate) fn next_base_fee(config: &Config, head: &Block) -> u64 {
    // The first block is empty because nobody could use it; that is no reason to make the second one cheaper.
    if head.number() == 0 { config.base_fee } else { head.next_base_fee() }
}
