//! A weight matrix in the packed layout.

use crate::layout::{BAND_ROWS, BandLayout};
use crate::memory::{AlignedBytes, Arena};
use crate::pack;
use crate::pool::Pool;
use crate::portable;
use crate::weight::WeightType;

/// Weights of shape `[R][C]`, 16 rows interleaved, about as large as in the file they came from.
///
/// This is the only copy of the weights that the engine keeps: every instruction set reads it, the portable one included.
#[derive(Debug, Clone)]
pub struct Matrix {
    kind: WeightType,
    rows: usize,
    cols: usize,
    layout: BandLayout,
    bytes: AlignedBytes,
}

/// Why bytes are not a weight matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// A row is not a whole number of blocks.
    #[error("{kind} rows have {cols} columns, which is not a multiple of the block length {block_len}")]
    Columns {
        /// The weight type.
        kind: WeightType,
        /// Columns asked for.
        cols: usize,
        /// Elements in a block of this type.
        block_len: usize,
    },
    /// The bytes do not have the length that the shape asks for.
    #[error("{kind} [{rows}][{cols}] takes {expected} bytes, found {found}")]
    Size {
        /// The weight type.
        kind: WeightType,
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        cols: usize,
        /// Bytes that the shape takes.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// The shape needs more bytes than this machine can address.
    #[error("{kind} [{rows}][{cols}] is larger than memory can be")]
    TooLarge {
        /// The weight type.
        kind: WeightType,
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        cols: usize,
    },
    /// A weight or a scale is NaN or infinite.
    #[error("row {row} holds a weight or scale that is not finite, in block {block}")]
    NotFinite {
        /// The row.
        row: usize,
        /// The block in the row; the column, for the float types.
        block: usize,
    },
}

impl Matrix {
    /// Packs `bytes`, the rows of a GGUF tensor one after the other, on the calling thread.
    ///
    /// # Errors
    /// [`PackError`] where the shape and the bytes do not fit each other, or a weight or scale is not finite. Nothing is
    /// allocated before the sizes are known to fit.
    pub fn pack(kind: WeightType, rows: usize, cols: usize, bytes: &[u8]) -> Result<Self, PackError> {
        Self::pack_with((None, None), kind, rows, cols, bytes)
    }

    /// [`Matrix::pack`] into `arena`, the bands shared over the threads of `pool`.
    ///
    /// # Errors
    /// As [`Matrix::pack`].
    pub fn pack_on(
        pool: &Pool,
        arena: &Arena,
        kind: WeightType,
        rows: usize,
        cols: usize,
        bytes: &[u8],
    ) -> Result<Self, PackError> {
        Self::pack_with((Some(pool), Some(arena)), kind, rows, cols, bytes)
    }

    fn pack_with(
        (pool, arena): (Option<&Pool>, Option<&Arena>),
        kind: WeightType,
        rows: usize,
        cols: usize,
        bytes: &[u8],
    ) -> Result<Self, PackError> {
        let block_len = kind.block_len();
        if !cols.is_multiple_of(block_len) {
            return Err(PackError::Columns { kind, cols, block_len });
        }
        let too_large = PackError::TooLarge { kind, rows, cols };
        let row_bytes = (cols / block_len).checked_mul(kind.block_bytes()).ok_or(too_large)?;
        let expected = rows.checked_mul(row_bytes).ok_or(too_large)?;
        if bytes.len() != expected {
            return Err(PackError::Size { kind, rows, cols, expected, found: bytes.len() });
        }
        let layout = BandLayout::new(kind, cols).ok_or(too_large)?;
        let size = rows.div_ceil(BAND_ROWS).checked_mul(layout.size).ok_or(too_large)?;
        if isize::try_from(size).is_err() {
            return Err(too_large);
        }
        let mut packed = AlignedBytes::zeroed_in(arena, size);
        if size > 0 {
            pack::bands(pool, kind, &layout, row_bytes, bytes, packed.as_mut_slice())?;
        }
        Ok(Self { kind, rows, cols, layout, bytes: packed })
    }

    /// The storage format.
    pub fn kind(&self) -> WeightType {
        self.kind
    }

    /// Rows: the length of a product's output.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns: the length of a product's input.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Bytes of memory that the packed weights take.
    pub fn size_bytes(&self) -> usize {
        self.bytes.as_slice().len()
    }

    /// Row `row` as numbers: an embedding looked up. The expression per type is in `docs/arithmetic.md`, "Embedding rows".
    ///
    /// # Panics
    /// Where `row` is not a row or `out` is not [`Matrix::cols`] long.
    pub fn row_f32(&self, row: usize, out: &mut [f32]) {
        assert!(row < self.rows, "row {row} of a matrix of {} rows", self.rows);
        assert_eq!(out.len(), self.cols, "a row has as many elements as the matrix has columns");
        portable::row(self.kind, &self.layout, self.band(row / BAND_ROWS), row % BAND_ROWS, out);
    }

    /// Bands of 16 rows, the last one filled up with zeros.
    pub(crate) fn bands(&self) -> usize {
        self.rows.div_ceil(BAND_ROWS)
    }

    /// The bytes of band `index`.
    pub(crate) fn band(&self, index: usize) -> &[u8] {
        &self.bytes.as_slice()[index * self.layout.size..(index + 1) * self.layout.size]
    }

    pub(crate) fn layout(&self) -> &BandLayout {
        &self.layout
    }
}
