//! Model files as a dishonest host would make them.

use anyhow::{Context as _, ensure};
use arith::{Matrix, WeightType};
use model::gguf::{Gguf, TensorInfo};

/// The file with one nibble of one weight flipped.
pub(crate) fn with_flipped_nibble(file: &[u8]) -> anyhow::Result<Vec<u8>> {
    let gguf = Gguf::parse(file)?;
    let tensor = gguf.tensor("blk.0.attn_q.weight").context("the model has no query matrix in its first layer")?;
    let mut bent = file.to_vec();
    // The last byte of a block is part of its quants in every type that has blocks, and of a number's exponent in the others.
    let byte = tensor.range.start + block_bytes(tensor)? - 1;
    bent[byte] ^= 0x03;
    Ok(bent)
}

fn block_bytes(tensor: &TensorInfo) -> anyhow::Result<usize> {
    Ok(weight_type(tensor)?.block_bytes())
}

fn weight_type(tensor: &TensorInfo) -> anyhow::Result<WeightType> {
    WeightType::from_ggml(tensor.kind).with_context(|| format!("tensor `{}` has an unknown type", tensor.name))
}

/// The model in `Q8_0` where it has fewer bits: what a buyer of eight bits a weight believes to get.
pub(crate) fn in_eight_bits(file: &[u8]) -> anyhow::Result<Vec<u8>> {
    let gguf = Gguf::parse(file)?;
    let tensors: Vec<(TensorInfo, u32, Vec<u8>)> =
        gguf.tensors().iter().map(|tensor| requantised(&gguf, tensor)).collect::<anyhow::Result<_>>()?;
    let mut written = metadata(file, &gguf)?.to_vec();
    let mut offset = 0;
    for (tensor, kind, bytes) in &tensors {
        written.extend((tensor.name.len() as u64).to_le_bytes());
        written.extend(tensor.name.as_bytes());
        written.extend((tensor.dims.len() as u32).to_le_bytes());
        tensor.dims.iter().for_each(|dim| written.extend(dim.to_le_bytes()));
        written.extend(kind.to_le_bytes());
        written.extend((offset as u64).to_le_bytes());
        offset = (offset + bytes.len()).next_multiple_of(ALIGNMENT);
    }
    for (_, _, bytes) in tensors {
        written.resize(written.len().next_multiple_of(ALIGNMENT), 0);
        written.extend(bytes);
    }
    Ok(written)
}

/// What tensors of a GGUF file are aligned to, unless its metadata says otherwise.
const ALIGNMENT: usize = 32;

/// A tensor with its new type and bytes.
fn requantised(gguf: &Gguf<'_>, tensor: &TensorInfo) -> anyhow::Result<(TensorInfo, u32, Vec<u8>)> {
    let (kind, bytes) = (weight_type(tensor)?, gguf.tensor_bytes(tensor));
    if kind.block_len() == 1 || kind == WeightType::Q8_0 {
        return Ok((tensor.clone(), tensor.kind, bytes.to_vec()));
    }
    let columns = tensor.dims.first().copied().unwrap_or(1) as usize;
    let rows = tensor.dims.get(1).copied().unwrap_or(1) as usize;
    let matrix = Matrix::pack(kind, rows, columns, bytes)?;
    let mut eight = Vec::with_capacity(rows * columns / 32 * WeightType::Q8_0.block_bytes());
    let mut row = vec![0.0f32; columns];
    for index in 0..rows {
        matrix.row_f32(index, &mut row);
        for block in row.chunks_exact(32) {
            let amax = block.iter().fold(0.0f32, |amax, x| amax.max(x.abs()));
            let scale = half::f16::from_f32(amax / 127.0);
            let inverse = if scale.to_f32() == 0.0 { 0.0 } else { 1.0 / scale.to_f32() };
            eight.extend(scale.to_le_bytes());
            eight.extend(block.iter().map(|x| (x * inverse).round_ties_even().clamp(-127.0, 127.0) as i8 as u8));
        }
    }
    Ok((tensor.clone(), WeightType::Q8_0.to_ggml(), eight))
}

/// The file up to its table of tensors.
fn metadata<'a>(file: &'a [u8], gguf: &Gguf<'_>) -> anyhow::Result<&'a [u8]> {
    let tensors = gguf.tensors();
    let table: usize = tensors.iter().map(|tensor| 24 + tensor.name.len() + 8 * tensor.dims.len()).sum();
    let data = tensors.iter().map(|tensor| tensor.range.start).min().unwrap_or(file.len());
    let first = tensors.first().context("the model has no tensors")?;
    let mut opening = (first.name.len() as u64).to_le_bytes().to_vec();
    opening.extend(first.name.as_bytes());
    let end = (0..ALIGNMENT)
        .filter_map(|padding| data.checked_sub(table + padding))
        .find(|&end| file.get(end..).is_some_and(|rest| rest.starts_with(&opening)));
    let end = end.context("the table of tensors is not where it should be")?;
    ensure!(end <= file.len(), "the file is shorter than its metadata");
    Ok(&file[..end])
}
