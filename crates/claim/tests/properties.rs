//! Properties that hold for every value: round trips, one encoding each, and the slow definitions of the fast code.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod generated;

use std::sync::LazyLock;

use claim::encoding::DecodeError;
use claim::merkle::{self, MerkleError, RootBuilder};
use claim::vrf::VrfProof;
use claim::{
    Address, ContentHasher, ContentId, Digest, Evidence, EvidenceError, Grammar, OutputChain, Receipt, Sampling,
    SignedReceipt, StateChain, StateHash, TokenCount, TokenId, prompt_root, state_hash,
};
use generated::Generator;
use proptest::prelude::*;

static PROOFS: LazyLock<Vec<VrfProof>> = LazyLock::new(|| Generator::new(0).proofs());

/// The Merkle root by its definition: split at the largest power of two below the number of leaves (RFC 6962, 2.1).
fn slow_root(leaves: &[Vec<u8>]) -> Digest {
    match leaves {
        [] => Digest::sha256(&[]),
        [leaf] => Digest::sha256(&[&[0], &leaf[..]].concat()),
        _ => {
            let split = leaves.len().next_power_of_two() / 2;
            let (left, right) = (slow_root(&leaves[..split]), slow_root(&leaves[split..]));
            Digest::sha256(&[&[1], &left.as_bytes()[..], right.as_bytes()].concat())
        }
    }
}

fn leaves(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|index| format!("leaf {index}").into_bytes()).collect()
}

proptest! {
    #[test]
    fn digests_and_addresses_read_what_they_show(bytes: [u8; 32]) {
        let digest = Digest::new(bytes);
        prop_assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        let address = Address::new(*bytes.first_chunk().unwrap());
        let shown = address.to_string();
        prop_assert_eq!(shown.parse::<Address>().unwrap(), address);
        prop_assert_eq!(shown.to_lowercase().parse::<Address>().unwrap(), address);
        prop_assert_eq!(format!("0x{}", shown[2..].to_uppercase()).parse::<Address>().unwrap(), address);
    }

    #[test]
    fn texts_never_panic(text in ".{0,80}") {
        let _ = text.parse::<Digest>();
        let _ = text.parse::<Address>();
        let _ = text.parse::<TokenCount>();
    }

    #[test]
    fn receipts_round_trip(seed: u64) {
        let mut generator = Generator::new(seed);
        let receipt = generator.receipt();
        prop_assert_eq!(Receipt::from_bytes(&receipt.to_bytes()).unwrap(), receipt);
    }

    #[test]
    fn evidence_round_trips(seed: u64) {
        let evidence = Generator::new(seed).evidence(&PROOFS);
        prop_assert_eq!(Evidence::from_bytes(&evidence.to_bytes().unwrap()).unwrap(), evidence);
    }

    #[test]
    fn whatever_decodes_has_no_other_encoding(seed: u64, changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..4)) {
        let mut bytes = Generator::new(seed).evidence(&PROOFS).to_bytes().unwrap();
        for (place, value) in changes {
            let place = place % bytes.len();
            bytes[place] = value;
        }
        if let Ok(evidence) = Evidence::from_bytes(&bytes) {
            prop_assert_eq!(evidence.to_bytes().unwrap(), bytes);
        }
    }

    #[test]
    fn evidence_cut_short_or_continued_is_refused(seed: u64, cut: usize) {
        let bytes = Generator::new(seed).evidence(&PROOFS).to_bytes().unwrap();
        let cut = cut % bytes.len();
        prop_assert!(Evidence::from_bytes(&bytes[..cut]).is_err());
        let longer = [&bytes[..], &[0]].concat();
        prop_assert_eq!(Evidence::from_bytes(&longer), Err(DecodeError::Trailing { count: 1 }));
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(signed) = SignedReceipt::from_bytes(&bytes) {
            let _ = signed.verify();
        }
        let _ = Evidence::from_bytes(&bytes);
    }

    #[test]
    fn the_streaming_root_is_the_defined_one(count in 0_usize..200) {
        let leaves = leaves(count);
        prop_assert_eq!(merkle::root(&leaves), slow_root(&leaves));
    }

    #[test]
    fn subtrees_join_to_the_same_root(count in 0_usize..200, height in 0_u32..6) {
        let leaves = leaves(count);
        let mut builder = RootBuilder::new();
        for run in leaves.chunks(1 << height) {
            if run.len() == 1 << height {
                builder.push_subtree(height, merkle::root(run)).unwrap();
            } else {
                for leaf in run {
                    builder.push(leaf);
                }
            }
        }
        prop_assert_eq!(builder.count(), count as u64);
        prop_assert_eq!(builder.root(), slow_root(&leaves));
    }

    #[test]
    fn proofs_hold_for_their_leaf_alone(count in 1_usize..100, index: usize, other: usize, bit in 0_usize..256) {
        let leaves = leaves(count);
        let (index, other) = (index % count, other % count);
        let root = merkle::root(&leaves);
        let proof = merkle::prove(&leaves, index as u64).unwrap();
        prop_assert_eq!(merkle::verify(root, &proof, &leaves[index]), Ok(()));
        if other != index {
            prop_assert!(merkle::verify(root, &proof, &leaves[other]).is_err());
            let moved = merkle::Proof { index: other as u64, ..proof.clone() };
            prop_assert!(merkle::verify(root, &moved, &leaves[index]).is_err());
        }
        if let Some(last) = proof.siblings.len().checked_sub(1) {
            let mut changed = proof.clone();
            let mut bytes = changed.siblings[bit % (last + 1)].get();
            bytes[bit / 8] ^= 1 << (bit % 8);
            changed.siblings[bit % (last + 1)] = Digest::new(bytes);
            prop_assert!(merkle::verify(root, &changed, &leaves[index]).is_err());
            let mut short = proof;
            short.siblings.pop();
            let wrong = MerkleError::WrongLength { expected: last + 1, found: last };
            prop_assert_eq!(merkle::verify(root, &short, &leaves[index]), Err(wrong));
        }
    }

    #[test]
    fn chains_remember_every_prefix(tokens in prop::collection::vec(any::<u32>(), 0..50)) {
        let tokens: Vec<TokenId> = tokens.into_iter().map(TokenId::new).collect();
        let chain: OutputChain = tokens.iter().copied().collect();
        prop_assert_eq!(chain.count(), TokenCount::new(tokens.len() as u32));
        for count in 0..=tokens.len() {
            let prefix: OutputChain = tokens[..count].iter().copied().collect();
            prop_assert_eq!(chain.at(TokenCount::new(count as u32)), Some(prefix.root()));
        }
        prop_assert_eq!(chain.at(TokenCount::new(tokens.len() as u32 + 1)), None);
    }

    #[test]
    fn content_ids_do_not_depend_on_the_pieces(content: Vec<u8>, piece in 1_usize..20) {
        let mut hasher = ContentHasher::new();
        content.chunks(piece).for_each(|piece| hasher.update(piece));
        prop_assert_eq!(hasher.finish(), ContentId::of(&content));
    }

    #[test]
    fn state_hashes_see_every_bit(mut state in prop::collection::vec(any::<u32>(), 1..3000), place: usize, bit in 0_u32..32) {
        let floats = |bits: &[u32]| bits.iter().map(|bits| f32::from_bits(*bits)).collect::<Vec<_>>();
        let before = state_hash(&floats(&state));
        let place = place % state.len();
        state[place] ^= 1 << bit;
        prop_assert_ne!(state_hash(&floats(&state)), before);
    }

    #[test]
    fn sampling_hashes_tell_values_apart(seed: u64, other: u64) {
        let hash = |seed| Generator::new(seed).sampling().hash();
        prop_assert_eq!(hash(seed), hash(seed));
        prop_assert_eq!(hash(seed) == hash(other), seed == other);
    }

    #[test]
    fn prompts_see_order_origin_and_count(seed: u64) {
        let mut generator = Generator::new(seed);
        let mut prompt = generator.vec(40, Generator::prompt_token);
        let root = prompt_root(&prompt);
        prompt.push(generator.prompt_token());
        let longer = prompt_root(&prompt);
        prop_assert_ne!(longer, root);
        let other = generator.prompt_token();
        if prompt[0] != other {
            prompt[0] = other;
            prop_assert_ne!(prompt_root(&prompt), longer);
        }
    }
}

#[test]
fn a_hash_of_sampling_sees_every_field() {
    let base = Sampling::greedy(TokenCount::new(16));
    let variants = [
        Sampling { temperature: -0.0, ..base.clone() },
        Sampling { temperature: 1.0, ..base.clone() },
        Sampling { top_k: 1, ..base.clone() },
        Sampling { top_p: 0.5, ..base.clone() },
        Sampling { min_p: 0.5, ..base.clone() },
        Sampling { repetition_penalty: 0.5, ..base.clone() },
        Sampling { frequency_penalty: 0.5, ..base.clone() },
        Sampling { presence_penalty: 0.5, ..base.clone() },
        Sampling { logit_bias: vec![(TokenId::new(0), 0.0)], ..base.clone() },
        Sampling { grammar: Grammar::Json, ..base.clone() },
        Sampling { grammar: Grammar::JsonSchema(String::new()), ..base.clone() },
        Sampling { grammar: Grammar::Lark(String::new()), ..base.clone() },
        Sampling { stop: vec![String::new()], ..base.clone() },
        Sampling { stop: vec!["ab".into()], ..base.clone() },
        Sampling { stop: vec!["a".into(), "b".into()], ..base.clone() },
        Sampling { max_tokens: TokenCount::new(17), ..base.clone() },
        base,
    ];
    let unique: std::collections::BTreeSet<_> = variants.iter().map(Sampling::hash).collect();
    assert_eq!(unique.len(), variants.len());
}

#[test]
fn a_chain_binds_the_place_of_an_item() {
    let state = StateHash::new(Digest::sha256(b"state"));
    let once: StateChain = [state].into_iter().collect();
    let twice: StateChain = [state, state].into_iter().collect();
    assert_ne!(once.root(), twice.root());
    assert_eq!(twice.at(TokenCount::new(1)), Some(once.root()));
    assert_ne!(StateChain::new().root().get(), OutputChain::new().root().get());
}

/// The roots over the first n of these leaves in the tests of Certificate Transparency's own implementation.
#[test]
fn certificate_transparency_gives_the_same_roots() {
    let leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
        .map(|digits| hex::decode(digits).unwrap());
    let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    for (count, root) in roots.iter().enumerate() {
        assert_eq!(merkle::root(&leaves[..count]).to_string(), format!("0x{root}"));
    }
}

#[test]
fn misaligned_and_impossible_subtrees_are_refused() {
    let mut builder = RootBuilder::new();
    builder.push(b"leaf");
    assert_eq!(builder.push_subtree(1, Digest::ZERO), Err(MerkleError::Misaligned { leaf_count: 1, height: 1 }));
    let mut full = RootBuilder::new();
    (0..48).rev().for_each(|height| full.push_subtree(height, Digest::ZERO).unwrap());
    assert_eq!(full.count(), (1 << 48) - 1);
    for (mut builder, height) in [(full, 0), (RootBuilder::new(), 48), (RootBuilder::new(), u32::MAX)] {
        let leaf_count = builder.count();
        assert_eq!(builder.push_subtree(height, Digest::ZERO), Err(MerkleError::TooManyLeaves { leaf_count, height }));
    }
}

#[test]
fn lengths_past_their_limit_are_refused_before_allocation() {
    let evidence = Generator::new(1).evidence(&PROOFS);
    let bytes = evidence.to_bytes().unwrap();
    // The request's length follows the version and the endpoint.
    let with_length = |length: u64| {
        let mut bytes = bytes.clone();
        bytes[3..11].copy_from_slice(&length.to_le_bytes());
        Evidence::from_bytes(&bytes).unwrap_err()
    };
    let max = Evidence::REQUEST_BYTES_MAX as u64;
    for found in [max + 1, 1 << 60, u64::MAX] {
        assert_eq!(with_length(found), DecodeError::TooLong { field: "request", max, found });
    }
    let left = bytes.len() as u64 - 11;
    assert_eq!(with_length(max), DecodeError::Truncated { field: "request", needed: max, left });
}

#[test]
fn evidence_is_stored_up_to_its_limits() {
    let mut evidence = Generator::new(2).evidence(&PROOFS);
    evidence.request = vec![b' '; Evidence::REQUEST_BYTES_MAX];
    evidence.text = "a".repeat(Evidence::TEXT_BYTES_MAX);
    evidence.output = vec![TokenId::new(7); Evidence::TOKENS_MAX];
    let bytes = evidence.to_bytes().unwrap();
    assert_eq!(Evidence::from_bytes(&bytes).unwrap(), evidence);
    evidence.output.push(TokenId::new(7));
    let (max, found) = (Evidence::TOKENS_MAX, Evidence::TOKENS_MAX + 1);
    assert_eq!(evidence.to_bytes(), Err(EvidenceError { field: "output", max, found }));
}
