//! Listening to the forward pass: every vector that it makes, as it makes it.
//!
//! A dispute narrows two traces down to one number. The trace is written down from here, so it is what the engine computed and
//! not a second forward pass that happens to agree.

/// A vector of the forward pass. A layer makes them in the order in which they stand here; a model without biases, head
/// norms or post norms skips those.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// The embedding row of the token, scaled where the model scales it. Before the first layer.
    Embedding,
    /// The stream, normalised for attention.
    AttentionNorm,
    /// The product with the query matrix.
    Query,
    /// The product with the key matrix.
    Key,
    /// The product with the value matrix.
    Value,
    /// The query with its bias.
    QueryBias,
    /// The key with its bias.
    KeyBias,
    /// The value with its bias.
    ValueBias,
    /// The query, each head normalised.
    QueryNorm,
    /// The key, each head normalised.
    KeyNorm,
    /// The query, rotated.
    QueryTurned,
    /// The key, rotated.
    KeyTurned,
    /// What attention mixed, `[heads][head_dim]`.
    Mixed,
    /// The product with the output matrix of attention.
    AttentionOutput,
    /// That, normalised.
    AttentionPostNorm,
    /// The stream after attention.
    AttentionStream,
    /// The stream, normalised for the feed-forward network.
    FeedNorm,
    /// The product with the gate matrix.
    Gate,
    /// The product with the up matrix.
    Up,
    /// The gate's function of the one times the other.
    Gated,
    /// The product with the down matrix.
    Down,
    /// That, normalised.
    FeedPostNorm,
    /// The stream after the layer.
    FeedStream,
    /// The stream after the last layer, normalised: the hidden state that receipts hash.
    FinalNorm,
    /// The logits, of the rows that were asked for.
    Logits,
}

/// Hears every vector of a step.
pub trait Tap {
    /// `values` is `[rows][width]`, a row for each token of the step in span order (for [`Stage::Logits`], for each row that
    /// has logits). The number of layers stands for what follows the last layer.
    fn hear(&mut self, layer: usize, stage: Stage, values: &[f32]);
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deaf;

impl Tap for Deaf {
    fn hear(&mut self, _: usize, _: Stage, _: &[f32]) {}
}
