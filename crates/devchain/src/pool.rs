//! Transactions that wait for a block.

use std::collections::{BTreeMap, HashMap};

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256};

use crate::error::Refusal;
use crate::transaction::Transaction;

/// A transaction replaces another one of the same sender and nonce when it pays a tenth more.
const REPLACEMENT_PERCENT: u128 = 110;

/// Waiting transactions, by sender and nonce.
#[derive(Debug, Clone)]
pub struct Pool {
    senders: BTreeMap<Address, BTreeMap<u64, Waiting>>,
    hashes: HashMap<B256, (Address, u64)>,
    arrivals: u64,
    max: usize,
}

#[derive(Debug, Clone)]
struct Waiting {
    transaction: Transaction,
    arrival: u64,
}

impl Pool {
    pub(crate) fn new(max: usize) -> Self {
        Self { senders: BTreeMap::new(), hashes: HashMap::new(), arrivals: 0, max }
    }

    /// Whether a transaction could be added: how much it would have to pay to replace another, and whether there is room.
    pub(crate) fn check(&self, transaction: &Transaction) -> Result<(), Refusal> {
        if self.hashes.contains_key(&transaction.hash()) {
            return Err(Refusal::Known);
        }
        if let Some(old) = self.find(transaction.sender(), transaction.envelope().nonce()) {
            let old = old.envelope().max_fee_per_gas();
            let expected = old.saturating_mul(REPLACEMENT_PERCENT).div_ceil(100);
            let found = transaction.envelope().max_fee_per_gas();
            return if found < expected { Err(Refusal::Underpriced { expected, found }) } else { Ok(()) };
        }
        if self.hashes.len() >= self.max {
            return Err(Refusal::PoolFull { max: self.max });
        }
        Ok(())
    }

    /// Adds a transaction, and returns the one whose place it takes.
    pub(crate) fn add(&mut self, transaction: Transaction) -> Option<Transaction> {
        let (sender, nonce) = (transaction.sender(), transaction.envelope().nonce());
        self.hashes.insert(transaction.hash(), (sender, nonce));
        self.arrivals += 1;
        let waiting = Waiting { transaction, arrival: self.arrivals };
        let old = self.senders.entry(sender).or_default().insert(nonce, waiting)?;
        self.hashes.remove(&old.transaction.hash());
        Some(old.transaction)
    }

    /// Takes a transaction out.
    pub(crate) fn remove(&mut self, hash: B256) -> Option<Transaction> {
        let (sender, nonce) = self.hashes.remove(&hash)?;
        let queue = self.senders.get_mut(&sender)?;
        let waiting = queue.remove(&nonce);
        if queue.is_empty() {
            self.senders.remove(&sender);
        }
        waiting.map(|waiting| waiting.transaction)
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// A waiting transaction.
    pub fn get(&self, hash: B256) -> Option<&Transaction> {
        let (sender, nonce) = self.hashes.get(&hash)?;
        self.find(*sender, *nonce)
    }

    fn find(&self, sender: Address, nonce: u64) -> Option<&Transaction> {
        self.senders.get(&sender)?.get(&nonce).map(|waiting| &waiting.transaction)
    }

    /// The nonce after the last of the sender's transactions that can be executed one after the other from `nonce` on.
    pub fn next_nonce(&self, sender: Address, nonce: u64) -> u64 {
        let Some(queue) = self.senders.get(&sender) else { return nonce };
        queue.range(nonce..).zip(nonce..).take_while(|((found, _), expected)| *found == expected).count() as u64 + nonce
    }

    /// All that wait, by sender and nonce.
    pub fn iter(&self) -> impl Iterator<Item = &Transaction> {
        self.senders.values().flat_map(BTreeMap::values).map(|waiting| &waiting.transaction)
    }

    /// What a sender has waiting from a nonce on, by nonce.
    fn from(&self, sender: Address, nonce: u64) -> impl Iterator<Item = &Waiting> {
        self.senders.get(&sender).into_iter().flat_map(move |queue| queue.range(nonce..)).map(|(_, waiting)| waiting)
    }
}

/// Transactions in the order in which a block takes them: of those that can be executed next, the one that pays most, and of
/// equals the one that came first.
pub(crate) struct Order<'a> {
    pool: &'a Pool,
    /// Each sender's next nonce; a sender that is not here has no more transactions for this block.
    next: BTreeMap<Address, u64>,
}

impl<'a> Order<'a> {
    pub(crate) fn new(pool: &'a Pool, nonce: impl Fn(Address) -> u64) -> Self {
        Self { pool, next: pool.senders.keys().map(|sender| (*sender, nonce(*sender))).collect() }
    }

    /// The next transaction that pays the base fee.
    pub(crate) fn next(&mut self, base_fee: u64) -> Option<&'a Transaction> {
        let heads = self.next.iter().filter_map(|(sender, nonce)| {
            let head = self.pool.from(*sender, *nonce).next()?;
            let envelope = head.transaction.envelope();
            let is_ready = envelope.nonce() == *nonce && envelope.max_fee_per_gas() >= u128::from(base_fee);
            is_ready.then_some(head)
        });
        let best = heads
            .max_by_key(|head| (head.transaction.envelope().max_fee_per_gas(), std::cmp::Reverse(head.arrival)))?;
        Some(&best.transaction)
    }

    /// The transaction is in the block.
    pub(crate) fn taken(&mut self, transaction: &Transaction) {
        self.next.insert(transaction.sender(), transaction.envelope().nonce().saturating_add(1));
    }

    /// The transaction is not in the block, and neither can those be that come after it.
    pub(crate) fn left(&mut self, transaction: &Transaction) {
        self.next.remove(&transaction.sender());
    }
}
