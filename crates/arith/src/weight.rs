//! The weight formats of CA-1 and the form their activations take.

/// A storage format of weights, as GGUF files carry it.
#[expect(non_camel_case_types, reason = "these are the formats' own names, and GGUF files spell them so")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WeightType {
    /// IEEE binary32.
    F32,
    /// IEEE binary16.
    F16,
    /// The upper half of binary32.
    BF16,
    /// 32 signed bytes and a scale.
    Q8_0,
    /// 32 nibbles less 8, and a scale.
    Q4_0,
    /// 32 nibbles, a scale and a minimum.
    Q4_1,
    /// 32 five-bit values less 16, and a scale.
    Q5_0,
    /// 32 five-bit values, a scale and a minimum.
    Q5_1,
    /// 8 sub-blocks of 32 nibbles, six-bit sub-scales and sub-minimums, a scale of each.
    Q4_K,
    /// 8 sub-blocks of 32 five-bit values, six-bit sub-scales and sub-minimums, a scale of each.
    Q5_K,
    /// 16 sub-blocks of 16 six-bit values less 32, signed byte sub-scales, a scale.
    Q6_K,
}

/// The form in which activations meet a weight type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ActivationKind {
    /// As they are.
    F32,
    /// Signed bytes with one scale per 32.
    Block32,
    /// Signed bytes with one scale per 256.
    Block256,
}

impl ActivationKind {
    /// Elements that share one scale; 1 for [`ActivationKind::F32`].
    pub const fn block_len(self) -> usize {
        match self {
            Self::F32 => 1,
            Self::Block32 => 32,
            Self::Block256 => 256,
        }
    }
}

impl WeightType {
    /// Every weight type, in declaration order.
    pub const ALL: [Self; 11] = [
        Self::F32,
        Self::F16,
        Self::BF16,
        Self::Q8_0,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q4_K,
        Self::Q5_K,
        Self::Q6_K,
    ];

    /// The format's own name, for example `Q4_K`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::Q8_0 => "Q8_0",
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::Q5_0 => "Q5_0",
            Self::Q5_1 => "Q5_1",
            Self::Q4_K => "Q4_K",
            Self::Q5_K => "Q5_K",
            Self::Q6_K => "Q6_K",
        }
    }

    /// The format's number in a GGUF tensor table.
    pub const fn to_ggml(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q4_1 => 3,
            Self::Q5_0 => 6,
            Self::Q5_1 => 7,
            Self::Q8_0 => 8,
            Self::Q4_K => 12,
            Self::Q5_K => 13,
            Self::Q6_K => 14,
            Self::BF16 => 30,
        }
    }

    /// The format with this number in a GGUF tensor table, or `None` where CA-1 has no rule for it.
    pub const fn from_ggml(kind: u32) -> Option<Self> {
        Some(match kind {
            0 => Self::F32,
            1 => Self::F16,
            2 => Self::Q4_0,
            3 => Self::Q4_1,
            6 => Self::Q5_0,
            7 => Self::Q5_1,
            8 => Self::Q8_0,
            12 => Self::Q4_K,
            13 => Self::Q5_K,
            14 => Self::Q6_K,
            30 => Self::BF16,
            _ => return None,
        })
    }

    /// Elements in one storage block; 1 for the float formats.
    pub const fn block_len(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => 1,
            Self::Q8_0 | Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 => 32,
            Self::Q4_K | Self::Q5_K | Self::Q6_K => 256,
        }
    }

    /// Bytes of one storage block in a GGUF file.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Q8_0 => 34,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q4_K => 144,
            Self::Q5_K => 176,
            Self::Q6_K => 210,
        }
    }

    /// The form in which activations must be given to a product with this format.
    pub const fn activation(self) -> ActivationKind {
        match self.block_len() {
            1 => ActivationKind::F32,
            32 => ActivationKind::Block32,
            _ => ActivationKind::Block256,
        }
    }
}

impl std::fmt::Display for WeightType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
