//! Ids, counts and amounts as types of their own, so that one cannot be passed for another.

use std::fmt;
use std::str::FromStr;

use sha2::Digest as _;
use sha3::Keccak256;
use thiserror::Error;

/// Declares a `Copy` newtype with an explicit constructor and getter, shown and parsed as its inner value is.
macro_rules! newtype {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name($inner);

        impl $name {
            /// Wraps the value.
            pub const fn new(value: $inner) -> Self {
                Self(value)
            }

            /// The wrapped value.
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = <$inner as FromStr>::Err;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )*};
    (digest: $($(#[$doc:meta])* $name:ident;)*) => {
        newtype! { $($(#[$doc])* $name(Digest);)* }
        $(impl $name {
            /// All bits zero: the mark of "none".
            pub const ZERO: Self = Self(Digest::ZERO);

            /// The 32 bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                self.0.as_bytes()
            }
        })*
    };
}

newtype! {
    /// A token's number in its model's vocabulary.
    TokenId(u32);
    /// An absolute position in a sequence, counted from 0.
    Position(u32);
    /// How many tokens.
    TokenCount(u32);
    /// Which of the answers to one request (`n` in the API), counted from 0.
    ChoiceIndex(u32);
    /// Milliseconds since 1970-01-01T00:00:00Z.
    UnixMillis(u64);
    /// Money in the smallest unit, a micro-dollar.
    Amount(u128);
}

newtype! { digest:
    /// The root over everything that a model's answer depends on.
    ModelRoot;
    /// The hash of the request bytes, endpoint, nonce and client.
    RequestHash;
    /// The counted Merkle root over the prompt's tokens.
    PromptRoot;
    /// The hash of the sampling parameters.
    SamplingHash;
    /// The key of the random draws of one answer.
    Seed;
    /// The end of the chain over the output's tokens.
    OutputRoot;
    /// The end of the chain over the hidden-state hashes.
    StateRoot;
    /// The hash of the final hidden state at one position.
    StateHash;
    /// A receipt's EIP-712 digest.
    ReceiptId;
    /// A payment channel.
    ChannelId;
    /// 32 bytes that a client picks once for a request.
    Nonce;
}

/// A 32-byte hash, shown as `0x` and 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// All bits zero.
    pub const ZERO: Self = Self([0; 32]);

    /// Wraps 32 bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes, by value.
    pub const fn get(self) -> [u8; 32] {
        self.0
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The plain SHA-256 of some bytes, with no domain: for files whose hash others publish.
    pub fn sha256(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// The plain keccak-256 of some bytes, as Ethereum uses it.
    pub(crate) fn keccak256(bytes: &[u8]) -> Self {
        Self(Keccak256::digest(bytes).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not a [`Digest`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DigestParseError {
    /// The text does not start with `0x`.
    #[error("a digest starts with 0x")]
    MissingPrefix,
    /// The text has the wrong number of digits.
    #[error("a digest has 64 hexadecimal digits after 0x, found {found}")]
    WrongLength {
        /// How many bytes of text follow `0x`.
        found: usize,
    },
    /// A character is not a hexadecimal digit.
    #[error("a digest has only hexadecimal digits after 0x, found another character at digit {index}")]
    NotHex {
        /// The place of the character, counted after `0x`.
        index: usize,
    },
}

impl FromStr for Digest {
    type Err = DigestParseError;

    /// Reads `0x` and 64 hexadecimal digits of either case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("0x").ok_or(DigestParseError::MissingPrefix)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|error| match error {
            hex::FromHexError::InvalidHexCharacter { index, .. } => DigestParseError::NotHex { index },
            _ => DigestParseError::WrongLength { found: digits.len() },
        })?;
        Ok(Self(bytes))
    }
}

/// A 20-byte Ethereum address, shown with the mixed-case checksum of EIP-55.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address([u8; 20]);

impl Address {
    /// All bits zero: the mark of "none".
    pub const ZERO: Self = Self([0; 20]);

    /// Wraps 20 bytes.
    pub const fn new(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The 20 bytes, by value.
    pub const fn get(self) -> [u8; 20] {
        self.0
    }

    /// The 20 bytes.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// The 40 digits with EIP-55 case: a letter is upper-case where the same nibble of the keccak-256 of the lower-case digits is at least 8.
    fn checksummed(self) -> [u8; 40] {
        let mut digits = [0; 40];
        hex::encode_to_slice(self.0, &mut digits).expect("40 digits hold 20 bytes");
        let hash = Digest::keccak256(&digits).get();
        for (index, digit) in digits.iter_mut().enumerate() {
            let nibble = (hash[index / 2] >> (4 * (1 - index % 2))) & 0xf;
            if nibble >= 8 {
                digit.make_ascii_uppercase();
            }
        }
        digits
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.checksummed().iter().try_for_each(|digit| write!(f, "{}", *digit as char))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not an [`Address`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AddressParseError {
    /// The text does not start with `0x`.
    #[error("an address starts with 0x")]
    MissingPrefix,
    /// The text has the wrong number of digits.
    #[error("an address has 40 hexadecimal digits after 0x, found {found}")]
    WrongLength {
        /// How many bytes of text follow `0x`.
        found: usize,
    },
    /// A character is not a hexadecimal digit.
    #[error("an address has only hexadecimal digits after 0x, found another character at digit {index}")]
    NotHex {
        /// The place of the character, counted after `0x`.
        index: usize,
    },
    /// The digits mix cases, and not as EIP-55 does: a typing error.
    #[error("the address's mixed-case checksum is wrong, expected {expected}")]
    WrongChecksum {
        /// The same address, written correctly.
        expected: Address,
    },
}

impl FromStr for Address {
    type Err = AddressParseError;

    /// Reads `0x` and 40 digits: all of one case, or mixed as EIP-55 asks.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("0x").ok_or(AddressParseError::MissingPrefix)?;
        let mut bytes = [0; 20];
        hex::decode_to_slice(digits, &mut bytes).map_err(|error| match error {
            hex::FromHexError::InvalidHexCharacter { index, .. } => AddressParseError::NotHex { index },
            _ => AddressParseError::WrongLength { found: digits.len() },
        })?;
        let address = Self(bytes);
        let mixed = digits.bytes().any(|digit| digit.is_ascii_uppercase())
            && digits.bytes().any(|digit| digit.is_ascii_lowercase());
        if mixed && digits.as_bytes() != address.checksummed() {
            return Err(AddressParseError::WrongChecksum { expected: address });
        }
        Ok(address)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::{Address, AddressParseError, Digest, DigestParseError, TokenId};

    /// The addresses that EIP-55 itself lists.
    #[test]
    fn the_addresses_of_the_proposal_keep_their_case() {
        let listed = [
            "0x52908400098527886E0F7030069857D2E4169EE7",
            "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
            "0xde709f2102306220921060314715629080e2fb77",
            "0x27b1fdb04752bbc536007a920d24acb045561c26",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
            "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
            "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
        ];
        for text in listed {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_typing_error_in_an_address_is_found() {
        let right = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        let expected: Address = right.parse().unwrap();
        let wrong = right.replace("5aA", "5AA");
        assert_eq!(wrong.parse::<Address>(), Err(AddressParseError::WrongChecksum { expected }));
        assert_eq!("5aae".parse::<Address>(), Err(AddressParseError::MissingPrefix));
        assert_eq!("0x5aae".parse::<Address>(), Err(AddressParseError::WrongLength { found: 4 }));
        assert_eq!("0x5aa".parse::<Address>(), Err(AddressParseError::WrongLength { found: 3 }));
        let letter = right.replace("f33", "g33");
        assert_eq!(letter.parse::<Address>(), Err(AddressParseError::NotHex { index: 21 }));
    }

    #[test]
    fn digests_say_what_is_wrong_with_them() {
        let check = |text: &str, expected| assert_eq!(text.parse::<Digest>(), Err(expected), "{text}");
        check("", DigestParseError::MissingPrefix);
        check("0X00", DigestParseError::MissingPrefix);
        check("0x", DigestParseError::WrongLength { found: 0 });
        check(&format!("0x{}", "0".repeat(63)), DigestParseError::WrongLength { found: 63 });
        check(&format!("0x{}", "0".repeat(66)), DigestParseError::WrongLength { found: 66 });
        check(&format!("0x0\u{e9}{}", "0".repeat(61)), DigestParseError::NotHex { index: 1 });
        check(&format!("0x+{}", "0".repeat(63)), DigestParseError::NotHex { index: 0 });
    }

    #[test]
    fn numbers_show_and_read_as_numbers() {
        assert_eq!(TokenId::new(7).to_string(), "7");
        assert_eq!("7".parse(), Ok(TokenId::new(7)));
        assert!("4294967296".parse::<TokenId>().is_err());
    }
}
