//! The kernels on aarch64, under user-mode emulation.
//!
//! The stable toolchain on a machine may have no standard library for aarch64. Debian packages one, with the compiler
//! that it belongs to, a linker and an emulator; the kernels' own tests and the forward pass over real weights are built with them.

use anyhow::Result;

use crate::command::{cargo, output, program, run, run_lines};
use crate::test::Tally;
use crate::{layout, setup};

const TARGET: &str = "aarch64-unknown-linux-gnu";

/// Debian's compiler; the one of a Rust toolchain may come first on the search path.
const RUSTC: &str = "/usr/bin/rustc";

const PACKAGES: &str = "rustc-web libstd-rust-web-dev:arm64 gcc-aarch64-linux-gnu qemu-user";

/// Builds the tests of the kernels and of the forward pass for aarch64 and runs them.
pub(crate) fn test(tally: &mut Tally) -> Result<()> {
    install()?;
    emulate(&["--package", "arith", "--lib", "--tests"], tally)?;
    emulate(&["--package", "model", "--test", "equality", "real_weights"], tally)
}

fn emulate(tests: &[&str], tally: &mut Tally) -> Result<()> {
    let mut command = cargo(&["test", "--target", TARGET, "--ignore-rust-version", "--no-fail-fast"]);
    command
        .args(tests)
        .arg("--target-dir")
        .arg(layout::root().join("target/aarch64"))
        .env("RUSTC", RUSTC)
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc")
        // The C library of the arm64 packages, not the cross-compiler's: a loader of one and a library of the other loop
        // for ever when a thread starts.
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", "qemu-aarch64")
        .env("CANDOR_EMULATED", "1");
    run_lines(&mut command, &mut |line| tally.add(line)).map(drop)
}

fn install() -> Result<()> {
    let architectures = output(&mut program("dpkg", &["--print-foreign-architectures"]))?;
    if !architectures.lines().any(|line| line == "arm64") {
        run(&mut program("dpkg", &["--add-architecture", "arm64"]))?;
    }
    for missing in ["qemu-aarch64", "aarch64-linux-gnu-gcc", RUSTC] {
        setup::debian(missing, PACKAGES)?;
    }
    Ok(())
}
