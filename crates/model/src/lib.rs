//! Model files, tokenizers, templates, the forward pass and the sampler.

mod batch;
mod config;
mod forward;
pub mod generation;
pub mod gguf;
pub mod grammar;
mod kv;
mod load;
mod root;
mod rotary;
pub mod safetensors;
pub mod sampler;
mod tap;
pub mod template;
pub mod tokenizer;
mod weights;

pub use batch::{BatchError, BatchLimits, Batcher, Event, Job, JobId};
pub use config::{Config, ConfigError, Gate, SlidingWindow};
pub use forward::{ForwardError, Logits, Span, Workspace};
pub use kv::{KvCache, PAGE_POSITIONS, storage};
pub use load::{LoadError, Model};
pub use root::{Part, leaf_weights};
pub use tap::{Deaf, Stage, Tap};
pub use weights::WeightsError;
