//! The reference: tokenizers of the `tokenizers` crate, and the same vocabularies as GGUF metadata.

use std::path::Path;

use model::gguf::{GgufWriter, Metadata};
use serde_json::Value;

use super::{CONTROL, NORMAL, UNUSED, USER_DEFINED};

/// Turns Hugging Face's `tokenizer.json` of a byte-level vocabulary into the metadata that a converter would write.
pub(crate) fn gguf_of_tokenizer_json(path: &Path, pre: &str) -> GgufWriter {
    let json: Value =
        serde_json::from_slice(&std::fs::read(path).expect("the file is there")).expect("the file is JSON");
    let entries = json["model"]["vocab"].as_object().expect("a BPE vocabulary");
    let mut tokens: Vec<(u64, &str, i32)> =
        entries.iter().map(|(token, id)| (id.as_u64().expect("an id"), token.as_str(), NORMAL)).collect();
    for added in json["added_tokens"].as_array().expect("a list of added tokens") {
        let id = added["id"].as_u64().expect("an id");
        let kind = if added["special"] == true { CONTROL } else { USER_DEFINED };
        tokens.retain(|(other, ..)| *other != id);
        tokens.push((id, added["content"].as_str().expect("a text"), kind));
    }
    let merges = json["model"]["merges"].as_array().expect("a list of merges").iter();
    let merges = merges.map(|merge| match merge {
        Value::String(pair) => pair.clone(),
        pair => format!("{} {}", pair[0].as_str().expect("a side"), pair[1].as_str().expect("a side")),
    });
    file(pre, &tokens, merges.collect())
}

/// The same for the files of GPT-2, `vocab.json` and `merges.txt`.
pub(crate) fn gguf_of_gpt2_files(vocabulary: &Path, merges: &Path) -> GgufWriter {
    let json: Value =
        serde_json::from_slice(&std::fs::read(vocabulary).expect("the file is there")).expect("the file is JSON");
    let entries = json.as_object().expect("a map from tokens to ids");
    let tokens = entries.iter().map(|(token, id)| (id.as_u64().expect("an id"), token.as_str(), NORMAL));
    let merges = std::fs::read_to_string(merges).expect("the file is there");
    let merges = merges.lines().filter(|line| !line.starts_with("#version")).map(str::to_owned);
    file("gpt-2", &tokens.collect::<Vec<_>>(), merges.collect())
}

fn file(pre: &str, entries: &[(u64, &str, i32)], merges: Vec<String>) -> GgufWriter {
    let size = entries.iter().map(|(id, ..)| id + 1).max().unwrap_or(0) as usize;
    let mut tokens: Vec<String> = (0..size).map(|id| format!("[PAD{id}]")).collect();
    let mut kinds = vec![UNUSED; size];
    for (id, token, kind) in entries {
        (*token).clone_into(&mut tokens[*id as usize]);
        kinds[*id as usize] = *kind;
    }
    let mut file = GgufWriter::new();
    file.metadata("tokenizer.ggml.model", Metadata::Text("gpt2".to_owned()));
    file.metadata("tokenizer.ggml.pre", Metadata::Text(pre.to_owned()));
    file.metadata("tokenizer.ggml.tokens", Metadata::Texts(tokens));
    file.metadata("tokenizer.ggml.token_type", Metadata::I32s(kinds));
    file.metadata("tokenizer.ggml.merges", Metadata::Texts(merges));
    file.metadata("tokenizer.ggml.add_bos_token", Metadata::Bool(false));
    file
}
