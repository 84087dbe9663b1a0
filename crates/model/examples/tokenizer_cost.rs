//! Prints what loading a tokenizer and encoding a text cost, beside the `tokenizers` crate on the same vocabulary.
//!
//! `cargo run --release -p model --example tokenizer_cost -- MODEL.gguf TEXT [tokenizer.json]`

use std::time::Instant;

use model::gguf::Gguf;
use model::tokenizer::{Special, Tokenizer};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, text, rest @ ..] = arguments.as_slice() else {
        return Err("expected MODEL.gguf TEXT [tokenizer.json]".into());
    };
    let file = std::fs::read(model)?;
    let text = std::fs::read_to_string(text)?;
    let gguf = Gguf::parse(&file)?;
    let mut ours = None;
    report("ours: load", || ours = Some(Tokenizer::from_gguf(&gguf)));
    let ours = ours.ok_or("not loaded")??;
    report("ours: encode", || drop(ours.encode(&text, Special::Text)));
    if let [json] = rest {
        let mut theirs = None;
        report("tokenizers: load", || theirs = Some(tokenizers::Tokenizer::from_file(json)));
        let theirs = theirs.ok_or("not loaded")??;
        report("tokenizers: encode", || drop(theirs.encode_fast(text.as_str(), false)));
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "an example prints")]
fn report(what: &str, run: impl FnOnce()) {
    let start = Instant::now();
    let used = allocation_counter::measure(run);
    let (kept, most) = (used.bytes_current as f64 / 1e6, used.bytes_max as f64 / 1e6);
    println!("{what:20} {:8.1} ms  kept {kept:7.2} MB  most {most:7.2} MB", start.elapsed().as_secs_f64() * 1e3);
}
