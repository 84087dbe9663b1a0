//! The forward pass beside llama.cpp's, on the same file, threads and lengths.

use anyhow::{Context, Result};

use super::node::Program;
use super::{Better, Row, Setting, highest, peer};
use crate::command::output;

const PROMPT: &str = "512";
const CONTEXT: &str = "64";
const GENERATE: &str = "128";

pub(super) fn measure(node: &Program, setting: &Setting) -> Result<Vec<Row>> {
    let (threads, repeat) = (setting.threads.to_string(), setting.repeat.to_string());
    let lengths = ["--threads", &threads, "--prompt", PROMPT, "--context", CONTEXT, "--generate", GENERATE];
    let mut command = node.command(&["bench", "engine", "--json"]);
    let printed = output(command.arg("--model").arg(&setting.model).args(lengths).args(["--repeat", &repeat]))?;
    let theirs = peer::run("speed", &setting.model, &[&lengths[..], &["--repeat", &repeat]].concat(), &[])?;
    let rate = |key: &str| theirs.as_ref().map(|found| highest(peer::numbers(&found[key])));
    let mut rows = Vec::new();
    for line in printed.lines() {
        let row: Row = serde_json::from_str(line).with_context(|| format!("not a row: {line}"))?;
        rows.push(match row.case.split(' ').next() {
            Some("prefill") => row.beside(peer::NAME, rate("prefill_tokens_per_second"), Better::Higher),
            Some("decode") => row.beside(peer::NAME, rate("decode_tokens_per_second"), Better::Higher),
            _ => row,
        });
    }
    Ok(rows)
}
