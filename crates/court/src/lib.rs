//! Replay of receipts: Held, Refuted or Cannot, with zero tolerance.
//!
//! An answer is a claim: this model, on this prompt, with this sampling and seed, says these tokens. The court settles it
//! by computing it again. Because the arithmetic gives the same bits everywhere, there is no threshold to tune and no
//! honest host to accuse by mistake.
//!
//! Three rules keep that so:
//!
//! - A host is refuted by what it signed, by what opens a hash that it signed, or by the verifier's own [`Known`] facts;
//!   never by evidence that anybody could have changed on the way.
//! - A part of the evidence that does not open the receipt ends in [`Verdict::Cannot`], but only after everything that
//!   can be checked without it has been: a lie does not hide behind a broken file.
//! - [`Verdict::Held`] means that every part of the evidence was compared, so what a reader sees in it is true.

mod case;
mod computation;
pub mod dispute;
pub mod judge;
mod meaning;
mod opening;
mod replay;
mod report;
pub mod trace;
mod verdict;

pub use case::{Case, ClientRecord, Ending, Known, Source};
pub use opening::opens;
pub use replay::{Progress, replay};
pub use report::{Judgement, escaped, judge, report};
pub use verdict::{Difference, Extent, Kind, Obstacle, Part, Refutation, Verdict};
