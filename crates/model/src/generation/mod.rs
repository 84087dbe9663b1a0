//! From logits to an answer: the one state machine that a host runs and a court replays.
//!
//! A [`Generation`] alternates between [`draw`](Generation::draw), which chooses the next token from the logits and
//! changes nothing that a later draw depends on, and [`accept`](Generation::accept), which takes a token and says if the
//! answer ends with it. A host accepts what it has drawn. A court accepts what the host claims to have drawn, after
//! comparing it with its own draw; it may leave out draws (to check a window of positions), for the state is a function
//! of the accepted tokens alone.
//!
//! # When an answer ends
//!
//! The first of these that holds after a token is accepted:
//!
//! | finish | when |
//! |---|---|
//! | `Stop` | the token is an end-of-text token |
//! | `StopString` | the text now has a stop string in it |
//! | `Grammar` | the text is a sentence of the grammar that nothing can continue |
//! | `Length` | `max_tokens` tokens are accepted |
//! | `Context` | prompt and answer fill the context |
//!
//! `Length` and `Context` may hold before the first token. `Prefix` and `Cancelled` are nothing that a state machine can
//! see; its owner says so.
//!
//! # Text
//!
//! The text is a pure function of the tokens and the stop strings: [`text_of`]. It is the lossy UTF-8 decoding of the
//! bytes of all tokens, cut before the stop string whose end comes first (the longest of those that end at the same
//! place). End-of-text and control tokens have no bytes. While the answer is open, an unfinished character and the
//! longest end that may be the start of a stop string are held back.

#[cfg(test)]
pub(crate) mod tests;
mod text;

use std::fmt::Debug;

use arith::Machine;
use claim::{Finish, Position, Sampling, Seed, TokenId};

use crate::grammar::{GrammarCompiler, GrammarError, GrammarState, Vocabulary};
use crate::sampler::{SampleError, Sampler, SamplingError, TokenScore, score};
use text::TextAssembler;

/// A request has at most this many stop strings: each is searched for after every token.
pub const STOPS_MAX: usize = 16;

/// A stop string has at most this many bytes.
pub const STOP_BYTES_MAX: usize = 512;

/// What generation needs to know of a model.
pub trait Language: Vocabulary + Debug + Sync {
    /// Positions in the context.
    fn context_length(&self) -> usize;
    /// The grammar compiler that belongs to this vocabulary.
    fn grammar_compiler(&self) -> &GrammarCompiler;
}

/// Why an answer cannot be started or continued.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GenerationError {
    /// The sampling parameters cannot be used.
    #[error(transparent)]
    Sampling(#[from] SamplingError),
    /// No token can be chosen.
    #[error(transparent)]
    Sample(#[from] SampleError),
    /// The grammar cannot be used or followed.
    #[error(transparent)]
    Grammar(#[from] GrammarError),
    /// There is no token to start from.
    #[error("the prompt is empty")]
    EmptyPrompt,
    /// The prompt does not fit into the context.
    #[error("the prompt has {found} tokens, the context has {expected}")]
    PromptTooLong {
        /// Positions in the context.
        expected: usize,
        /// Tokens in the prompt.
        found: usize,
    },
    /// There are too many stop strings.
    #[error("{found} stop strings, at most {expected} are taken")]
    TooManyStops {
        /// The bound.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A stop string is empty or too long.
    #[error("stop string {index} has {found} bytes, it must have 1 to {expected}")]
    StopLength {
        /// Which one.
        index: usize,
        /// The bound.
        expected: usize,
        /// Bytes in it.
        found: usize,
    },
    /// A token to be accepted is not in the vocabulary.
    #[error("token {token} is not in the vocabulary of {vocabulary}")]
    UnknownToken {
        /// The token.
        token: TokenId,
        /// Number of tokens.
        vocabulary: usize,
    },
    /// The answer has ended already.
    #[error("the answer has ended: {finish:?}")]
    Ended {
        /// Why.
        finish: Finish,
    },
}

/// A chosen token.
#[derive(Debug, Clone, PartialEq)]
pub struct Draw {
    /// The token.
    pub token: TokenId,
    /// How likely it was, where that was asked.
    pub score: Option<TokenScore>,
}

/// One answer in the making.
#[derive(Debug)]
pub struct Generation<'m> {
    language: &'m dyn Language,
    sampler: Sampler,
    seed: Seed,
    grammar: Option<GrammarState>,
    text: TextAssembler,
    prompt_length: usize,
    output_length: usize,
    output_length_max: usize,
    finish: Option<Finish>,
    /// Logits as the model gave them, kept while penalties change the row.
    untouched: Vec<f32>,
}

impl<'m> Generation<'m> {
    /// An answer to `prompt` before its first token.
    ///
    /// # Errors
    ///
    /// The prompt, the sampling parameters, the stop strings or the grammar cannot be used with this model.
    pub fn new(
        language: &'m dyn Language,
        prompt: &[TokenId],
        sampling: &Sampling,
        seed: Seed,
    ) -> Result<Self, GenerationError> {
        let context_length = language.context_length();
        if prompt.is_empty() {
            return Err(GenerationError::EmptyPrompt);
        }
        if prompt.len() > context_length {
            return Err(GenerationError::PromptTooLong { expected: context_length, found: prompt.len() });
        }
        check_stops(&sampling.stop)?;
        let mut generation = Self {
            language,
            sampler: Sampler::new(sampling, language.size(), prompt)?,
            seed,
            grammar: language.grammar_compiler().start(&sampling.grammar, language)?,
            text: TextAssembler::new(&sampling.stop),
            prompt_length: prompt.len(),
            output_length: 0,
            output_length_max: sampling.max_tokens.get() as usize,
            finish: None,
            untouched: Vec::new(),
        };
        generation.finish = generation.limit_reached();
        Ok(generation)
    }

    /// The same answer so far, to be continued with other draws: for the choices of one request.
    #[must_use]
    pub fn fork(&self, seed: Seed) -> Self {
        Self {
            language: self.language,
            sampler: self.sampler.clone(),
            seed,
            grammar: self.grammar.clone(),
            text: self.text.clone(),
            untouched: Vec::new(),
            ..*self
        }
    }

    /// Chooses the next token by the logits of the last position.
    ///
    /// The row may be longer than the vocabulary (matrices are padded); what lies past it is never chosen. With `top`,
    /// the token is scored among all logits as the model gave them, beside the `top` likeliest. The row is changed by
    /// penalties and bias. The same logits give the same draw until a token is accepted.
    ///
    /// # Errors
    ///
    /// The answer has ended, the row is too short, or a logit is not finite.
    pub fn draw(&mut self, machine: &Machine, logits: &mut [f32], top: Option<u8>) -> Result<Draw, GenerationError> {
        self.check_open()?;
        let (expected, found) = (self.language.size(), logits.len());
        if top.is_some() {
            self.untouched.clear();
            self.untouched.extend_from_slice(logits);
        }
        let row = logits.get_mut(..expected).ok_or(SampleError::LogitCount { expected, found })?;
        let mask = self.grammar.as_ref().map(GrammarState::mask);
        let token = self.sampler.draw(machine, row, mask, self.seed, self.position())?;
        let score = top.map(|top| score(machine, &self.untouched, token, top)).transpose()?;
        Ok(Draw { token, score })
    }

    /// Takes the next token; returns why the answer ends with it, if it does.
    ///
    /// # Errors
    ///
    /// The answer has ended, the token is not in the vocabulary or not allowed by the grammar, or the grammar is too
    /// complex to follow. The answer cannot go on after the last of these.
    pub fn accept(&mut self, token: TokenId) -> Result<Option<Finish>, GenerationError> {
        self.check_open()?;
        let vocabulary = self.language.size();
        if token.get() as usize >= vocabulary {
            return Err(GenerationError::UnknownToken { token, vocabulary });
        }
        let is_end = self.language.is_end(token);
        match &mut self.grammar {
            Some(grammar) if is_end && !grammar.mask().allows(token) => {
                return Err(GrammarError::TokenRefused { token }.into());
            }
            Some(grammar) if !is_end => grammar.accept(token)?,
            _ => {}
        }
        self.output_length += 1;
        self.sampler.observe(token);
        self.text.push(printed(self.language, token));
        self.finish = if is_end { Some(Finish::Stop) } else { self.end_reached() };
        match &mut self.grammar {
            Some(grammar) if self.finish.is_none() => grammar.prepare()?,
            _ => {}
        }
        Ok(self.finish)
    }

    /// Why the answer has ended, if it has. `Length` and `Context` may hold before the first token.
    pub fn finished(&self) -> Option<Finish> {
        self.finish
    }

    /// The position that the next token will have.
    pub fn position(&self) -> Position {
        Position::new((self.prompt_length + self.output_length) as u32)
    }

    /// Text that has become certain since it was last taken.
    pub fn take_text(&mut self) -> String {
        self.text.take()
    }

    /// The rest of the text when no more tokens come, with all that was held back.
    pub fn finish_text(&mut self) -> String {
        self.text.finish()
    }

    fn check_open(&self) -> Result<(), GenerationError> {
        self.finish.map_or(Ok(()), |finish| Err(GenerationError::Ended { finish }))
    }

    fn end_reached(&self) -> Option<Finish> {
        if self.text.is_stopped() {
            return Some(Finish::StopString);
        }
        if self.grammar.as_ref().is_some_and(GrammarState::is_complete) {
            return Some(Finish::Grammar);
        }
        self.limit_reached()
    }

    fn limit_reached(&self) -> Option<Finish> {
        if self.output_length >= self.output_length_max {
            return Some(Finish::Length);
        }
        (self.prompt_length + self.output_length >= self.language.context_length()).then_some(Finish::Context)
    }
}

/// The text of an answer: what a host streams for these tokens, to the byte.
///
/// All that is held back while an answer is open comes with the end of it, so only for [`Finish::Prefix`] is it left
/// out. A token that is not in the vocabulary has no text.
pub fn text_of(language: &dyn Vocabulary, sampling: &Sampling, tokens: &[TokenId], finish: Finish) -> String {
    let mut assembler = TextAssembler::new(&sampling.stop);
    for &token in tokens {
        assembler.push(printed(language, token));
    }
    let mut text = assembler.take();
    if finish != Finish::Prefix {
        text.push_str(&assembler.finish());
    }
    text
}

fn printed(vocabulary: &(impl Vocabulary + ?Sized), token: TokenId) -> &[u8] {
    let is_silent = token.get() as usize >= vocabulary.size() || vocabulary.is_end(token);
    if is_silent { &[] } else { vocabulary.printed(token) }
}

fn check_stops(stops: &[String]) -> Result<(), GenerationError> {
    if stops.len() > STOPS_MAX {
        return Err(GenerationError::TooManyStops { expected: STOPS_MAX, found: stops.len() });
    }
    let fits = |stop: &String| (1..=STOP_BYTES_MAX).contains(&stop.len());
    match stops.iter().position(|stop| !fits(stop)) {
        Some(index) => Err(GenerationError::StopLength { index, expected: STOP_BYTES_MAX, found: stops[index].len() }),
        None => Ok(()),
    }
}
