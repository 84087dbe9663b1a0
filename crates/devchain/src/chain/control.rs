//! What tests do to a chain: snapshots, going back, and setting what nobody could set on a real one.

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, Bytes, U256};

use super::{Chain, Event, Snapshot};
use crate::config::Mining;
use crate::dump;
use crate::error::ChainError;
use crate::state::Account;
use crate::transaction::Transaction;

/// Whether an account is impersonated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Impersonation {
    /// It is.
    On,
    /// It is not.
    Off,
}

impl Chain {
    /// Remembers where the chain is, and returns the number to go back to it by.
    pub fn snapshot(&mut self) -> u64 {
        let id = self.snapshots_taken;
        self.snapshots_taken += 1;
        self.snapshots.insert(id, Snapshot { history: self.history.clone(), base_fee: self.base_fee });
        if self.snapshots.len() > self.config.limits.snapshots {
            self.snapshots.pop_first();
        }
        id
    }

    /// Goes back to a snapshot, which is used up by that, as are all that came after it. False where there is none.
    pub fn revert(&mut self, id: u64, now: u64) -> bool {
        let Some(snapshot) = self.snapshots.get(&id).cloned() else { return false };
        self.snapshots.split_off(&id);
        self.history = snapshot.history;
        self.base_fee = snapshot.base_fee;
        self.reverted(now);
        true
    }

    /// Takes the newest blocks back. What they held is gone: a client sees a chain that has reorganised.
    ///
    /// # Errors
    ///
    /// When there are not so many, or the states before them are no longer held.
    pub fn roll_back(&mut self, depth: u64, now: u64) -> Result<(), ChainError> {
        let taken = usize::try_from(depth).is_ok_and(|depth| self.history.take_back(depth));
        if !taken {
            return Err(ChainError::Depth { depth, max: self.history.depth() as u64 });
        }
        self.base_fee = None;
        self.reverted(now);
        Ok(())
    }

    /// Puts as many other blocks in the place of the newest, with these transactions in them: each with the number of its
    /// block, counted from 0.
    ///
    /// # Errors
    ///
    /// When there are not so many blocks that can be taken back, or one of the transactions is not taken.
    pub fn reorganise(&mut self, depth: u64, transactions: &[(Transaction, u64)], now: u64) -> Result<(), ChainError> {
        self.roll_back(depth, now)?;
        for index in 0..depth {
            for (transaction, _) in transactions.iter().filter(|(_, block)| *block == index) {
                self.check(transaction)?;
                self.insert(transaction.clone());
            }
            self.mine(now)?;
        }
        Ok(())
    }

    /// Begins again with the first block.
    pub fn reset(&mut self, now: u64) {
        let mut chain = Self::new(self.config.clone(), now);
        chain.events = self.events.take();
        chain.reverts = self.reverts + 1;
        *self = chain;
        self.emit_reverted();
    }

    fn emit_reverted(&mut self) {
        self.emit(Event::Reverted { history: Box::new(self.history.clone()), count: self.reverts });
        self.emit(Event::Clock(self.clock));
    }

    fn reverted(&mut self, now: u64) {
        self.reverts += 1;
        self.clock.restart(self.history.head().header().timestamp, now);
        self.emit_reverted();
        self.drop_invalid();
    }

    /// Drops what can never be executed any more.
    fn drop_invalid(&mut self) {
        let state = self.history.state();
        let is_used = |transaction: &&Transaction| transaction.envelope().nonce() < state.nonce(transaction.sender());
        let used: Vec<_> = self.pool.iter().filter(is_used).map(Transaction::hash).collect();
        for hash in used {
            self.drop_transaction(hash);
        }
    }

    /// Drops a waiting transaction; false where there is none.
    pub fn drop_transaction(&mut self, hash: B256) -> bool {
        let found = self.pool.remove(hash).is_some();
        if found {
            self.emit(Event::Dropped(hash));
        }
        found
    }

    /// Drops all that waits.
    pub fn drop_all(&mut self) {
        let waiting: Vec<_> = self.pool.iter().map(Transaction::hash).collect();
        for hash in waiting {
            self.drop_transaction(hash);
        }
    }

    fn change(&mut self, address: Address, change: impl FnOnce(&mut Account)) {
        let mut state = self.history.state().clone();
        state.change(address, change);
        self.history.set_state(state.clone());
        self.emit(Event::Changed(state));
    }

    /// Sets what an account holds.
    pub fn set_balance(&mut self, address: Address, balance: U256) {
        self.change(address, |account| account.balance = balance);
    }

    /// Sets an account's nonce.
    pub fn set_nonce(&mut self, address: Address, nonce: u64) {
        self.change(address, |account| account.nonce = nonce);
        self.drop_invalid();
    }

    /// Sets an account's code.
    pub fn set_code(&mut self, address: Address, code: Bytes) {
        self.change(address, |account| account.set_code(code));
    }

    /// Sets a storage slot.
    pub fn set_storage(&mut self, address: Address, index: U256, value: U256) {
        self.change(address, |account| account.set_storage(index, value));
    }

    /// All accounts, as bytes that another chain can take over.
    ///
    /// # Errors
    ///
    /// When they cannot be packed.
    pub fn dump(&self) -> Result<Bytes, ChainError> {
        dump::write(self.history.state())
    }

    /// Takes over the accounts of a dump. Those that it does not name stay as they are, as do slots that it does not name.
    ///
    /// # Errors
    ///
    /// When it is no dump, or too long.
    pub fn load(&mut self, bytes: &[u8]) -> Result<(), ChainError> {
        let accounts = dump::read(bytes, u64::from(self.config.limits.response_bytes))?;
        let mut state = self.history.state().clone();
        for (address, record) in accounts {
            state.change(address, |account| record.restore(account));
        }
        self.history.set_state(state.clone());
        self.emit(Event::Changed(state));
        self.drop_invalid();
        Ok(())
    }

    /// Whether transactions of an account are taken without its key.
    pub fn is_impersonated(&self, address: Address) -> bool {
        self.impersonates_all || self.impersonated.contains(&address)
    }

    /// Takes transactions of an account without its key from now on, or no longer.
    pub fn impersonate(&mut self, address: Address, on: Impersonation) {
        match on {
            Impersonation::On => self.impersonated.insert(address),
            Impersonation::Off => self.impersonated.remove(&address),
        };
    }

    /// Takes transactions of all accounts without their keys from now on, or no longer.
    pub fn impersonate_all(&mut self, on: Impersonation) {
        self.impersonates_all = on == Impersonation::On;
    }

    /// Changes when blocks are made.
    ///
    /// # Errors
    ///
    /// Where blocks of what waits cannot be made.
    pub fn set_mining(&mut self, mining: Mining, now: u64) -> Result<(), ChainError> {
        self.mining = mining;
        if mining == Mining::Instant {
            self.mine_waiting(now)?;
        }
        Ok(())
    }

    /// Sets the clock forward, and returns by how much it is ahead in all.
    pub fn increase_time(&mut self, seconds: u64) -> i64 {
        let offset = self.clock.advance(seconds);
        self.emit(Event::Clock(self.clock));
        offset
    }

    /// Sets the time of the next block; later ones go on from there.
    ///
    /// # Errors
    ///
    /// When it lies before the newest block.
    pub fn set_next_timestamp(&mut self, timestamp: u64) -> Result<(), ChainError> {
        let last = self.history.head().header().timestamp;
        if timestamp < last {
            return Err(ChainError::Timestamp { last, found: timestamp });
        }
        self.clock.set_next(timestamp);
        self.emit(Event::Clock(self.clock));
        Ok(())
    }

    /// Sets the time, for the next block and all after it.
    pub fn set_time(&mut self, timestamp: u64, now: u64) -> i64 {
        let offset = self.clock.set(timestamp, now);
        self.emit(Event::Clock(self.clock));
        offset
    }

    /// Makes every block as many seconds later than the one before, or lets time run again.
    pub fn set_block_spacing(&mut self, seconds: Option<u64>) {
        self.clock.set_spacing(seconds);
        self.emit(Event::Clock(self.clock));
    }

    /// Sets what the next block's gas costs.
    pub fn set_next_base_fee(&mut self, base_fee: u64) {
        self.base_fee = Some(base_fee);
    }

    /// Sets who gets the tips from the next block on.
    pub fn set_coinbase(&mut self, coinbase: Address) {
        self.config.coinbase = coinbase;
    }

    /// Sets the gas of the blocks to come.
    ///
    /// # Errors
    ///
    /// When it is more than anybody may give them.
    pub fn set_gas_limit(&mut self, gas_limit: u64) -> Result<(), ChainError> {
        let max = self.config.limits.block_gas.max(self.config.gas_limit);
        if gas_limit > max {
            return Err(ChainError::Limit { what: "gas of a block", found: gas_limit, max });
        }
        self.config.gas_limit = gas_limit;
        Ok(())
    }
}
