//! Executions that change nothing: calls, estimates of gas, traces.

use alloy_eips::eip2930::AccessList;
use alloy_primitives::{Address, Bytes, U256};
use revm::Inspector;
use revm::context::result::ExecutionResult;
use revm::context::{BlockEnv, CfgEnv, TxEnv};
use revm::handler::EthPrecompiles;
use revm::handler::validation::validate_initial_tx_gas;

use crate::access::Accesses;
use crate::block::{End, Executed, Frame, OUT_OF_GAS};
use crate::config::Hardfork;
use crate::error::{CallError, Refusal};
use crate::evm::{Hashes, Machine, MachineContext, configuration};
use crate::message::{Message, Price};
use crate::state::State;

/// Gas of the cheapest transaction, a payment to an account without code.
const PAYMENT_GAS: u64 = 21_000;

/// A state, the block that it is seen from, and the rules: what a call runs on.
pub(crate) struct Moment<'a> {
    state: State,
    block: BlockEnv,
    configuration: CfgEnv,
    hashes: Hashes<'a>,
}

impl<'a> Moment<'a> {
    pub(crate) fn new(state: State, frame: &Frame, chain_id: u64, hardfork: Hardfork, hashes: Hashes<'a>) -> Self {
        let mut configuration = configuration(chain_id, hardfork);
        // Who only asks need not have the next nonce.
        configuration.disable_nonce_check = true;
        // Nor is it held to what one transaction may use of a block.
        configuration.tx_gas_limit_cap = Some(u64::MAX);
        // And need not pay what the block asks for.
        configuration.disable_base_fee = true;
        Self { state, block: frame.environment(hardfork), configuration, hashes }
    }

    /// What is seen can be changed for the call.
    pub(crate) fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    /// The block that is seen can be changed for the call.
    pub(crate) fn block_mut(&mut self) -> &mut BlockEnv {
        &mut self.block
    }

    fn environment(&self, message: &Message, gas_limit: u64) -> TxEnv {
        let nonce = message.nonce.unwrap_or_else(|| self.state.nonce(message.from));
        message.environment(self.configuration.chain_id, nonce, gas_limit)
    }

    fn gas_limit(&self, message: &Message) -> u64 {
        message.gas.unwrap_or(self.block.gas_limit).min(self.block.gas_limit)
    }

    /// Executes a message and forgets what it changed.
    pub(crate) fn run(&self, message: &Message) -> Result<Executed, Refusal> {
        self.run_with(message, self.gas_limit(message))
    }

    fn run_with(&self, message: &Message, gas_limit: u64) -> Result<Executed, Refusal> {
        let machine = Machine::new(&self.state, self.hashes, &self.block, &self.configuration);
        let (result, _) = machine.execute(self.environment(message, gas_limit))?;
        Ok(Executed::new(result).0)
    }

    /// What a message returns.
    pub(crate) fn call(&self, message: &Message) -> Result<Bytes, CallError> {
        returned(self.run(message)?)
    }

    /// Executes a message that somebody watches, who is told how much gas it may use.
    pub(crate) fn watch<I>(
        &self,
        message: &Message,
        inspector: impl FnOnce(u64) -> I,
    ) -> Result<(ExecutionResult, I), Refusal>
    where
        I: for<'b> Inspector<MachineContext<'b>>,
    {
        let machine = Machine::new(&self.state, self.hashes, &self.block, &self.configuration);
        let transaction = self.environment(message, self.gas_limit(message));
        let inspector = inspector(transaction.gas_limit);
        let (result, _, inspector) = machine.inspect(transaction, inspector)?;
        Ok((result, inspector))
    }

    /// Which accounts and slots a message touches that not every transaction has at hand, and the gas that it uses when it
    /// says so beforehand.
    pub(crate) fn accesses(&self, mut message: Message) -> Result<(AccessList, u64), CallError> {
        let created = message.from.create(message.nonce.unwrap_or_else(|| self.state.nonce(message.from)));
        let precompiles = EthPrecompiles::new(self.configuration.spec);
        let at_hand = precompiles.warm_addresses().iter().copied();
        let at_hand = at_hand.chain([message.from, message.to.unwrap_or(created)]).collect();
        let listed = message.access_list.take().unwrap_or_default();
        let (result, accesses) = self.watch(&message, |_| Accesses::new(at_hand, listed))?;
        returned(Executed::new(result).0)?;
        let list = accesses.finish();
        message.access_list = Some(list.clone());
        let again = self.run(&message)?;
        let gas_used = again.gas_used;
        returned(again).map(|_| (list, gas_used))
    }

    /// The least gas with which a message does what it does with all that it may use.
    pub(crate) fn estimate(&self, message: &Message) -> Result<u64, CallError> {
        if self.is_payment(message) && self.run_with(message, PAYMENT_GAS).is_ok_and(|run| run.is_success()) {
            return Ok(PAYMENT_GAS);
        }
        let mut enough = self.allowance(message)?;
        let first = match self.run_with(message, enough) {
            Err(Refusal::GasTooLow { .. }) => return Err(CallError::Allowance(enough)),
            Ok(run) if run.end == End::Halted(OUT_OF_GAS.to_owned()) => return Err(CallError::Allowance(enough)),
            other => other?,
        };
        let used = first.gas_used;
        returned(first)?;
        let mut too_little = used.saturating_sub(1).max(PAYMENT_GAS - 1);
        // Most need what they used and the 64th part that callers hold back from the called.
        let mut guess = used + used / 63 + 2_300;
        while too_little + 1 < enough {
            let middle = if guess < enough { guess } else { too_little + (enough - too_little) / 2 };
            guess = u64::MAX;
            match self.run_with(message, middle) {
                Ok(run) if run.is_success() => enough = middle,
                Ok(_) | Err(Refusal::GasTooLow { .. }) => too_little = middle,
                Err(other) => return Err(other.into()),
            }
        }
        Ok(enough)
    }

    fn is_payment(&self, message: &Message) -> bool {
        let to_nobody =
            message.to.is_some_and(|to| self.state.account(to).is_none_or(|account| account.code.is_empty()));
        let is_precompile = message.to.is_some_and(is_precompile);
        to_nobody
            && !is_precompile
            && message.data.is_empty()
            && message.access_list.is_none()
            && message.authorizations.is_empty()
    }

    /// All the gas that the message may use, that a block has, and that its sender can pay.
    fn allowance(&self, message: &Message) -> Result<u64, CallError> {
        let limit = self.gas_limit(message);
        let price = match message.price {
            Price::Unsaid => 0,
            Price::Flat(price) => price,
            Price::Ceiling { fee, tip } => fee.or(tip).unwrap_or(0),
        };
        if price == 0 {
            return Ok(limit);
        }
        let balance = self.state.balance(message.from);
        let left = balance.checked_sub(message.value).ok_or(Refusal::Funds { balance, cost: message.value })?;
        let payable = left / U256::from(price);
        Ok(u64::try_from(payable).unwrap_or(u64::MAX).min(limit))
    }
}

fn is_precompile(address: Address) -> bool {
    // Low numbers are taken for contracts of the protocol, also where a hardfork has none yet.
    address.as_slice()[..18].iter().all(|byte| *byte == 0)
}

fn returned(executed: Executed) -> Result<Bytes, CallError> {
    match executed.end {
        End::Success => Ok(executed.output),
        End::Reverted => Err(CallError::Reverted(executed.output)),
        End::Halted(reason) => Err(CallError::Halted(reason)),
    }
}

/// Gas that a transaction costs before anything is executed, against what it allows.
pub(crate) fn check_gas(transaction: &TxEnv, configuration: &CfgEnv) -> Result<(), Refusal> {
    use revm::context::result::InvalidTransaction::{CallGasCostMoreThanGasLimit, GasFloorMoreThanGasLimit};
    match validate_initial_tx_gas(transaction, configuration.spec, false, false, u64::MAX, None) {
        Ok(_) => Ok(()),
        Err(
            CallGasCostMoreThanGasLimit { initial_gas: expected, gas_limit: found }
            | GasFloorMoreThanGasLimit { gas_floor: expected, gas_limit: found },
        ) => Err(Refusal::GasTooLow { expected, found }),
        Err(other) => Err(Refusal::Invalid(other.to_string())),
    }
}
