//! Key files against the public test vectors and against ethers, and hostile files.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use claim::HostKey;
use claim::keystore::{KeystoreError, Randomness, ScryptCost, decrypt, encrypt};
use serde_json::{Value, json};

fn vectors() -> Value {
    serde_json::from_str(include_str!("vectors/keystores.json")).unwrap()
}

fn bytes<const N: usize>(json: &Value) -> [u8; N] {
    let text = json.as_str().unwrap();
    hex::decode(text.strip_prefix("0x").unwrap_or(text)).unwrap().try_into().unwrap()
}

fn text(json: &Value) -> &str {
    json.as_str().unwrap()
}

#[test]
fn the_public_vectors_decrypt() {
    for vector in vectors()["web3"].as_array().unwrap() {
        let key = decrypt(&vector["file"].to_string(), text(&vector["passphrase"])).unwrap();
        assert_eq!(key.address(), HostKey::from_bytes(&bytes(&vector["secret"])).unwrap().address());
    }
}

#[test]
fn ethers_writes_the_same_files() {
    for vector in vectors()["ethers"].as_array().unwrap() {
        let (theirs, passphrase) = (&vector["file"], text(&vector["passphrase"]));
        let key = HostKey::from_bytes(&bytes(&vector["secret"])).unwrap();
        let randomness =
            Randomness { salt: bytes(&vector["salt"]), iv: bytes(&vector["iv"]), uuid: bytes(&vector["uuid"]) };
        let parameter = |name: &str| theirs["Crypto"]["kdfparams"][name].as_u64().unwrap();
        let cost = ScryptCost::new(parameter("n").trailing_zeros() as u8, parameter("r") as u32, parameter("p") as u32);
        let ours: Value = serde_json::from_str(&encrypt(&key, passphrase, &randomness, cost.unwrap())).unwrap();

        for field in ["address", "id", "version"] {
            assert_eq!(ours[field], theirs[field]);
        }
        assert_eq!(ours["crypto"], theirs["Crypto"]);
        assert_eq!(decrypt(&theirs.to_string(), passphrase).unwrap().address(), key.address());
    }
}

/// A file that costs next to nothing to read.
fn cheap() -> Value {
    let key = HostKey::generate(&[9; 64]);
    let randomness = Randomness { salt: [1; 32], iv: [2; 16], uuid: [0xff; 16] };
    serde_json::from_str(&encrypt(&key, "pass", &randomness, ScryptCost::new(1, 1, 1).unwrap())).unwrap()
}

#[test]
fn a_file_round_trips_and_keeps_its_passphrase() {
    let file = cheap();
    assert_eq!(file["id"], "ffffffff-ffff-4fff-bfff-ffffffffffff");
    let address = HostKey::generate(&[9; 64]).address();
    assert_eq!(decrypt(&file.to_string(), "pass").unwrap().address(), address);
    for wrong in ["", "Pass", "pass ", "\0"] {
        assert_eq!(decrypt(&file.to_string(), wrong).unwrap_err(), KeystoreError::WrongPassphrase);
    }
}

#[test]
fn changed_files_are_refused() {
    let check = |pointer: &str, value: Value, expected: KeystoreError| {
        let mut file = cheap();
        *file.pointer_mut(pointer).unwrap() = value;
        assert_eq!(decrypt(&file.to_string(), "pass").unwrap_err(), expected, "{pointer}");
    };
    let field = |field, expected| KeystoreError::Field { field, expected };
    check("/version", json!(4), field("version", "3"));
    check("/version", json!("3"), field("version", "3"));
    check("/crypto", json!(null), field("crypto.cipher", "aes-128-ctr"));
    check("/crypto/cipher", json!("aes-128-cbc"), field("crypto.cipher", "aes-128-ctr"));
    check("/crypto/kdf", json!("argon2"), field("crypto.kdf", "scrypt or pbkdf2"));
    check("/crypto/kdfparams/dklen", json!(16), field("crypto.kdfparams.dklen", "32"));
    check("/crypto/kdfparams/n", json!(-1), field("crypto.kdfparams.n", "a whole number"));
    check("/crypto/kdfparams/n", json!(1e300), field("crypto.kdfparams.n", "a whole number"));
    check("/crypto/cipherparams/iv", json!("00"), field("crypto.cipherparams.iv", "32 hexadecimal digits"));
    check("/crypto/ciphertext", json!("zz".repeat(32)), field("crypto.ciphertext", "64 hexadecimal digits"));
    check("/crypto/ciphertext", json!("00".repeat(32)), KeystoreError::WrongPassphrase);
    check("/crypto/mac", json!("00".repeat(32)), KeystoreError::WrongPassphrase);
    let salt = field("crypto.kdfparams.salt", "at most 128 hexadecimal digits");
    check("/crypto/kdfparams/salt", json!("00".repeat(65)), salt.clone());
    check("/crypto/kdfparams/salt", json!("0"), salt);
    let other = HostKey::generate(&[8; 64]).address();
    let own = HostKey::generate(&[9; 64]).address();
    check("/address", json!(other.to_string()), KeystoreError::Address { expected: other, found: own });
}

#[test]
fn hostile_costs_are_refused_before_they_are_paid() {
    let check = |n: u64, r: u64, p: u64| {
        let mut file = cheap();
        file["crypto"]["kdfparams"]["n"] = json!(n);
        file["crypto"]["kdfparams"]["r"] = json!(r);
        file["crypto"]["kdfparams"]["p"] = json!(p);
        assert_eq!(decrypt(&file.to_string(), "pass").unwrap_err(), KeystoreError::Cost { n, r, p });
    };
    check(0, 8, 1);
    check(1, 8, 1);
    check(3, 8, 1);
    check(2, 0, 1);
    check(2, 1, 0);
    check(1 << 19, 8, 1); // 512 MiB.
    check(1 << 18, 8, 5); // Over the work limit.
    check(1 << 63, u64::MAX, u64::MAX);
    check(2, u64::from(u32::MAX), 1);
    check(2, 1, u64::from(u32::MAX));
    check(2, 1 << 32, 1);
    check(u64::MAX, 1, 1);
    assert!(ScryptCost::new(18, 8, 4).is_ok());
    assert!(ScryptCost::new(255, 1, 1).is_err());

    for rounds in [0, (1 << 24) + 1, 1 << 32, u64::MAX] {
        let mut file = cheap();
        file["crypto"]["kdf"] = json!("pbkdf2");
        file["crypto"]["kdfparams"] = json!({ "c": rounds, "dklen": 32, "prf": "hmac-sha256", "salt": "00" });
        let error = decrypt(&file.to_string(), "pass").unwrap_err();
        assert_eq!(error, KeystoreError::Rounds { max: 1 << 24, found: rounds });
    }
}

#[test]
fn files_that_are_no_json_are_refused() {
    assert!(matches!(decrypt("", "pass"), Err(KeystoreError::NotJson { .. })));
    assert!(matches!(decrypt(&"[".repeat(60_000), "pass"), Err(KeystoreError::NotJson { .. })));
    let found = (64 << 10) + 1;
    assert_eq!(decrypt(&" ".repeat(found), "pass").unwrap_err(), KeystoreError::TooLong { max: 64 << 10, found });
    for other in ["0", "[]", "{}", "null", "\"\"", r#"{"version":3}"#, r#"{"version":3,"crypto":[]}"#] {
        assert!(matches!(decrypt(other, "pass"), Err(KeystoreError::Field { .. })), "{other}");
    }
}
