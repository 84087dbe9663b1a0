//! Peak memory beside the model file and the KV cache.

use anyhow::Result;
use serde_json::json;

use super::gguf::Header;
use super::node::Program;
use super::{Better, Row, Setting};

const ANSWER_TOKENS: u64 = 256;
const BYTES_PER_MEBIBYTE: f64 = 1_048_576.0;

pub(super) fn measure(node: &Program, setting: &Setting) -> Result<Vec<Row>> {
    let node = node.up(&setting.model, setting.threads)?;
    let words = "The tide went out and the tide came in. ".repeat(40);
    let request = json!({
        "model": node.model_id()?, "max_tokens": ANSWER_TOKENS, "temperature": 0,
        "messages": [{ "role": "user", "content": format!("Go on with this story. {words}") }],
    });
    let usage = node.client()?.post("/v1/chat/completions", &request)?.body["usage"].clone();
    let positions = usage["total_tokens"].as_u64().unwrap_or(0);
    let file = std::fs::metadata(&setting.model)?.len();
    let cache = Header::read(&setting.model)?.kv_bytes_per_position()? * positions;
    let peak = node.peak_memory_bytes()? as f64 / BYTES_PER_MEBIBYTE;
    let least = (file + cache) as f64 / BYTES_PER_MEBIBYTE;
    let row = Row::new("memory", format!("peak after {positions} tokens"), "MiB", peak);
    Ok(vec![row.beside("model file and KV cache", Some(least), Better::Lower)])
}
