//! The first block.

use alloy_eips::eip2935::{HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE};
use alloy_primitives::{Address, B256, Bytes, address, bytes};

use crate::block::{Block, Frame};
use crate::config::{Config, Hardfork};
use crate::state::State;

/// A contract that makes contracts at addresses that hang on their code and a salt alone. It is on most chains at this
/// address, so that it is on this one too.
const CREATE2_FACTORY: Address = address!("0x4e59b44847b379578588920cA78FbF26c0B4956C");
const CREATE2_FACTORY_CODE: Bytes = bytes!(
    "0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
);

/// The first block, and the state that a chain begins with.
pub(super) fn first(config: &Config, timestamp: u64) -> (Block, State) {
    let state = genesis(config);
    (genesis_block(config, timestamp, &state), state)
}

fn genesis(config: &Config) -> State {
    let mut state = State::default();
    for key in &config.keys {
        state.change(key.address(), |account| account.balance = config.balance);
    }
    state.change(CREATE2_FACTORY, |account| account.set_code(CREATE2_FACTORY_CODE));
    if config.hardfork >= Hardfork::Prague {
        state.change(HISTORY_STORAGE_ADDRESS, |account| {
            account.nonce = 1;
            account.set_code(HISTORY_STORAGE_CODE.clone());
        });
    }
    state
}

fn genesis_block(config: &Config, timestamp: u64, state: &State) -> Block {
    let frame = Frame {
        number: 0,
        parent_hash: B256::ZERO,
        timestamp,
        coinbase: config.coinbase,
        gas_limit: config.gas_limit,
        base_fee: config.base_fee,
        random: B256::ZERO,
    };
    frame.empty(config.hardfork, state)
}
