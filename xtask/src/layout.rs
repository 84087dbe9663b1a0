//! Where things lie in the working tree.

use std::path::{Path, PathBuf};

/// The root of the workspace. This tool is built from source in place, so the path of its manifest is the answer.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the manifest lies in a folder of the workspace")
}

/// What tests and benchmarks compare with; made by `cargo xtask setup`, never committed.
pub(crate) fn peers() -> PathBuf {
    root().join("target/peers")
}

/// Programs of the Python environment among the peers.
pub(crate) fn python_programs() -> PathBuf {
    peers().join("python/bin")
}

/// Its interpreter.
pub(crate) fn python() -> PathBuf {
    python_programs().join("python")
}

/// The Node.js packages among the peers.
pub(crate) fn node() -> PathBuf {
    peers().join("node")
}

/// llama.cpp's shared objects.
pub(crate) fn llama_cpp() -> PathBuf {
    node().join("node_modules/@node-llama-cpp/linux-x64/bins/linux-x64")
}

/// What forge leaves behind while it compiles and tests the contracts.
pub(crate) fn contracts_out() -> PathBuf {
    root().join("target/contracts")
}

/// The npm package that holds a program of Foundry for this kind of machine.
pub(crate) fn foundry_package(name: &str) -> String {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    format!("@foundry-rs/{name}-linux-{architecture}")
}

/// A program of Foundry.
pub(crate) fn foundry(name: &str) -> PathBuf {
    node().join("node_modules").join(foundry_package(name)).join("bin").join(name)
}
