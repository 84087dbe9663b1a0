//! The program under measurement: built for release, asked for models, started as a node.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::http::Client;
use crate::command::{cargo, output, program};
use crate::layout;

/// The release build of `candor`.
pub(super) struct Program(PathBuf);

impl Program {
    pub(super) fn build() -> Result<Self> {
        output(&mut cargo(&["build", "--quiet", "--release", "--locked", "--package", "candor"]))?;
        Ok(Self(layout::root().join("target/release/candor")))
    }

    /// A command of the program.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        program(&self.0, arguments)
    }

    /// The file of a model; one known by name is fetched first if need be.
    pub(super) fn model(&self, name: &str) -> Result<PathBuf> {
        let path = Path::new(name);
        if path.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("gguf")) {
            return path.canonicalize().with_context(|| format!("cannot open {name}"));
        }
        let printed = output(&mut self.command(&["model", "pull", name, "--json"]))?;
        let place: Value = serde_json::from_str(printed.trim()).with_context(|| format!("not JSON: {printed}"))?;
        let path = place["path"].as_str().with_context(|| format!("no path in {printed}"))?;
        Ok(PathBuf::from(path))
    }

    /// Starts a node on a port of its own and waits until it can answer.
    pub(super) fn up(&self, model: &Path, threads: usize) -> Result<Node> {
        let folder = layout::peers().join(format!("node-{}", std::process::id()));
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = self.command(&["up", "--port", &port.to_string(), "--threads", &threads.to_string()]);
        command.arg("--model").arg(model).arg("--data").arg(&folder);
        let start = Instant::now();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let lines = child.stdout.take().expect("standard output was just set to be piped");
        let mut node = Node { child, folder, address: format!("127.0.0.1:{port}"), time_to_ready: Duration::ZERO };
        for line in BufReader::new(lines).lines() {
            if line?.trim_start().starts_with("ready http://") {
                node.time_to_ready = start.elapsed();
                return Ok(node);
            }
        }
        let mut error = String::new();
        if let Some(mut stderr) = node.child.stderr.take() {
            stderr.read_to_string(&mut error)?;
        }
        bail!("candor up ended before it was ready: {}", error.trim())
    }
}

/// A running node with a data folder of its own; both end with this value.
pub(super) struct Node {
    child: Child,
    folder: PathBuf,
    address: String,
    pub(super) time_to_ready: Duration,
}

impl Node {
    /// Host and port.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// A new connection.
    pub(super) fn client(&self) -> Result<Client> {
        Client::connect(&self.address)
    }

    /// The id of the model that it serves.
    pub(super) fn model_id(&self) -> Result<String> {
        let list = self.client()?.get("/v1/models")?.body;
        Ok(list["data"][0]["id"].as_str().context("the node lists no model")?.to_owned())
    }

    /// The most memory that it ever held, in bytes, mapped file pages included.
    pub(super) fn peak_memory_bytes(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("the kernel reports no peak")?;
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
        Ok(kibibytes * 1024)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // A benchmark's node has nothing to save; failing to end or to clean up one only leaves litter in target.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
