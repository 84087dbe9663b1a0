//! Writing GGUF version 3.

/// A metadata value to write.
#[derive(Debug, Clone, PartialEq)]
pub enum Metadata {
    /// Unsigned, 32 bits.
    U32(u32),
    /// IEEE binary32.
    F32(f32),
    /// True or false.
    Bool(bool),
    /// Text.
    Text(String),
    /// A list of texts.
    Texts(Vec<String>),
    /// A list of signed 32-bit integers.
    I32s(Vec<i32>),
    /// A list of floats.
    F32s(Vec<f32>),
}

/// Collects metadata and tensors and lays them out as a file.
#[derive(Debug, Default)]
pub struct GgufWriter {
    metadata: Vec<(String, Metadata)>,
    tensors: Vec<(String, Vec<u64>, u32, Vec<u8>)>,
}

/// Tensor data starts, and each tensor starts, at a multiple of this many bytes: the format's default.
const ALIGNMENT: usize = 32;

impl GgufWriter {
    /// An empty file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a metadata entry.
    pub fn metadata(&mut self, key: &str, value: Metadata) {
        self.metadata.push((key.to_owned(), value));
    }

    /// Adds a tensor: its shape (columns first), its type's number in ggml, and its bytes.
    pub fn tensor(&mut self, name: &str, dims: &[u64], kind: u32, bytes: Vec<u8>) {
        self.tensors.push((name.to_owned(), dims.to_vec(), kind, bytes));
    }

    /// The file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(3u32.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, value) in &self.metadata {
            write_text(&mut out, key);
            write_value(&mut out, value);
        }
        let mut offset = 0;
        for (name, dims, kind, bytes) in &self.tensors {
            write_text(&mut out, name);
            out.extend((dims.len() as u32).to_le_bytes());
            for dim in dims {
                out.extend(dim.to_le_bytes());
            }
            out.extend(kind.to_le_bytes());
            out.extend((offset as u64).to_le_bytes());
            offset += bytes.len().next_multiple_of(ALIGNMENT);
        }
        out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
        for (_, _, _, bytes) in &self.tensors {
            out.extend(bytes);
            out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
        }
        out
    }
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

/// The type's number, then the value; lists are the number 9, the element's number and the length.
fn write_value(out: &mut Vec<u8>, value: &Metadata) {
    let mut list = |kind: u32, length: usize| {
        out.extend(9u32.to_le_bytes());
        out.extend(kind.to_le_bytes());
        out.extend((length as u64).to_le_bytes());
    };
    match value {
        Metadata::Texts(texts) => list(8, texts.len()),
        Metadata::I32s(numbers) => list(5, numbers.len()),
        Metadata::F32s(numbers) => list(6, numbers.len()),
        Metadata::U32(_) => out.extend(4u32.to_le_bytes()),
        Metadata::F32(_) => out.extend(6u32.to_le_bytes()),
        Metadata::Bool(_) => out.extend(7u32.to_le_bytes()),
        Metadata::Text(_) => out.extend(8u32.to_le_bytes()),
    }
    match value {
        Metadata::U32(number) => out.extend(number.to_le_bytes()),
        Metadata::F32(number) => out.extend(number.to_le_bytes()),
        Metadata::Bool(truth) => out.push(u8::from(*truth)),
        Metadata::Text(text) => write_text(out, text),
        Metadata::Texts(texts) => texts.iter().for_each(|text| write_text(out, text)),
        Metadata::I32s(numbers) => numbers.iter().for_each(|number| out.extend(number.to_le_bytes())),
        Metadata::F32s(numbers) => numbers.iter().for_each(|number| out.extend(number.to_le_bytes())),
    }
}
