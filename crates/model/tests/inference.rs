//! Our answers beside llama.cpp's on real models.
//!
//! Floats differ between engines, so the reference's own greedy tokens are fed to the model and every choice is compared:
//! the reference's token must be our best one, or one that is as good up to a small gap.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a test may fail by panicking, and says what it skips")]

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use arith::{Isa, Machine, Pool};
use claim::{KvType, TokenId};
use model::tokenizer::Special;
use model::{Logits, Model, Span, Workspace};
use serde_json::Value;

/// Largest gap in logits between our best token and the reference's. llama.cpp keeps activations in 8 bits as we do, but
/// with other scales, and its key-value cache rounds differently.
const GAP_MAX: f32 = 0.75;

fn shared() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data"))
}

fn tokens(case: &Value, key: &str) -> Vec<TokenId> {
    case[key].as_array().unwrap().iter().map(|id| TokenId::new(id.as_u64().unwrap() as u32)).collect()
}

fn check(model: &Path, vectors: &str) {
    let (Ok(file), Ok(text)) =
        (std::fs::read(model), std::fs::read_to_string(shared().join("vectors/inference").join(vectors)))
    else {
        println!("skipped: no shared data, or no {}", model.display());
        return;
    };
    let machine = Machine::new(Isa::detect(), Pool::new(NonZeroUsize::new(2).unwrap()));
    let model = Model::load(&file, &machine, &|_| ()).unwrap();
    let reference: Value = serde_json::from_str(&text).unwrap();
    let (mut same, mut all) = (0, 0);
    for case in reference["cases"].as_array().unwrap() {
        let (prompt, greedy) = (tokens(case, "prompt_tokens"), tokens(case, "greedy_tokens"));
        check_tokens(&model, case, &prompt);
        let mut sequence = prompt.clone();
        sequence.extend(&greedy[..greedy.len() - 1]);
        let mut cache = model.new_cache(KvType::F16);
        let logits = Logits::From(prompt.len() - 1);
        let mut span = [Span { cache: &mut cache, tokens: &sequence, logits }];
        let mut work = Workspace::default();
        let rows = model.forward(&machine, &mut work, &mut span).unwrap().chunks(model.config().vocabulary);
        for (step, (row, expected)) in rows.zip(&greedy).enumerate() {
            let best = row.iter().copied().fold(f32::MIN, f32::max);
            let gap = best - row[expected.get() as usize];
            assert!(gap <= GAP_MAX, "{vectors}: step {step} of {:?} is {gap} below our best", case["prompt"]);
            same += usize::from(gap == 0.0);
            all += 1;
        }
    }
    println!("{vectors}: {same} of {all} choices are the same");
    assert!(same * 100 >= all * 95, "{vectors}: only {same} of {all} choices are the same");
}

fn check_tokens(model: &Model, case: &Value, expected: &[TokenId]) {
    let special = if case["special_tokens_parsed"].as_bool().unwrap() { Special::Parse } else { Special::Text };
    let text = case["prompt"].as_str().unwrap();
    let mut found = model.tokenizer().encode(text, special);
    if case["bos_prepended"].as_bool().unwrap() {
        found.insert(0, model.tokenizer().bos().unwrap());
    }
    assert_eq!(found, expected, "tokens of {text:?}");
}

#[test]
fn stories_choose_as_llama_cpp_does() {
    check(&shared().join("models/stories260K.F32.gguf"), "stories260K.F32.json");
}

#[test]
fn minimind_chooses_as_llama_cpp_does() {
    check(&shared().join("models/minimind2-small.Q8_0.gguf"), "minimind2-small.Q8_0.json");
}

#[test]
fn smollm_chooses_as_llama_cpp_does() {
    let home = std::env::home_dir().unwrap_or_default();
    let model = home.join(".cache/candor/models/smollm2-135m-instruct-q4_1.gguf");
    check(&model, "smollm2-135m-instruct.Q4_1.json");
}

#[test]
fn gemma_chooses_as_llama_cpp_does() {
    let home = std::env::home_dir().unwrap_or_default();
    check(&home.join(".cache/candor/models/gemma-3-270m-q4_k_m.gguf"), "gemma-3-270m.Q4_K_M.json");
}
