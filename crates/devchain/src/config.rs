//! What a chain is, and how much it may take.

use std::time::Duration;

use alloy_primitives::{Address, B256, U256};

use crate::key::Key;

/// The rules that blocks follow, from the oldest that is offered on: older ones have another self-destruction and other
/// headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hardfork {
    /// March 2024.
    Cancun,
    /// May 2025.
    Prague,
    /// December 2025.
    Osaka,
}

impl Hardfork {
    /// The name in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cancun => "cancun",
            Self::Prague => "prague",
            Self::Osaka => "osaka",
        }
    }
}

/// When blocks are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mining {
    /// One for each transaction, at once.
    Instant,
    /// One in each such time, also an empty one.
    Every(Duration),
    /// When somebody asks for one.
    Manual,
}

/// What an acknowledged transaction survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Loss of power: the disk is flushed before a block is shown to anyone. One flush serves all blocks that came in
    /// during the one before.
    Power,
    /// The end of the process at any moment, but not of the machine: blocks are handed to the operating system, which
    /// writes them when it likes.
    Process,
}

/// How much the chain may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Transactions that wait for a block.
    pub pool: usize,
    /// Newest blocks that are held in memory, at least 257. Where there is a store, older ones are read from it.
    pub blocks: usize,
    /// Newest states that are held: how far back calls may look and blocks can be taken back.
    pub states: usize,
    /// Snapshots that can be gone back to; the oldest is given up for a new one.
    pub snapshots: usize,
    /// Most gas that anybody may give the blocks to come: what bounds how long one of them, or a call, can run.
    pub block_gas: u64,
    /// Blocks that one request may make.
    pub mined_at_once: u64,
    /// Bytes of a request.
    pub request_bytes: u32,
    /// Bytes of an answer.
    pub response_bytes: u32,
    /// Calls in one batch.
    pub batch: u32,
    /// Connections at once.
    pub connections: u32,
    /// Subscriptions of one connection.
    pub subscriptions: u32,
    /// Filters at once; the one that was asked longest ago is given up for a new one.
    pub filters: usize,
    /// Blocks that one search for logs may cover.
    pub log_blocks: u64,
    /// Logs that one search may find.
    pub logs: usize,
    /// Frames that one trace may hold.
    pub trace_frames: usize,
    /// Executions that run at once without changing the chain.
    pub calls: usize,
}

impl Limits {
    /// Limits for a chain on the own machine.
    pub const fn development() -> Self {
        Self {
            pool: 4_096,
            blocks: 1_024,
            states: 1_024,
            snapshots: 1_024,
            block_gas: 1_000_000_000,
            mined_at_once: 10_000,
            request_bytes: 2 << 20,
            response_bytes: 32 << 20,
            batch: 1_024,
            connections: 256,
            subscriptions: 64,
            filters: 1_024,
            log_blocks: 100_000,
            logs: 10_000,
            trace_frames: 100_000,
            calls: 4,
        }
    }
}

/// What a chain is.
#[derive(Debug, Clone)]
pub struct Config {
    /// The number that transactions are signed for.
    pub chain_id: u64,
    /// The rules.
    pub hardfork: Hardfork,
    /// When the first block was made, in seconds since 1970; the time of the first start where none is given. Time runs on
    /// from there.
    pub genesis_timestamp: Option<u64>,
    /// Gas of a block.
    pub gas_limit: u64,
    /// Wei for a unit of gas in the first two blocks.
    pub base_fee: u64,
    /// Who gets the tips.
    pub coinbase: Address,
    /// Accounts whose keys the chain holds and signs with when asked.
    pub keys: Vec<Key>,
    /// What each of them has in the first block, in wei.
    pub balance: U256,
    /// When blocks are made.
    pub mining: Mining,
    /// What an acknowledged transaction survives. A chain in memory survives nothing.
    pub durability: Durability,
    /// What the blocks' random numbers are drawn from.
    pub seed: B256,
    /// How much the chain may take.
    pub limits: Limits,
}

/// The chain id of development chains.
pub const CHAIN_ID: u64 = 31_337;

impl Config {
    /// A chain for development: instant blocks, the well-known accounts with 10,000 ether each, chain id 31337.
    pub fn development() -> Self {
        Self {
            chain_id: CHAIN_ID,
            hardfork: Hardfork::Prague,
            genesis_timestamp: None,
            gas_limit: 30_000_000,
            base_fee: 1_000_000_000,
            coinbase: Address::ZERO,
            keys: Key::development(),
            balance: U256::from(10_000) * U256::from(10).pow(U256::from(18)),
            mining: Mining::Instant,
            durability: Durability::Power,
            seed: B256::ZERO,
            limits: Limits::development(),
        }
    }
}
