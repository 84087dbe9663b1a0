//! What was there before: the chain out of its file.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use alloy_primitives::map::HashMap;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use redb::{Database, ReadableDatabase as _, ReadableTable as _, StorageBackend, TableError};

use super::codec::{Change, Fields, decode_block, decode_changes, decode_sent};
use super::{
    ABOUT, ABOUT_CHAIN_ID, ABOUT_FORMAT, ABOUT_HARDFORK, ABOUT_OFFSET, ABOUT_REVERTS, ACCOUNTS, BLOCKS, CODE, FORMAT,
    ROOT, SLOTS, UNDO, WAITING, Waiting,
};
use crate::clock::Clock;
use crate::config::{Config, Hardfork};
use crate::error::StoreError;
use crate::history::History;
use crate::state::State;

/// A chain as it was left.
pub(crate) struct Restored {
    pub(crate) history: History,
    pub(crate) clock: Clock,
    pub(crate) reverts: u64,
    pub(crate) waiting: Waiting,
}

pub(super) fn hardfork_number(hardfork: Hardfork) -> u64 {
    match hardfork {
        Hardfork::Cancun => 1,
        Hardfork::Prague => 2,
        Hardfork::Osaka => 3,
    }
}

/// Reads the chain; none where the file is new.
pub(super) fn restore(database: &Database, config: &Config) -> Result<Option<Restored>, StoreError> {
    let reading = database.begin_read()?;
    let about = match reading.open_table(ABOUT) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        other => other?,
    };
    let value = |name| about.get(name).map(|value| value.map(|value| value.value()));
    for (name, expected) in
        [(ABOUT_FORMAT, FORMAT), (ABOUT_CHAIN_ID, config.chain_id), (ABOUT_HARDFORK, hardfork_number(config.hardfork))]
    {
        let found = value(name)?.ok_or(StoreError::Damaged("description"))?;
        if found != expected {
            return Err(StoreError::Other { what: name, expected, found });
        }
    }
    let clock = Clock::ahead(value(ABOUT_OFFSET)?.unwrap_or(0) as i64);
    let reverts = value(ABOUT_REVERTS)?.unwrap_or(0);
    let state = read_state(&reading)?;
    let root = reading.open_table(ROOT)?.get(())?.map(|root| B256::from(root.value()));
    if root != Some(state.root()) {
        return Err(StoreError::Damaged("state"));
    }
    let history = read_history(&reading, config, state)?;
    let mut waiting = Vec::new();
    if let Ok(table) = reading.open_table(WAITING) {
        for entry in table.iter()? {
            waiting.push(decode_sent(entry?.1.value()).ok_or(StoreError::Damaged("transaction"))?);
        }
    }
    Ok(Some(Restored { history, clock, reverts, waiting }))
}

fn read_state(reading: &redb::ReadTransaction) -> Result<State, StoreError> {
    let codes = reading.open_table(CODE)?;
    let mut slots: HashMap<Address, Vec<(U256, U256)>> = HashMap::default();
    for entry in reading.open_table(SLOTS)?.iter()? {
        let (key, value) = entry?;
        let (address, index) = key.value();
        let slot = (U256::from_be_bytes(index), U256::from_be_bytes(value.value()));
        slots.entry(address.into()).or_default().push(slot);
    }
    let mut state = State::default();
    for entry in reading.open_table(ACCOUNTS)?.iter()? {
        let (address, fields) = entry?;
        let (address, fields) = (Address::from(address.value()), Fields::decode(&fields.value()));
        let slots = slots.remove(&address).unwrap_or_default();
        let change = Change { address, fields: Some(fields), code: None, slots };
        apply(&mut state, &change, &codes)?;
    }
    Ok(state)
}

fn apply(
    state: &mut State,
    change: &Change,
    codes: &redb::ReadOnlyTable<[u8; 32], &'static [u8]>,
) -> Result<(), StoreError> {
    let Some(fields) = change.fields else {
        state.remove(change.address);
        return Ok(());
    };
    let has_code = state.account(change.address).is_some_and(|account| account.code_hash == fields.code_hash);
    let code = if has_code {
        None
    } else if fields.code_hash == KECCAK256_EMPTY {
        Some(Bytes::new())
    } else {
        let code = codes.get(fields.code_hash.0)?.ok_or(StoreError::Damaged("code"))?;
        Some(Bytes::copy_from_slice(code.value()))
    };
    state.change(change.address, |account| {
        account.nonce = fields.nonce;
        account.balance = fields.balance;
        if let Some(code) = code {
            account.set_code(code);
        }
        for (index, value) in &change.slots {
            account.set_storage(*index, *value);
        }
    });
    Ok(())
}

/// The newest blocks, and as many states as can be gone back to.
fn read_history(reading: &redb::ReadTransaction, config: &Config, newest: State) -> Result<History, StoreError> {
    let table = reading.open_table(BLOCKS)?;
    let mut blocks = Vec::new();
    for entry in table.iter()?.rev().take(History::blocks_max(&config.limits)) {
        blocks.push(decode_block(entry?.1.value()).ok_or(StoreError::Damaged("block"))?);
    }
    let codes = reading.open_table(CODE)?;
    let undo = reading.open_table(UNDO)?;
    let mut states = vec![newest];
    for block in blocks.iter().take(config.limits.states.saturating_sub(1)) {
        let Some(bytes) = undo.get(block.number())? else { break };
        let changes = decode_changes(bytes.value()).ok_or(StoreError::Damaged("undo record"))?;
        let mut state = states.last().cloned().unwrap_or_default();
        for change in &changes {
            apply(&mut state, change, &codes)?;
        }
        states.push(state);
    }
    blocks.reverse();
    states.reverse();
    History::restore(blocks, states, &config.limits).ok_or(StoreError::Damaged("chain"))
}

/// A file that is written without being flushed: what the operating system has taken, the end of the process does not undo.
#[derive(Debug)]
pub(super) struct Unflushed {
    file: File,
}

impl Unflushed {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        file.try_lock().map_err(|_| io::Error::new(io::ErrorKind::ResourceBusy, "another process holds the chain"))?;
        Ok(Self { file })
    }
}

impl StorageBackend for Unflushed {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }

    fn close(&self) -> io::Result<()> {
        // Not by closing the file: a program that is being started at this moment may hold a copy of it.
        self.file.unlock()
    }
}
