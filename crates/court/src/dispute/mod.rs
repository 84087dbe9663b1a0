//! The game that narrows a dispute down to one word.
//!
//! Both parties have a tree over the same trace, and take turns. A move names the first child of the other's last node that
//! differs from one's own, proves one's own child with everything to its left equal, and opens what lies below. When words lie
//! open, the other party names the first that differs and shows its working, and then the first one accuses one step of it.
//!
//! [`step`] is the whole of it: no clock, no chain, no trace. The contract `Court.sol` plays by the same rules, a simulator and a
//! party run this one.

mod moves;
mod player;

pub use moves::{Challenge, Descent, EndProof, MoveError, Shown, Work};
pub use player::{Player, PlayerError};

use claim::{Digest, OutputRoot, StateRoot};

use crate::judge::{Accusation, Docket, OpeningError, Ruling, Statement, judge, working_height};
use crate::trace::{MOVE_BITS, tree};

/// The two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// Signed the receipt.
    Host,
    /// Says that it is false.
    Challenger,
}

impl Side {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Host => Self::Challenger,
            Self::Challenger => Self::Host,
        }
    }
}

/// Seconds since 1970 by the chain's clock.
pub type Seconds = u64;

/// What both sides know from the start.
#[derive(Clone, Debug)]
pub struct Terms {
    /// What the receipt states.
    pub statement: Statement,
    /// The states and tokens that the receipt was signed for.
    pub roots: (StateRoot, OutputRoot),
    /// Seconds that a side has for a move.
    pub move_time: Seconds,
}

/// A move, or the passing of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A level further down.
    Descend(Side, Box<Descent>),
    /// The working of a word.
    Work(Side, Box<Work>),
    /// A wrong step of the other's working.
    Accuse(Side, Box<Accusation>),
    /// Somebody looks at the clock.
    Timeout,
}

/// What a step leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// It is this side's turn, until that time.
    Turn {
        /// The side.
        side: Side,
        /// The time.
        deadline: Seconds,
    },
    /// It is over.
    Over {
        /// Who won.
        winner: Side,
        /// Why.
        reason: Reason,
    },
}

/// Why a dispute ended as it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A side let its time pass.
    Silence,
    /// The judge recomputed a step.
    Judged(Ruling),
}

/// A move that a contract has taken, as its event tells.
#[derive(Clone, Debug)]
pub enum Followed {
    /// A level further down.
    Descent {
        /// The child that was named.
        child: u8,
        /// The node that was opened.
        node: Digest,
        /// What lies below it.
        shown: Shown,
    },
    /// The working of a word.
    Work {
        /// The word, of the 64 that lay open.
        index: u32,
        /// What it is said to be.
        word: u32,
        /// How it comes about.
        working: Vec<u32>,
    },
}

/// Where a dispute stands.
#[derive(Clone, Debug)]
pub struct State {
    terms: Terms,
    turn: Side,
    deadline: Seconds,
    /// The node opened at each level, by whoever's turn it was: the challenger the root, then in turn.
    nodes: Vec<Digest>,
    /// The nodes below each of those, as they were shown; the words of the last.
    shown: Vec<Shown>,
    /// The path to the last node: the children named so far.
    index: u64,
    /// The word that the working is for, once there is one.
    worked: Option<(Docket, Vec<u32>)>,
    over: Option<(Side, Reason)>,
}

impl State {
    /// A dispute, opened by the challenger's first move.
    ///
    /// # Errors
    ///
    /// [`MoveError`]: the move does not show 64 children.
    pub fn open(terms: Terms, challenge: &Challenge, now: Seconds) -> Result<Self, MoveError> {
        let node = challenge.root()?;
        Ok(Self {
            deadline: now + terms.move_time,
            terms,
            turn: Side::Host,
            nodes: vec![node],
            shown: vec![Shown::Nodes(challenge.children.clone())],
            index: 0,
            worked: None,
            over: None,
        })
    }

    /// Follows a move that a contract has taken, without checking it again. Nothing happens where none can follow.
    pub fn follow(&mut self, followed: Followed, deadline: Seconds) {
        match followed {
            Followed::Descent { child, node, shown } => {
                self.index = self.index << MOVE_BITS | u64::from(child);
                self.nodes.push(node);
                self.shown.push(shown);
            }
            Followed::Work { index, word, working } => {
                self.worked = Some((self.docket(index, word, &working), working));
            }
        }
        self.turn = self.turn.other();
        self.deadline = deadline;
    }

    /// The docket of a word of the last node.
    fn docket(&self, index: u32, word: u32, working: &[u32]) -> Docket {
        let length = working.len() as u32;
        Docket {
            statement: self.terms.statement.clone(),
            address: self.index << MOVE_BITS | u64::from(index),
            word,
            nodes: self.nodes.clone(),
            working_root: tree::node_of(working, working_height(length)),
            working_length: length,
        }
    }

    /// Whose turn it is.
    pub fn turn(&self) -> Side {
        self.turn
    }

    /// When that turn's time is over.
    pub fn deadline(&self) -> Seconds {
        self.deadline
    }

    /// How it ended.
    pub fn over(&self) -> Option<(Side, Reason)> {
        self.over
    }

    /// The terms.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// What has been shown, level by level.
    pub fn shown(&self) -> &[Shown] {
        &self.shown
    }

    /// The opened nodes, level by level.
    pub fn nodes(&self) -> &[Digest] {
        &self.nodes
    }

    /// The children named so far, as an index.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The word that was worked out, and its working.
    pub fn worked(&self) -> Option<(&Docket, &[u32])> {
        self.worked.as_ref().map(|(docket, working)| (docket, &working[..]))
    }

    /// Moves from the root to words.
    pub fn levels(&self) -> u32 {
        let statement = &self.terms.statement;
        crate::trace::levels(statement.positions(), statement.layout().bits())
    }
}

/// One step of the game. A refused input changes nothing.
///
/// # Errors
///
/// [`MoveError`]: it is not that side's turn, or the move does not follow from what was shown.
pub fn step(mut state: State, input: &Input, now: Seconds) -> Result<(State, Output), (Box<State>, MoveError)> {
    match state.apply(input, now) {
        Ok(output) => Ok((state, output)),
        Err(error) => Err((Box::new(state), error)),
    }
}

impl State {
    fn apply(&mut self, input: &Input, now: Seconds) -> Result<Output, MoveError> {
        if let Some((winner, _)) = self.over {
            return Err(MoveError::Over { winner });
        }
        let side = match input {
            Input::Timeout if now <= self.deadline => return Err(MoveError::Early { now, deadline: self.deadline }),
            Input::Timeout => return Ok(self.end(self.turn.other(), Reason::Silence)),
            Input::Descend(side, _) | Input::Work(side, _) | Input::Accuse(side, _) => *side,
        };
        if side != self.turn {
            return Err(MoveError::Turn { expected: self.turn, found: side });
        }
        if now > self.deadline {
            return Err(MoveError::Late { now, deadline: self.deadline });
        }
        match input {
            Input::Descend(_, descent) => self.descend(descent)?,
            Input::Work(_, work) => self.work(work)?,
            Input::Accuse(_, accusation) => return self.accuse(accusation),
            Input::Timeout => {}
        }
        self.turn = side.other();
        self.deadline = now + self.terms.move_time;
        Ok(Output::Turn { side: self.turn, deadline: self.deadline })
    }

    fn end(&mut self, winner: Side, reason: Reason) -> Output {
        self.over = Some((winner, reason));
        Output::Over { winner, reason }
    }

    fn descend(&mut self, descent: &Descent) -> Result<(), MoveError> {
        let level = self.nodes.len() as u32;
        if level >= self.levels() {
            return Err(MoveError::Level { level });
        }
        let child = u64::from(descent.child);
        // A larger number would lead the own path through a neighbouring node.
        if child >> MOVE_BITS != 0 {
            return Err(MoveError::Child { child: descent.child });
        }
        let own = descent.shown.node(level + 1 == self.levels())?;
        // Below one's own node of two levels ago lies the child that the other named last, and below that the one named now. The
        // host's first move has no such node: its own root is what its path leads to.
        let root = tree::climb(own, self.index << MOVE_BITS | child, &descent.own_path);
        let expected = 2 * MOVE_BITS as usize;
        match self.nodes.len().checked_sub(2).map(|own| self.nodes[own]) {
            None => {
                check_length(descent.own_path.len(), MOVE_BITS as usize)?;
                self.check_end(root, descent)?;
            }
            Some(_) if descent.end.is_some() => return Err(MoveError::End),
            Some(node) => {
                check_length(descent.own_path.len(), expected)?;
                check_root(node, root)?;
            }
        }
        check_length(descent.their_path.len(), MOVE_BITS as usize)?;
        let theirs = tree::climb(descent.their_child, child, &descent.their_path);
        check_root(self.nodes[self.nodes.len() - 1], theirs)?;
        if own == descent.their_child {
            return Err(MoveError::Same { child: descent.child });
        }
        if !tree::agree_left(child, &descent.own_path[..MOVE_BITS as usize], &descent.their_path) {
            return Err(MoveError::NotFirst { child: descent.child });
        }
        self.index = self.index << MOVE_BITS | child;
        self.nodes.push(own);
        self.shown.push(descent.shown.clone());
        Ok(())
    }

    /// The host's tree must end in what it signed.
    fn check_end(&self, root: Digest, descent: &Descent) -> Result<(), MoveError> {
        let end = descent.end.as_ref().ok_or(MoveError::End)?;
        let (states, outputs) = self.terms.roots;
        let statement = &self.terms.statement;
        let address = statement.end();
        let mut tile = [0; 16];
        tile[..8].copy_from_slice(&crate::judge::digest_words(states.get()));
        tile[8..].copy_from_slice(&crate::judge::digest_words(outputs.get()));
        check_length(end.path.len(), (self.levels() * MOVE_BITS - tree::TILE_HEIGHT) as usize)?;
        check_root(root, tree::climb(tree::tile_hash(&tile), address >> tree::TILE_HEIGHT, &end.path))
    }

    fn work(&mut self, work: &Work) -> Result<(), MoveError> {
        let level = self.nodes.len() as u32;
        let Some(Shown::Words(words)) = self.shown.last().filter(|_| level == self.levels() && self.worked.is_none())
        else {
            return Err(MoveError::Level { level });
        };
        let (tile, place) = (u64::from(work.index / 16), work.index as usize % 16);
        if work.index as usize >= words.len() || work.working.len() > Work::WORDS_MAX {
            return Err(MoveError::Index { index: work.index, words: work.working.len() });
        }
        let theirs: Vec<Digest> = words.chunks(16).map(|tile| tree::node_of(tile, tree::TILE_HEIGHT)).collect();
        let their_tile = &words[tile as usize * 16..][..16];
        let word = work.tile[place];
        if work.tile[..place] != their_tile[..place] {
            return Err(MoveError::NotFirst { child: work.index as u8 });
        }
        if word == their_tile[place] {
            return Err(MoveError::Same { child: work.index as u8 });
        }
        check_length(work.own_path.len(), 2 + MOVE_BITS as usize)?;
        let their_path = [theirs[tile as usize ^ 1], tree::pairs(&theirs, tree::TILE_HEIGHT)[tile as usize >> 1 ^ 1]];
        if !tree::agree_left(tile, &work.own_path[..2], &their_path) {
            return Err(MoveError::NotFirst { child: work.index as u8 });
        }
        // One's own node of this level lies below one's own node of the level before.
        let own = tree::climb(tree::tile_hash(&work.tile), self.index << 2 | tile, &work.own_path);
        check_root(self.nodes[self.nodes.len() - 2], own)?;
        self.worked = Some((self.docket(work.index, word, &work.working), work.working.clone()));
        Ok(())
    }

    fn accuse(&mut self, accusation: &Accusation) -> Result<Output, MoveError> {
        let level = self.nodes.len() as u32;
        let (docket, _) = self.worked.as_ref().ok_or(MoveError::Level { level })?;
        let ruling = judge(docket, accusation.step, &accusation.data, &accusation.path).map_err(MoveError::Opening)?;
        let accuser = self.turn;
        let winner = match ruling {
            Ruling::WorkerLies => accuser,
            Ruling::AccuserLies => accuser.other(),
            Ruling::HostLies => Side::Challenger,
        };
        Ok(self.end(winner, Reason::Judged(ruling)))
    }
}

fn check_length(found: usize, expected: usize) -> Result<(), MoveError> {
    if found == expected { Ok(()) } else { Err(MoveError::Path { expected, found }) }
}

fn check_root(expected: Digest, found: Digest) -> Result<(), MoveError> {
    if expected == found { Ok(()) } else { Err(MoveError::Root { expected, found }) }
}

impl From<OpeningError> for MoveError {
    fn from(error: OpeningError) -> Self {
        Self::Opening(error)
    }
}
