//! Calls and estimates of gas.

use alloy_primitives::{Address, B256, U64, U256};
use alloy_rpc_types_eth::state::{AccountOverride, StateOverride};
use alloy_rpc_types_eth::{AccessListResult, BlockOverrides, TransactionRequest};
use jsonrpsee::RpcModule;
use jsonrpsee::core::RegisterMethodError;
use revm::context::BlockEnv;

use super::arguments::{Arguments, message};
use super::fault::{Fault, IntoFault, arguments, limit};
use super::reader::{Reader, Seen};
use crate::call::Moment;
use crate::state::State;

/// Accounts and slots that one call may see otherwise than they are.
const OVERRIDES_MAX: usize = 1_024;

pub(super) fn register(module: &mut RpcModule<Reader>) -> Result<(), RegisterMethodError> {
    module.register_async_method("eth_call", |params, reader, _| async move {
        let mut arguments = Arguments::of(&params);
        let (message, id) = (message(arguments.next()?)?, arguments.block()?);
        let overrides = Overrides { state: arguments.optional()?, block: arguments.optional()? };
        let seen = reader.seen_or_pending(id).await?;
        reader
            .work(move |reader| {
                run(reader, seen, overrides, |moment| moment.call(&message).map_err(IntoFault::into_fault))
            })
            .await
    })?;
    module.register_async_method("eth_estimateGas", |params, reader, _| async move {
        let mut arguments = Arguments::of(&params);
        let message = message(arguments.next::<TransactionRequest>()?)?;
        let id = arguments.optional()?.unwrap_or_else(|| reader.upcoming());
        let overrides = Overrides { state: arguments.optional()?, block: arguments.optional()? };
        let seen = reader.seen_or_pending(id).await?;
        reader
            .work(move |reader| {
                run(reader, seen, overrides, |moment| {
                    moment.estimate(&message).map(U64::from).map_err(IntoFault::into_fault)
                })
            })
            .await
    })?;
    module.register_async_method("eth_createAccessList", |params, reader, _| async move {
        let mut arguments = Arguments::of(&params);
        let (message, id) = (message(arguments.next::<TransactionRequest>()?)?, arguments.block()?);
        let overrides = Overrides { state: arguments.optional()?, block: None };
        let seen = reader.seen_or_pending(id).await?;
        reader
            .work(move |reader| {
                run(reader, seen, overrides, |moment| {
                    let (access_list, gas_used) = moment.accesses(message).map_err(IntoFault::into_fault)?;
                    Ok(AccessListResult { access_list, gas_used: U256::from(gas_used), error: None })
                })
            })
            .await
    })?;
    Ok(())
}

/// What a call is to see otherwise than it is.
#[derive(Default)]
pub(super) struct Overrides {
    pub(super) state: Option<StateOverride>,
    pub(super) block: Option<BlockOverrides>,
}

/// Runs something on what was seen, with what is to be seen otherwise.
pub(super) fn run<T>(
    reader: &Reader,
    seen: Seen,
    overrides: Overrides,
    run: impl FnOnce(&Moment<'_>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    reader.at(seen, |moment| {
        if let Some(state) = overrides.state {
            override_state(moment.state_mut(), state)?;
        }
        if let Some(block) = overrides.block {
            override_block(moment.block_mut(), &block);
        }
        run(moment)
    })
}

fn override_state(state: &mut State, overrides: StateOverride) -> Result<(), Fault> {
    let slots = |account: &AccountOverride| {
        let count = |slots: &Option<_>| slots.as_ref().map_or(0, alloy_primitives::map::B256HashMap::<B256>::len);
        count(&account.state) + count(&account.state_diff)
    };
    let count = overrides.len() + overrides.values().map(slots).sum::<usize>();
    if count > OVERRIDES_MAX {
        return Err(limit(format!("{count} accounts and slots to see otherwise, the limit is {OVERRIDES_MAX}")));
    }
    for (address, account) in overrides {
        override_account(state, address, account)?;
    }
    Ok(())
}

fn override_account(state: &mut State, address: Address, account: AccountOverride) -> Result<(), Fault> {
    if account.state.is_some() && account.state_diff.is_some() {
        return Err(arguments(format!("both state and stateDiff are given for {address}")));
    }
    if account.move_precompile_to.is_some() {
        return Err(arguments("movePrecompileToAddress is not offered"));
    }
    let AccountOverride { balance, nonce, code, state: whole, state_diff: part, .. } = account;
    state.change(address, |account| {
        if let Some(balance) = balance {
            account.balance = balance;
        }
        if let Some(nonce) = nonce {
            account.nonce = nonce;
        }
        if let Some(code) = code {
            account.set_code(code);
        }
        if whole.is_some() {
            account.storage = crate::trie::Trie::default();
        }
        for (index, value) in whole.into_iter().chain(part).flatten() {
            account.set_storage(U256::from_be_bytes(index.0), U256::from_be_bytes(value.0));
        }
    });
    Ok(())
}

fn override_block(block: &mut BlockEnv, overrides: &BlockOverrides) {
    if let Some(number) = overrides.number {
        block.number = number;
    }
    if let Some(time) = overrides.time {
        block.timestamp = U256::from(time);
    }
    if let Some(gas_limit) = overrides.gas_limit {
        // Not more than a block has: that is what bounds how long a call runs.
        block.gas_limit = gas_limit.min(block.gas_limit);
    }
    if let Some(coinbase) = overrides.coinbase {
        block.beneficiary = coinbase;
    }
    if let Some(random) = overrides.random {
        block.prevrandao = Some(random);
    }
    if let Some(base_fee) = overrides.base_fee.and_then(|fee| u64::try_from(fee).ok()) {
        block.basefee = base_fee;
    }
}
