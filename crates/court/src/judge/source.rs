//! Where the rules get their inputs.

use arith::WeightType;

use super::statement::Statement;
use crate::trace::tree;

/// A run of weights of one row of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct WeightRun {
    /// Their type.
    pub(super) kind: WeightType,
    /// The leaf's bytes, in the file's blocks.
    pub(super) bytes: Vec<u8>,
}

/// Which leaf of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaf {
    /// The one that holds this column.
    Column(u32),
    /// The one that holds this run of columns.
    Run(u32),
}

/// Columns that one step of a product multiplies. Floats, each of which is a multiplication and an addition of its own: 16. Blocks
/// of 32: two of them. Super-blocks: one.
pub(super) const fn run_of(kind: WeightType) -> u32 {
    match kind.block_len() {
        1 => 16,
        32 => 64,
        _ => 256,
    }
}

/// Columns of a leaf of the model's root: a whole number of runs.
pub(super) const fn leaf_of(kind: WeightType) -> u32 {
    model::leaf_weights(kind.block_len()) as u32
}

impl Leaf {
    /// Its index in a row of so many columns; a run past the end counts as the last.
    pub(super) fn index(self, kind: WeightType, columns: u32) -> u32 {
        let column = match self {
            Self::Column(column) => column,
            Self::Run(run) => run.saturating_mul(run_of(kind)),
        };
        column.min(columns.saturating_sub(1)) / leaf_of(kind)
    }
}

/// What is known of a tree since an opening: its words, and the siblings on its path.
#[derive(Clone, Debug)]
pub(super) struct Seen<P> {
    /// The first word that was opened.
    pub(super) start: u64,
    /// The words.
    pub(super) words: Vec<u32>,
    /// Height of the node that they are, and of the node that the path leads to.
    pub(super) height: u32,
    pub(super) top: u32,
    /// Whatever is kept of the path.
    pub(super) path: P,
}

/// How words are opened after others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// They are among those opened before, from this one on.
    Shown(usize),
    /// Their path leads to the sibling of this height on the path before.
    Beside(u32),
    /// Their path leads to a node of its own.
    Apart,
}

impl<P> Seen<P> {
    /// How to open `count` words from `start` on, which are a node of height `height` and lie under a known node of height `base`.
    pub(super) fn way(&self, start: u64, count: usize, height: u32, base: u32) -> Way {
        if let Some(skipped) = start.checked_sub(self.start)
            && skipped + count as u64 <= self.words.len() as u64
        {
            return Way::Shown(skipped as usize);
        }
        // The highest bit in which the two addresses differ: below it lie two siblings, each with one of them.
        let fork = (start ^ self.start).checked_ilog2().unwrap_or(0);
        let is_beside = fork >= height && (self.height..self.top).contains(&fork) && fork < base;
        if is_beside { Way::Beside(fork) } else { Way::Apart }
    }
}

/// Gives the inputs of a step. Both implementations are asked the same questions in the same order.
pub(super) trait Source {
    /// Why an input is not to be had.
    type Error;

    /// What the dispute is about.
    fn statement(&self) -> &Statement;

    /// `count` words of the trace from `start` on, under the node of height `height` that starts there; zeros lie between them and
    /// the node's end where the node is larger.
    ///
    /// Words that the opening before this one has shown are not shown again. Otherwise the path leads to the nearest node that is
    /// known: the deepest one that was opened in the dispute, or a sibling on the path of the opening before this one.
    ///
    /// # Errors
    ///
    /// There is no opening, or it does not lead to the tree.
    fn trace(&mut self, start: u64, count: usize, height: u32) -> Result<Vec<u32>, Self::Error>;

    /// Words in the working.
    fn working_length(&self) -> u32;

    /// `count` words of the working from `start` on, shown as words of the trace are.
    ///
    /// # Errors
    ///
    /// As [`Self::trace`].
    fn working(&mut self, start: u32, count: usize, height: u32) -> Result<Vec<u32>, Self::Error>;

    /// A tile of the working.
    ///
    /// # Errors
    ///
    /// As [`Self::trace`].
    fn working_tile(&mut self, tile: u32) -> Result<[u32; 16], Self::Error> {
        let words = self.working(16 * tile, 16, tree::TILE_HEIGHT)?;
        Ok(std::array::from_fn(|i| words.get(i).copied().unwrap_or(0)))
    }

    /// A leaf of row `row` of a tensor of this shape, rows and columns (0 rows: one dimension).
    ///
    /// # Errors
    ///
    /// As [`Self::trace`].
    fn weights(&mut self, tensor: &str, shape: (u32, u32), row: u32, leaf: Leaf) -> Result<WeightRun, Self::Error>;

    /// Row `position` of the rotary table, cosines then sines.
    ///
    /// # Errors
    ///
    /// As [`Self::trace`].
    fn rotary(&mut self, is_local: bool, position: u32) -> Result<Vec<f32>, Self::Error>;

    /// Token `index` of the prompt.
    ///
    /// # Errors
    ///
    /// As [`Self::trace`].
    fn prompt_token(&mut self, index: u32) -> Result<u32, Self::Error>;
}
