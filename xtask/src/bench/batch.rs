//! Eight requests at once beside one.

use std::time::Instant;

use anyhow::{Result, bail};
use serde_json::json;

use super::node::{Node, Program};
use super::{Better, Row, Setting, highest, peer};

const REQUESTS: usize = 8;
const ANSWER_TOKENS: u64 = 128;

pub(super) fn measure(node: &Program, setting: &Setting) -> Result<Vec<Row>> {
    let node = node.up(&setting.model, setting.threads)?;
    let model = node.model_id()?;
    let (mut alone, mut together) = (Vec::new(), Vec::new());
    for round in 0..setting.repeat {
        alone.push(rate(&node, &model, round, 1)?);
        together.push(rate(&node, &model, round, REQUESTS)?);
    }
    drop(node);
    let (threads, sequences) = (setting.threads.to_string(), REQUESTS.to_string());
    let arguments = ["--threads", &threads, "--sequences", &sequences, "--generate", "128"];
    let theirs = peer::run("batch", &setting.model, &arguments, &[])?;
    let theirs = theirs.and_then(|found| found["tokens_per_second"][sequences.as_str()].as_f64());
    let (alone, together) = (highest(alone), highest(together));
    Ok(vec![
        Row::new("batch", "8 requests", "tokens/s", together).beside("one request", Some(alone), Better::Higher),
        Row::new("batch", "8 requests", "tokens/s", together).beside(peer::NAME, theirs, Better::Higher),
    ])
}

/// Tokens per second of some requests at once, their prompts read included.
fn rate(node: &Node, model: &str, round: usize, requests: usize) -> Result<f64> {
    let start = Instant::now();
    let ask = |number: usize| -> Result<u64> {
        let prompt = format!("Tell a very long story about traveller number {} of caravan {round}.", number + 1);
        let request = json!({
            "model": model, "max_tokens": ANSWER_TOKENS, "temperature": 0.8, "seed": number,
            "messages": [{ "role": "user", "content": prompt }],
        });
        let answer = node.client()?.post("/v1/chat/completions", &request)?;
        Ok(answer.body["usage"]["completion_tokens"].as_u64().unwrap_or(0))
    };
    let written = std::thread::scope(|scope| -> Result<u64> {
        let ask = &ask;
        let running: Vec<_> = (0..requests).map(|number| scope.spawn(move || ask(number))).collect();
        let mut total = 0;
        for answer in running {
            total += answer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        Ok(total)
    })?;
    if written == 0 {
        bail!("{requests} requests were answered with no token");
    }
    Ok(written as f64 / start.elapsed().as_secs_f64())
}
