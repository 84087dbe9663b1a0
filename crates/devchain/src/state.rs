//! Accounts, their code and their storage after a block, as one value.

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use alloy_rlp::{Encodable as _, Header};
use revm::bytecode::Bytecode;
use revm::state::{AccountInfo, EvmState};

use crate::trie::{EMPTY_ROOT, Leaf, Trie};

/// All accounts at one moment. Cloning it is cheap, and no change to a clone is seen by the original.
#[derive(Debug, Clone, Default)]
pub struct State {
    accounts: Trie<Account>,
}

/// An account that is not empty.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) address: Address,
    pub(crate) nonce: u64,
    pub(crate) balance: U256,
    pub(crate) code_hash: B256,
    /// Analysed once, then shared by all versions of the account.
    pub(crate) code: Bytecode,
    pub(crate) storage: Trie<Slot>,
}

/// A storage slot that is not zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) index: U256,
    pub(crate) value: U256,
}

impl Leaf for Slot {
    fn encode(&self, out: &mut Vec<u8>) {
        self.value.encode(out);
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }
}

impl Leaf for Account {
    fn encode(&self, out: &mut Vec<u8>) {
        let storage_root = self.storage.root();
        let payload_length =
            self.nonce.length() + self.balance.length() + storage_root.length() + self.code_hash.length();
        Header { list: true, payload_length }.encode(out);
        self.nonce.encode(out);
        self.balance.encode(out);
        storage_root.encode(out);
        self.code_hash.encode(out);
    }

    fn is_same(&self, other: &Self) -> bool {
        let fields = |account: &Self| (account.nonce, account.balance, account.code_hash);
        fields(self) == fields(other) && self.storage.is_shared_with(&other.storage)
    }
}

impl Account {
    fn new(address: Address) -> Self {
        Self {
            address,
            nonce: 0,
            balance: U256::ZERO,
            code_hash: KECCAK256_EMPTY,
            code: Bytecode::default(),
            storage: Trie::default(),
        }
    }

    fn is_empty(&self) -> bool {
        self.nonce == 0 && self.balance.is_zero() && self.code_hash == KECCAK256_EMPTY
    }

    pub(crate) fn set_code(&mut self, code: Bytes) {
        self.code_hash = keccak256(&code);
        self.code = bytecode(code);
    }

    pub(crate) fn set_storage(&mut self, index: U256, value: U256) {
        let key = slot_key(index);
        if value.is_zero() {
            self.storage.remove(&key);
        } else {
            self.storage.insert(key, Slot { index, value });
        }
    }

    fn set_info(&mut self, info: &AccountInfo) {
        self.nonce = info.nonce;
        self.balance = info.balance;
        if info.code_hash != self.code_hash {
            self.code_hash = info.code_hash;
            self.code = info.code.clone().unwrap_or_default();
        }
    }

    /// What the machine asks about an account; its code comes along, so that it never asks for that.
    pub(crate) fn info(&self) -> AccountInfo {
        AccountInfo {
            balance: self.balance,
            nonce: self.nonce,
            code_hash: self.code_hash,
            code: Some(self.code.clone()),
            ..AccountInfo::default()
        }
    }

    pub(crate) fn storage_root(&self) -> B256 {
        if self.storage.is_empty() { EMPTY_ROOT } else { self.storage.root() }
    }
}

/// Analysed code. Bytes that only look like a delegation are plain code, which does nothing but fail.
fn bytecode(code: Bytes) -> Bytecode {
    Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code))
}

fn slot_key(index: U256) -> B256 {
    keccak256(index.to_be_bytes::<32>())
}

impl State {
    pub(crate) fn account(&self, address: Address) -> Option<&Account> {
        self.accounts.get(&keccak256(address))
    }

    /// How much an account holds, in wei.
    pub fn balance(&self, address: Address) -> U256 {
        self.account(address).map_or(U256::ZERO, |account| account.balance)
    }

    /// How many transactions an account has sent, or contracts created.
    pub fn nonce(&self, address: Address) -> u64 {
        self.account(address).map_or(0, |account| account.nonce)
    }

    /// An account's code.
    pub fn code(&self, address: Address) -> Bytes {
        self.account(address).map_or_else(Bytes::new, |account| account.code.original_bytes())
    }

    /// The value of a storage slot.
    pub fn storage(&self, address: Address, index: U256) -> U256 {
        let slot = self.account(address).and_then(|account| account.storage.get(&slot_key(index)));
        slot.map_or(U256::ZERO, |slot| slot.value)
    }

    /// The hash that a header commits to.
    pub fn root(&self) -> B256 {
        self.accounts.root()
    }

    /// Changes one account, which need not exist before and does not exist afterwards when it is left empty.
    pub(crate) fn change(&mut self, address: Address, change: impl FnOnce(&mut Account)) {
        let key = keccak256(address);
        let mut account = self.accounts.get(&key).cloned().unwrap_or_else(|| Account::new(address));
        change(&mut account);
        if account.is_empty() && account.storage.is_empty() {
            self.accounts.remove(&key);
        } else {
            self.accounts.insert(key, account);
        }
    }

    /// Takes an account out with all that it has.
    pub(crate) fn remove(&mut self, address: Address) {
        self.accounts.remove(&keccak256(address));
    }

    /// Takes over what a transaction changed.
    pub(crate) fn apply(&mut self, changes: EvmState) {
        for (address, change) in changes {
            if !change.is_touched() {
                continue;
            }
            let key = keccak256(address);
            if change.is_selfdestructed() {
                self.accounts.remove(&key);
                continue;
            }
            let old = self.accounts.get(&key);
            let is_unchanged = old.is_some_and(|old| {
                let info = (old.nonce, old.balance, old.code_hash);
                info == (change.info.nonce, change.info.balance, change.info.code_hash)
            });
            let mut slots = change.storage.iter().filter(|(_, slot)| slot.is_changed()).peekable();
            if is_unchanged && slots.peek().is_none() {
                continue;
            }
            let mut account = old.cloned().unwrap_or_else(|| Account::new(address));
            if change.is_created() {
                account.storage = Trie::default();
            }
            account.set_info(&change.info);
            for (index, slot) in slots {
                account.set_storage(*index, slot.present_value);
            }
            if account.is_empty() {
                self.accounts.remove(&key);
            } else {
                self.accounts.insert(key, account);
            }
        }
    }

    /// Shows each account that differs between an older state and this one: what it was and what it is.
    pub(crate) fn difference(&self, old: &Self, show: &mut impl FnMut(Option<&Account>, Option<&Account>)) {
        self.accounts.difference(&old.accounts, show);
    }

    /// The proof of an account, node by node from the root on.
    pub(crate) fn account_proof(&self, address: Address) -> Vec<Bytes> {
        self.accounts.proof(&keccak256(address)).into_iter().map(Bytes::from).collect()
    }

    /// The proof of a storage slot of an account.
    pub(crate) fn storage_proof(&self, address: Address, index: U256) -> Vec<Bytes> {
        let storage = self.account(address).map(|account| account.storage.clone()).unwrap_or_default();
        storage.proof(&slot_key(index)).into_iter().map(Bytes::from).collect()
    }
}
