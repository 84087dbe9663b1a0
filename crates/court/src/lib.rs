//! Replay of receipts: Held, Refuted or Cannot, with zero tolerance.
//!
//! An answer is a claim: this model, on this prompt, with this sampling and seed, says these tokens. The court settles it
//! by computing it again. Because the arithmetic gives the same bits everywhere, there is no threshold to tune and no
//! honest host to accuse by mistake.

mod replay;
mod verdict;

pub use replay::{Case, ClientRecord, Known, Progress, replay};
pub use verdict::{Difference, Extent, Kind, Obstacle, Refutation, Verdict};
