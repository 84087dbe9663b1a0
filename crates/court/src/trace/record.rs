//! The trace as the engine makes it: positions are computed in order once, for their hashes, and single ones again when a
//! dispute comes down to them.

use std::ops::Range;

use arith::{ActivationKind, Activations, Machine};
use claim::{
    Digest, KvType, OutputChain, OutputRoot, Position, PromptToken, Sampling, Seed, StateChain, StateRoot, TokenCount,
    TokenId,
};
use model::sampler::{SampleError, Sampler, SamplingError};
use model::{ForwardError, KvCache, Logits, Model, Span, Stage, Tap, Workspace};

use super::layout::{Form, Layout, Part, Shape, ShapeError};
use super::source::{MOVE_BITS, Trace, levels};
use super::tree;
use crate::judge::{NotPlain, Statement, check_plain};

/// Height of the nodes that are kept of every position.
const KEPT_HEIGHT: u32 = 12;
/// Words of the rows that one step records at once: 64 MiB.
const WORDS_MAX: usize = 16 << 20;
/// Rows of one step.
const ROWS_MAX: usize = 64;

/// Why there is no trace.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The model's answers are beyond the contract.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// The answer's draws are.
    #[error(transparent)]
    Sampling(#[from] NotPlain),
    /// The sampling is no sampling at all.
    #[error(transparent)]
    Parameters(#[from] SamplingError),
    /// The engine cannot go on.
    #[error(transparent)]
    Forward(#[from] ForwardError),
    /// No token can be drawn.
    #[error(transparent)]
    Draw(#[from] SampleError),
    /// There is nothing to trace.
    #[error("a trace needs a prompt and an answer, found {prompt} and {output} tokens")]
    Empty {
        /// Tokens of the prompt.
        prompt: usize,
        /// Tokens of the answer.
        output: usize,
    },
    /// The words asked for do not lie in one position.
    #[error("words {start} to {end} do not lie in one position of the trace")]
    Words {
        /// The first.
        start: u64,
        /// One past the last.
        end: u64,
    },
}

/// What a trace is a function of, besides the model.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The prompt.
    pub prompt: Vec<PromptToken>,
    /// The answer's tokens as they were signed. The trace draws its own; these only say how many, and save time while they agree.
    pub output: Vec<TokenId>,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// What the draws hang on.
    pub seed: Seed,
    /// How keys and values are kept.
    pub kv: KvType,
}

/// The trace of an answer, computed by the engine.
#[derive(Debug)]
pub struct EngineTrace<'a> {
    model: &'a Model,
    machine: &'a Machine,
    statement: Statement,
    sampling: Sampling,
    /// Tokens consumed, one for each position.
    tokens: Vec<TokenId>,
    /// Tokens drawn.
    drawn: Vec<TokenId>,
    cache: KvCache,
    work: Workspace,
    /// The links after each position.
    links: Vec<[u32; 16]>,
    /// The nodes of height 12 of each position, and its root.
    kept: Vec<(Vec<Digest>, Digest)>,
    /// The position whose words are at hand.
    held: Option<(u32, Vec<u32>)>,
}

impl<'a> EngineTrace<'a> {
    /// Computes the answer of `model` and hashes every number on the way. `progress` is told positions done and in all.
    ///
    /// # Errors
    ///
    /// [`TraceError`].
    pub fn new(
        model: &'a Model,
        machine: &'a Machine,
        answer: &Answer,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Self, TraceError> {
        let (prompt, output) = (answer.prompt.len(), answer.output.len());
        if prompt == 0 || output == 0 {
            return Err(TraceError::Empty { prompt, output });
        }
        check_plain(&answer.sampling)?;
        let statement = statement(model, answer)?;
        let positions = statement.positions() as usize;
        let guesses = answer.prompt.iter().map(|token| token.token).chain(answer.output.iter().copied());
        let mut trace = Self {
            model,
            machine,
            statement,
            sampling: answer.sampling.clone(),
            tokens: guesses.take(positions).collect(),
            drawn: Vec::new(),
            cache: model.new_cache(answer.kv),
            work: Workspace::default(),
            links: Vec::new(),
            kept: Vec::new(),
            held: None,
        };
        let rows = (WORDS_MAX / trace.statement.layout().words().max(1)).clamp(1, ROWS_MAX);
        while trace.kept.len() < positions {
            let start = trace.kept.len();
            trace.extend(start..(start + rows).min(positions))?;
            progress(trace.kept.len(), positions);
        }
        Ok(trace)
    }

    /// What the trace states.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// The tokens that it draws.
    pub fn drawn(&self) -> &[TokenId] {
        &self.drawn
    }

    /// The roots that its links end in: what a receipt for it says.
    pub fn roots(&self) -> (StateRoot, OutputRoot) {
        let last = self.links.last().copied().unwrap_or([0; 16]);
        let digest = |words: &[u32]| crate::judge::words_digest(words);
        (StateRoot::new(digest(&last[..8])), OutputRoot::new(digest(&last[8..])))
    }

    /// Computes the positions of `range` and keeps their hashes. Where a guess turns out wrong, the positions after it wait for
    /// the next call.
    fn extend(&mut self, range: Range<usize>) -> Result<(), TraceError> {
        let rows = self.rows(range.clone())?;
        for (position, mut words) in range.zip(rows) {
            let drawn = self.complete(position, &mut words)?;
            let level = self.level(&words);
            let root = tree::fold(&mut level.clone(), KEPT_HEIGHT, self.bits());
            self.kept.push((level, root));
            self.held = Some((position as u32, words));
            let Some(token) = drawn else { continue };
            self.drawn.push(token);
            if let Some(guess) = self.tokens.get_mut(position + 1).filter(|guess| **guess != token) {
                *guess = token;
                self.cache = self.cache.fork(position + 1);
                break;
            }
        }
        Ok(())
    }

    /// The words that the forward pass makes at the positions of `range`, which follow the cache.
    fn rows(&mut self, range: Range<usize>) -> Result<Vec<Vec<u32>>, TraceError> {
        let from = (self.statement.first_drawn() as usize).saturating_sub(range.start).min(range.len());
        let mut recorder = Recorder {
            machine: self.machine,
            statement: &self.statement,
            rows: vec![vec![0; self.statement.layout().words()]; range.len()],
            first_with_logits: from,
        };
        let mut span = [Span { cache: &mut self.cache, tokens: &self.tokens[range], logits: Logits::From(from) }];
        self.model.forward_heard(self.machine, &mut self.work, &mut span, &mut recorder)?;
        Ok(recorder.rows)
    }

    /// Fills in what the forward pass does not make: token, state, draw, links. Returns the token drawn.
    fn complete(&mut self, position: usize, words: &mut [u32]) -> Result<Option<TokenId>, TraceError> {
        let layers = self.statement.shape.layers;
        let first_drawn = self.statement.first_drawn() as usize;
        let state = self.cache.states()[position];
        self.put(words, 0, Part::Token, &[self.tokens[position].get()]);
        self.put(words, layers, Part::State, &crate::judge::digest_words(state.get()));
        let token = if position >= first_drawn { Some(self.draw(position, words)?) } else { None };
        let before = match position.checked_sub(1) {
            Some(before) => self.links[before],
            None => join(StateChain::start().get(), OutputChain::start().get()),
        };
        let root = |words: &[u32]| crate::judge::words_digest(words);
        let states = StateChain::next(StateRoot::new(root(&before[..8])), state, position as u32).get();
        let outputs = match token {
            Some(token) => {
                OutputChain::next(OutputRoot::new(root(&before[8..])), token, (position - first_drawn) as u32).get()
            }
            None => root(&before[8..]),
        };
        let links = join(states, outputs);
        self.put(words, layers, Part::Links, &links);
        self.links.truncate(position);
        self.links.push(links);
        Ok(token)
    }

    /// Draws the token after `position` and writes down how.
    fn draw(&self, position: usize, words: &mut [u32]) -> Result<TokenId, TraceError> {
        let layers = self.statement.shape.layers;
        let place = self.statement.layout().find(layers, Part::Logits);
        let range = place.map_or(0..0, |place| place.start as usize..(place.start + place.length) as usize);
        let mut logits: Vec<f32> = words[range].iter().map(|&word| f32::from_bits(word)).collect();
        let max = self.machine.max(&logits);
        let best = logits.iter().position(|&logit| logit == max).unwrap_or(0);
        self.put(words, layers, Part::Best, &[max.to_bits(), best as u32]);
        if self.sampling.temperature > 0.0 {
            let mut weights = vec![0; logits.len()];
            self.machine
                .sample_weights(&logits, self.sampling.temperature, &mut weights)
                .map_err(|fault| SampleError::NonFinite { token: TokenId::new(fault.index as u32) })?;
            let halves: Vec<u32> = weights.iter().flat_map(|&weight| [weight as u32, (weight >> 32) as u32]).collect();
            self.put(words, layers, Part::Weights, &halves);
        }
        let mut sampler = Sampler::new(&self.sampling, logits.len(), &[])?;
        let at = Position::new(position as u32 + 1);
        let token = sampler.draw(self.machine, &mut logits, None, self.statement.seed, at)?;
        self.put(words, layers, Part::Drawn, &[token.get()]);
        Ok(token)
    }

    fn put(&self, words: &mut [u32], layer: u32, part: Part, values: &[u32]) {
        put(self.statement.layout(), words, layer, part, values);
    }

    /// The nodes of height 12 over the words of a position.
    fn level(&self, words: &[u32]) -> Vec<Digest> {
        let chunks: Vec<&[u32]> = words.chunks(1 << KEPT_HEIGHT).collect();
        let mut level = vec![Digest::ZERO; chunks.len()];
        self.machine.pool().chunks_mut(&mut level, 1, &|index, node| {
            node[0] = tree::node_of(chunks[index], KEPT_HEIGHT);
        });
        level
    }

    fn bits(&self) -> u32 {
        self.statement.layout().bits()
    }

    /// The words of a position, computed again unless they are at hand.
    fn position(&mut self, position: u32) -> Result<&[u32], TraceError> {
        if self.held.as_ref().is_none_or(|(held, _)| *held != position) {
            let (at, whole) = (position as usize, self.cache.clone());
            self.cache = whole.fork(at);
            let rows = self.rows(at..at + 1);
            let mut words = rows?.pop().unwrap_or_default();
            let links = self.links.clone();
            self.complete(at, &mut words)?;
            (self.cache, self.links) = (whole, links);
            self.held = Some((position, words));
        }
        Ok(self.held.as_ref().map_or(&[], |(_, words)| words))
    }

    /// Keys or values of an earlier position, which the cache still has.
    fn kept_words(&self, position: u32, offset: u32, count: usize) -> Option<Vec<u32>> {
        let (place, index) = self.statement.layout().locate(offset)?;
        let shape = self.statement.shape;
        let is_value = match place.part {
            Part::KeyKept => false,
            Part::ValueKept => true,
            _ => return None,
        };
        let (keys, values) = self.cache.kept(place.layer as usize, position as usize)?;
        let at = |index: u32| {
            let found = if is_value { values.get(index as usize) } else { keys.get(shape.scored(index) as usize) };
            found.map_or(0, |x| x.to_bits())
        };
        Some((index..index + count as u32).map(at).collect())
    }
}

/// The statement of an answer by a model.
///
/// # Errors
///
/// The contract has no rules for such a model.
pub fn statement(model: &Model, answer: &Answer) -> Result<Statement, TraceError> {
    let shape = Shape::of(model.config());
    check_tensors(model, &shape)?;
    let count = |n: usize| TokenCount::new(n as u32);
    Ok(Statement::new(
        (model.root(), shape, !model.has_tensor("output.weight")),
        answer.kv,
        claim::prompt_root(&answer.prompt),
        (count(answer.prompt.len()), count(answer.output.len())),
        answer.sampling.temperature,
        answer.seed,
    )?)
}

/// The rules go by the architecture: a file with other tensors than it has is not judged.
fn check_tensors(model: &Model, shape: &Shape) -> Result<(), ShapeError> {
    let rules = [
        ("attn_q.bias", shape.has_bias),
        ("attn_k.bias", shape.has_bias),
        ("attn_v.bias", shape.has_bias),
        ("attn_q_norm.weight", shape.has_head_norm),
        ("attn_k_norm.weight", shape.has_head_norm),
        ("post_attention_norm.weight", shape.has_post_norm),
        ("post_ffw_norm.weight", shape.has_post_norm),
        ("attn_output.bias", false),
        ("ffn_gate.bias", false),
        ("ffn_up.bias", false),
        ("ffn_down.bias", false),
    ];
    let say = |is_there: bool| if is_there { "present" } else { "absent" };
    for layer in 0..shape.layers {
        for (tensor, is_expected) in rules {
            let name = format!("blk.{layer}.{tensor}");
            let is_there = model.has_tensor(&name);
            if is_there != is_expected {
                let architecture = model.config().architecture.clone();
                return Err(ShapeError::Tensor {
                    architecture,
                    name,
                    expected: say(is_expected),
                    found: say(is_there),
                });
            }
        }
    }
    Ok(())
}

fn join(states: Digest, outputs: Digest) -> [u32; 16] {
    let (states, outputs) = (crate::judge::digest_words(states), crate::judge::digest_words(outputs));
    std::array::from_fn(|i| if i < 8 { states[i] } else { outputs[i - 8] })
}

fn put(layout: &Layout, words: &mut [u32], layer: u32, part: Part, values: &[u32]) {
    if let Some(place) = layout.find(layer, part) {
        let count = values.len().min(place.length as usize);
        words[place.start as usize..][..count].copy_from_slice(&values[..count]);
    }
}

impl Trace for EngineTrace<'_> {
    fn levels(&self) -> u32 {
        levels(self.statement.positions(), self.bits())
    }

    fn words(&mut self, start: u64, count: usize) -> Result<Vec<u32>, TraceError> {
        let (end, bits) = (start + count as u64, self.bits());
        let (position, offset) = ((start >> bits) as u32, (start & ((1 << bits) - 1)) as u32);
        if count > 0 && (end - 1) >> bits != start >> bits {
            return Err(TraceError::Words { start, end });
        }
        if position >= self.statement.positions() {
            return Ok(vec![0; count]);
        }
        let is_held = self.held.as_ref().is_some_and(|(held, _)| *held == position);
        if let Some(words) = self.kept_words(position, offset, count).filter(|_| !is_held) {
            return Ok(words);
        }
        let words = self.position(position)?;
        Ok((0..count).map(|i| words.get(offset as usize + i).copied().unwrap_or(0)).collect())
    }

    fn node(&mut self, height: u32, index: u64) -> Result<Digest, TraceError> {
        let bits = self.bits();
        if height >= bits {
            let first = (index << (height - bits)) as usize;
            let end = (first + (1 << (height - bits))).min(self.kept.len());
            let mut level: Vec<Digest> =
                self.kept.get(first..end).unwrap_or_default().iter().map(|(_, root)| *root).collect();
            return Ok(tree::fold(&mut level, bits, height));
        }
        let position = (index >> (bits - height)) as usize;
        let Some((kept, _)) = self.kept.get(position) else { return Ok(tree::zero(height)) };
        let within = index & ((1 << (bits - height)) - 1);
        if height >= KEPT_HEIGHT {
            let first = ((within << (height - KEPT_HEIGHT)) as usize).min(kept.len());
            let end = (first + (1 << (height - KEPT_HEIGHT))).min(kept.len());
            return Ok(tree::fold(&mut kept[first..end].to_vec(), KEPT_HEIGHT, height));
        }
        let words = self.position(position as u32)?;
        let first = ((within << height) as usize).min(words.len());
        let end = (first + (1 << height)).min(words.len());
        Ok(tree::node_of(&words[first..end], height))
    }

    fn children(&mut self, height: u32, index: u64) -> Result<Vec<Digest>, TraceError> {
        let first = index << MOVE_BITS;
        (first..first + (1 << MOVE_BITS)).map(|child| self.node(height - MOVE_BITS, child)).collect()
    }
}

/// Writes the vectors of a step into the words of its rows.
struct Recorder<'a> {
    machine: &'a Machine,
    statement: &'a Statement,
    rows: Vec<Vec<u32>>,
    first_with_logits: usize,
}

impl Recorder<'_> {
    /// Puts rows of a vector into the words of the rows from `first` on.
    fn put(&mut self, layer: u32, part: Part, first: usize, rows: impl Iterator<Item = Vec<u32>>) {
        let shape = self.statement.shape;
        let is_scored = matches!(part, Part::QueryTurned | Part::KeyKept);
        for (words, mut row) in self.rows[first..].iter_mut().zip(rows) {
            if is_scored {
                row = (0..row.len() as u32).map(|index| row[shape.scored(index) as usize]).collect();
            }
            put(self.statement.layout(), words, layer, part, &row);
        }
    }

    /// The quantised forms of `values`, `[rows][columns]`.
    fn put_forms(&mut self, layer: u32, part: fn(Form) -> Part, first: usize, values: &[f32]) {
        let columns = values.len() / (self.rows.len() - first).max(1);
        for (kind, quants, scales) in [
            (ActivationKind::Block32, Form::Quants32, Form::Scales32),
            (ActivationKind::Block256, Form::Quants256, Form::Scales256),
        ] {
            if columns == 0 || !columns.is_multiple_of(kind.block_len()) {
                continue;
            }
            // What is not finite here stops the forward pass at its next step.
            let Ok(form) = self.machine.quantise(values, columns, kind) else { return };
            self.put(layer, part(quants), first, quant_rows(&form, columns));
            let per_row = columns / kind.block_len();
            self.put(layer, part(scales), first, form.scales().chunks(per_row).map(bits));
        }
    }
}

fn quant_rows(form: &Activations, columns: usize) -> impl Iterator<Item = Vec<u32>> {
    form.quants().chunks(columns).map(|row| row.chunks(4).map(crate::judge::pack).collect())
}

fn bits(row: &[f32]) -> Vec<u32> {
    row.iter().map(|x| x.to_bits()).collect()
}

impl Tap for Recorder<'_> {
    fn hear(&mut self, layer: usize, stage: Stage, values: &[f32]) {
        let first = if stage == Stage::Logits { self.first_with_logits } else { 0 };
        let (layer, rows) = (layer as u32, self.rows.len() - first);
        let columns = (values.len() / rows.max(1)).max(1);
        let part = part_of(stage);
        self.put(layer, part, first, values.chunks(columns).map(bits));
        let form: Option<fn(Form) -> Part> = match stage {
            Stage::AttentionNorm => Some(Part::AttentionForm),
            Stage::Mixed => Some(Part::MixedForm),
            Stage::FeedNorm => Some(Part::FeedForm),
            Stage::Gated => Some(Part::GatedForm),
            Stage::FinalNorm => Some(Part::FinalForm),
            _ => None,
        };
        if let Some(form) = form {
            self.put_forms(layer, form, first, values);
        }
        let kept = match stage {
            Stage::KeyTurned => Part::KeyKept,
            // A bias is heard after the product and overwrites this.
            Stage::Value | Stage::ValueBias => Part::ValueKept,
            _ => return,
        };
        let format = model::storage(self.statement.kv);
        let stored = |row: &[f32]| row.iter().map(|&x| format.stored(x).to_bits()).collect();
        self.put(layer, kept, first, values.chunks(columns).map(stored));
    }
}

fn part_of(stage: Stage) -> Part {
    match stage {
        Stage::Embedding => Part::Embedding,
        Stage::AttentionNorm => Part::AttentionNorm,
        Stage::Query => Part::Query,
        Stage::Key => Part::Key,
        Stage::Value => Part::Value,
        Stage::QueryBias => Part::QueryBias,
        Stage::KeyBias => Part::KeyBias,
        Stage::ValueBias => Part::ValueBias,
        Stage::QueryNorm => Part::QueryNorm,
        Stage::KeyNorm => Part::KeyNorm,
        Stage::QueryTurned => Part::QueryTurned,
        Stage::KeyTurned => Part::KeyTurned,
        Stage::Mixed => Part::Mixed,
        Stage::AttentionOutput => Part::AttentionOutput,
        Stage::AttentionPostNorm => Part::AttentionPostNorm,
        Stage::AttentionStream => Part::AttentionStream,
        Stage::FeedNorm => Part::FeedNorm,
        Stage::Gate => Part::Gate,
        Stage::Up => Part::Up,
        Stage::Gated => Part::Gated,
        Stage::Down => Part::Down,
        Stage::FeedPostNorm => Part::FeedPostNorm,
        Stage::FeedStream => Part::FeedStream,
        Stage::FinalNorm => Part::FinalNorm,
        Stage::Logits => Part::Logits,
    }
}
