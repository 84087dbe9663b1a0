//! A dispute in the words of the contracts: statements, moves, and the judge's calls.

use alloy::primitives::{B256, Bytes, FixedBytes, U256};
use alloy::sol_types::SolValue as _;
use arith::RopeStyle;
use claim::merkle::{self, MerkleError};
use claim::{Digest, Evidence, Receipt, Sampling};
use court::judge::{Docket, Statement};
use court::trace::Part;
use model::{Gate, Model};

use crate::abi;

/// The two words of a digest in the contracts.
pub fn word(digest: Digest) -> B256 {
    FixedBytes(*digest.as_bytes())
}

fn words(digests: &[Digest]) -> Vec<B256> {
    digests.iter().copied().map(word).collect()
}

/// What the judge calls the context of a statement.
pub fn context(statement: &Statement) -> Bytes {
    let terms = [
        u32::from(statement.kv.code()),
        statement.prompt.get(),
        statement.output.get(),
        statement.temperature.to_bits(),
    ];
    let stated = abi::Statement {
        modelRoot: word(statement.model_root.get()),
        promptRoot: word(statement.prompt_root.get()),
        seed: word(statement.seed.get()),
        terms: packed(&terms),
        shape: shape(statement),
    };
    stated.abi_encode().into()
}

/// Numbers of 32 bits in one word, the last one lowest.
fn packed(numbers: &[u32]) -> U256 {
    numbers.iter().fold(U256::ZERO, |word, &number| word << 32 | U256::from(number))
}

/// What the judge knows of a model: `contracts/src/court/answers/Shape.sol`.
fn shape(statement: &Statement) -> abi::Shape {
    let shape = &statement.shape;
    let flags = [
        true,
        shape.rotary_style == RopeStyle::Halves,
        shape.gate == Gate::Gelu,
        shape.has_bias,
        shape.has_head_norm,
        shape.has_post_norm,
        statement.is_tied,
    ];
    let flags = flags.iter().rev().fold(0, |bits, &flag| bits << 1 | u32::from(flag));
    abi::Shape {
        sizes: packed(&[
            shape.width,
            shape.feed_forward,
            shape.vocabulary,
            shape.context_length,
            shape.layers,
            shape.heads,
            shape.kv_heads,
            shape.head_dim,
        ]),
        traits: packed(&[
            shape.norm_epsilon.to_bits(),
            shape.embedding_scale.to_bits(),
            shape.window_keys,
            shape.window_period,
            flags,
        ]),
        places: places(statement),
    }
}

/// Where the vectors of a position lie: `contracts/src/court/answers/Layout.sol`.
fn places(statement: &Statement) -> [U256; 4] {
    /// Words in the unit that places are counted in, and the place of what is not there.
    const UNIT: u32 = 128;
    const ABSENT: u32 = 0xffff;
    let layout = statement.layout();
    let (head, stride) = layout.layers();
    let tail = head + stride * statement.shape.layers;
    let parts = Part::ALL.iter().map(|&part| {
        let is_of_head = matches!(part, Part::Token | Part::Embedding);
        if let (Some(place), false) = (layout.find(0, part), is_of_head) {
            return (place.start - head) / UNIT;
        }
        let place = layout.find(statement.shape.layers, part);
        place.map_or(ABSENT, |place| if is_of_head { place.start } else { place.start - tail } / UNIT)
    });
    let numbers: Vec<u32> = parts.chain([head / UNIT, stride / UNIT, layout.bits()]).collect();
    std::array::from_fn(|word| {
        let number = |i: usize| numbers.get(16 * word + i).copied().unwrap_or(0);
        (0..16).fold(U256::ZERO, |packed, i| packed << 16 | U256::from(number(i)))
    })
}

/// The judge's docket.
pub fn docket(docket: &Docket) -> abi::Docket {
    abi::Docket {
        context: alloy::primitives::keccak256(context(&docket.statement)),
        wordAddress: docket.address,
        word: docket.word,
        nodes: words(&docket.nodes),
        workingRoot: word(docket.working_root),
        workingLength: docket.working_length,
    }
}

/// A call of the judge for one step.
pub fn judge_call(at: &Docket, step: u32, data: &[u8], path: &[Digest]) -> abi::ArithmeticJudge::judgeCall {
    let (context, data) = (context(&at.statement), judge_data(at, data));
    abi::ArithmeticJudge::judgeCall { docket: docket(at), context, step, data, path: words(path) }
}

/// The inputs of a step as the judge takes them: the number of the vector that the disputed word lies in, or behind, goes before.
pub fn judge_data(at: &Docket, data: &[u8]) -> Bytes {
    let layout = at.statement.layout();
    let offset = at.address & ((1 << layout.bits()) - 1);
    let part = layout.at_or_before(offset as u32).map_or(Part::Token, |place| place.part);
    let mut inputs = vec![part.number()];
    inputs.extend(data);
    inputs.into()
}

/// What shows the judge the shape of a model.
///
/// # Errors
///
/// The model's parts are no tree, which no loaded model's are.
pub fn learn_call(model: &Model) -> Result<abi::ArithmeticJudge::learnCall, MerkleError> {
    const HEAD: &str = "tensor/output.weight";
    let parts = model.parts();
    let leaves: Vec<[u8; 32]> = parts.iter().map(model::Part::leaf).collect();
    let opened = |index: usize| -> Result<abi::OpenedPart, MerkleError> {
        Ok(abi::OpenedPart {
            name: parts[index].name.clone(),
            digest: word(parts[index].digest),
            index: index as u64,
            count: parts.len() as u64,
            path: words(&merkle::prove(&leaves, index as u64)?.siblings),
        })
    };
    let find = |name: &str| parts.binary_search_by(|part| part.name.as_str().cmp(name));
    let missing = MerkleError::OutOfRange { index: 0, leaf_count: 0 };
    let hyper = find("hyper-parameters").map_err(|_| missing.clone())?;
    let head = match find(HEAD) {
        Ok(index) => vec![opened(index)?],
        Err(after) => vec![opened(after.checked_sub(1).ok_or(missing)?)?, opened(after)?],
    };
    let config = model.config();
    let numbers = config.canonical_numbers();
    Ok(abi::ArithmeticJudge::learnCall {
        root: word(model.root().get()),
        model: abi::LearnedModel {
            architecture: config.architecture.clone(),
            numbers: std::array::from_fn(|i| numbers.get(i).copied().unwrap_or(0)),
            hyperParameters: opened(hyper)?,
            head,
        },
    })
}

/// What opens a receipt for the judge.
pub fn opening(evidence: &Evidence, sampling: &Sampling) -> Bytes {
    let leaves: Vec<_> = evidence.prompt.iter().zip(0..).map(|(token, index)| token.leaf(index)).collect();
    let chain: claim::OutputChain = evidence.output.iter().copied().collect();
    let count = evidence.output.len() as u32;
    let before = chain.at(claim::TokenCount::new(count.saturating_sub(1)));
    let opened = abi::Opening {
        prompt: evidence.prompt.len() as u32,
        promptTree: word(merkle::root(&leaves)),
        output: count,
        outputBefore: word(before.map_or(Digest::ZERO, claim::OutputRoot::get)),
        lastToken: evidence.output.last().map_or(0, |token| token.get()),
        sampling: sampling.to_bytes().into(),
    };
    opened.abi_encode().into()
}

/// The receipt's fields as EIP-712 has them.
pub fn statement(receipt: &Receipt) -> Bytes {
    receipt.eip712_words().concat().into()
}
