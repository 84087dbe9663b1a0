//! The operations as kernels: each written once over [`crate::lanes::Lanes`], beside the call of its portable reference.

pub(crate) mod attention;
pub(crate) mod element;
pub(crate) mod elementwise;
pub(crate) mod format;
pub(crate) mod functions;
pub(crate) mod matmul;
pub(crate) mod quantise;
pub(crate) mod rope;
pub(crate) mod tiled;
