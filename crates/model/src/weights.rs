//! The weights of a decoder, packed for the kernels, in the places where the forward pass wants them.

use arith::{Arena, Machine, Matrix, PackError, WeightType};

use crate::config::Config;
use crate::gguf::{Gguf, TensorInfo};
use crate::load::Release;

/// A linear map with an optional bias.
#[derive(Debug)]
pub(crate) struct Projection {
    pub(crate) matrix: Matrix,
    pub(crate) bias: Option<Vec<f32>>,
}

/// One decoder layer. What an architecture does not have is `None`.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) attention_norm: Vec<f32>,
    pub(crate) query: Projection,
    pub(crate) key: Projection,
    pub(crate) value: Projection,
    pub(crate) query_norm: Option<Vec<f32>>,
    pub(crate) key_norm: Option<Vec<f32>>,
    pub(crate) output: Projection,
    pub(crate) attention_post_norm: Option<Vec<f32>>,
    pub(crate) feed_forward_norm: Vec<f32>,
    pub(crate) gate: Projection,
    pub(crate) up: Projection,
    pub(crate) down: Projection,
    pub(crate) feed_forward_post_norm: Option<Vec<f32>>,
}

/// All weights of a decoder.
#[derive(Debug)]
pub(crate) struct Weights {
    pub(crate) embedding: Matrix,
    pub(crate) layers: Vec<Layer>,
    pub(crate) final_norm: Vec<f32>,
    /// The map to logits; `None` where the embedding serves for both.
    pub(crate) head: Option<Matrix>,
}

/// Why the tensors of a file are not the weights of its model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// A tensor that the architecture needs is not there.
    #[error("tensor `{name}` is missing")]
    Missing {
        /// Its name.
        name: String,
    },
    /// A tensor has another shape than the hyper-parameters say.
    #[error("tensor `{name}` has shape {found:?}, expected {expected:?} (columns first)")]
    Shape {
        /// Its name.
        name: String,
        /// The shape found.
        found: Vec<u64>,
        /// The shape expected.
        expected: Vec<u64>,
    },
    /// A tensor's type has no canonical arithmetic.
    #[error("tensor `{name}` has ggml type {kind}, which this engine does not compute")]
    Type {
        /// Its name.
        name: String,
        /// The type's number in ggml.
        kind: u32,
    },
    /// A tensor's bytes are not usable weights.
    #[error("tensor `{name}`: {source}")]
    Pack {
        /// Its name.
        name: String,
        /// What is wrong with them.
        source: PackError,
    },
    /// A one-dimensional tensor is not finite 32-bit floats.
    #[error("tensor `{name}` holds a value that is not finite at index {index}")]
    NotFinite {
        /// Its name.
        name: String,
        /// Where.
        index: usize,
    },
}

/// The tensor `name` with exactly this shape (columns first).
fn tensor<'a>(
    gguf: &'a Gguf<'_>,
    name: &str,
    expected: &[usize],
) -> Result<(WeightType, &'a TensorInfo), WeightsError> {
    let tensor = gguf.tensor(name).ok_or_else(|| WeightsError::Missing { name: name.to_owned() })?;
    let expected: Vec<u64> = expected.iter().map(|&n| n as u64).collect();
    if tensor.dims != expected {
        return Err(WeightsError::Shape { name: name.to_owned(), found: tensor.dims.clone(), expected });
    }
    match WeightType::from_ggml(tensor.kind) {
        Some(kind) => Ok((kind, tensor)),
        None => Err(WeightsError::Type { name: name.to_owned(), kind: tensor.kind }),
    }
}

/// A one-dimensional tensor of `length` finite floats.
fn vector(gguf: &Gguf<'_>, name: &str, length: usize) -> Result<Vec<f32>, WeightsError> {
    let (kind, tensor) = tensor(gguf, name, &[length])?;
    if kind != WeightType::F32 {
        return Err(WeightsError::Type { name: name.to_owned(), kind: tensor.kind });
    }
    let bytes = gguf.tensor_bytes(tensor).as_chunks().0;
    let values: Vec<f32> = bytes.iter().map(|bytes: &[u8; 4]| f32::from_le_bytes(*bytes)).collect();
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(WeightsError::NotFinite { name: name.to_owned(), index }),
        None => Ok(values),
    }
}

fn vector_if_present(gguf: &Gguf<'_>, name: &str, length: usize) -> Result<Option<Vec<f32>>, WeightsError> {
    gguf.tensor(name).map(|_| vector(gguf, name, length)).transpose()
}

/// Room for all tensors as they are packed: as large as in the file, and a band of 16 rows filled up here and there.
fn arena_bytes(gguf: &Gguf<'_>) -> usize {
    let tensors: usize = gguf.tensors().iter().map(|tensor| tensor.range.len()).sum();
    tensors + tensors / 8
}

/// Packs matrices and gives their part of the file back.
struct Loader<'a> {
    gguf: &'a Gguf<'a>,
    machine: &'a Machine,
    arena: Arena,
    release: &'a Release<'a>,
}

impl Loader<'_> {
    fn matrix(&mut self, name: &str, rows: usize, columns: usize) -> Result<Matrix, WeightsError> {
        let (kind, tensor) = tensor(self.gguf, name, &[columns, rows])?;
        let matrix = self
            .machine
            .pack(&self.arena, kind, rows, columns, self.gguf.tensor_bytes(tensor))
            .map_err(|source| WeightsError::Pack { name: name.to_owned(), source })?;
        (self.release)(tensor.range.clone());
        Ok(matrix)
    }

    /// `{stem}.weight` and, where present, `{stem}.bias`.
    fn projection(&mut self, stem: &str, rows: usize, columns: usize) -> Result<Projection, WeightsError> {
        Ok(Projection {
            matrix: self.matrix(&format!("{stem}.weight"), rows, columns)?,
            bias: vector_if_present(self.gguf, &format!("{stem}.bias"), rows)?,
        })
    }

    fn layer(&mut self, index: usize, config: &Config) -> Result<Layer, WeightsError> {
        let gguf = self.gguf;
        let name = |part: &str| format!("blk.{index}.{part}");
        let norm = |part: &str| format!("blk.{index}.{part}.weight");
        let (width, inner, head_dim) = (config.width, config.feed_forward, config.head_dim);
        let (queries, keys) = (config.heads * head_dim, config.kv_heads * head_dim);
        Ok(Layer {
            attention_norm: vector(gguf, &norm("attn_norm"), width)?,
            query: self.projection(&name("attn_q"), queries, width)?,
            key: self.projection(&name("attn_k"), keys, width)?,
            value: self.projection(&name("attn_v"), keys, width)?,
            query_norm: vector_if_present(gguf, &norm("attn_q_norm"), head_dim)?,
            key_norm: vector_if_present(gguf, &norm("attn_k_norm"), head_dim)?,
            output: self.projection(&name("attn_output"), width, queries)?,
            attention_post_norm: vector_if_present(gguf, &norm("post_attention_norm"), width)?,
            feed_forward_norm: vector(gguf, &norm("ffn_norm"), width)?,
            gate: self.projection(&name("ffn_gate"), inner, width)?,
            up: self.projection(&name("ffn_up"), inner, width)?,
            down: self.projection(&name("ffn_down"), width, inner)?,
            feed_forward_post_norm: vector_if_present(gguf, &norm("post_ffw_norm"), width)?,
        })
    }
}

impl Weights {
    /// Packs every tensor of the decoder; `release` is called with the byte range of each matrix once it is packed, so
    /// that a memory-mapped file need not stay resident.
    pub(crate) fn load(
        gguf: &Gguf<'_>,
        config: &Config,
        machine: &Machine,
        release: &Release<'_>,
    ) -> Result<Self, WeightsError> {
        let mut loader = Loader { gguf, machine, arena: Arena::new(arena_bytes(gguf)), release };
        let embedding = loader.matrix("token_embd.weight", config.vocabulary, config.width)?;
        let layers = (0..config.layers).map(|index| loader.layer(index, config)).collect::<Result<_, _>>()?;
        let head = match gguf.tensor("output.weight") {
            Some(_) => Some(loader.matrix("output.weight", config.vocabulary, config.width)?),
            None => None,
        };
        Ok(Self { embedding, layers, final_norm: vector(gguf, "output_norm.weight", config.width)?, head })
    }

    /// The divisors of the rotary frequencies, where the file brings them.
    pub(crate) fn rotary_divisors(gguf: &Gguf<'_>, config: &Config) -> Result<Option<Vec<f32>>, WeightsError> {
        let name = "rope_freqs.weight";
        gguf.tensor(name).map(|_| vector(gguf, name, config.head_dim / 2)).transpose()
    }

    /// The matrix that maps the final hidden state to logits.
    pub(crate) fn head(&self) -> &Matrix {
        self.head.as_ref().unwrap_or(&self.embedding)
    }
}
