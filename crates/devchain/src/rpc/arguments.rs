//! The arguments of methods, and the blocks that they name.

use alloy_primitives::{B256, TxKind, U256};
use alloy_rpc_types_eth::{BlockId, BlockNumberOrTag, TransactionRequest};
use jsonrpsee::types::{Params, ParamsSequence};
use serde::de::DeserializeOwned;

use super::fault::{Fault, arguments};
use crate::message::{Message, Price};

/// Arguments one after the other.
pub(super) struct Arguments<'a>(ParamsSequence<'a>);

impl<'a> Arguments<'a> {
    pub(super) fn of(params: &'a Params<'_>) -> Self {
        Self(params.sequence())
    }

    /// The next one, which must be there.
    pub(super) fn next<T: DeserializeOwned>(&mut self) -> Result<T, Fault> {
        // What is read is owned, so that it can go to another thread.
        let value: serde_json::Value = self.0.next()?;
        serde_json::from_value(value).map_err(|error| arguments(error.to_string()))
    }

    /// The next one, if it is there and not null.
    pub(super) fn optional<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Fault> {
        let value: Option<serde_json::Value> = self.0.optional_next()?;
        value.map(serde_json::from_value).transpose().map_err(|error| arguments(error.to_string()))
    }

    /// The next one as a block, the newest where it is not there.
    pub(super) fn block(&mut self) -> Result<BlockId, Fault> {
        Ok(self.optional()?.unwrap_or_else(BlockId::latest))
    }

    /// The next one as a number of 64 bits, in hexadecimal or not.
    pub(super) fn number(&mut self) -> Result<u64, Fault> {
        number(self.next()?)
    }

    /// The same, if it is there.
    pub(super) fn optional_number(&mut self) -> Result<Option<u64>, Fault> {
        self.optional()?.map(number).transpose()
    }
}

fn number(value: U256) -> Result<u64, Fault> {
    u64::try_from(value).map_err(|_| arguments(format!("{value} does not fit into 64 bits")))
}

/// A block that is there, as far as its name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    Number(u64),
    Hash(B256),
    Pending,
}

/// Blocks after which nobody expects the newest to be taken back: what other chains call safe, and final.
const SAFE_DEPTH: u64 = 32;
const FINAL_DEPTH: u64 = 64;

/// Which block a name means when the newest has the height `head`.
pub(super) fn named(id: BlockId, head: u64) -> Named {
    match id {
        BlockId::Hash(hash) => Named::Hash(hash.block_hash),
        BlockId::Number(BlockNumberOrTag::Pending) => Named::Pending,
        BlockId::Number(number) => Named::Number(height(number, head)),
    }
}

/// The height of a block that is not pending.
pub(super) fn height(number: BlockNumberOrTag, head: u64) -> u64 {
    match number {
        BlockNumberOrTag::Latest | BlockNumberOrTag::Pending => head,
        BlockNumberOrTag::Safe => head.saturating_sub(SAFE_DEPTH),
        BlockNumberOrTag::Finalized => head.saturating_sub(FINAL_DEPTH),
        BlockNumberOrTag::Earliest => 0,
        BlockNumberOrTag::Number(number) => number,
    }
}

/// What a client's request asks for.
pub(super) fn message(request: TransactionRequest) -> Result<Message, Fault> {
    if request.blob_versioned_hashes.is_some() || request.sidecar.is_some() || request.max_fee_per_blob_gas.is_some() {
        return Err(arguments("blobs (EIP-4844) are not taken: this chain keeps none"));
    }
    let price = match (request.gas_price, request.max_fee_per_gas, request.max_priority_fee_per_gas) {
        (None, None, None) => Price::Unsaid,
        (Some(price), None, None) => Price::Flat(price),
        (None, fee, tip) => Price::Ceiling { fee, tip },
        (Some(_), ..) => return Err(arguments("both gasPrice and maxFeePerGas or maxPriorityFeePerGas are given")),
    };
    let data = request.input.try_into_unique_input().map_err(|error| arguments(error.to_string()))?;
    Ok(Message {
        from: request.from.unwrap_or_default(),
        to: request.to.and_then(TxKind::into_to),
        value: request.value.unwrap_or_default(),
        data: data.unwrap_or_default(),
        gas: request.gas,
        price,
        nonce: request.nonce,
        access_list: request.access_list,
        authorizations: request.authorization_list.unwrap_or_default(),
    })
}
