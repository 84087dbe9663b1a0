//! llama.cpp beside us: the shared objects of the npm package `@node-llama-cpp/linux-x64`, driven by the script that the
//! project's own benchmarks use.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use super::engine::Plan;
use crate::exit::UsageError;

/// The peer's name in tables.
pub(super) const NAME: &str = "llama.cpp";

const SCRIPTS: [(&str, &str); 2] = [
    ("binding.py", include_str!("../../../../../bench/llama_cpp/binding.py")),
    ("peer.py", include_str!("../../../../../bench/llama_cpp/peer.py")),
];

/// Where npm puts the package, seen from a folder or from the project's own folder of peers.
const PLACES: [&str; 2] = [
    "node_modules/@node-llama-cpp/linux-x64/bins/linux-x64",
    "target/peers/node/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64",
];

/// An installed llama.cpp.
#[derive(Debug)]
pub(super) struct Peer {
    libraries: PathBuf,
}

/// Tokens per second.
#[derive(Debug, Clone, Copy)]
pub(super) struct Speeds {
    pub(super) prefill: f64,
    pub(super) decode: f64,
}

impl Peer {
    /// What to tell someone who has none.
    pub(super) const ADVICE: &str = "llama.cpp is not installed, so there is no ratio; \
        `npm install --ignore-scripts @node-llama-cpp/linux-x64@3.22.1` in this folder brings it";

    /// The folder that was named, else the first one that npm filled at or above the current folder.
    pub(super) fn find(named: Option<&Path>) -> anyhow::Result<Option<Self>> {
        if let Some(libraries) = named {
            if !libraries.is_dir() {
                bail!(UsageError(format!("--peer names {}, which is no folder", libraries.display())));
            }
            return Ok(Some(Self { libraries: libraries.to_owned() }));
        }
        let here = std::env::current_dir().context("the current folder cannot be named")?;
        let places = here.ancestors().flat_map(|folder| PLACES.map(|place| folder.join(place)));
        Ok(places.into_iter().find(|place| place.is_dir()).map(|libraries| Self { libraries }))
    }

    /// Runs the same cases on the same file.
    pub(super) fn measure(&self, model: &Path, threads: NonZeroUsize, plan: &Plan) -> anyhow::Result<Speeds> {
        let folder = std::env::temp_dir().join(format!("candor-peer-{}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let measured = self.measure_in(&folder, model, threads, plan);
        drop(fs::remove_dir_all(&folder));
        measured
    }

    fn measure_in(&self, folder: &Path, model: &Path, threads: NonZeroUsize, plan: &Plan) -> anyhow::Result<Speeds> {
        for (name, text) in SCRIPTS {
            fs::write(folder.join(name), text).with_context(|| format!("cannot write to {}", folder.display()))?;
        }
        let numbers = [
            ("--threads", threads.get()),
            ("--prompt", plan.prompt),
            ("--context", plan.context),
            ("--generate", plan.generate),
            ("--repeat", plan.repeat),
        ];
        let mut command = Command::new("python3");
        command.arg(folder.join("peer.py")).arg(&self.libraries).arg("speed").arg(model);
        for (name, value) in numbers {
            command.arg(name).arg(value.to_string());
        }
        let output = command.output().context("llama.cpp is measured through python3, which cannot be started")?;
        let last_line = |bytes: &[u8]| String::from_utf8_lossy(bytes).lines().last().unwrap_or_default().to_owned();
        if !output.status.success() {
            bail!("llama.cpp could not be measured: {}", last_line(&output.stderr));
        }
        let runs: Runs =
            serde_json::from_str(&last_line(&output.stdout)).context("the peer's numbers are not understood")?;
        let best = |rates: &[f64]| rates.iter().copied().fold(f64::MIN, f64::max);
        Ok(Speeds { prefill: best(&runs.prefill_tokens_per_second), decode: best(&runs.decode_tokens_per_second) })
    }
}

#[derive(Deserialize)]
struct Runs {
    prefill_tokens_per_second: Vec<f64>,
    decode_tokens_per_second: Vec<f64>,
}
