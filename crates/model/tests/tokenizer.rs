//! What a tokenizer promises for every vocabulary and every text: checked on small vocabularies made for the purpose.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use claim::TokenId;
use model::gguf::{Gguf, GgufWriter, Metadata};
use model::tokenizer::{Special, TextStream, Tokenizer, TokenizerError};
use proptest::prelude::*;
use support::{BYTE, CONTROL, NORMAL, UNKNOWN, UNUSED, USER_DEFINED, byte_level, tokenizer};

fn ids(tokens: &[TokenId]) -> Vec<u32> {
    tokens.iter().map(|token| token.get()).collect()
}

fn token_texts(tokenizer: &Tokenizer, tokens: &[TokenId]) -> Vec<String> {
    tokens.iter().map(|&token| String::from_utf8_lossy(tokenizer.token_bytes(token)).into_owned()).collect()
}

/// Metadata of a vocabulary of scored pieces: unknown, start, end, the bytes, then these pieces.
fn scored(pieces: &[(&str, f32, i32)]) -> GgufWriter {
    let mut tokens = vec!["<unk>".to_owned(), "<s>".to_owned(), "</s>".to_owned()];
    let mut kinds = vec![UNKNOWN, CONTROL, CONTROL];
    let mut scores = vec![0.0; 3];
    for byte in 0..=255_u8 {
        tokens.push(format!("<0x{byte:02X}>"));
        kinds.push(BYTE);
        scores.push(0.0);
    }
    for (piece, score, kind) in pieces {
        tokens.push((*piece).to_owned());
        kinds.push(*kind);
        scores.push(*score);
    }
    let mut file = GgufWriter::new();
    file.metadata("tokenizer.ggml.model", Metadata::Text("llama".to_owned()));
    file.metadata("tokenizer.ggml.tokens", Metadata::Texts(tokens));
    file.metadata("tokenizer.ggml.token_type", Metadata::I32s(kinds));
    file.metadata("tokenizer.ggml.scores", Metadata::F32s(scores));
    file
}

/// The plain way to merge: look at all neighbours, join the best and leftmost, begin again.
fn merge_slowly(mut parts: Vec<String>, rank: impl Fn(&str, &str) -> Option<i64>) -> Vec<String> {
    loop {
        let pairs = parts.windows(2).enumerate().filter_map(|(at, pair)| Some((rank(&pair[0], &pair[1])?, at)));
        let Some((_, at)) = pairs.min() else { return parts };
        let right = parts.remove(at + 1);
        parts[at].push_str(&right);
    }
}

/// Merges over three letters, some of them of earlier merges.
fn merges() -> impl Strategy<Value = Vec<(String, String)>> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..24).prop_map(|picks| {
        let mut known = vec!["a".to_owned(), "b".to_owned(), "c".to_owned()];
        let mut merges: Vec<(String, String)> = Vec::new();
        for (left, right) in picks {
            let pair = (left.get(&known).clone(), right.get(&known).clone());
            let joined = format!("{}{}", pair.0, pair.1);
            if joined.len() <= 12 && !merges.contains(&pair) {
                if !known.contains(&joined) {
                    known.push(joined);
                }
                merges.push(pair);
            }
        }
        merges
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn byte_pairs_equal_the_plain_way(merges in merges(), text in "[abc]{0,40}") {
        let pairs: Vec<(&str, &str)> = merges.iter().map(|(left, right)| (left.as_str(), right.as_str())).collect();
        let tokenizer = tokenizer(&byte_level("gpt-2", &pairs, &[]));
        let rank = |left: &str, right: &str| {
            pairs.iter().position(|pair| *pair == (left, right)).map(|rank| rank as i64)
        };
        let expected = merge_slowly(text.chars().map(String::from).collect(), rank);
        prop_assert_eq!(token_texts(&tokenizer, &tokenizer.encode(&text, Special::Text)), expected);
    }

    #[test]
    fn scored_pieces_equal_the_plain_way(merges in merges(), scores in prop::collection::vec(-20_i8..20, 24), text in "[abc]{0,40}") {
        let mut pieces: Vec<(String, f32)> = ["a", "b", "c"].map(|letter| (letter.to_owned(), -30.0)).to_vec();
        for ((left, right), score) in merges.iter().zip(scores) {
            let piece = format!("{left}{right}");
            if !pieces.iter().any(|(known, _)| *known == piece) {
                pieces.push((piece, f32::from(score) / 4.0));
            }
        }
        let entries: Vec<(&str, f32, i32)> = pieces.iter().map(|(piece, score)| (piece.as_str(), *score, NORMAL)).collect();
        let mut file = scored(&entries);
        file.metadata("tokenizer.ggml.add_space_prefix", Metadata::Bool(false));
        let tokenizer = tokenizer(&file);
        let rank = |left: &str, right: &str| {
            let joined = format!("{left}{right}");
            pieces.iter().find(|(piece, _)| *piece == joined).map(|(_, score)| (-score * 4.0) as i64)
        };
        let expected = merge_slowly(text.chars().map(String::from).collect(), rank);
        prop_assert_eq!(token_texts(&tokenizer, &tokenizer.encode(&text, Special::Text)), expected);
    }

    /// Tokens of any text spell the text, and none is a control token, whatever the text names.
    #[test]
    fn byte_level_text_comes_back(text in "(<\\|end\\|>|<tool>|<pad>|\\PC|[ \\n'a-z0-9]){0,40}", pre in prop::sample::select(vec!["gpt-2", "smollm", "llama-bpe", "qwen2", "falcon", "deepseek-v3", "default"])) {
        let special = [("<|end|>", CONTROL), ("<tool>", USER_DEFINED), ("<pad>", UNUSED)];
        let tokenizer = tokenizer(&byte_level(pre, &[("t", "o"), ("to", "o"), ("\u{120}", "t"), ("<", "|")], &special));
        let tokens = tokenizer.encode(&text, Special::Text);
        prop_assert_eq!(tokenizer.decode(&tokens), text.as_bytes());
        prop_assert!(tokens.iter().all(|&token| !tokenizer.is_control(token) && !tokenizer.is_unused(token)));
        let parsed = tokenizer.encode(&text, Special::Parse);
        let markers = parsed.iter().filter(|&&token| tokenizer.is_control(token)).count();
        prop_assert_eq!(markers, text.matches("<|end|>").count());
        prop_assert_eq!(parsed.iter().flat_map(|&token| tokenizer.token_bytes(token).to_vec()).collect::<Vec<_>>(), text.as_bytes());
    }

    /// Each token starts where the bytes of those before it end.
    #[test]
    fn tokens_are_placed_where_they_start(text in "(<\\|end\\|>|\u{2581}|\\PC|[ \\na-c]){0,40}", prefix in any::<bool>()) {
        let bytes = tokenizer(&byte_level("gpt-2", &[("a", "b")], &[("<|end|>", CONTROL)]));
        let mut at = 0;
        for placed in bytes.encode_placed(&text, |_| true) {
            prop_assert_eq!(placed.start, at);
            at += bytes.token_bytes(placed.token).len();
        }
        let mut file = scored(&[("a", -1.0, NORMAL), ("\u{2581}a", -2.0, NORMAL), ("\u{2581}", -3.0, NORMAL), ("<|end|>", 0.0, CONTROL)]);
        file.metadata("tokenizer.ggml.add_space_prefix", Metadata::Bool(prefix));
        let pieces = tokenizer(&file);
        let placed = pieces.encode_placed(&text, |_| true);
        prop_assert!(placed.is_sorted_by_key(|placed| placed.start));
        for placed in &placed {
            prop_assert!(text.is_char_boundary(placed.start));
            let written = pieces.token_bytes(placed.token);
            if let Some(rest) = written.strip_prefix(b" ") {
                // The space is in the text, or was put before it.
                let here = text[placed.start..].replace('\u{2581}', " ");
                prop_assert!(here.as_bytes().starts_with(written) || here.as_bytes().starts_with(rest));
            }
        }
    }

    /// Bytes in any portions give the text that all of them give at once.
    #[test]
    fn a_stream_equals_decoding_at_once(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0xe2), Just(0x82), Just(0xac), Just(0xf0), Just(0x9f)], 0..64), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        cuts.push(bytes.len());
        let mut stream = TextStream::new();
        let mut text = String::new();
        let mut start = 0;
        for cut in cuts {
            text.push_str(&stream.push_bytes(&bytes[start..cut]));
            prop_assert!(stream.held_bytes() <= 3);
            start = cut;
        }
        text.push_str(&stream.finish());
        prop_assert_eq!(text, String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn a_character_over_several_tokens_comes_whole() {
    let tokenizer = tokenizer(&byte_level("gpt-2", &[], &[("<|end|>", CONTROL)]));
    let mut stream = TextStream::new();
    let pieces: Vec<String> =
        tokenizer.encode("a\u{20ac}<|end|>b", Special::Parse).iter().map(|&t| stream.push(&tokenizer, t)).collect();
    assert_eq!(pieces, ["a", "", "", "\u{20ac}", "", "b"]);
    assert_eq!(stream.push_bytes(&[0xe2, 0x82]), "");
    assert_eq!(stream.finish(), "\u{fffd}");
}

/// `SentencePiece`'s ways: the space before the text, runs of spaces, bytes for what has no piece, and a piece's score
/// before its place.
#[test]
fn scored_pieces_follow_sentencepiece() {
    let pieces = [
        ("\u{2581}", -8.0, NORMAL),
        ("a", -7.0, NORMAL),
        ("b", -7.0, NORMAL),
        ("ab", -3.0, NORMAL),
        ("\u{2581}a", -2.0, NORMAL),
        ("\u{2581}\u{2581}", -1.0, NORMAL),
        ("<tool>", 0.0, USER_DEFINED),
    ];
    let tokenizer = tokenizer(&scored(&pieces));
    let spell = |text: &str, special| token_texts(&tokenizer, &tokenizer.encode(text, special));
    assert_eq!(spell("ab", Special::Text), [" a", "b"]);
    assert_eq!(spell("  ab", Special::Text), ["  ", " a", "b"]);
    assert_eq!(spell("a\u{2581}a", Special::Text), [" a", " a"], "U+2581 in the text is a space");
    assert_eq!(spell("bab", Special::Text), [" ", "b", "ab"]);
    assert_eq!(ids(&tokenizer.encode("\u{e9}", Special::Text)), [259, 3 + 0xc3, 3 + 0xa9]);
    assert_eq!(spell("</s>a", Special::Parse), ["</s>", " a"], "a special token starts anew");
    assert_eq!(spell("b<tool>a", Special::Text), [" ", "b", "<tool>", " a"]);
    assert!(tokenizer.encode("", Special::Text).is_empty());
    assert_eq!((tokenizer.bos(), tokenizer.eos()), (Some(TokenId::new(1)), Some(TokenId::new(2))));
    assert!(tokenizer.add_bos() && tokenizer.is_end(TokenId::new(2)));
}

#[test]
fn special_tokens_are_found_leftmost_and_longest() {
    let special = [("<a>", CONTROL), ("<a><b>", CONTROL), ("<a", USER_DEFINED), ("\u{e9}", USER_DEFINED)];
    let tokenizer = tokenizer(&byte_level("gpt-2", &[], &special));
    let spell = |text: &str, special| token_texts(&tokenizer, &tokenizer.encode(text, special));
    assert_eq!(spell("<a><b><a>", Special::Parse), ["<a><b>", "<a>"]);
    assert_eq!(spell("<a><b>", Special::Text), ["<a", ">", "<", "b", ">"], "behind a control token a user's is found");
    assert_eq!(spell("x\u{e9}", Special::Text), ["x", "\u{e9}"]);
}

/// A list of merges may spell a control token out of text; the text must not become it.
#[test]
fn no_merge_makes_a_control_token() {
    let merges = [("<", "/"), ("/", ">"), ("</", "/>")];
    let file = byte_level("gpt-2", &merges[..2], &[("<//>", CONTROL)]);
    let merges = merges.map(|(left, right)| format!("{left} {right}")).to_vec();
    let bytes = replaced(&file, "tokenizer.ggml.merges", Metadata::Texts(merges));
    let tokenizer = Tokenizer::from_gguf(&Gguf::parse(&bytes).unwrap()).unwrap();
    assert_eq!(token_texts(&tokenizer, &tokenizer.encode("<//>", Special::Text)), ["</", "/>"]);
    assert_eq!(ids(&tokenizer.encode("<//>", Special::Parse)), [258]);
}

/// The file with one value replaced.
fn replaced(file: &GgufWriter, key: &str, value: Metadata) -> Vec<u8> {
    let mut out = GgufWriter::new();
    let bytes = file.to_bytes();
    for (name, old) in Gguf::parse(&bytes).unwrap().entries().filter(|(name, _)| *name != key) {
        let texts = || old.as_array().and_then(|array| array.strings()).into_iter().flatten();
        let value = if let Some(text) = old.as_str() {
            Metadata::Text(text.to_owned())
        } else if let Some(number) = old.as_u32() {
            Metadata::U32(number)
        } else if let Some(flag) = old.as_bool() {
            Metadata::Bool(flag)
        } else if let Some(numbers) = old.as_array().and_then(|array| array.i32s()) {
            Metadata::I32s(numbers.collect())
        } else if let Some(numbers) = old.as_array().and_then(|array| array.f32s()) {
            Metadata::F32s(numbers.collect())
        } else {
            Metadata::Texts(texts().map(|text| String::from_utf8(text.to_vec()).unwrap()).collect())
        };
        out.metadata(name, value);
    }
    out.metadata(key, value);
    out.to_bytes()
}

fn refused(bytes: &[u8]) -> TokenizerError {
    Tokenizer::from_gguf(&Gguf::parse(bytes).unwrap()).unwrap_err()
}

#[test]
fn each_fault_has_its_error() {
    let bytes = byte_level("gpt-2", &[("a", "b")], &[("<s>", CONTROL)]);
    let pieces = scored(&[("a", -1.0, NORMAL)]);
    let of_bytes = |key: &str, value| refused(&replaced(&bytes, key, value));
    let of_pieces = |key: &str, value| refused(&replaced(&pieces, key, value));
    let text = |text: &str| Metadata::Text(text.to_owned());
    let texts = |texts: &[&str]| Metadata::Texts(texts.iter().map(|text| (*text).to_owned()).collect());
    assert!(
        matches!(of_bytes("tokenizer.ggml.model", text("rwkv")), TokenizerError::UnknownModel { found } if found == "rwkv")
    );
    assert!(
        matches!(of_bytes("tokenizer.ggml.pre", text("new")), TokenizerError::UnknownPreTokenizer { found } if found == "new")
    );
    assert!(matches!(refused(&GgufWriter::new().to_bytes()), TokenizerError::Gguf(_)));
    assert!(matches!(
        of_bytes("tokenizer.ggml.tokens", texts(&[])),
        TokenizerError::LengthMismatch { .. } | TokenizerError::Empty
    ));
    assert!(matches!(of_bytes("tokenizer.ggml.tokens", Metadata::I32s(vec![1])), TokenizerError::ElementType { .. }));
    assert!(matches!(
        of_bytes("tokenizer.ggml.token_type", Metadata::I32s(vec![1])),
        TokenizerError::LengthMismatch { expected: 258, found: 1, .. }
    ));
    assert!(matches!(
        of_bytes("tokenizer.ggml.token_type", Metadata::I32s(vec![7; 258])),
        TokenizerError::UnknownTokenType { token: 0, found: 7 }
    ));
    for merge in ["ab", "a ", " ab", ""] {
        let error = of_bytes("tokenizer.ggml.merges", texts(&[merge]));
        assert!(matches!(error, TokenizerError::MalformedMerge { index: 0 }), "{merge:?}: {error}");
    }
    let outside = of_bytes("tokenizer.ggml.merges", texts(&["a b", "b a"]));
    assert!(
        matches!(outside, TokenizerError::MergeOutsideVocabulary { index: 1, ref text } if text == "ba"),
        "{outside}"
    );
    assert!(matches!(
        of_bytes("tokenizer.ggml.bos_token_id", Metadata::U32(258)),
        TokenizerError::SpecialOutside { found: 258, size: 258, .. }
    ));
    assert!(matches!(
        of_bytes("tokenizer.ggml.add_bos_token", Metadata::Bool(true)),
        TokenizerError::MissingSpecial { .. }
    ));
    assert!(matches!(of_bytes("tokenizer.ggml.add_bos_token", Metadata::U32(1)), TokenizerError::ElementType { .. }));
    assert!(matches!(
        of_pieces("tokenizer.ggml.scores", Metadata::F32s(vec![0.0])),
        TokenizerError::LengthMismatch { .. }
    ));
    let mut scores = vec![0.0; 260];
    scores[7] = f32::NAN;
    assert!(matches!(of_pieces("tokenizer.ggml.scores", Metadata::F32s(scores)), TokenizerError::Score { token: 7 }));
    let twice = scored(&[("a", -1.0, NORMAL), ("a", -2.0, NORMAL)]);
    assert!(matches!(refused(&twice.to_bytes()), TokenizerError::DuplicateToken { first: 259, second: 260, .. }));
    let malformed = scored(&[("<0xG0>", 0.0, BYTE)]);
    assert!(matches!(refused(&malformed.to_bytes()), TokenizerError::MalformedByteToken { token: 259, .. }));
    let long = "x".repeat(100_000);
    let long = scored(&[(&long, 0.0, NORMAL)]);
    assert!(matches!(refused(&long.to_bytes()), TokenizerError::TokenTooLong { found: 100_000, .. }));
    let many: Vec<String> = (0..300).map(|n| format!("{n:08000}")).collect();
    let many: Vec<(&str, f32, i32)> = many.iter().map(|name| (name.as_str(), 0.0, CONTROL)).collect();
    assert!(matches!(refused(&scored(&many).to_bytes()), TokenizerError::SpecialsTooLarge { .. }));
}

#[test]
fn a_vocabulary_without_bytes_needs_an_unknown_token() {
    let mut file = GgufWriter::new();
    file.metadata("tokenizer.ggml.model", Metadata::Text("llama".to_owned()));
    file.metadata("tokenizer.ggml.tokens", Metadata::Texts(vec!["a".to_owned(), "?".to_owned()]));
    file.metadata("tokenizer.ggml.scores", Metadata::F32s(vec![0.0, 0.0]));
    file.metadata("tokenizer.ggml.add_bos_token", Metadata::Bool(false));
    file.metadata("tokenizer.ggml.add_space_prefix", Metadata::Bool(false));
    let without = replaced(&file, "tokenizer.ggml.token_type", Metadata::I32s(vec![NORMAL, UNKNOWN]));
    // Token 0 is the unknown token when the file does not say otherwise, here it is a letter.
    let tokenizer = Tokenizer::from_gguf(&Gguf::parse(&without).unwrap()).unwrap();
    assert_eq!(ids(&tokenizer.encode("ab", Special::Text)), [0, 0]);
    let named = replaced(&file, "tokenizer.ggml.unknown_token_id", Metadata::U32(1));
    let tokenizer = Tokenizer::from_gguf(&Gguf::parse(&named).unwrap()).unwrap();
    assert_eq!(ids(&tokenizer.encode("ab\u{e9}", Special::Text)), [0, 1, 1, 1]);
}

/// Long enough that work which grows with the square would not end within minutes.
const HOSTILE_BYTES: usize = 250_000;

/// The other algorithms on the same texts; they change what they read, so that only the work is checked.
#[test]
fn hostile_texts_take_linear_work_in_word_and_unigram_vocabularies() {
    let pieces = [("\u{2581}a", -2.0, NORMAL), ("a", -9.0, NORMAL), ("aa", -3.0, NORMAL), ("aaaa", -2.0, NORMAL)];
    for (model, most) in [("t5", HOSTILE_BYTES + 1), ("bert", HOSTILE_BYTES)] {
        let mut file = scored(&pieces);
        file.metadata("tokenizer.ggml.unknown_token_id", Metadata::U32(0));
        file.metadata("tokenizer.ggml.remove_extra_whitespaces", Metadata::Bool(true));
        let bytes = replaced(&file, "tokenizer.ggml.model", Metadata::Text(model.to_owned()));
        let tokenizer = Tokenizer::from_gguf(&Gguf::parse(&bytes).unwrap()).unwrap();
        assert_eq!(token_texts(&tokenizer, &tokenizer.encode(" aaaaa  a", Special::Text)), [" a", "aaaa", " a"]);
        for unit in ["a", " ", "a ", "\u{300}", "\u{4e2d}", "\0", "z"] {
            let tokens = tokenizer.encode(&unit.repeat(HOSTILE_BYTES / unit.len()), Special::Parse);
            assert!(tokens.len() <= most, "{model}: {unit:?}: {}", tokens.len());
        }
    }
}

/// A quarter of a megabyte of what has made other tokenizers quadratic or exhausted their engines.
#[test]
fn hostile_texts_take_linear_work() {
    let merges = [("a", "a"), ("aa", "aa"), ("aaaa", "aaaa"), ("\u{120}", "\u{120}"), ("\u{120}", "a")];
    let special = [("<|a|>", CONTROL), ("<<", USER_DEFINED)];
    let pieces = [
        ("a", -9.0, NORMAL),
        ("aa", -3.0, NORMAL),
        ("aaaa", -2.0, NORMAL),
        ("\u{2581}", -8.0, NORMAL),
        ("\u{2581}\u{2581}", -1.0, NORMAL),
    ];
    let mut tokenizers = vec![(false, tokenizer(&scored(&pieces)))];
    for pre in ["gpt-2", "smollm", "llama-bpe", "qwen2", "qwen35", "falcon", "deepseek-llm", "deepseek-v3", "default"] {
        tokenizers.push((true, tokenizer(&byte_level(pre, &merges, &special))));
    }
    for (is_byte_level, tokenizer) in tokenizers {
        for unit in ["a", " ", "\n", " \n", "<", "<|a", "\u{20ac}", "1", "'", "\0", "\u{2581}"] {
            let text = unit.repeat(HOSTILE_BYTES / unit.len());
            let tokens = tokenizer.encode(&text, Special::Parse);
            let spelled = if is_byte_level { text } else { format!(" {}", text.replace('\u{2581}', " ")) };
            assert!(tokenizer.decode(&tokens) == spelled.as_bytes(), "{unit:?}");
        }
    }
}

#[test]
fn loading_a_large_vocabulary_takes_little_memory() {
    let tokens: Vec<String> = (0..262_144).map(|n: u32| format!("t{n:x}")).collect();
    let pieces: Vec<(&str, f32, i32)> = tokens.iter().map(|token| (token.as_str(), -1.0, NORMAL)).collect();
    let bytes = scored(&pieces).to_bytes();
    let gguf = Gguf::parse(&bytes).unwrap();
    let mut loaded = None;
    let allocated = allocation_counter::measure(|| loaded = Some(Tokenizer::from_gguf(&gguf).unwrap()));
    assert_eq!(loaded.unwrap().vocab_size(), 262_144 + 259);
    // Text, ends, kinds, ranks and a table of slots: under thirty bytes for each of a quarter of a million tokens.
    assert!(allocated.bytes_max < 262_144 * 30, "{} bytes", allocated.bytes_max);
}
