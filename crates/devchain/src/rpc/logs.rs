//! Searches for logs.

use alloy_rpc_types_eth::{Filter, FilterBlockOption, Log};
use jsonrpsee::RpcModule;
use jsonrpsee::core::RegisterMethodError;

use super::arguments::{Arguments, height};
use super::fault::{Fault, arguments, failed, limit};
use super::reader::Reader;
use super::wire;

pub(super) fn register(module: &mut RpcModule<Reader>) -> Result<(), RegisterMethodError> {
    module.register_async_method("eth_getLogs", |params, reader, _| async move {
        let filter = Arguments::of(&params).next()?;
        reader.work(move |reader| search(reader, &filter)).await
    })?;
    Ok(())
}

/// All logs that a filter names.
pub(super) fn search(reader: &Reader, filter: &Filter) -> Result<Vec<Log>, Fault> {
    match filter.block_option {
        FilterBlockOption::AtBlockHash(hash) => {
            let block = reader.block(hash.into())?.ok_or_else(|| failed(format!("block {hash} is not there")))?;
            Ok(wire::logs(&block, filter))
        }
        FilterBlockOption::Range { from_block, to_block } => {
            let head = reader.head().number();
            let from = from_block.map_or(head, |block| height(block, head));
            let to = to_block.map_or(head, |block| height(block, head));
            if from > head {
                let message = format!("BlockOutOfRangeError: block height is {head} but requested was {from}");
                return Err(arguments(message));
            }
            if from > to {
                return Err(arguments(format!("fromBlock {from} is after toBlock {to}")));
            }
            range(reader, filter, from, to.min(head))
        }
    }
}

/// The logs of blocks from one height to another.
pub(super) fn range(reader: &Reader, filter: &Filter, from: u64, to: u64) -> Result<Vec<Log>, Fault> {
    let limits = &reader.devchain.config().limits;
    let count = to.saturating_sub(from) + 1;
    if count > limits.log_blocks {
        return Err(limit(format!("logs of {count} blocks, the limit is {}", limits.log_blocks)));
    }
    let mut found = Vec::new();
    for number in from..=to {
        let Some(block) = reader.block_at(number)? else { continue };
        found.append(&mut wire::logs(&block, filter));
        if found.len() > limits.logs {
            return Err(limit(format!("more than {} logs: ask for fewer blocks", limits.logs)));
        }
    }
    Ok(found)
}
