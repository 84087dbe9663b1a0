//! What can be wrong with a GGUF file.

/// Why a file is not accepted, with the expected and the found value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GgufError {
    /// The first four bytes are not `GGUF`.
    #[error("not a GGUF file: expected the bytes 47 47 55 46 at offset 0, found {found:02x?}")]
    Magic {
        /// The bytes in their place.
        found: [u8; 4],
    },
    /// The version is none of those understood.
    #[error("GGUF version {found} at offset 4 is not supported, expected 2 or 3")]
    Version {
        /// The version that the file states.
        found: u32,
    },
    /// The file was written for a big-endian machine.
    #[error("this GGUF file is big-endian; convert it to little-endian first")]
    BigEndian,
    /// The file ends before what its header announces.
    #[error("file ends early: {what} at offset {offset} needs {expected} bytes, found {found}")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Where it starts.
        offset: usize,
        /// Bytes that it needs.
        expected: u64,
        /// Bytes that are left.
        found: u64,
    },
    /// A count or length is above its limit.
    #[error("{what} of {found} at offset {offset} is above the limit of {limit}")]
    TooMany {
        /// What is counted.
        what: &'static str,
        /// The number in the file.
        found: u64,
        /// The most that is accepted.
        limit: u64,
        /// Where the number stands.
        offset: usize,
    },
    /// A key, a name or a string value is not UTF-8.
    #[error("{what} at offset {offset} is not UTF-8")]
    NotUtf8 {
        /// What was being read.
        what: &'static str,
        /// Where the first bad byte stands.
        offset: usize,
    },
    /// A tensor has no name, or an entry has no key.
    #[error("{what} at offset {offset} is empty")]
    EmptyName {
        /// What was being read.
        what: &'static str,
        /// Where its length stands.
        offset: usize,
    },
    /// A metadata value has a type number that the format does not define.
    #[error("value kind {found} at offset {offset} is unknown, expected 0 to 12")]
    UnknownValueKind {
        /// The type number.
        found: u32,
        /// Where the value starts.
        offset: usize,
    },
    /// A boolean is neither 0 nor 1.
    #[error("boolean at offset {offset} is {found}, expected 0 or 1")]
    Boolean {
        /// The byte in the file.
        found: u8,
        /// Where it stands.
        offset: usize,
    },
    /// Arrays nest too deep.
    #[error("array at offset {offset} nests deeper than {limit}")]
    Depth {
        /// Where the array starts.
        offset: usize,
        /// The deepest nesting accepted.
        limit: u32,
    },
    /// A key stands twice.
    #[error("key {key:?} stands twice")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// A tensor name stands twice.
    #[error("tensor {tensor:?} stands twice")]
    DuplicateTensor {
        /// The name.
        tensor: String,
    },
    /// `general.alignment` is not a power of two, or too large.
    #[error("general.alignment is {found}, expected a power of two up to 65536")]
    Alignment {
        /// The value in the file.
        found: u64,
    },
    /// A tensor has a type number that ggml does not define.
    #[error("tensor {tensor:?} has the unknown ggml type {found}")]
    UnknownTensorKind {
        /// The tensor.
        tensor: String,
        /// The type number.
        found: u32,
    },
    /// The dimensions are zero, overflow, or do not fill whole blocks.
    #[error("tensor {tensor:?} of type {kind} cannot have the dimensions {dims:?}")]
    Shape {
        /// The tensor.
        tensor: String,
        /// Its dimensions, fastest first.
        dims: Vec<u64>,
        /// The name of its type.
        kind: &'static str,
    },
    /// A tensor does not start at a multiple of the alignment.
    #[error("tensor {tensor:?} starts at {found} in the data section, expected a multiple of {alignment}")]
    Misaligned {
        /// The tensor.
        tensor: String,
        /// Its offset from the start of the data section.
        found: u64,
        /// The alignment of the file.
        alignment: u64,
    },
    /// A tensor reaches past the end of the file.
    #[error(
        "tensor {tensor:?} takes {size_bytes} bytes at {data_offset} of the data section, the file has {file_bytes}"
    )]
    TensorOutside {
        /// The tensor.
        tensor: String,
        /// Its offset from the start of the data section.
        data_offset: u64,
        /// Its size.
        size_bytes: u64,
        /// The size of the file.
        file_bytes: usize,
    },
    /// Two tensors share bytes.
    #[error("tensors {first:?} and {second:?} overlap at offset {offset}")]
    Overlap {
        /// The tensor that starts first.
        first: String,
        /// The other.
        second: String,
        /// The first byte they share.
        offset: usize,
    },
    /// A key that the reader of the metadata needs is not there.
    #[error("key {key:?} is missing")]
    MissingKey {
        /// The key.
        key: &'static str,
    },
    /// A value has another type than its key demands.
    #[error("key {key:?} holds {found}, expected {expected}")]
    WrongType {
        /// The key.
        key: String,
        /// The type demanded.
        expected: &'static str,
        /// The type found.
        found: &'static str,
    },
}
