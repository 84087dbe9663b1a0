//! A model, loaded and ready to compute.

use std::ops::Range;

use arith::Machine;
use claim::{KvType, ModelRoot, TokenId};

use crate::config::{Config, ConfigError};
use crate::forward::{ForwardError, Pass, Span, Workspace};
use crate::generation::Language;
use crate::gguf::{Gguf, GgufError};
use crate::grammar::{GrammarCompiler, Vocabulary};
use crate::kv::{KvCache, PAGE_POSITIONS};
use crate::root::{self, Part};
use crate::rotary::RotaryTable;
use crate::tap::{Deaf, Tap};
use crate::template::{ChatTemplate, TemplateError};
use crate::tokenizer::{Tokenizer, TokenizerError};
use crate::weights::{Weights, WeightsError};

/// A language model: shape, weights, tables, tokenizer, template, and the root that names all of it.
#[derive(Debug)]
pub struct Model {
    config: Config,
    weights: Weights,
    rotary: RotaryTable,
    rotary_local: Option<RotaryTable>,
    tokenizer: Tokenizer,
    template: Result<ChatTemplate, TemplateError>,
    grammars: GrammarCompiler,
    parts: Vec<Part>,
    root: ModelRoot,
}

/// Why a file is not a model that this engine can run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The container is broken.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// The hyper-parameters are.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The tensors are.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The tokenizer is.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The rotary table of the context would be larger than the file, which no real model's is.
    #[error(
        "a context of {context_length} positions needs a rotary table of {bytes} bytes, the file allows {bytes_max}"
    )]
    Context {
        /// Positions of the context.
        context_length: usize,
        /// Bytes of the tables.
        bytes: usize,
        /// The most that a file of this size may ask for.
        bytes_max: usize,
    },
    /// The embedding has another number of rows than the tokenizer has tokens.
    #[error("the embedding has {rows} rows, the tokenizer {tokens} tokens")]
    Vocabulary {
        /// Rows of the embedding.
        rows: usize,
        /// Tokens of the tokenizer.
        tokens: usize,
    },
}

/// Is told the ranges of a file that may leave memory, by any thread.
pub(crate) type Release<'a> = dyn Fn(Range<usize>) + Sync + 'a;

impl Model {
    /// Loads a model from the bytes of a GGUF file. `release` is told each range of the file whose memory is not needed for
    /// now; matrices are read twice, once for the root and once to be packed.
    ///
    /// # Errors
    ///
    /// The file is no GGUF, describes no supported model, or its tensors or tokenizer do not fit together.
    pub fn load(file: &[u8], machine: &Machine, release: &(dyn Fn(Range<usize>) + Sync)) -> Result<Self, LoadError> {
        let gguf = Gguf::parse(file)?;
        let embedding = gguf.tensor("token_embd.weight").and_then(|tensor| tensor.dims.get(1).copied());
        let vocabulary = embedding.ok_or_else(|| WeightsError::Missing { name: "token_embd.weight".to_owned() })?;
        let config = Config::from_gguf(&gguf, vocabulary as usize)?;
        let tokenizer = Tokenizer::from_gguf(&gguf)?;
        if tokenizer.vocab_size() > config.vocabulary {
            return Err(LoadError::Vocabulary { rows: config.vocabulary, tokens: tokenizer.vocab_size() });
        }
        check_context(&config, file.len())?;
        let template = ChatTemplate::from_gguf(&gguf, &tokenizer);
        let divisors = Weights::rotary_divisors(&gguf, &config)?;
        let (rotary, rotary_local) = RotaryTable::of(&config, divisors.as_deref());
        let parts = root::parts(&gguf, &config, (&rotary, rotary_local.as_ref()), machine, release);
        let weights = Weights::load(&gguf, &config, machine, release)?;
        let root = root::model_root(&parts);
        Ok(Self {
            config,
            weights,
            rotary,
            rotary_local,
            tokenizer,
            template,
            grammars: GrammarCompiler::new(),
            parts,
            root,
        })
    }

    /// The hyper-parameters.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The chat template.
    ///
    /// # Errors
    ///
    /// The file has none, or it does not compile.
    pub fn template(&self) -> Result<&ChatTemplate, &TemplateError> {
        self.template.as_ref()
    }

    /// The root that names this model in receipts.
    pub fn root(&self) -> ModelRoot {
        self.root
    }

    /// The parts under the root, in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// A row of the rotary table, cosines then sines: of the local layers' table where it is asked for. `None` past the
    /// context, or where the model has no such table.
    pub fn rotary_row(&self, is_local: bool, position: usize) -> Option<Vec<f32>> {
        let table = if is_local { self.rotary_local.as_ref()? } else { &self.rotary };
        (position < self.config.context_length).then(|| table.row(position).to_vec())
    }

    /// Whether a tensor of this name counts into the root.
    pub fn has_tensor(&self, name: &str) -> bool {
        self.parts.iter().any(|part| part.name.strip_prefix("tensor/") == Some(name))
    }

    /// Bytes of one page of keys and values.
    pub fn page_bytes(&self, kv: KvType) -> usize {
        let element = match kv {
            KvType::F16 => 2,
            KvType::F32 => 4,
        };
        2 * self.config.layers * self.config.kv_heads * self.config.head_dim * PAGE_POSITIONS * element
    }

    /// An empty cache for a new sequence.
    pub fn new_cache(&self, kv: KvType) -> KvCache {
        KvCache::new(&self.config, kv)
    }

    /// Runs `spans` through the model in one step: grows their caches and returns the logits asked for,
    /// `[rows][vocabulary]` in span order.
    ///
    /// # Errors
    ///
    /// A span leaves the context or the vocabulary, or an operation makes a number that is not finite. No cache changes then.
    pub fn forward<'w>(
        &self,
        machine: &Machine,
        work: &'w mut Workspace,
        spans: &mut [Span<'_>],
    ) -> Result<&'w mut [f32], ForwardError> {
        self.forward_heard(machine, work, spans, &mut Deaf)
    }

    /// [`Self::forward`], and `tap` hears every vector on the way.
    ///
    /// # Errors
    ///
    /// As [`Self::forward`].
    pub fn forward_heard<'w>(
        &self,
        machine: &Machine,
        work: &'w mut Workspace,
        spans: &mut [Span<'_>],
        tap: &mut dyn Tap,
    ) -> Result<&'w mut [f32], ForwardError> {
        let pass = Pass {
            config: &self.config,
            weights: &self.weights,
            rotary: &self.rotary,
            rotary_local: self.rotary_local.as_ref(),
            machine,
        };
        pass.run(work, spans, tap)
    }
}

impl Vocabulary for Model {
    fn size(&self) -> usize {
        self.tokenizer.vocab_size()
    }

    fn printed(&self, token: TokenId) -> &[u8] {
        if self.tokenizer.is_control(token) { &[] } else { self.tokenizer.token_bytes(token) }
    }

    fn is_end(&self, token: TokenId) -> bool {
        self.tokenizer.is_end(token)
    }
}

impl Language for Model {
    fn context_length(&self) -> usize {
        self.config.context_length
    }

    fn grammar_compiler(&self) -> &GrammarCompiler {
        &self.grammars
    }
}

/// A few bytes of a file can ask for a context of millions of positions, whose table takes gigabytes and minutes.
fn check_context(config: &Config, file_bytes: usize) -> Result<(), LoadError> {
    /// What any file may ask for.
    const BYTES_FREE: usize = 4 << 20;
    let Config { context_length, .. } = *config;
    let (bytes, bytes_max) = (RotaryTable::size_bytes(config), file_bytes.saturating_add(BYTES_FREE));
    if bytes > bytes_max {
        return Err(LoadError::Context { context_length, bytes, bytes_max });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use arith::{Isa, Pool, WeightType};
    use specimen::Specimen;

    use super::*;

    #[test]
    fn a_small_file_may_not_ask_for_a_large_context() {
        let specimen = Specimen { context_length: 16_777_216, ..Specimen::llama(WeightType::Q8_0) };
        let machine = Machine::new(Isa::portable(), Pool::new(NonZeroUsize::MIN));
        let refused = Model::load(&specimen.to_gguf(), &machine, &|_| ()).err();
        assert!(matches!(refused, Some(LoadError::Context { context_length: 16_777_216, .. })), "{refused:?}");
    }
}
