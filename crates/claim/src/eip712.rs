//! Typed-data hashing after EIP-712: what a wallet shows and a contract can recompute.

use crate::{Address, Digest};

/// One 32-byte word of an encoded structure, big-endian as the EVM has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Word([u8; 32]);

impl Word {
    /// An unsigned integer of any width up to 128 bits.
    pub(crate) fn uint(value: impl Into<u128>) -> Self {
        let mut word = [0; 32];
        word[16..].copy_from_slice(&value.into().to_be_bytes());
        Self(word)
    }

    /// A `bytes32`, or the hash that stands for a value of variable size.
    pub(crate) const fn digest(value: Digest) -> Self {
        Self(value.get())
    }

    /// A `string`: its keccak-256.
    pub(crate) fn text(value: &str) -> Self {
        Self::digest(Digest::keccak256(value.as_bytes()))
    }

    /// Its bytes.
    pub(crate) const fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// An `address`.
    pub(crate) fn address(value: Address) -> Self {
        let mut word = [0; 32];
        word[12..].copy_from_slice(value.as_bytes());
        Self(word)
    }
}

/// `hashStruct`: the keccak-256 of the type's hash and the fields' words.
pub(crate) fn hash_struct(type_text: &str, words: &[Word]) -> Digest {
    let mut bytes = Vec::with_capacity(32 * (1 + words.len()));
    bytes.extend_from_slice(Digest::keccak256(type_text.as_bytes()).as_bytes());
    for word in words {
        bytes.extend_from_slice(&word.0);
    }
    Digest::keccak256(&bytes)
}

/// The digest that is signed: a structure's hash under its domain separator.
pub(crate) fn signing_digest(domain_separator: Digest, structure: Digest) -> Digest {
    let mut bytes = [0; 66];
    bytes[..2].copy_from_slice(&[0x19, 0x01]);
    bytes[2..34].copy_from_slice(domain_separator.as_bytes());
    bytes[34..].copy_from_slice(structure.as_bytes());
    Digest::keccak256(&bytes)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::{Word, hash_struct, signing_digest};
    use crate::{Address, Digest, HostKey};

    /// The example of the proposal itself, its signature included.
    #[test]
    fn the_mail_of_the_proposal_hashes_as_it_says() {
        let address = |text: &str| text.parse::<Address>().unwrap();
        let digest = |text: &str| text.parse::<Digest>().unwrap();
        let domain = hash_struct(
            "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)",
            &[
                Word::text("Ether Mail"),
                Word::text("1"),
                Word::uint(1_u8),
                Word::address(address("0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC")),
            ],
        );
        assert_eq!(domain, digest("0xf2cee375fa42b42143804025fc449deafd50cc031ca257e0b194a650a912090f"));

        let person_type = "Person(string name,address wallet)";
        let person =
            |name, wallet| Word::digest(hash_struct(person_type, &[Word::text(name), Word::address(address(wallet))]));
        let mail = hash_struct(
            &format!("Mail(Person from,Person to,string contents){person_type}"),
            &[
                person("Cow", "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"),
                person("Bob", "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"),
                Word::text("Hello, Bob!"),
            ],
        );
        assert_eq!(mail, digest("0xc52c0ee5d84264471806290a3f2c4cecfc5490626bf912d01f240d7a274b371e"));
        let signed = signing_digest(domain, mail);
        assert_eq!(signed, digest("0xbe609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2"));

        let cow = HostKey::from_bytes(Digest::keccak256(b"cow").as_bytes()).unwrap();
        assert_eq!(cow.address(), address("0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"));
        assert_eq!(
            format!("{:?}", cow.sign_digest(signed)),
            "0x4355c47d63924e8a72e509b65029052eb6c299d53a04e167c5775fd466751c9d\
             07299936d304c153f6443dfa05f40ff007d72911b6f72307f996231605b915621c",
        );
    }
}
