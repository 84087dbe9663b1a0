#![expect(unsafe_code, reason = "kernels walk pages and scratch by pointers whose bounds are checked here")]
#![expect(clippy::inline_always, reason = "code over `Lanes` only gets the instruction set when it is inlined")]
//! Attention of a tile of queries that share pages, for some heads that share a key head.
//!
//! A *row* is one head of one query. Scores of all rows are kept in scratch, keys first, so that every page is read
//! once for all rows.

use std::cell::Cell;
use std::ops::Range;

use crate::attention::{AttentionShape, Query};
use crate::fault::Fault;
use crate::kernel::element::{Binary16, Binary32, Element};
use crate::kernel::elementwise::{Max, fold};
use crate::kernel::functions::exp;
use crate::lanes::{Kernel, Lanes};
use crate::page::{KvFormat, KvPage, PAGE_POSITIONS};
use crate::portable;
use crate::shared::SharedSlice;

/// Keys whose scores are computed side by side, and virtual lanes of a vector sum.
const GROUP: usize = 16;

thread_local! {
    /// Scores and converted keys and values; kept, because a decode step needs them again in a few microseconds.
    static SCRATCH: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// Heads `heads` (all of one key head) of `queries`, whose pages are the first ones of `pages`.
#[derive(Debug)]
pub(crate) struct Attention<'a> {
    pub(crate) shape: &'a AttentionShape,
    pub(crate) queries: &'a [Query<'a>],
    pub(crate) pages: &'a [&'a KvPage],
    pub(crate) heads: Range<usize>,
    /// `[all queries][heads of the shape][head_dim]`; nobody else writes these heads of these queries.
    pub(crate) out: SharedSlice<'a, f32>,
    /// Number of the first of `queries` among all queries.
    pub(crate) first: usize,
}

impl Kernel for Attention<'_> {
    type Output = Result<(), Fault>;

    fn portable(self) -> Self::Output {
        for row in 0..self.rows() {
            let (query, head) = self.row(row);
            // SAFETY: `out`'s contract; rows do not overlap, and one is held at a time.
            let out = unsafe { self.out.part(self.place(row)) };
            portable::attention(self.shape, &self.queries[query], head, out).map_err(|_| self.fault(row))?;
        }
        Ok(())
    }

    #[inline(always)]
    fn lanes<L: Lanes>(self, l: L) -> Self::Output {
        if self.queries.is_empty() || self.heads.is_empty() {
            return Ok(());
        }
        if !self.shape.head_dim.is_multiple_of(GROUP) {
            return self.portable();
        }
        // Taken out and put back: a closure over the cell would be compiled without the instruction set.
        let mut scratch = SCRATCH.take();
        let result = match self.pages[0].format() {
            KvFormat::F16 => self.all::<L, Binary16>(l, &mut scratch),
            KvFormat::F32 => self.all::<L, Binary32>(l, &mut scratch),
        };
        SCRATCH.set(scratch);
        result
    }
}

/// The keys that a tile reads: `start .. end`, whole groups.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
}

impl Attention<'_> {
    fn rows(&self) -> usize {
        self.queries.len() * self.heads.len()
    }

    /// Query and head of a row.
    fn row(&self, row: usize) -> (usize, usize) {
        (row / self.heads.len(), self.heads.start + row % self.heads.len())
    }

    fn q(&self, row: usize) -> &[f32] {
        let (query, head) = self.row(row);
        &self.queries[query].q[head * self.shape.head_dim..][..self.shape.head_dim]
    }

    /// Where the output of a row lies in `out`.
    fn place(&self, row: usize) -> Range<usize> {
        let (query, head) = self.row(row);
        let start = ((self.first + query) * self.shape.heads + head) * self.shape.head_dim;
        start..start + self.shape.head_dim
    }

    fn fault(&self, row: usize) -> Fault {
        let (query, head) = self.row(row);
        Fault { operation: "attention", index: (self.first + query) * self.shape.heads + head }
    }

    fn kv_head(&self) -> usize {
        self.heads.start / (self.shape.heads / self.shape.kv_heads)
    }

    #[inline(always)]
    fn all<L: Lanes, E: Element>(&self, l: L, scratch: &mut Vec<f32>) -> Result<(), Fault> {
        let keys = self.queries.iter().map(|query| self.shape.keys(query.position));
        let start = keys.clone().map(|keys| keys.0).min().unwrap_or(0) / GROUP * GROUP;
        let end = keys.map(|keys| keys.1).max().unwrap_or(0).next_multiple_of(GROUP);
        let span = Span { start, end };
        let scores_len = self.rows() * (end - start);
        scratch.resize(scores_len + PAGE_POSITIONS * self.shape.head_dim + self.rows(), 0.0);
        let (scores, scratch) = scratch.split_at_mut(scores_len);
        let (converted, totals) = scratch.split_at_mut(PAGE_POSITIONS * self.shape.head_dim);
        self.scores::<L, E>(l, span, scores, converted);
        for row in 0..self.rows() {
            totals[row] = self.exponentials(l, span, row, &mut scores[row * (end - start)..][..end - start])?;
        }
        self.values::<L, E>(l, span, scores, converted);
        for (row, total) in totals.iter().enumerate() {
            // SAFETY: as in `portable`.
            for o in unsafe { self.out.part(self.place(row)) } {
                *o /= total;
            }
        }
        Ok(())
    }

    /// Scores of all rows and keys of the span, scaled; those that a row does not see may be anything.
    #[inline(always)]
    fn scores<L: Lanes, E: Element>(&self, l: L, span: Span, scores: &mut [f32], converted: &mut [f32]) {
        let head_dim = self.shape.head_dim;
        let stride = span.end - span.start;
        for start in (span.start..span.end).step_by(GROUP) {
            let page = self.pages[start / PAGE_POSITIONS];
            let first = page.key_index(self.kv_head(), start % PAGE_POSITIONS) * E::SIZE;
            let keys = page.keys()[first..][..GROUP * head_dim * E::SIZE].as_ptr();
            let keys: *const f32 = if E::SIZE == 4 {
                keys.cast()
            } else {
                for i in (0..GROUP * head_dim).step_by(L::N) {
                    // SAFETY: `GROUP * head_dim` numbers at both places, and N divides GROUP.
                    unsafe { l.store(converted.as_mut_ptr().add(i), E::load(l, keys.add(i * E::SIZE))) };
                }
                converted.as_ptr()
            };
            for row in 0..self.rows() {
                let q = self.q(row).as_ptr();
                let out = scores[row * stride + start - span.start..][..GROUP].as_mut_ptr();
                for pass in 0..GROUP / L::N {
                    // SAFETY: `head_dim` numbers at `q`, `head_dim` lines of 16 keys at `keys`, 16 scores at `out`.
                    unsafe {
                        let s = dot_keys(l, q, keys.add(pass * L::N), head_dim);
                        l.store(out.add(pass * L::N), l.mul(s, l.splat(self.shape.scale)));
                    }
                }
            }
        }
    }

    /// Turns the scores of a row to exponentials, +0 where the row does not see the key; returns their canonical sum.
    #[inline(always)]
    fn exponentials<L: Lanes>(&self, l: L, span: Span, row: usize, scores: &mut [f32]) -> Result<f32, Fault> {
        let (first, end) = self.shape.keys(self.queries[self.row(row).0].position);
        let seen = first - span.start..end - span.start;
        let max = Max { x: &scores[seen.clone()] }.lanes(l).ok_or_else(|| self.fault(row))?;
        // The exponential of the most negative number is +0, as the rule for missing keys asks.
        scores[..seen.start].fill(f32::MIN);
        scores[seen.end..].fill(f32::MIN);
        let max = l.splat(max);
        let mut total = 0.0f32;
        let mut start = span.start;
        while start < span.end {
            let stop = ((start / PAGE_POSITIONS + 1) * PAGE_POSITIONS).min(span.end);
            let mut lanes = [l.splat(0.0); 4];
            for j in (start..stop).step_by(GROUP) {
                for (v, lane) in lanes.iter_mut().enumerate().take(GROUP / L::N) {
                    // SAFETY: the span is whole groups of 16, of which this is vector `v`.
                    unsafe {
                        let p = scores.as_mut_ptr().add(j - span.start + v * L::N);
                        let e = exp(l, l.sub(l.load(p), max));
                        l.store(p, e);
                        *lane = l.add(*lane, e);
                    }
                }
            }
            total += fold(l, lanes);
            start = stop;
        }
        Ok(total)
    }

    /// Sums of exponentials times values, chunk by chunk, into the output.
    #[inline(always)]
    fn values<L: Lanes, E: Element>(&self, l: L, span: Span, scores: &[f32], converted: &mut [f32]) {
        for row in 0..self.rows() {
            // SAFETY: as in `portable`.
            unsafe { self.out.part(self.place(row)) }.fill(0.0);
        }
        let head_dim = self.shape.head_dim;
        let mut start = span.start;
        while start < span.end {
            let chunk = start / PAGE_POSITIONS;
            let stop = ((chunk + 1) * PAGE_POSITIONS).min(span.end);
            let values = self.chunk_values::<L, E>(l, self.pages[chunk], start..stop, converted);
            let mut row = 0;
            while row < self.rows() {
                let exponentials = &scores[row * (span.end - span.start) + start - span.start..];
                let tile = Tile { values, head_dim, keys: stop - start, stride: span.end - span.start };
                row += match self.rows() - row {
                    4.. => self.add_rows::<L, 4>(l, row, exponentials, tile),
                    3 => self.add_rows::<L, 3>(l, row, exponentials, tile),
                    2 => self.add_rows::<L, 2>(l, row, exponentials, tile),
                    _ => self.add_rows::<L, 1>(l, row, exponentials, tile),
                };
            }
            start = stop;
        }
    }

    /// Values of `positions`, all in one page, as f32: `[positions][head_dim]`.
    #[inline(always)]
    fn chunk_values<L: Lanes, E: Element>(
        &self,
        l: L,
        page: &KvPage,
        positions: Range<usize>,
        converted: &mut [f32],
    ) -> *const f32 {
        let first = page.value_index(self.kv_head(), positions.start % PAGE_POSITIONS) * E::SIZE;
        let len = positions.len() * self.shape.head_dim;
        let values = page.values()[first..][..len * E::SIZE].as_ptr();
        if E::SIZE == 4 {
            return values.cast();
        }
        assert!(len <= converted.len(), "a page of one head fits the scratch");
        for i in (0..len).step_by(L::N) {
            // SAFETY: `len` numbers at both places, and N divides the head dimension.
            unsafe { l.store(converted.as_mut_ptr().add(i), E::load(l, values.add(i * E::SIZE))) };
        }
        converted.as_ptr()
    }

    /// Adds a chunk's values to R rows from `row`; returns R.
    #[inline(always)]
    fn add_rows<L: Lanes, const R: usize>(&self, l: L, row: usize, e: &[f32], tile: Tile) -> usize {
        assert!(e.len() >= (R - 1) * tile.stride + tile.keys, "exponentials of R rows");
        let mut d = 0;
        while d < tile.head_dim {
            d += if L::N * 4 <= tile.head_dim - d {
                self.add_columns::<L, R, 4>(l, row, e, tile, d)
            } else {
                self.add_columns::<L, R, 1>(l, row, e, tile, d)
            };
        }
        R
    }

    /// As `add_rows`, for W vectors of the head dimension from `d`; returns their width.
    #[inline(always)]
    fn add_columns<L: Lanes, const R: usize, const W: usize>(
        &self,
        l: L,
        row: usize,
        e: &[f32],
        tile: Tile,
        d: usize,
    ) -> usize {
        let mut acc = [[l.splat(0.0); W]; R];
        for j in 0..tile.keys {
            // SAFETY: `keys` lines of `head_dim` values; `keys` exponentials in each of R rows, as asserted by the caller.
            unsafe {
                let mut v = [l.splat(0.0); W];
                for (i, v) in v.iter_mut().enumerate() {
                    *v = l.load(tile.values.add(j * tile.head_dim + d + i * L::N));
                }
                for (r, acc) in acc.iter_mut().enumerate() {
                    let e = l.splat(*e.as_ptr().add(r * tile.stride + j));
                    for (acc, v) in acc.iter_mut().zip(v) {
                        *acc = l.add(*acc, l.mul(e, v));
                    }
                }
            }
        }
        for (r, acc) in acc.iter().enumerate() {
            // SAFETY: as in `portable`.
            let out = unsafe { self.out.part(self.place(row + r)) }[d..][..W * L::N].as_mut_ptr();
            for (i, acc) in acc.iter().enumerate() {
                // SAFETY: W vectors at `out`.
                unsafe { l.store(out.add(i * L::N), l.add(l.load(out.add(i * L::N)), *acc)) };
            }
        }
        W * L::N
    }
}

/// A chunk of values and how rows of exponentials lie beside it.
#[derive(Debug, Clone, Copy)]
struct Tile {
    values: *const f32,
    head_dim: usize,
    keys: usize,
    stride: usize,
}

/// Vector-sum dots of a query with N keys at once: virtual lane i of every key is `acc[i]`, so folding is vertical.
///
/// # Safety
/// `head_dim` (a multiple of 16) numbers at `q`, and at `keys` as many lines, 16 floats apart, of which N are read.
#[inline(always)]
unsafe fn dot_keys<L: Lanes>(l: L, q: *const f32, keys: *const f32, head_dim: usize) -> L::F {
    let mut acc = [l.splat(0.0); GROUP];
    for d in (0..head_dim).step_by(GROUP) {
        for (i, acc) in acc.iter_mut().enumerate() {
            // SAFETY: the caller's word.
            let product = unsafe { l.mul(l.load(keys.add((d + i) * GROUP)), l.splat(*q.add(d + i))) };
            *acc = l.add(*acc, product);
        }
    }
    for stride in [8, 4, 2, 1] {
        for i in 0..stride {
            acc[i] = l.add(acc[i], acc[i + stride]);
        }
    }
    acc[0]
}
