//! The forward pass: one function for every architecture, every batch mix and every split into steps.
//!
//! Rows are tokens. A row's numbers depend on the model, on the tokens before it in its own sequence and on its absolute
//! position, and on nothing else: not on which rows it shares a step with, nor on threads or instruction set (CA-1).

use arith::{ActivationKind, Activations, Fault, KvPage, Machine, Matrix, Query};
use claim::{StateHash, TokenId};

use crate::config::{Config, Gate};
use crate::kv::KvCache;
use crate::rotary::RotaryTable;
use crate::tap::{Stage, Tap};
use crate::weights::{Layer, Projection, Weights};

/// Which rows of a span need logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logits {
    /// No row.
    None,
    /// The rows from this index of the span on.
    From(usize),
}

/// Consecutive tokens of one sequence that go through the model in one step.
#[derive(Debug)]
pub struct Span<'a> {
    /// What the sequence has computed so far; grows by the span.
    pub cache: &'a mut KvCache,
    /// The tokens at the positions that follow the cache.
    pub tokens: &'a [TokenId],
    /// Which rows need logits.
    pub logits: Logits,
}

/// A step failed; no cache has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ForwardError {
    /// A span does not fit into the model's context.
    #[error("span {span} would end at position {end}, the model's context holds {context_length}")]
    Context {
        /// Index of the span.
        span: usize,
        /// Positions it would need.
        end: usize,
        /// Positions there are.
        context_length: usize,
    },
    /// A token is not in the vocabulary.
    #[error("span {span} holds token {token}, the vocabulary has {vocabulary}")]
    Token {
        /// Index of the span.
        span: usize,
        /// The token.
        token: u32,
        /// Entries of the vocabulary.
        vocabulary: usize,
    },
    /// An operation made a NaN or an infinity.
    #[error("layer {layer}, span {span}: {fault}")]
    Arithmetic {
        /// Index of the span that owns the row.
        span: usize,
        /// The layer; the number of layers stands for the part after them.
        layer: usize,
        /// The operation and the index in it.
        fault: Fault,
    },
}

impl ForwardError {
    /// Index of the span that caused it.
    pub fn span(&self) -> usize {
        match *self {
            Self::Context { span, .. } | Self::Token { span, .. } | Self::Arithmetic { span, .. } => span,
        }
    }
}

/// Buffers of a step, kept between steps. Each is `[rows][its width]`.
#[derive(Debug, Default)]
pub struct Workspace {
    stream: Vec<f32>,
    normed: Vec<f32>,
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    mixed: Vec<f32>,
    projected: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    quantised: Quantised,
    states: Vec<StateHash>,
    logits: Vec<f32>,
}

impl Workspace {
    /// The logits of the last step, `[rows][vocabulary]`.
    pub(crate) fn logits_mut(&mut self) -> &mut [f32] {
        &mut self.logits
    }
}

/// The activations of one product in the forms that its matrices ask for.
#[derive(Debug, Default)]
struct Quantised {
    float: Activations,
    block32: Activations,
    block256: Activations,
}

impl Quantised {
    /// Prepares `x` (`[rows][columns]`) for `matrices`.
    fn prepare(&mut self, machine: &Machine, x: &[f32], columns: usize, matrices: &[&Matrix]) -> Result<(), RowFault> {
        for kind in [ActivationKind::F32, ActivationKind::Block32, ActivationKind::Block256] {
            if matrices.iter().any(|matrix| matrix.kind().activation() == kind) {
                machine.quantise_into(x, columns, kind, self.form_mut(kind)).map_err(in_rows(columns))?;
            }
        }
        Ok(())
    }

    fn form(&self, kind: ActivationKind) -> &Activations {
        match kind {
            ActivationKind::F32 => &self.float,
            ActivationKind::Block32 => &self.block32,
            ActivationKind::Block256 => &self.block256,
        }
    }

    fn form_mut(&mut self, kind: ActivationKind) -> &mut Activations {
        match kind {
            ActivationKind::F32 => &mut self.float,
            ActivationKind::Block32 => &mut self.block32,
            ActivationKind::Block256 => &mut self.block256,
        }
    }
}

/// What is fixed during a step.
pub(crate) struct Pass<'a> {
    pub(crate) config: &'a Config,
    pub(crate) weights: &'a Weights,
    pub(crate) rotary: &'a RotaryTable,
    pub(crate) rotary_local: Option<&'a RotaryTable>,
    pub(crate) machine: &'a Machine,
}

/// Hears the vectors of one layer.
type Hear<'a> = &'a mut dyn FnMut(Stage, &[f32]);

/// Where a row stands: its span and its absolute position.
#[derive(Clone, Copy)]
struct Row {
    span: usize,
    position: usize,
}

impl Pass<'_> {
    /// Runs the spans through the model, appends to their caches, and returns the logits asked for, `[rows][vocabulary]`
    /// in span order.
    pub(crate) fn run<'w>(
        &self,
        work: &'w mut Workspace,
        spans: &mut [Span<'_>],
        tap: &mut dyn Tap,
    ) -> Result<&'w mut [f32], ForwardError> {
        let rows = self.rows(spans)?;
        for span in spans.iter_mut() {
            span.cache.reserve(span.tokens);
        }
        self.embed(work, spans, rows.len());
        tap.hear(0, Stage::Embedding, &work.stream);
        for (index, layer) in self.weights.layers.iter().enumerate() {
            let hear = &mut |stage, values: &[f32]| tap.hear(index, stage, values);
            self.attend(index, layer, work, spans, &rows, hear)
                .and_then(|()| self.feed_forward(layer, work, hear))
                .map_err(|fault| locate(fault, index, &rows))?;
        }
        let hear = &mut |stage, values: &[f32]| tap.hear(self.config.layers, stage, values);
        self.finish(work, spans, &rows, hear).map_err(|fault| locate(fault, self.config.layers, &rows))?;
        let mut first = 0;
        for span in spans.iter_mut() {
            span.cache.commit(&work.states[first..first + span.tokens.len()]);
            first += span.tokens.len();
        }
        Ok(&mut work.logits)
    }

    fn rows(&self, spans: &[Span<'_>]) -> Result<Vec<Row>, ForwardError> {
        let mut rows = Vec::new();
        for (index, span) in spans.iter().enumerate() {
            let (start, context_length) = (span.cache.len(), self.config.context_length);
            let end = start + span.tokens.len();
            if end > context_length {
                return Err(ForwardError::Context { span: index, end, context_length });
            }
            let vocabulary = self.config.vocabulary;
            if let Some(token) = span.tokens.iter().find(|token| token.get() as usize >= vocabulary) {
                return Err(ForwardError::Token { span: index, token: token.get(), vocabulary });
            }
            rows.extend((start..end).map(|position| Row { span: index, position }));
        }
        Ok(rows)
    }

    fn embed(&self, work: &mut Workspace, spans: &[Span<'_>], rows: usize) {
        let width = self.config.width;
        work.stream.resize(rows * width, 0.0);
        let tokens = spans.iter().flat_map(|span| span.tokens);
        for (token, row) in tokens.zip(work.stream.chunks_exact_mut(width)) {
            self.weights.embedding.row_f32(token.get() as usize, row);
            if let Some(scale) = self.config.embedding_scale {
                self.machine.scale(row, scale);
            }
        }
    }

    /// `stream += output(attention(norm(stream)))`
    fn attend(
        &self,
        index: usize,
        layer: &Layer,
        work: &mut Workspace,
        spans: &mut [Span<'_>],
        rows: &[Row],
        hear: Hear<'_>,
    ) -> Result<(), RowFault> {
        let (config, machine) = (self.config, self.machine);
        let head_dim = config.head_dim;
        self.norm(&work.stream, &layer.attention_norm, &mut work.normed)?;
        hear(Stage::AttentionNorm, &work.normed);
        let maps = [&layer.query, &layer.key, &layer.value];
        work.quantised.prepare(machine, &work.normed, config.width, &maps.map(|map| &map.matrix))?;
        for (map, out, stage, biased) in [
            (&layer.query, &mut work.queries, Stage::Query, Stage::QueryBias),
            (&layer.key, &mut work.keys, Stage::Key, Stage::KeyBias),
            (&layer.value, &mut work.values, Stage::Value, Stage::ValueBias),
        ] {
            self.project(&work.quantised, map, rows.len(), out);
            hear(stage, out);
            if self.add_bias(map, out) {
                hear(biased, out);
            }
        }
        for (norm, heads, stage) in [
            (&layer.query_norm, &mut work.queries, Stage::QueryNorm),
            (&layer.key_norm, &mut work.keys, Stage::KeyNorm),
        ] {
            if let Some(gain) = norm {
                work.normed.clear();
                work.normed.extend_from_slice(heads);
                let width = heads.len() / rows.len();
                machine.rms_norm(&work.normed, gain, config.norm_epsilon, heads).map_err(in_rows(width))?;
                hear(stage, heads);
            }
        }
        let rotary = self.rotary_local.filter(|_| config.is_local(index)).unwrap_or(self.rotary);
        let turns: Vec<&[f32]> = rows.iter().map(|row| rotary.row(row.position)).collect();
        machine.rope(&mut work.queries, config.heads, head_dim, &turns, config.rotary_style);
        machine.rope(&mut work.keys, config.kv_heads, head_dim, &turns, config.rotary_style);
        hear(Stage::QueryTurned, &work.queries);
        hear(Stage::KeyTurned, &work.keys);
        self.remember(index, work, spans)?;

        let pages: Vec<Vec<&KvPage>> = spans.iter().map(|span| span.cache.layer(index)).collect();
        let queries: Vec<Query<'_>> = rows
            .iter()
            .zip(work.queries.chunks_exact(config.heads * head_dim))
            .map(|(row, q)| Query { q, position: row.position as u32, pages: &pages[row.span] })
            .collect();
        work.mixed.resize(work.queries.len(), 0.0);
        machine.attention(&config.attention(index), &queries, &mut work.mixed).map_err(in_rows(config.heads))?;
        hear(Stage::Mixed, &work.mixed);

        work.quantised.prepare(machine, &work.mixed, config.heads * head_dim, &[&layer.output.matrix])?;
        self.project(&work.quantised, &layer.output, rows.len(), &mut work.projected);
        self.add_bias(&layer.output, &mut work.projected);
        hear(Stage::AttentionOutput, &work.projected);
        self.add_to_stream(layer.attention_post_norm.as_deref(), work, hear, Stage::AttentionPostNorm)?;
        hear(Stage::AttentionStream, &work.stream);
        Ok(())
    }

    /// Writes the rows' keys and values into their caches.
    fn remember(&self, layer: usize, work: &Workspace, spans: &mut [Span<'_>]) -> Result<(), RowFault> {
        let width = self.config.kv_heads * self.config.head_dim;
        let mut first = 0;
        for span in spans.iter_mut() {
            let range = first * width..(first + span.tokens.len()) * width;
            let start = span.cache.len();
            span.cache
                .write(layer, start, &work.keys[range.clone()], &work.values[range])
                .map_err(|fault| RowFault { row: first + fault.index, fault })?;
            first += span.tokens.len();
        }
        Ok(())
    }

    /// `stream += down(gate(norm(stream)) * up(norm(stream)))`
    fn feed_forward(&self, layer: &Layer, work: &mut Workspace, hear: Hear<'_>) -> Result<(), RowFault> {
        let (config, machine) = (self.config, self.machine);
        let rows = work.stream.len() / config.width;
        self.norm(&work.stream, &layer.feed_forward_norm, &mut work.normed)?;
        hear(Stage::FeedNorm, &work.normed);
        work.quantised.prepare(machine, &work.normed, config.width, &[&layer.gate.matrix, &layer.up.matrix])?;
        for (map, out, stage) in [(&layer.gate, &mut work.gate, Stage::Gate), (&layer.up, &mut work.up, Stage::Up)] {
            self.project(&work.quantised, map, rows, out);
            self.add_bias(map, out);
            hear(stage, out);
        }
        match config.gate {
            Gate::Silu => machine.silu_mul(&mut work.gate, &work.up),
            Gate::Gelu => machine.gelu_mul(&mut work.gate, &work.up),
        }
        hear(Stage::Gated, &work.gate);
        work.quantised.prepare(machine, &work.gate, config.feed_forward, &[&layer.down.matrix])?;
        self.project(&work.quantised, &layer.down, rows, &mut work.projected);
        self.add_bias(&layer.down, &mut work.projected);
        hear(Stage::Down, &work.projected);
        self.add_to_stream(layer.feed_forward_post_norm.as_deref(), work, hear, Stage::FeedPostNorm)?;
        hear(Stage::FeedStream, &work.stream);
        Ok(())
    }

    /// Final norm, state hashes of all rows, logits of those that need them.
    fn finish(&self, work: &mut Workspace, spans: &[Span<'_>], rows: &[Row], hear: Hear<'_>) -> Result<(), RowFault> {
        let (width, vocabulary) = (self.config.width, self.config.vocabulary);
        self.norm(&work.stream, &self.weights.final_norm, &mut work.normed)?;
        hear(Stage::FinalNorm, &work.normed);
        let normed = &work.normed;
        work.states.resize(rows.len(), StateHash::ZERO);
        self.machine.pool().chunks_mut(&mut work.states, 1, &|row, state| {
            state[0] = claim::state_hash(&normed[row * width..(row + 1) * width]);
        });

        work.mixed.clear();
        let mut first = 0;
        for span in spans {
            if let Logits::From(from) = span.logits {
                let from = from.min(span.tokens.len());
                work.mixed.extend_from_slice(&normed[(first + from) * width..(first + span.tokens.len()) * width]);
            }
            first += span.tokens.len();
        }
        let wanted = work.mixed.len() / width;
        work.logits.resize(wanted * vocabulary, 0.0);
        if wanted > 0 {
            let head = self.weights.head();
            work.quantised.prepare(self.machine, &work.mixed, width, &[head])?;
            self.multiply(&work.quantised, head, &mut work.logits);
            hear(Stage::Logits, &work.logits);
        }
        Ok(())
    }

    fn norm(&self, x: &[f32], gain: &[f32], out: &mut Vec<f32>) -> Result<(), RowFault> {
        out.resize(x.len(), 0.0);
        self.machine.rms_norm(x, gain, self.config.norm_epsilon, out).map_err(in_rows(gain.len()))
    }

    fn multiply(&self, x: &Quantised, matrix: &Matrix, out: &mut [f32]) {
        self.machine.matmul(matrix, x.form(matrix.kind().activation()), out);
    }

    fn project(&self, x: &Quantised, map: &Projection, rows: usize, out: &mut Vec<f32>) {
        out.resize(rows * map.matrix.rows(), 0.0);
        self.multiply(x, &map.matrix, out);
    }

    /// Adds the bias of `map` to rows of its output, if it has one.
    fn add_bias(&self, map: &Projection, out: &mut [f32]) -> bool {
        let Some(bias) = &map.bias else { return false };
        for row in out.chunks_exact_mut(bias.len()) {
            self.machine.add(row, bias);
        }
        true
    }

    fn add_to_stream(
        &self,
        post_norm: Option<&[f32]>,
        work: &mut Workspace,
        hear: Hear<'_>,
        stage: Stage,
    ) -> Result<(), RowFault> {
        if let Some(gain) = post_norm {
            self.norm(&work.projected, gain, &mut work.normed)?;
            hear(stage, &work.normed);
            self.machine.add(&mut work.stream, &work.normed);
        } else {
            self.machine.add(&mut work.stream, &work.projected);
        }
        Ok(())
    }
}

/// A fault and the row that it fell into.
#[derive(Clone, Copy)]
struct RowFault {
    row: usize,
    fault: Fault,
}

/// Finds the row of a fault whose index counts elements of `[rows][width]`.
fn in_rows(width: usize) -> impl Fn(Fault) -> RowFault {
    move |fault| RowFault { row: fault.index / width, fault }
}

/// Names the span whose row a fault fell into.
fn locate(fault: RowFault, layer: usize, rows: &[Row]) -> ForwardError {
    let span = rows.get(fault.row).map_or(0, |row| row.span);
    ForwardError::Arithmetic { span, layer, fault: fault.fault }
}
