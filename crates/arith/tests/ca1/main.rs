//! CA-1, checked against implementations that share nothing with the crate but `docs/arithmetic.md`.

#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(clippy::print_stdout, reason = "tests say what they measured")]

mod attention;
mod blocks;
mod elementwise;
mod functions;
mod pool;
mod products;
mod vectors;

use std::num::NonZeroUsize;

use arith::{Isa, Machine, Pool};

fn machine(isa: Isa, threads: usize) -> Machine {
    Machine::new(isa, Pool::new(NonZeroUsize::new(threads).unwrap()))
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn instruction_sets_are_named_and_found_again() {
    let all = Isa::available();
    println!("instruction sets: {}", all.iter().map(|isa| isa.name()).collect::<Vec<_>>().join(", "));
    assert_eq!(all.first(), Some(&Isa::detect()));
    assert_eq!(all.last(), Some(&Isa::portable()));
    assert!(all.iter().all(|isa| Isa::named(isa.name()) == Some(*isa)));
    assert_eq!(Isa::named("abacus"), None);
}

/// Whether the slow suite was asked for.
fn slow() -> bool {
    std::env::var("CANDOR_SLOW").is_ok_and(|v| v == "1")
}

/// Cases of a property test. Emulation is some thirty times slower, so it gets fewer, and the slow suite gets more.
fn cases(n: u32) -> proptest::prelude::ProptestConfig {
    let emulated = std::env::var("CANDOR_EMULATED").is_ok_and(|v| v == "1");
    proptest::prelude::ProptestConfig::with_cases(if slow() {
        20 * n
    } else if emulated {
        n.div_ceil(8)
    } else {
        n
    })
}
