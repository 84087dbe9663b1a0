//! CA-1 in plain loops: the specification as code. Every other instruction set must equal it bit for bit.
//!
//! Nothing here is tuned. Read it beside `docs/arithmetic.md`: same sections, same order.

mod attention;
pub(crate) mod constants;
mod functions;
mod matmul;
mod row;
mod sampling;
mod vector;

pub(crate) use attention::attention;
pub use functions::{exp, gelu, sigmoid, silu, tanh};
pub(crate) use matmul::matmul;
pub use matmul::product_run;
pub(crate) use row::row;
pub use sampling::{argmax, max, sample_weights};
pub(crate) use sampling::{check_sampling, weights};
pub(crate) use vector::{AMAX_MIN, quantise, rms_norm, rope};
pub use vector::{fold, vector_sum};
