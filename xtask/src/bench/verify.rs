//! Checking an answer beside generating it, on the same node.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::node::Program;
use super::{Better, Row, Setting, lowest};

/// Length of the answer that is checked.
const ANSWER_TOKENS: u64 = 256;

/// Small models write long stories when asked for one, so that the answer is as long as it may be.
const PROMPT: &str = "Write a very long story about a lighthouse keeper, her dog, the sea, and every ship that passes.";

pub(super) fn measure(node: &Program, setting: &Setting) -> Result<Vec<Row>> {
    let node = node.up(&setting.model, setting.threads)?;
    let mut client = node.client()?;
    let model = node.model_id()?;
    let (mut generating, mut checking) = (Vec::new(), Vec::new());
    for seed in 0..setting.repeat {
        let request = json!({
            "model": model, "max_tokens": ANSWER_TOKENS, "temperature": 0.8, "seed": seed,
            "messages": [{ "role": "user", "content": PROMPT }],
        });
        let start = Instant::now();
        let answer = client.post("/v1/chat/completions", &request)?;
        generating.push(start.elapsed().as_secs_f64());
        let written = answer.body["usage"]["completion_tokens"].as_u64().unwrap_or(0);
        if written != ANSWER_TOKENS {
            bail!("the answer has {written} tokens, {ANSWER_TOKENS} are measured: choose a model that writes on");
        }
        let id = answer.headers.get("x-candor-receipt").context("the answer names no receipt")?;
        let start = Instant::now();
        let verdict = client.post(&format!("/v1/receipts/{id}/verify"), &Value::Null)?.body;
        checking.push(start.elapsed().as_secs_f64());
        if verdict["verdict"] != "held" {
            bail!("an honest answer was not held: {verdict}");
        }
    }
    let row = Row::new("verify", format!("answer of {ANSWER_TOKENS} tokens"), "s", lowest(checking));
    Ok(vec![row.beside("generating it", Some(lowest(generating)), Better::Lower)])
}
