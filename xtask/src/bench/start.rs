//! Seconds from the command to the ready line, the model file being at hand.

use anyhow::Result;

use super::node::Program;
use super::{Better, Row, Setting, lowest, peer};

pub(super) fn measure(node: &Program, setting: &Setting) -> Result<Vec<Row>> {
    let mut times = Vec::new();
    for _ in 0..setting.repeat {
        times.push(node.up(&setting.model, setting.threads)?.time_to_ready.as_secs_f64());
    }
    let theirs = peer::run("load", &setting.model, &["--repeat", &setting.repeat.to_string()], &[])?;
    let theirs = theirs.map(|found| lowest(peer::numbers(&found["load_seconds"])));
    let row = Row::new("start", "candor up to ready", "s", lowest(times));
    Ok(vec![row.beside("llama.cpp's load of the model", theirs, Better::Lower)])
}
