//! Receipts and evidence, in bytes and in JSON. What is read is written again to the same bytes, or to a document that
//! reads the same.

#![no_main]

use api::receipt_json;
use claim::{Evidence, SignedReceipt};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(receipt) = SignedReceipt::from_bytes(bytes) {
        assert_eq!(receipt.to_bytes().as_slice(), bytes, "one receipt has one encoding");
        // Nobody here holds a key that signed it, but checking must come to an end.
        let _verdict = receipt.verify();
    }
    if let Ok(evidence) = Evidence::from_bytes(bytes) {
        let written = evidence.to_bytes().expect("what was read fits the format");
        assert_eq!(written, bytes, "one piece of evidence has one encoding");
    }
    if let Ok(document) = receipt_json::read(bytes) {
        let written = receipt_json::write(&document.receipt, document.evidence.as_ref());
        let again = receipt_json::read(written.as_bytes()).expect("what is written can be read");
        assert_eq!(again.receipt, document.receipt);
        assert_eq!(again.evidence, document.evidence);
    }
});
