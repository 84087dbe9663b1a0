#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use claim::{Finish, Position, Sampling, TokenCount};
use serde_json::json;

use super::*;
use crate::generation::tests::{ByteLanguage, noise, run, seed};
use crate::generation::{Generation, Language};

/// Tokens that models have and that cut across the grammar's own tokens.
const LONGER: &[&[u8]] = &[
    b"{\"",
    b"\":",
    b"\": ",
    b"\"}",
    b"\"]",
    b"\",",
    b", \"",
    b"},",
    b"[]",
    b"{}",
    b"tru",
    b"true",
    b"fal",
    b"null",
    b"  ",
    b"    ",
    b"\n",
    b"\n  ",
    b"12",
    b"-1",
    b"0.5",
    b"name",
    b"\"name\"",
    b"abc",
    b"\xc3\xa9",
    b"\xe2\x82",
    b"\xac",
    b"\xff\xfe",
    b"}<",
];

fn language() -> ByteLanguage {
    ByteLanguage::new(LONGER)
}

fn start(language: &ByteLanguage, grammar: &Grammar) -> Result<GrammarState, GrammarError> {
    language.grammar_compiler().start(grammar, language).map(|state| state.unwrap())
}

fn sampling(grammar: Grammar) -> Sampling {
    Sampling { temperature: 1.0, grammar, ..Sampling::greedy(TokenCount::new(4000)) }
}

/// An answer under a grammar from a model that knows nothing, but likes to close what is open.
fn answer(language: &ByteLanguage, grammar: &Grammar, number: u64) -> (Finish, String) {
    let prompt = language.encode(b"?");
    let sampling = sampling(grammar.clone());
    let mut generation = Generation::new(language, &prompt, &sampling, seed(number)).unwrap();
    let closing: Vec<TokenId> = [b"\"", b"}", b"]", b"e"].iter().flat_map(|close| language.encode(*close)).collect();
    let (_, finish, text) = run(&mut generation, |position: Position| {
        let mut row = noise(number, position, language.size());
        for token in &closing {
            row[token.get() as usize] += 5.0;
        }
        row[language.end().get() as usize] += 3.0;
        row
    });
    (finish, text)
}

fn check_schema(schema: &Value, valid: impl Fn(&Value) -> bool) {
    let language = language();
    let grammar = Grammar::JsonSchema(schema.to_string());
    let mut texts = BTreeSet::new();
    for number in 0..40 {
        let (finish, text) = answer(&language, &grammar, number);
        assert!(matches!(finish, Finish::Grammar | Finish::Stop), "{finish:?} after {text}");
        let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert!(valid(&value), "{schema} does not allow {text}");
        texts.insert(text);
    }
    assert!(texts.len() > 1, "one text only: {texts:?}");
}

fn has_only(value: &Value, names: &[&str]) -> bool {
    value.as_object().is_some_and(|object| object.keys().all(|name| names.contains(&name.as_str())))
}

#[test]
fn objects_have_their_members() {
    let schema = json!({
        "type": "object",
        "properties": {
            "name": { "type": "string" },
            "age": { "type": "integer", "minimum": 3, "maximum": 120 },
            "alive": { "type": "boolean" },
        },
        "required": ["name", "age"],
        "additionalProperties": false,
    });
    check_schema(&schema, |value| {
        has_only(value, &["name", "age", "alive"])
            && value["name"].is_string()
            && value["age"].as_i64().is_some_and(|age| (3..=120).contains(&age))
            && value.get("alive").is_none_or(Value::is_boolean)
    });
}

#[test]
fn arrays_have_their_bounds() {
    let schema = json!({ "type": "array", "items": { "enum": ["a", "bb", 3, null] }, "minItems": 2, "maxItems": 4 });
    check_schema(&schema, |value| {
        value.as_array().is_some_and(|items| {
            let allowed = [json!("a"), json!("bb"), json!(3), Value::Null];
            (2..=4).contains(&items.len()) && items.iter().all(|item| allowed.contains(item))
        })
    });
}

#[test]
fn strings_have_their_pattern_and_length() {
    check_schema(&json!({ "type": "string", "pattern": "^[a-f]{2}-[0-9]{1,3}$" }), |value| {
        value.as_str().and_then(|text| text.split_once('-')).is_some_and(|(letters, digits)| {
            letters.len() == 2
                && letters.bytes().all(|letter| (b'a'..=b'f').contains(&letter))
                && (1..=3).contains(&digits.len())
                && digits.bytes().all(|digit| digit.is_ascii_digit())
        })
    });
    check_schema(&json!({ "type": "string", "minLength": 3, "maxLength": 5 }), |value| {
        value.as_str().is_some_and(|text| (3..=5).contains(&text.chars().count()))
    });
}

#[test]
fn references_and_alternatives_are_followed() {
    fn is_tree(value: &Value) -> bool {
        // `-0` is an integer of JSON, which serde_json reads as a float.
        value.as_f64().is_some_and(|number| number.fract() == 0.0)
            || has_only(value, &["left", "right"])
                && ["left", "right"].iter().all(|side| value.get(side).is_some_and(is_tree))
    }
    let schema = json!({
        "$ref": "#/$defs/tree",
        "$defs": {
            "tree": { "anyOf": [
                { "type": "integer", "minimum": -9, "maximum": 99 },
                {
                    "type": "object",
                    "properties": { "left": { "$ref": "#/$defs/tree" }, "right": { "$ref": "#/$defs/tree" } },
                    "required": ["left", "right"],
                    "additionalProperties": false,
                },
            ] },
        },
    });
    let language = language();
    let grammar = Grammar::JsonSchema(schema.to_string());
    let mut nested = 0;
    for number in 0..40 {
        // A tree that grows faster than it closes may run out of tokens; then it is not wrong but unfinished.
        if let (Finish::Grammar | Finish::Stop, text) = answer(&language, &grammar, number) {
            let value: Value = serde_json::from_str(&text).unwrap();
            assert!(is_tree(&value), "{text}");
            nested += u32::from(value.is_object());
        }
    }
    assert!(nested > 3, "{nested} of 40 answers were nested");
}

#[test]
fn json_mode_gives_objects() {
    let language = language();
    for number in 0..40 {
        let (finish, text) = answer(&language, &Grammar::Json, number);
        assert!(matches!(finish, Finish::Grammar | Finish::Stop), "{finish:?} after {text}");
        assert!(serde_json::from_str::<Value>(&text).unwrap().is_object(), "{text}");
    }
}

#[test]
fn blanks_between_json_tokens_are_bounded() {
    let language = language();
    let mut state = start(&language, &Grammar::Json).unwrap();
    accept_text(&mut state, &language, b"{");
    let blank = TokenId::new(u32::from(b' '));
    let mut blanks = 0;
    while state.mask().allows(blank) {
        state.accept(blank).unwrap();
        state.prepare().unwrap();
        blanks += 1;
        assert!(blanks < 1000, "blanks without end");
    }
    assert_eq!(blanks, 61);
}

fn accept_text(state: &mut GrammarState, language: &ByteLanguage, text: &[u8]) {
    for token in language.encode(text) {
        state.accept(token).unwrap();
        if !state.is_complete() {
            state.prepare().unwrap();
        }
    }
}

#[test]
fn lark_grammars_are_followed_to_their_end() {
    let language = language();
    let choice = Grammar::Lark("start: \"yes\" | \"no\" | \"nay\"".to_owned());
    let found: BTreeSet<(String, String)> = (0..60)
        .map(|number| answer(&language, &choice, number))
        .map(|(end, text)| (format!("{end:?}"), text))
        .collect();
    let grammar = "Grammar".to_owned();
    for text in ["yes", "no", "nay"] {
        assert!(found.contains(&(grammar.clone(), text.to_owned())), "{text} is not in {found:?}");
    }
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn the_end_is_allowed_where_the_text_may_end() {
    let language = language();
    let mut state = start(&language, &Grammar::Lark("start: /[0-9]{1,3}/".to_owned())).unwrap();
    let ends = [language.end(), language.turn_end()];
    let digit = TokenId::new(u32::from(b'7'));
    assert!(ends.iter().all(|&end| !state.mask().allows(end)), "before the first digit");
    for _ in 0..2 {
        state.accept(digit).unwrap();
        state.prepare().unwrap();
        assert!(ends.iter().all(|&end| state.mask().allows(end)));
        assert!(!state.is_complete());
    }
    state.accept(digit).unwrap();
    assert!(state.is_complete());
    assert!(!state.mask().allows(language.control()));
    let state = start(&language, &Grammar::Lark("start: \"<end>\"".to_owned())).unwrap();
    assert!(!state.mask().allows(language.end()), "the name of an end-of-text token, as text");
    assert!(state.mask().allows(TokenId::new(u32::from(b'<'))));
}

#[test]
fn a_refused_token_changes_nothing() {
    let language = language();
    let mut state = start(&language, &Grammar::Json).unwrap();
    let before = state.mask().clone();
    for token in [TokenId::new(u32::from(b'x')), language.control(), TokenId::new(u32::MAX)] {
        assert_eq!(state.accept(token), Err(GrammarError::TokenRefused { token }));
    }
    assert_eq!(state.mask(), &before);
    accept_text(&mut state, &language, "{\"a\": [1, 2.5e3, {\"b\": \"\u{20ac}\"}]}".as_bytes());
}

/// A token is allowed exactly where its bytes are, one after the other.
#[test]
fn masks_agree_with_single_bytes() {
    let (language, bytes) = (language(), ByteLanguage::new(&[]));
    let schema = json!({
        "properties": { "name": { "type": "string", "maxLength": 9 }, "n": { "type": "number" } },
        "required": ["name"],
        "additionalProperties": { "type": "array", "items": { "type": ["boolean", "null", "string"] } },
    });
    let grammar = Grammar::JsonSchema(schema.to_string());
    let text = "{\"name\": \"abc\u{e9}\u{20ac}\", \"n\": -12.5,\n  \"abc\": [true, null, \"\\n\\u0007  \"], \"\": []}";
    let mut by_token = start(&language, &grammar).unwrap();
    let mut by_byte = start(&bytes, &grammar).unwrap();
    let mut counts = [0, 0];
    for token in language.encode(text.as_bytes()) {
        for candidate in (0..256).step_by(7).chain(256..256 + LONGER.len() as u32).map(TokenId::new) {
            let mut walk = by_byte.clone();
            let mut spelled = bytes.encode(language.printed(candidate)).into_iter();
            let expected =
                spelled.all(|byte| walk.accept(byte).is_ok() && (walk.is_complete() || walk.prepare().is_ok()));
            assert_eq!(by_token.mask().allows(candidate), expected, "token {candidate} before token {token}");
            counts[usize::from(expected)] += 1;
        }
        accept_text(&mut by_byte, &bytes, language.printed(token));
        by_token.accept(token).unwrap();
        if !by_token.is_complete() {
            by_token.prepare().unwrap();
        }
    }
    assert!(counts.iter().all(|&count| count > 200), "{counts:?} tokens refused and allowed");
}

#[test]
fn tokens_that_no_trie_holds_are_never_allowed() {
    let long = vec![b'a'; 2000];
    let language = ByteLanguage::new(&[&long, &long[..1024], b"\xff!", b""]);
    let state = start(&language, &Grammar::Lark("start: /(.|\\n)*/".to_owned())).unwrap();
    let allowed: Vec<bool> = (256..260).map(|id| state.mask().allows(TokenId::new(id))).collect();
    assert_eq!(allowed, [false, true, false, false]);
    assert!(!state.mask().allows(TokenId::new(0xff)), "a byte that no text has");
    assert!(state.mask().allows(TokenId::new(0xc3)), "the first byte of a character");
}

#[test]
fn a_vocabulary_that_cannot_go_on_is_told_so() {
    // Only the letters a and b: nothing can spell the digit that must follow.
    #[derive(Debug)]
    struct TwoLetters;
    impl Vocabulary for TwoLetters {
        fn size(&self) -> usize {
            2
        }
        fn printed(&self, token: TokenId) -> &[u8] {
            [b"a", b"b"][token.get() as usize]
        }
        fn is_end(&self, _: TokenId) -> bool {
            false
        }
    }
    let compiler = GrammarCompiler::new();
    let grammar = Grammar::Lark("start: \"a\" /[0-9]/".to_owned());
    let mut state = compiler.start(&grammar, &TwoLetters).unwrap().unwrap();
    state.accept(TokenId::new(0)).unwrap();
    assert_eq!(state.prepare(), Err(GrammarError::DeadEnd));
    // Without an end-of-text token a grammar still completes.
    let mut state = compiler.start(&Grammar::Lark("start: \"ab\"".to_owned()), &TwoLetters).unwrap().unwrap();
    state.accept(TokenId::new(0)).unwrap();
    state.prepare().unwrap();
    state.accept(TokenId::new(1)).unwrap();
    assert!(state.is_complete());
}

/// Work spent on the last mask, in the units of the limits.
fn cost(state: &GrammarState) -> (u64, usize) {
    let stats = state.parser.last_step_stats();
    (stats.lexer_cost, stats.all_items)
}

/// The limits count work, so equal histories must have done equal work: in another compile (whose hash maps have other
/// seeds), in a fork, and whatever another fork did before.
#[test]
fn work_is_a_function_of_the_accepted_tokens() {
    let schema = json!({
        "type": "object",
        "properties": {
            "kind": { "enum": ["first", "second", "third"] },
            "date": { "type": "string", "format": "date-time" },
            "list": { "type": "array", "items": { "anyOf": [{ "type": "number" }, { "type": "string", "pattern": "^x+y*$" }] } },
        },
        "patternProperties": { "^extra_": { "type": "integer" } },
        "required": ["kind", "date"],
        "additionalProperties": true,
    });
    let grammar = Grammar::JsonSchema(schema.to_string());
    let text = "{\"kind\": \"third\", \"date\": \"2024-02-29T12:00:00Z\", \"list\": [1.5, \"xxy\"], \"extra_a\": 3, \"other\": {\"a\": null}}";
    let trace = |mut state: GrammarState, language: &ByteLanguage| -> Vec<((u64, usize), TokenMask)> {
        let step = |token: TokenId| {
            state.accept(token).unwrap();
            if !state.is_complete() {
                state.prepare().unwrap();
            }
            (cost(&state), state.mask().clone())
        };
        language.encode(text.as_bytes()).into_iter().map(step).collect()
    };
    let shared = language();
    let expected = trace(start(&shared, &grammar).unwrap(), &shared);
    assert!(expected.iter().any(|((lexer, _), _)| *lexer > 0), "no work was counted");
    for _ in 0..5 {
        let fresh = language();
        assert_eq!(trace(start(&fresh, &grammar).unwrap(), &fresh), expected);
    }
    let origin = start(&shared, &grammar).unwrap();
    let fork = origin.clone();
    assert_eq!(trace(origin.clone(), &shared), expected);
    assert_eq!(trace(fork, &shared), expected);
    assert_eq!(trace(origin, &shared), expected);
}

fn refusal(grammar: &Grammar) -> Option<GrammarError> {
    start(&language(), grammar).err()
}

#[test]
fn malformed_sources_are_refused() {
    let schema = |source: &str| refusal(&Grammar::JsonSchema(source.to_owned()));
    assert_eq!(schema("{\n\"a\": }"), Some(GrammarError::NotJson { line: 2, column: 6 }));
    assert_eq!(schema(""), Some(GrammarError::NotJson { line: 1, column: 0 }));
    assert_eq!(schema("[1]"), Some(GrammarError::NotAnObject));
    let found = SOURCE_BYTES_MAX + 1;
    let too_long = Some(GrammarError::SourceTooLong { expected: SOURCE_BYTES_MAX, found });
    assert_eq!(schema(&" ".repeat(found)), too_long);
    assert_eq!(refusal(&Grammar::Lark(" ".repeat(found))), too_long);
    let too_deep = Some(GrammarError::TooDeep { expected: NESTING_MAX });
    assert_eq!(schema(&"{\"anyOf\":[".repeat(NESTING_MAX)), too_deep);
    assert_eq!(refusal(&Grammar::Lark(format!("start: {}", "(".repeat(NESTING_MAX + 1)))), too_deep);
    let found = PATTERN_PROPERTIES_MAX + 1;
    let patterns = listed(found, ",", |number| format!("\"^p{number}$\":{{}}"));
    let too_many = Some(GrammarError::TooManyPatterns { expected: PATTERN_PROPERTIES_MAX, found });
    assert_eq!(schema(&format!("{{\"items\":[{{\"patternProperties\":{{{patterns}}}}}]}}")), too_many);
    for source in [
        r##"{"$ref": "#/$defs/missing"}"##,
        r#"{"$ref": "https://example.com/schema"}"#,
        r#"{"type": "nothing"}"#,
        r#"{"type": "integer", "minimum": 5, "maximum": 4}"#,
        r#"{"type": "string", "pattern": "(("}"#,
        r#"{"enum": []}"#,
    ] {
        assert!(matches!(schema(source), Some(GrammarError::Rejected { .. })), "{source}: {:?}", schema(source));
    }
    for source in ["", "start: missing", "start: /(/", "start: \"a", "%%%", "begin: \"a\""] {
        let refusal = refusal(&Grammar::Lark(source.to_owned()));
        assert!(matches!(refusal, Some(GrammarError::Rejected { .. })), "{source}: {refusal:?}");
    }
}

/// Sources that ask for more than anybody has. Each must end in an answer or a typed error, within bounds that the
/// compiler counts, on the stack of an ordinary thread.
#[test]
fn hostile_sources_end() {
    let nested =
        |open: &str, close: &str, levels: usize| open.repeat(levels) + "{\"type\":\"null\"}" + &close.repeat(levels);
    let schemas = [
        nested("{\"anyOf\":[", "]}", NESTING_MAX / 2 - 1),
        nested("{\"properties\":{\"a\":", "},\"required\":[\"a\"]}", NESTING_MAX / 2 - 1),
        nested("{\"items\":", "}", NESTING_MAX - 1),
        r##"{"$ref": "#"}"##.to_owned(),
        r##"{"allOf": [{"$ref": "#"}, {"$ref": "#"}]}"##.to_owned(),
        r##"{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}"##.to_owned(),
        r#"{"type":"string","pattern":"^(a{1,1000}){1,1000}$"}"#.to_owned(),
        r#"{"type":"string","pattern":"^((((a{1,100}){1,100}){1,100}){1,100}){1,100}$"}"#.to_owned(),
        r#"{"type":"string","pattern":"^(.*a){40}$"}"#.to_owned(),
        r#"{"type":"string","minLength":1000000000,"maxLength":2000000000}"#.to_owned(),
        r#"{"type":"array","minItems":4294967295}"#.to_owned(),
        r#"{"type":"array","minItems":1000000000000,"maxItems":18446744073709551615}"#.to_owned(),
        r#"{"type":"object","minProperties":1000000}"#.to_owned(),
        r#"{"type":"integer","multipleOf":999999999989}"#.to_owned(),
        r#"{"type":"number","minimum":1e-300,"maximum":1e300}"#.to_owned(),
        format!("{{\"enum\":[{}]}}", listed(7_000, ",", |number| format!("\"{number}\""))),
        format!(
            "{{\"properties\":{{{}}}}}",
            listed(400, ",", |number| format!("\"p{number}\":{{\"type\":\"string\"}}"))
        ),
        format!(
            "{{\"patternProperties\":{{{}}}}}",
            listed(PATTERN_PROPERTIES_MAX, ",", |n| format!("\"^p{n}x*$\":{{}}"))
        ),
        format!("{{\"allOf\":[{}]}}", listed(30, ",", |_| r#"{"anyOf":[{"minimum":1},{"maximum":9},{}]}"#.to_owned())),
        format!("{{\"const\":\"{}\"}}", "x".repeat(60_000)),
        format!(
            "{{\"$ref\":\"#/$defs/0\",\"$defs\":{{{},\"100\":{{}}}}}}",
            listed(100, ",", |n| format!(
                "\"{n}\":{}{{\"$ref\":\"#/$defs/{}\"}}{}",
                "{\"items\":".repeat(50),
                n + 1,
                "}".repeat(50)
            ))
        ),
    ];
    let larks = [
        "start: start start | \"a\"".to_owned(),
        "start: start".to_owned(),
        "start: a\na: b\nb: a".to_owned(),
        "start: /(.*a){30}/".to_owned(),
        "start: /a{1,1000000}/".to_owned(),
        "start: \"a\"{1000000}".to_owned(),
        "start: (((\"a\"?){1,100}){1,100}){1,100}".to_owned(),
        format!("start: {}", "(".repeat(NESTING_MAX)),
        format!("start: {}\"a\"{}", "(".repeat(NESTING_MAX), ")".repeat(NESTING_MAX)),
        format!("start: /{}/", "a|".repeat(30_000)),
        format!("start: /{}/", "a".repeat(60_000)),
        format!("start: {}", listed(2_500, " | ", |number| format!("\"{number}\""))),
        format!("start: x0\n{}\nx3000: \"a\"", listed(3_000, "\n", |n| format!("x{n}: x{}", n + 1))),
    ];
    let grammars = schemas.into_iter().map(Grammar::JsonSchema).chain(larks.into_iter().map(Grammar::Lark));
    let language = language();
    for grammar in grammars {
        let name: String = format!("{grammar:?}").chars().take(90).collect();
        let followed = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(2 << 20);
            thread
                .spawn_scoped(scope, || start(&language, &grammar).and_then(|state| follow(state, &language)))
                .unwrap()
                .join()
        });
        assert!(!matches!(followed, Err(_) | Ok(Err(GrammarError::CompilerFailed))), "{name}: {followed:?}");
    }
}

fn listed(count: usize, separator: &str, item: impl Fn(usize) -> String) -> String {
    (0..count).map(item).collect::<Vec<_>>().join(separator)
}

/// Takes allowed tokens for a while.
fn follow(mut state: GrammarState, language: &ByteLanguage) -> Result<(), GrammarError> {
    for position in 0..40 {
        let row = noise(5, Position::new(position), language.size());
        let allowed = (0..language.size() as u32).map(TokenId::new).filter(|&token| state.mask().allows(token));
        let likeliest = allowed.max_by(|a, b| row[a.get() as usize].total_cmp(&row[b.get() as usize]));
        let Some(token) = likeliest.filter(|&token| !language.is_end(token)) else { return Ok(()) };
        state.accept(token)?;
        if state.is_complete() {
            return Ok(());
        }
        state.prepare()?;
    }
    Ok(())
}
