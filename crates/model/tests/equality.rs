//! One model, one prompt, one hash: whatever the instruction set, the threads, the split into steps, the company in the
//! batch and the state of the cache.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a test may fail by panicking, and says what it skips")]

use std::num::NonZeroUsize;
use std::path::PathBuf;

use arith::{Isa, Machine, Pool, WeightType};
use claim::{KvType, StateChain, StateHash, TokenId, state_hash};
use model::{KvCache, Logits, Model, Span, Workspace};
use specimen::Specimen;

fn machine(isa: Isa, threads: usize) -> Machine {
    Machine::new(isa, Pool::new(NonZeroUsize::new(threads).unwrap()))
}

fn load(file: &[u8]) -> Model {
    Model::load(file, &machine(Isa::detect(), 2), &|_| ()).unwrap()
}

fn prompt(model: &Model, length: usize, seed: u32) -> Vec<TokenId> {
    let vocabulary = model.tokenizer().vocab_size() as u32;
    (0..length as u32).map(|i| TokenId::new((seed + i).wrapping_mul(2_654_435_761) % vocabulary)).collect()
}

/// Everything that a run says: the state hash at each position and the bits of the last position's logits.
#[derive(Debug, PartialEq, Eq, Clone)]
struct Trace {
    states: Vec<StateHash>,
    logits: Vec<u32>,
}

impl Trace {
    /// One hash of all of it, to compare runs on machines that never meet.
    fn hash(&self) -> String {
        let logits: Vec<f32> = self.logits.iter().map(|&bits| f32::from_bits(bits)).collect();
        let all: StateChain = self.states.iter().copied().chain([state_hash(&logits)]).collect();
        all.root().to_string()
    }
}

/// Feeds `tokens` in steps of the given sizes, the last size repeated.
fn run(model: &Model, machine: &Machine, tokens: &[TokenId], steps: &[usize], kv: KvType) -> Trace {
    continue_run(model, machine, model.new_cache(kv), tokens, steps).0
}

fn continue_run(
    model: &Model,
    machine: &Machine,
    mut cache: KvCache,
    tokens: &[TokenId],
    steps: &[usize],
) -> (Trace, KvCache) {
    let mut work = Workspace::default();
    let mut logits = Vec::new();
    let mut sizes = steps.iter().copied().chain(std::iter::repeat(*steps.last().unwrap()));
    while cache.len() < tokens.len() {
        let start = cache.len();
        let end = (start + sizes.next().unwrap()).min(tokens.len());
        let mut span = [Span { cache: &mut cache, tokens: &tokens[start..end], logits: Logits::From(end - start - 1) }];
        logits = model.forward(machine, &mut work, &mut span).unwrap().iter().map(|x| x.to_bits()).collect();
    }
    (Trace { states: cache.states().to_vec(), logits }, cache)
}

/// The matrix over one model; returns the hash of its one trace with keys and values in F16, then in F32.
fn check_all(name: &str, model: &Model, length: usize) -> [String; 2] {
    let tokens = prompt(model, length, 7);
    [KvType::F16, KvType::F32].map(|kv| {
        let reference = run(model, &machine(Isa::detect(), 1), &tokens, &[length], kv);
        assert_eq!(reference.states.len(), length);
        for isa in Isa::available() {
            for threads in [1, 2, 3, 8] {
                let machine = machine(isa, threads);
                let found = run(model, &machine, &tokens, &[length], kv);
                assert_eq!(found, reference, "{name}: prefill, {}, {threads} threads, {kv:?}", isa.name());
            }
            for steps in [&[1][..], &[2], &[3, 5, 1, 17], &[length / 2, 1]] {
                let found = run(model, &machine(isa, 2), &tokens, steps, kv);
                assert_eq!(found, reference, "{name}: steps {steps:?}, {}, {kv:?}", isa.name());
            }
        }
        check_company(name, model, &tokens, kv, &reference);
        check_warm(name, model, &tokens, kv, &reference);
        reference.hash()
    })
}

/// The same sequence in steps that it shares with others of other lengths.
fn check_company(name: &str, model: &Model, tokens: &[TokenId], kv: KvType, reference: &Trace) {
    let machine = machine(Isa::detect(), 2);
    let others: Vec<Vec<TokenId>> = (1..=3).map(|seed| prompt(model, 5 + 9 * seed as usize, 100 * seed)).collect();
    let mut caches: Vec<KvCache> = (0..4).map(|_| model.new_cache(kv)).collect();
    let mut work = Workspace::default();
    let mut logits = Vec::new();
    let mut step = 0;
    while caches[2].len() < tokens.len() {
        step += 1;
        let sequences = [&others[0][..], &others[1][..], tokens, &others[2][..]];
        let mut spans = Vec::new();
        for (index, (cache, sequence)) in caches.iter_mut().zip(sequences).enumerate() {
            let start = cache.len();
            let end = (start + 1 + (step + index) % 4).min(sequence.len());
            if start < end {
                let logits = if index == 2 { Logits::From(end - start - 1) } else { Logits::None };
                spans.push(Span { cache, tokens: &sequence[start..end], logits });
            }
        }
        let bits = model.forward(&machine, &mut work, &mut spans).unwrap();
        logits = bits.iter().map(|x| x.to_bits()).collect();
    }
    assert_eq!(caches[2].states(), reference.states, "{name}: in company, {kv:?}");
    assert_eq!(logits, reference.logits, "{name}: in company, {kv:?}");
}

/// A warm prefix, a fork of it whose source goes on elsewhere, and a prefix that ends inside a page.
fn check_warm(name: &str, model: &Model, tokens: &[TokenId], kv: KvType, reference: &Trace) {
    let machine = machine(Isa::detect(), 2);
    let (_, source) = continue_run(model, &machine, model.new_cache(kv), tokens, &[16]);
    for prefix in [1, tokens.len() / 3, tokens.len() - 1] {
        let fork = source.fork(prefix);
        let mut other = tokens[..prefix].to_vec();
        other.extend(prompt(model, 20, 55));
        let (_, _) = continue_run(model, &machine, source.fork(prefix), &other, &[4]);
        let (found, _) = continue_run(model, &machine, fork, tokens, &[8]);
        assert_eq!(&found, reference, "{name}: warm prefix of {prefix}, {kv:?}");
    }
}

#[test]
fn every_weight_type_gives_the_same_bits_everywhere() {
    use WeightType::{BF16, F16, F32, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0};
    for weights in [F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K] {
        let model = load(&Specimen::llama(weights).to_gguf());
        check_all(&format!("llama {weights}"), &model, 41);
    }
}

#[test]
fn every_architecture_gives_the_same_bits_everywhere() {
    for architecture in ["llama", "qwen2", "qwen3", "gemma3"] {
        let specimen = Specimen { architecture, layers: 7, ..Specimen::llama(WeightType::Q8_0) };
        check_all(architecture, &load(&specimen.to_gguf()), 90);
    }
}

#[test]
fn sequences_longer_than_an_attention_chunk_give_the_same_bits() {
    let specimen = Specimen { layers: 1, ..Specimen::llama(WeightType::Q8_0) };
    check_all("llama, three chunks", &load(&specimen.to_gguf()), 600);
}

/// A real model in reach.
struct Real {
    path: PathBuf,
    /// Tokens of its prompt; few where the portable code is slow.
    length: usize,
    /// What [`check_all`] returned on x86-64 with AMX, AVX-512 and AVX2, and on aarch64 with NEON. Any other machine must
    /// print the same.
    hashes: [&'static str; 2],
}

fn real_models() -> [Real; 3] {
    let shared = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/models"));
    let home = std::env::home_dir().unwrap_or_default();
    [
        Real {
            path: shared.join("stories260K.F32.gguf"),
            length: 300,
            hashes: [
                "0x4eb1afe3e0de06d656a48b8b730871c8e3a0267a14825d383152710395352881",
                "0xc98b7383e0326fbb96bd760abdbf0c533e023b61ced8197754cc654ddde12509",
            ],
        },
        Real {
            path: shared.join("minimind2-small.Q8_0.gguf"),
            length: 24,
            hashes: [
                "0xe4a6a2093d28b4c65ac121db9b3f46226f767fb1b4be36b0b3dc83cd770c20bc",
                "0xdc4f832927143f607b4ca083e82e975d916237474d3cdeba458fd7330f9fdb9c",
            ],
        },
        Real {
            path: home.join(".cache/candor/models/smollm2-135m-instruct-q4_1.gguf"),
            length: 12,
            hashes: [
                "0x1f2b50e500b39d710dcde79de24296cbd9d5384de856eaa21e05b850e81a736f",
                "0x6fb5123df56666001bd106e5fd6300eb85780d9b5a17de77bda1e2fd95513e3d",
            ],
        },
    ]
}

#[test]
fn real_weights_give_the_same_bits_everywhere() {
    for Real { path, length, hashes } in real_models() {
        let Ok(file) = std::fs::read(&path) else {
            println!("skipped: no {}", path.display());
            continue;
        };
        let name = path.display().to_string();
        assert_eq!(check_all(&name, &load(&file), length), hashes, "{name}");
    }
}
