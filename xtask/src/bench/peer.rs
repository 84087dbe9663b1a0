//! llama.cpp, run by `bench/llama_cpp/peer.py`.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::command::{program, text};
use crate::layout;

/// How the peer is called in tables.
pub(super) const NAME: &str = "llama.cpp";

/// Runs one action on a model, or says nothing when the peer is not installed.
pub(super) fn run(action: &str, model: &Path, arguments: &[&str], input: &[u8]) -> Result<Option<Value>> {
    let folder = layout::llama_cpp();
    if !folder.is_dir() {
        return Ok(None);
    }
    let mut command = program("python3", &["bench/llama_cpp/peer.py"]);
    command.arg(folder).arg(action).arg(model).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {}", text(&command)))?;
    child.stdin.take().expect("standard input was just set to be piped").write_all(input)?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("{} ended with {}: {}", text(&command), output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(Some(serde_json::from_slice(&output.stdout).context("the peer printed other than JSON")?))
}

/// The numbers of a list.
pub(super) fn numbers(value: &Value) -> impl Iterator<Item = f64> {
    value.as_array().into_iter().flatten().filter_map(Value::as_f64)
}

/// The token ids of a list.
pub(super) fn tokens(value: &Value) -> Vec<u32> {
    let ids = value.as_array().into_iter().flatten().filter_map(Value::as_u64);
    ids.filter_map(|id| u32::try_from(id).ok()).collect()
}
