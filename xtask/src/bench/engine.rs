//! The forward pass beside llama.cpp's, on the same file, threads and lengths. The program measures the peer itself, so
//! that a person without this tool gets the same table.

use anyhow::{Context, Result};

use super::node::Program;
use super::{Better, Row, Setting, peer};
use crate::command::output;
use crate::layout;

pub(super) fn measure(node: &Program, setting: &Setting) -> Result<Vec<Row>> {
    let (threads, repeat) = (setting.threads.to_string(), setting.repeat.to_string());
    let mut command = node.command(&["bench", "engine", "--json", "--threads", &threads, "--repeat", &repeat]);
    command.arg("--model").arg(&setting.model);
    let installed = layout::llama_cpp().is_dir();
    if installed {
        command.arg("--peer").arg(layout::llama_cpp());
    }
    let mut rows = Vec::new();
    for line in output(&mut command)?.lines() {
        let row: Row = serde_json::from_str(line).with_context(|| format!("not a row: {line}"))?;
        let compared = ["prefill 512", "decode 128"].iter().any(|case| row.case.starts_with(case));
        rows.push(if compared && !installed { row.beside(peer::NAME, None, Better::Higher) } else { row });
    }
    Ok(rows)
}
