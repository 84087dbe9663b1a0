//! What test tools do to a chain: the methods `evm_`, `anvil_` and `hardhat_`.

use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes, U64, U256};
use jsonrpsee::RpcModule;
use jsonrpsee::core::RegisterMethodError;
use jsonrpsee::types::Params;
use serde_json::{Value, json};

use super::arguments::Arguments;
use super::fault::{Fault, IntoFault, answer};
use super::reader::Reader;
use super::wire::{self, Detail};
use crate::chain::{Chain, Impersonation};
use crate::config::Mining;
use crate::devchain::PERIOD_MIN;
use crate::error::{ChainError, Refusal};
use crate::transaction::Transaction;

/// What a method does to the chain.
type Act = Box<dyn FnOnce(&mut Chain, u64) -> Result<Value, ChainError> + Send>;

/// A method: reads its arguments, and says what is to be done.
type Method = fn(&mut Arguments<'_>) -> Result<Act, Fault>;

pub(super) fn register(module: &mut RpcModule<Reader>) -> Result<(), RegisterMethodError> {
    for (names, method) in METHODS {
        for name in *names {
            module.register_async_method(name, move |params: Params<'static>, reader, _| async move {
                let act = method(&mut Arguments::of(&params))?;
                let done = reader.with(move |chain, now| act(chain, now)).await?;
                done.map_err(IntoFault::into_fault)
            })?;
        }
    }
    module.register_method("anvil_nodeInfo", |_, reader, _| answer(node_info(reader)))?;
    module.register_method("anvil_metadata", |_, reader, _| answer(metadata(reader)))?;
    module.register_alias("hardhat_metadata", "anvil_metadata")?;
    Ok(())
}

/// Every method with the names that it goes by.
const METHODS: &[(&[&str], Method)] = &[
    (&["evm_mine"], mine),
    (&["anvil_mine", "hardhat_mine"], mine_many),
    (&["evm_mine_detailed"], mine_detailed),
    (&["evm_snapshot", "anvil_snapshot"], |_| Ok(act(|chain, _| Ok(json!(U64::from(chain.snapshot())))))),
    (&["evm_revert", "anvil_revert"], revert),
    (&["anvil_rollback"], roll_back),
    (&["anvil_reorg"], reorganise),
    (&["anvil_reset", "hardhat_reset"], |_| {
        Ok(act(|chain, now| {
            chain.reset(now);
            Ok(Value::Null)
        }))
    }),
    (&["evm_increaseTime", "anvil_increaseTime"], increase_time),
    (&["evm_setNextBlockTimestamp", "anvil_setNextBlockTimestamp"], set_next_timestamp),
    (&["evm_setTime", "anvil_setTime"], set_time),
    (&["anvil_setBlockTimestampInterval"], set_block_spacing),
    (&["anvil_removeBlockTimestampInterval"], |_| {
        Ok(act(|chain, _| {
            chain.set_block_spacing(None);
            Ok(json!(true))
        }))
    }),
    (&["evm_setAutomine", "anvil_setAutomine", "hardhat_setAutomine"], set_automine),
    (&["anvil_getAutomine", "hardhat_getAutomine"], |_| {
        Ok(act(|chain, _| Ok(json!(chain.mining() == Mining::Instant))))
    }),
    (&["evm_setIntervalMining", "anvil_setIntervalMining"], set_interval),
    (&["anvil_getIntervalMining"], |_| Ok(act(|chain, _| Ok(interval(chain))))),
    (&["anvil_setBalance", "hardhat_setBalance", "evm_setAccountBalance"], set_balance),
    (&["anvil_addBalance"], add_balance),
    (&["anvil_setNonce", "hardhat_setNonce", "evm_setAccountNonce"], set_nonce),
    (&["anvil_setCode", "hardhat_setCode", "evm_setAccountCode"], set_code),
    (&["anvil_setStorageAt", "hardhat_setStorageAt", "evm_setAccountStorageAt"], set_storage),
    (&["anvil_setCoinbase", "hardhat_setCoinbase"], set_coinbase),
    (&["anvil_setNextBlockBaseFeePerGas", "hardhat_setNextBlockBaseFeePerGas"], set_next_base_fee),
    (&["evm_setBlockGasLimit", "anvil_setBlockGasLimit"], set_gas_limit),
    (&["anvil_impersonateAccount", "hardhat_impersonateAccount"], |arguments| {
        impersonate(arguments, Impersonation::On)
    }),
    (&["anvil_stopImpersonatingAccount", "hardhat_stopImpersonatingAccount"], |arguments| {
        impersonate(arguments, Impersonation::Off)
    }),
    (&["anvil_autoImpersonateAccount", "hardhat_autoImpersonateAccount"], impersonate_all),
    (&["anvil_dropTransaction", "hardhat_dropTransaction"], drop_transaction),
    (&["anvil_dropAllTransactions", "hardhat_dropAllTransactions"], |_| Ok(set(Chain::drop_all))),
    (&["anvil_dumpState", "hardhat_dumpState"], |_| Ok(act(|chain, _| Ok(json!(chain.dump()?))))),
    (&["anvil_loadState", "hardhat_loadState"], load),
    (&["anvil_setLoggingEnabled", "hardhat_setLoggingEnabled"], |_| Ok(set(|_| ()))),
];

/// Something that answers.
fn act(act: impl FnOnce(&mut Chain, u64) -> Result<Value, ChainError> + Send + 'static) -> Act {
    Box::new(act)
}

/// Something that has nothing to answer.
fn set(set: impl FnOnce(&mut Chain) + Send + 'static) -> Act {
    Box::new(move |chain, _| {
        set(chain);
        Ok(Value::Null)
    })
}

/// Some clients give the time of the block as an object.
fn block_time(arguments: &mut Arguments<'_>) -> Result<Option<u64>, Fault> {
    let Some(value) = arguments.optional::<Value>()? else { return Ok(None) };
    let time = value.get("timestamp").unwrap_or(&value).clone();
    let time: Option<U64> = serde_json::from_value(time).map_err(|error| super::fault::arguments(error.to_string()))?;
    Ok(time.map(|time| time.to()))
}

fn mine(arguments: &mut Arguments<'_>) -> Result<Act, Fault> {
    let time = block_time(arguments)?;
    Ok(act(move |chain, now| {
        if let Some(time) = time {
            chain.set_next_timestamp(time)?;
        }
        chain.mine(now)?;
        Ok(json!("0x0"))
    }))
}

fn mine_detailed(arguments: &mut Arguments<'_>) -> Result<Act, Fault> {
    let time = block_time(arguments)?;
    Ok(act(move |chain, now| {
        if let Some(time) = time {
            chain.set_next_timestamp(time)?;
        }
        let mined = chain.mine(now)?;
        Ok(json!([wire::block(&mined.block, Detail::Transactions)]))
    }))
}

fn mine_many(arguments: &mut Arguments<'_>) -> Result<Act, Fault> {
    let (count, spacing) = (arguments.optional_number()?.unwrap_or(1), arguments.optional_number()?);
    Ok(act(move |chain, now| chain.mine_many(count, spacing, now).map(|()| Value::Null)))
}

fn revert(arguments: &mut Arguments<'_>) -> Result<Act, Fault> {
    let id = arguments.number()?;
    Ok(act(move |chain, now| Ok(json!(chain.revert(id, now)))))
}

fn roll_back(arguments: &mut Arguments<'_>) -> Result<Act, Fault> {
    let depth = arguments.optional_number()?.unwrap_or(1);
    Ok(act(move |chain, now| chain.roll_back(depth, now).map(|()| Value::Null)))
}

fn reorganise(arguments: &mut Arguments<'_>) -> Result<Act, Fault> {
    let depth = arguments.number()?;
    let sent: Vec<(Bytes, u64)> = arguments.optional()?.unwrap_or_default();
    let decode = |(bytes, block): (Bytes, u64)| Ok((Transaction::decode(&bytes)?, block));
    let sent = sent.into_iter().map(decode).collect::<Result<Vec<_>, Refusal>>().map_err(IntoFault::into_fault)?;
    Ok(act(move |chain, now| chain.reorganise(depth, &sent, now).map(|()| Value::Null)))
}

fn increase_time(arguments: &mut Arguments<'_>) -> Result<Act, Fault> {
    let seconds = arguments.number()?;
    Ok(act(move |chain, _| Ok(json!(chain.increase_time(seconds)))))
}

fn set_next_timestamp(arguments: &mut Arguments<'_>) -> Result<Act, Fault> {
    let timestamp = arguments.number()?;
    Ok(act(move |chain, _| chain.set_next_timestamp(timestamp).map(|()| Value::Null)))
}

fn set_time(arguments: &mut Arguments<'_>) -> Result<Act, Fault> {
    let timestamp = arguments.number()?;
    Ok(act(move |chain, now| Ok(json!(chain.set_time(timestamp, now)))))
}

fn set_block_spacing(arguments: &mut Arguments<'_>) -> Result<Act, Fault> {
    let seconds = arguments.number()?;
    Ok(set(move |chain| chain.set_block_spacing(Some(seconds))))
}

fn set_automine(arguments: &mut Arguments<'_>) -> Result<Act, Fault> {
    let on: bool = arguments.next()?;
    Ok(act(move |chain, now| {
        let mining = match (on, chain.mining()) {
            (true, _) => Mining::Instant,
            (false, Mining::Every(period)) => Mining::Every(period),
            (false, _) => Mining::Manual,
        };
        chain.set_mining(mining, now).map(|()| Value::Null)
    }))
}

fn set_interval(arguments: &mut Arguments<'_>) -> Result<Act, Fault> {
    let seconds = arguments.number()?;
    Ok(act(move |chain, now| {
        let period = Duration::from_secs(seconds).max(PERIOD_MIN);
        let mining = if seconds == 0 { Mining::Manual } else { Mining::Every(period) };
        chain.set_mining(mining, now).map(|()| Value::Null)
    }))
}

fn interval(chain: &Chain) -> Value {
    match chain.mining() {
        Mining::Every(period) => json!(period.as_secs()),
        Mining::Instant | Mining::Manual => Value::Null,
    }
}

fn set_balance(arguments: &mut Arguments<'_>) -> Result<Act, Fault> {
    let (address, balance): (Address, U256) = (arguments.next()?, arguments.next()?);
    Ok(set(move |chain| chain.set_balance(address, balance)))
}

fn add_balance(arguments: &mut Arguments<'_>) -> Result<Act, Fault> {
    let (address, more): (Address, U256) = (arguments.next()?, arguments.next()?);
    Ok(set(move |chain| {
        let balance = chain.history().state().balance(address).saturating_add(more);
        chain.set_balance(address, balance);
    }))
}

fn set_nonce(arguments: &mut Arguments<'_>) -> Result<Act, Fault> {
    let (address, nonce): (Address, u64) = (arguments.next()?, arguments.number()?);
    Ok(set(move |chain| chain.set_nonce(address, nonce)))
}

fn set_code(arguments: &mut Arguments<'_>) -> Result<Act, Fault> {
    let (address, code): (Address, Bytes) = (arguments.next()?, arguments.next()?);
    Ok(set(move |chain| chain.set_code(address, code)))
}

fn set_storage(arguments: &mut Arguments<'_>) -> Result<Act, Fault> {
    let (address, index, value): (Address, U256, B256) = (arguments.next()?, arguments.next()?, arguments.next()?);
    Ok(act(move |chain, _| {
        chain.set_storage(address, index, U256::from_be_bytes(value.0));
        Ok(json!(true))
    }))
}

fn load(arguments: &mut Arguments<'_>) -> Result<Act, Fault> {
    let dump: Bytes = arguments.next()?;
    Ok(act(move |chain, _| chain.load(&dump).map(|()| json!(true))))
}

fn set_coinbase(arguments: &mut Arguments<'_>) -> Result<Act, Fault> {
    let coinbase: Address = arguments.next()?;
    Ok(set(move |chain| chain.set_coinbase(coinbase)))
}

fn set_next_base_fee(arguments: &mut Arguments<'_>) -> Result<Act, Fault> {
    let base_fee = arguments.number()?;
    Ok(set(move |chain| chain.set_next_base_fee(base_fee)))
}

fn set_gas_limit(arguments: &mut Arguments<'_>) -> Result<Act, Fault> {
    let gas_limit = arguments.number()?;
    Ok(act(move |chain, _| {
        chain.set_gas_limit(gas_limit)?;
        Ok(json!(true))
    }))
}

fn impersonate(arguments: &mut Arguments<'_>, on: Impersonation) -> Result<Act, Fault> {
    let address: Address = arguments.next()?;
    Ok(set(move |chain| chain.impersonate(address, on)))
}

fn impersonate_all(arguments: &mut Arguments<'_>) -> Result<Act, Fault> {
    let on = if arguments.next()? { Impersonation::On } else { Impersonation::Off };
    Ok(set(move |chain| chain.impersonate_all(on)))
}

fn drop_transaction(arguments: &mut Arguments<'_>) -> Result<Act, Fault> {
    let hash: B256 = arguments.next()?;
    Ok(act(move |chain, _| Ok(json!(chain.drop_transaction(hash).then_some(hash)))))
}

fn node_info(reader: &Reader) -> Value {
    let head = reader.head();
    let config = reader.devchain.config();
    let base_fee = u128::from(reader.devchain.published().next_base_fee);
    json!({
        "currentBlockNumber": U64::from(head.number()),
        "currentBlockTimestamp": head.header().timestamp,
        "currentBlockHash": head.hash(),
        "hardFork": config.hardfork.name(),
        "transactionOrder": "fees",
        "environment": {
            "baseFee": U256::from(base_fee),
            "chainId": config.chain_id,
            "gasLimit": U64::from(head.header().gas_limit),
            "gasPrice": U256::from(base_fee + crate::chain::suggested_tip(&head)),
        },
        "forkConfig": { "forkUrl": null, "forkBlockNumber": null, "forkRetryBackoff": null },
    })
}

fn metadata(reader: &Reader) -> Value {
    let head = reader.head();
    json!({
        "clientVersion": concat!("candor-devchain/v", env!("CARGO_PKG_VERSION")),
        "chainId": reader.devchain.config().chain_id,
        "latestBlockNumber": head.number(),
        "latestBlockHash": head.hash(),
        "forkedNetwork": null,
        "snapshots": {},
    })
}
