//! The few numbers of a GGUF header that memory is judged by. Reading models is the `model` crate's work; a measuring
//! tool that asked it would measure with the measured.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Longest key or text, in bytes.
const TEXT_BYTES_MAX: u64 = 1 << 24;

/// Sizes of the value types that are plain numbers, by their number in the file.
const fn size_of(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

const TEXT: u32 = 8;
const LIST: u32 = 9;

/// The 32-bit whole numbers of a file's metadata, and its architecture.
pub(super) struct Header {
    architecture: String,
    numbers: BTreeMap<String, u32>,
}

impl Header {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let mut reader = BufReader::new(file);
        let mut start = [0; 8];
        reader.read_exact(&mut start)?;
        if &start[..4] != b"GGUF" {
            bail!("{} is no GGUF file", path.display());
        }
        let _tensors = read_u64(&mut reader)?;
        let entries = read_u64(&mut reader)?;
        let mut header = Self { architecture: String::new(), numbers: BTreeMap::new() };
        for _ in 0..entries {
            let key = read_text(&mut reader)?;
            let kind = read_u32(&mut reader)?;
            match kind {
                4 | 5 => drop(header.numbers.insert(key, read_u32(&mut reader)?)),
                TEXT if key == "general.architecture" => header.architecture = read_text(&mut reader)?,
                _ => skip(&mut reader, kind)?,
            }
        }
        Ok(header)
    }

    /// Bytes of the KV cache for one position, with 16-bit elements.
    pub(super) fn kv_bytes_per_position(&self) -> Result<u64> {
        let layers = self.number("block_count")?;
        let heads = self.number("attention.head_count")?;
        let kv_heads = self.number("attention.head_count_kv").unwrap_or(heads);
        let head_size = match self.number("attention.key_length") {
            Ok(size) => size,
            Err(_) => self.number("embedding_length")? / heads,
        };
        Ok(layers * kv_heads * head_size * 2 * 2)
    }

    fn number(&self, name: &str) -> Result<u64> {
        let key = format!("{}.{name}", self.architecture);
        self.numbers.get(&key).copied().map(u64::from).with_context(|| format!("the file does not say {key}"))
    }
}

fn skip(reader: &mut impl Read, kind: u32) -> Result<()> {
    match kind {
        TEXT => drop(read_text(reader)?),
        LIST => {
            let element = read_u32(reader)?;
            let count = read_u64(reader)?;
            match size_of(element) {
                Some(size) => skip_bytes(reader, count.checked_mul(size).context("a list of absurd length")?)?,
                None => (0..count).try_for_each(|_| skip(reader, element))?,
            }
        }
        _ => skip_bytes(reader, size_of(kind).with_context(|| format!("value type {kind} is unknown"))?)?,
    }
    Ok(())
}

fn skip_bytes(reader: &mut impl Read, count: u64) -> Result<()> {
    let skipped = std::io::copy(&mut reader.take(count), &mut std::io::sink())?;
    if skipped != count {
        bail!("the file ends inside its metadata");
    }
    Ok(())
}

fn read_text(reader: &mut impl Read) -> Result<String> {
    let length = read_u64(reader)?;
    if length > TEXT_BYTES_MAX {
        bail!("a text of {length} bytes, the limit is {TEXT_BYTES_MAX}");
    }
    let mut text = String::new();
    if reader.take(length).read_to_string(&mut text)? as u64 != length {
        bail!("the file ends inside its metadata");
    }
    Ok(text)
}

fn read_u32(reader: &mut impl Read) -> Result<u32> {
    let mut bytes = [0; 4];
    reader.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn read_u64(reader: &mut impl Read) -> Result<u64> {
    let mut bytes = [0; 8];
    reader.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}
