//! Model files, tokenizers, templates, the forward pass and the sampler.

mod config;
mod forward;
pub mod generation;
pub mod gguf;
pub mod grammar;
mod kv;
mod root;
mod rotary;
pub mod sampler;
pub mod template;
pub mod tokenizer;
mod weights;

pub use config::{Config, ConfigError, Gate, SlidingWindow};
pub use forward::{ForwardError, Logits, Span, Workspace};
pub use kv::{KvCache, PAGE_POSITIONS};
pub use root::{LEAF_WEIGHTS, Part};
pub use weights::WeightsError;
