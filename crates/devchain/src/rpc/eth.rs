//! Questions about blocks, transactions, accounts and fees.

use std::sync::Arc;

use alloy_eips::eip2718::Encodable2718 as _;
use alloy_primitives::{Address, B256, Bytes, U64, U256, keccak256};
use alloy_rpc_types_eth::{BlockId, BlockNumberOrTag, EIP1186AccountProofResponse, EIP1186StorageProof, FeeHistory};
use alloy_serde::JsonStorageKey;
use jsonrpsee::RpcModule;
use jsonrpsee::core::RegisterMethodError;

use super::arguments::{Arguments, Named, height, named};
use super::fault::{Fault, IntoFault, answer, arguments, limit};
use super::reader::Reader;
use super::wire::{self, Detail};
use crate::block::{Block, gas_price};
use crate::chain::suggested_tip;

/// Blocks that one question about fees may cover, and percentiles that it may ask for.
const FEE_BLOCKS_MAX: u64 = 1_024;
const PERCENTILES_MAX: usize = 100;

/// Slots that one proof may cover.
const PROOF_SLOTS_MAX: usize = 1_024;

pub(super) fn register(module: &mut RpcModule<Reader>) -> Result<(), RegisterMethodError> {
    constants(module)?;
    blocks(module)?;
    transactions(module)?;
    accounts(module)?;
    fees(module)
}

fn constants(module: &mut RpcModule<Reader>) -> Result<(), RegisterMethodError> {
    module.register_method("eth_chainId", |_, reader, _| answer(U64::from(reader.devchain.config().chain_id)))?;
    module.register_method("net_version", |_, reader, _| reader.devchain.config().chain_id.to_string())?;
    module.register_method("net_listening", |_, _, _| true)?;
    module.register_method("net_peerCount", |_, _, _| answer(U64::ZERO))?;
    module.register_method("web3_clientVersion", |_, _, _| {
        concat!("candor-devchain/v", env!("CARGO_PKG_VERSION"), "/rust")
    })?;
    module.register_method("web3_sha3", |params, _, _| {
        let data: Bytes = Arguments::of(&params).next()?;
        Ok::<_, Fault>(keccak256(data))
    })?;
    module.register_method("eth_syncing", |_, _, _| false)?;
    module.register_method("eth_mining", |_, _, _| false)?;
    module.register_method("eth_hashrate", |_, _, _| answer(U64::ZERO))?;
    module.register_method("eth_protocolVersion", |_, _, _| 1)?;
    module.register_method("eth_coinbase", |_, reader, _| answer(reader.head().header().beneficiary))?;
    module.register_method("rpc_modules", |_, _, _| {
        let names = ["anvil", "debug", "eth", "evm", "hardhat", "net", "txpool", "web3"];
        answer(names.into_iter().map(|name| (name, "1.0")).collect::<std::collections::BTreeMap<_, _>>())
    })?;
    Ok(())
}

fn blocks(module: &mut RpcModule<Reader>) -> Result<(), RegisterMethodError> {
    module.register_method("eth_blockNumber", |_, reader, _| answer(U64::from(reader.head().number())))?;
    for name in ["eth_getBlockByNumber", "eth_getBlockByHash"] {
        module.register_async_method(name, |params, reader, _| async move {
            let mut arguments = Arguments::of(&params);
            let (id, full) = (arguments.next()?, arguments.optional()?.unwrap_or(false));
            let block = block_or_pending(&reader, id).await?;
            Ok::<_, Fault>(block.map(|block| wire::block(&block, Detail::of(full))))
        })?;
    }
    for name in ["eth_getBlockTransactionCountByNumber", "eth_getBlockTransactionCountByHash"] {
        module.register_method(name, |params, reader, _| {
            let block = reader.block(Arguments::of(&params).next()?)?;
            Ok::<_, Fault>(block.map(|block| U64::from(block.transactions().len())))
        })?;
    }
    for name in ["eth_getUncleCountByBlockNumber", "eth_getUncleCountByBlockHash"] {
        module.register_method(name, |params, reader, _| {
            Ok::<_, Fault>(reader.block(Arguments::of(&params).next()?)?.map(|_| U64::ZERO))
        })?;
    }
    for name in ["eth_getUncleByBlockNumberAndIndex", "eth_getUncleByBlockHashAndIndex"] {
        module.register_method(name, |_, _, _| answer(None::<()>))?;
    }
    module.register_method("eth_getBlockReceipts", |params, reader, _| {
        let block = reader.block(Arguments::of(&params).next()?)?;
        let receipts = |block: Arc<Block>| {
            (0..block.transactions().len()).filter_map(|index| wire::receipt(&block, index)).collect::<Vec<_>>()
        };
        Ok::<_, Fault>(block.map(receipts))
    })?;
    Ok(())
}

async fn block_or_pending(reader: &Reader, id: BlockId) -> Result<Option<Arc<Block>>, Fault> {
    if named(id, 0) != Named::Pending {
        return reader.block(id);
    }
    let pending = reader.with(crate::chain::Chain::pending).await?;
    pending.map(|(block, _)| Some(Arc::new(block))).map_err(IntoFault::into_fault)
}

fn transactions(module: &mut RpcModule<Reader>) -> Result<(), RegisterMethodError> {
    module.register_method("eth_getTransactionByHash", |params, reader, _| {
        let hash = Arguments::of(&params).next()?;
        if let Some((block, index)) = reader.transaction(hash)? {
            return Ok(wire::transaction(&block, index));
        }
        let published = reader.devchain.published();
        Ok::<_, Fault>(published.pool.get(hash).map(|sent| wire::pending(sent, published.next_base_fee)))
    })?;
    module.register_method("eth_getRawTransactionByHash", |params, reader, _| {
        let hash = Arguments::of(&params).next()?;
        if let Some((block, index)) = reader.transaction(hash)? {
            return Ok(block.transactions().get(index).map(|sent| Bytes::from(sent.envelope().encoded_2718())));
        }
        let published = reader.devchain.published();
        Ok::<_, Fault>(published.pool.get(hash).map(|sent| Bytes::from(sent.envelope().encoded_2718())))
    })?;
    for name in ["eth_getTransactionByBlockNumberAndIndex", "eth_getTransactionByBlockHashAndIndex"] {
        module.register_method(name, |params, reader, _| {
            let mut arguments = Arguments::of(&params);
            let (block, index) = (reader.block(arguments.next()?)?, arguments.number()?);
            let index = usize::try_from(index).unwrap_or(usize::MAX);
            Ok::<_, Fault>(block.and_then(|block| wire::transaction(&block, index)))
        })?;
    }
    module.register_method("eth_getTransactionReceipt", |params, reader, _| {
        let found = reader.transaction(Arguments::of(&params).next()?)?;
        Ok::<_, Fault>(found.and_then(|(block, index)| wire::receipt(&block, index)))
    })?;
    Ok(())
}

fn accounts(module: &mut RpcModule<Reader>) -> Result<(), RegisterMethodError> {
    module.register_async_method("eth_getBalance", |params, reader, _| async move {
        let mut arguments = Arguments::of(&params);
        let (address, block) = (arguments.next()?, arguments.block()?);
        Ok::<_, Fault>(reader.seen_or_pending(block).await?.state.balance(address))
    })?;
    module.register_async_method("eth_getCode", |params, reader, _| async move {
        let mut arguments = Arguments::of(&params);
        let (address, block) = (arguments.next()?, arguments.block()?);
        Ok::<_, Fault>(reader.seen_or_pending(block).await?.state.code(address))
    })?;
    module.register_async_method("eth_getStorageAt", |params, reader, _| async move {
        let mut arguments = Arguments::of(&params);
        let (address, index, block): (Address, U256, _) = (arguments.next()?, arguments.next()?, arguments.block()?);
        let value = reader.seen_or_pending(block).await?.state.storage(address, index);
        Ok::<_, Fault>(B256::from(value))
    })?;
    module.register_method("eth_getTransactionCount", |params, reader, _| {
        let mut arguments = Arguments::of(&params);
        let (address, block) = (arguments.next()?, arguments.block()?);
        let nonce = reader.state(block)?.nonce(address);
        let is_pending = named(block, 0) == Named::Pending;
        let pool = &reader.devchain.published().pool;
        Ok::<_, Fault>(U64::from(if is_pending { pool.next_nonce(address, nonce) } else { nonce }))
    })?;
    module.register_async_method("eth_getProof", |params, reader, _| async move {
        let mut arguments = Arguments::of(&params);
        let (address, slots, block) = (arguments.next()?, arguments.next()?, arguments.block()?);
        reader.work(move |reader| proof(reader, address, slots, block)).await
    })?;
    Ok(())
}

fn proof(
    reader: &Reader,
    address: Address,
    slots: Vec<JsonStorageKey>,
    block: BlockId,
) -> Result<EIP1186AccountProofResponse, Fault> {
    if slots.len() > PROOF_SLOTS_MAX {
        return Err(limit(format!("proofs of {} slots, the limit is {PROOF_SLOTS_MAX}", slots.len())));
    }
    let state = reader.state(block)?;
    let storage_proof = slots.into_iter().map(|key| {
        let index = U256::from_be_bytes(key.as_b256().0);
        EIP1186StorageProof { key, value: state.storage(address, index), proof: state.storage_proof(address, index) }
    });
    let account = state.account(address);
    Ok(EIP1186AccountProofResponse {
        address,
        balance: state.balance(address),
        code_hash: account.map_or(alloy_primitives::KECCAK256_EMPTY, |account| account.code_hash),
        nonce: state.nonce(address),
        storage_hash: account.map_or(crate::trie::EMPTY_ROOT, crate::state::Account::storage_root),
        account_proof: state.account_proof(address),
        storage_proof: storage_proof.collect(),
    })
}

fn fees(module: &mut RpcModule<Reader>) -> Result<(), RegisterMethodError> {
    module.register_method("eth_gasPrice", |_, reader, _| {
        let published = reader.devchain.published();
        answer(U256::from(u128::from(published.next_base_fee) + suggested_tip(published.history.head())))
    })?;
    module.register_method("eth_maxPriorityFeePerGas", |_, reader, _| {
        answer(U256::from(suggested_tip(&reader.head())))
    })?;
    module.register_method("eth_blobBaseFee", |_, _, _| answer(U256::ONE))?;
    module.register_async_method("eth_feeHistory", |params, reader, _| async move {
        let mut arguments = Arguments::of(&params);
        let (count, newest) = (arguments.number()?, arguments.next()?);
        let percentiles: Vec<f64> = arguments.optional()?.unwrap_or_default();
        reader.work(move |reader| fee_history(reader, count, newest, &percentiles)).await
    })?;
    Ok(())
}

fn fee_history(
    reader: &Reader,
    count: u64,
    newest: BlockNumberOrTag,
    percentiles: &[f64],
) -> Result<FeeHistory, Fault> {
    let is_ascending =
        percentiles.is_sorted() && percentiles.iter().all(|percentile| (0.0..=100.0).contains(percentile));
    if !is_ascending {
        return Err(arguments("percentiles ascend from 0 to 100"));
    }
    if percentiles.len() > PERCENTILES_MAX {
        return Err(limit(format!("{} percentiles, the limit is {PERCENTILES_MAX}", percentiles.len())));
    }
    let head = reader.head().number();
    let newest = height(newest, head);
    if newest > head {
        return Err(arguments(format!("BlockOutOfRangeError: block height is {head} but requested was {newest}")));
    }
    let count = count.min(FEE_BLOCKS_MAX).min(newest + 1);
    let mut history = FeeHistory { oldest_block: newest + 1 - count, ..FeeHistory::default() };
    let mut rewards = Vec::new();
    let mut next_base_fee = None;
    for number in history.oldest_block..=newest {
        let Some(block) = reader.block_at(number)? else { continue };
        history.base_fee_per_gas.push(u128::from(block.base_fee()));
        history.gas_used_ratio.push(ratio(block.header().gas_used, block.header().gas_limit));
        history.base_fee_per_blob_gas.push(1);
        history.blob_gas_used_ratio.push(0.0);
        if !percentiles.is_empty() {
            rewards.push(tips(&block, percentiles));
        }
        next_base_fee = Some(crate::chain::next_base_fee(reader.devchain.config(), &block));
    }
    let next = if newest == head { Some(reader.devchain.published().next_base_fee) } else { next_base_fee };
    history.base_fee_per_gas.extend(next.map(u128::from));
    history.base_fee_per_blob_gas.push(1);
    history.reward = Some(rewards);
    Ok(history)
}

fn ratio(used: u64, limit: u64) -> f64 {
    if limit == 0 { 0.0 } else { used as f64 / limit as f64 }
}

/// The tips of a block's transactions at these percentiles of its gas.
fn tips(block: &Block, percentiles: &[f64]) -> Vec<u128> {
    let base_fee = u128::from(block.base_fee());
    let mut paid: Vec<_> = (0..block.transactions().len())
        .map(|index| {
            let tip = gas_price(&block.transactions()[index], block.base_fee()).saturating_sub(base_fee);
            (tip, block.gas_used(index))
        })
        .collect();
    paid.sort_unstable();
    let total = block.header().gas_used as f64;
    let at = |percentile: &f64| {
        let threshold = total * percentile / 100.0;
        let mut sum = 0;
        let found = paid.iter().find(|(_, gas)| {
            sum += gas;
            sum as f64 >= threshold
        });
        found.or(paid.last()).map_or(0, |(tip, _)| *tip)
    };
    percentiles.iter().map(at).collect()
}
