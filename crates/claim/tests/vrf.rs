//! The verifiable random function against two implementations that others wrote, and against forged proofs.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use claim::vrf::{self, VrfError, VrfProof};
use claim::{ChoiceIndex, Digest, HostKey, HostPublicKey, KeyError, Nonce, RequestHash, Seed, SeedKind, SeedProof};
use serde_json::Value;

fn bytes<const N: usize>(json: &Value) -> [u8; N] {
    hex::decode(json.as_str().unwrap()).unwrap().try_into().unwrap()
}

#[test]
fn published_vectors_hold() {
    let file: Value = serde_json::from_str(include_str!("vectors/vrf.json")).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 69);
    for vector in vectors {
        let key = HostKey::from_bytes(&bytes(&vector["secret"])).unwrap();
        let public = HostPublicKey::from_bytes(&bytes(&vector["public"])).unwrap();
        assert_eq!(key.public(), public);
        let alpha = hex::decode(vector["alpha"].as_str().unwrap()).unwrap();
        let published: [u8; 81] = bytes(&vector["proof"]);
        let expected = Digest::new(bytes(&vector["output"]));

        let (proof, output) = key.prove(&alpha);
        assert_eq!(output.get(), expected);
        assert_eq!(proof.to_bytes()[..33], published[..33]);
        if vector["source"] == "seda" {
            assert_eq!(proof.to_bytes(), published);
        }
        let published = VrfProof::from_bytes(&published).unwrap();
        assert_eq!(vrf::verify(&public, &alpha, &published).unwrap().get(), expected);
        assert_eq!(vrf::verify(&public, &alpha, &proof).unwrap().get(), expected);
    }
}

#[test]
fn no_bit_of_a_proof_is_free() {
    let key = HostKey::generate(&[7; 64]);
    let (proof, _) = key.prove(b"alpha");
    let bytes = proof.to_bytes();
    for bit in 0..8 * bytes.len() {
        let mut changed = bytes;
        changed[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other) = VrfProof::from_bytes(&changed) {
            assert_eq!(other.to_bytes(), changed, "bit {bit}");
            assert_eq!(vrf::verify(&key.public(), b"alpha", &other), Err(VrfError::WrongChallenge), "bit {bit}");
        }
    }
}

#[test]
fn a_proof_holds_for_one_key_and_one_input() {
    let (key, other) = (HostKey::generate(&[1; 64]), HostKey::generate(&[2; 64]));
    let (proof, output) = key.prove(b"alpha");
    assert_eq!(vrf::verify(&key.public(), b"alpha", &proof), Ok(output));
    assert_eq!(vrf::verify(&key.public(), b"alphb", &proof), Err(VrfError::WrongChallenge));
    assert_eq!(vrf::verify(&key.public(), b"", &proof), Err(VrfError::WrongChallenge));
    assert_eq!(vrf::verify(&other.public(), b"alpha", &proof), Err(VrfError::WrongChallenge));
    assert_ne!(other.prove(b"alpha").1, output);
}

#[test]
fn strings_that_are_no_proof_are_refused() {
    let proof = HostKey::generate(&[3; 64]).prove(b"alpha").0.to_bytes();
    let with = |range: std::ops::Range<usize>, hexadecimal: &str| {
        let mut bytes = proof;
        bytes[range].copy_from_slice(&hex::decode(hexadecimal).unwrap());
        VrfProof::from_bytes(&bytes)
    };
    // Tags of the identity, of uncompressed, hybrid and compact points, and an x-coordinate that is on no point or not
    // below the field's order.
    for tag in ["00", "01", "04", "05", "06", "07", "ff"] {
        assert_eq!(with(0..1, tag), Err(VrfError::Gamma), "{tag}");
    }
    assert_eq!(with(0..33, &"00".repeat(33)), Err(VrfError::Gamma));
    assert_eq!(with(1..33, &format!("{:064x}", 5)), Err(VrfError::Gamma));
    // p + 1 stands for x = 1, which is on the curve: a second string for the same point.
    let field_plus_one = "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc30";
    assert_eq!(with(1..33, field_plus_one), Err(VrfError::Gamma));
    assert!(with(1..33, &format!("{:064x}", 1)).is_ok());
    let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    assert_eq!(with(49..81, order), Err(VrfError::Response));
    assert_eq!(with(49..81, &"ff".repeat(32)), Err(VrfError::Response));
}

#[test]
fn strings_that_are_no_public_key_are_refused() {
    for start in ["00", "01", "04", "05", "06"] {
        let key = hex::decode(format!("{start}{:064x}", 1)).unwrap().try_into().unwrap();
        assert_eq!(HostPublicKey::from_bytes(&key), Err(KeyError::NotAPoint), "{start}");
    }
    assert_eq!(HostPublicKey::from_bytes(&[0; 33]), Err(KeyError::NotAPoint));
    assert!(HostKey::from_bytes(&[0; 32]).is_err_and(|error| error == KeyError::SecretOutOfRange));
    assert!(HostKey::from_bytes(&[0xff; 32]).is_err_and(|error| error == KeyError::SecretOutOfRange));
}

#[test]
fn a_seed_hangs_on_what_it_should() {
    let key = HostKey::generate(&[4; 64]);
    let (public, other) = (key.public(), HostKey::generate(&[5; 64]).public());
    let (request, nonce) = (RequestHash::new(Digest::sha256(b"request")), Nonce::new(Digest::sha256(b"nonce")));
    let (first, second) = (ChoiceIndex::new(0), ChoiceIndex::new(1));
    let elsewhere = RequestHash::ZERO;

    let drawn = SeedProof::draw(&key, request, nonce);
    assert_eq!(drawn.kind(), SeedKind::Drawn);
    let seed = drawn.seed(&public, request, nonce, first).unwrap();
    assert_ne!(seed, drawn.seed(&public, request, nonce, second).unwrap());
    assert!(drawn.seed(&other, request, nonce, first).is_err());
    assert!(drawn.seed(&public, elsewhere, nonce, first).is_err());
    assert!(drawn.seed(&public, request, Nonce::ZERO, first).is_err());

    let given = SeedProof::Given(1);
    let seed = given.seed(&public, request, nonce, first).unwrap();
    assert_eq!(seed, given.seed(&other, elsewhere, Nonce::ZERO, first).unwrap());
    assert_ne!(seed, given.seed(&public, request, nonce, second).unwrap());
    assert_ne!(seed, SeedProof::Given(2).seed(&public, request, nonce, first).unwrap());

    assert_eq!(SeedProof::Unused.seed(&public, request, nonce, first), Ok(Seed::ZERO));
}
