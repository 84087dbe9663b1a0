//! What the parties send.

use claim::Digest;

use super::{Seconds, Side};
use crate::judge::OpeningError;
use crate::trace::{MOVE_BITS, NODE_WORDS, tree};

/// The first move: the challenger opens its root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The 64 nodes below the challenger's root.
    pub children: Vec<Digest>,
}

impl Challenge {
    /// The root.
    ///
    /// # Errors
    ///
    /// [`MoveError::Children`].
    pub fn root(&self) -> Result<Digest, MoveError> {
        Shown::Nodes(self.children.clone()).node(false)
    }
}

/// What lies below a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Its 64 nodes six heights down.
    Nodes(Vec<Digest>),
    /// Its 64 words, on the last level.
    Words(Vec<u32>),
}

impl Shown {
    /// The nodes, where it is those.
    pub fn nodes(&self) -> Option<Vec<Digest>> {
        match self {
            Self::Nodes(nodes) => Some(nodes.clone()),
            Self::Words(_) => None,
        }
    }

    /// The node above.
    ///
    /// # Errors
    ///
    /// [`MoveError::Children`]: it is not 64 of what the level asks for.
    pub fn node(&self, is_last: bool) -> Result<Digest, MoveError> {
        match self {
            Self::Nodes(nodes) if nodes.len() == NODE_WORDS && !is_last => {
                Ok(tree::fold(&mut nodes.clone(), tree::TILE_HEIGHT, tree::TILE_HEIGHT + MOVE_BITS))
            }
            Self::Words(words) if words.len() == NODE_WORDS && is_last => Ok(tree::node_of(words, MOVE_BITS)),
            Self::Nodes(nodes) => Err(MoveError::Children { found: nodes.len() }),
            Self::Words(words) => Err(MoveError::Children { found: words.len() }),
        }
    }
}

/// A move one level down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descent {
    /// The first child of the other's last node that differs from one's own.
    pub child: u8,
    /// What lies below one's own child.
    pub shown: Shown,
    /// The path from one's own child to one's own last node; in the host's first move, to its root.
    pub own_path: Vec<Digest>,
    /// The other's child.
    pub their_child: Digest,
    /// The path from it to the other's last node.
    pub their_path: Vec<Digest>,
    /// In the host's first move: that its tree ends in the receipt.
    pub end: Option<EndProof>,
}

/// The path from the tile of the last links to the host's root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndProof {
    /// The siblings.
    pub path: Vec<Digest>,
}

/// The working of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// The first of the other's 64 words that differs from one's own.
    pub index: u32,
    /// One's own tile that holds it.
    pub tile: [u32; 16],
    /// The path from that tile to one's own last node.
    pub own_path: Vec<Digest>,
    /// How the word comes about.
    pub working: Vec<u32>,
}

impl Work {
    /// Most words of a working: what a transaction can carry.
    pub const WORDS_MAX: usize = 30_000;
}

/// Why a move is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MoveError {
    /// The dispute is over.
    #[error("the dispute is over, {winner:?} won")]
    Over {
        /// Who won.
        winner: Side,
    },
    /// It is the other's turn.
    #[error("it is the turn of {expected:?}, not of {found:?}")]
    Turn {
        /// Whose turn it is.
        expected: Side,
        /// Who moved.
        found: Side,
    },
    /// The time for the move is over.
    #[error("the move comes at {now}, its time ended at {deadline}")]
    Late {
        /// Now.
        now: Seconds,
        /// Until when.
        deadline: Seconds,
    },
    /// The time for the move is not over.
    #[error("it is {now}, the time for the move ends at {deadline}")]
    Early {
        /// Now.
        now: Seconds,
        /// Until when.
        deadline: Seconds,
    },
    /// Another kind of move is due.
    #[error("{level} levels lie open, which is not where this move belongs")]
    Level {
        /// Levels open.
        level: u32,
    },
    /// Not 64 children.
    #[error("a move shows 64 nodes or 64 words, as the level asks, found {found}")]
    Children {
        /// How many.
        found: usize,
    },
    /// A path of another length.
    #[error("the path has {found} hashes, expected {expected}")]
    Path {
        /// Hashes expected.
        expected: usize,
        /// Hashes found.
        found: usize,
    },
    /// A path leads elsewhere.
    #[error("the path leads to {found}, expected {expected}")]
    Root {
        /// The node expected.
        expected: Digest,
        /// The node found.
        found: Digest,
    },
    /// The host's first move alone shows that its tree ends in its receipt.
    #[error("the host's first move, and no other, shows that its trace ends in the receipt")]
    End,
    /// A node has 64 children.
    #[error("child {child} of 64")]
    Child {
        /// The child named.
        child: u8,
    },
    /// The named child is the same in both trees.
    #[error("child {child} is the same in both trees")]
    Same {
        /// The child.
        child: u8,
    },
    /// Something before the named child differs.
    #[error("child {child} is not the first that differs")]
    NotFirst {
        /// The child.
        child: u8,
    },
    /// No such word, or too long a working.
    #[error("word {index} of 64, with a working of {words} words")]
    Index {
        /// The word.
        index: u32,
        /// Words of the working.
        words: usize,
    },
    /// The accusation does not open what the step needs.
    #[error(transparent)]
    Opening(OpeningError),
}
