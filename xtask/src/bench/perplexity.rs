//! Perplexity of a text beside llama.cpp's, on the same tokens and windows.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::http::Client;
use super::node::Program;
use super::{Better, Row, Setting, peer};

/// Positions of a window; its second half is scored, so that each scored token has at least half a window before it.
const WINDOW: usize = 512;
const WINDOWS: usize = 16;
/// A piece of text of this many bytes fills a window of any tokenizer that takes five bytes a token or fewer.
const PIECE_BYTES: usize = 2600;

pub(super) fn measure(node: &Program, setting: &Setting) -> Result<Vec<Row>> {
    let text = std::fs::read(&setting.text).with_context(|| format!("cannot read {}", setting.text.display()))?;
    let node = node.up(&setting.model, setting.threads)?;
    let (model, mut client) = (node.model_id()?, node.client()?);
    let mut windows = Vec::new();
    let mut sum = 0.0;
    for piece in text.chunks_exact(PIECE_BYTES).take(WINDOWS) {
        let mut tokens = tokens(&mut client, &model, &String::from_utf8_lossy(piece))?;
        if tokens.len() < WINDOW {
            bail!("{PIECE_BYTES} bytes of the text are only {} tokens, a window is {WINDOW}", tokens.len());
        }
        tokens.truncate(WINDOW);
        sum += surprise(&mut client, &model, &tokens)?;
        windows.push(tokens);
    }
    drop(node);
    let scored = windows.len() * (WINDOW / 2 - 1);
    let threads = setting.threads.to_string();
    let input = serde_json::to_vec(&windows)?;
    let theirs = peer::run("perplexity", &setting.model, &["--threads", &threads], &input)?;
    let theirs = theirs.and_then(|found| found["perplexity"].as_f64());
    let case = format!("{scored} tokens of {}", setting.text.file_name().unwrap_or_default().display());
    let row = Row::new("perplexity", case, "perplexity", (sum / scored as f64).exp());
    Ok(vec![row.beside(peer::NAME, theirs, Better::Lower)])
}

/// The tokens of a text, as the receipt of an answer to it lists them.
fn tokens(client: &mut Client, model: &str, text: &str) -> Result<Vec<u32>> {
    let request = json!({ "model": model, "prompt": text, "max_tokens": 1, "temperature": 0 });
    let answer = client.post("/v1/completions", &request)?;
    let id = answer.headers.get("x-candor-receipt").context("the answer names no receipt")?;
    prompt_of(&client.get(&format!("/v1/receipts/{id}"))?.body)
}

/// The prompt's tokens in a receipt with evidence.
pub(super) fn prompt_of(receipt: &Value) -> Result<Vec<u32>> {
    let segments = receipt["evidence"]["prompt"].as_array().context("the receipt has no evidence")?;
    Ok(segments.iter().flat_map(|segment| peer::tokens(&segment["tokens"])).collect())
}

/// The negative log likelihood of a window's second half, its first token excepted: that one is given.
fn surprise(client: &mut Client, model: &str, window: &[u32]) -> Result<f64> {
    let request = json!({ "model": model, "prompt": window, "max_tokens": 0, "echo": true, "logprobs": 0 });
    let answer = client.post("/v1/completions", &request)?.body;
    let scored = peer::numbers(&answer["choices"][0]["logprobs"]["token_logprobs"]).collect::<Vec<_>>();
    // The first token of a prompt has no probability, so the list of numbers is one shorter than the window.
    if scored.len() != window.len() - 1 {
        bail!("{} of {} prompt tokens have a log probability", scored.len(), window.len() - 1);
    }
    Ok(-scored[window.len() / 2..].iter().sum::<f64>())
}
