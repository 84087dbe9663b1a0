//! Grammars that the output must obey, over [`llguidance`].
//!
//! A grammar is compiled to a matcher over bytes, and the model's tokens are laid out once in a trie, so that the set of
//! tokens that may come next is found in one walk. Which tokens are in that set is a matter of the grammar alone. Work is
//! bounded by counts of steps and never by time, and the state of a matcher, its caches included, is a function of the
//! grammar and the tokens accepted so far; so the same sequence is allowed, or is refused as too complex, on every
//! machine and for host and verifier alike.

#[cfg(test)]
mod tests;

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};

use claim::{Grammar, TokenId};
use llguidance::api::{ParserLimits, StopReason, TopLevelGrammar};
use llguidance::toktrie::{ApproximateTokEnv, InferenceCapabilities, TokEnv, TokRxInfo, TokTrie};
use llguidance::{ParserFactory, TokenParser, panic_utils};
use serde_json::{Value, json};

use crate::sampler::TokenMask;

/// A grammar's source has at most this many bytes. Some parts of compiling take time in the square of the source; at this
/// size the worst that was found takes a second.
pub const SOURCE_BYTES_MAX: usize = 1 << 16;

/// Brackets in a source nest at most this deep: parsers recurse over them before any other bound holds.
pub const NESTING_MAX: usize = 64;

/// A schema has at most this many `patternProperties` in all: compiling compares each with each, in time that doubles
/// about every 50 of them.
pub const PATTERN_PROPERTIES_MAX: usize = 64;

/// The compiler recurses along references between rules, so a source of the largest size can be some 10000 levels deep.
/// The deepest found needs 60 MiB of stack in a release build. Only what is used of it takes memory.
const STACK_BYTES: usize = 256 << 20;

/// A trie node has 10 bits for how many levels to climb, so longer tokens cannot be in it. They are never allowed.
const TOKEN_BYTES_MAX: usize = 1 << 10;

/// A trie node has 22 bits for the size of its subtree.
const TRIE_NODES_MAX: usize = (1 << 22) - 1;

/// First byte of what the trie takes for a special token; no UTF-8 text has it.
const SPECIAL_MARK: u8 = 0xff;

/// Whitespace between two JSON tokens: a line break and 15 levels of 4 spaces fit. Without a bound a small model may
/// write blanks until its tokens run out.
const JSON_WHITESPACE: &str = r"[\x20\x0A\x0D\x09]{1,61}";

/// The largest class of tokens in JSON, those that may stand inside a string: recognised as a whole, which spares most
/// of the walk. Each further class would cost several copies of the trie.
const JSON_STRING_TOKENS: &str = r#"[^"\\\x00-\x1F\x7F]+"#;

/// Why a grammar cannot be used, or cannot be followed further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrammarError {
    /// The source is too long.
    #[error("the grammar has {found} bytes, at most {expected} are taken")]
    SourceTooLong {
        /// The bound.
        expected: usize,
        /// Bytes in the source.
        found: usize,
    },
    /// The source nests too deep.
    #[error("the grammar nests deeper than {expected} levels")]
    TooDeep {
        /// The bound.
        expected: usize,
    },
    /// A schema is not JSON.
    #[error("the schema is not JSON: line {line}, column {column}")]
    NotJson {
        /// Where, counted from 1.
        line: usize,
        /// Where, counted from 1.
        column: usize,
    },
    /// A schema is JSON, but no object.
    #[error("the schema is not a JSON object")]
    NotAnObject,
    /// A schema has too many pattern properties.
    #[error("the schema has {found} patternProperties, at most {expected} are taken")]
    TooManyPatterns {
        /// The bound.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The grammar's compiler rejects the source.
    #[error("the grammar cannot be used: {reason}")]
    Rejected {
        /// What the compiler says.
        reason: String,
    },
    /// Following the grammar takes more steps than are allowed.
    #[error("the grammar is too complex to follow")]
    TooComplex,
    /// A token that the grammar does not allow was to be accepted.
    #[error("the grammar does not allow token {token} here")]
    TokenRefused {
        /// The token.
        token: TokenId,
    },
    /// The grammar is incomplete and no token of the vocabulary can continue it.
    #[error("no token of the vocabulary continues the grammar")]
    DeadEnd,
    /// The system gives no thread to compile on, or the compiler broke down. Trying again may help.
    #[error("the grammar compiler cannot run")]
    CompilerFailed,
    /// The vocabulary does not fit into a trie.
    #[error("the tokens have {found} bytes, a grammar can be used with at most {expected}")]
    Vocabulary {
        /// The bound.
        expected: usize,
        /// Bytes of all tokens.
        found: usize,
    },
}

/// The tokens that a model speaks in.
pub trait Vocabulary: Sync {
    /// Number of tokens.
    fn size(&self) -> usize;
    /// The bytes that a token stands for; empty for one that prints nothing.
    fn printed(&self, token: TokenId) -> &[u8];
    /// Whether a token ends the text.
    fn is_end(&self, token: TokenId) -> bool;
}

/// Compiles grammars for one vocabulary. The trie of its tokens is built when the first grammar comes.
#[derive(Default)]
pub struct GrammarCompiler {
    factory: OnceLock<Result<ParserFactory, GrammarError>>,
}

impl fmt::Debug for GrammarCompiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrammarCompiler").field("built", &self.factory.get().is_some()).finish()
    }
}

impl GrammarCompiler {
    /// A compiler that has not built anything yet.
    pub const fn new() -> Self {
        Self { factory: OnceLock::new() }
    }

    /// The state before the first token; `None` for [`Grammar::Free`]. The vocabulary must be the same in each call.
    ///
    /// # Errors
    ///
    /// The source is too long, too deep, malformed, unsupported or too complex, or the vocabulary is too large.
    pub fn start(&self, grammar: &Grammar, vocabulary: &dyn Vocabulary) -> Result<Option<GrammarState>, GrammarError> {
        let source = match grammar {
            Grammar::Free => return Ok(None),
            Grammar::Json => schema_grammar(json!({ "type": "object" })),
            Grammar::JsonSchema(source) => schema_grammar(parse_schema(source)?),
            Grammar::Lark(source) => {
                check_size(source)?;
                TopLevelGrammar::from_lark(source.clone())
            }
        };
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
            let compile = || self.compile(source, vocabulary);
            let compiled = thread.spawn_scoped(scope, compile).map_err(|_| GrammarError::CompilerFailed)?.join();
            compiled.map_err(|_| GrammarError::CompilerFailed)?.map(Some)
        })
    }

    fn compile(&self, source: TopLevelGrammar, vocabulary: &dyn Vocabulary) -> Result<GrammarState, GrammarError> {
        let factory = self.factory.get_or_init(|| build_factory(vocabulary)).as_ref().map_err(Clone::clone)?;
        let mut parser = factory.create_parser(source).map_err(|error| rejected(&error))?;
        parser.start_without_prompt();
        let mut state = GrammarState { parser, mask: TokenMask::from_words(Vec::new()) };
        state.prepare()?;
        Ok(state)
    }
}

/// Where a text is in its grammar.
pub struct GrammarState {
    parser: TokenParser,
    mask: TokenMask,
}

impl fmt::Debug for GrammarState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrammarState").field("complete", &self.is_complete()).finish_non_exhaustive()
    }
}

impl Clone for GrammarState {
    /// Clones caches too: a shared cache would let one text's history decide whether another is too complex.
    fn clone(&self) -> Self {
        Self { parser: self.parser.deep_clone(), mask: self.mask.clone() }
    }
}

impl GrammarState {
    /// The tokens that may come next, as of the last [`prepare`](Self::prepare). End-of-text tokens are among them where
    /// the text may end.
    pub fn mask(&self) -> &TokenMask {
        &self.mask
    }

    /// Whether nothing can follow and nothing is missing.
    pub fn is_complete(&self) -> bool {
        self.parser.stop_reason() == StopReason::NoExtension
    }

    /// Takes one token that is not an end-of-text token. Unless this completes the grammar,
    /// [`prepare`](Self::prepare) must come before the next.
    ///
    /// # Errors
    ///
    /// The token is not in the mask, or following the grammar takes too many steps.
    pub fn accept(&mut self, token: TokenId) -> Result<(), GrammarError> {
        if !self.mask.allows(token) {
            return Err(GrammarError::TokenRefused { token });
        }
        let parser = &mut self.parser;
        let accepted = panic_utils::catch_unwind(AssertUnwindSafe(|| {
            parser.consume_token(token.get())?;
            parser.check_stop()
        }));
        accepted.map(drop).map_err(|error| self.failure(&error))
    }

    /// Finds the tokens that may come next.
    ///
    /// # Errors
    ///
    /// No token may, or finding them takes too many steps.
    pub fn prepare(&mut self) -> Result<(), GrammarError> {
        let parser = &mut self.parser;
        let mask = panic_utils::catch_unwind(AssertUnwindSafe(|| parser.compute_mask()));
        self.mask = TokenMask::from_words(mask.map_err(|error| self.failure(&error))?.as_slice().to_vec());
        Ok(())
    }

    fn failure(&self, error: &impl fmt::Display) -> GrammarError {
        match self.parser.stop_reason() {
            StopReason::LexerTooComplex | StopReason::ParserTooComplex => GrammarError::TooComplex,
            StopReason::NoExtensionBias => GrammarError::DeadEnd,
            _ => rejected(error),
        }
    }
}

/// Bounds in steps, chosen for memory first: a lexer state takes one to two kilobytes.
fn limits() -> ParserLimits {
    ParserLimits {
        max_items_in_row: 2_000,
        initial_lexer_fuel: 1_000_000,
        step_lexer_fuel: 200_000,
        step_max_items: 50_000,
        max_lexer_states: 20_000,
        max_grammar_size: 100_000,
        precompute_large_lexemes: false,
        verbose_errors: false,
    }
}

fn build_factory(vocabulary: &dyn Vocabulary) -> Result<ParserFactory, GrammarError> {
    let ids = || (0..vocabulary.size() as u32).map(TokenId::new);
    // An end-of-text token is never text, not even where its name would fit.
    let text = |token| if vocabulary.is_end(token) { &[] } else { vocabulary.printed(token) };
    let words: Vec<Vec<u8>> = ids().map(|token| trie_word(text(token)).to_vec()).collect();
    let bytes = words.iter().map(Vec::len).sum();
    if bytes >= TRIE_NODES_MAX || words.len() >= TRIE_NODES_MAX {
        return Err(GrammarError::Vocabulary { expected: TRIE_NODES_MAX, found: bytes });
    }
    let ends: Vec<u32> = ids().filter(|&token| vocabulary.is_end(token)).map(TokenId::get).collect();
    let first_end = ends.first().copied().unwrap_or(llguidance::toktrie::INVALID_TOKEN);
    let mut trie = TokTrie::from(&TokRxInfo::new(words.len() as u32, first_end), &words);
    drop(words);
    if ends.len() > 1 {
        trie = trie.with_eos_tokens(&ends);
    }
    // Not canonical: the tokens that spell a forced text are the model's choice, so nothing hangs on a tokenizer here.
    let environment: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
    let capabilities = InferenceCapabilities::default();
    let mut factory = ParserFactory::new(&environment, capabilities, &[JSON_STRING_TOKENS.to_owned()])
        .map_err(|error| rejected(&error))?;
    *factory.quiet().limits_mut() = limits();
    Ok(factory)
}

/// A token's bytes if the trie can hold them; else none, and then the token is never allowed.
fn trie_word(bytes: &[u8]) -> &[u8] {
    if bytes.len() > TOKEN_BYTES_MAX || bytes.first() == Some(&SPECIAL_MARK) { &[] } else { bytes }
}

fn schema_grammar(mut schema: Value) -> TopLevelGrammar {
    if let Value::Object(members) = &mut schema {
        members.entry("x-guidance").or_insert_with(|| json!({ "whitespace_pattern": JSON_WHITESPACE }));
    }
    TopLevelGrammar::from_json_schema(schema)
}

fn parse_schema(source: &str) -> Result<Value, GrammarError> {
    check_size(source)?;
    let schema: Value = serde_json::from_str(source)
        .map_err(|error| GrammarError::NotJson { line: error.line(), column: error.column() })?;
    if !schema.is_object() {
        return Err(GrammarError::NotAnObject);
    }
    let found = count_patterns(&schema);
    if found > PATTERN_PROPERTIES_MAX {
        return Err(GrammarError::TooManyPatterns { expected: PATTERN_PROPERTIES_MAX, found });
    }
    Ok(schema)
}

/// Members of everything named `patternProperties`; where that is no keyword, they count all the same.
fn count_patterns(schema: &Value) -> usize {
    match schema {
        Value::Object(members) => {
            let patterns = members.get("patternProperties").and_then(Value::as_object).map_or(0, serde_json::Map::len);
            patterns + members.values().map(count_patterns).sum::<usize>()
        }
        Value::Array(items) => items.iter().map(count_patterns).sum(),
        _ => 0,
    }
}

/// Bounds a source before any parser sees it. Brackets in strings and comments count as well: the bound is far from
/// what people write.
fn check_size(source: &str) -> Result<(), GrammarError> {
    if source.len() > SOURCE_BYTES_MAX {
        return Err(GrammarError::SourceTooLong { expected: SOURCE_BYTES_MAX, found: source.len() });
    }
    let mut depth = 0usize;
    for byte in source.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > NESTING_MAX {
            return Err(GrammarError::TooDeep { expected: NESTING_MAX });
        }
    }
    Ok(())
}

/// A refusal in the compiler's words: its first line, shortened, since the rest is its own state.
fn rejected(error: &impl fmt::Display) -> GrammarError {
    const CHARACTERS_MAX: usize = 300;
    let text = error.to_string();
    let reason = text.lines().next().unwrap_or_default().chars().take(CHARACTERS_MAX).collect();
    GrammarError::Rejected { reason }
}
