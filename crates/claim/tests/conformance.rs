//! Every encoded or hashed type, pinned by a hash over many generated values.
//!
//! A hash that changes here is a change of format: everything signed or stored before can no longer be read or checked.
//! Write the new hash only together with a new version of the format, and say so in the commit.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod generated;

use claim::merkle::{self, RootBuilder};
use claim::{
    ChoiceIndex, ContentId, Digest, HostKey, Nonce, OutputChain, RequestHash, SeedProof, SignedReceipt, StateChain,
    StateHash, domain, prompt_root, request_hash, state_hash,
};
use generated::Generator;

/// Hashes what `make` gives for `count` states of the generator and compares it with the pinned hash.
fn check(count: usize, expected: &str, make: impl Fn(&mut Generator) -> Vec<u8>) {
    let mut generator = Generator::new(count as u64);
    let mut all = Vec::new();
    for _ in 0..count {
        let bytes = make(&mut generator);
        all.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        all.extend_from_slice(&bytes);
    }
    assert_eq!(Digest::sha256(&all).to_string(), expected);
}

#[test]
fn receipt_bytes() {
    check(1000, "0x86b4be434669bd91ed92638c246dcb149c6d45df45e4b175cf137bd0447ec7d7", |generator| {
        generator.receipt().to_bytes().to_vec()
    });
}

#[test]
fn receipt_digest() {
    check(1000, "0x4ba402b1f27ffee49599fa2b15c83d7d6bbe71fd7b0e099949c78cbb9d6c57be", |generator| {
        generator.receipt().digest().get().to_vec()
    });
}

#[test]
fn signed_receipt() {
    check(50, "0xb2fc7f8a1d79a222d2c9168ad215cbd0dd05087871d58757e36af2a470e32a11", |generator| {
        let receipt = generator.receipt();
        let signed: SignedReceipt = generator.key().sign(&receipt);
        signed.to_bytes().to_vec()
    });
}

#[test]
fn evidence() {
    let proofs = Generator::new(0).proofs();
    check(1000, "0x1d8133de641c64a7ab2e17aec45080e1374b9e55dd46564991b2a0ee6f70a579", |generator| {
        generator.evidence(&proofs).to_bytes().unwrap()
    });
}

#[test]
fn sampling_hash() {
    check(1000, "0xab3f2cae88ea3521e6e91fc81eb23bcb5b9d8231393ddc1fabe50c10c6d88018", |generator| {
        generator.sampling().hash().as_bytes().to_vec()
    });
}

#[test]
fn request() {
    check(1000, "0xe9ed62ab2f681c09bdcf09ff2b46665bcd7ad88bb8598ac6a8d04271e82cc065", |generator| {
        let body = generator.vec(300, |generator| generator.u64() as u8);
        let (nonce, client) = (Nonce::new(generator.digest()), generator.client());
        request_hash(generator.endpoint(), &body, nonce, client).as_bytes().to_vec()
    });
}

#[test]
fn prompt() {
    check(1000, "0xe48b1072278a9e1b7eb386f52bd470a1d261e95dd608266ce8a87aeea3a8be08", |generator| {
        prompt_root(&generator.vec(40, Generator::prompt_token)).as_bytes().to_vec()
    });
}

#[test]
fn output_chain() {
    check(1000, "0xcab8b0695116ac49dd6b9ac87564c0f51b09ee049a81b50b6fb3ef458945b685", |generator| {
        let chain: OutputChain = generator.vec(20, Generator::token).into_iter().collect();
        chain.root().as_bytes().to_vec()
    });
}

#[test]
fn state_chain() {
    check(1000, "0x8f8ab8a5818a0003dac6636b75bd4a86d340307a36f4425474689bf7b93ee8dd", |generator| {
        let states = generator.vec(20, |generator| StateHash::new(generator.digest()));
        states.into_iter().collect::<StateChain>().root().as_bytes().to_vec()
    });
}

#[test]
fn state() {
    check(100, "0xbbf09214b0711fd5372b35762965e7fc186e1d52e685031f75b05aa0c5d620c6", |generator| {
        let state = generator.vec(3000, |generator| f32::from_bits(generator.u64() as u32));
        state_hash(&state).as_bytes().to_vec()
    });
}

#[test]
fn seeds_and_random_function() {
    check(30, "0x7e64b089aea6d56a298cad12df721484a9b2b25444f4c824d36f41104dbe1a7d", |generator| {
        let key: HostKey = generator.key();
        let (request, nonce) = (RequestHash::new(generator.digest()), Nonce::new(generator.digest()));
        let choice = ChoiceIndex::new(generator.below(4) as u32);
        let drawn = SeedProof::draw(&key, request, nonce);
        let given = SeedProof::Given(generator.u64());
        let SeedProof::Drawn(proof) = drawn else { return Vec::new() };
        let seeds = [drawn, given].map(|proof| proof.seed(&key.public(), request, nonce, choice).unwrap());
        [&proof.to_bytes()[..], seeds[0].as_bytes(), seeds[1].as_bytes()].concat()
    });
}

#[test]
fn merkle_roots() {
    check(300, "0x916913d901704114c7e3b161e40bb24531e3522114fb38e7b6237347d27f11f7", |generator| {
        let leaves = generator.vec(40, Generator::bytes::<20>);
        let mut builder = RootBuilder::new();
        for leaf in &leaves {
            builder.push(leaf);
        }
        let bound = merkle::bind(domain::MODEL, builder.count(), builder.root());
        [bound.get(), ContentId::of(leaves.as_flattened()).get().get()].concat()
    });
}

#[test]
fn addresses() {
    check(1000, "0xe78de63051b7124d654c4d9753f0b6e10debf59359818e3da576847b0717a151", |generator| {
        generator.address().to_string().into_bytes()
    });
}
