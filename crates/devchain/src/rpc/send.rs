//! Transactions that come in, and signatures of the accounts whose keys are here.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_consensus::{Transaction as _, TxEnvelope};
use alloy_eips::eip2718::Encodable2718 as _;
use alloy_primitives::{Address, B256, Bytes, U64, eip191_hash_message};
use alloy_rpc_types_eth::Transaction as WireTransaction;
use jsonrpsee::RpcModule;
use jsonrpsee::core::RegisterMethodError;
use serde::Serialize;

use super::arguments::{Arguments, message};
use super::fault::{Fault, IntoFault, answer};
use super::reader::Reader;
use super::wire;
use crate::error::{ChainError, Refusal};
use crate::key::Key;
use crate::message::Message;
use crate::transaction::Transaction;

pub(super) fn register(module: &mut RpcModule<Reader>) -> Result<(), RegisterMethodError> {
    sending(module)?;
    signing(module)?;
    pool(module)
}

fn sending(module: &mut RpcModule<Reader>) -> Result<(), RegisterMethodError> {
    module.register_async_method("eth_sendRawTransaction", |params, reader, _| async move {
        let bytes: Bytes = Arguments::of(&params).next()?;
        let transaction = Transaction::decode(&bytes).map_err(IntoFault::into_fault)?;
        let sent = reader.with(move |chain, now| chain.submit(transaction, now)).await?;
        sent.map_err(IntoFault::into_fault)
    })?;
    module.register_async_method("eth_sendTransaction", |params, reader, _| async move {
        let message = with_gas(&reader, message(Arguments::of(&params).next()?)?).await?;
        let sent = reader.with(move |chain, now| {
            let transaction = chain.prepare(&message)?;
            chain.submit(transaction, now)
        });
        sent.await?.map_err(IntoFault::into_fault)
    })?;
    Ok(())
}

/// The message with a limit on gas, where it has none: what it needs on what it would find. One that fails is sent all the
/// same, as it would be with a limit that its sender names.
async fn with_gas(reader: &Arc<Reader>, mut message: Message) -> Result<Message, Fault> {
    if message.gas.is_none() {
        let seen = reader.seen_or_pending(reader.upcoming()).await?;
        message = reader
            .work(move |reader| {
                message.gas = reader.at(seen, |moment| moment.estimate(&message)).ok();
                Ok(message)
            })
            .await?;
    }
    Ok(message)
}

/// A transaction with the bytes that are sent.
#[derive(Clone, Serialize)]
struct Signed {
    raw: Bytes,
    tx: WireTransaction<TxEnvelope>,
}

fn signing(module: &mut RpcModule<Reader>) -> Result<(), RegisterMethodError> {
    module.register_method("eth_accounts", |_, reader, _| {
        answer(reader.devchain.config().keys.iter().map(Key::address).collect::<Vec<_>>())
    })?;
    module.register_async_method("eth_signTransaction", |params, reader, _| async move {
        let message = with_gas(&reader, message(Arguments::of(&params).next()?)?).await?;
        let prepared: Result<Transaction, ChainError> = reader.with(move |chain, _| chain.prepare(&message)).await?;
        let transaction = prepared.map_err(IntoFault::into_fault)?;
        Ok::<_, Fault>(Bytes::from(transaction.envelope().encoded_2718()))
    })?;
    module.register_async_method("eth_fillTransaction", |params, reader, _| async move {
        let message = with_gas(&reader, message(Arguments::of(&params).next()?)?).await?;
        let prepared: Result<Transaction, ChainError> = reader.with(move |chain, _| chain.prepare(&message)).await?;
        let transaction = prepared.map_err(IntoFault::into_fault)?;
        let raw = Bytes::from(transaction.envelope().encoded_2718());
        Ok::<_, Fault>(Signed { raw, tx: wire::waiting(&transaction) })
    })?;
    module.register_method("eth_sign", |params, reader, _| {
        let mut arguments = Arguments::of(&params);
        let (address, data): (Address, Bytes) = (arguments.next()?, arguments.next()?);
        sign(reader, address, &data)
    })?;
    module.register_method("personal_sign", |params, reader, _| {
        let mut arguments = Arguments::of(&params);
        let (data, address): (Bytes, Address) = (arguments.next()?, arguments.next()?);
        sign(reader, address, &data)
    })?;
    Ok(())
}

/// Signs a text, with the words before it that keep it from being a transaction (EIP-191).
fn sign(reader: &Reader, address: Address, text: &[u8]) -> Result<Bytes, Fault> {
    let key = reader.devchain.config().keys.iter().find(|key| key.address() == address);
    let key = key.ok_or_else(|| Refusal::NoSigner(address).into_fault())?;
    Ok(key.sign(eip191_hash_message(text)).as_bytes().into())
}

/// Waiting transactions by sender and nonce: those that the next block can take, and those that wait for another one.
#[derive(Clone, Serialize)]
struct Content<T> {
    pending: BTreeMap<Address, BTreeMap<String, T>>,
    queued: BTreeMap<Address, BTreeMap<String, T>>,
}

fn pool(module: &mut RpcModule<Reader>) -> Result<(), RegisterMethodError> {
    module.register_method("txpool_status", |_, reader, _| {
        let content = content(reader, Transaction::hash);
        let count =
            |part: &BTreeMap<_, BTreeMap<String, B256>>| U64::from(part.values().map(BTreeMap::len).sum::<usize>());
        answer(BTreeMap::from([("pending", count(&content.pending)), ("queued", count(&content.queued))]))
    })?;
    module.register_method("txpool_content", |_, reader, _| answer(content(reader, wire::waiting)))?;
    module.register_method("txpool_inspect", |_, reader, _| {
        answer(content(reader, |sent| {
            let envelope = sent.envelope();
            let to = envelope.to().map_or_else(|| "contract creation".to_owned(), |to| to.to_string());
            format!(
                "{to}: {} wei + {} gas x {} wei",
                envelope.value(),
                envelope.gas_limit(),
                envelope.max_fee_per_gas()
            )
        }))
    })?;
    Ok(())
}

fn content<T>(reader: &Reader, show: impl Fn(&Transaction) -> T) -> Content<T> {
    let published = reader.devchain.published();
    let (pool, state) = (&published.pool, published.history.state());
    let mut content = Content { pending: BTreeMap::new(), queued: BTreeMap::new() };
    for sent in pool.iter() {
        let (sender, nonce) = (sent.sender(), sent.envelope().nonce());
        let is_ready = nonce < pool.next_nonce(sender, state.nonce(sender));
        let part = if is_ready { &mut content.pending } else { &mut content.queued };
        part.entry(sender).or_default().insert(nonce.to_string(), show(sent));
    }
    content
}
