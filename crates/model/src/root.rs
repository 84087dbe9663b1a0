//! The model root: one hash over everything that decides an answer's bits.
//!
//! The root is the SHA-256 Merkle root over named parts, in the order of their names: every tensor, the hyper-parameters,
//! the rotary tables, and the tokenizer's metadata, the chat template included. A tensor's leaf is one run of at most 256
//! weights of one row, or 64 that are no blocks, in the bytes of the file, so that a contract can open just the weights of
//! one disputed product.
//! The order of parts in the file, its alignment and its other metadata do not count.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use arith::Machine;
use claim::domain::{self, Domain};
use claim::encoding::HashEncoder;
use claim::merkle::{self, RootBuilder};
use claim::{Digest, ModelRoot};

use crate::config::Config;
use crate::gguf::{Array, ElementKind, Gguf, TensorInfo, Value, tensor_kind};
use crate::load::Release;
use crate::rotary::RotaryTable;

/// Weights in a leaf, what one contract call can multiply: 256 in blocks of so many, or 64 numbers that are multiplied one by
/// one.
pub const fn leaf_weights(block_len: usize) -> usize {
    if block_len == 1 { 64 } else { 256 }
}

/// A named part of a model and its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// `tensor/NAME`, `hyper-parameters`, `rotary`, `rotary-local` or `tokenizer`.
    pub name: String,
    /// Its digest.
    pub digest: Digest,
}

/// The parts of a model, in the order of their names.
pub(crate) fn parts(
    gguf: &Gguf<'_>,
    config: &Config,
    rotary: (&RotaryTable, Option<&RotaryTable>),
    machine: &Machine,
    release: &Release<'_>,
) -> Vec<Part> {
    let mut parts = tensor_parts(gguf, machine, release);
    parts.push(Part { name: "hyper-parameters".to_owned(), digest: hyper_parameters(config) });
    parts.push(Part { name: "rotary".to_owned(), digest: rotary_root(rotary.0, config.head_dim) });
    if let Some(local) = rotary.1 {
        parts.push(Part { name: "rotary-local".to_owned(), digest: rotary_root(local, config.head_dim) });
    }
    parts.push(Part { name: "tokenizer".to_owned(), digest: tokenizer(gguf) });
    parts.sort_by(|a, b| a.name.cmp(&b.name));
    parts
}

impl Part {
    /// The leaf that stands for the part under the root: the hash of its name and digest.
    pub fn leaf(&self) -> [u8; 32] {
        let mut leaf = HashEncoder::new(domain::MODEL_PART);
        leaf.text(&self.name);
        leaf.digest(self.digest);
        *leaf.finish().as_bytes()
    }
}

/// The root over `parts`.
pub(crate) fn model_root(parts: &[Part]) -> ModelRoot {
    ModelRoot::new(counted_root(domain::MODEL, parts.iter().map(Part::leaf)))
}

/// The Merkle root over `leaves`, their count bound in.
fn counted_root<L: AsRef<[u8]>>(domain: Domain, leaves: impl Iterator<Item = L>) -> Digest {
    let mut builder = RootBuilder::new();
    leaves.for_each(|leaf| builder.push(leaf.as_ref()));
    merkle::bind(domain, builder.count(), builder.root())
}

/// Every tensor's part, largest tensors first so that the threads end together.
fn tensor_parts(gguf: &Gguf<'_>, machine: &Machine, release: &Release<'_>) -> Vec<Part> {
    let mut tensors: Vec<&TensorInfo> = gguf.tensors().iter().collect();
    tensors.sort_by_key(|tensor| std::cmp::Reverse(tensor.range.len()));
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(tensors.len()));
    machine.pool().run(machine.pool().threads().get(), &|_| {
        while let Some(tensor) = tensors.get(next.fetch_add(1, Ordering::Relaxed)) {
            let part = Part { name: format!("tensor/{}", tensor.name), digest: tensor_digest(gguf, tensor) };
            release(tensor.range.clone());
            done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(part);
        }
    });
    done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn tensor_digest(gguf: &Gguf<'_>, tensor: &TensorInfo) -> Digest {
    let bytes = gguf.tensor_bytes(tensor);
    let columns = tensor.dims.first().copied().unwrap_or(1).max(1) as usize;
    // The reader has checked that rows are whole blocks, so a leaf of 256 weights is whole blocks as well.
    let (block_len, block_bytes) = tensor_kind(tensor.kind).map_or((1, 1), |kind| (kind.block_len, kind.block_bytes));
    let leaf_bytes = leaf_weights(block_len as usize) / block_len as usize * block_bytes as usize;
    let row_bytes = columns / block_len as usize * block_bytes as usize;
    let leaves = bytes.chunks(row_bytes.max(1)).flat_map(|row| row.chunks(leaf_bytes.max(1)));
    let root = counted_root(domain::MODEL_TENSOR, leaves);
    let mut encoder = HashEncoder::new(domain::MODEL_TENSOR);
    encoder.u32(tensor.kind);
    encoder.u32(tensor.dims.len() as u32);
    for &dim in &tensor.dims {
        encoder.u64(dim);
    }
    encoder.digest(root);
    encoder.finish()
}

fn hyper_parameters(config: &Config) -> Digest {
    let mut encoder = HashEncoder::new(domain::MODEL_CONFIG);
    encoder.text(&config.architecture);
    for number in config.canonical_numbers() {
        encoder.u64(number);
    }
    encoder.finish()
}

/// One leaf per position, so that a dispute opens one row of the table.
fn rotary_root(table: &RotaryTable, head_dim: usize) -> Digest {
    let mut bytes = Vec::with_capacity(table.values().len() * 4);
    for value in table.values() {
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    counted_root(domain::MODEL_ROTARY, bytes.chunks(head_dim * 4))
}

/// All metadata below `tokenizer.`, in the order of the keys.
fn tokenizer(gguf: &Gguf<'_>) -> Digest {
    let mut entries: Vec<_> = gguf.entries().filter(|(key, _)| key.starts_with("tokenizer.")).collect();
    entries.sort_by_key(|(key, _)| *key);
    let mut encoder = HashEncoder::new(domain::MODEL_TOKENIZER);
    for (key, value) in entries {
        encoder.text(key);
        encode(&mut encoder, *value);
    }
    encoder.finish()
}

fn encode(encoder: &mut HashEncoder, value: Value<'_>) {
    encoder.text(value.kind_name());
    match value {
        Value::U8(x) => encoder.u64(x.into()),
        Value::U16(x) => encoder.u64(x.into()),
        Value::U32(x) => encoder.u64(x.into()),
        Value::U64(x) => encoder.u64(x),
        Value::I8(x) => encoder.u64(i64::from(x) as u64),
        Value::I16(x) => encoder.u64(i64::from(x) as u64),
        Value::I32(x) => encoder.u64(i64::from(x) as u64),
        Value::I64(x) => encoder.u64(x as u64),
        Value::F32(x) => encoder.u64(x.to_bits().into()),
        Value::F64(x) => encoder.u64(x.to_bits()),
        Value::Bool(x) => encoder.u64(x.into()),
        Value::String(text) => encoder.text(text),
        Value::Array(array) => encode_array(encoder, array),
    }
}

fn encode_array(encoder: &mut HashEncoder, array: Array<'_>) {
    encoder.u64(array.len() as u64);
    match (array.strings(), array.kind()) {
        (Some(strings), _) => strings.for_each(|string| encoder.bytes(string)),
        (None, ElementKind::F32) => array.f32s().into_iter().flatten().for_each(|x| encoder.u32(x.to_bits())),
        (None, ElementKind::I32) => array.i32s().into_iter().flatten().for_each(|x| encoder.u32(x as u32)),
        (None, _) => array.values().for_each(|value| encode(encoder, value)),
    }
}
