//! The dear part of a replay: prefill, compare states, redraw tokens.

use std::ops::Range;

use arith::Machine;
use claim::{Finish, PromptToken, Sampling, StateHash, TokenCount, TokenId};
use model::generation::{Generation, GenerationError};
use model::grammar::Vocabulary as _;
use model::{ForwardError, KvCache, Logits, Model, Span, Workspace};

use crate::case::{Case, Ending};
use crate::opening::state_root;
use crate::replay::{Checked, Doubts, Progress, refuted};
use crate::verdict::{Difference, Extent, Kind, Obstacle, Part, Verdict};

/// Rows of a prefill step without logits.
const ROWS_MAX: usize = 128;
/// Rows of a prefill step with logits, which are `vocabulary` floats each.
const LOGIT_ROWS_MAX: usize = 32;

/// One run over prompt and answer.
pub(crate) struct Computation<'a> {
    case: &'a Case<'a>,
    model: &'a Model,
    /// Tokens of the prompt.
    prompt: usize,
    output: &'a [TokenId],
    /// Prompt and output, the last output token excepted, which the model never consumed.
    consumed: Vec<TokenId>,
    /// The signed states, where the evidence opens them.
    states: Option<&'a [StateHash]>,
    generation: Generation<'a>,
    cache: KvCache,
    work: Workspace,
    /// Output tokens to redraw.
    window: Range<usize>,
    /// Output tokens accepted so far.
    accepted: usize,
    redrawn: usize,
}

impl<'a> Computation<'a> {
    pub(crate) fn new(
        case: &'a Case<'a>,
        model: &'a Model,
        prompt: &[PromptToken],
        sampling: &Sampling,
        doubts: &mut Doubts,
    ) -> Checked<Self> {
        let (receipt, output) = (&case.signed.receipt, case.evidence.output.as_slice());
        let window = window(case)?;
        let mut consumed: Vec<TokenId> = prompt.iter().map(|token| token.token).collect();
        // The host of an honest receipt went through the same constructor, on the same model and request.
        let generation = Generation::new(model, &consumed, sampling, receipt.seed)
            .map_err(|error| refuted(Kind::Sampling, None, Difference::Unanswerable { reason: error.to_string() }))?;
        let known = output.iter().take(output.len().saturating_sub(1));
        consumed.extend(known.take_while(|token| (token.get() as usize) < model.size()));
        // What lies behind the context, or behind a token that there is not, is refuted without being computed.
        consumed.truncate(model.config().context_length);
        let given = case.evidence.states.as_slice();
        let opens = state_root(given) == receipt.state_root;
        // A whole run computes the root itself. One that ends before the answer takes the rest from the evidence.
        doubts.note_if(!opens && (!given.is_empty() || window.end < output.len()), Part::States);
        Ok(Self {
            case,
            model,
            prompt: prompt.len(),
            output,
            consumed,
            states: opens.then_some(given),
            generation,
            cache: model.new_cache(receipt.engine.kv),
            work: Workspace::default(),
            window,
            accepted: 0,
            redrawn: 0,
        })
    }

    pub(crate) fn run(mut self, machine: &Machine, progress: &mut Progress<'_>) -> Checked<Extent> {
        // A window needs no position behind its last token.
        let is_whole = self.window.end == self.output.len();
        let end = if is_whole { usize::MAX } else { self.prompt + self.window.end - 1 }.min(self.consumed.len());
        while self.cache.len() < end {
            let start = self.cache.len();
            let rows = match self.first_drawn().checked_sub(start) {
                Some(before @ 1..) => ROWS_MAX.min(before),
                _ => LOGIT_ROWS_MAX,
            };
            self.piece(machine, start..(start + rows).min(end))?;
            progress(self.cache.len(), end);
        }
        while self.accepted < self.output.len() {
            self.take(machine, None)?;
        }
        self.check_finish()?;
        self.check_state_chain(is_whole)?;
        let count = |n: usize| TokenCount::new(n as u32);
        Ok(Extent {
            prompt: count(self.prompt),
            output: count(self.output.len()),
            states: count(end),
            redrawn: count(self.redrawn),
        })
    }

    /// The position whose logits give the first token of the window.
    fn first_drawn(&self) -> usize {
        self.prompt - 1 + self.window.start
    }

    /// Computes the positions of `range`, compares their states and redraws what follows each.
    fn piece(&mut self, machine: &Machine, range: Range<usize>) -> Checked<()> {
        let has_draws = range.start >= self.first_drawn() && !self.output.is_empty();
        let draws = if has_draws { Logits::From(0) } else { Logits::None };
        let mut span = [Span { cache: &mut self.cache, tokens: &self.consumed[range.clone()], logits: draws }];
        let mut work = std::mem::take(&mut self.work);
        let logits = match self.model.forward(machine, &mut work, &mut span) {
            Ok(logits) => logits,
            Err(error) => return self.fault(machine, range, &error),
        };
        let mut rows = logits.chunks_exact_mut(self.model.config().vocabulary);
        for position in range {
            self.check_state(position)?;
            if position + 1 >= self.prompt && self.accepted < self.output.len() {
                self.take(machine, rows.next())?;
            }
        }
        self.work = work;
        Ok(())
    }

    /// The arithmetic leaves the numbers somewhere in `range`. It does so for everyone, hence nobody has a state there.
    fn fault(&mut self, machine: &Machine, range: Range<usize>, error: &ForwardError) -> Checked<()> {
        if !matches!(error, ForwardError::Arithmetic { .. }) {
            return Err(Verdict::Cannot(Obstacle::Replay { reason: error.to_string() }));
        }
        if range.len() > 1 {
            // One by one, to find which.
            return range.into_iter().try_for_each(|position| self.piece(machine, position..position + 1));
        }
        let reason = error.to_string();
        Err(refuted(Kind::State, Some(range.start), Difference::NoState { reason }))
    }

    fn check_state(&self, position: usize) -> Checked<()> {
        let expected = self.cache.states()[position];
        match self.states.and_then(|states| states.get(position)) {
            Some(&found) if found != expected => {
                Err(refuted(Kind::State, Some(position), Difference::State { expected, found }))
            }
            _ => Ok(()),
        }
    }

    /// Takes the next signed token, after comparing it with its redraw where there are logits.
    fn take(&mut self, machine: &Machine, logits: Option<&mut [f32]>) -> Checked<()> {
        let position = Some(self.prompt + self.accepted);
        let found = self.output[self.accepted];
        let finish = self.case.signed.receipt.finish;
        if let Some(expected) = self.generation.finished() {
            let difference = Difference::Finish { expected: Some(expected), found: finish };
            return Err(refuted(Kind::Finish, position, difference));
        }
        // The host of an honest receipt drew and accepted the same, so where this fails no token could be signed.
        let refused = |error: GenerationError| {
            refuted(Kind::Token, position, Difference::NoToken { found, reason: error.to_string() })
        };
        if let Some(logits) = logits {
            let expected = self.generation.draw(machine, logits, None).map_err(refused)?.token;
            if expected != found {
                return Err(refuted(Kind::Token, position, Difference::Token { expected, found }));
            }
            self.redrawn += 1;
        }
        self.generation.accept(found).map_err(refused)?;
        self.accepted += 1;
        Ok(())
    }

    /// The answer must end as signed: by the rule that ended it, or without an end where the stream was cut short.
    fn check_finish(&self) -> Checked<()> {
        let (expected, found) = (self.generation.finished(), self.case.signed.receipt.finish);
        // A client that was there to the end knows that nothing was cut short.
        let was_closed = self.case.known.client.is_some_and(|client| client.ending == Ending::Closed);
        let is_cut_short = matches!(found, Finish::Prefix | Finish::Cancelled) && !was_closed;
        if expected == Some(found) || (expected.is_none() && is_cut_short) {
            return Ok(());
        }
        let position = Some(self.prompt + self.output.len());
        Err(refuted(Kind::Finish, position, Difference::Finish { expected, found }))
    }

    /// The signed chain must be that of the computed states, and as long as the tokens say.
    fn check_state_chain(&self, is_whole: bool) -> Checked<()> {
        let expected = self.prompt + self.output.len().saturating_sub(1);
        if let Some(states) = self.states.filter(|states| states.len() != expected) {
            let (position, found) = (expected.min(states.len()), states.len());
            return Err(refuted(Kind::State, Some(position), Difference::StateCount { expected, found }));
        }
        let (expected, found) = (state_root(self.cache.states()), self.case.signed.receipt.state_root);
        if is_whole && expected != found {
            return Err(refuted(Kind::State, None, Difference::StateRoot { expected, found }));
        }
        Ok(())
    }
}

fn window(case: &Case<'_>) -> Checked<Range<usize>> {
    let output = case.evidence.output.len();
    match case.window {
        Some((start, end)) if start >= end || end > output => {
            Err(Verdict::Cannot(Obstacle::Window { start, end, output }))
        }
        Some((start, end)) => Ok(start..end),
        None => Ok(0..output),
    }
}
