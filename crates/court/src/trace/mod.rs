//! The trace of an answer: every number that the engine made, in a tree that a contract can open.

mod layout;
mod record;
mod source;
mod table;
pub mod tree;

pub(crate) use layout::LANES;
pub use layout::{Form, Layout, NODE_WORDS, Part, Place, Shape, ShapeError, TILE_WORDS};
pub use record::{Answer, EngineTrace, TraceError, statement};
pub use source::{MOVE_BITS, Trace, levels};
pub use table::Table;
