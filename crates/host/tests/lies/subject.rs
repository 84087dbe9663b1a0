//! The models that the tests speak about, and what a dishonest host may do to a model file.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use arith::{Isa, Machine, Pool, WeightType};
use half::f16;
use model::Model;
use model::gguf::{Gguf, GgufWriter, Metadata, Value};
use specimen::Specimen;

/// A model with the file it came from.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) file: Vec<u8>,
    pub(crate) model: Arc<Model>,
}

/// One thread: the tests themselves run side by side.
pub(crate) fn machine() -> Machine {
    machine_of(Isa::detect(), 1)
}

pub(crate) fn machine_of(isa: Isa, threads: usize) -> Machine {
    Machine::new(isa, Pool::new(NonZeroUsize::new(threads).unwrap()))
}

pub(crate) fn load(file: &[u8]) -> Model {
    Model::load(file, &machine(), &|_| ()).unwrap()
}

/// The program's default chat model, SmolLM2-135M-Instruct; where it is not here, the next smaller one.
pub(crate) fn subject() -> &'static Subject {
    static SUBJECT: OnceLock<Subject> = OnceLock::new();
    SUBJECT.get_or_init(|| {
        let path =
            std::env::home_dir().unwrap_or_default().join(".cache/candor/models/smollm2-135m-instruct-q4_1.gguf");
        open("smollm2", &path).unwrap_or_else(open_small)
    })
}

/// A chat model of 26 million weights, in `Q8_0`; where it is not here, a specimen of the same type.
pub(crate) fn small() -> &'static Subject {
    static SMALL: OnceLock<Subject> = OnceLock::new();
    SMALL.get_or_init(open_small)
}

fn open_small() -> Subject {
    open("minimind2", &shared_model("minimind2-small.Q8_0.gguf")).unwrap_or_else(|| {
        let file = Specimen { layers: 4, ..Specimen::llama(WeightType::Q8_0) }.to_gguf();
        Subject { model: Arc::new(load(&file)), file }
    })
}

/// A model for plain completions, with weights in `F32`; where it is not here, a specimen of the same type.
pub(crate) fn stories() -> &'static Subject {
    static STORIES: OnceLock<Subject> = OnceLock::new();
    STORIES.get_or_init(|| {
        open("stories", &shared_model("stories260K.F32.gguf")).unwrap_or_else(|| {
            let file = Specimen::llama(WeightType::F32).to_gguf();
            Subject { model: Arc::new(load(&file)), file }
        })
    })
}

pub(crate) fn shared_model(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/models").join(name)
}

#[expect(clippy::print_stdout, reason = "a test that takes another model says so")]
fn open(name: &str, path: &Path) -> Option<Subject> {
    let Ok(file) = std::fs::read(path) else {
        println!("skipped: no model {name} on this machine; a smaller one takes its place");
        return None;
    };
    Some(Subject { model: Arc::new(load(&file)), file })
}

/// The file with other bytes in one tensor.
pub(crate) fn with_tensor(file: &[u8], name: &str, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let range = Gguf::parse(file).unwrap().tensor(name).unwrap().range.clone();
    let mut file = file.to_vec();
    change(&mut file[range]);
    file
}

/// The file's first half of layers: a model of the same family that costs half as much.
pub(crate) fn with_half_of_the_layers(file: &[u8]) -> Vec<u8> {
    let key = b"llama.block_count";
    let at = file.windows(key.len()).position(|window| window == key).unwrap() + key.len() + 4;
    let layers = u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    let mut file = file.to_vec();
    file[at..at + 4].copy_from_slice(&(layers / 2).to_le_bytes());
    file
}

/// The file with every `Q8_0` tensor squeezed into `Q4_0`.
pub(crate) fn squeezed(file: &[u8]) -> Vec<u8> {
    let gguf = Gguf::parse(file).unwrap();
    let mut out = GgufWriter::new();
    for (key, value) in gguf.entries() {
        if let Some(value) = written(*value) {
            out.metadata(key, value);
        }
    }
    for tensor in gguf.tensors() {
        let bytes = gguf.tensor_bytes(tensor);
        let (kind, bytes) = if tensor.kind == WeightType::Q8_0.to_ggml() {
            (WeightType::Q4_0.to_ggml(), bytes.chunks_exact(34).flat_map(squeezed_block).collect())
        } else {
            (tensor.kind, bytes.to_vec())
        };
        out.tensor(&tensor.name, &tensor.dims, kind, bytes);
    }
    out.to_bytes()
}

/// A block of 32: an f16 scale and signed bytes in, an f16 scale and nibbles with an offset of 8 out.
fn squeezed_block(block: &[u8]) -> Vec<u8> {
    let quants: Vec<i8> = block[2..].iter().map(|&quant| quant as i8).collect();
    let scale = f16::from_le_bytes([block[0], block[1]]).to_f32();
    let extreme = quants.iter().copied().max_by_key(|quant| quant.unsigned_abs()).unwrap();
    let step = f32::from(extreme) / -8.0;
    let mut out = f16::from_f32(scale * step).to_le_bytes().to_vec();
    let nibble = |quant: i8| if step == 0.0 { 8 } else { (f32::from(quant) / step + 8.5).clamp(0.0, 15.0) as u8 };
    out.extend((0..16).map(|index| nibble(quants[index]) | nibble(quants[index + 16]) << 4));
    out
}

/// Metadata as it is written; kinds that models do not need are left out.
fn written(value: Value<'_>) -> Option<Metadata> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(match value {
        Value::U32(number) => Metadata::U32(number),
        Value::F32(number) => Metadata::F32(number),
        Value::Bool(truth) => Metadata::Bool(truth),
        Value::String(string) => Metadata::Text(string.to_owned()),
        Value::Array(array) => {
            if let Some(strings) = array.strings() {
                Metadata::Texts(strings.map(text).collect())
            } else if let Some(numbers) = array.f32s() {
                Metadata::F32s(numbers.collect())
            } else {
                Metadata::I32s(array.i32s()?.collect())
            }
        }
        _ => return None,
    })
}
