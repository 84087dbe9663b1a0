//! CA-1, the canonical arithmetic: a portable reference and one file per instruction set.
