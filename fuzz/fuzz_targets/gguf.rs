//! Model files: arbitrary bytes, and a real file with bytes changed and its end cut off. Whatever loads must also run, or
//! say which operation cannot.

#![no_main]

use std::num::NonZeroUsize;
use std::sync::LazyLock;

use arbitrary::Arbitrary;
use arith::{Isa, Machine, Pool, WeightType};
use claim::{KvType, TokenId};
use libfuzzer_sys::fuzz_target;
use model::gguf::Gguf;
use model::{Logits, Model, Span, Workspace};
use specimen::Specimen;

/// Files above this are not loaded: a small file may not ask for much, which is checked before that.
const LOAD_BYTES_MAX: usize = 1 << 20;

static FILES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let small = |architecture, weights| {
        Specimen { architecture, weights, layers: 1, width: 64, heads: 2, context_length: 64, seed: 1 }.to_gguf()
    };
    let k_quant = Specimen { layers: 1, heads: 4, context_length: 64, ..Specimen::llama(WeightType::Q4_K) };
    vec![
        small("llama", WeightType::Q4_1),
        small("qwen2", WeightType::F16),
        small("qwen3", WeightType::Q8_0),
        small("gemma3", WeightType::F32),
        k_quant.to_gguf(),
    ]
});

static MACHINE: LazyLock<Machine> = LazyLock::new(|| Machine::new(Isa::detect(), Pool::new(NonZeroUsize::MIN)));

#[derive(Debug, Arbitrary)]
enum Input {
    Raw(Vec<u8>),
    Changed { file: u8, changes: Vec<(u16, u8)>, in_tensors: Vec<(u32, u8)>, cut: Option<u32> },
}

fn file(input: Input) -> Vec<u8> {
    match input {
        Input::Raw(bytes) => bytes,
        Input::Changed { file, changes, in_tensors, cut } => {
            let mut bytes = FILES[usize::from(file) % FILES.len()].clone();
            let length = bytes.len();
            for (offset, value) in changes {
                bytes[usize::from(offset) % length] = value;
            }
            for (offset, value) in in_tensors {
                bytes[offset as usize % length] = value;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut as usize % length);
            }
            bytes
        }
    }
}

fuzz_target!(|input: Input| {
    let bytes = file(input);
    let Ok(gguf) = Gguf::parse(&bytes) else { return };
    for tensor in gguf.tensors() {
        assert!(gguf.tensor_bytes(tensor).len() <= bytes.len());
    }
    if bytes.len() > LOAD_BYTES_MAX {
        return;
    }
    let Ok(model) = Model::load(&bytes, &MACHINE, &|range| assert!(range.end <= bytes.len())) else { return };
    let tokens = [TokenId::new(1), TokenId::new(2)];
    let mut cache = model.new_cache(KvType::F16);
    let mut spans = [Span { cache: &mut cache, tokens: &tokens, logits: Logits::From(1) }];
    if let Ok(logits) = model.forward(&MACHINE, &mut Workspace::default(), &mut spans) {
        assert_eq!(logits.len(), model.config().vocabulary);
    }
});
