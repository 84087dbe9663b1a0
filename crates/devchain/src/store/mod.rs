//! The chain on disk: one transaction of the database for all that happened since the last, so that a block is there with
//! everything that belongs to it, or not at all.
//!
//! | table | key | value |
//! |---|---|---|
//! | `about` | a name | format, chain id, hardfork, offset of the clock, how often blocks were taken back |
//! | `root` | | root of the newest state |
//! | `blocks` | height | header, transactions with senders, receipts |
//! | `heights` | hash of a block | height |
//! | `places` | hash of a transaction | height, index |
//! | `accounts` | address | nonce, balance, hash of code |
//! | `slots` | address, index | value |
//! | `code` | hash | code |
//! | `waiting` | hash of a transaction | sender, transaction |
//! | `undo` | height | what the block changed, as it was before |
//!
//! Accounts and slots are those of the newest state. Older states come from the undo records.

mod codec;
mod open;

use std::path::Path;
use std::sync::Arc;

use alloy_primitives::{B256, U256};
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition, WriteTransaction};

use crate::block::Block;
use crate::chain::Event;
use crate::config::{Config, Durability};
use crate::error::StoreError;
use crate::history::{History, Place};
use crate::state::State;
use crate::transaction::Transaction;

use codec::{Change, changes, decode_block, encode_block, encode_changes, encode_sent};
pub(crate) use open::Restored;

const ABOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("about");
const ROOT: TableDefinition<'_, (), [u8; 32]> = TableDefinition::new("root");
const BLOCKS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("blocks");
const HEIGHTS: TableDefinition<'_, [u8; 32], u64> = TableDefinition::new("heights");
const PLACES: TableDefinition<'_, [u8; 32], (u64, u64)> = TableDefinition::new("places");
const ACCOUNTS: TableDefinition<'_, [u8; 20], [u8; codec::Fields::SIZE_BYTES]> = TableDefinition::new("accounts");
const SLOTS: TableDefinition<'_, ([u8; 20], [u8; 32]), [u8; 32]> = TableDefinition::new("slots");
const CODE: TableDefinition<'_, [u8; 32], &[u8]> = TableDefinition::new("code");
const WAITING: TableDefinition<'_, [u8; 32], &[u8]> = TableDefinition::new("waiting");
const UNDO: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("undo");

/// The format of the tables. A file of another format is refused.
const FORMAT: u64 = 1;

/// Names in [`ABOUT`].
const ABOUT_FORMAT: &str = "format";
const ABOUT_CHAIN_ID: &str = "chain-id";
const ABOUT_HARDFORK: &str = "hardfork";
const ABOUT_OFFSET: &str = "clock-offset";
const ABOUT_REVERTS: &str = "reverts";

/// The chain's file.
pub(crate) struct Store {
    database: Arc<Database>,
    /// The newest state as it is stored, and the one before the newest block.
    state: State,
    previous: Option<State>,
    head: u64,
    states_max: u64,
}

impl Store {
    /// Opens the chain's file, and makes it where it is not there.
    pub(crate) fn open(path: &Path, config: &Config) -> Result<(Self, Option<Restored>), StoreError> {
        let database = match config.durability {
            Durability::Power => Database::create(path)?,
            Durability::Process => Database::builder().create_with_backend(open::Unflushed::open(path)?)?,
        };
        Self::on(database, config)
    }

    /// The same on a database that is open already.
    pub(crate) fn on(database: Database, config: &Config) -> Result<(Self, Option<Restored>), StoreError> {
        let restored = open::restore(&database, config)?;
        let (state, previous, head) = match &restored {
            None => (State::default(), None, 0),
            Some(restored) => {
                let history = &restored.history;
                let head = history.head().number();
                let previous = head.checked_sub(1).and_then(|number| history.state_at(number).cloned());
                (history.state().clone(), previous, head)
            }
        };
        let states_max = config.limits.states.max(1) as u64;
        Ok((Self { database: Arc::new(database), state, previous, head, states_max }, restored))
    }

    /// Whoever only reads blocks.
    pub(crate) fn archive(&self) -> Archive {
        Archive { database: self.database.clone() }
    }

    /// Writes all that happened, in one transaction. When that fails, nothing of it has happened on disk, and the store
    /// must not be used any more.
    pub(crate) fn write(&mut self, config: &Config, events: &[Event]) -> Result<(), StoreError> {
        let transaction = self.database.begin_write()?;
        for event in events {
            self.write_event(&transaction, event)?;
        }
        {
            let mut about = transaction.open_table(ABOUT)?;
            if about.get(ABOUT_FORMAT)?.is_none() {
                about.insert(ABOUT_FORMAT, FORMAT)?;
                about.insert(ABOUT_CHAIN_ID, config.chain_id)?;
                about.insert(ABOUT_HARDFORK, open::hardfork_number(config.hardfork))?;
            }
            transaction.open_table(ROOT)?.insert((), self.state.root().0)?;
        }
        transaction.commit()?;
        Ok(())
    }

    fn write_event(&mut self, transaction: &WriteTransaction, event: &Event) -> Result<(), StoreError> {
        match event {
            Event::Pooled(waiting) => {
                let bytes = encode_sent(waiting);
                transaction.open_table(WAITING)?.insert(waiting.hash().0, bytes.as_slice())?;
            }
            Event::Dropped(hash) => drop(transaction.open_table(WAITING)?.remove(hash.0)?),
            Event::Added(block, state) => {
                insert_block(transaction, block)?;
                let mut waiting = transaction.open_table(WAITING)?;
                for sent in block.transactions() {
                    waiting.remove(sent.hash().0)?;
                }
                // The first block of a file follows no state.
                let previous = (block.number() > 0).then(|| self.state.clone());
                self.write_state(transaction, state)?;
                self.previous = previous;
                self.head = block.number();
                write_undo(transaction, self.head, self.previous.as_ref(), state)?;
                // The oldest state that is held is not gone back from.
                if let Some(old) = self.head.checked_sub(self.states_max - 1) {
                    transaction.open_table(UNDO)?.remove(old)?;
                }
            }
            Event::Changed(state) => {
                self.write_state(transaction, state)?;
                write_undo(transaction, self.head, self.previous.as_ref(), state)?;
            }
            Event::Reverted { history, count } => {
                self.write_reverted(transaction, history)?;
                transaction.open_table(ABOUT)?.insert(ABOUT_REVERTS, *count)?;
            }
            Event::Clock(clock) => {
                transaction.open_table(ABOUT)?.insert(ABOUT_OFFSET, clock.offset() as u64)?;
            }
        }
        Ok(())
    }

    /// Brings the stored state from the last one to this one.
    fn write_state(&mut self, transaction: &WriteTransaction, state: &State) -> Result<(), StoreError> {
        let mut accounts = transaction.open_table(ACCOUNTS)?;
        let mut slots = transaction.open_table(SLOTS)?;
        let mut codes = transaction.open_table(CODE)?;
        for Change { address, fields, code, slots: changed } in changes(&self.state, state) {
            match fields {
                Some(fields) => accounts.insert(address.into_array(), fields.encode())?,
                None => accounts.remove(address.into_array())?,
            };
            if let (Some(code), Some(fields)) = (code, fields) {
                codes.insert(fields.code_hash.0, &code[..])?;
            }
            for (index, value) in changed {
                let key = (address.into_array(), index.to_be_bytes::<32>());
                if value == U256::ZERO {
                    slots.remove(key)?;
                } else {
                    slots.insert(key, value.to_be_bytes::<32>())?;
                }
            }
        }
        self.state = state.clone();
        Ok(())
    }

    /// Puts the blocks of a history in the place of those that are stored, from the height on from which they differ.
    fn write_reverted(&mut self, transaction: &WriteTransaction, history: &History) -> Result<(), StoreError> {
        let head = history.head().number();
        for number in head + 1..=self.head {
            remove_block(transaction, number)?;
            transaction.open_table(UNDO)?.remove(number)?;
        }
        for number in (history.oldest()..=head).rev() {
            let Some(block) = history.block(number) else { break };
            if stored_hash(transaction, number)? == Some(block.hash()) {
                break;
            }
            remove_block(transaction, number)?;
            insert_block(transaction, block)?;
        }
        self.write_state(transaction, history.state())?;
        self.head = head;
        self.previous = head.checked_sub(1).and_then(|number| history.state_at(number).cloned());
        // All of them: records that are too old for the chain that is left behind are gone, and a state may have been
        // changed after its block.
        for number in head - history.depth() as u64..=head {
            if let Some(after) = history.state_at(number) {
                let before = number.checked_sub(1).and_then(|number| history.state_at(number));
                write_undo(transaction, number, before, after)?;
            }
        }
        Ok(())
    }
}

/// Keeps what leads from the state after a block back to the one before it.
fn write_undo(
    transaction: &WriteTransaction,
    number: u64,
    before: Option<&State>,
    after: &State,
) -> Result<(), StoreError> {
    let mut undo = transaction.open_table(UNDO)?;
    match before {
        Some(before) => {
            let bytes = encode_changes(&changes(after, before));
            undo.insert(number, bytes.as_slice())?;
        }
        None => drop(undo.remove(number)?),
    }
    Ok(())
}

fn insert_block(transaction: &WriteTransaction, block: &Block) -> Result<(), StoreError> {
    let bytes = encode_block(block);
    transaction.open_table(BLOCKS)?.insert(block.number(), bytes.as_slice())?;
    transaction.open_table(HEIGHTS)?.insert(block.hash().0, block.number())?;
    let mut places = transaction.open_table(PLACES)?;
    for (index, sent) in block.transactions().iter().enumerate() {
        places.insert(sent.hash().0, (block.number(), index as u64))?;
    }
    Ok(())
}

fn remove_block(transaction: &WriteTransaction, number: u64) -> Result<(), StoreError> {
    let block = transaction.open_table(BLOCKS)?.remove(number)?.and_then(|bytes| decode_block(bytes.value()));
    let Some(block) = block else { return Ok(()) };
    transaction.open_table(HEIGHTS)?.remove(block.hash().0)?;
    let mut places = transaction.open_table(PLACES)?;
    for sent in block.transactions() {
        places.remove(sent.hash().0)?;
    }
    Ok(())
}

fn stored_hash(transaction: &WriteTransaction, number: u64) -> Result<Option<B256>, StoreError> {
    let blocks = transaction.open_table(BLOCKS)?;
    let bytes = blocks.get(number)?;
    Ok(bytes.and_then(|bytes| decode_block(bytes.value())).map(|block| block.hash()))
}

/// Reads blocks that are too old to be held in memory.
#[derive(Clone)]
pub(crate) struct Archive {
    database: Arc<Database>,
}

impl Archive {
    /// A block by its height.
    pub(crate) fn block(&self, number: u64) -> Result<Option<Arc<Block>>, StoreError> {
        let blocks = self.database.begin_read()?.open_table(BLOCKS)?;
        let Some(bytes) = blocks.get(number)? else { return Ok(None) };
        decode_block(bytes.value()).map(Some).ok_or(StoreError::Damaged("block"))
    }

    /// The height of a block.
    pub(crate) fn number(&self, hash: B256) -> Result<Option<u64>, StoreError> {
        let heights = self.database.begin_read()?.open_table(HEIGHTS)?;
        Ok(heights.get(hash.0)?.map(|number| number.value()))
    }

    /// Where a transaction is.
    pub(crate) fn place(&self, hash: B256) -> Result<Option<Place>, StoreError> {
        let places = self.database.begin_read()?.open_table(PLACES)?;
        Ok(places.get(hash.0)?.map(|place| {
            let (block, index) = place.value();
            Place { block, index: index as usize }
        }))
    }
}

/// Transactions that waited when the chain was closed.
pub(crate) type Waiting = Vec<Transaction>;
