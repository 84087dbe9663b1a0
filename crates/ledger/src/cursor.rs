//! Events in order, each once, on a chain that may go back.

use std::collections::VecDeque;

use alloy::primitives::{Address, B256};
use alloy::rpc::types::{BlockNumberOrTag, Filter, Log};

use crate::client::Client;
use crate::error::LedgerError;

/// Blocks whose hashes are remembered: how far back a chain may go without everything being read again.
const REMEMBERED: usize = 256;
/// Changes that one call tells of.
const CHANGES_MAX: usize = 1_000;

/// What happened on the chain.
#[derive(Clone, Debug)]
pub enum Change {
    /// The logs of a block, in order.
    Added {
        /// The block's number.
        block: u64,
        /// Its logs.
        logs: Vec<Log>,
    },
    /// The chain has gone back: nothing from this block on has happened.
    Removed {
        /// The first block that is gone.
        from: u64,
    },
}

/// Reads the events of some contracts, block by block. Where the chain goes back, it says so before it goes on. Where it goes
/// back further than the cursor remembers, it takes everything back and begins again, for it cannot know what is left.
#[derive(Debug)]
pub struct Cursor {
    client: Client,
    addresses: Vec<Address>,
    /// The first block to read.
    first: u64,
    /// The next block to read.
    next: u64,
    /// The blocks read last, oldest first.
    read: VecDeque<(u64, B256)>,
    /// The first block that is gone and has not been spoken of.
    removed: Option<u64>,
}

impl Cursor {
    /// Events of the contracts at `addresses`, from block `from` on.
    pub fn new(client: Client, addresses: Vec<Address>, from: u64) -> Self {
        Self { client, addresses, first: from, next: from, read: VecDeque::new(), removed: None }
    }

    /// Whatever has happened since the last call.
    ///
    /// # Errors
    ///
    /// The chain does not answer, and nothing new was read. The next call goes on from there.
    pub async fn poll(&mut self) -> Result<Vec<Change>, LedgerError> {
        self.go_back().await?;
        let (head, _) = self.client.head().await?;
        let mut changes: Vec<Change> = self.removed.take().map(|from| Change::Removed { from }).into_iter().collect();
        while self.next <= head && changes.len() < CHANGES_MAX {
            match self.read_block().await {
                Ok(Some(change)) => changes.extend(change),
                Err(error) if changes.is_empty() => return Err(error),
                // What was read is told now; the next call meets an error again, if it is still there.
                Ok(None) | Err(_) => break,
            }
        }
        Ok(changes)
    }

    /// Reads the next block; `None` where it is not there, or not the child of the one before.
    async fn read_block(&mut self) -> Result<Option<Option<Change>>, LedgerError> {
        let block = self.next;
        let Some((_, hash, parent, _)) = self.client.block(BlockNumberOrTag::Number(block)).await? else {
            return Ok(None);
        };
        // The chain went back between two requests: the next call finds out how far.
        if self.read.back().is_some_and(|&(number, read)| number + 1 == block && read != parent) {
            return Ok(None);
        }
        // By the block's own hash, so that the logs are of this very block.
        let filter = Filter::new().address(self.addresses.clone()).at_block_hash(hash);
        let logs = self.client.logs(&filter).await?;
        if let Some(log) = logs.iter().find(|log| log.block_hash != Some(hash)) {
            let reason = format!("a log of block {:?}, expected {hash}", log.block_hash);
            return Err(LedgerError::Answer { method: "eth_getLogs", reason });
        }
        self.remember(block, hash);
        Ok(Some((!logs.is_empty()).then_some(Change::Added { block, logs })))
    }

    fn remember(&mut self, block: u64, hash: B256) {
        self.read.push_back((block, hash));
        if self.read.len() > REMEMBERED {
            self.read.pop_front();
        }
        self.next = block + 1;
    }

    /// Forgets blocks that are no longer on the chain.
    async fn go_back(&mut self) -> Result<(), LedgerError> {
        while let Some(&(number, hash)) = self.read.back() {
            let found = self.client.block(BlockNumberOrTag::Number(number)).await?;
            if found.is_some_and(|(_, found, _, _)| found == hash) {
                return Ok(());
            }
            self.read.pop_back();
            // Of the blocks before the oldest that is remembered, any may be gone as well.
            let from = if self.read.is_empty() { self.first } else { number };
            self.next = from;
            self.removed = Some(from);
        }
        Ok(())
    }
}
