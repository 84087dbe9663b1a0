//! The bytes of blocks, accounts and differences. Numbers are little-endian, except where RLP has them.

use std::sync::Arc;

use alloy_consensus::{Header, ReceiptEnvelope};
use alloy_eips::eip2718::{Decodable2718 as _, Encodable2718 as _};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rlp::Decodable as _;

use crate::block::Block;
use crate::state::{Account, State};
use crate::transaction::Transaction;

/// A block: its header, then each transaction's sender and bytes and its receipt, as one list of strings in RLP.
pub(super) fn encode_block(block: &Block) -> Vec<u8> {
    let mut parts = Vec::with_capacity(1 + 2 * block.transactions().len());
    parts.push(Bytes::from(alloy_rlp::encode(block.header())));
    for (transaction, receipt) in block.transactions().iter().zip(block.receipts()) {
        let mut sent = transaction.sender().to_vec();
        sent.append(&mut transaction.encoded());
        parts.push(sent.into());
        parts.push(receipt.encoded_2718().into());
    }
    alloy_rlp::encode(&parts)
}

/// A block out of its bytes; none where these have been damaged.
pub(super) fn decode_block(mut bytes: &[u8]) -> Option<Arc<Block>> {
    let parts = Vec::<Bytes>::decode(&mut bytes).ok()?;
    let (header, rest) = parts.split_first()?;
    let header = Header::decode(&mut &header[..]).ok()?;
    let (mut transactions, mut receipts) = (Vec::new(), Vec::new());
    for pair in rest.chunks(2) {
        let [transaction, receipt] = pair else { return None };
        transactions.push(decode_sent(transaction)?);
        receipts.push(ReceiptEnvelope::decode_2718(&mut &receipt[..]).ok()?);
    }
    Some(Arc::new(Block::new(header, transactions, receipts)))
}

/// A transaction after its sender.
pub(super) fn encode_sent(transaction: &Transaction) -> Vec<u8> {
    [transaction.sender().as_slice(), &transaction.encoded()].concat()
}

pub(super) fn decode_sent(bytes: &[u8]) -> Option<Transaction> {
    let (sender, transaction) = bytes.split_first_chunk::<20>()?;
    Transaction::restore(transaction, Address::from(*sender))
}

/// What an account is but for its storage and the bytes of its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) nonce: u64,
    pub(super) balance: U256,
    pub(super) code_hash: B256,
}

impl Fields {
    pub(super) const SIZE_BYTES: usize = 8 + 32 + 32;

    pub(super) fn of(account: &Account) -> Self {
        Self { nonce: account.nonce, balance: account.balance, code_hash: account.code_hash }
    }

    pub(super) fn encode(self) -> [u8; Self::SIZE_BYTES] {
        let mut bytes = [0; Self::SIZE_BYTES];
        bytes[..8].copy_from_slice(&self.nonce.to_le_bytes());
        bytes[8..40].copy_from_slice(&self.balance.to_le_bytes::<32>());
        bytes[40..].copy_from_slice(self.code_hash.as_slice());
        bytes
    }

    pub(super) fn decode(bytes: &[u8; Self::SIZE_BYTES]) -> Self {
        let (nonce, rest) = bytes.split_at(8);
        let (balance, code_hash) = rest.split_at(32);
        Self {
            nonce: nonce.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)),
            balance: U256::from_le_slice(balance),
            code_hash: B256::from_slice(code_hash),
        }
    }
}

/// One account that differs between two states, as it is in the second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) address: Address,
    /// None where the second state has no such account, and then none of its slots either.
    pub(super) fields: Option<Fields>,
    /// Code that the first state did not have there.
    pub(super) code: Option<Bytes>,
    /// Slots that differ, and what they hold in the second state.
    pub(super) slots: Vec<(U256, U256)>,
}

/// All that differs from one state to another.
pub(super) fn changes(from: &State, to: &State) -> Vec<Change> {
    let mut changes = Vec::new();
    to.difference(from, &mut |old, new| {
        let Some(address) = old.or(new).map(|account| account.address) else { return };
        let mut slots = Vec::new();
        let none = crate::trie::Trie::default();
        let storage =
            |account: Option<&Account>| account.map_or_else(|| none.clone(), |account| account.storage.clone());
        storage(new).difference(&storage(old), &mut |old, new| {
            let index = old.or(new).map(|slot| slot.index);
            slots.extend(index.map(|index| (index, new.map_or(U256::ZERO, |slot| slot.value))));
        });
        let is_new_code = new.map(|account| account.code_hash) != old.map(|account| account.code_hash);
        let code = new.filter(|account| is_new_code && !account.code.is_empty());
        changes.push(Change {
            address,
            fields: new.map(Fields::of),
            code: code.map(|account| account.code.original_bytes()),
            slots,
        });
    });
    changes
}

/// The bytes of a list of changes without their code: a state that is gone back to has only code that is stored already.
pub(super) fn encode_changes(changes: &[Change]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for change in changes {
        bytes.extend_from_slice(change.address.as_slice());
        bytes.push(u8::from(change.fields.is_some()));
        bytes.extend(change.fields.iter().flat_map(|fields| fields.encode()));
        bytes.extend_from_slice(&(change.slots.len() as u32).to_le_bytes());
        for (index, value) in &change.slots {
            bytes.extend_from_slice(&index.to_be_bytes::<32>());
            bytes.extend_from_slice(&value.to_be_bytes::<32>());
        }
    }
    bytes
}

/// Changes out of their bytes; none where these have been damaged.
pub(super) fn decode_changes(mut bytes: &[u8]) -> Option<Vec<Change>> {
    let mut changes = Vec::new();
    while !bytes.is_empty() {
        let address = Address::from(*take::<20>(&mut bytes)?);
        let fields = match take::<1>(&mut bytes)? {
            [0] => None,
            _ => Some(Fields::decode(take::<{ Fields::SIZE_BYTES }>(&mut bytes)?)),
        };
        let count = u32::from_le_bytes(*take::<4>(&mut bytes)?) as usize;
        if bytes.len() / 64 < count {
            return None;
        }
        let mut slots = Vec::with_capacity(count);
        for _ in 0..count {
            let (index, value) = (take::<32>(&mut bytes)?, take::<32>(&mut bytes)?);
            slots.push((U256::from_be_bytes(*index), U256::from_be_bytes(*value)));
        }
        changes.push(Change { address, fields, code: None, slots });
    }
    Some(changes)
}

fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(head)
}
