//! The key-value cache of one sequence: pages of 256 positions, shared between sequences and copied when written.
//!
//! A page is one attention chunk of CA-1 in every layer, so a prefix that two sequences share is the same memory, and
//! results never depend on where a prefix came from. Beside the keys and values the cache carries the tokens that made
//! them and the hash of the final hidden state at each position, so a warm start continues the receipt's state chain.

use std::sync::Arc;

use arith::{Fault, KvPage};
use claim::{KvType, StateHash, TokenId};

use crate::config::Config;

/// Positions in a page; the attention chunk of CA-1.
pub use arith::PAGE_POSITIONS;

/// 256 positions of all layers.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    layers: Vec<KvPage>,
}

/// Keys, values, tokens and state hashes of one sequence.
#[derive(Clone, Debug)]
pub struct KvCache {
    layout: Layout,
    pages: Vec<Arc<Page>>,
    tokens: Vec<TokenId>,
    states: Vec<StateHash>,
}

/// What a page of this model looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    layers: usize,
    kv_heads: usize,
    head_dim: usize,
    kv: KvType,
}

impl KvCache {
    /// An empty cache for a model of this shape.
    pub fn new(config: &Config, kv: KvType) -> Self {
        let layout = Layout { layers: config.layers, kv_heads: config.kv_heads, head_dim: config.head_dim, kv };
        Self { layout, pages: Vec::new(), tokens: Vec::new(), states: Vec::new() }
    }

    /// Number of positions held.
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether no position is held.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// The tokens consumed, one per position.
    pub fn tokens(&self) -> &[TokenId] {
        &self.tokens[..self.states.len()]
    }

    /// The hash of the final hidden state at each position.
    pub fn states(&self) -> &[StateHash] {
        &self.states
    }

    /// Pages in use.
    pub fn pages(&self) -> usize {
        self.pages.len()
    }

    /// The keys and the values of `layer` at `position` as they are stored, both `[kv_heads][head_dim]`.
    pub fn kept(&self, layer: usize, position: usize) -> Option<(Vec<f32>, Vec<f32>)> {
        let page = self.pages.get(position / PAGE_POSITIONS)?.layers.get(layer)?;
        let slot = position % PAGE_POSITIONS;
        let heads = 0..self.layout.kv_heads;
        Some((
            heads.clone().flat_map(|head| page.key(head, slot)).collect(),
            heads.flat_map(|head| page.value(head, slot)).collect(),
        ))
    }

    /// A cache that starts with the first `positions` positions of this one, sharing their memory.
    #[must_use]
    pub fn fork(&self, positions: usize) -> Self {
        let positions = positions.min(self.len());
        Self {
            layout: self.layout,
            pages: self.pages[..positions.div_ceil(PAGE_POSITIONS)].to_vec(),
            tokens: self.tokens[..positions].to_vec(),
            states: self.states[..positions].to_vec(),
        }
    }

    /// Length of the longest common prefix of the cached tokens and `tokens`.
    pub fn common_prefix(&self, tokens: &[TokenId]) -> usize {
        self.tokens().iter().zip(tokens).take_while(|(ours, theirs)| ours == theirs).count()
    }

    /// Makes room for `tokens` behind the positions held. Until [`Self::commit`] they do not count, so a step that failed
    /// leaves the cache as it was.
    pub(crate) fn reserve(&mut self, tokens: &[TokenId]) {
        let held = self.states.len();
        self.tokens.truncate(held);
        self.tokens.extend_from_slice(tokens);
        let pages = self.tokens.len().div_ceil(PAGE_POSITIONS);
        self.pages.truncate(held.div_ceil(PAGE_POSITIONS));
        if let Some(last) = self.pages.last_mut() {
            Arc::make_mut(last);
        }
        while self.pages.len() < pages {
            self.pages.push(Arc::new(Page::new(self.layout)));
        }
    }

    /// Writes keys and values of consecutive positions into `layer`; rows are `[kv_heads][head_dim]`.
    ///
    /// The error's index counts the rows.
    pub(crate) fn write(&mut self, layer: usize, start: usize, keys: &[f32], values: &[f32]) -> Result<(), Fault> {
        let row = self.layout.kv_heads * self.layout.head_dim;
        for (offset, (key, value)) in keys.chunks_exact(row).zip(values.chunks_exact(row)).enumerate() {
            let position = start + offset;
            let page = Arc::make_mut(&mut self.pages[position / PAGE_POSITIONS]);
            page.layers[layer]
                .write(position % PAGE_POSITIONS, key, value)
                .map_err(|fault| Fault { index: offset, ..fault })?;
        }
        Ok(())
    }

    /// The pages of `layer`, in order of position.
    pub(crate) fn layer(&self, layer: usize) -> Vec<&KvPage> {
        self.pages.iter().map(|page| &page.layers[layer]).collect()
    }

    /// The reserved positions are complete: their state hashes make them count.
    pub(crate) fn commit(&mut self, states: &[StateHash]) {
        self.states.extend_from_slice(states);
        debug_assert!(self.states.len() <= self.tokens.len(), "more states than tokens");
    }
}

impl Page {
    fn new(layout: Layout) -> Self {
        let layers =
            (0..layout.layers).map(|_| KvPage::new(layout.kv_heads, layout.head_dim, storage(layout.kv))).collect();
        Self { layers }
    }
}

/// The storage of the arithmetic for a receipt's key-value type.
pub fn storage(kv: KvType) -> arith::KvFormat {
    match kv {
        KvType::F16 => arith::KvFormat::F16,
        KvType::F32 => arith::KvFormat::F32,
    }
}
