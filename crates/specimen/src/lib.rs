//! Little random models, real in every part, for tests and benchmarks.
//!
//! A specimen is a whole GGUF file: weights of any type that the engine computes, a byte-level tokenizer, and a ChatML
//! template. It says nothing sensible, in exactly the way a large model would.

use arith::WeightType;
use half::f16;
use model::gguf::{GgufWriter, Metadata};

/// What a specimen looks like.
#[derive(Debug, Clone, Copy)]
pub struct Specimen {
    /// `llama`, `qwen2`, `qwen3` or `gemma3`.
    pub architecture: &'static str,
    /// Type of all matrices.
    pub weights: WeightType,
    /// Decoder layers.
    pub layers: u32,
    /// Width of the residual stream: a multiple of 256 serves every weight type.
    pub width: u32,
    /// Query heads; half as many key heads.
    pub heads: u32,
    /// Positions.
    pub context_length: u32,
    /// Decides all weights.
    pub seed: u64,
}

impl Specimen {
    /// A llama of two layers, 256 wide, with this weight type.
    pub const fn llama(weights: WeightType) -> Self {
        Self { architecture: "llama", weights, layers: 2, width: 256, heads: 4, context_length: 1024, seed: 1 }
    }

    /// The file.
    pub fn to_gguf(&self) -> Vec<u8> {
        let mut file = GgufWriter::new();
        self.write_metadata(&mut file);
        write_tokenizer(&mut file);
        self.write_tensors(&mut file);
        file.to_bytes()
    }

    fn feed_forward(&self) -> u32 {
        self.width * 2
    }

    fn write_metadata(&self, file: &mut GgufWriter) {
        let mut number =
            |key: &str, value: u32| file.metadata(&format!("{}.{key}", self.architecture), Metadata::U32(value));
        number("block_count", self.layers);
        number("embedding_length", self.width);
        number("feed_forward_length", self.feed_forward());
        number("attention.head_count", self.heads);
        number("attention.head_count_kv", self.heads / 2);
        number("context_length", self.context_length);
        if self.architecture == "gemma3" {
            number("attention.sliding_window", 64);
        }
        file.metadata("general.architecture", Metadata::Text(self.architecture.to_owned()));
        let mut real =
            |key: &str, value: f32| file.metadata(&format!("{}.{key}", self.architecture), Metadata::F32(value));
        real("attention.layer_norm_rms_epsilon", 1e-5);
        real("rope.freq_base", 10_000.0);
    }

    fn write_tensors(&self, file: &mut GgufWriter) {
        let mut random = Random(self.seed);
        let (width, inner) = (self.width as usize, self.feed_forward() as usize);
        let keys = width / 2;
        let head_dim = width / self.heads as usize;
        self.matrix(file, &mut random, "token_embd.weight", VOCABULARY, width);
        vector(file, &mut random, "output_norm.weight", width, 1.0);
        for layer in 0..self.layers {
            let name = |part: &str| format!("blk.{layer}.{part}");
            for (part, rows, columns) in [
                ("attn_q.weight", width, width),
                ("attn_k.weight", keys, width),
                ("attn_v.weight", keys, width),
                ("attn_output.weight", width, width),
                ("ffn_gate.weight", inner, width),
                ("ffn_up.weight", inner, width),
                ("ffn_down.weight", width, inner),
            ] {
                self.matrix(file, &mut random, &name(part), rows, columns);
            }
            for part in ["attn_norm.weight", "ffn_norm.weight"] {
                vector(file, &mut random, &name(part), width, 1.0);
            }
            if self.architecture == "qwen2" {
                for (part, rows) in [("attn_q.bias", width), ("attn_k.bias", keys), ("attn_v.bias", keys)] {
                    vector(file, &mut random, &name(part), rows, 0.0);
                }
            }
            if matches!(self.architecture, "qwen3" | "gemma3") {
                for part in ["attn_q_norm.weight", "attn_k_norm.weight"] {
                    vector(file, &mut random, &name(part), head_dim, 1.0);
                }
            }
            if self.architecture == "gemma3" {
                for part in ["post_attention_norm.weight", "post_ffw_norm.weight"] {
                    vector(file, &mut random, &name(part), width, 1.0);
                }
            }
        }
    }

    fn matrix(&self, file: &mut GgufWriter, random: &mut Random, name: &str, rows: usize, columns: usize) {
        let blocks = rows * columns / self.weights.block_len();
        let deviation = 1.0 / (columns as f32).sqrt();
        let bytes = (0..blocks).flat_map(|_| block(self.weights, random, deviation)).collect();
        file.tensor(name, &[columns as u64, rows as u64], self.weights.to_ggml(), bytes);
    }
}

/// Byte tokens, then end of text, start of message, end of message, padded so that every type has whole rows.
const VOCABULARY: usize = 288;
const TEMPLATE: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/// One token per byte, spelled as GPT-2 spells bytes, and three control tokens.
fn write_tokenizer(file: &mut GgufWriter) {
    let mut tokens: Vec<String> = Vec::with_capacity(VOCABULARY);
    let mut stand_in = 256;
    for byte in 0..=255u32 {
        let printable = matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
        let spelled = if printable { byte } else { stand_in };
        stand_in += u32::from(!printable);
        tokens.push(char::from_u32(spelled).map(String::from).unwrap_or_default());
    }
    tokens.extend(["<|endoftext|>", "<|im_start|>", "<|im_end|>"].map(str::to_owned));
    tokens.extend((tokens.len()..VOCABULARY).map(|index| format!("<|unused_{index}|>")));
    let kinds = (0..VOCABULARY as i32).map(|index| if index < 256 { 1 } else { 3 }).collect();
    file.metadata("tokenizer.ggml.model", Metadata::Text("gpt2".to_owned()));
    file.metadata("tokenizer.ggml.pre", Metadata::Text("gpt-2".to_owned()));
    file.metadata("tokenizer.ggml.tokens", Metadata::Texts(tokens));
    file.metadata("tokenizer.ggml.token_type", Metadata::I32s(kinds));
    file.metadata("tokenizer.ggml.merges", Metadata::Texts(Vec::new()));
    file.metadata("tokenizer.ggml.bos_token_id", Metadata::U32(256));
    file.metadata("tokenizer.ggml.eos_token_id", Metadata::U32(258));
    file.metadata("tokenizer.ggml.add_bos_token", Metadata::Bool(false));
    file.metadata("tokenizer.chat_template", Metadata::Text(TEMPLATE.to_owned()));
}

/// `length` floats around `middle`.
fn vector(file: &mut GgufWriter, random: &mut Random, name: &str, length: usize, middle: f32) {
    let bytes = (0..length).flat_map(|_| (middle + 0.1 * random.centred()).to_le_bytes()).collect();
    file.tensor(name, &[length as u64], WeightType::F32.to_ggml(), bytes);
}

/// A block of random weights with about this standard deviation: random quants under scales that fit the type.
fn block(kind: WeightType, random: &mut Random, deviation: f32) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..kind.block_bytes()).map(|_| random.next() as u8).collect();
    // The deviation of uniform quants of the type, sub-scales included, and the offset that centres them.
    let (scale_at, quant_deviation, minimum) = match kind {
        WeightType::F32 => return (deviation * random.centred()).to_le_bytes().to_vec(),
        WeightType::F16 => return f16::from_f32(deviation * random.centred()).to_le_bytes().to_vec(),
        WeightType::BF16 => return half::bf16::from_f32(deviation * random.centred()).to_le_bytes().to_vec(),
        WeightType::Q8_0 => (0, 74.0, None),
        WeightType::Q4_0 => (0, 4.6, None),
        WeightType::Q5_0 => (0, 9.2, None),
        WeightType::Q4_1 => (0, 4.6, Some(-7.5)),
        WeightType::Q5_1 => (0, 9.2, Some(-15.5)),
        WeightType::Q4_K => (0, 4.6 * 36.0, Some(7.5)),
        WeightType::Q5_K => (0, 9.2 * 36.0, Some(15.5)),
        WeightType::Q6_K => (208, 18.0 * 74.0, None),
    };
    let scale = deviation / quant_deviation;
    bytes[scale_at..scale_at + 2].copy_from_slice(&f16::from_f32(scale).to_le_bytes());
    if let Some(minimum) = minimum {
        bytes[2..4].copy_from_slice(&f16::from_f32(scale * minimum).to_le_bytes());
    }
    bytes
}

/// The splitmix64 sequence.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform with deviation 1 around 0.
    fn centred(&mut self) -> f32 {
        ((self.next() >> 40) as f32 / (1u64 << 24) as f32 - 0.5) * 3.46
    }
}
