//! Text through both kinds of tokenizer and back.

#![no_main]

use std::sync::LazyLock;

use claim::TokenId;
use libfuzzer_sys::fuzz_target;
use model::gguf::{Gguf, GgufWriter, Metadata};
use model::tokenizer::{Special, TextStream, Tokenizer};

const TEXT_TOKEN: i32 = 1;
const UNKNOWN_TOKEN: i32 = 2;
const CONTROL_TOKEN: i32 = 3;
const BYTE_TOKEN: i32 = 6;

static BYTE_PAIRS: LazyLock<[Tokenizer; 4]> =
    LazyLock::new(|| ["gpt-2", "llama-bpe", "qwen2", "smollm"].map(byte_pairs));
static PIECES: LazyLock<Tokenizer> = LazyLock::new(pieces);

/// A byte-level tokenizer with a few merges, so that pairs compete.
fn byte_pairs(splitting: &str) -> Tokenizer {
    let mut stand_in = 255;
    let mut tokens: Vec<String> = (0..=255_u32)
        .map(|byte| match byte {
            0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff => byte,
            _ => {
                stand_in += 1;
                stand_in
            }
        })
        .map(|code| char::from_u32(code).expect("no surrogate is below 512").to_string())
        .collect();
    let merges = ["t h", "h e", "th e", "\u{120} t", "\u{120}t he", "a a", "aa aa", "1 2", "\u{c3} \u{a9}"];
    tokens.extend(merges.map(|merge| merge.replace(' ', "")));
    let mut kinds = vec![TEXT_TOKEN; tokens.len()];
    tokens.extend(["<|im_start|>", "<|im_end|>"].map(str::to_owned));
    kinds.extend([CONTROL_TOKEN; 2]);
    let mut file = GgufWriter::new();
    let mut text = |key: &str, value: &str| file.metadata(key, Metadata::Text(value.to_owned()));
    text("tokenizer.ggml.model", "gpt2");
    text("tokenizer.ggml.pre", splitting);
    file.metadata("tokenizer.ggml.tokens", Metadata::Texts(tokens));
    file.metadata("tokenizer.ggml.token_type", Metadata::I32s(kinds));
    file.metadata("tokenizer.ggml.merges", Metadata::Texts(merges.map(str::to_owned).to_vec()));
    file.metadata("tokenizer.ggml.eos_token_id", Metadata::U32(266));
    load(&file)
}

/// A `SentencePiece` tokenizer with byte fallback.
fn pieces() -> Tokenizer {
    let mut tokens = ["<unk>", "<s>", "</s>"].map(str::to_owned).to_vec();
    let mut kinds = vec![UNKNOWN_TOKEN, CONTROL_TOKEN, CONTROL_TOKEN];
    tokens.extend((0..=255).map(|byte| format!("<0x{byte:02X}>")));
    kinds.resize(tokens.len(), BYTE_TOKEN);
    let words = ["\u{2581}", "t", "h", "e", "th", "the", "\u{2581}the", "a", "aa", "\u{e9}", "\u{2581}\u{2581}"];
    tokens.extend(words.map(str::to_owned));
    kinds.resize(tokens.len(), TEXT_TOKEN);
    let scores = (0..tokens.len()).map(|index| -(index as f32)).collect();
    let mut file = GgufWriter::new();
    file.metadata("tokenizer.ggml.model", Metadata::Text("llama".to_owned()));
    file.metadata("tokenizer.ggml.tokens", Metadata::Texts(tokens));
    file.metadata("tokenizer.ggml.token_type", Metadata::I32s(kinds));
    file.metadata("tokenizer.ggml.scores", Metadata::F32s(scores));
    file.metadata("tokenizer.ggml.bos_token_id", Metadata::U32(1));
    file.metadata("tokenizer.ggml.eos_token_id", Metadata::U32(2));
    file.metadata("tokenizer.ggml.unknown_token_id", Metadata::U32(0));
    load(&file)
}

fn load(file: &GgufWriter) -> Tokenizer {
    let bytes = file.to_bytes();
    let gguf = Gguf::parse(&bytes).expect("the writer writes what the reader reads");
    Tokenizer::from_gguf(&gguf).expect("the vocabulary is whole")
}

fn check_stream(tokenizer: &Tokenizer, tokens: &[TokenId]) {
    let mut stream = TextStream::new();
    let mut text: String = tokens.iter().map(|token| stream.push(tokenizer, *token)).collect();
    text.push_str(&stream.finish());
    let bytes: Vec<u8> = tokens
        .iter()
        .filter(|token| !tokenizer.is_control(**token))
        .flat_map(|token| tokenizer.token_bytes(*token).to_vec())
        .collect();
    assert_eq!(text, String::from_utf8_lossy(&bytes), "a stream gives the same text as all bytes at once");
}

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    for tokenizer in BYTE_PAIRS.iter() {
        let tokens = tokenizer.encode(&text, Special::Text);
        assert!(tokens.iter().all(|token| !tokenizer.is_control(*token)), "a person's text holds no control token");
        assert_eq!(tokenizer.decode(&tokens), text.as_bytes(), "byte-level tokens lose nothing");
        check_stream(tokenizer, &tokenizer.encode(&text, Special::Parse));
    }
    let tokens = PIECES.encode(&text, Special::Text);
    assert!(tokens.iter().all(|token| !PIECES.is_control(*token)), "a person's text holds no control token");
    check_stream(&PIECES, &tokens);
    // Any list of tokens has a text, also one that no encoder would make.
    let any: Vec<TokenId> =
        bytes.iter().map(|byte| TokenId::new(u32::from(*byte) % PIECES.vocab_size() as u32)).collect();
    check_stream(&PIECES, &any);
});
