//! Greedy answers to twenty prompts beside llama.cpp's, for a person to read.

use anyhow::{Context, Result};
use serde_json::json;

use super::node::Program;
use super::perplexity::prompt_of;
use super::{Better, Row, Setting, peer};

const ANSWER_TOKENS: usize = 64;

const PROMPTS: [&str; 20] = [
    "What is the capital of France?",
    "Why is the sky blue?",
    "Explain photosynthesis to a child.",
    "Write a haiku about autumn.",
    "What is 17 plus 25?",
    "List three uses of a paper clip.",
    "Translate to French: Good morning, my friend.",
    "Who wrote Romeo and Juliet?",
    "What does a compiler do?",
    "Give me a recipe for pancakes.",
    "What is the difference between weather and climate?",
    "Describe the taste of a lemon.",
    "How do I tie a shoelace?",
    "Name four planets of the solar system.",
    "Write one sentence that begins with the word Suddenly.",
    "Is a tomato a fruit or a vegetable?",
    "What happens when water freezes?",
    "Give a synonym for happy and use it in a sentence.",
    "Why do we sleep?",
    "Write a short letter that thanks a neighbour for the loan of a ladder.",
];

/// One prompt with both answers.
struct Pair {
    prompt: &'static str,
    input: Vec<u32>,
    ours: Answer,
    theirs: Option<Answer>,
}

struct Answer {
    text: String,
    output: Vec<u32>,
}

pub(super) fn measure(node: &Program, setting: &Setting, print: bool) -> Result<Vec<Row>> {
    let mut pairs = ours(node, setting)?;
    let inputs = serde_json::to_vec(&pairs.iter().map(|pair| &pair.input).collect::<Vec<_>>())?;
    let (threads, length) = (setting.threads.to_string(), ANSWER_TOKENS.to_string());
    let arguments = ["--threads", &threads, "--generate", &length];
    if let Some(found) = peer::run("greedy", &setting.model, &arguments, &inputs)? {
        for (pair, answer) in pairs.iter_mut().zip(found["answers"].as_array().context("the peer gave no answers")?) {
            let text = answer["text"].as_str().unwrap_or_default().to_owned();
            pair.theirs = Some(Answer { text, output: peer::tokens(&answer["output"]) });
        }
    }
    if print {
        println!("{}", markdown(&pairs));
    }
    Ok(pairs.iter().map(row).collect())
}

fn ours(node: &Program, setting: &Setting) -> Result<Vec<Pair>> {
    let node = node.up(&setting.model, setting.threads)?;
    let (model, mut client) = (node.model_id()?, node.client()?);
    let mut pairs = Vec::new();
    for prompt in PROMPTS {
        let messages = json!([{ "role": "user", "content": prompt }]);
        let request = json!({ "model": model, "messages": messages, "max_tokens": ANSWER_TOKENS, "temperature": 0 });
        let answer = client.post("/v1/chat/completions", &request)?;
        let id = answer.headers.get("x-candor-receipt").context("the answer names no receipt")?;
        let receipt = client.get(&format!("/v1/receipts/{id}"))?.body;
        let text = answer.body["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned();
        let output = peer::tokens(&receipt["evidence"]["output"]);
        pairs.push(Pair { prompt, input: prompt_of(&receipt)?, ours: Answer { text, output }, theirs: None });
    }
    Ok(pairs)
}

/// How many tokens from the first on are the same. Other arithmetic draws another token wherever two are nearly as
/// likely, so fewer is not worse; what counts is how the texts read.
fn row(pair: &Pair) -> Row {
    let row = |count: usize| Row::new("side-by-side", pair.prompt, "equal tokens from the first", count as f64);
    match &pair.theirs {
        None => row(0).beside(peer::NAME, None, Better::Higher),
        Some(theirs) => {
            let same = pair.ours.output.iter().zip(&theirs.output).take_while(|(ours, theirs)| ours == theirs).count();
            row(same).beside(peer::NAME, Some(theirs.output.len() as f64), Better::Higher)
        }
    }
}

fn markdown(pairs: &[Pair]) -> String {
    let cell = |text: &str| text.trim().replace('|', "\\|").replace('\n', "<br>");
    let line = |pair: &Pair| {
        let theirs = pair.theirs.as_ref().map_or_else(|| "missing".to_owned(), |theirs| cell(&theirs.text));
        format!("| {} | {} | {theirs} |", pair.prompt, cell(&pair.ours.text))
    };
    let heading = format!("| prompt | Candor | {} |\n|---|---|---|", peer::NAME);
    [heading].into_iter().chain(pairs.iter().map(line)).collect::<Vec<_>>().join("\n")
}
