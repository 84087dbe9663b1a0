//! The judge: one step of a working, computed again.
//!
//! A dispute ends at one word of the trace. The party that stands by it shows how the word comes about: its *working*, a list
//! of words each of which follows from a few others. The other party names the step that is wrong, and the judge computes that
//! step from its inputs, which both agree on. `contracts/src/court/ArithmeticJudge.sol` is this module in Solidity; both read
//! the same bytes and run the same vectors.
//!
//! The rules are written once, over a `Source`. The judge's source checks openings against roots; a party's source reads
//! its trace and its model file, and writes the openings down.

mod attention;
mod openings;
mod party;
mod product;
mod rules;
mod source;
mod statement;

pub use openings::{Docket, OpeningError, judge, working_height};
pub use party::{Accusation, Party, Weights, WeightsError, accuse, open, rehearse, steps, working};
pub(crate) use rules::{digest_words, pack, words_digest};
pub use statement::{NotPlain, Statement, check_plain};

use crate::trace::Part;

/// What a step computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Words of the working, from this one on.
    Working(u32),
    /// The disputed word itself; the working ends before it.
    Word,
}

/// What the judge found for one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The step's words, computed again, and where the working has them.
    Words {
        /// Where they belong.
        target: Target,
        /// The words.
        words: Vec<u32>,
    },
    /// The disputed word cannot be what it is, whatever the right one may be.
    Impossible,
    /// The computation leaves the finite numbers: there is no such answer.
    NotFinite,
    /// The working has not as many words as it must have.
    Malformed,
    /// There is no such step.
    NoSuchStep,
}

/// Which word of which vector is disputed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disputed {
    /// Its position.
    pub position: u32,
    /// Its layer.
    pub layer: u32,
    /// Its vector.
    pub part: Part,
    /// Its index in the vector.
    pub index: u32,
    /// What the party that stands by it says it is.
    pub word: u32,
}

/// Who wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ruling {
    /// The step is wrong: the party whose working it is loses.
    WorkerLies,
    /// The step is right: the party that named it loses.
    AccuserLies,
    /// There is no right step: the host should not have answered.
    HostLies,
}
