//! Model files, tokenizers, templates, the forward pass and the sampler.

pub mod generation;
pub mod gguf;
pub mod grammar;
pub mod sampler;
