//! The tree over a trace's words: full and binary, with nodes that fall out of use constant.

use std::sync::LazyLock;

use claim::Digest;
use claim::merkle::{leaf_hash, node_hash};

use super::layout::TILE_WORDS;

/// Height of a tile above its words: `2^4`.
pub const TILE_HEIGHT: u32 = 4;
/// Heights there are: positions on three levels.
pub const HEIGHT_MAX: u32 = 42;

/// The node of each height, from the tile's on, under which every word is 0.
static ZEROS: LazyLock<[Digest; (HEIGHT_MAX - TILE_HEIGHT + 1) as usize]> = LazyLock::new(|| {
    let mut node = tile_hash(&[0; TILE_WORDS]);
    std::array::from_fn(|height| {
        if height > 0 {
            node = node_hash(node, node);
        }
        node
    })
});

/// The node of height `height` (in words) under which every word is 0.
pub fn zero(height: u32) -> Digest {
    ZEROS[(height - TILE_HEIGHT) as usize]
}

/// The leaf of a tile: its words little-endian.
pub fn tile_hash(tile: &[u32; TILE_WORDS]) -> Digest {
    let mut bytes = [0; TILE_WORDS * 4];
    for (bytes, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(tile) {
        *bytes = word.to_le_bytes();
    }
    leaf_hash(&bytes)
}

/// The node of height `height` over `words`, zeros behind them.
///
/// # Panics
///
/// Where there are more than `2^height` words.
pub fn node_of(words: &[u32], height: u32) -> Digest {
    assert!(words.len() as u64 <= 1 << height, "{} words under a node of height {height}", words.len());
    let mut level: Vec<Digest> = words
        .chunks(TILE_WORDS)
        .map(|chunk| {
            let mut tile = [0; TILE_WORDS];
            tile[..chunk.len()].copy_from_slice(chunk);
            tile_hash(&tile)
        })
        .collect();
    fold(&mut level, TILE_HEIGHT, height)
}

/// The node of height `to` over nodes of height `from`, zeros behind them.
pub fn fold(level: &mut Vec<Digest>, from: u32, to: u32) -> Digest {
    for height in from..to {
        *level = pairs(level, height);
    }
    level.first().copied().unwrap_or_else(|| zero(to))
}

/// The level above `level`, whose nodes have height `height`.
pub fn pairs(level: &[Digest], height: u32) -> Vec<Digest> {
    level
        .chunks(2)
        .map(|pair| match *pair {
            [left, right] => node_hash(left, right),
            _ => node_hash(pair[0], zero(height)),
        })
        .collect()
}

/// The node that `siblings`, from below, lead to from `node` at `index` among the nodes of its height.
pub fn climb(node: Digest, mut index: u64, siblings: &[Digest]) -> Digest {
    siblings.iter().fold(node, |node, &sibling| {
        let is_right = index & 1 == 1;
        index >>= 1;
        if is_right { node_hash(sibling, node) } else { node_hash(node, sibling) }
    })
}

/// Whether two paths from the same index agree on everything to its left.
pub fn agree_left(index: u64, ours: &[Digest], theirs: &[Digest]) -> bool {
    ours.len() == theirs.len()
        && ours.iter().zip(theirs).enumerate().all(|(height, (a, b))| index >> height & 1 == 0 || a == b)
}
