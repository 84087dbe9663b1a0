//! Receipts that their host has not signed.

use claim::encoding::DecodeError;
use claim::{Signature, SignatureError, SignedReceipt};
use court::{Kind, Known, Verdict};

use crate::statement::{Statement, assert_held, assert_refuted, host_key, judge, other_key};

fn judged(statement: &Statement, signed: &SignedReceipt) -> Verdict {
    judge(signed, &statement.evidence, Known::default(), None)
}

#[test]
fn signature_by_another_key() {
    let truth = Statement::greedy();
    assert_refuted(&judged(&truth, &other_key().sign(&truth.receipt)), Kind::Signature, None);
}

#[test]
fn answer_by_another_host() {
    // Another host answers, truly and in its own name. Whoever asked the first one knows whom it asked.
    let mut other = Statement::greedy();
    other.receipt.host = other_key().address();
    let signed = other_key().sign(&other.receipt);
    assert_held(&judged(&other, &signed));
    let known = Known { host: Some(host_key().address()), ..Known::default() };
    assert_refuted(&judge(&signed, &other.evidence, known, None), Kind::Signature, None);
}

#[test]
fn signature_of_another_receipt() {
    let (truth, other) = (Statement::greedy(), Statement::seeded());
    let signed = SignedReceipt::new(truth.receipt, other.sign().signature);
    assert_refuted(&judged(&truth, &signed), Kind::Signature, None);
}

#[test]
fn receipt_edited_after_signing() {
    let truth = Statement::greedy();
    let mut edited = truth.sign();
    edited.receipt.total = claim::Amount::new(edited.receipt.total.get() + 1);
    assert_refuted(&judged(&truth, &edited), Kind::Signature, None);
}

#[test]
fn malleated_signature() {
    let truth = Statement::greedy();
    let signed = truth.sign();
    let mut bytes = signed.to_bytes();
    // The other form of the same signature: s becomes n - s and the nonce's point is mirrored.
    let signature = &mut bytes[SignedReceipt::SIZE_BYTES - Signature::SIZE_BYTES..];
    let mirrored = subtracted(&ORDER, &signature[32..64]);
    signature[32..64].copy_from_slice(&mirrored);
    signature[64] ^= 0x1b ^ 0x1c;
    assert_eq!(SignedReceipt::from_bytes(&bytes), Err(DecodeError::Signature(SignatureError::HighS)));
    // Mirrored alone it is a legal signature, of nobody.
    let mut bytes = signed.to_bytes();
    bytes[SignedReceipt::SIZE_BYTES - 1] ^= 0x1b ^ 0x1c;
    assert_refuted(&judged(&truth, &SignedReceipt::from_bytes(&bytes).unwrap()), Kind::Signature, None);
}

/// The order of secp256k1, big-endian (SEC 2, section 2.4.1).
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xba, 0xae, 0xdc,
    0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
];

/// `left - right` over big-endian bytes, where `left` is the larger.
fn subtracted(left: &[u8; 32], right: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    let mut borrow = 0;
    for index in (0..32).rev() {
        let difference = i16::from(left[index]) - i16::from(right[index]) - borrow;
        borrow = i16::from(difference < 0);
        out[index] = difference.rem_euclid(256) as u8;
    }
    out
}
