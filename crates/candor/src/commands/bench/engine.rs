//! `candor bench engine`: the forward pass alone, and what receipts add to it.
//!
//! Tokens are a fixed pseudo-random sequence, so that every run and every engine computes the same. Each case runs several
//! times and the best counts: what disturbs a run only ever makes it slower.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use anyhow::ensure;
use arith::Machine;
use claim::{
    Address, Amount, ChannelId, ChoiceIndex, Digest, Engine, Finish, HostKey, KvType, ModelRoot, Nonce, OutputChain,
    Price, PromptRoot, RECEIPT_VERSION, Receipt, ReceiptId, RequestHash, SamplingHash, Seed, SeedProof, StateChain,
    StateHash, TokenCount, TokenId, UnixMillis, state_hash,
};
use model::{KvCache, Logits, Model, Span, Workspace};
use serde::Serialize;

use super::EngineOptions;
use super::peer::{self, Peer};
use crate::commands::{Context, block_on};
use crate::exit::Exit;
use crate::progress::Bar;
use crate::{machine, output};

/// Rows of one step of a prefill; what the host and the court use.
const ROWS_MAX: usize = 128;

/// Prompt lengths measured besides the one asked for.
const PROMPTS: [usize; 2] = [32, 128];

/// Sequences decoded together, besides one alone.
const BATCHES: [usize; 3] = [2, 4, 8];

/// Tokens of the answer whose receipt is measured.
const RECEIPT_TOKENS: usize = 256;

/// A host signs once for so many tokens of a stream.
const TOKENS_PER_SIGNATURE: usize = 32;

/// What is measured, with nothing left open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) prompt: usize,
    pub(super) context: usize,
    pub(super) generate: usize,
    pub(super) repeat: usize,
}

/// One line of the outcome.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    bench: &'static str,
    case: String,
    unit: &'static str,
    ours: f64,
    peer: Option<f64>,
    peer_name: Option<&'static str>,
    ratio: Option<f64>,
}

/// Runs the command.
pub(super) fn run(context: &Context<'_>, options: &EngineOptions) -> anyhow::Result<Exit> {
    let or = |value: Option<NonZeroUsize>, usual: usize| value.map_or(usual, NonZeroUsize::get);
    let plan = Plan {
        prompt: or(options.prompt, 512),
        context: or(options.context, 64),
        generate: or(options.generate, 128),
        repeat: or(options.repeat, 3),
    };
    let fetcher = context.fetcher();
    let reference = options.model.clone().unwrap_or_else(|| fetcher.catalogue().default_entry().name.clone());
    let found = block_on(async { Ok(fetcher.resolve(&reference, &context.fetch_bars()).await?) })?;
    let machine = machine::build(options.threads, context.environment)?;
    let model = host::load_model(&found.path, &machine)?;
    let longest = plan.prompt.max(plan.context + plan.generate).max(RECEIPT_TOKENS);
    let room = model.config().context_length;
    ensure!(
        longest <= room,
        "the cases need {longest} positions, the model's context has {room}; ask for fewer tokens"
    );
    let mut bench = Bench { model: &model, machine: &machine, work: Workspace::default(), plan: plan.clone() };
    let mut rows = bench.rows(context)?;
    let threads = machine.pool().threads();
    // Programs that read the JSON measure the peer themselves, unless they name it here.
    let is_peer_wanted = options.peer.is_some() || !context.output.is_json();
    let peer = if is_peer_wanted { Peer::find(options.peer.as_deref())? } else { None };
    if let Some(peer) = &peer {
        let speeds = peer.measure(&found.path, threads, &plan)?;
        rows[0].beside(speeds.prefill);
        rows[1].beside(speeds.decode);
    }
    if context.output.is_json() {
        rows.iter().try_for_each(output::json)?;
        return Ok(Exit::Done);
    }
    output::line(&format!("{} with {threads} threads of {}", found.name, machine.isa().name()))?;
    print(context, &rows)?;
    if peer.is_none() {
        output::note(Peer::ADVICE);
    }
    Ok(Exit::Done)
}

fn print(context: &Context<'_>, rows: &[Row]) -> anyhow::Result<()> {
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            vec![row.case.clone(), number(Some(row.ours)), number(row.peer), number(row.ratio), row.unit.to_owned()]
        })
        .collect();
    context.output.table(&["case", "candor", peer::NAME, "ratio", "unit"], &cells)
}

impl Row {
    fn speed(case: String, tokens: usize, elapsed: Duration) -> Self {
        let ours = tokens as f64 / elapsed.as_secs_f64();
        Self { bench: "engine", case, unit: "tokens/s", ours, peer: None, peer_name: None, ratio: None }
    }

    fn beside(&mut self, peer: f64) {
        self.peer = Some(peer);
        self.peer_name = Some(peer::NAME);
        self.ratio = Some(self.ours / peer);
    }
}

/// One model on one machine.
struct Bench<'a> {
    model: &'a Model,
    machine: &'a Machine,
    work: Workspace,
    plan: Plan,
}

impl Bench<'_> {
    /// Every case; the first two are the ones that a peer is compared on.
    fn rows(&mut self, context: &Context<'_>) -> anyhow::Result<Vec<Row>> {
        let Plan { prompt, context: before, generate, .. } = self.plan;
        let mut bar = Bar::counted(context.output, "measuring", (3 + PROMPTS.len() + BATCHES.len()) as u64);
        let mut rows = Vec::new();
        let mut push = |row| {
            rows.push(row);
            bar.at(rows.len() as u64);
        };
        push(Row::speed(format!("prefill {prompt}"), prompt, self.best(|bench| bench.prefill(prompt))?));
        let alone = self.best(|bench| bench.decode(before, generate, 1))?;
        push(Row::speed(format!("decode {generate} at {before}"), generate, alone));
        for length in PROMPTS.into_iter().filter(|&length| length != prompt) {
            push(Row::speed(format!("prefill {length}"), length, self.best(|bench| bench.prefill(length))?));
        }
        for batch in BATCHES {
            let elapsed = self.best(|bench| bench.decode(before, generate, batch))?;
            push(Row::speed(format!("decode {batch} x {generate} at {before}"), batch * generate, elapsed));
        }
        push(self.receipt()?);
        bar.end();
        Ok(rows)
    }

    /// The shortest of several runs.
    fn best(&mut self, mut run: impl FnMut(&mut Self) -> anyhow::Result<Duration>) -> anyhow::Result<Duration> {
        let mut best = run(self)?;
        for _ in 1..self.plan.repeat {
            best = best.min(run(self)?);
        }
        Ok(best)
    }

    /// The time of `length` tokens on an empty cache, with the logits of the last.
    fn prefill(&mut self, length: usize) -> anyhow::Result<Duration> {
        let tokens = self.tokens(length);
        let mut cache = self.model.new_cache(KvType::F16);
        let since = Instant::now();
        for (index, chunk) in tokens.chunks(ROWS_MAX).enumerate() {
            let is_last = (index + 1) * ROWS_MAX >= length;
            let logits = if is_last { Logits::From(chunk.len() - 1) } else { Logits::None };
            self.step(&mut [Span { cache: &mut cache, tokens: chunk, logits }])?;
        }
        Ok(since.elapsed())
    }

    /// The time of `generate` tokens, one at a time in each of `batch` sequences, logits each, after `before` tokens.
    fn decode(&mut self, before: usize, generate: usize, batch: usize) -> anyhow::Result<Duration> {
        let tokens = self.tokens(before + generate);
        let mut caches: Vec<KvCache> = (0..batch).map(|_| self.model.new_cache(KvType::F16)).collect();
        for cache in &mut caches {
            for chunk in tokens[..before].chunks(ROWS_MAX) {
                self.step(&mut [Span { cache, tokens: chunk, logits: Logits::None }])?;
            }
        }
        let since = Instant::now();
        for token in tokens[before..].chunks(1) {
            let mut spans: Vec<Span<'_>> =
                caches.iter_mut().map(|cache| Span { cache, tokens: token, logits: Logits::From(0) }).collect();
            self.step(&mut spans)?;
        }
        Ok(since.elapsed())
    }

    fn step(&mut self, spans: &mut [Span<'_>]) -> anyhow::Result<()> {
        self.model.forward(self.machine, &mut self.work, spans)?;
        Ok(())
    }

    /// What a receipt costs beside the generation that it is for, in per cent.
    fn receipt(&mut self) -> anyhow::Result<Row> {
        let generation = self.best(|bench| bench.decode(1, RECEIPT_TOKENS - 1, 1))?;
        let width = self.model.config().width;
        let tokens = self.tokens(RECEIPT_TOKENS);
        let state: Vec<f32> = (0..width).map(|index| index as f32).collect();
        let key = HostKey::generate(&[7; 64]);
        let receipt = self.best(|_| {
            let since = Instant::now();
            let (mut output, mut states) = (OutputChain::new(), StateChain::new());
            for &token in &tokens {
                states.push(hash_of(&state));
                output.push(token);
            }
            let proof = SeedProof::draw(&key, RequestHash::new(Digest::ZERO), Nonce::new(Digest::ZERO));
            for _ in 0..=RECEIPT_TOKENS / TOKENS_PER_SIGNATURE {
                std::hint::black_box(key.sign(&specimen(&key, &output, &states, &proof)));
            }
            Ok(since.elapsed())
        })?;
        let ours = 100.0 * receipt.as_secs_f64() / generation.as_secs_f64();
        let case = format!("receipt of {RECEIPT_TOKENS}");
        Ok(Row { bench: "engine", case, unit: "% of generation", ours, peer: None, peer_name: None, ratio: None })
    }

    /// A fixed sequence of tokens that are all in the vocabulary.
    fn tokens(&self, length: usize) -> Vec<TokenId> {
        let vocabulary = self.model.tokenizer().vocab_size() as u64;
        // Lehmer's generator with Park and Miller's constants, as the script that measures llama.cpp has it.
        let mut state = 20_251_125_u64;
        let mut next = || {
            state = state * 48_271 % 2_147_483_647;
            TokenId::new((state % vocabulary) as u32)
        };
        (0..length).map(|_| next()).collect()
    }
}

/// A receipt with every field filled, as the engine makes one.
fn specimen(key: &HostKey, output: &OutputChain, states: &StateChain, proof: &SeedProof) -> Receipt {
    let zero = Digest::ZERO;
    Receipt {
        version: RECEIPT_VERSION,
        model_root: ModelRoot::new(zero),
        engine: Engine::new(KvType::F16),
        request_hash: RequestHash::new(zero),
        choice: ChoiceIndex::new(0),
        prompt_root: PromptRoot::new(zero),
        sampling: SamplingHash::new(zero),
        seed: Seed::ZERO,
        seed_kind: proof.kind(),
        output_root: output.root(),
        finish: Finish::Length,
        state_root: states.root(),
        previous: ReceiptId::ZERO,
        prefix_length: TokenCount::new(0),
        price: Price::FREE,
        total: Amount::new(0),
        channel: ChannelId::ZERO,
        host: key.address(),
        client: Address::ZERO,
        started: UnixMillis::new(0),
        finished: UnixMillis::new(0),
    }
}

fn hash_of(state: &[f32]) -> StateHash {
    std::hint::black_box(state_hash(std::hint::black_box(state)))
}
