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
use crate::memory::LINE;
use crate::page::{KvFormat, KvPage, PAGE_POSITIONS};
use crate::portable;
use crate::shared::SharedSlice;

/// Keys whose scores are computed side by side, and virtual lanes of a vector sum.
const GROUP: usize = 16;
/// Rows that share one reading of keys or values.
const ROWS: usize = 4;

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
            self.fetch::<L, E>(l, page, start % PAGE_POSITIONS);
            let scores = &mut scores[start - span.start..];
            if self.converts::<E>() {
                for i in (0..GROUP * head_dim).step_by(L::N) {
                    // SAFETY: `GROUP * head_dim` numbers at both places, and N divides GROUP.
                    unsafe { l.store(converted.as_mut_ptr().add(i), E::load(l, keys.add(i * E::SIZE))) };
                }
                self.score_all::<L, Binary32>(l, converted.as_ptr().cast(), scores, stride);
            } else {
                self.score_all::<L, E>(l, keys, scores, stride);
            }
        }
    }

    /// Asks for what comes after the group of keys at `slot`: the next group's keys, and the values that belong to this one.
    /// A decode step meets a cache of which each line is used once, far from the last one.
    #[inline(always)]
    fn fetch<L: Lanes, E: Element>(&self, l: L, page: &KvPage, slot: usize) {
        let keys = page.keys().as_ptr().wrapping_add(page.key_index(self.kv_head(), slot + GROUP) * E::SIZE);
        let values = page.values().as_ptr().wrapping_add(page.value_index(self.kv_head(), slot) * E::SIZE);
        for at in (0..GROUP * self.shape.head_dim * E::SIZE).step_by(LINE) {
            l.prefetch(keys.wrapping_add(at));
            l.prefetch(values.wrapping_add(at));
        }
    }

    /// Whether keys and values are converted once for all rows, or on the way for the few that there are.
    fn converts<E: Element>(&self) -> bool {
        E::SIZE != Binary32::SIZE && self.rows() > 2 * ROWS
    }

    /// Scores of a group of keys for all rows, which lie `stride` apart in `out`.
    #[inline(always)]
    fn score_all<L: Lanes, E: Element>(&self, l: L, keys: *const u8, out: &mut [f32], stride: usize) {
        let mut row = 0;
        while row < self.rows() {
            let out = &mut out[row * stride..];
            row += match self.rows() - row {
                ROWS.. => self.score_rows::<L, E, ROWS>(l, row, keys, out, stride),
                3 => self.score_rows::<L, E, 3>(l, row, keys, out, stride),
                2 => self.score_rows::<L, E, 2>(l, row, keys, out, stride),
                _ => self.score_rows::<L, E, 1>(l, row, keys, out, stride),
            };
        }
    }

    /// Scores of a group of keys for R rows from `row`, which lie `stride` apart in `out`; returns R.
    #[inline(always)]
    fn score_rows<L: Lanes, E: Element, const R: usize>(
        &self,
        l: L,
        row: usize,
        keys: *const u8,
        out: &mut [f32],
        stride: usize,
    ) -> usize {
        assert!(out.len() >= (R - 1) * stride + GROUP, "scores of R rows");
        let mut q = [std::ptr::null(); R];
        for (r, q) in q.iter_mut().enumerate() {
            *q = self.q(row + r).as_ptr();
        }
        for pass in 0..GROUP / L::N {
            // SAFETY: `head_dim` numbers at each `q`, `head_dim` lines of 16 keys at `keys`, 16 scores in each of R rows of `out`.
            unsafe {
                let dots = Dots { q, keys: keys.add(pass * L::N * E::SIZE), head_dim: self.shape.head_dim };
                for (r, s) in dots.sum::<L, E>(l).into_iter().enumerate() {
                    l.store(out.as_mut_ptr().add(r * stride + pass * L::N), l.mul(s, l.splat(self.shape.scale)));
                }
            }
        }
        R
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
            let page = self.pages[chunk];
            let first = page.value_index(self.kv_head(), start % PAGE_POSITIONS) * E::SIZE;
            let len = (stop - start) * head_dim;
            let values = page.values()[first..][..len * E::SIZE].as_ptr();
            let exponentials = &scores[start - span.start..];
            let tile = Tile { values, head_dim, keys: stop - start, stride: span.end - span.start };
            if self.converts::<E>() {
                assert!(len <= converted.len(), "a page of one head fits the scratch");
                for i in (0..len).step_by(L::N) {
                    // SAFETY: `len` numbers at both places, and N divides the head dimension.
                    unsafe { l.store(converted.as_mut_ptr().add(i), E::load(l, values.add(i * E::SIZE))) };
                }
                self.add_all::<L, Binary32>(l, exponentials, Tile { values: converted.as_ptr().cast(), ..tile });
            } else {
                self.add_all::<L, E>(l, exponentials, tile);
            }
            start = stop;
        }
    }

    /// Adds a chunk's values to all rows.
    #[inline(always)]
    fn add_all<L: Lanes, E: Element>(&self, l: L, e: &[f32], tile: Tile) {
        let mut row = 0;
        while row < self.rows() {
            let e = &e[row * tile.stride..];
            row += match self.rows() - row {
                ROWS.. => self.add_rows::<L, E, ROWS>(l, row, e, tile),
                3 => self.add_rows::<L, E, 3>(l, row, e, tile),
                2 => self.add_rows::<L, E, 2>(l, row, e, tile),
                _ => self.add_rows::<L, E, 1>(l, row, e, tile),
            };
        }
    }

    /// Adds a chunk's values to R rows from `row`; returns R.
    #[inline(always)]
    fn add_rows<L: Lanes, E: Element, const R: usize>(&self, l: L, row: usize, e: &[f32], tile: Tile) -> usize {
        assert!(e.len() >= (R - 1) * tile.stride + tile.keys, "exponentials of R rows");
        let mut d = 0;
        while d < tile.head_dim {
            d += if L::N * 4 <= tile.head_dim - d {
                self.add_columns::<L, E, R, 4>(l, row, e, tile, d)
            } else {
                self.add_columns::<L, E, R, 1>(l, row, e, tile, d)
            };
        }
        R
    }

    /// As `add_rows`, for W vectors of the head dimension from `d`; returns their width.
    #[inline(always)]
    fn add_columns<L: Lanes, E: Element, const R: usize, const W: usize>(
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
                    *v = E::load(l, tile.values.add((j * tile.head_dim + d + i * L::N) * E::SIZE));
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
    /// `[keys][head_dim]`
    values: *const u8,
    head_dim: usize,
    keys: usize,
    stride: usize,
}

/// Vector-sum dots of R queries with N keys at once. Lane i of the vector sum is one register per query here, and folding adds
/// registers; lanes are made in the order in which the fold takes them, so that five per query are alive at most.
struct Dots<const R: usize> {
    /// `head_dim` (a multiple of 16) numbers each.
    q: [*const f32; R],
    /// As many lines, 16 numbers apart, of which N are read.
    keys: *const u8,
    head_dim: usize,
}

impl<const R: usize> Dots<R> {
    /// The sums, folded by strides 8, 4, 2, 1.
    ///
    /// # Safety
    /// The pointers are good for what their fields say.
    #[inline(always)]
    unsafe fn sum<L: Lanes, E: Element>(&self, l: L) -> [L::F; R] {
        // SAFETY: the caller's word, here and below.
        unsafe { both(l, self.eighth::<L, E>(l, 0), self.eighth::<L, E>(l, 1)) }
    }

    #[inline(always)]
    unsafe fn eighth<L: Lanes, E: Element>(&self, l: L, i: usize) -> [L::F; R] {
        // SAFETY: as in `sum`.
        unsafe { both(l, self.fourth::<L, E>(l, i), self.fourth::<L, E>(l, i + 2)) }
    }

    #[inline(always)]
    unsafe fn fourth<L: Lanes, E: Element>(&self, l: L, i: usize) -> [L::F; R] {
        // SAFETY: as in `sum`.
        unsafe { both(l, self.pair::<L, E>(l, i), self.pair::<L, E>(l, i + 4)) }
    }

    #[inline(always)]
    unsafe fn pair<L: Lanes, E: Element>(&self, l: L, i: usize) -> [L::F; R] {
        // SAFETY: as in `sum`.
        unsafe { both(l, self.lane::<L, E>(l, i), self.lane::<L, E>(l, i + 8)) }
    }

    /// Lane `i`: elements i, i + 16, ... upwards.
    #[inline(always)]
    unsafe fn lane<L: Lanes, E: Element>(&self, l: L, i: usize) -> [L::F; R] {
        let mut acc = [l.splat(0.0); R];
        for d in (i..self.head_dim).step_by(GROUP) {
            // SAFETY: as in `sum`.
            unsafe {
                let keys = E::load(l, self.keys.add(d * GROUP * E::SIZE));
                for (acc, q) in acc.iter_mut().zip(self.q) {
                    *acc = l.add(*acc, l.mul(keys, l.splat(*q.add(d))));
                }
            }
        }
        acc
    }
}

/// `a + b`, row by row.
#[inline(always)]
fn both<L: Lanes, const R: usize>(l: L, mut a: [L::F; R], b: [L::F; R]) -> [L::F; R] {
    for (a, b) in a.iter_mut().zip(b) {
        *a = l.add(*a, b);
    }
    a
}
