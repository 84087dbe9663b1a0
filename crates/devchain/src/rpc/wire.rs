//! Blocks, transactions, receipts and logs as JSON-RPC shows them.

use alloy_consensus::transaction::Recovered;
use alloy_consensus::{ReceiptEnvelope, Transaction as _, TxEnvelope};
use alloy_eips::eip2718::Encodable2718 as _;
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{B256, U256};
use alloy_rlp::{Encodable as _, Header as RlpHeader};
use alloy_rpc_types_eth::{Block as WireBlock, BlockTransactions, Header, Log, Transaction, TransactionReceipt};

use crate::block::{Block, gas_price};
use crate::transaction::Transaction as Sent;

/// The price of blobs on a chain that has none.
const BLOB_GAS_PRICE: u128 = 1;

/// How much of its transactions a block shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    Hashes,
    Transactions,
}

impl Detail {
    pub(super) const fn of(full: bool) -> Self {
        if full { Self::Transactions } else { Self::Hashes }
    }
}

pub(super) fn block(block: &Block, detail: Detail) -> WireBlock<Transaction<TxEnvelope>, Header> {
    let transactions = match detail {
        Detail::Hashes => BlockTransactions::Hashes(block.transactions().iter().map(Sent::hash).collect()),
        Detail::Transactions => BlockTransactions::Full(
            (0..block.transactions().len()).filter_map(|index| transaction(block, index)).collect(),
        ),
    };
    WireBlock { header: header(block), uncles: Vec::new(), transactions, withdrawals: Some(Withdrawals::default()) }
}

pub(super) fn header(block: &Block) -> Header {
    Header {
        hash: block.hash(),
        inner: block.header().clone(),
        total_difficulty: Some(U256::ZERO),
        size: Some(U256::from(size_bytes(block))),
    }
}

/// The length of a block's RLP: header, transactions, no uncles, no withdrawals.
fn size_bytes(block: &Block) -> usize {
    let list = |payload_length: usize| payload_length + RlpHeader { list: true, payload_length }.length();
    let transactions = block.transactions().iter().map(|sent| sent.envelope().network_len()).sum();
    list(block.header().length() + list(transactions) + 2)
}

/// A transaction of a block.
pub(super) fn transaction(block: &Block, index: usize) -> Option<Transaction<TxEnvelope>> {
    let sent = block.transactions().get(index)?;
    Some(Transaction {
        inner: Recovered::new_unchecked(sent.envelope().clone(), sent.sender()),
        block_hash: Some(block.hash()),
        block_number: Some(block.number()),
        transaction_index: Some(index as u64),
        effective_gas_price: Some(gas_price(sent, block.base_fee())),
        block_timestamp: Some(block.header().timestamp),
    })
}

/// A transaction that waits, at the price that it would pay in the next block.
pub(super) fn pending(sent: &Sent, base_fee: u64) -> Transaction<TxEnvelope> {
    Transaction { effective_gas_price: Some(gas_price(sent, base_fee)), ..waiting(sent) }
}

/// A transaction that waits, at the highest price that it pays.
pub(super) fn waiting(sent: &Sent) -> Transaction<TxEnvelope> {
    Transaction {
        inner: Recovered::new_unchecked(sent.envelope().clone(), sent.sender()),
        block_hash: None,
        block_number: None,
        transaction_index: None,
        effective_gas_price: Some(sent.envelope().max_fee_per_gas()),
        block_timestamp: None,
    }
}

/// What came of a transaction of a block.
pub(super) fn receipt(block: &Block, index: usize) -> Option<TransactionReceipt<ReceiptEnvelope<Log>>> {
    let (sent, receipt) = (block.transactions().get(index)?, block.receipts().get(index)?);
    let first = block.logs_before(index);
    let mut count = 0;
    let inner = receipt.clone().map_logs(|inner| {
        count += 1;
        log(block, index, first + count - 1, sent.hash(), inner)
    });
    Some(TransactionReceipt {
        inner,
        transaction_hash: sent.hash(),
        transaction_index: Some(index as u64),
        block_hash: Some(block.hash()),
        block_number: Some(block.number()),
        gas_used: block.gas_used(index),
        effective_gas_price: gas_price(sent, block.base_fee()),
        blob_gas_used: None,
        blob_gas_price: Some(BLOB_GAS_PRICE),
        from: sent.sender(),
        to: sent.envelope().to(),
        contract_address: sent.creates(),
    })
}

fn log(block: &Block, index: usize, log_index: usize, transaction: B256, inner: alloy_primitives::Log) -> Log {
    Log {
        inner,
        block_hash: Some(block.hash()),
        block_number: Some(block.number()),
        block_timestamp: Some(block.header().timestamp),
        transaction_hash: Some(transaction),
        transaction_index: Some(index as u64),
        log_index: Some(log_index as u64),
        removed: false,
    }
}

/// The logs of a block that a filter lets through.
pub(super) fn logs(block: &Block, filter: &alloy_rpc_types_eth::Filter) -> Vec<Log> {
    if !filter.matches_bloom(block.header().logs_bloom) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut log_index = 0;
    for (index, (sent, receipt)) in block.transactions().iter().zip(block.receipts()).enumerate() {
        for inner in receipt.logs() {
            if filter.matches(inner) {
                found.push(log(block, index, log_index, sent.hash(), inner.clone()));
            }
            log_index += 1;
        }
    }
    found
}
