//! CA-1, the canonical arithmetic: a portable reference and one file per instruction set.
//!
//! Every output element of every operation here is one fixed expression tree that hangs only on shapes and on the token's
//! absolute position. Threads, batch size, instruction set and machine choose how fast the tree is walked and never which
//! tree it is, so results are equal to the last bit everywhere. `docs/arithmetic.md` is the normative text;
//! [`portable`] is the same text as code; the other instruction sets must equal it bit for bit.
//!
//! Letters used for shapes: T tokens, R rows of a weight matrix, C its columns, B blocks of a row.

mod activations;
mod attention;
mod environment;
mod fault;
mod isa;
// Its macros are for the kernels.
#[macro_use]
mod lanes;
mod kernel;
mod layout;
mod machine;
mod matrix;
mod memory;
mod pack;
mod page;
mod pool;
pub mod portable;
mod shared;
mod weight;

pub use activations::Activations;
pub use attention::{AttentionShape, Query};
pub use fault::Fault;
pub use isa::Isa;
pub use machine::{Machine, RopeStyle};
pub use matrix::{Matrix, PackError};
pub use memory::Arena;
pub use page::{KvFormat, KvPage, PAGE_POSITIONS};
pub use pool::Pool;
pub use weight::{ActivationKind, WeightType};
