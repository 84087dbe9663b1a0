//! The kernels on aarch64, under user-mode emulation.
//!
//! The stable toolchain on a machine may have no standard library for aarch64. Debian packages one, with the compiler
//! that it belongs to, a linker and an emulator; the `arith` crate alone is built with them.

use anyhow::Result;

use crate::command::{cargo, output, program, run, run_lines};
use crate::test::Tally;
use crate::{layout, setup};

const TARGET: &str = "aarch64-unknown-linux-gnu";

/// Builds the tests of `arith` for aarch64 and runs them.
pub(crate) fn test(tally: &mut Tally) -> Result<()> {
    install()?;
    let mut command = cargo(&["test", "--package", "arith", "--target", TARGET, "--ignore-rust-version"]);
    command
        .arg("--target-dir")
        .arg(layout::root().join("target/aarch64"))
        .env("RUSTC", "/usr/bin/rustc")
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc")
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", "qemu-aarch64 -L /usr/aarch64-linux-gnu");
    run_lines(&mut command, &mut |line| tally.add(line)).map(drop)
}

fn install() -> Result<()> {
    let architectures = output(&mut program("dpkg", &["--print-foreign-architectures"]))?;
    if !architectures.lines().any(|line| line == "arm64") {
        run(&mut program("dpkg", &["--add-architecture", "arm64"]))?;
    }
    setup::debian(
        "qemu-aarch64",
        "rustc-web libstd-rust-web-dev:arm64 gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user",
    )
}
