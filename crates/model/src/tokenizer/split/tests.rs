//! The scanner cuts as the published expressions do, run by the `tokenizers` crate.

use std::sync::LazyLock;

use proptest::prelude::*;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::tokenizer::SplitDelimiterBehavior::Isolated;
use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

use super::{DEEPSEEK_LETTERS, Splitter};

/// The expressions as model makers publish them, one after the other as the pre-tokenizer applies them.
const PUBLISHED: [(&str, &[&str]); 10] = [
    ("gpt-2", &[GPT2]),
    ("smollm", &[r"\p{N}", GPT2]),
    (
        "llama-bpe",
        &[
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ],
    ),
    (
        "qwen2",
        &[
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ],
    ),
    (
        "qwen35",
        &[
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ],
    ),
    ("falcon", &[r"[\p{P}$+<=>^~|`]+", GPT2, "[0-9][0-9][0-9]"]),
    (
        "deepseek-coder",
        &[r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", r"[\x{4e00}-\x{9fa5}\x{800}-\x{4e00}\x{ac00}-\x{d7ff}]+", r"\p{N}"],
    ),
    (
        "deepseek-llm",
        &[
            r"[\r\n]",
            DEEPSEEK_LETTERS,
            r"\s?[!-/:-~\x{ff01}-\x{ff0f}\x{ff1a}-\x{ff5e}\x{2018}-\x{201f}\x{3000}-\x{3002}]+",
            r"\s+$",
            r"[\x{4e00}-\x{9fa5}\x{800}-\x{4e00}\x{ac00}-\x{d7ff}]+",
            r"\p{N}+",
        ],
    ),
    (
        "deepseek-v3",
        &[
            r"\p{N}{1,3}",
            r"[\x{4e00}-\x{9fa5}\x{3040}-\x{309f}\x{30a0}-\x{30ff}]+",
            r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##,
        ],
    ),
    ("default", &[r"[\p{P}$+<=>^~|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"]),
];

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// Each rule with its reference.
static RULES: LazyLock<Vec<(&str, Splitter, Reference)>> = LazyLock::new(|| {
    let rule = |&(name, expressions): &(&'static str, &[&str])| (name, splitter(name), Reference::new(expressions));
    PUBLISHED.iter().map(rule).collect()
});

fn splitter(name: &str) -> Splitter {
    Splitter::named(name).expect("a built-in rule")
}

/// Cuts a text by the published expressions.
struct Reference(Vec<Split>);

impl Reference {
    fn new(expressions: &[&str]) -> Self {
        let split = |expression: &&str| {
            // The letters are a class; the expression around them is the one of its neighbours.
            let letters = *expression == DEEPSEEK_LETTERS;
            let expression = if letters { format!(r"\s?{expression}+") } else { (*expression).to_owned() };
            Split::new(SplitPattern::Regex(expression), Isolated, false).expect("the expressions compile")
        };
        Self(expressions.iter().map(split).collect())
    }

    fn split(&self, text: &str) -> Vec<String> {
        let mut pieces = PreTokenizedString::from(text);
        for split in &self.0 {
            split.pre_tokenize(&mut pieces).expect("the text is short enough for the engine");
        }
        let pieces = pieces.get_splits(OffsetReferential::Original, OffsetType::Byte);
        pieces.into_iter().map(|(piece, _, _)| piece.to_owned()).filter(|piece| !piece.is_empty()).collect()
    }
}

fn ours(splitter: &Splitter, text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut end = 0;
    splitter.split(text, &mut |word, start| {
        assert_eq!((start, word), (end, &text[start..start + word.len()]), "words follow one another");
        end = start + word.len();
        words.push(word.to_owned());
    });
    assert_eq!(end, text.len(), "the words are the text");
    words
}

/// Characters that the rules tell apart, and some that only look as if they did.
const TRICKY: &str = "[ \t\r\n'a-zA-Z0-9.,!$+`~|_\u{17f}\u{a0}\u{85}\u{ad}\u{300}\u{e9}\u{3b1}\u{416}\u{661}\u{b2}\u{2167}\
    \u{4e2d}\u{3042}\u{30a2}\u{ac00}\u{ff21}\u{93e}\u{915}\u{2003}\u{2028}\u{200d}\u{3002}\u{1f600}\u{20ac}\\PC]{0,24}";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn words_equal_the_published_expressions(text in TRICKY) {
        for (name, splitter, reference) in &*RULES {
            prop_assert_eq!(ours(splitter, &text), reference.split(&text), "{}: {:?}", name, text);
        }
    }

    #[test]
    fn contractions_equal_the_published_expressions(text in "('|s|S|t|re|rE|Re|v|e|E|ve|m|ll|lL|l|d|D|\u{17f}| |\u{212a}){0,12}") {
        for (name, splitter, reference) in &*RULES {
            prop_assert_eq!(ours(splitter, &text), reference.split(&text), "{}: {:?}", name, text);
        }
    }
}

/// Every character of the planes that have any, after a letter and before a space: the classes agree for all of them.
#[test]
fn every_character_is_classed_as_in_the_expressions() {
    let characters = ('\0'..'\u{34000}').chain('\u{e0000}'..'\u{e0200}');
    let text: Vec<char> = characters.flat_map(|c| ['a', c, ' ', '1']).collect();
    // In parts, because the reference engine is slow on long texts. Qwen 3.5's rule tells letters, marks, numbers and
    // white space apart, DeepSeek V3's punctuation and symbols as well.
    for (name, splitter, reference) in RULES.iter().filter(|(name, ..)| matches!(*name, "qwen35" | "deepseek-v3")) {
        for part in text.chunks(4 * 256) {
            let part: String = part.iter().collect();
            assert!(ours(splitter, &part) == reference.split(&part), "{name} differs within {:?}", part.chars().nth(1));
        }
    }
}

#[test]
fn an_unknown_rule_is_refused_by_name() {
    let error = Splitter::named("no-such-rule").map(|_| ()).expect_err("the name is unknown");
    assert!(error.to_string().contains("\"no-such-rule\""));
}

/// A quarter of a megabyte of what makes backtracking engines slow: each rule walks it in one pass.
#[test]
fn long_runs_are_cut_in_one_pass() {
    for (name, _) in PUBLISHED {
        let splitter = splitter(name);
        for unit in ["a", " ", "\n", " \n", "\n ", "!", "1", "'", "\u{300}", "\u{4e2d}", "'l", "a\u{300}", " !", "\0"] {
            let text = unit.repeat(250_000 / unit.len());
            assert!(!ours(&splitter, &text).is_empty(), "{name}: {unit:?}");
        }
        let spaces = " ".repeat(250_000) + "a";
        assert_eq!(ours(&splitter, &spaces).concat(), spaces, "{name}");
    }
}
