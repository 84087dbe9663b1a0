//! Merkle trees over SHA-256.
//!
//! - A leaf is `SHA-256(0x00 || data)`, a node `SHA-256(0x01 || left || right)`, and the tree of no leaves `SHA-256("")`.
//! - Each level pairs its nodes from the left; an odd last node moves up unchanged. The shape is that of RFC 6962.
//! - A tree's root alone does not fix how many leaves it has, so whatever is signed holds [`bind`]: the SHA-256 of a
//!   domain, the leaf count as `u64` and the root. A [`Proof`] carries the count that it was made for.

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::Digest;
use crate::domain::Domain;
use crate::encoding::HashEncoder;

/// The largest number of leaves. A tree that could be hashed is far smaller; the limit keeps the count and its shifts in a `u64`.
const LEAVES_MAX: u64 = (1 << HEIGHT_MAX) - 1;
/// How many heights the full subtrees of such a tree can have.
const HEIGHT_MAX: usize = 48;

/// The hash of a leaf.
pub fn leaf_hash(data: &[u8]) -> Digest {
    Digest::new(Sha256::new().chain_update([0]).chain_update(data).finalize().into())
}

/// The hash of a node over its two children.
pub fn node_hash(left: Digest, right: Digest) -> Digest {
    let mut bytes = [1; 65];
    bytes[1..33].copy_from_slice(left.as_bytes());
    bytes[33..].copy_from_slice(right.as_bytes());
    Digest::sha256(&bytes)
}

/// The root of a tree with its leaf count bound in, as receipts and model roots hold it.
pub fn bind(domain: Domain, leaf_count: u64, root: Digest) -> Digest {
    let mut encoder = HashEncoder::new(domain);
    encoder.u64(leaf_count);
    encoder.digest(root);
    encoder.finish()
}

/// The root over all `leaves`, in order.
pub fn root<L: AsRef<[u8]>>(leaves: impl IntoIterator<Item = L>) -> Digest {
    let mut builder = RootBuilder::new();
    for leaf in leaves {
        builder.push(leaf.as_ref());
    }
    builder.root()
}

/// Computes a root leaf by leaf in constant memory: nothing is allocated.
///
/// Work is shared between threads by giving each an aligned run of leaves: it builds the run's root with a builder of its
/// own, and [`push_subtree`](Self::push_subtree) joins the roots in order. The result is that of pushing every leaf.
#[derive(Clone, Debug)]
pub struct RootBuilder {
    count: u64,
    /// Where bit h of `count` is set, the root of a full subtree of 2^h leaves; higher subtrees lie further left.
    full: [Digest; HEIGHT_MAX],
}

impl RootBuilder {
    /// A tree with no leaves yet.
    pub const fn new() -> Self {
        Self { count: 0, full: [Digest::ZERO; HEIGHT_MAX] }
    }

    /// How many leaves there are.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Adds a leaf.
    ///
    /// # Panics
    ///
    /// At 2^48 leaves.
    pub fn push(&mut self, data: &[u8]) {
        self.push_hash(leaf_hash(data));
    }

    /// Adds a leaf by its [`leaf_hash`].
    ///
    /// # Panics
    ///
    /// At 2^48 leaves.
    pub fn push_hash(&mut self, leaf: Digest) {
        assert!(self.count < LEAVES_MAX, "a tree has at most 2^48 - 1 leaves");
        self.carry(0, leaf);
    }

    /// Adds a full subtree of `2^height` leaves by its root.
    ///
    /// # Errors
    ///
    /// [`MerkleError::Misaligned`] if the leaves so far do not fill subtrees of this height, and
    /// [`MerkleError::TooManyLeaves`] if there would be 2^48 leaves or more.
    pub fn push_subtree(&mut self, height: u32, root: Digest) -> Result<(), MerkleError> {
        let leaf_count = self.count;
        if height as usize >= HEIGHT_MAX || (1 << height) > LEAVES_MAX - leaf_count {
            return Err(MerkleError::TooManyLeaves { leaf_count, height });
        }
        if !leaf_count.is_multiple_of(1 << height) {
            return Err(MerkleError::Misaligned { leaf_count, height });
        }
        self.carry(height, root);
        Ok(())
    }

    /// Adds a full subtree as a binary counter adds a bit: while a sibling of the same height waits, the two become one.
    fn carry(&mut self, height: u32, root: Digest) {
        let mut node = root;
        let mut level = height as usize;
        while self.count >> level & 1 == 1 {
            node = node_hash(self.full[level], node);
            level += 1;
        }
        self.full[level] = node;
        self.count += 1 << height;
    }

    /// The root over the leaves so far.
    pub fn root(&self) -> Digest {
        let mut waiting = (0..HEIGHT_MAX).filter(|level| self.count >> level & 1 == 1).map(|level| self.full[level]);
        let Some(smallest) = waiting.next() else {
            return Digest::sha256(&[]);
        };
        waiting.fold(smallest, |right, left| node_hash(left, right))
    }
}

impl Default for RootBuilder {
    fn default() -> Self {
        Self::new()
    }
}

/// Proves that one leaf lies in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The leaf's index, from 0.
    pub index: u64,
    /// How many leaves the tree has.
    pub leaf_count: u64,
    /// The sibling at each level that has one, from the leaf upwards.
    pub siblings: Vec<Digest>,
}

/// Why a proof was not made or does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MerkleError {
    /// The index is outside the tree.
    #[error("leaf {index} is outside a tree of {leaf_count} leaves")]
    OutOfRange {
        /// The index.
        index: u64,
        /// How many leaves the tree has.
        leaf_count: u64,
    },
    /// A proof for this index and count has another number of siblings.
    #[error("a proof for this leaf has {expected} siblings, found {found}")]
    WrongLength {
        /// How many siblings the tree's shape asks for.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The leaf and its siblings give another root.
    #[error("the proof leads to the root {found}, expected {expected}")]
    WrongRoot {
        /// The root to prove against.
        expected: Digest,
        /// The root that the proof gives.
        found: Digest,
    },
    /// A subtree does not start at a multiple of its own size.
    #[error("a subtree of height {height} cannot follow {leaf_count} leaves")]
    Misaligned {
        /// How many leaves precede it.
        leaf_count: u64,
        /// Its height.
        height: u32,
    },
    /// A subtree would make the tree too large.
    #[error("a subtree of height {height} after {leaf_count} leaves makes 2^48 leaves or more")]
    TooManyLeaves {
        /// How many leaves precede it.
        leaf_count: u64,
        /// Its height.
        height: u32,
    },
}

/// Which side of a node its sibling is on.
enum Side {
    Left,
    Right,
}

/// The levels at which a leaf's path has a sibling, from the leaf upwards, and its side.
fn path(mut index: u64, leaf_count: u64) -> impl Iterator<Item = Side> {
    let mut width = leaf_count;
    std::iter::from_fn(move || {
        while width > 1 {
            let side = match (index % 2, index + 1 == width) {
                (1, _) => Some(Side::Left),
                (_, false) => Some(Side::Right),
                (_, true) => None, // An odd last node moves up unchanged.
            };
            index /= 2;
            width = width.div_ceil(2);
            if side.is_some() {
                return side;
            }
        }
        None
    })
}

/// Proves that the leaf at `index` lies in the tree over `leaves`.
///
/// # Errors
///
/// [`MerkleError::OutOfRange`] if there is no such leaf.
pub fn prove<L: AsRef<[u8]>>(leaves: &[L], index: u64) -> Result<Proof, MerkleError> {
    let leaf_count = leaves.len() as u64;
    if index >= leaf_count {
        return Err(MerkleError::OutOfRange { index, leaf_count });
    }
    let mut level: Vec<Digest> = leaves.iter().map(|leaf| leaf_hash(leaf.as_ref())).collect();
    let mut place = index as usize; // Below `leaves.len()`.
    let mut siblings = Vec::new();
    while level.len() > 1 {
        siblings.extend(level.get(place ^ 1));
        level = level
            .chunks(2)
            .map(|pair| match *pair {
                [left, right] => node_hash(left, right),
                _ => pair[0],
            })
            .collect();
        place /= 2;
    }
    Ok(Proof { index, leaf_count, siblings })
}

/// Checks that `data` is the leaf at the proof's index, in a tree with the proof's leaf count and this `root`.
///
/// The count is part of what is checked only as far as it shapes the path: hold it against [`bind`].
///
/// # Errors
///
/// [`MerkleError::OutOfRange`], [`MerkleError::WrongLength`] or [`MerkleError::WrongRoot`].
pub fn verify(root: Digest, proof: &Proof, data: &[u8]) -> Result<(), MerkleError> {
    let found = lead(proof, data)?;
    if found == root { Ok(()) } else { Err(MerkleError::WrongRoot { expected: root, found }) }
}

/// The root that a proof leads to from `data`.
///
/// # Errors
///
/// [`MerkleError::OutOfRange`] or [`MerkleError::WrongLength`].
pub fn lead(proof: &Proof, data: &[u8]) -> Result<Digest, MerkleError> {
    let &Proof { index, leaf_count, ref siblings } = proof;
    if index >= leaf_count {
        return Err(MerkleError::OutOfRange { index, leaf_count });
    }
    let expected = path_length(index, leaf_count);
    if siblings.len() != expected {
        return Err(MerkleError::WrongLength { expected, found: siblings.len() });
    }
    Ok(path(index, leaf_count).zip(siblings).fold(leaf_hash(data), |node, (side, sibling)| match side {
        Side::Left => node_hash(*sibling, node),
        Side::Right => node_hash(node, *sibling),
    }))
}

/// How many siblings the path of a leaf has.
pub fn path_length(index: u64, leaf_count: u64) -> usize {
    path(index, leaf_count).count()
}
