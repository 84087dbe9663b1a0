//! The machine that computes: instruction set and threads.

use std::num::NonZeroUsize;

use arith::{Isa, Machine, Pool};

use crate::environment::Environment;
use crate::exit::UsageError;

/// The machine for the threads that were asked for, else all cores, with the instruction set that the environment forces.
pub(crate) fn build(threads: Option<NonZeroUsize>, environment: &Environment) -> anyhow::Result<Machine> {
    let threads = match threads {
        Some(threads) => threads,
        None => std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
    };
    Ok(Machine::new(instruction_set(environment)?, Pool::new(threads)))
}

fn instruction_set(environment: &Environment) -> anyhow::Result<Isa> {
    let Some(name) = &environment.isa else { return Ok(Isa::detect()) };
    Isa::named(name).ok_or_else(|| {
        let known = Isa::available().iter().map(|isa| isa.name()).collect::<Vec<_>>().join(", ");
        UsageError(format!("CANDOR_ISA is `{name}`, which this machine does not have; it has {known}")).into()
    })
}
