//! Latency and throughput with a model so small that all else is what costs.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::json;

use super::node::{Node, Program};
use super::{Row, Setting};
use crate::command::{cargo, is_installed, output, program};
use crate::layout;

/// Requests one after the other, for the latency.
const SEQUENTIAL: usize = 2_000;
/// Open connections and seconds, for the throughput.
const CONNECTIONS: &str = "32";
const SECONDS: &str = "10s";

pub(super) fn measure(node: &Program, setting: &Setting) -> Result<Vec<Row>> {
    let model = tiny_model()?;
    let node = node.up(&model, setting.threads)?;
    let mut rows = latency(&node)?;
    rows.extend(throughput(&node)?);
    Ok(rows)
}

/// A random model of one layer, written by the `specimen` crate.
fn tiny_model() -> Result<PathBuf> {
    let path = layout::peers().join("models/tiny.gguf");
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let example = ["run", "--quiet", "--release", "--locked", "--package", "specimen", "--example", "tiny", "--"];
    output(cargo(&example).arg(&path))?;
    Ok(path)
}

/// The request of both measurements: one prompt token, one answer token, no randomness.
fn request(model: &str) -> serde_json::Value {
    json!({ "model": model, "prompt": "a", "max_tokens": 1, "temperature": 0 })
}

fn latency(node: &Node) -> Result<Vec<Row>> {
    let request = request(&node.model_id()?);
    let mut client = node.client()?;
    let mut times = Vec::with_capacity(SEQUENTIAL);
    for _ in 0..SEQUENTIAL {
        let start = Instant::now();
        client.post("/v1/completions", &request)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let at = |share: usize| times[times.len() * share / 100];
    Ok([50, 99].map(|share| Row::new("gateway", format!("one connection, p{share}"), "ms", at(share))).into())
}

/// Requests per second by wrk, a load generator that takes little of the two cores.
fn throughput(node: &Node) -> Result<Vec<Row>> {
    if !is_installed("wrk") {
        println!("wrk is missing: cargo xtask setup --benchmarks");
        return Ok(Vec::new());
    }
    let mut rows = vec![];
    for (case, path, body) in [
        ("answers with receipts", "/v1/completions", Some(request(&node.model_id()?).to_string())),
        ("health checks", "/healthz", None),
    ] {
        rows.push(Row::new(
            "gateway",
            format!("{CONNECTIONS} connections, {case}"),
            "requests/s",
            wrk(node, path, body)?,
        ));
    }
    Ok(rows)
}

fn wrk(node: &Node, path: &str, body: Option<String>) -> Result<f64> {
    let url = format!("http://{}{path}", node.address());
    let mut command =
        program("wrk", &["--threads", "1", "--connections", CONNECTIONS, "--duration", SECONDS, "--script"]);
    command.args(["bench/wrk/post.lua", &url]);
    if let Some(body) = body {
        command.arg("--").arg(body);
    }
    let printed = output(&mut command)?;
    let line = |name: &str| printed.lines().find_map(|line| line.trim().strip_prefix(name).map(str::trim));
    if let Some(refused) = line("Non-2xx or 3xx responses:") {
        anyhow::bail!("{refused} of the requests to {path} were refused: {printed}");
    }
    let rate = line("Requests/sec:").with_context(|| format!("no rate in what wrk printed: {printed}"))?;
    Ok(rate.parse()?)
}
