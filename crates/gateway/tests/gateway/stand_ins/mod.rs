//! What the tests stand in for the real thing: hosts named by what they do, and a disk that fills up.

pub(crate) mod disk;
pub(crate) mod hosts;

use claim::{
    Address, Amount, ChannelId, ChoiceIndex, Endpoint, Engine, Evidence, Finish, HostKey, KvType, ModelRoot, Nonce,
    Origin, OutputChain, Price, PromptToken, RECEIPT_VERSION, Receipt, ReceiptId, Seed, SeedKind, SeedProof,
    StateChain, StateHash, TokenCount, TokenId, UnixMillis, prompt_root, request_hash,
};
use gateway::store::{StoredReceipt, Terms};

/// The key of every host here.
pub(crate) fn key() -> HostKey {
    HostKey::from_bytes(&[7; 32]).unwrap()
}

/// The root of the model that every host here pretends to run.
pub(crate) fn model_root() -> ModelRoot {
    ModelRoot::new(claim::Digest::sha256(b"a model"))
}

/// What every gateway here advertises.
pub(crate) fn terms() -> Terms {
    Terms { model_root: model_root(), host: key().address(), price: Price::FREE }
}

/// A request as a host gets it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) endpoint: Endpoint,
    pub(crate) request: &'a [u8],
    pub(crate) nonce: Nonce,
    pub(crate) client: Option<Address>,
}

/// A receipt with evidence whose roots and signature are right, and whose states nobody computed.
pub(crate) fn receipt(asked: Asked<'_>, choice: u32, output: &[u32], finish: Finish, text: &str) -> StoredReceipt {
    let Asked { endpoint, request, nonce, client } = asked;
    let prompt: Vec<PromptToken> = (0..5).map(|token| PromptToken::new(TokenId::new(token), Origin::User)).collect();
    let output: Vec<TokenId> = output.iter().copied().map(TokenId::new).collect();
    let states: Vec<StateHash> =
        (0..prompt.len() + output.len().saturating_sub(1)).map(|i| claim::state_hash(&[i as f32])).collect();
    let key = key();
    let receipt = Receipt {
        version: RECEIPT_VERSION,
        model_root: model_root(),
        engine: Engine::new(KvType::F16),
        request_hash: request_hash(endpoint, request, nonce, client),
        choice: ChoiceIndex::new(choice),
        prompt_root: prompt_root(&prompt),
        sampling: claim::Sampling::greedy(TokenCount::new(16)).hash(),
        seed: Seed::ZERO,
        seed_kind: SeedKind::Unused,
        output_root: output.iter().copied().collect::<OutputChain>().root(),
        finish,
        state_root: states.iter().copied().collect::<StateChain>().root(),
        previous: ReceiptId::ZERO,
        prefix_length: TokenCount::new(0),
        price: Price::FREE,
        total: Amount::new(0),
        channel: ChannelId::ZERO,
        host: key.address(),
        client: client.unwrap_or(Address::ZERO),
        started: UnixMillis::new(1_700_000_000_000),
        finished: UnixMillis::new(1_700_000_000_500),
    };
    let evidence = Evidence {
        endpoint,
        request: request.to_vec(),
        nonce,
        client,
        choice: ChoiceIndex::new(choice),
        prompt,
        output,
        states,
        seed_proof: SeedProof::Unused,
        text: text.to_owned(),
    };
    StoredReceipt { receipt: key.sign(&receipt), terms: terms(), evidence }
}
