//! What methods look things up in: the newest blocks in memory, older ones in the store.

use std::sync::{Arc, Mutex};

use alloy_primitives::B256;
use alloy_rpc_types_eth::BlockId;
use tokio::sync::Semaphore;

use super::arguments::{Named, named};
use super::fault::{Fault, IntoFault, arguments, internal};
use super::filters::Filters;
use crate::block::{Block, Frame};
use crate::call::Moment;
use crate::devchain::Devchain;
use crate::history::Place;
use crate::state::State;

/// The context of all methods.
pub(super) struct Reader {
    pub(super) devchain: Devchain,
    pub(super) filters: Mutex<Filters>,
    /// Executions that may run at once.
    executions: Arc<Semaphore>,
}

/// A block and the state after it, seen by a call.
pub(super) struct Seen {
    pub(super) frame: Frame,
    pub(super) state: State,
}

impl Reader {
    pub(super) fn new(devchain: Devchain) -> Self {
        let limits = &devchain.config().limits;
        let (filters, executions) = (Mutex::new(Filters::new(limits.filters)), Semaphore::new(limits.calls.max(1)));
        Self { devchain, filters, executions: Arc::new(executions) }
    }

    /// Does something with the chain that changes it; answers when that is stored.
    pub(super) async fn with<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut crate::chain::Chain, u64) -> T + Send + 'static,
    ) -> Result<T, Fault> {
        self.devchain.with(job).await.map_err(IntoFault::into_fault)
    }

    /// Does something that takes long, beside what answers short questions.
    pub(super) async fn work<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let permit = self.executions.clone().acquire_owned().await;
        let permit = permit.map_err(|error| internal(error.to_string()))?;
        let reader = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let result = work(&reader);
            drop(permit);
            result
        });
        done.await.map_err(|error| internal(error.to_string()))?
    }

    pub(super) fn head(&self) -> Arc<Block> {
        self.devchain.head()
    }

    /// A block by its height.
    pub(super) fn block_at(&self, number: u64) -> Result<Option<Arc<Block>>, Fault> {
        {
            let published = self.devchain.published();
            if number > published.history.head().number() {
                return Ok(None);
            }
            if let Some(block) = published.history.block(number) {
                return Ok(Some(block.clone()));
            }
        }
        match self.devchain.archive() {
            Some(archive) => archive.block(number).map_err(IntoFault::into_fault),
            None => Ok(None),
        }
    }

    fn number(&self, hash: B256) -> Result<Option<u64>, Fault> {
        if let Some(number) = self.devchain.published().history.number(hash) {
            return Ok(Some(number));
        }
        match self.devchain.archive() {
            Some(archive) => archive.number(hash).map_err(IntoFault::into_fault),
            None => Ok(None),
        }
    }

    /// A block that is there, with the newest for `pending`.
    pub(super) fn block(&self, id: BlockId) -> Result<Option<Arc<Block>>, Fault> {
        let head = self.head();
        match named(id, head.number()) {
            Named::Pending => Ok(Some(head)),
            Named::Number(number) => self.block_at(number),
            Named::Hash(hash) => match self.number(hash)? {
                // The store may hold a block that has been taken back a moment ago.
                Some(number) => Ok(self.block_at(number)?.filter(|block| block.hash() == hash)),
                None => Ok(None),
            },
        }
    }

    /// A transaction's block, and its index in it.
    pub(super) fn transaction(&self, hash: B256) -> Result<Option<(Arc<Block>, usize)>, Fault> {
        let place = self.devchain.published().history.place(hash);
        let place = match (place, self.devchain.archive()) {
            (None, Some(archive)) => archive.place(hash).map_err(IntoFault::into_fault)?,
            (place, _) => place,
        };
        let Some(Place { block, index }) = place else { return Ok(None) };
        let block = self.block_at(block)?;
        Ok(block
            .filter(|block| block.transactions().get(index).is_some_and(|found| found.hash() == hash))
            .map(|block| (block, index)))
    }

    /// The state after a block; that after the newest for `pending`.
    pub(super) fn state(&self, id: BlockId) -> Result<State, Fault> {
        self.seen(id).map(|seen| seen.state)
    }

    /// A block with the state after it; the newest for `pending`.
    pub(super) fn seen(&self, id: BlockId) -> Result<Seen, Fault> {
        let published = self.devchain.published();
        let history = &published.history;
        let head = history.head().number();
        let number = match named(id, head) {
            Named::Pending => head,
            Named::Number(number) => number,
            Named::Hash(hash) => match history.number(hash) {
                Some(number) => number,
                None => return Err(arguments(format!("block {hash} is not there, or its state is no longer kept"))),
            },
        };
        if number > head {
            let message = format!("BlockOutOfRangeError: block height is {head} but requested was {number}");
            return Err(arguments(message));
        }
        if let (Some(block), Some(state)) = (history.block(number), history.state_at(number)) {
            return Ok(Seen { frame: Frame::of(block.header()), state: state.clone() });
        }
        let oldest = head - history.depth() as u64;
        Err(arguments(format!("the state after block {number} is no longer kept, the oldest is {oldest}")))
    }

    /// The block that a new transaction comes after: the newest, unless others wait before it.
    pub(super) fn upcoming(&self) -> BlockId {
        if self.devchain.published().pool.is_empty() { BlockId::latest() } else { BlockId::pending() }
    }

    /// The same, where `pending` is the block that the waiting transactions would make.
    pub(super) async fn seen_or_pending(&self, id: BlockId) -> Result<Seen, Fault> {
        if id != BlockId::pending() {
            return self.seen(id);
        }
        let pending = self.with(crate::chain::Chain::pending).await?.map_err(IntoFault::into_fault)?;
        Ok(Seen { frame: Frame::of(pending.0.header()), state: pending.1 })
    }

    /// Runs something on what was seen.
    pub(super) fn at<T>(&self, seen: Seen, run: impl FnOnce(&mut Moment<'_>) -> T) -> T {
        let hashes = |number| self.block_at(number).ok().flatten().map(|block| block.hash());
        let config = self.devchain.config();
        let mut moment = Moment::new(seen.state, &seen.frame, config.chain_id, config.hardfork, &hashes);
        run(&mut moment)
    }
}
