//! How a host computes an answer: the real forward pass and the real sampler, one token after the other.

use claim::{Finish, KvType, Sampling, Seed, StateHash, TokenId};
use model::generation::Generation;
use model::{Logits, Model, Span, Workspace};

use crate::subject::machine;

/// What came out.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) output: Vec<TokenId>,
    /// The hidden states of all positions but the last.
    pub(crate) states: Vec<StateHash>,
    pub(crate) finish: Finish,
    pub(crate) text: String,
}

/// A host that computes with `model`.
#[derive(Clone, Copy)]
pub(crate) struct Engine<'m> {
    pub(crate) model: &'m Model,
    pub(crate) kv: KvType,
}

impl<'m> Engine<'m> {
    pub(crate) fn new(model: &'m Model) -> Self {
        Self { model, kv: KvType::F16 }
    }

    /// Answers as the sampler says.
    pub(crate) fn answer(self, prompt: &[TokenId], sampling: &Sampling, seed: Seed) -> Draft {
        self.answer_with(prompt, sampling, seed, |_, token| token)
    }

    /// Answers with what `choose` makes of each index and drawn token, and goes on from there.
    pub(crate) fn answer_with(
        self,
        prompt: &[TokenId],
        sampling: &Sampling,
        seed: Seed,
        mut choose: impl FnMut(usize, TokenId) -> TokenId,
    ) -> Draft {
        let mut generation = Generation::new(self.model, prompt, sampling, seed).unwrap();
        let mut cache = self.model.new_cache(self.kv);
        let mut work = Workspace::default();
        let (mut output, mut text, mut pending) = (Vec::new(), String::new(), prompt.to_vec());
        loop {
            let logits = Logits::From(pending.len() - 1);
            let mut span = [Span { cache: &mut cache, tokens: &pending, logits }];
            let logits = self.model.forward(&machine(), &mut work, &mut span).unwrap();
            if generation.finished().is_none() {
                let token = choose(output.len(), generation.draw(&machine(), logits, None).unwrap().token);
                generation.accept(token).unwrap();
                text.push_str(&generation.take_text());
                output.push(token);
                pending = vec![token];
            }
            if let Some(finish) = generation.finished() {
                text.push_str(&generation.finish_text());
                return Draft { output, states: cache.states().to_vec(), finish, text };
            }
        }
    }

    /// The hidden states over `tokens`, by one prefill.
    pub(crate) fn states(self, tokens: &[TokenId]) -> Vec<StateHash> {
        let mut cache = self.model.new_cache(self.kv);
        let mut span = [Span { cache: &mut cache, tokens, logits: Logits::None }];
        self.model.forward(&machine(), &mut Workspace::default(), &mut span).unwrap();
        cache.states().to_vec()
    }

    /// The logits behind `tokens`.
    pub(crate) fn logits(self, tokens: &[TokenId]) -> Vec<f32> {
        let mut cache = self.model.new_cache(self.kv);
        let mut span = [Span { cache: &mut cache, tokens, logits: Logits::From(tokens.len() - 1) }];
        self.model.forward(&machine(), &mut Workspace::default(), &mut span).unwrap().to_vec()
    }
}

/// Where two sequences first differ.
pub(crate) fn first_difference<T: PartialEq>(left: &[T], right: &[T]) -> usize {
    let length = left.len().max(right.len());
    (0..length).find(|&index| left.get(index) != right.get(index)).expect("they differ somewhere")
}
