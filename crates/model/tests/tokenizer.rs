//! Tokens equal those of the reference tokenizers.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "a skipped test says so")]

use std::path::{Path, PathBuf};

use claim::TokenId;
use model::gguf::Gguf;
use model::tokenizer::{Special, Tokenizer};

fn shared() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data")
}

fn load(path: &Path) -> Tokenizer {
    let bytes = std::fs::read(path).unwrap();
    Tokenizer::from_gguf(&Gguf::parse(&bytes).unwrap()).unwrap()
}

fn ids(tokens: &[TokenId]) -> Vec<u32> {
    tokens.iter().map(|token| token.get()).collect()
}

/// The strings of a llama.cpp vector file and their tokens.
fn vectors(folder: &Path, name: &str) -> Vec<(String, Vec<u32>)> {
    let inputs = std::fs::read_to_string(folder.join(format!("ggml-vocab-{name}.gguf.inp"))).unwrap();
    let outputs = std::fs::read_to_string(folder.join(format!("ggml-vocab-{name}.gguf.out"))).unwrap();
    let inputs = inputs.split("\n__ggml_vocab_test__\n");
    let outputs = outputs.lines().map(|line| line.split_whitespace().map(|id| id.parse().unwrap()).collect());
    inputs.map(str::to_owned).zip(outputs).collect()
}

fn check_vectors(vocabulary: &Path, vector_folder: &Path, name: &str) -> usize {
    let tokenizer = load(vocabulary);
    let cases = vectors(vector_folder, name);
    for (text, expected) in &cases {
        assert_eq!(ids(&tokenizer.encode(text, Special::Text)), *expected, "{name}: {text:?}");
    }
    cases.len()
}

#[test]
fn llama_cpp_vectors() {
    let folder = shared().join("tokenizers/llama.cpp-vectors");
    if !folder.exists() {
        eprintln!("skipped: no shared data");
        return;
    }
    for name in ["gpt-2", "phi-3"] {
        let count = check_vectors(&folder.join(format!("ggml-vocab-{name}.gguf")), &folder, name);
        assert!(count >= 40, "{name} has {count} vectors");
    }
}

/// The other families' vocabularies come with llama.cpp's sources; `cargo xtask setup` can fetch them.
#[test]
fn llama_cpp_vectors_of_other_families() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers/tokenizers");
    let names = [
        "llama-bpe",
        "llama-spm",
        "qwen2",
        "qwen35",
        "command-r",
        "starcoder",
        "refact",
        "falcon",
        "mpt",
        "deepseek-coder",
        "deepseek-llm",
    ];
    for name in names {
        let vocabulary = folder.join(format!("ggml-vocab-{name}.gguf"));
        let vectors = shared().join("tokenizers/llama.cpp-vectors");
        if vocabulary.exists() && vectors.exists() {
            assert!(check_vectors(&vocabulary, &vectors, name) >= 40);
        } else {
            eprintln!("skipped: no vocabulary of {name} in target/peers/tokenizers");
        }
    }
}
