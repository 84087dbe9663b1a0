//! CA-1, checked against implementations that share nothing with the crate but `docs/arithmetic.md`.

#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(clippy::print_stdout, reason = "tests say what they measured")]

mod attention;
mod blocks;
mod elementwise;
mod functions;
mod pool;
mod products;

use std::num::NonZeroUsize;

use arith::{Isa, Machine, Pool};

fn machine(isa: Isa, threads: usize) -> Machine {
    Machine::new(isa, Pool::new(NonZeroUsize::new(threads).unwrap()))
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|v| v.to_bits()).collect()
}
