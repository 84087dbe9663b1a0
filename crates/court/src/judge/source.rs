//! Where the rules get their inputs.

use arith::WeightType;

use super::statement::Statement;

/// A run of weights of one row of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct WeightRun {
    /// Their type.
    pub(super) kind: WeightType,
    /// The leaf's bytes: up to 512 weights, in the file's blocks.
    pub(super) bytes: Vec<u8>,
}

/// Which leaf of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaf {
    /// The one that holds this column.
    Column(u32),
    /// The one that holds this run of columns, which are 64 or 256 wide as the type of the weights says.
    Run(u32),
}

/// Columns that one step of a product multiplies. Blocks of 32: eight of them. Super-blocks: one. Floats, each of which is a
/// multiplication and an addition of its own: 64.
pub(super) const fn run_of(kind: WeightType) -> u32 {
    if kind.block_len() == 1 { 64 } else { 256 }
}

impl Leaf {
    /// Its index in a row of so many columns; a run past the end counts as the last.
    pub(super) fn index(self, kind: WeightType, columns: u32) -> u32 {
        let column = match self {
            Self::Column(column) => column,
            Self::Run(run) => run.saturating_mul(run_of(kind)),
        };
        column.min(columns.saturating_sub(1)) / model::LEAF_WEIGHTS as u32
    }
}

/// Gives the inputs of a step. Both implementations are asked the same questions in the same order.
pub(super) trait Source {
    /// Why an input is not to be had.
    type Error;

    /// What the dispute is about.
    fn statement(&self) -> &Statement;

    /// `count` words of the trace from `start` on, all under one node of height `height` that starts there or
    /// before; zeros lie between them and the node's end where the node is larger.
    ///
    /// # Errors
    ///
    /// There is no opening, or it does not lead to the tree.
    fn trace(&mut self, start: u64, count: usize, height: u32) -> Result<Vec<u32>, Self::Error>;

    /// Words in the working.
    fn working_length(&self) -> u32;

    /// The tile of the working that holds word `index`, and the word's place in it.
    ///
    /// # Errors
    ///
    /// As [`Self::trace`].
    fn working_tile(&mut self, tile: u32) -> Result<[u32; 16], Self::Error>;

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
