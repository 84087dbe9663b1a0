//! Key files: Web3 Secret Storage, version 3, as Ethereum's wallets write and read it.
//!
//! A passphrase and a salt give a 32-byte derived key, by scrypt or (reading only) by PBKDF2 with HMAC-SHA-256. Its first
//! 16 bytes encrypt the secret with AES-128 in counter mode; `keccak-256(last 16 bytes || ciphertext)` tells a wrong
//! passphrase from a right one. The file is JSON:
//!
//! ```json
//! { "version": 3, "id": "uuid", "address": "40 digits",
//!   "crypto": { "cipher": "aes-128-ctr", "cipherparams": { "iv": "hex" }, "ciphertext": "hex",
//!     "kdf": "scrypt", "kdfparams": { "n": 131072, "r": 8, "p": 1, "dklen": 32, "salt": "hex" }, "mac": "hex" } }
//! ```
//!
//! A file may come from anywhere, and its cost parameters decide how much memory and time reading it takes: they are
//! compared with limits first. The passphrase is used as the UTF-8 bytes that were given, without normalisation.

use aes::Aes128;
use aes::cipher::{KeyIvInit as _, StreamCipher as _};
use serde_json::{Value, json};
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{Address, AddressParseError, Digest, HostKey, KeyError};

/// AES-128 in counter mode, the counter a 128-bit big-endian number.
type Cipher = ctr::Ctr128BE<Aes128>;

/// The longest key file: 64 KiB, a hundred times what one needs.
const FILE_BYTES_MAX: usize = 64 << 10;
/// The longest salt.
const SALT_BYTES_MAX: usize = 64;
/// The most memory that scrypt may take: 256 MiB, what the costliest files of known wallets take (n = 2^18, r = 8).
const SCRYPT_BYTES_MAX: u64 = 256 << 20;
/// The most blocks that scrypt may mix, n r p: 2^23, four times what those files take.
const SCRYPT_WORK_MAX: u64 = 1 << 23;
/// The most rounds of PBKDF2: 2^24, a few seconds; wallets use up to a million.
const PBKDF2_ROUNDS_MAX: u64 = 1 << 24;

/// The random values that a new key file needs, from a cryptographic random source.
#[derive(Clone, Copy, Debug)]
pub struct Randomness {
    /// The salt of the derived key. A file made with a salt that another file has shows which passphrases are equal.
    pub salt: [u8; 32],
    /// The first counter block of the cipher.
    pub iv: [u8; 16],
    /// The file's id; six of its bits are set to mark a random UUID (version 4).
    pub uuid: [u8; 16],
}

/// How much scrypt costs: `n = 2^n_log2` blocks of `128 r` bytes each, mixed `p` times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScryptCost {
    n_log2: u8,
    r: u32,
    p: u32,
}

impl ScryptCost {
    /// A third of a second and 128 MiB: n = 2^17, r = 8, p = 1, as current wallets choose.
    pub const STANDARD: Self = Self { n_log2: 17, r: 8, p: 1 };

    /// Takes cost parameters after comparing them with the limits.
    ///
    /// # Errors
    ///
    /// [`KeystoreError::Cost`] if one is zero, or the memory or the work is too large.
    pub fn new(n_log2: u8, r: u32, p: u32) -> Result<Self, KeystoreError> {
        let n = 1_u64.checked_shl(u32::from(n_log2)).unwrap_or(0);
        let refused = KeystoreError::Cost { n, r: u64::from(r), p: u64::from(p) };
        if n < 2 || r == 0 || p == 0 {
            return Err(refused);
        }
        let blocks = n.checked_mul(u64::from(r)).ok_or_else(|| refused.clone())?;
        let size_bytes = blocks.checked_mul(128).ok_or_else(|| refused.clone())?;
        let work = blocks.checked_mul(u64::from(p)).ok_or_else(|| refused.clone())?;
        if size_bytes > SCRYPT_BYTES_MAX || work > SCRYPT_WORK_MAX {
            return Err(refused);
        }
        Ok(Self { n_log2, r, p })
    }
}

/// Why a key file is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeystoreError {
    /// The passphrase is another, or the file was changed.
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// The file is too long.
    #[error("a key file has at most {max} bytes, found {found}")]
    TooLong {
        /// The limit.
        max: usize,
        /// The file's length.
        found: usize,
    },
    /// The file is not JSON.
    #[error("the key file is not JSON (line {line}, column {column})")]
    NotJson {
        /// Where reading stopped.
        line: usize,
        /// Where reading stopped.
        column: usize,
    },
    /// A field is missing or not what it should be.
    #[error("the key file's {field} should be {expected}")]
    Field {
        /// The field's path.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// The cost parameters of scrypt are zero or too large.
    #[error("the key file asks for scrypt with n = {n}, r = {r}, p = {p}, which is not allowed")]
    Cost {
        /// How many blocks.
        n: u64,
        /// The size of a block.
        r: u64,
        /// How many times.
        p: u64,
    },
    /// The number of rounds of PBKDF2 is zero or too large.
    #[error("the key file asks for {found} rounds of pbkdf2, allowed are 1 to {max}")]
    Rounds {
        /// The limit.
        max: u64,
        /// What the file asks for.
        found: u64,
    },
    /// The decrypted number is not a secret key.
    #[error("the key file holds no key: {0}")]
    Key(#[from] KeyError),
    /// The file's address is not one.
    #[error("the key file's address is malformed: {0}")]
    AddressForm(#[from] AddressParseError),
    /// The file's address belongs to another key.
    #[error("the key file names {expected}, its key has the address {found}")]
    Address {
        /// The address that the file names.
        expected: Address,
        /// The address of the key in it.
        found: Address,
    },
}

/// Writes a key file.
pub fn encrypt(key: &HostKey, passphrase: &str, randomness: &Randomness, cost: ScryptCost) -> String {
    let Randomness { salt, iv, uuid } = randomness;
    let derived = Derivation::Scrypt(cost).derive(passphrase, salt);
    let mut ciphertext = *key.secret_bytes();
    derived.cipher(iv).apply_keystream(&mut ciphertext);
    let file = json!({
        "version": 3,
        "id": random_uuid(*uuid),
        "address": hex::encode(key.address().as_bytes()),
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": { "iv": hex::encode(iv) },
            "ciphertext": hex::encode(ciphertext),
            "kdf": "scrypt",
            "kdfparams": {
                "n": 1_u64 << cost.n_log2,
                "r": cost.r,
                "p": cost.p,
                "dklen": 32,
                "salt": hex::encode(salt),
            },
            "mac": hex::encode(derived.mac(&ciphertext).as_bytes()),
        },
    });
    format!("{file:#}")
}

/// Reads a key file.
///
/// # Errors
///
/// [`KeystoreError::WrongPassphrase`] if only the passphrase is at fault, and the others for a file that cannot be read.
pub fn decrypt(json: &str, passphrase: &str) -> Result<HostKey, KeystoreError> {
    let file = Parsed::parse(json)?;
    let derived = file.derivation.derive(passphrase, &file.salt);
    // Whoever could time this comparison holds the file and can try passphrases faster without it.
    if derived.mac(&file.ciphertext) != file.mac {
        return Err(KeystoreError::WrongPassphrase);
    }
    let mut secret = Zeroizing::new(file.ciphertext);
    derived.cipher(&file.iv).apply_keystream(secret.as_mut());
    let key = HostKey::from_bytes(&secret)?;
    match file.address {
        Some(expected) if expected != key.address() => Err(KeystoreError::Address { expected, found: key.address() }),
        _ => Ok(key),
    }
}

/// How a passphrase becomes a key.
enum Derivation {
    Scrypt(ScryptCost),
    Pbkdf2 { rounds: u32 },
}

impl Derivation {
    /// Computes the derived key. This is the slow part.
    fn derive(&self, passphrase: &str, salt: &[u8]) -> DerivedKey {
        let mut derived = Zeroizing::new([0; 32]);
        match *self {
            Self::Scrypt(ScryptCost { n_log2, r, p }) => {
                let parameters = scrypt::Params::new(n_log2, r, p).expect("our limits are far below scrypt's");
                scrypt::scrypt(passphrase.as_bytes(), salt, &parameters, derived.as_mut())
                    .expect("32 bytes is a length that scrypt gives");
            }
            Self::Pbkdf2 { rounds } => {
                pbkdf2::pbkdf2_hmac::<Sha256>(passphrase.as_bytes(), salt, rounds, derived.as_mut());
            }
        }
        DerivedKey(derived)
    }
}

/// What a passphrase became: an encryption key and a key of the checksum.
struct DerivedKey(Zeroizing<[u8; 32]>);

impl DerivedKey {
    /// The cipher at its first block.
    fn cipher(&self, iv: &[u8; 16]) -> Cipher {
        let key: &[u8; 16] = self.0.first_chunk().expect("32 bytes are more than 16");
        Cipher::new(key.into(), iv.into())
    }

    /// The checksum of a ciphertext.
    fn mac(&self, ciphertext: &[u8; 32]) -> Digest {
        let mut bytes = Zeroizing::new([0; 48]);
        bytes[..16].copy_from_slice(&self.0[16..]);
        bytes[16..].copy_from_slice(ciphertext);
        Digest::keccak256(bytes.as_slice())
    }
}

/// A random UUID (version 4) as text.
fn random_uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = hex::encode(bytes);
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

/// A key file whose every field has been checked.
struct Parsed {
    derivation: Derivation,
    salt: Vec<u8>,
    iv: [u8; 16],
    ciphertext: [u8; 32],
    mac: Digest,
    address: Option<Address>,
}

impl Parsed {
    fn parse(json: &str) -> Result<Self, KeystoreError> {
        if json.len() > FILE_BYTES_MAX {
            return Err(KeystoreError::TooLong { max: FILE_BYTES_MAX, found: json.len() });
        }
        let file: Value = serde_json::from_str(json)
            .map_err(|error| KeystoreError::NotJson { line: error.line(), column: error.column() })?;
        literal(&file["version"], &Value::from(3), "version", "3")?;
        // Some wallets, ethers among them, write a capital letter.
        let crypto = file.get("crypto").unwrap_or(&file["Crypto"]);
        literal(&crypto["cipher"], &Value::from("aes-128-ctr"), "crypto.cipher", "aes-128-ctr")?;
        let parameters = &crypto["kdfparams"];
        literal(&parameters["dklen"], &Value::from(32), "crypto.kdfparams.dklen", "32")?;
        Ok(Self {
            derivation: derivation(&crypto["kdf"], parameters)?,
            salt: salt(&parameters["salt"])?,
            iv: bytes(&crypto["cipherparams"]["iv"], "crypto.cipherparams.iv", "32 hexadecimal digits")?,
            ciphertext: bytes(&crypto["ciphertext"], "crypto.ciphertext", "64 hexadecimal digits")?,
            mac: Digest::new(bytes(&crypto["mac"], "crypto.mac", "64 hexadecimal digits")?),
            address: address(&file["address"])?,
        })
    }
}

/// Asks that a field has one value.
fn literal(found: &Value, value: &Value, field: &'static str, expected: &'static str) -> Result<(), KeystoreError> {
    if found == value { Ok(()) } else { Err(KeystoreError::Field { field, expected }) }
}

/// Reads how the key is derived.
fn derivation(kdf: &Value, parameters: &Value) -> Result<Derivation, KeystoreError> {
    match kdf.as_str() {
        Some("scrypt") => scrypt_cost(parameters).map(Derivation::Scrypt),
        Some("pbkdf2") => {
            let prf = &parameters["prf"];
            literal(prf, &Value::from("hmac-sha256"), "crypto.kdfparams.prf", "hmac-sha256")?;
            let found = number(&parameters["c"], "crypto.kdfparams.c")?;
            match u32::try_from(found) {
                Ok(rounds @ 1..) if found <= PBKDF2_ROUNDS_MAX => Ok(Derivation::Pbkdf2 { rounds }),
                _ => Err(KeystoreError::Rounds { max: PBKDF2_ROUNDS_MAX, found }),
            }
        }
        _ => Err(KeystoreError::Field { field: "crypto.kdf", expected: "scrypt or pbkdf2" }),
    }
}

/// Reads the cost of scrypt.
fn scrypt_cost(parameters: &Value) -> Result<ScryptCost, KeystoreError> {
    let n = number(&parameters["n"], "crypto.kdfparams.n")?;
    let r = number(&parameters["r"], "crypto.kdfparams.r")?;
    let p = number(&parameters["p"], "crypto.kdfparams.p")?;
    match (n.is_power_of_two(), u32::try_from(r), u32::try_from(p)) {
        (true, Ok(r32), Ok(p32)) => ScryptCost::new(n.trailing_zeros() as u8, r32, p32),
        _ => Err(KeystoreError::Cost { n, r, p }),
    }
}

/// Reads a whole number.
fn number(value: &Value, field: &'static str) -> Result<u64, KeystoreError> {
    value.as_u64().ok_or(KeystoreError::Field { field, expected: "a whole number" })
}

/// Reads the hexadecimal digits of a text, which some wallets start with `0x`.
fn digits(value: &Value) -> Option<&str> {
    let text = value.as_str()?;
    Some(text.strip_prefix("0x").unwrap_or(text))
}

/// Reads `N` bytes in hexadecimal digits.
fn bytes<const N: usize>(value: &Value, field: &'static str, expected: &'static str) -> Result<[u8; N], KeystoreError> {
    let mut bytes = [0; N];
    digits(value)
        .and_then(|digits| hex::decode_to_slice(digits, &mut bytes).ok())
        .ok_or(KeystoreError::Field { field, expected })?;
    Ok(bytes)
}

/// Reads a salt.
fn salt(value: &Value) -> Result<Vec<u8>, KeystoreError> {
    digits(value)
        .filter(|digits| digits.len() <= 2 * SALT_BYTES_MAX)
        .and_then(|digits| hex::decode(digits).ok())
        .ok_or(KeystoreError::Field { field: "crypto.kdfparams.salt", expected: "at most 128 hexadecimal digits" })
}

/// Reads the address, which a file may leave out.
fn address(value: &Value) -> Result<Option<Address>, KeystoreError> {
    if value.is_null() {
        return Ok(None);
    }
    let digits = digits(value).ok_or(KeystoreError::Field { field: "address", expected: "40 hexadecimal digits" })?;
    Ok(Some(format!("0x{digits}").parse()?))
}
