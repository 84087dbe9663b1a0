//! A trace whose words lie in memory: one that somebody can bend.

use claim::{Digest, OutputChain, OutputRoot, StateChain, StateHash, StateRoot, TokenId};

use super::layout::Part;
use super::record::{EngineTrace, TraceError};
use super::source::{Trace, levels};
use super::tree;
use crate::judge::{Statement, digest_words, words_digest};

/// Height of the nodes that are kept of every position.
const KEPT_HEIGHT: u32 = 12;

/// Positions as words. A liar's trace is one of these, and so is a simulator's.
#[derive(Clone, Debug)]
pub struct Table {
    bits: u32,
    positions: Vec<Vec<u32>>,
    /// The nodes of height 12 of each position, where they were asked for since the last change.
    kept: Vec<Option<Vec<Digest>>>,
}

impl Table {
    /// Some positions of a trace.
    ///
    /// # Errors
    ///
    /// The engine cannot compute them.
    pub fn of(trace: &mut EngineTrace<'_>, positions: std::ops::Range<u32>) -> Result<Self, TraceError> {
        let (bits, words) = (trace.statement().layout().bits(), trace.statement().layout().words());
        let positions: Vec<Vec<u32>> =
            positions.map(|position| trace.words(u64::from(position) << bits, words)).collect::<Result<_, _>>()?;
        Ok(Self { bits, kept: vec![None; positions.len()], positions })
    }

    /// Positions there are.
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// Puts the positions of another one behind these.
    pub fn append(&mut self, mut other: Self) {
        self.positions.append(&mut other.positions);
        self.kept.append(&mut other.kept);
    }

    /// The word at `offset` of a position; 0 where there is none.
    pub fn word(&self, position: usize, offset: u32) -> u32 {
        self.positions.get(position).and_then(|words| words.get(offset as usize)).copied().unwrap_or(0)
    }

    /// Changes a word. Nothing happens where there is none.
    pub fn set(&mut self, position: usize, offset: u32, word: u32) {
        if let Some(old) = self.positions.get_mut(position).and_then(|words| words.get_mut(offset as usize)) {
            *old = word;
            self.kept[position] = None;
        }
    }

    /// The states of all positions, and the tokens drawn.
    pub fn said(&self, statement: &Statement) -> (Vec<StateHash>, Vec<TokenId>) {
        let start = |part| statement.layout().find(statement.shape.layers, part).map_or(0, |place| place.start);
        let (state, drawn) = (start(Part::State), start(Part::Drawn));
        let states = (0..self.len()).map(|position| {
            let words: Vec<u32> = (0..8).map(|i| self.word(position, state + i)).collect();
            StateHash::new(words_digest(&words))
        });
        let first = statement.first_drawn() as usize;
        let tokens = (first..self.len()).map(|position| TokenId::new(self.word(position, drawn)));
        (states.collect(), tokens.collect())
    }

    /// Makes the links follow from the states and tokens that stand there, and returns the roots that they end in: what a receipt
    /// for this trace says.
    pub fn link(&mut self, statement: &Statement) -> (StateRoot, OutputRoot) {
        let place = statement.layout().find(statement.shape.layers, Part::Links);
        let links = place.map_or(0, |place| place.start);
        let (states, tokens) = self.said(statement);
        let first = statement.first_drawn() as usize;
        let (mut state_root, mut output_root) = (StateChain::start(), OutputChain::start());
        for (position, state) in states.into_iter().enumerate() {
            state_root = StateChain::next(state_root, state, position as u32);
            if let Some(index) = position.checked_sub(first) {
                output_root = OutputChain::next(output_root, tokens[index], index as u32);
            }
            let words = digest_words(state_root.get()).into_iter().chain(digest_words(output_root.get()));
            for (i, word) in words.enumerate() {
                self.set(position, links + i as u32, word);
            }
        }
        (state_root, output_root)
    }

    fn level(&mut self, position: usize) -> &[Digest] {
        let words = &self.positions[position];
        self.kept[position].get_or_insert_with(|| {
            words.chunks(1 << KEPT_HEIGHT).map(|chunk| tree::node_of(chunk, KEPT_HEIGHT)).collect()
        })
    }
}

impl Trace for Table {
    fn levels(&self) -> u32 {
        levels(self.positions.len() as u32, self.bits)
    }

    fn words(&mut self, start: u64, count: usize) -> Result<Vec<u32>, TraceError> {
        let position = (start >> self.bits) as usize;
        let offset = (start & ((1 << self.bits) - 1)) as u32;
        Ok((0..count).map(|i| self.word(position, offset + i as u32)).collect())
    }

    fn node(&mut self, height: u32, index: u64) -> Result<Digest, TraceError> {
        let bits = self.bits;
        if height > bits {
            let first = index << (height - bits);
            let end = (first + (1 << (height - bits))).min(self.positions.len() as u64);
            let mut level = (first..end).map(|position| self.node(bits, position)).collect::<Result<Vec<_>, _>>()?;
            return Ok(tree::fold(&mut level, bits, height));
        }
        let position = (index >> (bits - height)) as usize;
        if position >= self.positions.len() {
            return Ok(tree::zero(height));
        }
        let within = (index & ((1 << (bits - height)) - 1)) as usize;
        if height >= KEPT_HEIGHT {
            let level = self.level(position);
            let first = (within << (height - KEPT_HEIGHT)).min(level.len());
            let end = (first + (1 << (height - KEPT_HEIGHT))).min(level.len());
            return Ok(tree::fold(&mut level[first..end].to_vec(), KEPT_HEIGHT, height));
        }
        let words = &self.positions[position];
        let first = (within << height).min(words.len());
        let end = (first + (1 << height)).min(words.len());
        Ok(tree::node_of(&words[first..end], height))
    }
}
