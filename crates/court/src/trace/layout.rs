//! Where each number of a position lies in the trace: every vector's offset, and the rule that makes its words.
//!
//! `docs/dispute.md` has the table; `contracts/src/court/answers/Layout.sol` computes the same offsets.

use arith::RopeStyle;
use model::{Config, Gate};

/// Words in a tile, the leaf of the trace's tree.
pub const TILE_WORDS: usize = 16;
/// A position has at most `2^25` words: a model of 70 billion parameters takes 17 million.
const POSITION_BITS_MAX: u32 = 25;
/// Lanes of a sum of products.
pub(crate) const LANES: u32 = 16;
/// Words under one node of the last level.
pub const NODE_WORDS: usize = 64;
/// Layers, and what follows the last one, start at a multiple of so many words, and no vector is aligned to more: so layers have
/// one stride.
const ALIGNMENT_MAX: u32 = 4_096;
/// Two nodes: the weights of 64 tokens, which one step reads, lie under one.
const ALIGNMENT_MIN: u32 = 128;
/// Words that one layer, or what follows the last one, has at most: the contract keeps where its vectors begin in 16 bits, in units of
/// the least alignment, the last number of which means that there is none.
const REGION_WORDS_MAX: u64 = 0xfffe * ALIGNMENT_MIN as u64;

/// What of a model decides the layout of its trace and the rules of its words.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Decoder layers.
    pub layers: u32,
    /// Width of the residual stream.
    pub width: u32,
    /// Inner width of the feed-forward network.
    pub feed_forward: u32,
    /// Query heads.
    pub heads: u32,
    /// Key and value heads.
    pub kv_heads: u32,
    /// Width of one head.
    pub head_dim: u32,
    /// Entries of the vocabulary.
    pub vocabulary: u32,
    /// Positions of the rotary tables.
    pub context_length: u32,
    /// Added to the mean square before the root.
    pub norm_epsilon: f32,
    /// Which two elements of a head turn together.
    pub rotary_style: RopeStyle,
    /// Multiplies the embedding rows; 1 where the model does not scale them, which changes no bit.
    pub embedding_scale: f32,
    /// Keys that a local layer sees; 0 where every layer is global.
    pub window_keys: u32,
    /// Every so-manieth layer is global, counted from 1.
    pub window_period: u32,
    /// The gate of the feed-forward network.
    pub gate: Gate,
    /// Whether queries, keys and values have a bias (qwen2).
    pub has_bias: bool,
    /// Whether the heads of queries and keys are normalised (qwen3, gemma3).
    pub has_head_norm: bool,
    /// Whether what goes to the stream is normalised first (gemma3).
    pub has_post_norm: bool,
}

/// A model whose answers no contract can judge.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// The words of a position do not fit.
    #[error("a position of this model has {words} words, a trace holds {words_max}")]
    TooLarge {
        /// Words that it needs.
        words: u64,
        /// Words that there are.
        words_max: u64,
    },
    /// The words of a layer do not fit.
    #[error("a layer of this model, or what follows the last one, has {words} words, a trace holds {words_max}")]
    LayerTooLarge {
        /// Words that it needs.
        words: u64,
        /// Words that there are.
        words_max: u64,
    },
    /// The model has a tensor that its architecture's rules do not know, or lacks one.
    #[error("tensor `{name}` is {found}, the rules of `{architecture}` have it {expected}")]
    Tensor {
        /// The architecture.
        architecture: String,
        /// The tensor.
        name: String,
        /// `present` or `absent`.
        expected: &'static str,
        /// `present` or `absent`.
        found: &'static str,
    },
}

impl Shape {
    /// The shape of a model with these hyper-parameters.
    pub fn of(config: &Config) -> Self {
        let window = config.sliding_window;
        let architecture = config.architecture.as_str();
        Self {
            layers: config.layers as u32,
            width: config.width as u32,
            feed_forward: config.feed_forward as u32,
            heads: config.heads as u32,
            kv_heads: config.kv_heads as u32,
            head_dim: config.head_dim as u32,
            vocabulary: config.vocabulary as u32,
            context_length: config.context_length as u32,
            norm_epsilon: config.norm_epsilon,
            rotary_style: config.rotary_style,
            embedding_scale: config.embedding_scale.unwrap_or(1.0),
            window_keys: window.map_or(0, |window| window.keys),
            window_period: window.map_or(0, |window| window.period),
            gate: config.gate,
            has_bias: architecture == "qwen2",
            has_head_norm: matches!(architecture, "qwen3" | "gemma3"),
            has_post_norm: architecture == "gemma3",
        }
    }

    /// Whether `layer` sees only a window of keys.
    pub fn is_local(&self, layer: u32) -> bool {
        self.window_period != 0 && !(layer + 1).is_multiple_of(self.window_period)
    }

    /// The first key that `layer` lets a query at `position` see.
    pub fn first_key(&self, layer: u32, position: u32) -> u32 {
        if self.is_local(layer) { (position + 1).saturating_sub(self.window_keys) } else { 0 }
    }

    /// Which element of a vector of heads word `index` of [`Part::QueryTurned`] and [`Part::KeyKept`] is. A score is a sum in 16 lanes, to
    /// which element i of a head adds in lane i modulo 16. Heads that fill the lanes lie there lane by lane, the lanes in the order in
    /// which they meet when they are folded, so that what goes into a part of a score is one piece.
    pub fn scored(&self, index: u32) -> u32 {
        if !self.head_dim.is_multiple_of(LANES) {
            return index;
        }
        let (per_lane, place) = (self.head_dim / LANES, index % self.head_dim);
        let lane = (place / per_lane).reverse_bits() >> (u32::BITS - LANES.ilog2());
        index - place + lane + LANES * (place % per_lane)
    }
}

/// A vector of a position. A layer makes them in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are those of `model::Stage`, or say which form of which stage")]
pub enum Part {
    Token,
    Embedding,
    AttentionNorm,
    AttentionForm(Form),
    Query,
    Key,
    Value,
    QueryBias,
    KeyBias,
    ValueBias,
    QueryNorm,
    KeyNorm,
    QueryTurned,
    KeyTurned,
    KeyKept,
    ValueKept,
    Mixed,
    MixedForm(Form),
    AttentionOutput,
    AttentionPostNorm,
    AttentionStream,
    FeedNorm,
    FeedForm(Form),
    Gate,
    Up,
    Gated,
    GatedForm(Form),
    Down,
    FeedPostNorm,
    FeedStream,
    FinalNorm,
    State,
    FinalForm(Form),
    Logits,
    Best,
    Weights,
    Drawn,
    Links,
}

impl Part {
    /// All of them; the contracts call each by its index here.
    pub const ALL: [Self; 53] = [
        Self::AttentionNorm,
        Self::AttentionForm(Form::Quants32),
        Self::AttentionForm(Form::Scales32),
        Self::AttentionForm(Form::Quants256),
        Self::AttentionForm(Form::Scales256),
        Self::Query,
        Self::Key,
        Self::Value,
        Self::QueryBias,
        Self::KeyBias,
        Self::ValueBias,
        Self::QueryNorm,
        Self::KeyNorm,
        Self::QueryTurned,
        Self::KeyTurned,
        Self::KeyKept,
        Self::ValueKept,
        Self::Mixed,
        Self::MixedForm(Form::Quants32),
        Self::MixedForm(Form::Scales32),
        Self::MixedForm(Form::Quants256),
        Self::MixedForm(Form::Scales256),
        Self::AttentionOutput,
        Self::AttentionPostNorm,
        Self::AttentionStream,
        Self::FeedNorm,
        Self::FeedForm(Form::Quants32),
        Self::FeedForm(Form::Scales32),
        Self::FeedForm(Form::Quants256),
        Self::FeedForm(Form::Scales256),
        Self::Gate,
        Self::Up,
        Self::Gated,
        Self::GatedForm(Form::Quants32),
        Self::GatedForm(Form::Scales32),
        Self::GatedForm(Form::Quants256),
        Self::GatedForm(Form::Scales256),
        Self::Down,
        Self::FeedPostNorm,
        Self::FeedStream,
        Self::FinalNorm,
        Self::State,
        Self::FinalForm(Form::Quants32),
        Self::FinalForm(Form::Scales32),
        Self::FinalForm(Form::Quants256),
        Self::FinalForm(Form::Scales256),
        Self::Logits,
        Self::Best,
        Self::Weights,
        Self::Drawn,
        Self::Links,
        Self::Token,
        Self::Embedding,
    ];

    /// What the contracts call it.
    pub fn number(self) -> u8 {
        Self::ALL.iter().position(|&part| part == self).unwrap_or(Self::ALL.len()) as u8
    }
}

/// A part of a quantised vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Form {
    /// Signed bytes in blocks of 32, four to a word.
    Quants32,
    /// The scales of those blocks.
    Scales32,
    /// Signed bytes in blocks of 256.
    Quants256,
    /// The scales of those.
    Scales256,
}

impl Form {
    /// All, in the order of the layout.
    pub const ALL: [Self; 4] = [Self::Quants32, Self::Scales32, Self::Quants256, Self::Scales256];

    /// Activations in a block.
    pub const fn block(self) -> u32 {
        match self {
            Self::Quants32 | Self::Scales32 => 32,
            Self::Quants256 | Self::Scales256 => 256,
        }
    }

    /// Whether this is the scales.
    pub const fn is_scales(self) -> bool {
        matches!(self, Self::Scales32 | Self::Scales256)
    }

    /// Words for a vector of `columns`, or `None` where it is no whole number of blocks.
    fn words(self, columns: u32) -> Option<u32> {
        let per_word = if self.is_scales() { self.block() } else { 4 };
        columns.is_multiple_of(self.block()).then_some(columns / per_word)
    }
}

/// A vector's place in its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The layer; the number of layers for what follows the last one, 0 for what precedes the first.
    pub layer: u32,
    /// The vector.
    pub part: Part,
    /// Its first word.
    pub start: u32,
    /// Words.
    pub length: u32,
}

/// The places of all vectors of a position.
#[derive(Clone, Debug)]
pub struct Layout {
    places: Vec<Place>,
    /// `places` of layer l start at `head + l * per_layer`.
    head: usize,
    per_layer: usize,
    layers: u32,
}

impl Layout {
    /// The layout for a shape.
    ///
    /// # Errors
    ///
    /// [`ShapeError::TooLarge`].
    pub fn new(shape: &Shape) -> Result<Self, ShapeError> {
        let mut places = Vec::new();
        let (mut next, mut largest) = (0u64, 0);
        let mut put = |layer: u32, parts: Vec<(Part, u32)>| {
            next = next.next_multiple_of(ALIGNMENT_MAX.into());
            let begin = next;
            for (part, length) in parts {
                let alignment = u64::from(length.next_power_of_two().clamp(ALIGNMENT_MIN, ALIGNMENT_MAX));
                let start = next.next_multiple_of(alignment);
                next = start + u64::from(length);
                places.push(Place { layer, part, start: start as u32, length });
            }
            largest = (next - begin).next_multiple_of(ALIGNMENT_MAX.into()).max(largest);
            places.len()
        };
        let head = put(0, vec![(Part::Token, 1), (Part::Embedding, shape.width)]);
        let mut end = head;
        for layer in 0..shape.layers {
            end = put(layer, layer_parts(shape));
        }
        put(shape.layers, tail_parts(shape));
        let (words, words_max) = (next, 1 << POSITION_BITS_MAX);
        if words > words_max {
            return Err(ShapeError::TooLarge { words, words_max });
        }
        if largest > REGION_WORDS_MAX {
            return Err(ShapeError::LayerTooLarge { words: largest, words_max: REGION_WORDS_MAX });
        }
        let per_layer = (end - head) / shape.layers.max(1) as usize;
        Ok(Self { places, head, per_layer, layers: shape.layers })
    }

    /// All vectors, in order.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// Words up to the last vector's end.
    pub fn words(&self) -> usize {
        self.places.last().map_or(0, |place| (place.start + place.length) as usize)
    }

    /// A position has `2^bits` words.
    pub fn bits(&self) -> u32 {
        self.words().next_power_of_two().trailing_zeros()
    }

    /// The last vector that begins at or before `offset`.
    pub fn at_or_before(&self, offset: u32) -> Option<Place> {
        let after = self.places.partition_point(|place| place.start <= offset);
        Some(self.places[after.checked_sub(1)?])
    }

    /// The vector that holds the word at `offset`, and the word's index in it; `None` between vectors.
    pub fn locate(&self, offset: u32) -> Option<(Place, u32)> {
        let place = self.at_or_before(offset)?;
        let index = offset - place.start;
        (index < place.length).then_some((place, index))
    }

    /// Words from where a layer begins to where the next one does; the first one begins at this offset.
    pub fn layers(&self) -> (u32, u32) {
        let begin = |place: Option<&Place>| place.map_or(0, |place| place.start);
        let (first, second) = (begin(self.places.get(self.head)), begin(self.places.get(self.head + self.per_layer)));
        (first, second - first)
    }

    /// The place of `part` in `layer`; a model that lacks the part has none.
    pub fn find(&self, layer: u32, part: Part) -> Option<Place> {
        let of_layer = |layer: u32| self.head + layer as usize * self.per_layer;
        let range = match part {
            Part::Token | Part::Embedding => 0..self.head,
            _ if layer >= self.layers => of_layer(self.layers)..self.places.len(),
            _ => of_layer(layer)..of_layer(layer + 1),
        };
        self.places[range].iter().copied().find(|place| place.part == part)
    }
}

fn forms(columns: u32, part: fn(Form) -> Part) -> impl Iterator<Item = (Part, u32)> {
    Form::ALL.into_iter().filter_map(move |form| Some((part(form), form.words(columns)?)))
}

fn layer_parts(shape: &Shape) -> Vec<(Part, u32)> {
    let (width, inner) = (shape.width, shape.feed_forward);
    let (queries, keys) = (shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim);
    let mut parts = vec![(Part::AttentionNorm, width)];
    parts.extend(forms(width, Part::AttentionForm));
    parts.extend([(Part::Query, queries), (Part::Key, keys), (Part::Value, keys)]);
    if shape.has_bias {
        parts.extend([(Part::QueryBias, queries), (Part::KeyBias, keys), (Part::ValueBias, keys)]);
    }
    if shape.has_head_norm {
        parts.extend([(Part::QueryNorm, queries), (Part::KeyNorm, keys)]);
    }
    parts.extend([
        (Part::QueryTurned, queries),
        (Part::KeyTurned, keys),
        (Part::KeyKept, keys),
        (Part::ValueKept, keys),
        (Part::Mixed, queries),
    ]);
    parts.extend(forms(queries, Part::MixedForm));
    parts.push((Part::AttentionOutput, width));
    if shape.has_post_norm {
        parts.push((Part::AttentionPostNorm, width));
    }
    parts.extend([(Part::AttentionStream, width), (Part::FeedNorm, width)]);
    parts.extend(forms(width, Part::FeedForm));
    parts.extend([(Part::Gate, inner), (Part::Up, inner), (Part::Gated, inner)]);
    parts.extend(forms(inner, Part::GatedForm));
    parts.push((Part::Down, width));
    if shape.has_post_norm {
        parts.push((Part::FeedPostNorm, width));
    }
    parts.push((Part::FeedStream, width));
    parts
}

fn tail_parts(shape: &Shape) -> Vec<(Part, u32)> {
    let mut parts = vec![(Part::FinalNorm, shape.width), (Part::State, 8)];
    parts.extend(forms(shape.width, Part::FinalForm));
    parts.extend([
        (Part::Logits, shape.vocabulary),
        (Part::Best, 2),
        (Part::Weights, 2 * shape.vocabulary),
        (Part::Drawn, 1),
        (Part::Links, 16),
    ]);
    parts
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    fn smollm2() -> Shape {
        Shape {
            layers: 30,
            width: 576,
            feed_forward: 1536,
            heads: 9,
            kv_heads: 3,
            head_dim: 64,
            vocabulary: 49_152,
            context_length: 8_192,
            norm_epsilon: 1e-5,
            rotary_style: RopeStyle::Interleaved,
            embedding_scale: 1.0,
            window_keys: 0,
            window_period: 0,
            gate: Gate::Silu,
            has_bias: false,
            has_head_norm: false,
            has_post_norm: false,
        }
    }

    #[test]
    fn every_word_is_found_where_its_vector_lies() {
        let gemma = Shape { has_head_norm: true, has_post_norm: true, window_keys: 512, window_period: 6, ..smollm2() };
        for shape in [smollm2(), Shape { has_bias: true, ..smollm2() }, gemma] {
            let layout = Layout::new(&shape).unwrap();
            let mut end = 0;
            for place in layout.places() {
                assert!(place.start >= end, "{place:?}");
                end = place.start + place.length;
                assert_eq!(layout.find(place.layer, place.part), Some(*place));
                assert_eq!(layout.locate(place.start), Some((*place, 0)));
                assert_eq!(layout.locate(end - 1), Some((*place, place.length - 1)));
                let after = layout.locate(end);
                assert!(after.is_none_or(|(next, index)| next.start == end && index == 0), "{place:?}");
            }
        }
    }

    #[test]
    fn a_model_of_seventy_billion_parameters_fits_and_a_wider_one_is_refused() {
        let llama = Shape {
            layers: 80,
            width: 8_192,
            feed_forward: 28_672,
            heads: 64,
            kv_heads: 8,
            head_dim: 128,
            vocabulary: 128_256,
            ..smollm2()
        };
        assert!(Layout::new(&llama).unwrap().words() < 1 << POSITION_BITS_MAX);
        let wider = Shape { layers: 160, ..llama };
        assert!(matches!(Layout::new(&wider), Err(ShapeError::TooLarge { words_max: 33_554_432, .. })));
    }
}
