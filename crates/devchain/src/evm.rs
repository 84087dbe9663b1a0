//! The machine: one transaction on one state.

use std::convert::Infallible;

use alloy_primitives::{Address, B256, U256};
use revm::bytecode::Bytecode;
use revm::context::result::{EVMError, ExecutionResult, InvalidTransaction};
use revm::context::{BlockEnv, CfgEnv, Context, Evm, TxEnv};
use revm::context_interface::FrameStack;
use revm::database_interface::WrapDatabaseRef;
use revm::handler::instructions::EthInstructions;
use revm::handler::{EthPrecompiles, MainnetContext, MainnetEvm, SystemCallEvm as _};
use revm::primitives::hardfork::SpecId;
use revm::state::{AccountInfo, EvmState};
use revm::{DatabaseRef, ExecuteEvm as _, InspectEvm as _, Inspector, MainContext as _};

use crate::config::Hardfork;
use crate::error::Refusal;
use crate::state::State;

/// Where the machine finds the hashes of earlier blocks.
pub(crate) type Hashes<'a> = &'a dyn Fn(u64) -> Option<B256>;

/// What the machine reads.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    state: &'a State,
    hashes: Hashes<'a>,
}

impl DatabaseRef for View<'_> {
    type Error = Infallible;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Infallible> {
        Ok(self.state.account(address).map(crate::state::Account::info))
    }

    fn code_by_hash_ref(&self, _: B256) -> Result<Bytecode, Infallible> {
        // Accounts come with their code, so that this is only asked for accounts that have none.
        Ok(Bytecode::default())
    }

    fn storage_ref(&self, address: Address, index: U256) -> Result<U256, Infallible> {
        Ok(self.state.storage(address, index))
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, Infallible> {
        Ok((self.hashes)(number).unwrap_or_default())
    }
}

/// Everything about an execution but the transaction.
#[derive(Clone, Copy)]
pub(crate) struct Machine<'a> {
    view: View<'a>,
    block: &'a BlockEnv,
    configuration: &'a CfgEnv,
}

pub(crate) type MachineContext<'a> = MainnetContext<WrapDatabaseRef<View<'a>>>;

impl<'a> Machine<'a> {
    pub(crate) fn new(state: &'a State, hashes: Hashes<'a>, block: &'a BlockEnv, configuration: &'a CfgEnv) -> Self {
        Self { view: View { state, hashes }, block, configuration }
    }

    fn context(&self) -> MachineContext<'a> {
        Context::mainnet()
            .with_db(WrapDatabaseRef(self.view))
            .with_block(self.block.clone())
            .with_cfg(self.configuration.clone())
    }

    /// A machine that makes room for calls when they come. Eight at once, as revm has it, cost more than most transactions.
    fn build<I>(&self, inspector: I) -> MainnetEvm<MachineContext<'a>, I> {
        let spec = self.configuration.spec;
        Evm {
            ctx: self.context(),
            inspector,
            instruction: EthInstructions::new_mainnet_with_spec(spec),
            precompiles: EthPrecompiles::new(spec),
            frame_stack: FrameStack::new(),
        }
    }

    /// Executes a transaction: what came of it and what it changes.
    pub(crate) fn execute(&self, transaction: TxEnv) -> Result<(ExecutionResult, EvmState), Refusal> {
        let result = self.build(()).transact(transaction).map_err(refusal)?;
        Ok((result.result, result.state))
    }

    /// The same, watched.
    pub(crate) fn inspect<I: Inspector<MachineContext<'a>>>(
        &self,
        transaction: TxEnv,
        inspector: I,
    ) -> Result<(ExecutionResult, EvmState, I), Refusal> {
        let mut machine = self.build(inspector);
        let result = machine.inspect_tx(transaction).map_err(refusal)?;
        Ok((result.result, result.state, machine.inspector))
    }

    /// Calls a contract in the name of the protocol, as blocks do before their first transaction.
    pub(crate) fn system_call(&self, contract: Address, data: B256) -> Result<EvmState, Refusal> {
        let result = self.build(()).system_call(contract, data.into());
        Ok(result.map_err(refusal)?.state)
    }
}

fn refusal(error: EVMError<Infallible, InvalidTransaction>) -> Refusal {
    match error {
        EVMError::Transaction(InvalidTransaction::NonceTooLow { tx, state }) => {
            Refusal::NonceTooLow { expected: state, found: tx }
        }
        EVMError::Transaction(InvalidTransaction::NonceOverflowInTransaction) => Refusal::NonceMax,
        EVMError::Transaction(InvalidTransaction::LackOfFundForMaxFee { fee, balance }) => {
            Refusal::Funds { balance: *balance, cost: *fee }
        }
        EVMError::Transaction(InvalidTransaction::CallGasCostMoreThanGasLimit { initial_gas, gas_limit }) => {
            Refusal::GasTooLow { expected: initial_gas, found: gas_limit }
        }
        EVMError::Transaction(InvalidTransaction::GasFloorMoreThanGasLimit { gas_floor, gas_limit }) => {
            Refusal::GasTooLow { expected: gas_floor, found: gas_limit }
        }
        EVMError::Transaction(InvalidTransaction::PriorityFeeGreaterThanMaxFee) => Refusal::TipTooHigh,
        other => Refusal::Invalid(other.to_string()),
    }
}

/// The rules of a hardfork on a chain.
pub(crate) fn configuration(chain_id: u64, hardfork: Hardfork) -> CfgEnv {
    let mut configuration = CfgEnv::new().with_chain_id(chain_id).with_spec_and_mainnet_gas_params(match hardfork {
        Hardfork::Cancun => SpecId::CANCUN,
        Hardfork::Prague => SpecId::PRAGUE,
        Hardfork::Osaka => SpecId::OSAKA,
    });
    // Contracts may be impersonated, so that a sender may have code.
    configuration.disable_eip3607 = true;
    configuration
}
