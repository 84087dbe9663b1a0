//! All accounts as bytes that another chain can take over: the dumps that `anvil_dumpState` makes, which anvil reads too.
//!
//! A dump is JSON in gzip. Of what anvil writes into one, this chain writes and reads the accounts and leaves out blocks and
//! transactions: a dump says what accounts have, not how that came about.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use alloy_primitives::{Address, B256, Bytes, U256};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use crate::error::ChainError;
use crate::state::{Account, State};
use crate::trie::Trie;

/// The first bytes of gzip.
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Why a dump could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DumpError {
    /// It would be longer than this when it is unpacked.
    #[error("the dump is longer than {max} bytes when it is unpacked, the limit")]
    TooLong {
        /// The limit.
        max: u64,
    },
    /// The bytes are no gzip, or are damaged.
    #[error("cannot unpack the dump: {0}")]
    Packed(std::io::Error),
    /// What is in it is no dump.
    #[error("cannot read the dump: {0}")]
    Text(serde_json::Error),
}

/// A dump as anvil knows it. Blocks and transactions are empty in ours, and passed over in others.
#[derive(Serialize, Deserialize)]
struct Dump {
    #[serde(default, skip_deserializing)]
    block: (),
    accounts: BTreeMap<Address, Record>,
    #[serde(default, skip_deserializing)]
    best_block_number: (),
    #[serde(default, skip_deserializing)]
    blocks: [(); 0],
    #[serde(default, skip_deserializing)]
    transactions: [(); 0],
}

/// What an account has.
#[derive(Serialize, Deserialize)]
pub(crate) struct Record {
    nonce: u64,
    balance: U256,
    code: Bytes,
    #[serde(default)]
    storage: BTreeMap<B256, B256>,
}

impl Record {
    fn of(account: &Account) -> Self {
        let mut storage = BTreeMap::new();
        account.storage.difference(&Trie::default(), &mut |_, slot| {
            storage.extend(slot.map(|slot| (B256::from(slot.index), B256::from(slot.value))));
        });
        Self { nonce: account.nonce, balance: account.balance, code: account.code.original_bytes(), storage }
    }

    /// Gives an account what is recorded. Slots that are not named stay, and a nonce never goes back: whatever was signed with
    /// an earlier one could be sent again.
    pub(crate) fn restore(self, account: &mut Account) {
        account.nonce = account.nonce.max(self.nonce);
        account.balance = self.balance;
        account.set_code(self.code);
        for (index, value) in self.storage {
            account.set_storage(index.into(), value.into());
        }
    }
}

/// All accounts of a state.
pub(crate) fn write(state: &State) -> Result<Bytes, ChainError> {
    let mut accounts = BTreeMap::new();
    state.difference(&State::default(), &mut |_, account| {
        accounts.extend(account.map(|account| (account.address, Record::of(account))));
    });
    let dump = Dump { block: (), accounts, best_block_number: (), blocks: [], transactions: [] };
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    let written = serde_json::to_vec(&dump).map_err(std::io::Error::other).and_then(|text| packed.write_all(&text));
    let packed = written.and_then(|()| packed.finish()).map_err(DumpError::Packed)?;
    Ok(packed.into())
}

/// The accounts of a dump, packed or not, that has at most `bytes_max` bytes when it is unpacked.
pub(crate) fn read(dump: &[u8], bytes_max: u64) -> Result<BTreeMap<Address, Record>, DumpError> {
    let mut text = Vec::new();
    if dump.starts_with(&MAGIC) {
        // One byte more than may be there, to know whether it is.
        let mut unpacked = GzDecoder::new(dump).take(bytes_max.saturating_add(1));
        unpacked.read_to_end(&mut text).map_err(DumpError::Packed)?;
    } else {
        text.extend_from_slice(dump);
    }
    if text.len() as u64 > bytes_max {
        return Err(DumpError::TooLong { max: bytes_max });
    }
    serde_json::from_slice::<Dump>(&text).map(|dump| dump.accounts).map_err(DumpError::Text)
}
