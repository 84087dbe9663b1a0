#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::num::NonZeroUsize;

use arith::{Isa, Machine, Pool};
use claim::{Digest, Grammar, TokenCount};
use proptest::prelude::*;

use super::*;

/// A vocabulary made by hand: all single bytes, then some longer tokens, then control and end-of-text tokens.
#[derive(Debug)]
pub(crate) struct ByteLanguage {
    words: Vec<Vec<u8>>,
    control: TokenId,
    ends: [TokenId; 2],
    context_length: usize,
    compiler: GrammarCompiler,
}

impl ByteLanguage {
    pub(crate) fn new(longer: &[&[u8]]) -> Self {
        let mut words: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
        words.extend(longer.iter().map(|word| word.to_vec()));
        let next = words.len() as u32;
        words.extend([b"<tool>".to_vec(), b"<end>".to_vec(), b"<eot>".to_vec()]);
        let [control, end, turn] = [next, next + 1, next + 2].map(TokenId::new);
        Self { words, control, ends: [end, turn], context_length: 100_000, compiler: GrammarCompiler::new() }
    }

    pub(crate) fn end(&self) -> TokenId {
        self.ends[0]
    }

    pub(crate) fn turn_end(&self) -> TokenId {
        self.ends[1]
    }

    pub(crate) fn control(&self) -> TokenId {
        self.control
    }

    fn with_context(self, context_length: usize) -> Self {
        Self { context_length, ..self }
    }

    /// The longest tokens that spell a text.
    pub(crate) fn encode(&self, mut bytes: &[u8]) -> Vec<TokenId> {
        let mut tokens = Vec::new();
        while !bytes.is_empty() {
            let fits = |(_, word): &(usize, &Vec<u8>)| bytes.starts_with(word);
            let (id, word) = self.words.iter().enumerate().filter(fits).max_by_key(|(_, word)| word.len()).unwrap();
            tokens.push(TokenId::new(id as u32));
            bytes = &bytes[word.len()..];
        }
        tokens
    }
}

impl Vocabulary for ByteLanguage {
    fn size(&self) -> usize {
        self.words.len()
    }

    fn printed(&self, token: TokenId) -> &[u8] {
        // End-of-text tokens keep their names: nothing may take these for text.
        if token == self.control { &[] } else { &self.words[token.get() as usize] }
    }

    fn is_end(&self, token: TokenId) -> bool {
        self.ends.contains(&token)
    }
}

impl Language for ByteLanguage {
    fn context_length(&self) -> usize {
        self.context_length
    }

    fn grammar_compiler(&self) -> &GrammarCompiler {
        &self.compiler
    }
}

pub(crate) fn machine() -> Machine {
    Machine::new(Isa::portable(), Pool::new(NonZeroUsize::MIN))
}

pub(crate) fn seed(number: u64) -> Seed {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    Seed::new(Digest::new(bytes))
}

/// Logits of a model that knows nothing: in [-1, 1), a function of seed, position and token.
pub(crate) fn noise(number: u64, position: Position, vocabulary: usize) -> Vec<f32> {
    let row = seed(number).draw_bits(position);
    let mix = |token: u64| {
        let mixed = (row ^ token.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        (mixed ^ mixed >> 32).wrapping_mul(0xc4ce_b9fe_1a85_ec53) >> 40
    };
    (0..vocabulary as u64).map(|token| mix(token) as f32 / 8_388_608.0 - 1.0).collect()
}

fn sampling(max_tokens: u32) -> Sampling {
    Sampling { temperature: 1.0, ..Sampling::greedy(TokenCount::new(max_tokens)) }
}

fn start<'m>(language: &'m ByteLanguage, sampling: &Sampling) -> Result<Generation<'m>, GenerationError> {
    Generation::new(language, &language.encode(b"ab"), sampling, seed(1))
}

/// Accepts tokens until the answer ends; returns how many it took, why it ended, and the text as it was streamed.
fn accept_all(generation: &mut Generation<'_>, tokens: &[TokenId]) -> (usize, Option<Finish>, Vec<String>) {
    let mut texts = Vec::new();
    for (index, &token) in tokens.iter().enumerate() {
        let finish = generation.accept(token).unwrap();
        texts.push(generation.take_text());
        if finish.is_some() {
            return (index + 1, finish, texts);
        }
    }
    (tokens.len(), None, texts)
}

#[test]
fn an_end_token_stops_and_has_no_text() {
    let language = ByteLanguage::new(&[b"hello"]);
    for end in [language.end(), language.turn_end()] {
        let mut generation = start(&language, &sampling(10)).unwrap();
        let mut tokens = language.encode(b"hello!");
        tokens.extend([language.control(), end, TokenId::new(0)]);
        let (taken, finish, texts) = accept_all(&mut generation, &tokens);
        assert_eq!((taken, finish), (4, Some(Finish::Stop)));
        assert_eq!(texts, ["hello", "!", "", ""]);
        assert_eq!(generation.finished(), Some(Finish::Stop));
        let ended = GenerationError::Ended { finish: Finish::Stop };
        assert_eq!(generation.accept(TokenId::new(0)), Err(ended.clone()));
        assert_eq!(generation.draw(&machine(), &mut vec![0.0; language.size()], None), Err(ended));
    }
}

#[test]
fn stop_strings_end_the_answer_wherever_tokens_split_them() {
    let language = ByteLanguage::new(&[b"a\n\nB", b"\n\n", b"x\n"]);
    let sampling = Sampling { stop: vec!["\n\n".to_owned(), "END".to_owned()], ..sampling(50) };
    for (text, taken, expected) in [
        (&b"one\n\ntwo"[..], 4, "one"),
        (b"one a\n\nBthree", 5, "one a"),
        (b"x\n\n", 2, "x"),
        (b"x\ny\nEN ENDx", 9, "x\ny\nEN "),
    ] {
        let mut generation = start(&language, &sampling).unwrap();
        let tokens = language.encode(text);
        let (found_taken, finish, texts) = accept_all(&mut generation, &tokens);
        assert_eq!((found_taken, finish), (taken, Some(Finish::StopString)), "{text:?}");
        assert_eq!(texts.concat() + &generation.finish_text(), expected, "{text:?}");
        assert_eq!(text_of(&language, &sampling, &tokens[..taken], Finish::StopString), expected);
    }
}

#[test]
fn limits_end_the_answer() {
    let language = ByteLanguage::new(&[]).with_context(5);
    let tokens = language.encode(b"cdefgh");
    for (max_tokens, taken, finish) in [(1, 1, Finish::Length), (3, 3, Finish::Length), (4, 3, Finish::Context)] {
        let mut generation = start(&language, &sampling(max_tokens)).unwrap();
        assert_eq!(generation.finished(), None);
        let (found_taken, found_finish, _) = accept_all(&mut generation, &tokens);
        assert_eq!((found_taken, found_finish), (taken, Some(finish)), "max_tokens {max_tokens}");
    }
    // No token fits, or none is wanted: the answer has ended before it began.
    assert_eq!(start(&language, &sampling(0)).unwrap().finished(), Some(Finish::Length));
    let full = Generation::new(&language, &language.encode(b"12345"), &sampling(9), seed(1)).unwrap();
    assert_eq!(full.finished(), Some(Finish::Context));
    let too_long = Generation::new(&language, &language.encode(b"123456"), &sampling(9), seed(1));
    assert_eq!(too_long.err(), Some(GenerationError::PromptTooLong { expected: 5, found: 6 }));
}

#[test]
fn an_end_at_the_last_token_is_still_an_end() {
    let language = ByteLanguage::new(&[]);
    let mut generation = start(&language, &Sampling { stop: vec!["b".to_owned()], ..sampling(2) }).unwrap();
    assert_eq!(accept_all(&mut generation, &language.encode(b"ab")).1, Some(Finish::StopString));
    let mut generation = start(&language, &sampling(2)).unwrap();
    assert_eq!(accept_all(&mut generation, &[TokenId::new(97), language.end()]).1, Some(Finish::Stop));
}

#[test]
fn an_unfinished_answer_flushes_what_was_held_back() {
    let language = ByteLanguage::new(&[]);
    let sampling = Sampling { stop: vec!["END".to_owned()], ..sampling(50) };
    let tokens = language.encode(b"xEN");
    let mut generation = start(&language, &sampling).unwrap();
    let (_, _, texts) = accept_all(&mut generation, &tokens);
    assert_eq!(texts.concat(), "x");
    assert_eq!(text_of(&language, &sampling, &tokens, Finish::Prefix), "x");
    for finish in [Finish::Cancelled, Finish::Length] {
        assert_eq!(text_of(&language, &sampling, &tokens, finish), "xEN");
    }
    assert_eq!(generation.finish_text(), "EN");
}

#[test]
fn bad_requests_are_refused() {
    let language = ByteLanguage::new(&[]);
    let with_stop = |stop: Vec<String>| start(&language, &Sampling { stop, ..sampling(9) }).err();
    assert_eq!(
        with_stop(vec!["x".to_owned(); STOPS_MAX + 1]),
        Some(GenerationError::TooManyStops { expected: STOPS_MAX, found: STOPS_MAX + 1 })
    );
    for found in [0, STOP_BYTES_MAX + 1] {
        let expected = GenerationError::StopLength { index: 1, expected: STOP_BYTES_MAX, found };
        assert_eq!(with_stop(vec!["y".to_owned(), "x".repeat(found)]), Some(expected));
    }
    assert_eq!(Generation::new(&language, &[], &sampling(9), seed(1)).err(), Some(GenerationError::EmptyPrompt));
    let out_of_range = start(&language, &Sampling { temperature: -1.0, ..sampling(9) }).err();
    assert!(matches!(out_of_range, Some(GenerationError::Sampling(_))), "{out_of_range:?}");
    let mut generation = start(&language, &sampling(9)).unwrap();
    let token = TokenId::new(language.size() as u32);
    let expected = GenerationError::UnknownToken { token, vocabulary: language.size() };
    assert_eq!(generation.accept(token), Err(expected));
    let short = generation.draw(&machine(), &mut [0.0; 3], None);
    let expected = SampleError::LogitCount { expected: language.size(), found: 3 };
    assert_eq!(short, Err(GenerationError::Sample(expected)));
}

#[test]
fn padding_is_never_drawn_but_scored() {
    let language = ByteLanguage::new(&[]);
    let mut generation = start(&language, &Sampling::greedy(TokenCount::new(9))).unwrap();
    let mut logits = vec![0.0; language.size() + 5];
    logits[7] = 1.0;
    logits[language.size()] = 9.0;
    let draw = generation.draw(&machine(), &mut logits, Some(1)).unwrap();
    assert_eq!(draw.token, TokenId::new(7));
    let scored = draw.score.unwrap();
    assert_eq!((scored.token, scored.top[0].token), (TokenId::new(7), TokenId::new(language.size() as u32)));
}

#[test]
fn scores_are_of_the_untouched_logits() {
    let language = ByteLanguage::new(&[]);
    let bias = vec![(TokenId::new(9), 50.0)];
    let sampling = Sampling { logit_bias: bias, repetition_penalty: 1.5, ..Sampling::greedy(TokenCount::new(9)) };
    let mut generation = start(&language, &sampling).unwrap();
    let logits = noise(4, Position::new(0), language.size());
    let draw = generation.draw(&machine(), &mut logits.clone(), Some(3)).unwrap();
    assert_eq!(draw.token, TokenId::new(9));
    assert_eq!(draw.score, Some(score(&machine(), &logits, TokenId::new(9), 3).unwrap()));
}

#[test]
fn draws_hang_on_seed_and_position_alone() {
    let language = ByteLanguage::new(&[]);
    let mut generation = start(&language, &sampling(9)).unwrap();
    let logits = noise(4, Position::new(0), language.size());
    let drawn = |generation: &mut Generation<'_>| generation.draw(&machine(), &mut logits.clone(), None).unwrap().token;
    let first = drawn(&mut generation);
    assert_eq!(drawn(&mut generation), first, "a draw changes nothing");
    assert_eq!(generation.position(), Position::new(2));
    let mut fork = generation.fork(seed(1));
    assert_eq!(drawn(&mut fork), first, "the same seed");
    let others: Vec<TokenId> = (2..30).map(|number| drawn(&mut generation.fork(seed(number)))).collect();
    assert!(others.iter().any(|&other| other != first), "other seeds");
    generation.accept(first).unwrap();
    let later: Vec<TokenId> = (0..8)
        .map_while(|_| {
            let token = drawn(&mut generation);
            generation.accept(TokenId::new(0)).unwrap().is_none().then_some(token)
        })
        .collect();
    assert!(later.iter().any(|&other| other != first), "other positions");
}

/// Runs an answer on noise; returns its tokens, why it ended, and the streamed text.
pub(crate) fn run(
    generation: &mut Generation<'_>,
    mut logits: impl FnMut(Position) -> Vec<f32>,
) -> (Vec<TokenId>, Finish, String) {
    let machine = machine();
    let (mut tokens, mut text) = (Vec::new(), String::new());
    loop {
        if let Some(finish) = generation.finished() {
            text.push_str(&generation.finish_text());
            return (tokens, finish, text);
        }
        let token = generation.draw(&machine, &mut logits(generation.position()), None).unwrap().token;
        generation.accept(token).unwrap();
        text.push_str(&generation.take_text());
        tokens.push(token);
    }
}

fn samplings() -> impl Strategy<Value = Sampling> {
    let grammar = prop_oneof![
        3 => Just(Grammar::Free),
        1 => Just(Grammar::Json),
        1 => Just(Grammar::Lark("start: /[a-c]{2,9}/ \"!\"".to_owned())),
    ];
    let stops = prop::collection::vec("[a-c\u{e9}]{1,3}", 0..3);
    (grammar, stops, 0u32..60, any::<bool>(), any::<bool>()).prop_map(
        |(grammar, stop, max_tokens, penalties, greedy)| {
            let repetition_penalty = if penalties { 1.3 } else { 1.0 };
            let temperature = if greedy { 0.0 } else { 1.0 };
            Sampling { grammar, stop, repetition_penalty, temperature, ..sampling(max_tokens) }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// What a host does, and then what a court does with its claim, in whole and by a window.
    #[test]
    fn a_court_redraws_what_a_host_drew(sampling in samplings(), number in any::<u64>(), window in any::<prop::sample::Index>()) {
        let language = ByteLanguage::new(&[b"ab", b"abc", b"c\xc3", b"\xa9a", b"{\"", b"\"}", b"\": "]);
        // Letters and what JSON needs are likelier than the rest, so that stop strings and grammars do complete.
        let logits = |position: Position| {
            let mut row = noise(number, position, language.size());
            for token in language.encode(b"abc\xc3\xa9!\"{}:").into_iter().chain((256..263).map(TokenId::new)) {
                row[token.get() as usize] += 4.0;
            }
            row
        };
        let mut host = start(&language, &sampling).unwrap();
        let (tokens, finish, text) = run(&mut host, logits);
        prop_assert_eq!(&text, &text_of(&language, &sampling, &tokens, finish));

        let mut court = start(&language, &sampling).unwrap();
        let from = if tokens.is_empty() { 0 } else { window.index(tokens.len()) };
        for skip_to in [0, from] {
            let mut found = None;
            let mut court = court.fork(seed(1));
            for (index, &token) in tokens.iter().enumerate() {
                if index >= skip_to {
                    let mut row = logits(court.position());
                    prop_assert_eq!(court.draw(&machine(), &mut row, None).unwrap().token, token);
                }
                prop_assert_eq!(found, None);
                found = court.accept(token).unwrap();
            }
            prop_assert_eq!(court.finished(), Some(finish));
        }
        prop_assert_eq!(court.finish_text(), "");
    }

    #[test]
    fn text_is_a_function_of_the_tokens(
        ids in prop::collection::vec(prop_oneof![97u32..100, Just(195), Just(169), 256u32..265], 0..40),
        stop in prop::collection::vec("[a-c\u{e9}]{1,3}", 0..3),
        finish in prop::sample::select(vec![Finish::Prefix, Finish::Cancelled, Finish::Length]),
    ) {
        let language = ByteLanguage::new(&[b"ab", b"abc", b"c\xc3", b"\xa9a", b"\xff", b"bca"]);
        let sampling = Sampling { stop, ..sampling(1000) };
        let tokens: Vec<TokenId> = ids.into_iter().map(TokenId::new).collect();
        let mut generation = start(&language, &sampling).unwrap();
        let (taken, _, texts) = accept_all(&mut generation, &tokens);
        let mut text = texts.concat();
        if finish != Finish::Prefix {
            text.push_str(&generation.finish_text());
        }
        prop_assert_eq!(text, text_of(&language, &sampling, &tokens[..taken], finish));
    }
}
