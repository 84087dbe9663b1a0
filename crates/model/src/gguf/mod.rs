//! GGUF files, versions 2 and 3: typed metadata and the place of every tensor, over borrowed bytes.
//!
//! [`Gguf::parse`] walks the header once and copies nothing but tensor names and dimensions: strings and arrays stay
//! slices of the file, so a 262,144-entry vocabulary costs no memory until somebody reads it. The word of the file is
//! never trusted. Every count, length, dimension and offset is compared with the bytes that are left, or with a limit
//! below, before it sizes an allocation or an index. What the reader accepts therefore has
//!
//! - no key and no tensor name twice,
//! - no tensor that leaves the file, is misaligned, or shares a byte with another tensor,
//! - no tensor type whose block size is unknown,
//! - no array deeper than [`ARRAY_DEPTH_MAX`].
//!
//! The layout is that of `docs/gguf.md` in the ggml project, little-endian:
//!
//! ```text
//! "GGUF"  version: u32  tensor_count: u64  metadata_count: u64
//! metadata: (key: string, kind: u32, value) ...             string: length: u64, bytes
//! tensors:  (name: string, dims: u32, dim: u64 ..., kind: u32, offset: u64) ...
//! padding to general.alignment, then the data section; offsets count from its start
//! ```

mod error;
mod kind;
mod reader;
mod value;
mod write;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

pub use error::GgufError;
pub use kind::{TensorKind, tensor_kind};
pub use value::{Array, ElementKind, Strings, Value};
pub use write::{GgufWriter, Metadata};

use reader::Reader;

/// Most metadata entries a file may have. Real files have under 100; the limit bounds the index that holds them.
pub const METADATA_COUNT_MAX: u64 = 65_536;
/// Most tensors a file may have. A 120-layer mixture of experts has about 2,000 when experts are stacked.
pub const TENSOR_COUNT_MAX: u64 = 65_536;
/// Longest key or tensor name in bytes; the format itself allows 65,535.
pub const NAME_BYTES_MAX: u64 = 65_535;
/// Longest string value in bytes. Chat templates and embedded licences stay under 1 MiB.
pub const STRING_BYTES_MAX: u64 = 16 << 20;
/// Most elements of one array. The largest known vocabularies have under 2^19 entries.
pub const ARRAY_LENGTH_MAX: u64 = 1 << 24;
/// How deep arrays of arrays may nest. Known files do not nest at all; the limit bounds the recursion.
pub const ARRAY_DEPTH_MAX: u32 = 4;
/// Most dimensions of a tensor, as in ggml.
pub const DIMENSION_COUNT_MAX: u32 = 4;
/// Largest `general.alignment`. Files use 32; a page of 64 KiB is the most that a memory mapping could ask for.
pub const ALIGNMENT_MAX: u32 = 65_536;

/// Alignment of the data section when the file does not name one.
const ALIGNMENT_DEFAULT: u32 = 32;
const MAGIC: [u8; 4] = *b"GGUF";

/// One tensor of a file: its name, shape, element type and bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// The name, such as `blk.0.attn_q.weight`.
    pub name: String,
    /// The dimensions, fastest first: a matrix is `[columns, rows]`.
    pub dims: Vec<u64>,
    /// The ggml type number; [`tensor_kind`] gives its name and block.
    pub kind: u32,
    /// The bytes in the file.
    pub range: Range<usize>,
}

/// A parsed file: metadata by key and tensors in file order.
#[derive(Clone)]
pub struct Gguf<'a> {
    bytes: &'a [u8],
    version: u32,
    metadata: BTreeMap<&'a str, Value<'a>>,
    tensors: Vec<TensorInfo>,
    /// Positions in `tensors`, sorted by name.
    by_name: Vec<u32>,
}

impl fmt::Debug for Gguf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gguf")
            .field("version", &self.version)
            .field("metadata", &self.metadata)
            .field("tensors", &self.tensors)
            .finish_non_exhaustive()
    }
}

impl<'a> Gguf<'a> {
    /// Reads the header of a file.
    ///
    /// # Errors
    /// [`GgufError`] says what was expected, what was found, and at which byte. Time is linear in the size of the
    /// header (times the logarithm of its counts) and memory is at most a small multiple of it.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, GgufError> {
        let mut reader = Reader::new(bytes);
        let version = read_version(&mut reader)?;
        let tensor_count = reader.count("tensor count", TENSOR_COUNT_MAX)?;
        let metadata_count = reader.count("metadata count", METADATA_COUNT_MAX)?;
        let metadata = read_metadata(&mut reader, metadata_count)?;
        let alignment = alignment(&metadata)?;
        let heads = read_tensor_heads(&mut reader, tensor_count)?;
        let tensors = place_tensors(heads, reader.offset(), alignment, bytes.len())?;
        let by_name = index_by_name(&tensors)?;
        reject_overlap(&tensors)?;
        Ok(Self { bytes, version, metadata, tensors, by_name })
    }

    /// The format version, 2 or 3.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The value of a key.
    pub fn metadata(&self, key: &str) -> Option<&Value<'a>> {
        self.metadata.get(key)
    }

    /// Every key with its value, sorted by key.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, &Value<'a>)> {
        self.metadata.iter().map(|(key, value)| (*key, value))
    }

    /// The tensors in file order.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// The tensor of a name.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        let found = self.by_name.binary_search_by(|&at| self.tensors[at as usize].name.as_str().cmp(name)).ok()?;
        Some(&self.tensors[self.by_name[found] as usize])
    }

    /// The bytes of a tensor of this file.
    ///
    /// # Panics
    /// When `tensor` belongs to another, longer file.
    pub fn tensor_bytes(&self, tensor: &TensorInfo) -> &'a [u8] {
        &self.bytes[tensor.range.clone()]
    }

    /// A required unsigned number of at most 32 bits; any integer type in the file will do.
    ///
    /// # Errors
    /// [`GgufError::MissingKey`], or [`GgufError::WrongType`] when the value is no such number.
    pub fn u32(&self, key: &'static str) -> Result<u32, GgufError> {
        self.typed(key, "an integer of 32 bits", Value::as_u32)
    }

    /// A required floating-point number.
    ///
    /// # Errors
    /// [`GgufError::MissingKey`], or [`GgufError::WrongType`] when the value is no such number.
    pub fn f32(&self, key: &'static str) -> Result<f32, GgufError> {
        self.typed(key, "a floating-point number", Value::as_f32)
    }

    /// A required string.
    ///
    /// # Errors
    /// [`GgufError::MissingKey`], or [`GgufError::WrongType`] when the value is no string.
    pub fn str(&self, key: &'static str) -> Result<&'a str, GgufError> {
        self.typed(key, "a string", Value::as_str)
    }

    /// A required array.
    ///
    /// # Errors
    /// [`GgufError::MissingKey`], or [`GgufError::WrongType`] when the value is no array.
    pub fn array(&self, key: &'static str) -> Result<Array<'a>, GgufError> {
        self.typed(key, "an array", Value::as_array)
    }

    fn typed<T>(
        &self,
        key: &'static str,
        expected: &'static str,
        read: impl Fn(&Value<'a>) -> Option<T>,
    ) -> Result<T, GgufError> {
        let value = self.metadata.get(key).ok_or(GgufError::MissingKey { key })?;
        read(value).ok_or_else(|| GgufError::WrongType { key: key.to_owned(), expected, found: value.kind_name() })
    }
}

/// A tensor as the header states it, before its offset is checked.
struct TensorHead {
    name: String,
    dims: Vec<u64>,
    kind: u32,
    size_bytes: u64,
    data_offset: u64,
}

fn read_version(reader: &mut Reader<'_>) -> Result<u32, GgufError> {
    let magic = reader.bytes(4, "magic")?;
    if magic != MAGIC {
        return Err(GgufError::Magic { found: [magic[0], magic[1], magic[2], magic[3]] });
    }
    match reader.u32("version")? {
        version @ (2 | 3) => Ok(version),
        found if matches!(found.swap_bytes(), 1..=3) => Err(GgufError::BigEndian),
        found => Err(GgufError::Version { found }),
    }
}

fn read_metadata<'a>(reader: &mut Reader<'a>, count: u64) -> Result<BTreeMap<&'a str, Value<'a>>, GgufError> {
    let mut metadata = BTreeMap::new();
    for _ in 0..count {
        let key = reader.text("key", NAME_BYTES_MAX)?;
        let kind = reader.u32("value kind")?;
        let value = value::read(reader, kind)?;
        if metadata.insert(key, value).is_some() {
            return Err(GgufError::DuplicateKey { key: key.to_owned() });
        }
    }
    Ok(metadata)
}

fn alignment(metadata: &BTreeMap<&str, Value<'_>>) -> Result<u64, GgufError> {
    const KEY: &str = "general.alignment";
    let Some(value) = metadata.get(KEY) else {
        return Ok(u64::from(ALIGNMENT_DEFAULT));
    };
    let found = value.as_u64().ok_or_else(|| GgufError::WrongType {
        key: KEY.to_owned(),
        expected: "an unsigned integer",
        found: value.kind_name(),
    })?;
    if !found.is_power_of_two() || found > u64::from(ALIGNMENT_MAX) {
        return Err(GgufError::Alignment { found });
    }
    Ok(found)
}

fn read_tensor_heads(reader: &mut Reader<'_>, count: u64) -> Result<Vec<TensorHead>, GgufError> {
    /// A one-byte name, no dimension, a kind and an offset.
    const HEAD_BYTES_MIN: u64 = 8 + 1 + 4 + 4 + 8;
    reader.need(count.saturating_mul(HEAD_BYTES_MIN), "tensor headers")?;
    let mut heads = Vec::with_capacity(count as usize);
    for _ in 0..count {
        heads.push(read_tensor_head(reader)?);
    }
    Ok(heads)
}

fn read_tensor_head(reader: &mut Reader<'_>) -> Result<TensorHead, GgufError> {
    let name = reader.text("tensor name", NAME_BYTES_MAX)?.to_owned();
    let at = reader.offset();
    let dimension_count = reader.u32("dimension count")?;
    if dimension_count > DIMENSION_COUNT_MAX {
        return Err(GgufError::TooMany {
            what: "dimensions",
            found: u64::from(dimension_count),
            limit: u64::from(DIMENSION_COUNT_MAX),
            offset: at,
        });
    }
    let mut dims = Vec::with_capacity(dimension_count as usize);
    for _ in 0..dimension_count {
        dims.push(reader.u64("dimension")?);
    }
    let kind = reader.u32("tensor kind")?;
    let data_offset = reader.u64("tensor offset")?;
    let size_bytes = tensor_size(&name, &dims, kind)?;
    Ok(TensorHead { name, dims, kind, size_bytes, data_offset })
}

/// Bytes of a tensor: elements / block length * block bytes, every product checked.
fn tensor_size(name: &str, dims: &[u64], kind: u32) -> Result<u64, GgufError> {
    let Some(info) = tensor_kind(kind) else {
        return Err(GgufError::UnknownTensorKind { tensor: name.to_owned(), found: kind });
    };
    let shape_error = || GgufError::Shape { tensor: name.to_owned(), dims: dims.to_vec(), kind: info.name };
    let elements = dims.iter().try_fold(1_u64, |product, &dim| product.checked_mul(dim)).ok_or_else(shape_error)?;
    let columns = dims.first().copied().unwrap_or(1);
    // An empty tensor has no use, and would make "no two tensors share a byte" say less than it does.
    if elements == 0 || columns % u64::from(info.block_len) != 0 {
        return Err(shape_error());
    }
    (elements / u64::from(info.block_len)).checked_mul(u64::from(info.block_bytes)).ok_or_else(shape_error)
}

fn place_tensors(
    heads: Vec<TensorHead>,
    header_end: usize,
    alignment: u64,
    file_len: usize,
) -> Result<Vec<TensorInfo>, GgufError> {
    let data_start = (header_end as u64).checked_next_multiple_of(alignment);
    let mut tensors = Vec::with_capacity(heads.len());
    for head in heads {
        if !head.data_offset.is_multiple_of(alignment) {
            return Err(GgufError::Misaligned { tensor: head.name, found: head.data_offset, alignment });
        }
        let start = data_start.and_then(|base| base.checked_add(head.data_offset));
        let end = start.and_then(|start| start.checked_add(head.size_bytes));
        let (Some(start), Some(end)) = (start, end.filter(|&end| end <= file_len as u64)) else {
            return Err(GgufError::TensorOutside {
                tensor: head.name,
                data_offset: head.data_offset,
                size_bytes: head.size_bytes,
                file_bytes: file_len,
            });
        };
        tensors.push(TensorInfo {
            name: head.name,
            dims: head.dims,
            kind: head.kind,
            range: start as usize..end as usize,
        });
    }
    Ok(tensors)
}

fn index_by_name(tensors: &[TensorInfo]) -> Result<Vec<u32>, GgufError> {
    let mut by_name: Vec<u32> = (0..tensors.len() as u32).collect();
    by_name.sort_unstable_by(|&a, &b| tensors[a as usize].name.cmp(&tensors[b as usize].name));
    for pair in by_name.windows(2) {
        let (left, right) = (&tensors[pair[0] as usize], &tensors[pair[1] as usize]);
        if left.name == right.name {
            return Err(GgufError::DuplicateTensor { tensor: left.name.clone() });
        }
    }
    Ok(by_name)
}

fn reject_overlap(tensors: &[TensorInfo]) -> Result<(), GgufError> {
    let mut by_start: Vec<&TensorInfo> = tensors.iter().collect();
    by_start.sort_unstable_by_key(|tensor| tensor.range.start);
    for pair in by_start.windows(2) {
        if pair[0].range.end > pair[1].range.start {
            return Err(GgufError::Overlap {
                first: pair[0].name.clone(),
                second: pair[1].name.clone(),
                offset: pair[1].range.start,
            });
        }
    }
    Ok(())
}
