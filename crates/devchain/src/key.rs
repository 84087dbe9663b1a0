//! Keys of the unlocked accounts, and whose signature a signature is.

use std::fmt;

use alloy_primitives::{Address, B256, Signature, U256, keccak256};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, PublicKey, SECP256K1, SecretKey};

/// Half of the curve's order. A valid signature has an `s` of at most that, or else everybody could make a second one.
const S_MAX: U256 = U256::from_limbs([0xDFE9_2F46_681B_20A0, 0x5D57_6E73_57A4_501D, u64::MAX, 0x7FFF_FFFF_FFFF_FFFF]);

/// The accounts of the words `test test test test test test test test test test test junk` on the path `m/44'/60'/0'/0/`,
/// which every development chain has. Everybody knows these keys: what they hold anywhere else is lost.
const DEVELOPMENT: [[u8; 32]; 10] = [
    hex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"),
    hex("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"),
    hex("5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"),
    hex("7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6"),
    hex("47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a"),
    hex("8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba"),
    hex("92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e"),
    hex("4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356"),
    hex("dbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97"),
    hex("2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6"),
];

const fn hex(digits: &str) -> [u8; 32] {
    match alloy_primitives::hex::const_decode_to_array(digits.as_bytes()) {
        Ok(bytes) => bytes,
        Err(_) => [0; 32],
    }
}

/// A secret key with the address that it controls.
#[derive(Clone)]
pub struct Key {
    secret: SecretKey,
    address: Address,
}

impl Key {
    /// A key of 32 bytes, big-endian; none where these are zero or not less than the curve's order.
    pub fn from_bytes(bytes: [u8; 32]) -> Option<Self> {
        let secret = SecretKey::from_byte_array(bytes).ok()?;
        Some(Self { secret, address: address(&secret.public_key(SECP256K1)) })
    }

    /// The ten well-known keys of development chains.
    pub fn development() -> Vec<Self> {
        DEVELOPMENT.iter().filter_map(|bytes| Self::from_bytes(*bytes)).collect()
    }

    /// The account.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// Signs a hash, with the nonce of RFC 6979: the same hash always gives the same signature.
    pub fn sign(&self, hash: B256) -> Signature {
        let signature = SECP256K1.sign_ecdsa_recoverable(Message::from_digest(hash.0), &self.secret);
        let (recovery, bytes) = signature.serialize_compact();
        Signature::from_bytes_and_parity(&bytes, i32::from(recovery) & 1 == 1)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.address)
    }
}

/// Who signed a hash; nobody where the signature is not one.
pub(crate) fn recover(signature: &Signature, hash: B256) -> Option<Address> {
    if signature.s() > S_MAX {
        return None;
    }
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&signature.r().to_be_bytes::<32>());
    bytes[32..].copy_from_slice(&signature.s().to_be_bytes::<32>());
    let recovery = if signature.v() { RecoveryId::One } else { RecoveryId::Zero };
    let signature = RecoverableSignature::from_compact(&bytes, recovery).ok()?;
    SECP256K1.recover_ecdsa(Message::from_digest(hash.0), &signature).ok().map(|key| address(&key))
}

fn address(key: &PublicKey) -> Address {
    Address::from_slice(&keccak256(&key.serialize_uncompressed()[1..])[12..])
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{B256, Signature, U256, address};

    use super::{Key, S_MAX, recover};

    #[test]
    fn the_well_known_accounts() {
        let accounts: Vec<_> = Key::development().iter().map(Key::address).collect();
        assert_eq!(accounts.len(), 10);
        assert_eq!(accounts[0], address!("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"));
        assert_eq!(accounts[9], address!("0xa0Ee7A142d267C1f36714E4a8F75612F20a79720"));
    }

    #[test]
    fn a_signature_leads_back_to_its_key() {
        for (index, key) in Key::development().iter().enumerate() {
            let hash = B256::repeat_byte(index as u8);
            let signature = key.sign(hash);
            assert_eq!(recover(&signature, hash), Some(key.address()));
            assert_ne!(recover(&signature, B256::repeat_byte(0xff)), Some(key.address()));
        }
    }

    #[test]
    fn the_second_form_of_a_signature_is_none() {
        let key = &Key::development()[0];
        let hash = B256::repeat_byte(7);
        let signature = key.sign(hash);
        let order = S_MAX * U256::from(2) + U256::ONE;
        let second = Signature::new(signature.r(), order - signature.s(), !signature.v());
        assert_eq!(recover(&second, hash), None);
    }
}
