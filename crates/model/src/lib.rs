//! Model files, tokenizers, templates, the forward pass and the sampler.

pub mod gguf;
