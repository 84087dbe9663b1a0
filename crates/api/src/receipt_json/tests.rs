#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use claim::{
    Address, Amount, ChannelId, ChoiceIndex, Digest, Endpoint, Engine, Evidence, Finish, HostKey, KvType, ModelRoot,
    Nonce, Origin, OutputRoot, Price, PromptRoot, PromptToken, RECEIPT_VERSION, Receipt, ReceiptId, RequestHash,
    SamplingHash, Seed, SeedKind, SeedProof, SignedReceipt, StateHash, StateRoot, TokenCount, TokenId, UnixMillis,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use serde_json::{Value, json};

use super::{ClientRecord, Ending, ReceiptJsonError, read, write, write_kept};

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest::new)
}

fn member<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    (0..all.len()).prop_map(|index| all[index])
}

fn receipt() -> impl Strategy<Value = Receipt> {
    let roots = prop::array::uniform10(digest());
    let words = (member(KvType::ALL), member(SeedKind::ALL), member(Finish::ALL));
    let numbers = (any::<u16>(), any::<[u32; 2]>(), any::<[u64; 4]>(), any::<u128>(), any::<[[u8; 20]; 2]>());
    (roots, words, numbers).prop_map(|(d, (kv, seed_kind, finish), (arithmetic, small, large, total, who))| Receipt {
        version: RECEIPT_VERSION,
        model_root: ModelRoot::new(d[0]),
        engine: Engine { arithmetic, kv },
        request_hash: RequestHash::new(d[1]),
        choice: ChoiceIndex::new(small[0]),
        prompt_root: PromptRoot::new(d[2]),
        sampling: SamplingHash::new(d[3]),
        seed: Seed::new(d[4]),
        seed_kind,
        output_root: OutputRoot::new(d[5]),
        finish,
        state_root: StateRoot::new(d[6]),
        previous: ReceiptId::new(d[7]),
        prefix_length: TokenCount::new(small[1]),
        price: Price::new(large[0], large[1]),
        total: Amount::new(total),
        channel: ChannelId::new(d[8]),
        host: Address::new(who[0]),
        client: Address::new(who[1]),
        started: UnixMillis::new(large[2]),
        finished: UnixMillis::new(large[3]),
    })
}

fn key() -> HostKey {
    HostKey::from_bytes(&[7; 32]).unwrap()
}

fn seed_proof() -> impl Strategy<Value = SeedProof> {
    prop_oneof![
        Just(SeedProof::Unused),
        any::<u64>().prop_map(SeedProof::Given),
        (digest(), digest()).prop_map(|(request, nonce)| SeedProof::draw(
            &key(),
            RequestHash::new(request),
            Nonce::new(nonce)
        )),
    ]
}

fn evidence() -> impl Strategy<Value = Evidence> {
    let request = prop_oneof![".*".prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..80)];
    let prompt = prop::collection::vec((any::<u32>(), member(Origin::ALL)), 0..40);
    let output = prop::collection::vec(any::<u32>(), 0..40);
    let states = prop::collection::vec(digest(), 0..20);
    let who = (member(Endpoint::ALL), digest(), any::<Option<[u8; 20]>>(), any::<u32>());
    (request, prompt, output, states, who, seed_proof(), ".*").prop_map(
        |(request, prompt, output, states, (endpoint, nonce, client, choice), seed_proof, text)| Evidence {
            endpoint,
            request,
            nonce: Nonce::new(nonce),
            client: client.map(Address::new),
            choice: ChoiceIndex::new(choice),
            prompt: prompt.into_iter().map(|(token, origin)| PromptToken::new(TokenId::new(token), origin)).collect(),
            output: output.into_iter().map(TokenId::new).collect(),
            states: states.into_iter().map(StateHash::new).collect(),
            seed_proof,
            text,
        },
    )
}

/// Property tests sign each case, which takes most of their time.
fn few_cases() -> ProptestConfig {
    ProptestConfig { cases: 64, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(few_cases())]

    #[test]
    fn what_is_written_is_read_back(receipt in receipt(), evidence in prop::option::of(evidence())) {
        let signed = key().sign(&receipt);
        let document = read(write(&signed, evidence.as_ref()).as_bytes()).unwrap();
        prop_assert_eq!(document.stated_id, signed.id());
        prop_assert_eq!(document.receipt, signed);
        prop_assert_eq!(document.evidence, evidence);
    }

    #[test]
    fn what_a_client_keeps_is_read_back(receipt in receipt(), request in digest(), choice: u32, text: String, is_closed: bool) {
        let signed = key().sign(&receipt);
        let ending = if is_closed { Ending::Closed } else { Ending::BrokenOff };
        let record = ClientRecord { request: RequestHash::new(request), choice: ChoiceIndex::new(choice), text, ending };
        let document = read(write_kept(&signed, None, &record).as_bytes()).unwrap();
        prop_assert_eq!(document.kept_by_client, Some(record));
        prop_assert_eq!(read(write(&signed, None).as_bytes()).unwrap().kept_by_client, None);
    }

    #[test]
    fn a_broken_document_never_panics(receipt in receipt(), evidence in evidence(), at in any::<prop::sample::Index>(), byte: u8) {
        let signed = key().sign(&receipt);
        let mut text = write(&signed, Some(&evidence)).into_bytes();
        let at = at.index(text.len());
        let _ = read(&text[..at]).unwrap_err();
        text[at] = byte;
        let _ = read(&text);
    }
}

fn example() -> (SignedReceipt, Evidence) {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let receipt = receipt().new_tree(&mut runner).unwrap().current();
    let mut evidence = evidence().new_tree(&mut runner).unwrap().current();
    evidence.request = b"{\"model\":\"m\"}".to_vec();
    evidence.prompt = [(1, Origin::Template), (2, Origin::User), (3, Origin::User)]
        .map(|(t, o)| PromptToken::new(TokenId::new(t), o))
        .to_vec();
    (key().sign(&receipt), evidence)
}

fn example_json() -> Value {
    let (signed, evidence) = example();
    serde_json::from_str(&write(&signed, Some(&evidence))).unwrap()
}

fn read_value(value: &Value) -> Result<super::Document, ReceiptJsonError> {
    read(value.to_string().as_bytes())
}

#[test]
fn the_form_is_readable() {
    let json = example_json();
    assert_eq!(json["evidence"]["request"], "{\"model\":\"m\"}");
    assert_eq!(
        json["evidence"]["prompt"],
        json!([{"origin": "template", "tokens": [1]}, {"origin": "user", "tokens": [2, 3]}])
    );
    assert!(json["receipt"]["total"].is_string() && json["receipt"]["price"]["prompt_per_million"].is_string());
    assert_eq!(json["id"].as_str().map(str::len), Some(66));
    assert_eq!(json["signature"].as_str().map(str::len), Some(132));
}

#[test]
fn an_edited_receipt_is_read_and_its_signature_fails() {
    let mut json = example_json();
    json["receipt"]["choice"] = json!(99);
    let document = read_value(&json).unwrap();
    assert!(document.receipt.verify().is_err());
    assert_ne!(document.stated_id, document.receipt.id());
}

#[test]
fn faults_are_told_apart() {
    let fault = |change: &dyn Fn(&mut Value)| {
        let mut json = example_json();
        change(&mut json);
        read_value(&json).unwrap_err()
    };
    let form = |change: &dyn Fn(&mut Value), expected: &str| match fault(change) {
        ReceiptJsonError::Form { problem, .. } => assert!(problem.contains(expected), "{problem}"),
        other => unreachable!("{other}"),
    };
    assert!(matches!(fault(&|j| j["version"] = json!(2)), ReceiptJsonError::Version { found: 2, .. }));
    assert!(matches!(fault(&|j| j["receipt"]["version"] = json!(9)), ReceiptJsonError::Version { found: 9, .. }));
    assert_eq!(fault(&|j| j["evidence"]["request_base64"] = json!("AA==")), ReceiptJsonError::Request);
    assert_eq!(fault(&|j| _ = j["evidence"].as_object_mut().unwrap().remove("request")), ReceiptJsonError::Request);
    form(&|j| j["surprise"] = json!(1), "unknown field");
    form(&|j| j["receipt"]["surprise"] = json!(1), "unknown field");
    form(&|j| j["receipt"]["model_root"] = json!("0x12"), "64 hexadecimal digits");
    form(&|j| j["receipt"]["finish"] = json!("tired"), "a finish");
    form(&|j| j["receipt"]["total"] = json!(5), "a string");
    form(&|j| j["receipt"]["total"] = json!("-5"), "invalid digit");
    form(&|j| j["signature"] = json!("0x00"), "130 hexadecimal digits");
    form(&|j| j["evidence"]["output"] = json!([-1]), "invalid value");
    form(&|j| j["evidence"]["states"] = json!(["0xzz"]), "64 hexadecimal digits");
    assert!(matches!(
        fault(&|j| j["signature"] = json!(format!("0x{}", "00".repeat(65)))),
        ReceiptJsonError::Signature(_)
    ));
}
