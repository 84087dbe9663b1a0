//! Receipts against ethers and viem, and against everything that could pass for a signature and is none.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use claim::{
    Address, Amount, ChannelId, ChoiceIndex, Digest, Engine, Finish, HostKey, KvType, ModelRoot, OutputRoot, Price,
    PromptRoot, Receipt, ReceiptId, RequestHash, SamplingHash, Seed, SeedKind, Signature, SignatureError,
    SignedReceipt, StateRoot, TokenCount, UnixMillis,
};
use serde_json::Value;

/// One entry of `receipts.json`.
struct Vector {
    receipt: Receipt,
    key: HostKey,
    signer: Address,
    digest: Digest,
    signature: [u8; 65],
}

fn vectors() -> Vec<Vector> {
    let file: Value = serde_json::from_str(include_str!("vectors/receipts.json")).unwrap();
    file["vectors"].as_array().unwrap().iter().map(vector).collect()
}

fn vector(json: &Value) -> Vector {
    let text = |field: &str| json[field].as_str().unwrap();
    let secret: Digest = text("secret").parse().unwrap();
    let signature = hex::decode(&text("signature")[2..]).unwrap();
    Vector {
        receipt: receipt(&json["receipt"]),
        key: HostKey::from_bytes(secret.as_bytes()).unwrap(),
        signer: text("signer").parse().unwrap(),
        digest: text("digest").parse().unwrap(),
        signature: signature.try_into().unwrap(),
    }
}

fn receipt(json: &Value) -> Receipt {
    let text = |field: &str| json[field].as_str().unwrap();
    let digest = |field: &str| text(field).parse::<Digest>().unwrap();
    let code = |field: &str| text(field).parse::<u8>().unwrap();
    Receipt {
        version: text("version").parse().unwrap(),
        model_root: ModelRoot::new(digest("modelRoot")),
        engine: Engine { arithmetic: text("arithmetic").parse().unwrap(), kv: KvType::from_code(code("kv")).unwrap() },
        request_hash: RequestHash::new(digest("requestHash")),
        choice: text("choice").parse::<ChoiceIndex>().unwrap(),
        prompt_root: PromptRoot::new(digest("promptRoot")),
        sampling: SamplingHash::new(digest("sampling")),
        seed: Seed::new(digest("seed")),
        seed_kind: SeedKind::from_code(code("seedKind")).unwrap(),
        output_root: OutputRoot::new(digest("outputRoot")),
        finish: Finish::from_code(code("finish")).unwrap(),
        state_root: StateRoot::new(digest("stateRoot")),
        previous: ReceiptId::new(digest("previous")),
        prefix_length: text("prefixLength").parse::<TokenCount>().unwrap(),
        price: Price::new(text("promptPerMillion").parse().unwrap(), text("outputPerMillion").parse().unwrap()),
        total: text("total").parse::<Amount>().unwrap(),
        channel: ChannelId::new(digest("channel")),
        host: text("host").parse().unwrap(),
        client: text("client").parse().unwrap(),
        started: text("started").parse::<UnixMillis>().unwrap(),
        finished: text("finished").parse::<UnixMillis>().unwrap(),
    }
}

#[test]
fn ethers_and_viem_give_the_same_digest_signature_and_signer() {
    for Vector { receipt, key, signer, digest, signature } in vectors() {
        assert_eq!(receipt.digest(), digest);
        assert_eq!(receipt.id(), ReceiptId::new(digest));
        assert_eq!(key.address(), signer);
        let signed = key.sign(&receipt);
        assert_eq!(signed.signature.to_bytes(), signature);
        assert_eq!(signed.signature.recover(digest).unwrap().address(), signer);
        let expected = receipt.host;
        let verdict =
            if expected == signer { Ok(()) } else { Err(SignatureError::WrongSigner { expected, found: signer }) };
        assert_eq!(signed.verify(), verdict);
    }
}

#[test]
fn no_bit_of_a_signed_receipt_is_free() {
    let Vector { receipt, key, .. } = vectors().swap_remove(2);
    let signed = key.sign(&receipt);
    assert_eq!(signed.verify(), Ok(()));
    let bytes = signed.to_bytes();
    assert_eq!(SignedReceipt::from_bytes(&bytes).unwrap(), signed);
    let mut malformed = 0;
    for bit in 0..8 * bytes.len() {
        let mut changed = bytes;
        changed[bit / 8] ^= 1 << (bit % 8);
        match SignedReceipt::from_bytes(&changed) {
            Err(_) => malformed += 1,
            Ok(other) => {
                assert_eq!(other.to_bytes(), changed, "bit {bit}");
                assert!(other.verify().is_err(), "bit {bit}");
            }
        }
    }
    // The version, three closed sets, the recovery byte and the top bit of s have forms that are refused at once.
    assert!((16 + 3 * 5..16 + 3 * 8 + 8 + 2).contains(&malformed), "{malformed}");
}

#[test]
fn a_receipt_of_the_wrong_length_is_refused() {
    let Vector { receipt, key, .. } = vectors().swap_remove(2);
    let bytes = key.sign(&receipt).to_bytes();
    for end in 0..bytes.len() {
        assert!(SignedReceipt::from_bytes(&bytes[..end]).is_err());
    }
    assert!(SignedReceipt::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
    assert!(Receipt::from_bytes(&bytes[..Receipt::SIZE_BYTES]).is_ok());
    assert!(Receipt::from_bytes(&bytes).is_err());
}

/// The order of secp256k1.
const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
/// Half of it, rounded down: the largest s.
const HALF: &str = "7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0";
const HALF_PLUS_ONE: &str = "7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a1";
const ORDER_MINUS_ONE: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140";
const ZERO: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const ONE: &str = "0000000000000000000000000000000000000000000000000000000000000001";
const MAX: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

#[test]
fn a_signature_has_one_form() {
    let check = |r: &str, s: &str, v: u8, expected: Result<(), SignatureError>| {
        let bytes: [u8; 65] = hex::decode(format!("{r}{s}{v:02x}")).unwrap().try_into().unwrap();
        assert_eq!(Signature::from_bytes(&bytes).map(|_| ()), expected, "{r} {s} {v}");
    };
    check(ONE, ONE, 27, Ok(()));
    check(ONE, HALF, 28, Ok(()));
    check(ORDER_MINUS_ONE, ONE, 27, Ok(()));
    check(ONE, HALF_PLUS_ONE, 27, Err(SignatureError::HighS));
    check(ONE, ORDER_MINUS_ONE, 27, Err(SignatureError::HighS));
    for bad in [ZERO, ORDER, MAX] {
        check(bad, ONE, 27, Err(SignatureError::OutOfRange));
        check(ONE, bad, 27, Err(SignatureError::OutOfRange));
    }
    for found in [0, 1, 26, 29, 30, 255] {
        check(ONE, ONE, found, Err(SignatureError::RecoveryByte { found }));
    }
}

#[test]
fn the_second_form_of_a_signature_is_refused() {
    let Vector { receipt, key, .. } = vectors().swap_remove(2);
    let mut bytes = key.sign(&receipt).signature.to_bytes();
    // s becomes n - s and the nonce's point its mirror image: valid for plain ECDSA, and another string of bytes.
    let order = hex::decode(ORDER).unwrap();
    let mut borrow = 0;
    for index in (0..32).rev() {
        let difference = i16::from(order[index]) - i16::from(bytes[32 + index]) - borrow;
        borrow = i16::from(difference < 0);
        bytes[32 + index] = difference.rem_euclid(256) as u8;
    }
    bytes[64] = 27 + 28 - bytes[64];
    assert_eq!(Signature::from_bytes(&bytes), Err(SignatureError::HighS));
}

#[test]
fn an_r_that_is_no_point_recovers_no_key() {
    // x = 5 is on no point of secp256k1: 132 is not a square.
    let mut bytes = [0; 65];
    bytes[31] = 5;
    bytes[63] = 1;
    bytes[64] = 27;
    assert_eq!(Signature::from_bytes(&bytes).unwrap().recover(Digest::ZERO), Err(SignatureError::NoKey));
}

#[test]
fn a_key_never_prints_its_secret() {
    let secret = [0x5a; 32];
    let key = HostKey::from_bytes(&secret).unwrap();
    let shown = format!("{key:?} {key:#?}");
    assert!(shown.contains(&key.address().to_string()));
    for part in ["5a5a", "5A5A", "90, 90"] {
        assert!(!shown.contains(part), "{shown}");
    }
}

#[test]
fn prices_round_down_once() {
    let check = |price: Price, prompt: u32, output: u32, expected: u128| {
        assert_eq!(price.total_floor(TokenCount::new(prompt), TokenCount::new(output)), Amount::new(expected));
    };
    check(Price::FREE, u32::MAX, u32::MAX, 0);
    check(Price::new(1, 1), 999_999, 0, 0);
    check(Price::new(1, 1), 999_999, 1, 1);
    check(Price::new(500_000, 500_000), 1, 1, 1);
    check(Price::new(150_000, 600_000), 1_000, 256, 303);
    let most = u128::from(u64::MAX) * u128::from(u32::MAX) * 2 / 1_000_000;
    check(Price::new(u64::MAX, u64::MAX), u32::MAX, u32::MAX, most);
}
