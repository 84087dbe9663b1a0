//! The newest blocks and the states after them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use alloy_primitives::B256;

use crate::block::Block;
use crate::config::Limits;
use crate::state::State;

/// Where a transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The block's number.
    pub block: u64,
    /// The transaction's index in it.
    pub index: usize,
}

/// The newest blocks without a gap, and the states after the newest of them. There is at least one of each.
#[derive(Debug, Clone)]
pub struct History {
    blocks: VecDeque<Arc<Block>>,
    states: VecDeque<State>,
    numbers: HashMap<B256, u64>,
    places: HashMap<B256, Place>,
    blocks_max: usize,
    states_max: usize,
}

/// Blocks whose hashes contracts may ask for, and the newest one.
const BLOCKS_MIN: usize = 257;

impl History {
    pub(crate) fn new(first: Arc<Block>, state: State, limits: &Limits) -> Self {
        let mut history = Self::empty(limits);
        history.append(first, state);
        history
    }

    /// How many blocks are held. A state without its block could not be gone back to.
    pub(crate) fn blocks_max(limits: &Limits) -> usize {
        limits.blocks.max(BLOCKS_MIN).max(limits.states)
    }

    fn empty(limits: &Limits) -> Self {
        Self {
            blocks: VecDeque::new(),
            states: VecDeque::new(),
            numbers: HashMap::new(),
            places: HashMap::new(),
            blocks_max: Self::blocks_max(limits),
            states_max: limits.states.max(1),
        }
    }

    /// A chain out of its file: blocks without a gap, oldest first, and the states after the newest of them.
    pub(crate) fn restore(blocks: Vec<Arc<Block>>, states: Vec<State>, limits: &Limits) -> Option<Self> {
        let follows = |pair: &[Arc<Block>]| pair[1].header().parent_hash == pair[0].hash();
        if blocks.is_empty() || states.is_empty() || states.len() > blocks.len() || !blocks.windows(2).all(follows) {
            return None;
        }
        let without_state = blocks.len() - states.len();
        let mut rest = blocks.into_iter();
        let old: Vec<_> = rest.by_ref().take(without_state).collect();
        let mut states = states.into_iter();
        let mut history = Self::empty(limits);
        for block in old {
            history.append_block(block);
        }
        for (block, state) in rest.zip(states.by_ref()) {
            history.append(block, state);
        }
        Some(history)
    }

    /// Adds the block after the newest, and forgets what is too old.
    pub(crate) fn append(&mut self, block: Arc<Block>, state: State) {
        self.append_block(block);
        self.states.push_back(state);
        if self.states.len() > self.states_max {
            self.states.pop_front();
        }
    }

    fn append_block(&mut self, block: Arc<Block>) {
        self.numbers.insert(block.hash(), block.number());
        for (index, transaction) in block.transactions().iter().enumerate() {
            self.places.insert(transaction.hash(), Place { block: block.number(), index });
        }
        self.blocks.push_back(block);
        if self.blocks.len() > self.blocks_max
            && let Some(old) = self.blocks.pop_front()
        {
            self.forget(&old);
        }
    }

    fn forget(&mut self, block: &Block) {
        self.numbers.remove(&block.hash());
        for transaction in block.transactions() {
            self.places.remove(&transaction.hash());
        }
    }

    /// Puts another state in the place of the newest.
    pub(crate) fn set_state(&mut self, state: State) {
        if let Some(newest) = self.states.back_mut() {
            *newest = state;
        }
    }

    /// Takes back as many blocks; false where not so many states are known.
    pub(crate) fn take_back(&mut self, depth: usize) -> bool {
        if depth >= self.states.len() {
            return false;
        }
        for _ in 0..depth {
            self.states.pop_back();
            if let Some(block) = self.blocks.pop_back() {
                self.forget(&block);
            }
        }
        true
    }

    /// The newest block.
    #[expect(clippy::missing_panics_doc, reason = "there is at least one from the first moment on")]
    pub fn head(&self) -> &Arc<Block> {
        self.blocks.back().expect("a history has at least one block")
    }

    /// The state after the newest block.
    #[expect(clippy::missing_panics_doc, reason = "there is at least one from the first moment on")]
    pub fn state(&self) -> &State {
        self.states.back().expect("a history has at least one state")
    }

    /// All blocks that are held, oldest first.
    pub fn blocks(&self) -> impl DoubleEndedIterator<Item = &Arc<Block>> {
        self.blocks.iter()
    }

    /// The oldest block that is held.
    pub fn oldest(&self) -> u64 {
        self.blocks.front().map_or(0, |block| block.number())
    }

    /// How many states before the newest are held.
    pub fn depth(&self) -> usize {
        self.states.len() - 1
    }

    /// A block by its height.
    pub fn block(&self, number: u64) -> Option<&Arc<Block>> {
        let index = number.checked_sub(self.oldest())?;
        self.blocks.get(usize::try_from(index).ok()?)
    }

    /// The state after a block.
    pub fn state_at(&self, number: u64) -> Option<&State> {
        let before_head = self.head().number().checked_sub(number)?;
        let index = (self.states.len() - 1).checked_sub(usize::try_from(before_head).ok()?)?;
        self.states.get(index)
    }

    /// The height of a block.
    pub fn number(&self, hash: B256) -> Option<u64> {
        self.numbers.get(&hash).copied()
    }

    /// Where a transaction is.
    pub fn place(&self, transaction: B256) -> Option<Place> {
        self.places.get(&transaction).copied()
    }

    /// The hash of a block.
    pub fn hash(&self, number: u64) -> Option<B256> {
        self.block(number).map(|block| block.hash())
    }
}
