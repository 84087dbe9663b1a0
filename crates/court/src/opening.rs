//! Whether the parts of the evidence are what was signed.

use claim::{
    Evidence, OutputChain, OutputRoot, RequestHash, SeedKind, SignedReceipt, StateChain, StateHash, StateRoot, TokenId,
    prompt_root, request_hash,
};

use crate::verdict::Part;

/// Compares every part of the evidence that a hash in the receipt covers, without a model.
///
/// Whoever takes an answer from a host can call this at the door: an honest host's evidence always opens its receipt, and
/// later nobody can tell who broke evidence that does not. Only the text is left, which takes the model's tokenizer.
///
/// # Errors
///
/// The first part that is not what was signed. A receipt with a wrong signature opens with nothing.
pub fn opens(signed: &SignedReceipt, evidence: &Evidence) -> Result<(), Part> {
    let receipt = &signed.receipt;
    let parts = [
        (Part::Request, asked(evidence) == receipt.request_hash),
        (Part::Choice, evidence.choice == receipt.choice),
        (Part::Prompt, prompt_root(&evidence.prompt) == receipt.prompt_root),
        (Part::Output, output_root(&evidence.output) == receipt.output_root),
        (Part::States, state_root(&evidence.states) == receipt.state_root),
        (Part::SeedProof, seed_opens(signed, evidence)),
    ];
    parts.into_iter().find(|(_, opens)| !opens).map_or(Ok(()), |(part, _)| Err(part))
}

/// The hash of the request in the evidence.
pub(crate) fn asked(evidence: &Evidence) -> RequestHash {
    request_hash(evidence.endpoint, &evidence.request, evidence.nonce, evidence.client)
}

pub(crate) fn output_root(tokens: &[TokenId]) -> OutputRoot {
    tokens.iter().copied().collect::<OutputChain>().root()
}

pub(crate) fn state_root(states: &[StateHash]) -> StateRoot {
    states.iter().copied().collect::<StateChain>().root()
}

/// Whether the proof is of the signed kind and holds. A drawn proof that holds is the host's own, so what follows from it
/// is not compared here: a seed that does not is a lie and no broken evidence.
fn seed_opens(signed: &SignedReceipt, evidence: &Evidence) -> bool {
    let receipt = &signed.receipt;
    if evidence.seed_proof.kind() != receipt.seed_kind {
        return false;
    }
    let Ok(host) = signed.host_key() else { return false };
    match evidence.seed_proof.seed(&host, receipt.request_hash, evidence.nonce, receipt.choice) {
        Ok(seed) => receipt.seed_kind == SeedKind::Drawn || seed == receipt.seed,
        Err(_) => false,
    }
}
