//! Blocks: a header, transactions, and what came of them.

use alloy_consensus::constants::{EMPTY_OMMER_ROOT_HASH, EMPTY_WITHDRAWALS};
use alloy_consensus::proofs::{calculate_receipt_root, calculate_transaction_root};
use alloy_consensus::{Header, Receipt, ReceiptEnvelope, Transaction as _};
use alloy_eips::eip1559::BaseFeeParams;
use alloy_eips::eip2935::HISTORY_STORAGE_ADDRESS;
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_primitives::{Address, B256, Bloom, Bytes, Log, U256, keccak256};
use revm::Inspector;
use revm::context::result::{ExecutionResult, HaltReason, Output};
use revm::context::{BlockEnv, CfgEnv};
use revm::context_interface::block::BlobExcessGasAndPrice;
use revm::primitives::hardfork::SpecId;

use crate::config::{Config, Hardfork};
use crate::error::Refusal;
use crate::evm::{Hashes, Machine, MachineContext, configuration};
use crate::state::State;
use crate::transaction::Transaction;

/// A block that nothing can be added to.
#[derive(Debug)]
pub struct Block {
    header: Header,
    hash: B256,
    transactions: Vec<Transaction>,
    receipts: Vec<ReceiptEnvelope>,
}

impl Block {
    pub(crate) fn new(header: Header, transactions: Vec<Transaction>, receipts: Vec<ReceiptEnvelope>) -> Self {
        let hash = header.hash_slow();
        Self { header, hash, transactions, receipts }
    }

    /// What the hash commits to.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// What the block is known by.
    pub const fn hash(&self) -> B256 {
        self.hash
    }

    /// Its height.
    pub const fn number(&self) -> u64 {
        self.header.number
    }

    /// Its transactions, in the order in which they were executed.
    pub fn transactions(&self) -> &[Transaction] {
        &self.transactions
    }

    /// What came of each transaction.
    pub fn receipts(&self) -> &[ReceiptEnvelope] {
        &self.receipts
    }

    /// Wei for a unit of gas that are burnt.
    pub fn base_fee(&self) -> u64 {
        self.header.base_fee_per_gas.unwrap_or_default()
    }

    /// Gas that one transaction used.
    pub fn gas_used(&self, index: usize) -> u64 {
        let until = |index: usize| self.receipts.get(index).map_or(0, ReceiptEnvelope::cumulative_gas_used);
        until(index) - index.checked_sub(1).map_or(0, until)
    }

    /// How many logs of the block come before those of a transaction.
    pub fn logs_before(&self, index: usize) -> usize {
        self.receipts.iter().take(index).map(|receipt| receipt.logs().len()).sum()
    }

    /// What the next block's gas costs.
    pub(crate) fn next_base_fee(&self) -> u64 {
        self.header.next_block_base_fee(BaseFeeParams::ethereum()).unwrap_or_default()
    }
}

/// What came of a transaction, with what no receipt says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed {
    /// Gas that the sender paid for.
    pub gas_used: u64,
    /// What the contract returned, or the reason that it gave.
    pub output: Bytes,
    /// How it ended.
    pub end: End,
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// As it should.
    Success,
    /// The contract took everything back.
    Reverted,
    /// The machine stopped it, for this reason.
    Halted(String),
}

impl Executed {
    pub(crate) fn new(result: ExecutionResult) -> (Self, Vec<Log>) {
        let gas_used = result.tx_gas_used();
        match result {
            ExecutionResult::Success { logs, output, .. } => {
                let output = match output {
                    Output::Call(data) | Output::Create(data, _) => data,
                };
                (Self { gas_used, output, end: End::Success }, logs)
            }
            ExecutionResult::Revert { output, .. } => (Self { gas_used, output, end: End::Reverted }, Vec::new()),
            ExecutionResult::Halt { reason, .. } => {
                (Self { gas_used, output: Bytes::new(), end: End::Halted(halt_name(&reason)) }, Vec::new())
            }
        }
    }

    /// Whether it ended as it should.
    pub fn is_success(&self) -> bool {
        self.end == End::Success
    }
}

/// How an execution ends that has used all its gas.
pub(crate) const OUT_OF_GAS: &str = "OutOfGas";

fn halt_name(reason: &HaltReason) -> String {
    match reason {
        HaltReason::OutOfGas(_) => OUT_OF_GAS.to_owned(),
        other => format!("{other:?}"),
    }
}

/// What a block says about itself before anything is executed.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) number: u64,
    pub(crate) parent_hash: B256,
    pub(crate) timestamp: u64,
    pub(crate) coinbase: Address,
    pub(crate) gas_limit: u64,
    pub(crate) base_fee: u64,
    pub(crate) random: B256,
}

impl Frame {
    /// What a block said about itself.
    pub(crate) fn of(header: &Header) -> Self {
        Self {
            number: header.number,
            parent_hash: header.parent_hash,
            timestamp: header.timestamp,
            coinbase: header.beneficiary,
            gas_limit: header.gas_limit,
            base_fee: header.base_fee_per_gas.unwrap_or_default(),
            random: header.mix_hash,
        }
    }

    /// The random number of a block: as good as any for contracts under test, and the same on every run. Blocks that come
    /// after others were taken back have other numbers than those, so that they are other blocks also where they are empty.
    pub(crate) fn random(seed: B256, number: u64, reverts: u64) -> B256 {
        keccak256([seed.as_slice(), &number.to_be_bytes(), &reverts.to_be_bytes()].concat())
    }

    /// A block without transactions that leaves the state as it is: the first of a chain.
    pub(crate) fn empty(self, hardfork: Hardfork, state: &State) -> Block {
        let header = self.header(hardfork, state.root(), &[], &[]);
        Block::new(header, Vec::new(), Vec::new())
    }

    fn header(
        &self,
        hardfork: Hardfork,
        state_root: B256,
        transactions: &[Transaction],
        receipts: &[ReceiptEnvelope],
    ) -> Header {
        Header {
            parent_hash: self.parent_hash,
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            beneficiary: self.coinbase,
            state_root,
            transactions_root: transactions_root(transactions),
            receipts_root: calculate_receipt_root(receipts),
            logs_bloom: receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | *receipt.logs_bloom()),
            number: self.number,
            gas_limit: self.gas_limit,
            gas_used: receipts.last().map_or(0, ReceiptEnvelope::cumulative_gas_used),
            timestamp: self.timestamp,
            mix_hash: self.random,
            base_fee_per_gas: Some(self.base_fee),
            withdrawals_root: Some(EMPTY_WITHDRAWALS),
            blob_gas_used: Some(0),
            excess_blob_gas: Some(0),
            parent_beacon_block_root: Some(B256::ZERO),
            requests_hash: (hardfork >= Hardfork::Prague).then_some(EMPTY_REQUESTS_HASH),
            ..Header::default()
        }
    }

    pub(crate) fn environment(&self, hardfork: Hardfork) -> BlockEnv {
        let spec = if hardfork == Hardfork::Cancun { SpecId::CANCUN } else { SpecId::PRAGUE };
        BlockEnv {
            number: U256::from(self.number),
            beneficiary: self.coinbase,
            timestamp: U256::from(self.timestamp),
            gas_limit: self.gas_limit,
            basefee: self.base_fee,
            difficulty: U256::ZERO,
            prevrandao: Some(self.random),
            blob_excess_gas_and_price: Some(BlobExcessGasAndPrice::new_with_spec(0, spec)),
            slot_num: 0,
        }
    }
}

/// A block in the making.
pub(crate) struct Builder<'a> {
    frame: Frame,
    environment: BlockEnv,
    configuration: &'a CfgEnv,
    hardfork: Hardfork,
    hashes: Hashes<'a>,
    state: State,
    transactions: Vec<Transaction>,
    receipts: Vec<ReceiptEnvelope>,
    executed: Vec<Executed>,
    gas_used: u64,
}

/// A finished block, the state after it, and what came of each transaction.
pub(crate) struct Built {
    pub(crate) block: Block,
    pub(crate) state: State,
    pub(crate) executed: Vec<Executed>,
}

impl<'a> Builder<'a> {
    /// Begins a block on the state after its parent.
    pub(crate) fn new(
        frame: Frame,
        hardfork: Hardfork,
        configuration: &'a CfgEnv,
        hashes: Hashes<'a>,
        state: State,
    ) -> Result<Self, Refusal> {
        let environment = frame.environment(hardfork);
        let mut builder = Self {
            frame,
            environment,
            configuration,
            hardfork,
            hashes,
            state,
            transactions: Vec::new(),
            receipts: Vec::new(),
            executed: Vec::new(),
            gas_used: 0,
        };
        builder.remember_parent()?;
        Ok(builder)
    }

    /// From Prague on, a contract of the protocol holds the hashes of the last blocks.
    fn remember_parent(&mut self) -> Result<(), Refusal> {
        if self.hardfork >= Hardfork::Prague && self.frame.number > 0 {
            let machine = Machine::new(&self.state, self.hashes, &self.environment, self.configuration);
            let changes = machine.system_call(HISTORY_STORAGE_ADDRESS, self.frame.parent_hash)?;
            self.state.apply(changes);
        }
        Ok(())
    }

    /// Gas that is left for more transactions.
    pub(crate) fn gas_left(&self) -> u64 {
        self.frame.gas_limit - self.gas_used
    }

    /// The machine as the next transaction finds it.
    pub(crate) fn machine(&self) -> Machine<'_> {
        Machine::new(&self.state, self.hashes, &self.environment, self.configuration)
    }

    /// Executes a transaction and adds it to the block. A refused one leaves the block as it was.
    pub(crate) fn add(&mut self, transaction: &Transaction) -> Result<(), Refusal> {
        let (result, changes) = self.machine().execute(transaction.environment())?;
        self.state.apply(changes);
        let (executed, logs) = Executed::new(result);
        self.gas_used += executed.gas_used;
        let receipt =
            Receipt { status: executed.is_success().into(), cumulative_gas_used: self.gas_used, logs }.with_bloom();
        self.receipts.push(ReceiptEnvelope::from_typed(transaction.envelope().tx_type(), receipt));
        self.transactions.push(transaction.clone());
        self.executed.push(executed);
        Ok(())
    }

    pub(crate) fn finish(self) -> Built {
        let root = self.state.root();
        let header = self.frame.header(self.hardfork, root, &self.transactions, &self.receipts);
        let block = Block::new(header, self.transactions, self.receipts);
        Built { block, state: self.state, executed: self.executed }
    }
}

fn transactions_root(transactions: &[Transaction]) -> B256 {
    let envelopes: Vec<_> = transactions.iter().map(Transaction::envelope).collect();
    calculate_transaction_root(&envelopes)
}

/// Wei for a unit of gas that a transaction pays in a block, burnt ones included.
pub(crate) fn gas_price(transaction: &Transaction, base_fee: u64) -> u128 {
    transaction.envelope().effective_gas_price(Some(base_fee))
}

/// Executes a block again up to one of its transactions, on the state before it, and lets somebody watch that one, who is told
/// how much gas it may use.
pub(crate) fn watch<I>(
    config: &Config,
    hashes: Hashes<'_>,
    state: State,
    block: &Block,
    index: usize,
    inspector: impl FnOnce(u64) -> I,
) -> Result<(ExecutionResult, I), Refusal>
where
    I: for<'b> Inspector<MachineContext<'b>>,
{
    let configuration = configuration(config.chain_id, config.hardfork);
    let frame = Frame::of(block.header());
    let mut builder = Builder::new(frame, config.hardfork, &configuration, hashes, state)?;
    for sent in block.transactions().iter().take(index) {
        builder.add(sent)?;
    }
    let environment = block.transactions()[index].environment();
    let inspector = inspector(environment.gas_limit);
    let (result, _, inspector) = builder.machine().inspect(environment, inspector)?;
    Ok((result, inspector))
}
