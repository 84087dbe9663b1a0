//! The one arithmetic error.

/// An operation met, or would have made, a number that CA-1 does not have: NaN or an infinity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{operation} met a number that is not finite at element {index}")]
pub struct Fault {
    /// The operation, by its name in `docs/arithmetic.md`.
    pub operation: &'static str,
    /// Index of the first offending element in the operation's input, as the operation's own documentation lays it out.
    pub index: usize,
}

impl Fault {
    /// The fault of the first element of `x` that is not finite, if there is one.
    pub(crate) fn find(operation: &'static str, x: &[f32]) -> Option<Self> {
        x.iter().position(|v| !v.is_finite()).map(|index| Self { operation, index })
    }
}
