//! What the court knows of a disputed answer before it looks at a single number.

use claim::{Grammar, KvType, ModelRoot, PromptRoot, Sampling, Seed, TokenCount};

use crate::trace::{Layout, Part, Shape, ShapeError};

/// Everything that a trace is a function of, as far as it is not weights or tokens.
#[derive(Clone, Debug)]
pub struct Statement {
    /// The model.
    pub model_root: ModelRoot,
    /// What of it decides the layout and the rules.
    pub shape: Shape,
    /// Whether the embedding serves as the map to logits.
    pub is_tied: bool,
    /// How keys and values are kept.
    pub kv: KvType,
    /// The prompt's tokens.
    pub prompt_root: PromptRoot,
    /// How many they are.
    pub prompt: TokenCount,
    /// Tokens of the answer, at least one.
    pub output: TokenCount,
    /// The temperature; 0 takes the largest logit.
    pub temperature: f32,
    /// What the draws hang on.
    pub seed: Seed,
    layout: Layout,
}

/// A sampling whose draws no contract repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("answers with {parameter} are checked by computing them again, but not by the contract")]
pub struct NotPlain {
    /// The parameter that is not off.
    pub parameter: &'static str,
}

/// Checks that nothing but the temperature decides the draws of `sampling`.
///
/// # Errors
///
/// [`NotPlain`] with the first parameter that does.
pub fn check_plain(sampling: &Sampling) -> Result<(), NotPlain> {
    let parameters = [
        ("top_k", sampling.top_k == 0),
        ("top_p", sampling.top_p == 1.0),
        ("min_p", sampling.min_p == 0.0),
        ("a repetition penalty", sampling.repetition_penalty == 1.0),
        ("a frequency penalty", sampling.frequency_penalty == 0.0),
        ("a presence penalty", sampling.presence_penalty == 0.0),
        ("logit_bias", sampling.logit_bias.is_empty()),
        ("a grammar", sampling.grammar == Grammar::Free),
    ];
    parameters.into_iter().find(|(_, is_off)| !is_off).map_or(Ok(()), |(parameter, _)| Err(NotPlain { parameter }))
}

impl Statement {
    /// A statement about `output` tokens after `prompt` ones.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] where the trace cannot hold a position of the model.
    pub fn new(
        (model_root, shape, is_tied): (ModelRoot, Shape, bool),
        kv: KvType,
        prompt_root: PromptRoot,
        (prompt, output): (TokenCount, TokenCount),
        temperature: f32,
        seed: Seed,
    ) -> Result<Self, ShapeError> {
        let layout = Layout::new(&shape)?;
        Ok(Self { model_root, shape, is_tied, kv, prompt_root, prompt, output, temperature, seed, layout })
    }

    /// Where the words of a position lie.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Positions of the trace: every token but the last one, which the model never consumed.
    pub fn positions(&self) -> u32 {
        (self.prompt.get() + self.output.get()).saturating_sub(1)
    }

    /// Address of the tile of the last links, which hold the receipt's roots.
    pub fn end(&self) -> u64 {
        let place = self.layout.find(self.shape.layers, Part::Links);
        let last = u64::from(self.positions().saturating_sub(1));
        (last << self.layout.bits()) + place.map_or(0, |place| u64::from(place.start))
    }

    /// The first position that a token is drawn at.
    pub fn first_drawn(&self) -> u32 {
        self.prompt.get().saturating_sub(1)
    }
}
