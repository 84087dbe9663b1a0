//! Which calls a transaction makes.

use alloy_primitives::{Address, Bytes, Log, U256};
use revm::Inspector;
use revm::context::result::ExecutionResult;
use revm::context_interface::{ContextTr, JournalTr as _};
use revm::interpreter::{
    CallInputs, CallOutcome, CallScheme, CreateInputs, CreateOutcome, InstructionResult, InterpreterResult,
};

use crate::error::Refusal;

/// How code was entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// CALL, or the transaction itself.
    Call,
    /// CALLCODE.
    CallCode,
    /// DELEGATECALL.
    DelegateCall,
    /// STATICCALL.
    StaticCall,
    /// CREATE, or the transaction itself.
    Create,
    /// CREATE2.
    Create2,
    /// SELFDESTRUCT.
    SelfDestruct,
}

impl Entry {
    /// The instruction's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Call => "CALL",
            Self::CallCode => "CALLCODE",
            Self::DelegateCall => "DELEGATECALL",
            Self::StaticCall => "STATICCALL",
            Self::Create => "CREATE",
            Self::Create2 => "CREATE2",
            Self::SelfDestruct => "SELFDESTRUCT",
        }
    }
}

/// One call with all that it called.
#[derive(Debug, Clone)]
pub struct Call {
    /// How it was entered.
    pub entry: Entry,
    /// Who called.
    pub from: Address,
    /// Whose code ran, or the contract that was made.
    pub to: Option<Address>,
    /// Wei that went along; delegated and static calls have none.
    pub value: Option<U256>,
    /// Gas that it was given.
    pub gas: u64,
    /// Gas that it used.
    pub gas_used: u64,
    /// What it read.
    pub input: Bytes,
    /// What it returned.
    pub output: Bytes,
    /// Why it failed.
    pub error: Option<&'static str>,
    /// Whether it said itself that it failed.
    pub is_revert: bool,
    /// What it called, in order.
    pub calls: Vec<Self>,
    /// What it logged, each with the number of calls that came before it.
    pub logs: Vec<(Log, usize)>,
}

/// Watches a transaction and keeps its calls.
#[derive(Debug)]
pub(crate) struct Tracer {
    /// Calls that have begun and not ended, outermost first.
    open: Vec<Call>,
    root: Option<Call>,
    only_top: bool,
    with_logs: bool,
    gas_limit: u64,
    frames: usize,
    frames_max: usize,
    /// Calls inside of the outermost that are not kept.
    skipped: usize,
}

/// What to keep of a trace.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Keep {
    pub(crate) only_top: bool,
    pub(crate) with_logs: bool,
}

impl Tracer {
    /// For a transaction with a limit on gas.
    pub(crate) fn new(keep: Keep, gas_limit: u64, frames_max: usize) -> Self {
        let Keep { only_top, with_logs } = keep;
        Self { open: Vec::new(), root: None, only_top, with_logs, gas_limit, frames: 0, frames_max, skipped: 0 }
    }

    /// The outermost call, with the gas of the whole transaction.
    pub(crate) fn finish(self, result: &ExecutionResult) -> Result<Call, Refusal> {
        if self.frames > self.frames_max {
            return Err(Refusal::Invalid(format!(
                "more than {} calls, which is the limit of a trace",
                self.frames_max
            )));
        }
        let mut root = self.root.ok_or_else(|| Refusal::Invalid("the transaction calls nothing".to_owned()))?;
        root.gas = self.gas_limit;
        root.gas_used = result.tx_gas_used();
        if root.error.is_some() {
            // What is taken back has not been logged.
            root.forget_logs();
        }
        Ok(root)
    }

    fn is_skipping(&self) -> bool {
        (self.only_top && !self.open.is_empty()) || self.frames > self.frames_max
    }

    fn begin(&mut self, call: Call) {
        if self.is_skipping() {
            self.skipped += 1;
        } else {
            self.frames += 1;
            self.open.push(call);
        }
    }

    fn end(&mut self, result: &InterpreterResult, created: Option<Address>) {
        if self.skipped > 0 {
            self.skipped -= 1;
            return;
        }
        let Some(mut call) = self.open.pop() else { return };
        call.gas_used = result.gas.total_gas_spent();
        call.output = result.output.clone();
        if matches!(call.entry, Entry::Create | Entry::Create2) {
            call.to = created.filter(|_| result.result.is_ok());
        }
        call.is_revert = result.result.is_revert();
        call.error = (!result.result.is_ok()).then(|| reason(result.result));
        if call.error.is_some() {
            call.forget_logs();
        }
        match self.open.last_mut() {
            Some(parent) => parent.calls.push(call),
            None => self.root = Some(call),
        }
    }
}

impl Call {
    fn forget_logs(&mut self) {
        self.logs.clear();
        self.calls.iter_mut().for_each(Self::forget_logs);
    }
}

/// Why an execution failed, in geth's words.
pub(crate) fn reason(result: InstructionResult) -> &'static str {
    match result {
        InstructionResult::Revert => "execution reverted",
        InstructionResult::OutOfGas
        | InstructionResult::MemoryOOG
        | InstructionResult::MemoryLimitOOG
        | InstructionResult::PrecompileOOG
        | InstructionResult::InvalidOperandOOG
        | InstructionResult::ReentrancySentryOOG => "out of gas",
        InstructionResult::OpcodeNotFound | InstructionResult::InvalidFEOpcode => "invalid opcode",
        InstructionResult::InvalidJump => "invalid jump destination",
        InstructionResult::StackUnderflow => "stack underflow",
        InstructionResult::StackOverflow => "stack overflow",
        InstructionResult::CallTooDeep => "max call depth exceeded",
        InstructionResult::OutOfFunds => "insufficient balance for transfer",
        InstructionResult::StateChangeDuringStaticCall | InstructionResult::CallNotAllowedInsideStatic => {
            "write protection"
        }
        InstructionResult::CreateCollision => "contract address collision",
        InstructionResult::CreateContractSizeLimit => "max code size exceeded",
        InstructionResult::CreateInitCodeSizeLimit => "max initcode size exceeded",
        InstructionResult::CreateContractStartingWithEF => "invalid code: must not begin with 0xef",
        InstructionResult::NonceOverflow => "nonce uint64 overflow",
        InstructionResult::PrecompileError => "precompiled failed",
        _ => "execution failed",
    }
}

impl<C: ContextTr> Inspector<C> for Tracer {
    fn log(&mut self, _: &mut C, log: Log) {
        if self.with_logs
            && self.skipped == 0
            && let Some(call) = self.open.last_mut()
        {
            let position = call.calls.len();
            call.logs.push((log, position));
        }
    }

    fn call(&mut self, context: &mut C, inputs: &mut CallInputs) -> Option<CallOutcome> {
        let (entry, from, to, value) = match inputs.scheme {
            CallScheme::Call => (Entry::Call, inputs.caller, inputs.target_address, inputs.transfer_value()),
            CallScheme::CallCode => (Entry::CallCode, inputs.caller, inputs.bytecode_address, inputs.transfer_value()),
            // Delegated code runs as its caller, whose address both fields of the machine hold.
            CallScheme::DelegateCall => {
                (Entry::DelegateCall, inputs.target_address, inputs.bytecode_address, inputs.apparent_value())
            }
            CallScheme::StaticCall => (Entry::StaticCall, inputs.caller, inputs.target_address, None),
        };
        let call = Call {
            entry,
            from,
            to: Some(to),
            value,
            gas: inputs.gas_limit,
            gas_used: 0,
            input: inputs.input.bytes(context),
            output: Bytes::new(),
            error: None,
            is_revert: false,
            calls: Vec::new(),
            logs: Vec::new(),
        };
        self.begin(call);
        None
    }

    fn call_end(&mut self, _: &mut C, _: &CallInputs, outcome: &mut CallOutcome) {
        self.end(&outcome.result, None);
    }

    fn create(&mut self, context: &mut C, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        let nonce = context.journal_mut().load_account(inputs.caller()).map_or(0, |account| account.data.info.nonce);
        let entry = match inputs.scheme() {
            revm::context_interface::CreateScheme::Create2 { .. } => Entry::Create2,
            _ => Entry::Create,
        };
        let call = Call {
            entry,
            from: inputs.caller(),
            to: Some(inputs.created_address(nonce)),
            value: Some(inputs.value()),
            gas: inputs.gas_limit(),
            gas_used: 0,
            input: inputs.init_code().clone(),
            output: Bytes::new(),
            error: None,
            is_revert: false,
            calls: Vec::new(),
            logs: Vec::new(),
        };
        self.begin(call);
        None
    }

    fn create_end(&mut self, _: &mut C, _: &CreateInputs, outcome: &mut CreateOutcome) {
        self.end(&outcome.result, outcome.address);
    }

    fn selfdestruct(&mut self, contract: Address, target: Address, value: U256) {
        if self.is_skipping() || self.skipped > 0 {
            return;
        }
        self.frames += 1;
        if let Some(parent) = self.open.last_mut() {
            parent.calls.push(Call {
                entry: Entry::SelfDestruct,
                from: contract,
                to: Some(target),
                value: Some(value),
                gas: 0,
                gas_used: 0,
                input: Bytes::new(),
                output: Bytes::new(),
                error: None,
                is_revert: false,
                calls: Vec::new(),
                logs: Vec::new(),
            });
        }
    }
}
