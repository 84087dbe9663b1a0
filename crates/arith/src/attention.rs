//! What attention is asked: shapes and queries.

use std::ops::Range;

use crate::page::{KvPage, PAGE_POSITIONS};

/// Shape and constants of one attention layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionShape {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`. Query head `h` reads key head `h / (heads / kv_heads)`.
    pub kv_heads: usize,
    /// Numbers in one head.
    pub head_dim: usize,
    /// Factor of every score.
    pub scale: f32,
    /// Sliding window: a query at position p sees keys `max(0, p - window + 1) ..= p`. `None` sees all keys up to p.
    pub window: Option<u32>,
}

/// One token's question to the keys before it.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// `[heads][head_dim]`.
    pub q: &'a [f32],
    /// Absolute position of the token; its own key is already stored.
    pub position: u32,
    /// Page i holds positions `256 i .. 256 i + 255`; pages up to the one of `position` are read.
    pub pages: &'a [&'a KvPage],
}

impl AttentionShape {
    /// First and one past the last key that a query at `position` sees.
    pub(crate) fn keys(&self, position: u32) -> (usize, usize) {
        let last = position as usize;
        let first = self.window.map_or(0, |window| (last + 1).saturating_sub(window as usize));
        (first, last + 1)
    }

    /// Checks that queries and output fit the shape.
    ///
    /// # Panics
    /// Where they do not: the caller built them.
    pub(crate) fn check(&self, queries: &[Query<'_>], out: &[f32]) {
        let width = self.heads * self.head_dim;
        assert!(self.kv_heads > 0 && self.heads.is_multiple_of(self.kv_heads), "kv_heads divides heads");
        assert!(self.window != Some(0), "a window of no keys has no softmax");
        assert_eq!(out.len(), queries.len() * width, "out is [queries][heads][head_dim]");
        for query in queries {
            assert_eq!(query.q.len(), width, "a query is [heads][head_dim]");
            let pages = query.position as usize / PAGE_POSITIONS + 1;
            assert!(query.pages.len() >= pages, "position {} needs {pages} pages", query.position);
            for page in &query.pages[..pages] {
                assert!(
                    page.kv_heads() == self.kv_heads
                        && page.head_dim() == self.head_dim
                        && page.format() == queries[0].pages[0].format(),
                    "pages have the shape of the layer and one format"
                );
            }
        }
    }
}

/// Queries that can be answered together because the shorter ones' pages are the first of the longest one's.
#[derive(Debug)]
pub(crate) struct QueryTile<'a> {
    /// Which queries.
    pub(crate) queries: Range<usize>,
    /// The pages of the longest.
    pub(crate) pages: &'a [&'a KvPage],
}

/// Cuts `queries` into tiles of at most `tile_max` consecutive ones that share pages.
pub(crate) fn tiles<'a>(queries: &[Query<'a>], tile_max: usize) -> Vec<QueryTile<'a>> {
    let mut tiles: Vec<QueryTile<'a>> = Vec::new();
    for (i, query) in queries.iter().enumerate() {
        let pages = &query.pages[..=query.position as usize / PAGE_POSITIONS];
        if let Some(tile) = tiles.last_mut()
            && tile.queries.len() < tile_max
            && tile.pages.iter().zip(pages).all(|(a, b)| std::ptr::eq(*a, *b))
        {
            tile.queries.end = i + 1;
            if pages.len() > tile.pages.len() {
                tile.pages = pages;
            }
        } else {
            tiles.push(QueryTile { queries: i..i + 1, pages });
        }
    }
    tiles
}
