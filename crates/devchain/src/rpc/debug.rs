//! Traces of calls.

use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_rpc_types_eth::BlockOverrides;
use alloy_rpc_types_eth::TransactionRequest;
use alloy_rpc_types_eth::state::StateOverride;
use jsonrpsee::RpcModule;
use jsonrpsee::core::RegisterMethodError;
use serde::{Deserialize, Serialize};

use super::arguments::{Arguments, message};
use super::execute::{self, Overrides};
use super::fault::{Fault, IntoFault, arguments, failed, reason};
use super::reader::Reader;
use crate::trace::{Call, Keep, Tracer};

/// How to trace.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Options {
    tracer: Option<String>,
    tracer_config: TracerOptions,
    state_overrides: Option<StateOverride>,
    block_overrides: Option<BlockOverrides>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct TracerOptions {
    only_top_call: bool,
    with_log: bool,
}

/// A call as the callTracer shows it.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct WireCall {
    from: Address,
    gas: U64,
    gas_used: U64,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Address>,
    input: Bytes,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revert_reason: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    calls: Vec<Self>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logs: Vec<WireLog>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<U256>,
    #[serde(rename = "type")]
    entry: &'static str,
}

#[derive(Clone, Serialize)]
struct WireLog {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
    position: U64,
}

impl From<Call> for WireCall {
    fn from(call: Call) -> Self {
        let logs = call.logs.into_iter().map(|(log, position)| WireLog {
            address: log.address,
            topics: log.data.topics().to_vec(),
            data: log.data.data.clone(),
            position: U64::from(position),
        });
        let revert_reason = call.is_revert.then(|| reason(&call.output)).flatten();
        Self {
            from: call.from,
            gas: U64::from(call.gas),
            gas_used: U64::from(call.gas_used),
            to: call.to,
            input: call.input,
            output: (!call.output.is_empty()).then_some(call.output),
            error: call.error,
            revert_reason,
            calls: call.calls.into_iter().map(Self::from).collect(),
            logs: logs.collect(),
            value: call.value,
            entry: call.entry.name(),
        }
    }
}

impl Options {
    fn keep(&self) -> Result<Keep, Fault> {
        match self.tracer.as_deref() {
            Some("callTracer") => {
                Ok(Keep { only_top: self.tracer_config.only_top_call, with_logs: self.tracer_config.with_log })
            }
            Some(other) => Err(arguments(format!("tracer {other:?} is not offered, callTracer is"))),
            None => Err(arguments("name a tracer: callTracer is offered, single steps are not")),
        }
    }
}

pub(super) fn register(module: &mut RpcModule<Reader>) -> Result<(), RegisterMethodError> {
    module.register_async_method("debug_traceTransaction", |params, reader, _| async move {
        let mut arguments = Arguments::of(&params);
        let (hash, options): (B256, Options) = (arguments.next()?, arguments.optional()?.unwrap_or_default());
        let keep = options.keep()?;
        reader.work(move |reader| trace_transaction(reader, hash, keep)).await
    })?;
    module.register_async_method("debug_traceCall", |params, reader, _| async move {
        let mut arguments = Arguments::of(&params);
        let (message, id) = (message(arguments.next::<TransactionRequest>()?)?, arguments.block()?);
        let options: Options = arguments.optional()?.unwrap_or_default();
        let keep = options.keep()?;
        let seen = reader.seen_or_pending(id).await?;
        reader
            .work(move |reader| {
                let frames_max = reader.devchain.config().limits.trace_frames;
                let overrides = Overrides { state: options.state_overrides, block: options.block_overrides };
                execute::run(reader, seen, overrides, |moment| {
                    let call = moment.trace(&message, keep, frames_max).map_err(IntoFault::into_fault)?;
                    Ok(WireCall::from(call))
                })
            })
            .await
    })?;
    Ok(())
}

/// Executes a block again up to one of its transactions, and watches that.
fn trace_transaction(reader: &Reader, hash: B256, keep: Keep) -> Result<WireCall, Fault> {
    let (block, index) = reader.transaction(hash)?.ok_or_else(|| failed("transaction not found"))?;
    let before = block.number().checked_sub(1).ok_or_else(|| failed("the first block has no transactions"))?;
    let state = reader.state(before.into())?;
    let hashes = |number| reader.block_at(number).ok().flatten().map(|block| block.hash());
    let frames_max = reader.devchain.config().limits.trace_frames;
    let call = crate::block::trace(reader.devchain.config(), &hashes, state, &block, index, |gas_limit| {
        Tracer::new(keep, gas_limit, frames_max)
    });
    call.map(WireCall::from).map_err(IntoFault::into_fault)
}
