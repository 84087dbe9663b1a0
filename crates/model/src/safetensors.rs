//! Safetensors files: the place and type of every tensor, in the same shape as a GGUF file gives them.
//!
//! The header is JSON and is read by the `safetensors` crate, which checks that the tensors lie one after the other
//! without gap or overlap and that each has the bytes that its shape asks for. Its length, the number of tensors and the
//! end of the data are checked here, before they are used.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use safetensors::Dtype;
use safetensors::tensor::Metadata;

use crate::gguf::TensorInfo;

/// Longest header in bytes. A model of 2,000 tensors has about 250 kB; the limit bounds what parsing it can allocate.
pub const HEADER_BYTES_MAX: u64 = 16 << 20;
/// Most tensors a file may have, as for GGUF.
pub const TENSOR_COUNT_MAX: usize = 65_536;
/// Most dimensions of a tensor. Weights have at most five.
pub const DIMENSION_COUNT_MAX: usize = 8;

/// Bytes of the header's length.
const LENGTH_BYTES: usize = 8;

/// Why a file is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SafetensorsError {
    /// The file ends before what it announces.
    #[error("file ends early: {what} needs {expected} bytes, found {found}")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Bytes that it needs.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// The header is longer than any real one.
    #[error("header of {found} bytes is above the limit of {limit}")]
    HeaderTooLong {
        /// The length in the file.
        found: u64,
        /// The most accepted.
        limit: u64,
    },
    /// The header is not JSON of the right form, or its tensors do not lie one after the other.
    #[error("malformed header: {reason}")]
    Header {
        /// The parser's words.
        reason: String,
    },
    /// There are more tensors than in any real file.
    #[error("{found} tensors are above the limit of {limit}")]
    TooManyTensors {
        /// Tensors in the file.
        found: usize,
        /// The most accepted.
        limit: usize,
    },
    /// A tensor has more dimensions than any real one.
    #[error("tensor {tensor:?} has {found} dimensions, the limit is {limit}")]
    TooManyDimensions {
        /// The tensor.
        tensor: String,
        /// Its dimensions.
        found: usize,
        /// The most accepted.
        limit: usize,
    },
    /// A tensor has an element type that ggml has no number for.
    #[error("tensor {tensor:?} holds {found}, which is not supported")]
    UnsupportedKind {
        /// The tensor.
        tensor: String,
        /// Its type.
        found: String,
    },
    /// The file goes on after the last tensor.
    #[error("file has {found} bytes, expected {expected} as the header says")]
    Trailing {
        /// Where the last tensor ends.
        expected: u64,
        /// Bytes of the file.
        found: u64,
    },
}

/// A parsed file.
#[derive(Clone)]
pub struct Safetensors<'a> {
    bytes: &'a [u8],
    /// In file order.
    tensors: Vec<TensorInfo>,
    by_name: BTreeMap<String, usize>,
    metadata: BTreeMap<String, String>,
}

impl fmt::Debug for Safetensors<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Safetensors")
            .field("tensors", &self.tensors)
            .field("metadata", &self.metadata)
            .finish_non_exhaustive()
    }
}

impl<'a> Safetensors<'a> {
    /// Reads the header of a file.
    ///
    /// # Errors
    /// [`SafetensorsError`] says what was expected and what was found.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, SafetensorsError> {
        let header = header(bytes)?;
        let data_start = LENGTH_BYTES + header.len();
        let parsed: Metadata =
            serde_json::from_slice(header).map_err(|error| SafetensorsError::Header { reason: error.to_string() })?;
        let names = parsed.offset_keys();
        if names.len() > TENSOR_COUNT_MAX {
            return Err(SafetensorsError::TooManyTensors { found: names.len(), limit: TENSOR_COUNT_MAX });
        }
        let mut tensors = Vec::with_capacity(names.len());
        let mut by_name = BTreeMap::new();
        for name in names {
            let Some(info) = parsed.info(&name) else { continue };
            let range = place(bytes, data_start, info.data_offsets)?;
            by_name.insert(name.clone(), tensors.len());
            tensors.push(tensor_info(name, info, range)?);
        }
        let expected = tensors.last().map_or(data_start, |last: &TensorInfo| last.range.end);
        if expected != bytes.len() {
            return Err(SafetensorsError::Trailing { expected: expected as u64, found: bytes.len() as u64 });
        }
        let metadata = parsed.metadata().clone().unwrap_or_default().into_iter().collect();
        Ok(Self { bytes, tensors, by_name, metadata })
    }

    /// The tensors in file order.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// The tensor of a name.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.by_name.get(name).map(|&at| &self.tensors[at])
    }

    /// The bytes of a tensor of this file.
    ///
    /// # Panics
    /// When `tensor` belongs to another, longer file.
    pub fn tensor_bytes(&self, tensor: &TensorInfo) -> &'a [u8] {
        &self.bytes[tensor.range.clone()]
    }

    /// The free text that the file carries under a key.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }
}

fn header(bytes: &[u8]) -> Result<&[u8], SafetensorsError> {
    let truncated = |what, expected, found: usize| SafetensorsError::Truncated { what, expected, found: found as u64 };
    let (length, rest) = bytes
        .split_first_chunk::<LENGTH_BYTES>()
        .ok_or_else(|| truncated("header length", LENGTH_BYTES as u64, bytes.len()))?;
    let length = u64::from_le_bytes(*length);
    if length > HEADER_BYTES_MAX {
        return Err(SafetensorsError::HeaderTooLong { found: length, limit: HEADER_BYTES_MAX });
    }
    rest.get(..length as usize).ok_or_else(|| truncated("header", length, rest.len()))
}

fn place(bytes: &[u8], data_start: usize, (start, end): (usize, usize)) -> Result<Range<usize>, SafetensorsError> {
    let found = (bytes.len() - data_start) as u64;
    match (data_start.checked_add(start), data_start.checked_add(end)) {
        (Some(start), Some(end)) if start <= end && end <= bytes.len() => Ok(start..end),
        _ => Err(SafetensorsError::Truncated { what: "tensor data", expected: end as u64, found }),
    }
}

fn tensor_info(
    name: String,
    info: &safetensors::tensor::TensorInfo,
    range: Range<usize>,
) -> Result<TensorInfo, SafetensorsError> {
    if info.shape.len() > DIMENSION_COUNT_MAX {
        let (found, limit) = (info.shape.len(), DIMENSION_COUNT_MAX);
        return Err(SafetensorsError::TooManyDimensions { tensor: name, found, limit });
    }
    let Some(kind) = ggml_number(info.dtype) else {
        return Err(SafetensorsError::UnsupportedKind { tensor: name, found: format!("{:?}", info.dtype) });
    };
    // Safetensors writes the slowest dimension first, ggml the fastest.
    let dims = info.shape.iter().rev().map(|&dim| dim as u64).collect();
    Ok(TensorInfo { name, dims, kind, range })
}

/// The number that ggml has for an element type.
fn ggml_number(kind: Dtype) -> Option<u32> {
    Some(match kind {
        Dtype::F32 => 0,
        Dtype::F16 => 1,
        Dtype::I8 => 24,
        Dtype::I16 => 25,
        Dtype::I32 => 26,
        Dtype::I64 => 27,
        Dtype::F64 => 28,
        Dtype::BF16 => 30,
        _ => return None,
    })
}
