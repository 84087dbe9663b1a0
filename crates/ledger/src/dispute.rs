//! A dispute in the words of the contracts: statements, moves, and the judge's calls.

use alloy::primitives::{B256, Bytes, FixedBytes};
use alloy::sol_types::SolValue as _;
use claim::merkle::{self, MerkleError};
use claim::{Digest, Evidence, Receipt, Sampling};
use court::judge::{Docket, Statement};
use court::trace::Part;
use model::Model;

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
    let kv = statement.kv.code();
    let stated = abi::Statement {
        modelRoot: word(statement.model_root.get()),
        promptRoot: word(statement.prompt_root.get()),
        seed: word(statement.seed.get()),
        kv,
        prompt: statement.prompt.get(),
        output: statement.output.get(),
        temperature: statement.temperature.to_bits(),
    };
    stated.abi_encode().into()
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

/// The inputs of a step as the judge takes them: the chapter that has its rule goes before.
pub fn judge_data(at: &Docket, data: &[u8]) -> Bytes {
    let mut inputs = vec![chapter(at)];
    inputs.extend(data);
    inputs.into()
}

/// Which of the judge's chapters has the rule of the disputed word.
fn chapter(docket: &Docket) -> u8 {
    use Part::{
        AttentionNorm, AttentionOutput, AttentionPostNorm, Best, Down, Drawn, Embedding, FeedNorm, FeedPostNorm,
        FinalNorm, Gate, Key, KeyBias, KeyNorm, Links, Logits, Mixed, Query, QueryBias, QueryNorm, State, Token, Up,
        Value, ValueBias, Weights,
    };
    let layout = docket.statement.layout();
    let offset = docket.address & ((1 << layout.bits()) - 1);
    match layout.locate(offset as u32).map(|(place, _)| place.part) {
        Some(Query | Key | Value | AttentionOutput | Gate | Up | Down | Logits) => 1,
        Some(
            AttentionNorm | AttentionPostNorm | QueryNorm | KeyNorm | FeedNorm | FeedPostNorm | FinalNorm | Embedding
            | QueryBias | KeyBias | ValueBias,
        ) => 2,
        Some(Mixed) => 3,
        Some(Token | State | Links | Best | Weights | Drawn) => 4,
        _ => 0,
    }
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
