//! The shape of a model, read from the metadata of its file.
//!
//! An architecture is data here: what sets qwen3 or gemma3 apart from llama is a handful of fields of [`Config`] and the
//! presence of tensors, and there is one forward pass for all of them.

use crate::gguf::{Gguf, Value};
use arith::{AttentionShape, RopeStyle};

/// How many keys a local attention layer sees, and which layers are local.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlidingWindow {
    /// Keys that a local layer attends to, the query's own included.
    pub keys: u32,
    /// Every `period`-th layer (counted from 1) is global, the others are local.
    pub period: u32,
}

/// The gate of the feed-forward network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// `silu(gate) * up`
    Silu,
    /// `gelu(gate) * up`, tanh form
    Gelu,
}

/// Hyper-parameters: everything but the weights that decides the numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Name of the architecture as the file spells it.
    pub architecture: String,
    /// Number of decoder layers.
    pub layers: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Inner width of the feed-forward network.
    pub feed_forward: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// Positions that the model was trained for.
    pub context_length: usize,
    /// Entries of the vocabulary.
    pub vocabulary: usize,
    /// Added to the mean square before the root.
    pub norm_epsilon: f32,
    /// Base of the rotary frequencies on global layers.
    pub rotary_base: f64,
    /// Positions are divided by this on global layers (linear scaling).
    pub rotary_factor: f64,
    /// Base of the rotary frequencies on local layers.
    pub rotary_base_local: f64,
    /// Which two elements of a head turn together.
    pub rotary_style: RopeStyle,
    /// Multiplies the embedding rows.
    pub embedding_scale: Option<f32>,
    /// Local layers, if there are any.
    pub sliding_window: Option<SlidingWindow>,
    /// The gate of the feed-forward network.
    pub gate: Gate,
}

/// Why a file's metadata describes no model that this engine runs.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The architecture is not one of the supported ones.
    #[error("architecture `{found}` is not supported; supported are llama, qwen2, qwen3 and gemma3")]
    Architecture {
        /// The name found.
        found: String,
    },
    /// A key is missing or of another type.
    #[error("metadata key `{key}` is missing or not a number")]
    Key {
        /// The full key.
        key: String,
    },
    /// A number is outside what the engine accepts.
    #[error("`{key}` is {found}, accepted is {accepted}")]
    Range {
        /// The full key.
        key: String,
        /// The number found.
        found: f64,
        /// What would be accepted.
        accepted: &'static str,
    },
    /// A feature that would change the numbers and that this engine lacks.
    #[error("the file asks for `{feature}`, which this engine does not compute")]
    Feature {
        /// The feature.
        feature: String,
    },
}

/// What an architecture's name alone implies.
struct Family {
    rotary_style: RopeStyle,
    gate: Gate,
    scales_embedding: bool,
    window_period: Option<u32>,
}

impl Family {
    fn named(name: &str) -> Option<Self> {
        let llama = Self {
            rotary_style: RopeStyle::Interleaved,
            gate: Gate::Silu,
            scales_embedding: false,
            window_period: None,
        };
        match name {
            "llama" => Some(llama),
            "qwen2" | "qwen3" => Some(Self { rotary_style: RopeStyle::Halves, ..llama }),
            "gemma3" => Some(Self {
                rotary_style: RopeStyle::Halves,
                gate: Gate::Gelu,
                scales_embedding: true,
                window_period: Some(6),
            }),
            _ => None,
        }
    }
}

/// Reads numbers below one architecture's prefix.
struct Keys<'a> {
    gguf: &'a Gguf<'a>,
    architecture: &'a str,
}

impl Keys<'_> {
    fn full(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture)
    }

    fn number(&self, key: &str) -> Option<f64> {
        self.gguf.metadata(&self.full(key)).and_then(|value| number(*value))
    }

    fn count(
        &self,
        key: &str,
        accepted: std::ops::RangeInclusive<u64>,
        text: &'static str,
    ) -> Result<usize, ConfigError> {
        let full = self.full(key);
        let count =
            self.gguf.metadata(&full).and_then(Value::as_u64).ok_or_else(|| ConfigError::Key { key: full.clone() })?;
        if !accepted.contains(&count) {
            return Err(ConfigError::Range { key: full, found: count as f64, accepted: text });
        }
        Ok(count as usize)
    }

    fn positive(&self, key: &str, default: Option<f64>) -> Result<f64, ConfigError> {
        let full = self.full(key);
        let value = self.number(key).or(default).ok_or_else(|| ConfigError::Key { key: full.clone() })?;
        if value.is_finite() && value > 0.0 {
            Ok(value)
        } else {
            Err(ConfigError::Range { key: full, found: value, accepted: "a positive finite number" })
        }
    }
}

impl Config {
    /// Reads the hyper-parameters of `gguf`; `vocabulary` is the number of rows of its embedding.
    ///
    /// # Errors
    ///
    /// The architecture is unknown, a key is missing or out of range, or the file asks for something that would change
    /// the numbers and is not computed here (experts, other rotary scalings, soft caps).
    pub fn from_gguf(gguf: &Gguf<'_>, vocabulary: usize) -> Result<Self, ConfigError> {
        let architecture = gguf
            .metadata("general.architecture")
            .and_then(Value::as_str)
            .ok_or_else(|| ConfigError::Key { key: "general.architecture".to_owned() })?;
        let family = Family::named(architecture)
            .ok_or_else(|| ConfigError::Architecture { found: architecture.chars().take(64).collect() })?;
        let keys = Keys { gguf, architecture };
        refuse_unknown_features(&keys)?;

        let width = keys.count("embedding_length", 1..=65_536, "1 to 65536")?;
        let heads = keys.count("attention.head_count", 1..=1_024, "1 to 1024")?;
        let kv_heads = match keys.number("attention.head_count_kv") {
            None => heads,
            Some(_) => keys.count("attention.head_count_kv", 1..=heads as u64, "1 to the number of heads")?,
        };
        if heads % kv_heads != 0 {
            let key = keys.full("attention.head_count_kv");
            return Err(ConfigError::Range {
                key,
                found: kv_heads as f64,
                accepted: "a divisor of the number of heads",
            });
        }
        let head_dim = match keys.number("attention.key_length") {
            None => width / heads,
            Some(_) => keys.count("attention.key_length", 1..=1_024, "1 to 1024")?,
        };
        refuse_partial_rotation(&keys, head_dim)?;
        let rotary_base = keys.positive("rope.freq_base", Some(10_000.0))?;
        Ok(Self {
            layers: keys.count("block_count", 1..=512, "1 to 512")?,
            width,
            feed_forward: keys.count("feed_forward_length", 1..=1_048_576, "1 to 1048576")?,
            heads,
            kv_heads,
            head_dim,
            context_length: keys.count("context_length", 1..=16_777_216, "1 to 16777216")?,
            vocabulary,
            norm_epsilon: keys.positive("attention.layer_norm_rms_epsilon", None)? as f32,
            rotary_base,
            rotary_factor: rotary_factor(&keys)?,
            rotary_base_local: match family.window_period {
                Some(_) => keys.positive("rope.freq_base_swa", Some(10_000.0))?,
                None => rotary_base,
            },
            rotary_style: family.rotary_style,
            embedding_scale: family.scales_embedding.then(|| (width as f32).sqrt()),
            sliding_window: match family.window_period {
                Some(period) => Some(SlidingWindow {
                    keys: keys.count("attention.sliding_window", 1..=1_048_576, "1 to 1048576")? as u32,
                    period,
                }),
                None => None,
            },
            gate: family.gate,
            architecture: architecture.to_owned(),
        })
    }

    /// Whether `layer` (from 0) attends only to the sliding window.
    pub fn is_local(&self, layer: usize) -> bool {
        self.sliding_window.is_some_and(|window| !(layer as u32 + 1).is_multiple_of(window.period))
    }

    /// The attention of `layer`: scores are scaled by `1 / sqrt(head_dim)`.
    pub fn attention(&self, layer: usize) -> AttentionShape {
        AttentionShape {
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_dim: self.head_dim,
            scale: 1.0 / (self.head_dim as f32).sqrt(),
            window: self.sliding_window.filter(|_| self.is_local(layer)).map(|window| window.keys),
        }
    }

    /// The numbers that decide results, in one fixed order, for the model root.
    pub fn canonical_numbers(&self) -> Vec<u64> {
        let (window_keys, window_period) = self.sliding_window.map_or((0, 0), |w| (w.keys, w.period));
        vec![
            self.layers as u64,
            self.width as u64,
            self.feed_forward as u64,
            self.heads as u64,
            self.kv_heads as u64,
            self.head_dim as u64,
            self.context_length as u64,
            self.vocabulary as u64,
            u64::from(self.norm_epsilon.to_bits()),
            self.rotary_base.to_bits(),
            self.rotary_factor.to_bits(),
            self.rotary_base_local.to_bits(),
            u64::from(self.rotary_style == RopeStyle::Halves),
            u64::from(self.embedding_scale.unwrap_or(1.0).to_bits()),
            u64::from(window_keys),
            u64::from(window_period),
            u64::from(self.gate == Gate::Gelu),
        ]
    }
}

/// Any number as `f64`; integers above 2^53 do not occur in what is asked.
fn number(value: Value<'_>) -> Option<f64> {
    value.as_f32().map(f64::from).or_else(|| value.as_u64().map(|integer| integer as f64))
}

fn refuse_unknown_features(keys: &Keys<'_>) -> Result<(), ConfigError> {
    for key in ["expert_count", "attn_logit_softcapping", "final_logit_softcapping", "attention.max_alibi_bias"] {
        if keys.number(key).is_some_and(|value| value != 0.0) {
            return Err(ConfigError::Feature { feature: keys.full(key) });
        }
    }
    Ok(())
}

fn refuse_partial_rotation(keys: &Keys<'_>, head_dim: usize) -> Result<(), ConfigError> {
    if head_dim == 0 || !head_dim.is_multiple_of(2) {
        let key = keys.full("attention.key_length");
        return Err(ConfigError::Range { key, found: head_dim as f64, accepted: "an even number of at least 2" });
    }
    for (key, name) in [
        ("rope.dimension_count", "rotation of a part of the head"),
        ("attention.value_length", "values of another width than keys"),
    ] {
        if keys.number(key).is_some_and(|value| value != head_dim as f64) {
            return Err(ConfigError::Feature { feature: name.to_owned() });
        }
    }
    Ok(())
}

fn rotary_factor(keys: &Keys<'_>) -> Result<f64, ConfigError> {
    let kind = keys.gguf.metadata(&keys.full("rope.scaling.type")).and_then(Value::as_str).unwrap_or("none");
    match kind {
        "none" => Ok(1.0),
        "linear" => keys.positive("rope.scaling.factor", None),
        other => Err(ConfigError::Feature {
            feature: format!("rotary scaling `{}`", other.chars().take(64).collect::<String>()),
        }),
    }
}
