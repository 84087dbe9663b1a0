//! Continuous batching: many requests share each step through the model, and no request can tell.
//!
//! The batcher is a state machine without clock or thread. Whoever owns it submits jobs, calls [`Batcher::step`] while
//! there is work, and hands the events on. Finished sequences stay as prefixes for later ones until room is needed.

use std::collections::VecDeque;

use arith::Machine;
use claim::{Finish, KvType, Sampling, Seed, StateHash, TokenId};

use crate::forward::{ForwardError, Logits, Span, Workspace};
use crate::generation::{Generation, GenerationError};
use crate::kv::{KvCache, PAGE_POSITIONS};
use crate::load::Model;
use crate::sampler::{TokenScore, score};

/// Names a job within its batcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(u64);

/// One prompt to continue.
#[derive(Clone, Debug)]
pub struct Job {
    /// Prompt tokens, at least one.
    pub prompt: Vec<TokenId>,
    /// How tokens are drawn and when to stop.
    pub sampling: Sampling,
    /// What the draws hang on.
    pub seed: Seed,
    /// Report the log probability of each output token and of this many best alternatives.
    pub logprobs: Option<u8>,
    /// Report the same for the prompt's tokens, from the second on.
    pub prompt_logprobs: Option<u8>,
}

/// What a job did in a step.
#[derive(Debug)]
pub enum Event {
    /// The job has left the queue; this many prompt positions were found computed.
    Started {
        /// The job.
        job: JobId,
        /// Positions taken from a shared prefix.
        cached: usize,
    },
    /// Scores of the prompt's tokens, in order, from the second token on.
    PromptScored {
        /// The job.
        job: JobId,
        /// One score per token.
        scores: Vec<TokenScore>,
    },
    /// A token was drawn.
    Token {
        /// The job.
        job: JobId,
        /// The token.
        token: TokenId,
        /// Text that is certain now; may be empty while a character or a stop string is open.
        text: String,
        /// Its score, if asked for.
        score: Option<TokenScore>,
        /// Hash of the final hidden state that the token was drawn from, and of the prompt's before the first.
        states: Vec<StateHash>,
    },
    /// The job is done.
    Finished {
        /// The job.
        job: JobId,
        /// Why.
        finish: Finish,
        /// Hashes of the states that no token was drawn from.
        states: Vec<StateHash>,
        /// Text that was held back until the end.
        text: String,
    },
    /// The job cannot go on; the others do.
    Failed {
        /// The job.
        job: JobId,
        /// Why.
        error: BatchError,
    },
}

/// Why a job failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// In the forward pass.
    #[error(transparent)]
    Forward(#[from] ForwardError),
    /// In sampling or its grammar.
    #[error(transparent)]
    Generation(#[from] GenerationError),
}

/// Bounds of a batcher.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    /// Sequences computed at the same time.
    pub active_max: usize,
    /// Rows in one step: decoding sequences take one each, prompts share the rest.
    pub rows_max: usize,
    /// Pages of keys and values, those kept as prefixes included.
    pub pages_max: usize,
    /// How keys and values are stored.
    pub kv: KvType,
}

/// Rows of a step when all of them need logits: bounds the logits to a few megabytes.
const SCORED_ROWS_MAX: usize = 32;

/// A job on its way through the model.
#[derive(Debug)]
struct Active<'m> {
    id: JobId,
    job: Job,
    cache: KvCache,
    generation: Generation<'m>,
    /// The token drawn last, not yet in the cache.
    pending: Option<TokenId>,
    scores: Vec<TokenScore>,
    states_reported: usize,
}

/// Jobs waiting, jobs active, prefixes kept.
#[derive(Debug)]
pub struct Batcher<'m> {
    model: &'m Model,
    limits: BatchLimits,
    next: u64,
    waiting: VecDeque<(JobId, Job)>,
    active: Vec<Active<'m>>,
    /// Finished sequences, least recently used first.
    kept: VecDeque<KvCache>,
    work: Workspace,
}

impl<'m> Batcher<'m> {
    /// An idle batcher.
    pub fn new(model: &'m Model, limits: BatchLimits) -> Self {
        Self {
            model,
            limits,
            next: 0,
            waiting: VecDeque::new(),
            active: Vec::new(),
            kept: VecDeque::new(),
            work: Workspace::default(),
        }
    }

    /// Queues a job. How many may wait is for the owner to bound, who can refuse a request before it is a job.
    pub fn submit(&mut self, job: Job) -> JobId {
        let id = JobId(self.next);
        self.next += 1;
        self.waiting.push_back((id, job));
        id
    }

    /// Forgets a job; what it computed stays as a prefix.
    pub fn cancel(&mut self, job: JobId) {
        self.waiting.retain(|(id, _)| *id != job);
        if let Some(index) = self.active.iter().position(|active| active.id == job) {
            let active = self.active.swap_remove(index);
            self.keep(active.cache);
        }
    }

    /// Whether a step would do nothing.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.active.is_empty()
    }

    /// Takes every active job one step further: one token for those that decode, a piece of the prompt for the others.
    pub fn step(&mut self, machine: &Machine) -> Vec<Event> {
        let mut events = Vec::new();
        self.admit(&mut events);
        while let Some(plan) = self.plan() {
            match self.run(machine, &plan) {
                Ok(()) => {
                    self.advance(machine, &plan, &mut events);
                    break;
                }
                // The job that caused the fault leaves; the others' caches are as before and take the step again.
                Err(error) => {
                    let active = self.active.remove(plan[error.span()].active);
                    events.push(Event::Failed { job: active.id, error: error.into() });
                }
            }
        }
        events
    }

    /// Moves waiting jobs to the active set while there is room.
    fn admit(&mut self, events: &mut Vec<Event>) {
        while self.active.len() < self.limits.active_max {
            let Some((_, job)) = self.waiting.front() else { return };
            if self.should_wait_for_prefix(job) || !self.make_room(self.pages_wanted(job)) {
                return;
            }
            let Some((id, job)) = self.waiting.pop_front() else { return };
            match self.start(id, job) {
                Ok(active) => {
                    events.push(Event::Started { job: id, cached: active.cache.len() });
                    self.active.push(active);
                }
                Err(error) => events.push(Event::Failed { job: id, error: error.into() }),
            }
        }
    }

    fn start(&mut self, id: JobId, job: Job) -> Result<Active<'m>, GenerationError> {
        let generation = Generation::new(self.model, &job.prompt, &job.sampling, job.seed)?;
        let cache = self.best_prefix(&job);
        Ok(Active { id, job, cache, generation, pending: None, scores: Vec::new(), states_reported: 0 })
    }

    /// Pages that a job may come to need.
    fn pages_wanted(&self, job: &Job) -> usize {
        let tokens = job.prompt.len() + job.sampling.max_tokens.get() as usize;
        tokens.min(self.model.config().context_length).div_ceil(PAGE_POSITIONS)
    }

    /// Drops kept prefixes until `pages` more fit beside what the active jobs may need. With nothing active a job is let
    /// in whatever its size, since waiting longer would not help it.
    fn make_room(&mut self, pages: usize) -> bool {
        let active: usize = self.active.iter().map(|active| self.pages_wanted(&active.job)).sum();
        let kept = |kept: &VecDeque<KvCache>| kept.iter().map(KvCache::pages).sum::<usize>();
        while active + kept(&self.kept) + pages > self.limits.pages_max {
            if self.kept.pop_front().is_none() {
                return self.active.is_empty();
            }
        }
        true
    }

    /// Usable positions of a prefix: the last prompt token is always computed, since its logits are needed, and all of
    /// them are when the prompt is to be scored.
    fn usable_prefix(cache: &KvCache, job: &Job) -> usize {
        if job.prompt_logprobs.is_some() {
            return 0;
        }
        cache.common_prefix(&job.prompt).min(job.prompt.len().saturating_sub(1))
    }

    /// A cache that starts with the longest prefix of the prompt that any sequence holds.
    fn best_prefix(&mut self, job: &Job) -> KvCache {
        let kept = self.kept.iter().enumerate().map(|(index, cache)| (Some(index), cache));
        let active = self.active.iter().map(|active| (None, &active.cache));
        let best = kept.chain(active).max_by_key(|(_, cache)| Self::usable_prefix(cache, job));
        let Some((index, cache)) = best else { return self.model.new_cache(self.limits.kv) };
        let fork = match Self::usable_prefix(cache, job) {
            0 => return self.model.new_cache(self.limits.kv),
            positions => cache.fork(positions),
        };
        if let Some(recently_used) = index.and_then(|index| self.kept.remove(index)) {
            self.kept.push_back(recently_used);
        }
        fork
    }

    /// Whether an active job is about to compute a longer prefix of this prompt than is there now, as for the choices of
    /// one request.
    fn should_wait_for_prefix(&self, job: &Job) -> bool {
        job.prompt_logprobs.is_none()
            && self.active.iter().any(|active| {
                let prompt = &active.job.prompt;
                let shared = prompt.iter().zip(&job.prompt).take_while(|(a, b)| a == b).count();
                active.cache.len() < shared.min(prompt.len().saturating_sub(1)) && shared >= PREFIX_WORTH_WAITING
            })
    }

    fn keep(&mut self, cache: KvCache) {
        let tokens = cache.tokens().len();
        self.kept.retain(|kept| cache.common_prefix(kept.tokens()) < kept.len());
        if tokens > 0 {
            self.kept.push_back(cache);
        }
    }

    /// Chooses what each active job computes in this step; `None` when nothing is active.
    fn plan(&self) -> Option<Vec<Piece>> {
        let decoding = self.active.iter().filter(|active| active.pending.is_some()).count();
        let mut budget = self.limits.rows_max.saturating_sub(decoding).max(1);
        let mut plan = Vec::new();
        for (index, active) in self.active.iter().enumerate() {
            if active.pending.is_some() {
                plan.push(Piece { active: index, rows: 1, logits: Logits::From(0) });
            } else if budget > 0 {
                let left = active.job.prompt.len() - active.cache.len();
                let scored = active.job.prompt_logprobs.is_some();
                let rows = left.min(budget).min(if scored { SCORED_ROWS_MAX } else { usize::MAX });
                budget -= rows;
                let logits = match (scored, rows == left) {
                    (true, _) => Logits::From(0),
                    (false, true) => Logits::From(rows - 1),
                    (false, false) => Logits::None,
                };
                plan.push(Piece { active: index, rows, logits });
            }
        }
        (!plan.is_empty()).then_some(plan)
    }

    /// Computes the planned pieces; the logits stay in the workspace.
    fn run(&mut self, machine: &Machine, plan: &[Piece]) -> Result<(), ForwardError> {
        let mut pieces = plan.iter().peekable();
        let mut spans = Vec::with_capacity(plan.len());
        for (index, active) in self.active.iter_mut().enumerate() {
            let Some(piece) = pieces.next_if(|piece| piece.active == index) else { continue };
            let start = active.cache.len();
            let tokens = match &active.pending {
                Some(token) => std::slice::from_ref(token),
                None => &active.job.prompt[start..start + piece.rows],
            };
            spans.push(Span { cache: &mut active.cache, tokens, logits: piece.logits });
        }
        self.model.forward(machine, &mut self.work, &mut spans).map(|_| ())
    }

    /// Draws where a piece ended in logits, and retires the jobs that are done.
    fn advance(&mut self, machine: &Machine, plan: &[Piece], events: &mut Vec<Event>) {
        let vocabulary = self.model.config().vocabulary;
        let mut logits = self.work.logits_mut().chunks_exact_mut(vocabulary);
        let mut done = Vec::new();
        for piece in plan {
            let active = &mut self.active[piece.active];
            let rows: Vec<&mut [f32]> = match piece.logits {
                Logits::None => continue,
                Logits::From(from) => logits.by_ref().take(piece.rows - from).collect(),
            };
            match active.advance(machine, rows, events) {
                Ok(Some(finish)) => {
                    let (states, text) = (active.unreported_states(), active.generation.finish_text());
                    events.push(Event::Finished { job: active.id, finish, states, text });
                    done.push(active.id);
                }
                Ok(None) => {}
                Err(error) => {
                    events.push(Event::Failed { job: active.id, error: error.into() });
                    done.push(active.id);
                }
            }
        }
        for job in done {
            self.cancel(job);
        }
    }
}

/// A shared prefix shorter than this is computed twice rather than waited for.
const PREFIX_WORTH_WAITING: usize = 16;

/// What one active job computes in a step.
#[derive(Clone, Copy, Debug)]
struct Piece {
    active: usize,
    rows: usize,
    logits: Logits,
}

impl Active<'_> {
    /// Uses the logits of the rows just computed; returns why the job is done, if it is.
    fn advance(
        &mut self,
        machine: &Machine,
        mut rows: Vec<&mut [f32]>,
        events: &mut Vec<Event>,
    ) -> Result<Option<Finish>, GenerationError> {
        let computed = self.cache.len();
        if let Some(top) = self.job.prompt_logprobs.filter(|_| self.pending.is_none()) {
            let first = computed - rows.len();
            for (offset, row) in rows.iter().enumerate() {
                if let Some(&next) = self.job.prompt.get(first + offset + 1) {
                    self.scores.push(score(machine, row, next, top)?);
                }
            }
            if computed == self.job.prompt.len() {
                events.push(Event::PromptScored { job: self.id, scores: std::mem::take(&mut self.scores) });
            }
        }
        let Some(logits) = rows.last_mut().filter(|_| computed >= self.job.prompt.len()) else { return Ok(None) };
        if let Some(finish) = self.generation.finished() {
            return Ok(Some(finish));
        }
        let draw = self.generation.draw(machine, logits, self.job.logprobs)?;
        let finish = self.generation.accept(draw.token)?;
        let states = self.unreported_states();
        self.pending = Some(draw.token);
        events.push(Event::Token {
            job: self.id,
            token: draw.token,
            text: self.generation.take_text(),
            score: draw.score,
            states,
        });
        Ok(finish)
    }

    fn unreported_states(&mut self) -> Vec<StateHash> {
        let states = self.cache.states()[self.states_reported..].to_vec();
        self.states_reported = self.cache.len();
        states
    }
}
