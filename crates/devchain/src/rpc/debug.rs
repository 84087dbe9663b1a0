//! Traces of calls, and of single steps.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_rpc_types_eth::BlockOverrides;
use alloy_rpc_types_eth::TransactionRequest;
use alloy_rpc_types_eth::state::StateOverride;
use jsonrpsee::RpcModule;
use jsonrpsee::core::RegisterMethodError;
use revm::context::result::ExecutionResult;
use serde::{Deserialize, Serialize};

use super::arguments::{Arguments, message};
use super::execute::{self, Overrides};
use super::fault::{Fault, IntoFault, arguments, failed, reason};
use super::reader::Reader;
use crate::block::Executed;
use crate::config::Limits;
use crate::error::Refusal;
use crate::steps::{KeepOfSteps, Step, StepTracer};
use crate::trace::{Call, Keep, Tracer};

/// How to trace.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "these are geth's options")]
struct Options {
    tracer: Option<String>,
    tracer_config: TracerOptions,
    enable_memory: bool,
    enable_return_data: bool,
    disable_stack: bool,
    disable_storage: bool,
    /// Steps after so many are left out; none are where it is zero.
    limit: u64,
    state_overrides: Option<StateOverride>,
    block_overrides: Option<BlockOverrides>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct TracerOptions {
    only_top_call: bool,
    with_log: bool,
}

/// What to look at.
#[derive(Debug, Clone, Copy)]
enum Subject {
    Calls(Keep, usize),
    Steps(KeepOfSteps),
}

/// What was seen.
#[derive(Clone, Serialize)]
#[serde(untagged)]
enum WireTrace {
    Calls(Box<WireCall>),
    Steps(WireSteps),
}

/// All steps of a transaction, in the shape of geth's default tracer.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct WireSteps {
    failed: bool,
    gas: u64,
    return_value: Bytes,
    struct_logs: Vec<WireStep>,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct WireStep {
    pc: usize,
    op: String,
    gas: u64,
    gas_cost: u64,
    depth: usize,
    refund: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stack: Option<Vec<U256>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<Vec<B256>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    return_data: Option<Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    storage: Option<BTreeMap<B256, B256>>,
}

impl From<Step> for WireStep {
    fn from(step: Step) -> Self {
        Self {
            op: step.name(),
            pc: step.pc,
            gas: step.gas,
            gas_cost: step.gas_cost,
            depth: step.depth,
            refund: step.refund,
            error: step.error,
            stack: step.stack,
            memory: step.memory,
            return_data: step.returned,
            storage: step.storage,
        }
    }
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
    fn subject(&self, limits: &Limits) -> Result<Subject, Fault> {
        match self.tracer.as_deref() {
            Some("callTracer") => {
                let keep = Keep { only_top: self.tracer_config.only_top_call, with_logs: self.tracer_config.with_log };
                Ok(Subject::Calls(keep, limits.trace_frames))
            }
            Some(other) => Err(arguments(format!("tracer {other:?} is not offered, callTracer and steps are"))),
            None => Ok(Subject::Steps(KeepOfSteps {
                stack: !self.disable_stack,
                memory: self.enable_memory,
                storage: !self.disable_storage,
                returned: self.enable_return_data,
                count: usize::try_from(self.limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX),
                bytes_max: limits.response_bytes as usize,
            })),
        }
    }
}

pub(super) fn register(module: &mut RpcModule<Reader>) -> Result<(), RegisterMethodError> {
    module.register_async_method("debug_traceTransaction", |params, reader, _| async move {
        let mut arguments = Arguments::of(&params);
        let (hash, options): (B256, Options) = (arguments.next()?, arguments.optional()?.unwrap_or_default());
        let subject = options.subject(&reader.devchain.config().limits)?;
        reader.work(move |reader| trace_transaction(reader, hash, subject)).await
    })?;
    module.register_async_method("debug_traceCall", |params, reader, _| async move {
        let mut arguments = Arguments::of(&params);
        let (message, id) = (message(arguments.next::<TransactionRequest>()?)?, arguments.block()?);
        let options: Options = arguments.optional()?.unwrap_or_default();
        let subject = options.subject(&reader.devchain.config().limits)?;
        let seen = reader.seen_or_pending(id).await?;
        reader
            .work(move |reader| {
                let overrides = Overrides { state: options.state_overrides, block: options.block_overrides };
                execute::run(reader, seen, overrides, |moment| {
                    trace(subject, |gas| moment.watch(&message, gas), |gas| moment.watch(&message, gas))
                })
            })
            .await
    })?;
    Ok(())
}

/// Runs what is to be watched, in one of two ways: each subject has its own kind of watcher.
fn trace(
    subject: Subject,
    calls: impl FnOnce(&dyn Fn(u64) -> Tracer) -> Result<(ExecutionResult, Tracer), Refusal>,
    steps: impl FnOnce(&dyn Fn(u64) -> StepTracer) -> Result<(ExecutionResult, StepTracer), Refusal>,
) -> Result<WireTrace, Fault> {
    let seen = match subject {
        Subject::Calls(keep, frames_max) => calls(&|gas_limit| Tracer::new(keep, gas_limit, frames_max))
            .and_then(|(result, tracer)| tracer.finish(&result))
            .map(|call| WireTrace::Calls(Box::new(call.into()))),
        Subject::Steps(keep) => steps(&|_| StepTracer::new(keep))
            .and_then(|(result, tracer)| tracer.finish(result))
            .map(|(executed, steps)| WireTrace::Steps(WireSteps::of(executed, steps))),
    };
    seen.map_err(IntoFault::into_fault)
}

impl WireSteps {
    fn of(executed: Executed, steps: Vec<Step>) -> Self {
        Self {
            failed: !executed.is_success(),
            gas: executed.gas_used,
            return_value: executed.output,
            struct_logs: steps.into_iter().map(WireStep::from).collect(),
        }
    }
}

/// Executes a block again up to one of its transactions, and watches that.
fn trace_transaction(reader: &Reader, hash: B256, subject: Subject) -> Result<WireTrace, Fault> {
    let (block, index) = reader.transaction(hash)?.ok_or_else(|| failed("transaction not found"))?;
    let before = block.number().checked_sub(1).ok_or_else(|| failed("the first block has no transactions"))?;
    let state = reader.state(before.into())?;
    let hashes = |number| reader.block_at(number).ok().flatten().map(|block| block.hash());
    let config = reader.devchain.config();
    trace(
        subject,
        |tracer| crate::block::watch(config, &hashes, state.clone(), &block, index, tracer),
        |tracer| crate::block::watch(config, &hashes, state.clone(), &block, index, tracer),
    )
}
