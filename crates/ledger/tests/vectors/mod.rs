//! What the file of vectors for both judges is made of: for the example that writes it, and for the test that runs it.

use std::num::NonZeroUsize;

use arith::{Isa, Machine, Pool, WeightType};
use claim::{Digest, KvType, Origin, PromptToken, Sampling, Seed, TokenCount, TokenId};
use court::judge::{Docket, Ruling, Weights, judge};
use court::trace::{Answer, EngineTrace};
use model::Model;
use specimen::Specimen;

/// The file, from this crate's folder.
pub(crate) const PATH: &str = "../../contracts/test/court/judge-vectors.json";

/// The outcome of a step that the judge refuses to judge.
const REFUSED: u8 = 255;

alloy::sol! {
    /// A step before the judge, and its outcome for every way in which it is handed in: `JudgeVectors.t.sol` has the same.
    #[derive(Debug)]
    struct Vector {
        string name;
        uint32 answer;
        (bytes32, uint64, uint32, bytes32[], bytes32, uint32) docket;
        bytes context;
        uint32 step;
        bytes data;
        bytes32[] path;
        bytes outcomes;
    }
}

/// An answer whose steps are in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) specimen: Specimen,
    pub(crate) temperature: f32,
}

/// All of them: an architecture with head norms, windows and draws; one with biases, and no draws; of a plain one, every other type of
/// weights.
pub(crate) fn asked() -> Vec<Asked> {
    use WeightType::{BF16, F16, F32, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0};
    let of = |architecture, weights| Specimen { architecture, context_length: 32, ..Specimen::llama(weights) };
    let mut all = vec![
        Asked { specimen: of("gemma3", Q4_1), temperature: 0.7 },
        Asked { specimen: of("qwen2", Q8_0), temperature: 0.0 },
    ];
    for weights in [F32, F16, BF16, Q4_0, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K] {
        all.push(Asked { specimen: of("llama", weights), temperature: 0.0 });
    }
    all
}

/// Computes the trace of an answer, and hands it on.
pub(crate) fn trace<T>(asked: &Asked, run: impl FnOnce(&mut EngineTrace<'_>, &Weights<'_>, &Answer) -> T) -> T {
    let file = asked.specimen.to_gguf();
    // The bits of CA-1 hang on no machine.
    let machine = Machine::new(Isa::portable(), Pool::new(NonZeroUsize::MIN));
    let model = Model::load(&file, &machine, &|_| ()).unwrap();
    let vocabulary = model.config().vocabulary as u32;
    let prompt = (0..19).map(|i| PromptToken::new(TokenId::new((7 + i * 31) % vocabulary), Origin::User)).collect();
    let sampling = Sampling { temperature: asked.temperature, ..Sampling::greedy(TokenCount::new(9)) };
    let seed = Seed::new(Digest::sha256(b"seed"));
    let answer = Answer { prompt, output: vec![TokenId::new(1); 3], sampling, seed, kv: KvType::F16 };
    let weights = Weights::new(&file, &model).unwrap();
    let mut trace = EngineTrace::new(&model, &machine, &answer, &mut |_, _| ()).unwrap();
    run(&mut trace, &weights, &answer)
}

/// The outcome of every way to hand in a step: as it is; with another word; with a longer working; with a bit of the inputs turned;
/// without the first of them; without the first hash.
pub(crate) fn outcomes(docket: &Docket, step: u32, data: &[u8], path: &[Digest]) -> Vec<u8> {
    let outcome = |docket: &Docket, data: &[u8], path: &[Digest]| match judge(docket, step, data, path) {
        Ok(Ruling::WorkerLies) => 0,
        Ok(Ruling::AccuserLies) => 1,
        Ok(Ruling::HostLies) => 2,
        Err(_) => REFUSED,
    };
    let other = Docket { word: docket.word ^ 1, ..docket.clone() };
    let longer = Docket { working_length: docket.working_length + 1, ..docket.clone() };
    let mut turned = data.to_vec();
    if let Some(byte) = turned.get_mut(data.len() / 2) {
        *byte ^= 4;
    }
    vec![
        outcome(docket, data, path),
        outcome(&other, data, path),
        outcome(&longer, data, path),
        outcome(docket, &turned, path),
        outcome(docket, data.get(1..).unwrap_or_default(), path),
        outcome(docket, data, path.get(1..).unwrap_or_default()),
    ]
}
