//! What several tests of this crate need: shared files, and small vocabularies made on the spot.
#![expect(dead_code, reason = "each test binary uses its own part of this module")]

pub(crate) mod reference;

use std::path::{Path, PathBuf};

use model::gguf::{Gguf, GgufWriter, Metadata};
use model::tokenizer::Tokenizer;

/// The data that is shared between projects; a test without it is skipped.
pub(crate) fn shared() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if !folder.exists() {
        note("skipped: no shared data");
        return None;
    }
    Some(folder)
}

/// A file that `cargo xtask setup` fetches for comparison; a test without it is skipped.
pub(crate) fn peer(path: &str) -> Option<PathBuf> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers").join(path);
    if !file.exists() {
        note(&format!("skipped: no target/peers/{path}"));
        return None;
    }
    Some(file)
}

/// A model of the cache that the program itself fills.
pub(crate) fn cached_model(name: &str) -> Option<PathBuf> {
    let home = std::env::var_os("HOME")?;
    let file = Path::new(&home).join(".cache/candor/models").join(name);
    if !file.exists() {
        note(&format!("skipped: no model {name} in the cache"));
        return None;
    }
    Some(file)
}

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn note(text: &str) {
    eprintln!("{text}");
}

/// The kinds of tokens, as GGUF numbers them.
pub(crate) const NORMAL: i32 = 1;
pub(crate) const UNKNOWN: i32 = 2;
pub(crate) const CONTROL: i32 = 3;
pub(crate) const USER_DEFINED: i32 = 4;
pub(crate) const UNUSED: i32 = 5;
pub(crate) const BYTE: i32 = 6;

/// How a byte-level vocabulary writes a byte.
pub(crate) fn written_byte(byte: u8) -> char {
    let shown = matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    if shown {
        return char::from(byte);
    }
    let hidden_before = (0..byte).filter(|byte| !matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff)).count();
    char::from_u32(0x100 + hidden_before as u32).expect("U+0100 to U+0143 are characters")
}

/// Metadata of a byte-level vocabulary: the 256 bytes, then the merges' results, then the special tokens.
pub(crate) fn byte_level(pre: &str, merges: &[(&str, &str)], special: &[(&str, i32)]) -> GgufWriter {
    let mut tokens: Vec<String> = (0..=255).map(|byte| written_byte(byte).to_string()).collect();
    let joined = merges.iter().map(|(left, right)| format!("{left}{right}"));
    for token in joined {
        if !tokens.contains(&token) {
            tokens.push(token);
        }
    }
    let mut kinds = vec![NORMAL; tokens.len()];
    for (name, kind) in special {
        tokens.push((*name).to_owned());
        kinds.push(*kind);
    }
    let mut file = GgufWriter::new();
    file.metadata("tokenizer.ggml.model", Metadata::Text("gpt2".to_owned()));
    file.metadata("tokenizer.ggml.pre", Metadata::Text(pre.to_owned()));
    file.metadata("tokenizer.ggml.tokens", Metadata::Texts(tokens));
    file.metadata("tokenizer.ggml.token_type", Metadata::I32s(kinds));
    let merges = merges.iter().map(|(left, right)| format!("{left} {right}")).collect();
    file.metadata("tokenizer.ggml.merges", Metadata::Texts(merges));
    file
}

/// A byte-level tokenizer whose start and end tokens have these names.
pub(crate) fn tokenizer_with_names(bos: &str, eos: &str, others: &[(&str, i32)]) -> Tokenizer {
    let mut special = vec![(bos, CONTROL)];
    if eos != bos {
        special.push((eos, CONTROL));
    }
    let eos_token = 256 + special.len() as u32 - 1;
    special.extend(others.iter().filter(|(name, _)| *name != bos && *name != eos));
    let mut file = byte_level("gpt-2", &[], &special);
    file.metadata("tokenizer.ggml.bos_token_id", Metadata::U32(256));
    file.metadata("tokenizer.ggml.eos_token_id", Metadata::U32(eos_token));
    tokenizer(&file)
}

/// The tokenizer of a file made on the spot.
pub(crate) fn tokenizer(file: &GgufWriter) -> Tokenizer {
    let bytes = file.to_bytes();
    let gguf = Gguf::parse(&bytes).expect("the writer writes what the reader reads");
    Tokenizer::from_gguf(&gguf).expect("the vocabulary is complete")
}
