//! The merge loop that byte-pair encoding and `SentencePiece` share: of all neighbouring pieces that may be joined, join
//! the best, leftmost first, until none is left.
//!
//! With a heap this takes O(n log n) for n pieces, whatever the text: a megabyte of one letter is no worse than prose.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Which neighbours may be joined, and how good that is.
pub(super) trait Pairs {
    /// The rank of joining two pieces (lower is better) and the token that results, if they may be joined.
    fn joined(&self, text: &[u8], left: Piece, right: Piece) -> Option<(u32, u32)>;
}

/// No token: a piece whose bytes have none.
pub(super) const NO_TOKEN: u32 = u32::MAX;
/// No neighbour: the ends of the list.
const END: u32 = u32::MAX;

/// A piece of the text, and the token it is so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    /// First byte in the text.
    pub(super) start: u32,
    /// Length in bytes; 0 when the piece was joined to the one on its left.
    pub(super) len: u32,
    /// The token, or [`NO_TOKEN`].
    pub(super) token: u32,
}

#[derive(Debug, Clone, Copy)]
struct Link {
    piece: Piece,
    previous: u32,
    next: u32,
}

/// A possible join. The order of the fields is the order of the heap: rank, then position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    rank: u32,
    left: u32,
    right: u32,
    /// Length of the joined piece: when either side has grown since, this no longer fits.
    len: u32,
    token: u32,
}

/// The working memory of the loop, kept between words.
#[derive(Debug, Default)]
pub(super) struct Merger {
    links: Vec<Link>,
    heap: BinaryHeap<Reverse<Candidate>>,
}

impl Merger {
    /// Joins the pieces of a text and hands each remaining one to `emit`, in order.
    pub(super) fn run(
        &mut self,
        text: &[u8],
        pieces: impl Iterator<Item = Piece>,
        pairs: &impl Pairs,
        mut emit: impl FnMut(Piece),
    ) {
        self.links.clear();
        self.heap.clear();
        for piece in pieces {
            let at = self.links.len() as u32;
            self.links.push(Link { piece, previous: at.wrapping_sub(1), next: at + 1 });
        }
        let Some(last) = self.links.last_mut() else { return };
        last.next = END;
        for right in 1..self.links.len() as u32 {
            self.propose(text, pairs, right - 1, right);
        }
        while let Some(Reverse(best)) = self.heap.pop() {
            self.join(text, pairs, best);
        }
        let mut at = 0;
        while at != END {
            let link = self.links[at as usize];
            emit(link.piece);
            at = link.next;
        }
    }

    fn join(&mut self, text: &[u8], pairs: &impl Pairs, best: Candidate) {
        let left = self.links[best.left as usize];
        let right = self.links[best.right as usize];
        let stale = left.piece.len == 0
            || right.piece.len == 0
            || left.next != best.right
            || left.piece.len + right.piece.len != best.len;
        if stale {
            return;
        }
        let joined = &mut self.links[best.left as usize];
        joined.piece.len = best.len;
        joined.piece.token = best.token;
        joined.next = right.next;
        self.links[best.right as usize].piece.len = 0;
        if right.next != END {
            self.links[right.next as usize].previous = best.left;
            self.propose(text, pairs, best.left, right.next);
        }
        if left.previous != END {
            self.propose(text, pairs, left.previous, best.left);
        }
    }

    fn propose(&mut self, text: &[u8], pairs: &impl Pairs, left: u32, right: u32) {
        let (left_piece, right_piece) = (self.links[left as usize].piece, self.links[right as usize].piece);
        if let Some((rank, token)) = pairs.joined(text, left_piece, right_piece) {
            let len = left_piece.len + right_piece.len;
            self.heap.push(Reverse(Candidate { rank, left, right, len, token }));
        }
    }
}
