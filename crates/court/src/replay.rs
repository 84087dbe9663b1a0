//! Replay: recompute an answer from its receipt and compare, with zero tolerance.
//!
//! The checks run from cheap to dear. First what the receipt says about itself (signature, engine, evidence), then what
//! the request means (model, prompt, sampling, seed, price), and last the computation: one prefill over prompt and answer
//! that compares the hidden state at every position and redraws every token. The first difference is the verdict.

use std::ops::Range;

use api::Request;
use arith::Machine;
use claim::{
    ARITHMETIC_VERSION, Evidence, Finish, ModelRoot, OutputChain, Position, Price, RequestHash, Sampling, SeedProof, SignedReceipt, StateChain, StateHash,
    TokenCount, TokenId, prompt_root, request_hash,
};
use model::generation::{Generation, GenerationError, text_of};
use model::{KvCache, Logits, Model, Span, Workspace};

use crate::verdict::{Difference, Extent, Kind, Obstacle, Refutation, Verdict};

/// What is judged.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The host's statement.
    pub signed: &'a SignedReceipt,
    /// What opens its hashes.
    pub evidence: &'a Evidence,
    /// What the verifier knows by itself.
    pub known: Known<'a>,
    /// Output tokens to redraw; `None` for all.
    pub window: Option<(usize, usize)>,
}

/// What the verifier knows without the host. Every field that is absent is one lie less that can be found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// The root that the requested model name stands for.
    pub model_root: Option<ModelRoot>,
    /// The agreed price.
    pub price: Option<Price>,
    /// What the client itself asked and was shown.
    pub client: Option<ClientRecord<'a>>,
}

/// The client's own memory of an answer. It is no proof to anyone else, since the host did not sign it.
#[derive(Clone, Copy, Debug)]
pub struct ClientRecord<'a> {
    /// The hash of the request that was sent.
    pub request: RequestHash,
    /// The text that was shown.
    pub text: &'a str,
    /// Whether the client itself broke off.
    pub cancelled: bool,
}

/// Told after each piece of the prefill: positions done and positions in all.
pub type Progress<'a> = dyn FnMut(usize, usize) + 'a;

/// Rows of a prefill step without logits.
const ROWS_MAX: usize = 128;
/// Rows of a prefill step with logits, which are `vocabulary` floats each.
const LOGIT_ROWS_MAX: usize = 32;

/// Either the wanted thing or the verdict that ends the replay.
type Checked<T> = Result<T, Verdict>;

/// Judges `case` with `model` at hand.
pub fn replay(case: &Case<'_>, model: &Model, machine: &Machine, progress: &mut Progress<'_>) -> Verdict {
    judge(case, model, machine, progress).unwrap_or_else(|verdict| verdict)
}

fn judge(case: &Case<'_>, model: &Model, machine: &Machine, progress: &mut Progress<'_>) -> Checked<Verdict> {
    check_signature(case)?;
    check_evidence(case)?;
    check_model(case, model)?;
    let sampling = check_request(case, model)?;
    check_price(case)?;
    let extent = Computation::new(case, model, &sampling)?.run(machine, progress)?;
    check_text(case, model, &sampling)?;
    Ok(Verdict::Held(extent))
}

fn refuted(kind: Kind, position: Option<usize>, difference: Difference) -> Verdict {
    let position = position.map(|position| Position::new(position as u32));
    Verdict::Refuted(Refutation { kind, position, difference })
}

fn check_signature(case: &Case<'_>) -> Checked<()> {
    case.signed.verify().map(|_| ()).map_err(|_| refuted(Kind::Signature, None, Difference::Signature))
}

/// The evidence must be what was signed. If it is not, somebody handed over the wrong file: no reason to accuse the host.
fn check_evidence(case: &Case<'_>) -> Checked<()> {
    let (receipt, evidence) = (&case.signed.receipt, case.evidence);
    let asked = request_hash(evidence.endpoint, &evidence.request, evidence.nonce, evidence.client);
    if let Some(client) = case.known.client.filter(|client| client.request == asked)
        && client.request != receipt.request_hash
    {
        return Err(refuted(Kind::Prompt, None, Difference::Request));
    }
    let states = evidence.prompt.len() + evidence.output.len().saturating_sub(1);
    let openings = [
        ("request", asked == receipt.request_hash),
        ("choice", evidence.choice == receipt.choice),
        ("prompt", prompt_root(&evidence.prompt) == receipt.prompt_root),
        ("output", output_root(&evidence.output) == receipt.output_root),
        ("state count", evidence.states.len() == states),
        ("states", state_root(&evidence.states) == receipt.state_root),
        ("seed proof", evidence.seed_proof.kind() == receipt.seed_kind),
    ];
    match openings.into_iter().find(|(_, opens)| !opens) {
        Some((field, _)) => Err(Verdict::Cannot(Obstacle::EvidenceMismatch { field })),
        None => Ok(()),
    }
}

fn output_root(tokens: &[TokenId]) -> claim::OutputRoot {
    let mut chain = OutputChain::new();
    tokens.iter().for_each(|&token| chain.push(token));
    chain.root()
}

fn state_root(states: &[StateHash]) -> claim::StateRoot {
    let mut chain = StateChain::new();
    states.iter().for_each(|&state| chain.push(state));
    chain.root()
}

fn check_model(case: &Case<'_>, model: &Model) -> Checked<()> {
    let found = case.signed.receipt.model_root;
    if let Some(expected) = case.known.model_root
        && expected != found
    {
        return Err(refuted(Kind::Model, None, Difference::ModelRoot { expected, found }));
    }
    let arithmetic = case.signed.receipt.engine.arithmetic;
    if arithmetic != ARITHMETIC_VERSION {
        return Err(Verdict::Cannot(Obstacle::EngineUnknown { found: arithmetic, known: ARITHMETIC_VERSION }));
    }
    if model.root() != found {
        return Err(Verdict::Cannot(Obstacle::ModelNotAtHand { root: found }));
    }
    Ok(())
}

/// The request bytes have one meaning; prompt, sampling and seed must be that.
fn check_request(case: &Case<'_>, model: &Model) -> Checked<Sampling> {
    let (receipt, evidence) = (&case.signed.receipt, case.evidence);
    let unanswerable = |reason: String| refuted(Kind::Prompt, None, Difference::Unanswerable { reason });
    let request: Request =
        api::parse(evidence.endpoint, &evidence.request).map_err(|error| unanswerable(error.to_string()))?;
    let mut jobs = request
        .jobs(model.tokenizer(), model.template().ok(), model.config().context_length, receipt.started)
        .map_err(|error| unanswerable(error.to_string()))?;
    let index = receipt.choice.get() as usize;
    if index >= jobs.len() {
        return Err(refuted(Kind::Prompt, None, Difference::Choice { choices: jobs.len() }));
    }
    let job = jobs.swap_remove(index);
    let length = job.prompt.len().max(evidence.prompt.len());
    if let Some(position) = (0..length).find(|&i| job.prompt.get(i) != evidence.prompt.get(i)) {
        let (expected, found) = (job.prompt.get(position).copied(), evidence.prompt.get(position).copied());
        return Err(refuted(Kind::Prompt, Some(position), Difference::PromptToken { expected, found }));
    }
    let (expected, found) = (job.sampling.hash(), receipt.sampling);
    if expected != found {
        return Err(refuted(Kind::Sampling, None, Difference::Sampling { expected, found }));
    }
    check_seed(case, job.seed, job.sampling.temperature)?;
    Ok(job.sampling)
}

fn check_seed(case: &Case<'_>, given: Option<u64>, temperature: f32) -> Checked<()> {
    let (receipt, evidence) = (&case.signed.receipt, case.evidence);
    let wrong = |reason: String| refuted(Kind::Sampling, None, Difference::Seed { reason });
    let fits = match (&evidence.seed_proof, given) {
        (SeedProof::Unused, _) => temperature == 0.0,
        (SeedProof::Given(seed), Some(given)) => temperature != 0.0 && *seed == given,
        (SeedProof::Drawn(_), None) => temperature != 0.0,
        _ => false,
    };
    if !fits {
        return Err(wrong("it is of another kind than the request asks for".to_owned()));
    }
    let host = case.signed.host_key().map_err(|_| refuted(Kind::Signature, None, Difference::Signature))?;
    let seed = evidence
        .seed_proof
        .seed(&host, receipt.request_hash, evidence.nonce, receipt.choice)
        .map_err(|error| wrong(error.to_string()))?;
    if seed == receipt.seed { Ok(()) } else { Err(wrong("it does not follow from its proof".to_owned())) }
}

fn check_price(case: &Case<'_>) -> Checked<()> {
    let receipt = &case.signed.receipt;
    let (prompt, output) = (case.evidence.prompt.len() as u32, case.evidence.output.len() as u32);
    let (expected, found) = (receipt.price.total_floor(TokenCount::new(prompt), TokenCount::new(output)), receipt.total);
    if expected != found {
        return Err(refuted(Kind::Price, None, Difference::Total { expected, found }));
    }
    if let Some(agreed) = case.known.price {
        let dearer = receipt.price.prompt_per_million > agreed.prompt_per_million
            || receipt.price.output_per_million > agreed.output_per_million;
        if dearer {
            return Err(refuted(Kind::Price, None, Difference::Price { agreed, found: receipt.price }));
        }
    }
    if receipt.finished < receipt.started {
        return Err(refuted(Kind::Price, None, Difference::Time));
    }
    Ok(())
}

/// The text that the client was shown must be the text of the tokens. Without the client's own record the text in the
/// evidence is nobody's statement, and a wrong one only means wrong evidence.
fn check_text(case: &Case<'_>, model: &Model, sampling: &Sampling) -> Checked<()> {
    let text = text_of(model, sampling, &case.evidence.output, case.signed.receipt.finish);
    if let Some(client) = case.known.client
        && client.text != text
        && !(client.cancelled && text.starts_with(client.text))
    {
        let common = client.text.bytes().zip(text.bytes()).take_while(|(shown, true_text)| shown == true_text).count();
        return Err(refuted(Kind::Token, None, Difference::Text { common_bytes: common }));
    }
    if case.evidence.text != text {
        return Err(Verdict::Cannot(Obstacle::EvidenceMismatch { field: "text" }));
    }
    Ok(())
}

/// The dear part: prefill, compare states, redraw tokens.
struct Computation<'a> {
    case: &'a Case<'a>,
    model: &'a Model,
    /// Prompt and output, the last output token excepted, which the model never consumed.
    consumed: Vec<TokenId>,
    generation: Generation<'a>,
    cache: KvCache,
    work: Workspace,
    /// Output tokens to redraw.
    window: Range<usize>,
    redrawn: usize,
    /// What the last accepted token ended by.
    ended: Option<Finish>,
}

impl<'a> Computation<'a> {
    fn new(case: &'a Case<'a>, model: &'a Model, sampling: &Sampling) -> Checked<Self> {
        let (receipt, evidence) = (&case.signed.receipt, case.evidence);
        let output = evidence.output.len();
        let window = match case.window {
            Some((start, end)) if start >= end || end > output => {
                return Err(Verdict::Cannot(Obstacle::Window { start, end, output }));
            }
            Some((start, end)) => start..end,
            None => 0..output,
        };
        let prompt: Vec<TokenId> = evidence.prompt.iter().map(|token| token.token).collect();
        let generation = Generation::new(model, &prompt, sampling, receipt.seed)
            .map_err(|error| Verdict::Cannot(Obstacle::Replay { reason: error.to_string() }))?;
        let mut consumed = prompt;
        consumed.extend_from_slice(&evidence.output[..output.saturating_sub(1)]);
        Ok(Self {
            case,
            model,
            consumed,
            generation,
            cache: model.new_cache(receipt.engine.kv),
            work: Workspace::default(),
            window,
            redrawn: 0,
            ended: None,
        })
    }

    fn run(mut self, machine: &Machine, progress: &mut Progress<'_>) -> Checked<Extent> {
        let (prompt, output) = (self.case.evidence.prompt.len(), self.case.evidence.output.len());
        // A window needs no position behind its last token.
        let end = if self.window.end == output { self.consumed.len() } else { prompt + self.window.end - 1 };
        let first_drawn = prompt - 1 + self.window.start;
        while self.cache.len() < end {
            let start = self.cache.len();
            let rows = if start < first_drawn { ROWS_MAX.min(first_drawn - start) } else { LOGIT_ROWS_MAX }.min(end - start);
            let draws = if start < first_drawn || output == 0 { Logits::None } else { Logits::From(0) };
            self.piece(machine, start..start + rows, draws)?;
            progress(self.cache.len(), end);
        }
        self.check_finish()?;
        let count = |n: usize| TokenCount::new(n as u32);
        Ok(Extent { prompt: count(prompt), output: count(output), states: count(end), redrawn: count(self.redrawn) })
    }

    /// Computes the positions of `range`, compares their states and redraws what follows each.
    fn piece(&mut self, machine: &Machine, range: Range<usize>, draws: Logits) -> Checked<()> {
        let mut span = [Span { cache: &mut self.cache, tokens: &self.consumed[range.clone()], logits: draws }];
        let mut work = std::mem::take(&mut self.work);
        let logits = self
            .model
            .forward(machine, &mut work, &mut span)
            .map_err(|error| Verdict::Cannot(Obstacle::Replay { reason: error.to_string() }))?;
        let mut rows = logits.chunks_exact_mut(self.model.config().vocabulary);
        for position in range {
            let (expected, found) = (self.cache.states()[position], self.case.evidence.states[position]);
            if expected != found {
                return Err(refuted(Kind::State, Some(position), Difference::State { expected, found }));
            }
            let Some(index) = (position + 1).checked_sub(self.case.evidence.prompt.len()) else { continue };
            if let Some(&token) = self.case.evidence.output.get(index) {
                self.redraw(machine, index, token, rows.next())?;
            }
        }
        self.work = work;
        Ok(())
    }

    /// Output token `index` against its redraw where there are logits, then on with the signed token.
    fn redraw(&mut self, machine: &Machine, index: usize, found: TokenId, logits: Option<&mut [f32]>) -> Checked<()> {
        let position = Some(self.case.evidence.prompt.len() + index);
        let stopped = |error: GenerationError| Verdict::Cannot(Obstacle::Replay { reason: error.to_string() });
        if let Some(logits) = logits {
            let expected = self.generation.draw(machine, logits, None).map_err(stopped)?.token;
            if expected != found {
                return Err(refuted(Kind::Token, position, Difference::Token { expected, found }));
            }
            self.redrawn += 1;
        }
        self.ended = self.generation.accept(found).map_err(stopped)?;
        if self.ended.is_some() && index + 1 < self.case.evidence.output.len() {
            let difference = Difference::Finish { expected: self.ended, found: self.case.signed.receipt.finish };
            return Err(refuted(Kind::Finish, position, difference));
        }
        Ok(())
    }

    /// The answer must end as signed: by the rule that ended it, or without an end where the stream was cut short.
    fn check_finish(&self) -> Checked<()> {
        let (prompt, output) = (self.case.evidence.prompt.len(), self.case.evidence.output.len());
        if self.window.end < output {
            return Ok(());
        }
        let found = self.case.signed.receipt.finish;
        let expected = self.ended.or_else(|| self.generation.finished());
        let cut_short = match (found, self.case.known.client) {
            (Finish::Prefix, _) => true,
            (Finish::Cancelled, client) => client.is_none_or(|client| client.cancelled),
            _ => false,
        };
        if expected == Some(found) || (expected.is_none() && cut_short) {
            return Ok(());
        }
        Err(refuted(Kind::Finish, Some(prompt + output), Difference::Finish { expected, found }))
    }
}
