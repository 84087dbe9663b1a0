//! Values generated from a seed, the same on every machine: for the conformance hashes and as property-test inputs.

use claim::vrf::VrfProof;
use claim::{
    Address, Amount, ChannelId, ChoiceIndex, Digest, Endpoint, Engine, Evidence, Finish, Grammar, HostKey, KvType,
    ModelRoot, Nonce, Origin, OutputRoot, Price, PromptRoot, PromptToken, RECEIPT_VERSION, Receipt, ReceiptId,
    RequestHash, Sampling, SamplingHash, Seed, SeedKind, SeedProof, StateHash, StateRoot, TokenCount, TokenId,
    UnixMillis,
};

/// A stream of values (`SplitMix64`).
pub(crate) struct Generator(u64);

impl Generator {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Small values are as likely as large ones.
    fn spread(&mut self) -> u64 {
        let shift = self.u64() % 64;
        self.u64() >> shift
    }

    fn u32(&mut self) -> u32 {
        self.spread() as u32
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.u64() % end as u64) as usize
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.u64() as u8)
    }

    pub(crate) fn vec<T>(&mut self, end: usize, mut item: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(end)).map(|_| item(self)).collect()
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    pub(crate) fn digest(&mut self) -> Digest {
        Digest::new(self.bytes())
    }

    pub(crate) fn address(&mut self) -> Address {
        Address::new(self.bytes())
    }

    fn f32(&mut self) -> f32 {
        f32::from_bits(self.u64() as u32)
    }

    fn text(&mut self) -> String {
        self.vec(20, |generator| generator.pick(&['a', ' ', '\n', '"', '\u{e9}', '\u{4e2d}', '\u{1f600}', '\0']))
            .into_iter()
            .collect()
    }

    pub(crate) fn token(&mut self) -> TokenId {
        TokenId::new(self.u32())
    }

    pub(crate) fn prompt_token(&mut self) -> PromptToken {
        PromptToken::new(self.token(), self.pick(Origin::ALL))
    }

    pub(crate) fn key(&mut self) -> HostKey {
        HostKey::generate(&self.bytes())
    }

    pub(crate) fn endpoint(&mut self) -> Endpoint {
        self.pick(Endpoint::ALL)
    }

    pub(crate) fn client(&mut self) -> Option<Address> {
        (self.below(2) == 0).then(|| self.address())
    }

    pub(crate) fn sampling(&mut self) -> Sampling {
        Sampling {
            temperature: self.f32(),
            top_k: self.u32(),
            top_p: self.f32(),
            min_p: self.f32(),
            repetition_penalty: self.f32(),
            frequency_penalty: self.f32(),
            presence_penalty: self.f32(),
            logit_bias: self.vec(4, |generator| (generator.token(), generator.f32())),
            grammar: match self.below(4) {
                0 => Grammar::Free,
                1 => Grammar::Json,
                2 => Grammar::JsonSchema(self.text()),
                _ => Grammar::Lark(self.text()),
            },
            stop: self.vec(4, Self::text),
            max_tokens: TokenCount::new(self.u32()),
        }
    }

    pub(crate) fn receipt(&mut self) -> Receipt {
        Receipt {
            version: RECEIPT_VERSION,
            model_root: ModelRoot::new(self.digest()),
            engine: Engine { arithmetic: self.spread() as u16, kv: self.pick(KvType::ALL) },
            request_hash: RequestHash::new(self.digest()),
            choice: ChoiceIndex::new(self.u32()),
            prompt_root: PromptRoot::new(self.digest()),
            sampling: SamplingHash::new(self.digest()),
            seed: Seed::new(self.digest()),
            seed_kind: self.pick(SeedKind::ALL),
            output_root: OutputRoot::new(self.digest()),
            finish: self.pick(Finish::ALL),
            state_root: StateRoot::new(self.digest()),
            previous: ReceiptId::new(self.digest()),
            prefix_length: TokenCount::new(self.u32()),
            price: Price::new(self.spread(), self.spread()),
            total: Amount::new(u128::from(self.spread()) << 64 | u128::from(self.u64())),
            channel: ChannelId::new(self.digest()),
            host: self.address(),
            client: self.address(),
            started: UnixMillis::new(self.spread()),
            finished: UnixMillis::new(self.spread()),
        }
    }

    /// A proof of one of a few keys: computing one takes longer than all the rest.
    pub(crate) fn seed_proof(&mut self, proofs: &[VrfProof]) -> SeedProof {
        match self.below(3) {
            0 => SeedProof::Unused,
            1 => SeedProof::Given(self.spread()),
            _ => SeedProof::Drawn(self.pick(proofs)),
        }
    }

    pub(crate) fn evidence(&mut self, proofs: &[VrfProof]) -> Evidence {
        Evidence {
            endpoint: self.endpoint(),
            request: self.vec(300, |generator| generator.u64() as u8),
            nonce: Nonce::new(self.digest()),
            client: self.client(),
            choice: ChoiceIndex::new(self.u32()),
            prompt: self.vec(20, Self::prompt_token),
            output: self.vec(20, Self::token),
            states: self.vec(20, |generator| StateHash::new(generator.digest())),
            seed_proof: self.seed_proof(proofs),
            text: self.text(),
        }
    }

    /// A few proofs to choose from.
    pub(crate) fn proofs(&mut self) -> Vec<VrfProof> {
        (0..4).map(|_| self.key().prove(&self.bytes::<8>()).0).collect()
    }
}
