//! Pages of keys and values.

use half::f16;
use half::slice::HalfFloatSliceExt;

use crate::fault::Fault;
use crate::memory::AlignedBytes;

/// Positions in a page, and keys in one chunk of the canonical attention: a page is a chunk, so that neither the cache nor
/// the batch can move the chunk grid.
pub const PAGE_POSITIONS: usize = 256;

/// How keys and values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KvFormat {
    /// IEEE binary16, rounded to nearest even.
    F16,
    /// IEEE binary32.
    F32,
}

/// Keys and values of 256 positions of one layer.
///
/// Keys: `[kv_heads][16 groups][head_dim][16 positions]`, so that a dot product of 16 keys at once runs down a column.
/// Values: `[kv_heads][256 positions][head_dim]`.
#[derive(Debug, Clone)]
pub struct KvPage {
    format: KvFormat,
    kv_heads: usize,
    head_dim: usize,
    keys: AlignedBytes,
    values: AlignedBytes,
}

impl KvPage {
    /// An empty page: all zeros.
    pub fn new(kv_heads: usize, head_dim: usize, format: KvFormat) -> Self {
        let size = kv_heads * head_dim * PAGE_POSITIONS * format.size();
        Self { format, kv_heads, head_dim, keys: AlignedBytes::zeroed(size), values: AlignedBytes::zeroed(size) }
    }

    /// Stores the key and the value, both `[kv_heads][head_dim]`, of the position `slot` (position mod 256) of this page.
    ///
    /// # Errors
    /// [`Fault`] (`kv_write`) where a number is not finite or, in [`KvFormat::F16`], rounds to an infinity. The index counts
    /// through the key and then the value; the page is unchanged.
    ///
    /// # Panics
    /// Where `slot` is not in the page or a slice is not `kv_heads * head_dim` long.
    pub fn write(&mut self, slot: usize, key: &[f32], value: &[f32]) -> Result<(), Fault> {
        assert!(slot < PAGE_POSITIONS, "slot {slot} of a page of {PAGE_POSITIONS}");
        assert_eq!(key.len(), self.kv_heads * self.head_dim, "a key holds head_dim numbers for every head");
        assert_eq!(value.len(), key.len(), "a value is as long as a key");
        let (format, head_dim) = (self.format, self.head_dim);
        // All numbers are looked at before the first one that does not fit is searched: that is a loop over vectors.
        if !key.iter().chain(value).fold(true, |all, x| all & format.fits(*x)) {
            let index = key.iter().chain(value).position(|x| !format.fits(*x)).unwrap_or(0);
            return Err(Fault { operation: "kv_write", index });
        }
        for (head, (key, value)) in key.chunks_exact(head_dim).zip(value.chunks_exact(head_dim)).enumerate() {
            let first = self.key_index(head, slot);
            format.store(self.keys.as_mut_slice(), first, 16, key);
            let first = self.value_index(head, slot);
            format.store(self.values.as_mut_slice(), first, 1, value);
        }
        Ok(())
    }

    /// The key of `head` at `slot` as it is stored, `[head_dim]`.
    pub fn key(&self, head: usize, slot: usize) -> Vec<f32> {
        let first = self.key_index(head, slot);
        (0..self.head_dim).map(|d| self.format.load(self.keys(), first + 16 * d)).collect()
    }

    /// The value of `head` at `slot` as it is stored, `[head_dim]`.
    pub fn value(&self, head: usize, slot: usize) -> Vec<f32> {
        let first = self.value_index(head, slot);
        (0..self.head_dim).map(|d| self.format.load(self.values(), first + d)).collect()
    }

    /// Storage format.
    pub fn format(&self) -> KvFormat {
        self.format
    }

    /// Key and value heads.
    pub fn kv_heads(&self) -> usize {
        self.kv_heads
    }

    /// Numbers in one head.
    pub fn head_dim(&self) -> usize {
        self.head_dim
    }

    /// Bytes of memory that the page takes.
    pub fn size_bytes(&self) -> usize {
        self.keys.as_slice().len() + self.values.as_slice().len()
    }

    /// Element index of the first number of a key; the next ones follow 16 apart.
    pub(crate) fn key_index(&self, head: usize, slot: usize) -> usize {
        (head * PAGE_POSITIONS + slot / 16 * 16) * self.head_dim + slot % 16
    }

    /// Element index of the first number of a value; the next ones follow.
    pub(crate) fn value_index(&self, head: usize, slot: usize) -> usize {
        (head * PAGE_POSITIONS + slot) * self.head_dim
    }

    pub(crate) fn keys(&self) -> &[u8] {
        self.keys.as_slice()
    }

    pub(crate) fn values(&self) -> &[u8] {
        self.values.as_slice()
    }
}

impl KvFormat {
    /// Bytes of one number.
    pub const fn size(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
        }
    }

    /// A number as it is read back after having been stored.
    pub fn stored(self, x: f32) -> f32 {
        match self {
            Self::F16 => f16::from_f32(x).to_f32(),
            Self::F32 => x,
        }
    }

    /// Whether a number is finite once it is stored.
    fn fits(self, x: f32) -> bool {
        match self {
            // Halfway between the largest f16 and the next power of two, from where rounding leads to infinity.
            Self::F16 => x.abs() < 65_520.0,
            Self::F32 => x.is_finite(),
        }
    }

    /// Stores numbers from `index` on, `stride` apart.
    fn store(self, bytes: &mut [u8], index: usize, stride: usize, x: &[f32]) {
        let mut places = bytes[index * self.size()..].chunks_mut(stride * self.size());
        let mut halves = [f16::ZERO; 64];
        for x in x.chunks(halves.len()) {
            match self {
                Self::F16 => {
                    let halves = &mut halves[..x.len()];
                    halves.convert_from_f32_slice(x);
                    for (half, place) in halves.iter().zip(&mut places) {
                        place[..2].copy_from_slice(&half.to_le_bytes());
                    }
                }
                Self::F32 => {
                    for (x, place) in x.iter().zip(&mut places) {
                        place[..4].copy_from_slice(&x.to_le_bytes());
                    }
                }
            }
        }
    }

    /// Number `index`, exactly, as f32.
    pub(crate) fn load(self, bytes: &[u8], index: usize) -> f32 {
        match self {
            Self::F16 => crate::layout::f16_at(bytes, index),
            Self::F32 => crate::layout::f32_at(bytes, index),
        }
    }
}
