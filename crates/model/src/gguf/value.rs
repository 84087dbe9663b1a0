//! Metadata values, borrowed from the file.

use std::fmt;

use super::reader::Reader;
use super::{ARRAY_DEPTH_MAX, ARRAY_LENGTH_MAX, GgufError, STRING_BYTES_MAX};

/// A metadata value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Unsigned, 8 bits.
    U8(u8),
    /// Signed, 8 bits.
    I8(i8),
    /// Unsigned, 16 bits.
    U16(u16),
    /// Signed, 16 bits.
    I16(i16),
    /// Unsigned, 32 bits.
    U32(u32),
    /// Signed, 32 bits.
    I32(i32),
    /// IEEE binary32.
    F32(f32),
    /// True or false.
    Bool(bool),
    /// UTF-8 text.
    String(&'a str),
    /// Elements of one type.
    Array(Array<'a>),
    /// Unsigned, 64 bits.
    U64(u64),
    /// Signed, 64 bits.
    I64(i64),
    /// IEEE binary64.
    F64(f64),
}

impl<'a> Value<'a> {
    /// The name of the type, for messages.
    pub fn kind_name(&self) -> &'static str {
        match self {
            Self::U8(_) => "u8",
            Self::I8(_) => "i8",
            Self::U16(_) => "u16",
            Self::I16(_) => "i16",
            Self::U32(_) => "u32",
            Self::I32(_) => "i32",
            Self::F32(_) => "f32",
            Self::Bool(_) => "bool",
            Self::String(_) => "string",
            Self::Array(_) => "array",
            Self::U64(_) => "u64",
            Self::I64(_) => "i64",
            Self::F64(_) => "f64",
        }
    }

    /// Any integer type whose value is not negative.
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::U8(x) => Some(u64::from(x)),
            Self::U16(x) => Some(u64::from(x)),
            Self::U32(x) => Some(u64::from(x)),
            Self::U64(x) => Some(x),
            Self::I8(x) => u64::try_from(x).ok(),
            Self::I16(x) => u64::try_from(x).ok(),
            Self::I32(x) => u64::try_from(x).ok(),
            Self::I64(x) => u64::try_from(x).ok(),
            _ => None,
        }
    }

    /// Any integer type whose value fits 32 bits and is not negative.
    pub fn as_u32(&self) -> Option<u32> {
        self.as_u64().and_then(|x| u32::try_from(x).ok())
    }

    /// Either floating-point type, rounded to binary32.
    pub fn as_f32(&self) -> Option<f32> {
        match *self {
            Self::F32(x) => Some(x),
            Self::F64(x) => Some(x as f32),
            _ => None,
        }
    }

    /// A boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            Self::Bool(x) => Some(x),
            _ => None,
        }
    }

    /// A string.
    pub fn as_str(&self) -> Option<&'a str> {
        match *self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// An array.
    pub fn as_array(&self) -> Option<Array<'a>> {
        match *self {
            Self::Array(array) => Some(array),
            _ => None,
        }
    }
}

/// The type of an array's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElementKind {
    /// Unsigned, 8 bits.
    U8,
    /// Signed, 8 bits.
    I8,
    /// Unsigned, 16 bits.
    U16,
    /// Signed, 16 bits.
    I16,
    /// Unsigned, 32 bits.
    U32,
    /// Signed, 32 bits.
    I32,
    /// IEEE binary32.
    F32,
    /// One byte, 0 or 1.
    Bool,
    /// Length and bytes.
    String,
    /// An array again.
    Array,
    /// Unsigned, 64 bits.
    U64,
    /// Signed, 64 bits.
    I64,
    /// IEEE binary64.
    F64,
}

impl ElementKind {
    fn from_gguf(kind: u32, offset: usize) -> Result<Self, GgufError> {
        Ok(match kind {
            0 => Self::U8,
            1 => Self::I8,
            2 => Self::U16,
            3 => Self::I16,
            4 => Self::U32,
            5 => Self::I32,
            6 => Self::F32,
            7 => Self::Bool,
            8 => Self::String,
            9 => Self::Array,
            10 => Self::U64,
            11 => Self::I64,
            12 => Self::F64,
            found => return Err(GgufError::UnknownValueKind { found, offset }),
        })
    }

    /// Bytes of one element; none for strings and arrays, whose elements differ.
    fn size_bytes(self) -> Option<u64> {
        match self {
            Self::U8 | Self::I8 | Self::Bool => Some(1),
            Self::U16 | Self::I16 => Some(2),
            Self::U32 | Self::I32 | Self::F32 => Some(4),
            Self::U64 | Self::I64 | Self::F64 => Some(8),
            Self::String | Self::Array => None,
        }
    }
}

/// An array that lies in the file and is decoded when it is read.
///
/// The bytes were walked once by the parser, so reading them again cannot fail.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Array<'a> {
    kind: ElementKind,
    len: usize,
    bytes: &'a [u8],
}

impl fmt::Debug for Array<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{:?}; {}]", self.kind, self.len)
    }
}

impl<'a> Array<'a> {
    /// The type of the elements.
    pub fn kind(&self) -> ElementKind {
        self.kind
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The strings in order, when the elements are strings. They are bytes: a vocabulary need not be UTF-8.
    pub fn strings(&self) -> Option<Strings<'a>> {
        (self.kind == ElementKind::String).then_some(Strings { bytes: self.bytes, left: self.len })
    }

    /// The numbers in order, when the elements are `f32`.
    pub fn f32s(&self) -> Option<impl ExactSizeIterator<Item = f32> + use<'a>> {
        (self.kind == ElementKind::F32).then(|| self.words().map(f32::from_le_bytes))
    }

    /// The numbers in order, when the elements are `i32` or `u32` (the bits are kept).
    pub fn i32s(&self) -> Option<impl ExactSizeIterator<Item = i32> + use<'a>> {
        matches!(self.kind, ElementKind::I32 | ElementKind::U32).then(|| self.words().map(i32::from_le_bytes))
    }

    /// The bytes, when the elements are `u8` or `i8`.
    pub fn bytes(&self) -> Option<&'a [u8]> {
        matches!(self.kind, ElementKind::U8 | ElementKind::I8).then_some(self.bytes)
    }

    /// Every element as a value, whatever its type.
    pub fn values(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let mut reader = Reader::new(self.bytes);
        let (kind, mut left) = (self.kind, self.len);
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            // A string that is not UTF-8 ends the walk: only `strings()` can show it.
            read_kind(&mut reader, kind, 0).ok()
        })
    }

    fn words(&self) -> impl ExactSizeIterator<Item = [u8; 4]> + use<'a> {
        self.bytes.as_chunks::<4>().0.iter().copied()
    }
}

/// The strings of an array, in order.
#[derive(Debug, Clone)]
pub struct Strings<'a> {
    bytes: &'a [u8],
    left: usize,
}

impl<'a> Iterator for Strings<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let (len, rest) = self.bytes.split_first_chunk::<8>()?;
        let (string, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*len)).ok()?)?;
        self.bytes = rest;
        Some(string)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Strings<'_> {}

/// Reads one value of the given type number.
pub(super) fn read<'a>(reader: &mut Reader<'a>, kind: u32) -> Result<Value<'a>, GgufError> {
    let kind = ElementKind::from_gguf(kind, reader.offset())?;
    read_kind(reader, kind, 0)
}

fn read_kind<'a>(reader: &mut Reader<'a>, kind: ElementKind, depth: u32) -> Result<Value<'a>, GgufError> {
    const WHAT: &str = "value";
    Ok(match kind {
        ElementKind::U8 => Value::U8(u8::from_le_bytes(reader.fixed(WHAT)?)),
        ElementKind::I8 => Value::I8(i8::from_le_bytes(reader.fixed(WHAT)?)),
        ElementKind::U16 => Value::U16(u16::from_le_bytes(reader.fixed(WHAT)?)),
        ElementKind::I16 => Value::I16(i16::from_le_bytes(reader.fixed(WHAT)?)),
        ElementKind::U32 => Value::U32(u32::from_le_bytes(reader.fixed(WHAT)?)),
        ElementKind::I32 => Value::I32(i32::from_le_bytes(reader.fixed(WHAT)?)),
        ElementKind::F32 => Value::F32(f32::from_le_bytes(reader.fixed(WHAT)?)),
        ElementKind::U64 => Value::U64(u64::from_le_bytes(reader.fixed(WHAT)?)),
        ElementKind::I64 => Value::I64(i64::from_le_bytes(reader.fixed(WHAT)?)),
        ElementKind::F64 => Value::F64(f64::from_le_bytes(reader.fixed(WHAT)?)),
        ElementKind::Bool => Value::Bool(read_bool(reader)?),
        ElementKind::String => {
            let bytes = reader.string("string", STRING_BYTES_MAX)?;
            Value::String(reader.utf8(bytes, "string")?)
        }
        ElementKind::Array => Value::Array(read_array(reader, depth + 1)?),
    })
}

fn read_bool(reader: &mut Reader<'_>) -> Result<bool, GgufError> {
    let offset = reader.offset();
    match u8::from_le_bytes(reader.fixed("boolean")?) {
        0 => Ok(false),
        1 => Ok(true),
        found => Err(GgufError::Boolean { found, offset }),
    }
}

/// Walks an array without keeping its elements. The work is bounded by the bytes: no element takes none.
fn read_array<'a>(reader: &mut Reader<'a>, depth: u32) -> Result<Array<'a>, GgufError> {
    if depth > ARRAY_DEPTH_MAX {
        return Err(GgufError::Depth { offset: reader.offset(), limit: ARRAY_DEPTH_MAX });
    }
    let kind_number = reader.u32("array kind")?;
    let kind = ElementKind::from_gguf(kind_number, reader.offset())?;
    let len = reader.count("array length", ARRAY_LENGTH_MAX)?;
    let start = reader.offset();
    if let Some(size_bytes) = kind.size_bytes() {
        reader.bytes(len * size_bytes, "array")?;
    } else {
        for _ in 0..len {
            if kind == ElementKind::String {
                reader.string("string", STRING_BYTES_MAX)?;
            } else {
                read_array(reader, depth + 1)?;
            }
        }
    }
    Ok(Array { kind, len: len as usize, bytes: reader.since(start) })
}
