//! What the machine does, instruction by instruction.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U256};
use revm::Inspector;
use revm::bytecode::opcode::{OpCode, SLOAD, SSTORE};
use revm::context::result::ExecutionResult;
use revm::context_interface::{ContextTr, JournalTr as _};
use revm::interpreter::Interpreter;
use revm::interpreter::interpreter_types::{
    InputsTr as _, Jumps as _, LoopControl as _, MemoryTr as _, ReturnData as _,
};

use crate::block::Executed;
use crate::error::Refusal;
use crate::trace::reason;

/// Bytes of an answer that a step takes at least, that a word of its stack does, and one of its memory, and a slot: what a trace
/// is measured by while it grows.
const STEP_BYTES: usize = 64;
const STACK_WORD_BYTES: usize = 6;
const MEMORY_WORD_BYTES: usize = 67;
const SLOT_BYTES: usize = 137;

/// One instruction.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// Where it stands in its code.
    pub(crate) pc: usize,
    /// Its byte.
    pub(crate) opcode: u8,
    /// Gas that was left before it.
    pub(crate) gas: u64,
    /// Gas that it took, what it gave to a call included.
    pub(crate) gas_cost: u64,
    /// Calls around it, its own included.
    pub(crate) depth: usize,
    /// Gas that is to be given back at the end, as it stood before.
    pub(crate) refund: i64,
    /// Why it failed.
    pub(crate) error: Option<&'static str>,
    /// The stack before it, top last.
    pub(crate) stack: Option<Vec<U256>>,
    /// The memory before it, in words.
    pub(crate) memory: Option<Vec<B256>>,
    /// What the last call returned.
    pub(crate) returned: Option<Bytes>,
    /// Where it reads or writes a slot: all slots of this account that were read or written until now, its own included.
    pub(crate) storage: Option<BTreeMap<B256, B256>>,
}

impl Step {
    /// The instruction's name.
    pub(crate) fn name(&self) -> String {
        OpCode::new(self.opcode)
            .map_or_else(|| format!("opcode {:#x} not defined", self.opcode), |code| code.to_string())
    }
}

/// What to keep of each step, and of how many.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each says of one part whether it is kept")]
pub(crate) struct KeepOfSteps {
    pub(crate) stack: bool,
    pub(crate) memory: bool,
    pub(crate) storage: bool,
    pub(crate) returned: bool,
    /// Steps after so many are left out.
    pub(crate) count: usize,
    /// A trace that would be longer than this is refused.
    pub(crate) bytes_max: usize,
}

/// Watches a transaction and keeps its steps.
#[derive(Debug)]
pub(crate) struct StepTracer {
    keep: KeepOfSteps,
    steps: Vec<Step>,
    bytes: usize,
    /// The step that is being taken is kept.
    is_open: bool,
    /// The slot that it reads or writes, and what it writes.
    slot: Option<(U256, Option<U256>)>,
    /// What was read and written, by account.
    storage: BTreeMap<Address, BTreeMap<B256, B256>>,
}

impl StepTracer {
    pub(crate) fn new(keep: KeepOfSteps) -> Self {
        Self { keep, steps: Vec::new(), bytes: 0, is_open: false, slot: None, storage: BTreeMap::new() }
    }

    /// What came of the transaction, and its steps.
    pub(crate) fn finish(self, result: ExecutionResult) -> Result<(Executed, Vec<Step>), Refusal> {
        if self.bytes > self.keep.bytes_max {
            let max = self.keep.bytes_max;
            return Err(Refusal::Invalid(format!("the trace is longer than {max} bytes, the limit of an answer")));
        }
        Ok((Executed::new(result).0, self.steps))
    }
}

impl<C: ContextTr> Inspector<C> for StepTracer {
    fn step(&mut self, interpreter: &mut Interpreter, context: &mut C) {
        let keep = self.keep;
        self.is_open = self.steps.len() < keep.count && self.bytes <= keep.bytes_max;
        if !self.is_open {
            return;
        }
        let (stack, memory) = (interpreter.stack.data().as_slice(), &interpreter.memory);
        self.bytes += STEP_BYTES;
        self.bytes += if keep.stack { stack.len() * STACK_WORD_BYTES } else { 0 };
        self.bytes += if keep.memory { memory.size() / 32 * MEMORY_WORD_BYTES } else { 0 };
        let returned = interpreter.return_data.buffer();
        self.bytes += if keep.returned { returned.len() * 2 } else { 0 };
        if self.bytes > keep.bytes_max {
            self.is_open = false;
            return;
        }
        let words = || memory.slice(0..memory.size()).chunks(32).map(B256::right_padding_from).collect();
        let step = Step {
            pc: interpreter.bytecode.pc(),
            opcode: interpreter.bytecode.opcode(),
            gas: interpreter.gas.remaining(),
            gas_cost: 0,
            depth: context.journal().depth(),
            refund: interpreter.gas.refunded(),
            error: None,
            stack: keep.stack.then(|| stack.to_vec()),
            memory: keep.memory.then(words),
            returned: keep.returned.then(|| returned.clone()),
            storage: None,
        };
        self.slot = match (step.opcode, stack) {
            (SLOAD, [.., index]) if keep.storage => Some((*index, None)),
            (SSTORE, [.., value, index]) if keep.storage => Some((*index, Some(*value))),
            _ => None,
        };
        self.steps.push(step);
    }

    fn step_end(&mut self, interpreter: &mut Interpreter, _: &mut C) {
        let Some(step) = self.steps.last_mut().filter(|_| self.is_open) else { return };
        self.is_open = false;
        step.gas_cost = step.gas.saturating_sub(interpreter.gas.remaining());
        step.error = interpreter.bytecode.instruction_result().filter(|result| result.is_halt()).map(reason);
        let Some((index, written)) = self.slot.take() else { return };
        let storage = self.storage.entry(interpreter.input.target_address()).or_default();
        if step.error.is_none()
            && let Some(value) = written.or(interpreter.stack.data().last().copied())
        {
            storage.insert(index.into(), value.into());
        }
        self.bytes += storage.len() * SLOT_BYTES;
        step.storage = (self.bytes <= self.keep.bytes_max).then(|| storage.clone());
    }
}
