//! The batch thread: takes orders, steps the batcher, signs receipts and sends events.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};

use api::ApiError;
use arith::Machine;
use bytes::Bytes;
use claim::{
    Evidence, Finish, HostKey, OutputChain, Receipt, Sampling, SignedReceipt, StateChain, StateHash, TokenCount,
    TokenId,
};
use market::Refusal;
use model::sampler::{Logprob, TokenScore};
use model::{BatchError, BatchLimits, Batcher, Event, Job, JobId, Model};
use tokio::sync::mpsc;

use crate::event::{Alternative, Done, HostEvent, Progress, TokenLogprob};
use crate::serve::now;
use crate::till::Charge;

/// A signed receipt for the answer so far goes out after this many tokens.
const PROGRESS_TOKENS: u32 = 32;

/// What the thread is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// Answer these choices of one request.
    Submit(Vec<Order>),
    /// End.
    Stop,
}

/// One choice to compute, with everything that its receipt says from the start.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) receipt: Receipt,
    /// The request, shared by its choices. The evidence gets its copy when it is handed over.
    pub(crate) body: Bytes,
    pub(crate) evidence: Evidence,
    pub(crate) sampling: Sampling,
    /// Log probabilities of tokens, with this many alternatives.
    pub(crate) logprobs: Option<u8>,
    /// Begin with the prompt.
    pub(crate) echo: bool,
    /// What is set aside for it, where it is paid for.
    pub(crate) charge: Option<Charge>,
    pub(crate) events: mpsc::Sender<HostEvent>,
}

/// A choice on its way.
#[derive(Debug)]
struct Track {
    order: Order,
    cached: usize,
    output: OutputChain,
    states: StateChain,
}

/// What the batch thread owns.
#[derive(Debug)]
pub(crate) struct Engine<'a> {
    model: &'a Model,
    key: &'a HostKey,
    machine: &'a Machine,
    batcher: Batcher<'a>,
    tracks: BTreeMap<JobId, Track>,
    open: &'a AtomicUsize,
}

/// The client no longer listens, or no longer pays.
struct Gone;

impl<'a> Engine<'a> {
    pub(crate) fn new(
        model: &'a Model,
        key: &'a HostKey,
        machine: &'a Machine,
        limits: BatchLimits,
        open: &'a AtomicUsize,
    ) -> Self {
        Self { model, key, machine, batcher: Batcher::new(model, limits), tracks: BTreeMap::new(), open }
    }

    /// Works until told to stop, or until nobody is left who could.
    pub(crate) fn run(mut self, inbox: &Receiver<Command>) {
        loop {
            let command = if self.batcher.is_idle() {
                inbox.recv().map_err(|_| TryRecvError::Disconnected)
            } else {
                inbox.try_recv()
            };
            match command {
                Ok(Command::Submit(orders)) => orders.into_iter().for_each(|order| self.take(order)),
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => return,
                Err(TryRecvError::Empty) => self.step(),
            }
        }
    }

    fn take(&mut self, order: Order) {
        let prompt: Vec<TokenId> = order.evidence.prompt.iter().map(|token| token.token).collect();
        let scored = order.logprobs.filter(|_| order.echo);
        let job = Job {
            prompt,
            sampling: order.sampling.clone(),
            seed: order.receipt.seed,
            logprobs: order.logprobs,
            prompt_logprobs: scored,
        };
        let track = Track { order, cached: 0, output: OutputChain::new(), states: StateChain::new() };
        let id = self.batcher.submit(job);
        if track.order.echo && scored.is_none() {
            let echo = self.echo(&track, Vec::new());
            // A client that is gone already is noticed in the next step.
            let _ = track.order.events.try_send(echo);
        }
        self.tracks.insert(id, track);
    }

    fn step(&mut self) {
        self.drop_abandoned();
        for event in self.batcher.step(self.machine) {
            let (job, ended, handled) = match event {
                Event::Started { job, cached } => (job, false, self.started(job, cached)),
                Event::PromptScored { job, scores } => (job, false, self.prompt_scored(job, &scores)),
                Event::Token { job, token, text, score, states } => {
                    (job, false, self.token(job, token, text, score, &states))
                }
                Event::Finished { job, finish, text, states } => (job, true, self.finished(job, finish, text, &states)),
                Event::Failed { job, error } => (job, true, self.failed(job, &error)),
            };
            if handled.is_err() {
                self.batcher.cancel(job);
            }
            if ended || handled.is_err() {
                self.forget(job);
            }
        }
    }

    /// Ends the choices whose client has gone away, waiting ones included.
    fn drop_abandoned(&mut self) {
        let closed = |track: &Track| track.order.events.is_closed();
        let gone: Vec<JobId> = self.tracks.iter().filter(|(_, track)| closed(track)).map(|(&job, _)| job).collect();
        for job in gone {
            self.batcher.cancel(job);
            self.forget(job);
        }
    }

    fn forget(&mut self, job: JobId) {
        if self.tracks.remove(&job).is_some() {
            self.open.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn started(&mut self, job: JobId, cached: usize) -> Result<(), Gone> {
        let track = self.tracks.get_mut(&job).ok_or(Gone)?;
        track.cached = cached;
        Ok(())
    }

    fn prompt_scored(&mut self, job: JobId, scores: &[TokenScore]) -> Result<(), Gone> {
        let track = self.tracks.get(&job).ok_or(Gone)?;
        let first = track.order.evidence.prompt.first().map(|first| TokenLogprob {
            token: first.token,
            bytes: self.bytes(first.token),
            logprob: None,
            top: Vec::new(),
        });
        let logprobs = first.into_iter().chain(scores.iter().map(|score| self.logprob(score))).collect();
        track.send(self.echo(track, logprobs))
    }

    fn echo(&self, track: &Track, logprobs: Vec<TokenLogprob>) -> HostEvent {
        let evidence = &track.order.evidence;
        let tokens: Vec<TokenId> = evidence.prompt.iter().map(|token| token.token).collect();
        let text = String::from_utf8_lossy(&self.model.tokenizer().decode(&tokens)).into_owned();
        HostEvent::Echo { choice: evidence.choice, text, logprobs }
    }

    fn token(
        &mut self,
        job: JobId,
        token: TokenId,
        text: String,
        score: Option<TokenScore>,
        states: &[StateHash],
    ) -> Result<(), Gone> {
        let logprob = score.map(|score| Box::new(self.logprob(&score)));
        let key = self.key;
        let track = self.tracks.get_mut(&job).ok_or(Gone)?;
        let choice = track.order.evidence.choice;
        // Signed with the next token in hand, so that a receipt for a prefix is never one for a whole answer.
        if track.output.count().get() > 0 && track.output.count().get() % PROGRESS_TOKENS == 0 {
            let (receipt, seed_proof) = (track.sign(key, Finish::Prefix), track.order.evidence.seed_proof);
            let charged = track.charge(&receipt);
            track.send(HostEvent::Progress(Box::new(Progress { choice, receipt, seed_proof })))?;
            if let Err(refusal) = charged {
                track.send(HostEvent::Failed(ApiError::PaymentRefused { problem: refusal.to_string() }))?;
                return Err(Gone);
            }
        }
        track.extend(states);
        track.output.push(token);
        track.order.evidence.output.push(token);
        track.order.evidence.text.push_str(&text);
        track.send(HostEvent::Token { choice, token, text, logprob })
    }

    fn finished(&mut self, job: JobId, finish: Finish, tail: String, states: &[StateHash]) -> Result<(), Gone> {
        let key = self.key;
        let track = self.tracks.get_mut(&job).ok_or(Gone)?;
        track.extend(states);
        track.order.evidence.text.push_str(&tail);
        let receipt = track.sign(key, finish);
        // A client that owes too much learns of it with its next request.
        let _ = track.charge(&receipt);
        let done = Done {
            choice: track.order.evidence.choice,
            finish,
            tail,
            cached: TokenCount::new(track.cached as u32),
            receipt,
            evidence: Evidence { request: track.order.body.to_vec(), ..track.order.evidence.clone() },
        };
        track.send(HostEvent::Done(Box::new(done)))
    }

    fn failed(&mut self, job: JobId, error: &BatchError) -> Result<(), Gone> {
        let track = self.tracks.get(&job).ok_or(Gone)?;
        tracing::error!(name: "host.job_failed", error = %error);
        track.send(HostEvent::Failed(ApiError::Internal))
    }

    fn bytes(&self, token: TokenId) -> Vec<u8> {
        self.model.tokenizer().token_bytes(token).to_vec()
    }

    fn logprob(&self, score: &TokenScore) -> TokenLogprob {
        let alternative = |likely: &Logprob| Alternative {
            token: likely.token,
            bytes: self.bytes(likely.token),
            logprob: likely.logprob as f32,
        };
        TokenLogprob {
            token: score.token,
            bytes: self.bytes(score.token),
            logprob: Some(score.logprob as f32),
            top: score.top.iter().map(alternative).collect(),
        }
    }
}

impl Track {
    /// Sends without waiting: the batch never waits for one client, and one that lags by a whole queue counts as gone.
    fn send(&self, event: HostEvent) -> Result<(), Gone> {
        self.order.events.try_send(event).map_err(|_| Gone)
    }

    fn extend(&mut self, states: &[StateHash]) {
        for &state in states {
            self.states.push(state);
            self.order.evidence.states.push(state);
        }
    }

    /// From now on the client owes what a receipt is over.
    fn charge(&mut self, signed: &SignedReceipt) -> Result<(), Refusal> {
        self.order.charge.as_mut().map_or(Ok(()), |charge| charge.sign(signed.receipt.total))
    }

    /// Signs for the tokens so far.
    fn sign(&self, key: &HostKey, finish: Finish) -> SignedReceipt {
        let prompt = TokenCount::new(self.order.evidence.prompt.len() as u32);
        key.sign(&Receipt {
            output_root: self.output.root(),
            state_root: self.states.root(),
            finish,
            total: self.order.receipt.price.total_floor(prompt, self.output.count()),
            finished: now().max(self.order.receipt.started),
            ..self.order.receipt
        })
    }
}
