#![expect(unsafe_code, reason = "threads fill the rows of one buffer, each its own")]
//! The operations of CA-1 on this machine.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::activations::Activations;
use crate::attention::{self, AttentionShape, Query};
use crate::fault::Fault;
use crate::isa::Isa;
use crate::kernel::attention::Attention;
use crate::kernel::elementwise::{Binary, Elementwise, Max, RmsNorm, Scale, Weights};
use crate::kernel::matmul::Product;
use crate::kernel::quantise::Quantise;
use crate::kernel::rope::Rope;
use crate::matrix::{Matrix, PackError};
use crate::memory::Arena;
use crate::pool::Pool;
use crate::portable;
use crate::shared::SharedSlice;
use crate::weight::{ActivationKind, WeightType};

/// Below this many elements an operation stays on its thread: it is done before another one could help.
const ELEMENTS_MIN: usize = 16_384;
/// Elements of a part of an operation element by element.
const ELEMENTS_PART: usize = 4_096;
/// As [`ELEMENTS_MIN`], in multiplications of a product.
const PRODUCTS_MIN: usize = 65_536;
/// As [`ELEMENTS_MIN`], in multiplications of attention.
const ATTENTION_MIN: usize = 32_768;
/// Activations of a part of a product.
const PART_ACTIVATIONS: usize = 512 * 1_024;
/// Rows (heads of queries) that attention takes together: enough that reading a page is paid back, few enough that their
/// scores stay in cache.
const TILE_ROWS: usize = 24;

/// An instruction set and threads: everything that may change how fast an operation runs and nothing that changes its result.
#[derive(Debug)]
pub struct Machine {
    isa: Isa,
    pool: Pool,
}

/// Which numbers of a head a rotation pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RopeStyle {
    /// Neighbours: `(0, 1), (2, 3), ...`, as GGUF's llama models.
    Interleaved,
    /// Halves: `(0, n/2), (1, n/2 + 1), ...`, as GPT-NeoX, Qwen and Gemma.
    Halves,
}

impl Machine {
    /// A machine of this instruction set and these threads.
    pub fn new(isa: Isa, pool: Pool) -> Self {
        Self { isa, pool }
    }

    /// The instruction set.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// The threads.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// [`Matrix::pack`] into `arena`, over all threads.
    ///
    /// # Errors
    /// As [`Matrix::pack`].
    pub fn pack(
        &self,
        arena: &Arena,
        kind: WeightType,
        rows: usize,
        cols: usize,
        bytes: &[u8],
    ) -> Result<Matrix, PackError> {
        Matrix::pack_on(&self.pool, arena, kind, rows, cols, bytes)
    }

    /// Quantises `x` `[T][cols]` to `kind`, by the one quantiser of CA-1.
    ///
    /// # Errors
    /// [`Fault`] (`quantise`) at the first number that is not finite.
    ///
    /// # Panics
    /// Where `x` is no whole number of rows, or `cols` no whole number of blocks.
    pub fn quantise(&self, x: &[f32], cols: usize, kind: ActivationKind) -> Result<Activations, Fault> {
        let mut out = Activations::new();
        self.quantise_into(x, cols, kind, &mut out)?;
        Ok(out)
    }

    /// [`Machine::quantise`] into a buffer that is reused.
    ///
    /// # Errors
    /// As [`Machine::quantise`]; the buffer then holds nothing of use.
    ///
    /// # Panics
    /// As [`Machine::quantise`].
    pub fn quantise_into(
        &self,
        x: &[f32],
        cols: usize,
        kind: ActivationKind,
        out: &mut Activations,
    ) -> Result<(), Fault> {
        assert!(cols > 0 && x.len().is_multiple_of(cols), "x is [T][{cols}], found {} numbers", x.len());
        assert!(cols.is_multiple_of(kind.block_len()), "{cols} columns are no whole number of {kind:?} blocks");
        let tokens = x.len() / cols;
        out.reshape(kind, tokens, cols);
        let targets = out.targets();
        self.rows(tokens, cols, &|t| {
            // SAFETY: `rows` gives each token once.
            let out = unsafe { targets.token(t) };
            self.isa.run(Quantise { x: &x[t * cols..][..cols], out })
        })
    }

    /// Runs `row` for every row, on several threads where there is work for them; the fault of the lowest element is returned, its
    /// index counted from the start of the first row.
    fn rows(&self, rows: usize, cols: usize, row: &(dyn Fn(usize) -> Result<(), Fault> + Sync)) -> Result<(), Fault> {
        let at = |index: usize| row(index).map_err(|fault| Fault { index: index * cols + fault.index, ..fault });
        let threads = self.pool.threads().get();
        if threads == 1 || rows == 1 || rows * cols < ELEMENTS_MIN {
            return (0..rows).try_for_each(at);
        }
        let lowest = Lowest::new();
        let step = rows.div_ceil(4 * threads);
        self.pool.run(rows.div_ceil(step), &|part| {
            lowest.note((part * step..rows.min((part + 1) * step)).try_for_each(at));
        });
        lowest.result()
    }

    /// `out[t][r] = sum over k of w[r][k] x[t][k]` in the canonical order; `out` is `[T][R]`.
    ///
    /// Finite input can overflow to an infinity here; it then stays one (or NaN) until the next operation that returns
    /// [`Fault`] meets it.
    ///
    /// # Panics
    /// Where the shapes or the form of the activations do not fit the matrix.
    pub fn matmul(&self, w: &Matrix, x: &Activations, out: &mut [f32]) {
        assert_eq!(x.kind(), w.kind().activation(), "{} weights take another form of activations", w.kind());
        assert_eq!(x.cols(), w.cols(), "as many activations as the matrix has columns");
        assert_eq!(out.len(), x.tokens() * w.rows(), "out is [T][R]");
        let (bands, tokens) = (w.bands(), x.tokens());
        if bands == 0 || tokens == 0 {
            return;
        }
        let out = SharedSlice::new(out);
        let product = |bands, tokens| self.isa.run(Product { w, x, bands, tokens, out });
        let threads = self.pool.threads().get();
        // Activations of a part stay in the second-level cache while the bands of the part stream past them.
        let tokens_step = (PART_ACTIVATIONS / w.cols().max(1)).max(8) / 8 * 8;
        if threads == 1 || w.rows() * w.cols() * tokens < PRODUCTS_MIN {
            for first in (0..tokens).step_by(tokens_step) {
                product(0..bands, first..tokens.min(first + tokens_step));
            }
            return;
        }
        let bands_step = bands.div_ceil(4 * threads);
        let band_parts = bands.div_ceil(bands_step);
        self.pool.run(band_parts * tokens.div_ceil(tokens_step), &|part| {
            let (band, token) = (part % band_parts * bands_step, part / band_parts * tokens_step);
            product(band..bands.min(band + bands_step), token..tokens.min(token + tokens_step));
        });
    }

    /// RMS norm of every row of `x` `[T][n]`, n the length of `gain`: `y_i = (x_i * (1 / sqrt(sum_sq / n + eps))) * gain_i`.
    ///
    /// # Errors
    /// [`Fault`] (`rms_norm`) at the first number that is not finite, or at the start of a row whose sum of squares is not.
    ///
    /// # Panics
    /// Where `gain` is empty, `x` is no whole number of rows, or `out` is not as long as `x`.
    pub fn rms_norm(&self, x: &[f32], gain: &[f32], eps: f32, out: &mut [f32]) -> Result<(), Fault> {
        let n = gain.len();
        assert!(n > 0 && x.len().is_multiple_of(n), "x is [T][{n}], found {} numbers", x.len());
        assert_eq!(x.len(), out.len(), "out has the shape of x");
        let rows = x.len() / n;
        let out = SharedSlice::new(out);
        self.rows(rows, n, &|t| {
            // SAFETY: `rows` gives each row once.
            let out = unsafe { out.row(t, rows) };
            self.isa.run(RmsNorm { x: &x[t * n..][..n], gain, eps, out })
        })
    }

    /// `x = x + y`, element by element.
    ///
    /// # Panics
    /// Where the lengths differ.
    pub fn add(&self, x: &mut [f32], y: &[f32]) {
        assert_eq!(x.len(), y.len(), "as many numbers on both sides");
        self.elementwise(Binary::Add, x, y);
    }

    /// `x = x * factor`, element by element.
    pub fn scale(&self, x: &mut [f32], factor: f32) {
        self.isa.run(Scale { x, factor });
    }

    /// `gate = silu(gate) * up`, element by element. A number that is not finite gives one that is not finite.
    ///
    /// # Panics
    /// Where the lengths differ.
    pub fn silu_mul(&self, gate: &mut [f32], up: &[f32]) {
        assert_eq!(gate.len(), up.len(), "as many numbers on both sides");
        self.elementwise(Binary::SiluMul, gate, up);
    }

    /// `gate = gelu(gate) * up`, element by element. A number that is not finite gives one that is not finite.
    ///
    /// # Panics
    /// Where the lengths differ.
    pub fn gelu_mul(&self, gate: &mut [f32], up: &[f32]) {
        assert_eq!(gate.len(), up.len(), "as many numbers on both sides");
        self.elementwise(Binary::GeluMul, gate, up);
    }

    fn elementwise(&self, f: Binary, x: &mut [f32], y: &[f32]) {
        if self.pool.threads().get() == 1 || x.len() < ELEMENTS_MIN {
            return self.isa.run(Elementwise { f, x, y });
        }
        self.pool.chunks_mut(x, ELEMENTS_PART, &|part, x| {
            let y = &y[part * ELEMENTS_PART..][..x.len()];
            self.isa.run(Elementwise { f, x, y });
        });
    }

    /// Rotates every head of `x` `[T][heads][head_dim]`. `table[t]` is the rotary row of token t's position: the cosines of all
    /// pairs, then their sines. Pairs `(a, b)` become `(a cos - b sin, b cos + a sin)`; numbers beyond the pairs stay.
    ///
    /// # Panics
    /// Where the shapes do not fit each other.
    pub fn rope(&self, x: &mut [f32], heads: usize, head_dim: usize, table: &[&[f32]], style: RopeStyle) {
        assert_eq!(x.len(), table.len() * heads * head_dim, "x is [T][heads][head_dim], with a table row per token");
        if x.is_empty() {
            return;
        }
        for row in table {
            assert!(row.len() <= head_dim && row.len().is_multiple_of(2), "a row holds cosines and as many sines");
        }
        let tokens = table.len();
        let x = SharedSlice::new(x);
        let turned = self.rows(tokens, heads * head_dim, &|t| {
            let (cos, sin) = table[t].split_at(table[t].len() / 2);
            // SAFETY: `rows` gives each token once.
            let x = unsafe { x.row(t, tokens) };
            self.isa.run(Rope { x, head_dim, cos, sin, style });
            Ok(())
        });
        debug_assert_eq!(turned, Ok(()), "a rotation has no faults");
    }

    /// Canonical attention of each query over the keys before it; `out` is `[queries][heads][head_dim]`.
    ///
    /// # Errors
    /// [`Fault`] (`attention`) where a score is not finite; the index is query * heads + head.
    ///
    /// # Panics
    /// Where the shapes do not fit each other.
    pub fn attention(&self, shape: &AttentionShape, queries: &[Query<'_>], out: &mut [f32]) -> Result<(), Fault> {
        shape.check(queries, out);
        if out.is_empty() {
            return Ok(());
        }
        let group = shape.heads / shape.kv_heads;
        let tiles = attention::tiles(queries, (TILE_ROWS / group).max(1));
        let threads = self.pool.threads().get();
        // Heads that share a key head go together, except where that would leave a thread without work: the last groups
        // that do not make a full round are split into heads.
        let groups = tiles.len() * shape.kv_heads;
        let whole = if groups >= 4 * threads { groups } else { groups - groups % threads };
        let parts = whole + (groups - whole) * group;
        let out = SharedSlice::new(out);
        let lowest = Lowest::new();
        let part = |part: usize| {
            let (index, heads) = if part < whole {
                (part, 0..group)
            } else {
                (whole + (part - whole) / group, (part - whole) % group..(part - whole) % group + 1)
            };
            let (tile, first_head) = (&tiles[index / shape.kv_heads], index % shape.kv_heads * group);
            lowest.note(self.isa.run(Attention {
                shape,
                queries: &queries[tile.queries.clone()],
                pages: tile.pages,
                heads: first_head + heads.start..first_head + heads.end,
                out,
                first: tile.queries.start,
            }));
        };
        let keys: usize = queries.iter().map(|query| query.position as usize + 1).sum();
        if threads == 1 || keys * shape.heads * shape.head_dim < ATTENTION_MIN {
            (0..parts).for_each(part);
        } else {
            self.pool.run(parts, &part);
        }
        lowest.result()
    }

    /// The largest of `x`; a zero is +0, NaN is passed over, and an empty slice gives the most negative finite number.
    pub fn max(&self, x: &[f32]) -> f32 {
        self.isa.run(Max { x }).unwrap_or_else(|| portable::max(x))
    }

    /// Integer sampling weights: [`portable::sample_weights`].
    ///
    /// # Errors
    /// As [`portable::sample_weights`].
    ///
    /// # Panics
    /// As [`portable::sample_weights`].
    pub fn sample_weights(&self, logits: &[f32], temperature: f32, out: &mut [u64]) -> Result<u128, Fault> {
        portable::check_sampling(logits, temperature, out);
        let Some(max) = self.isa.run(Max { x: logits }) else {
            let index = logits.iter().position(|l| !l.is_finite()).unwrap_or(0);
            return Err(Fault { operation: "sample_weights", index });
        };
        let weights = |logits: &[f32], out: &mut [u64]| self.isa.run(Weights { logits, max, temperature, out });
        if self.pool.threads().get() == 1 || logits.len() < ELEMENTS_MIN {
            return Ok(u128::from(weights(logits, out)));
        }
        let total = AtomicU64::new(0);
        self.pool.chunks_mut(out, ELEMENTS_PART, &|part, out| {
            let logits = &logits[part * ELEMENTS_PART..][..out.len()];
            // Integers, so that threads may add in any order.
            total.fetch_add(weights(logits, out), Ordering::Relaxed);
        });
        Ok(u128::from(total.into_inner()))
    }
}

/// The fault of the lowest index among those that threads meet.
struct Lowest(Mutex<Option<Fault>>);

impl Lowest {
    fn new() -> Self {
        Self(Mutex::new(None))
    }

    fn note(&self, result: Result<(), Fault>) {
        if let Err(fault) = result {
            let mut lowest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if lowest.is_none_or(|lowest| fault.index < lowest.index) {
                *lowest = Some(fault);
            }
        }
    }

    fn result(self) -> Result<(), Fault> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }
}
