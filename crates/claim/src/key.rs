//! A host's key on secp256k1: it signs receipts and computes the verifiable random function.

use std::fmt;

use k256::ecdsa::{self, RecoveryId, SigningKey, VerifyingKey};
use k256::elliptic_curve::ops::ReduceNonZero as _;
use k256::{NonZeroScalar, Scalar, WideBytes};
use thiserror::Error;

use crate::vrf::{self, VrfOutput, VrfProof};
use crate::{Address, Digest, Receipt, SignedReceipt};

/// Why bytes are not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The number is zero or not below the group's order.
    #[error("a secret key is a number from 1 to the order of secp256k1 minus 1")]
    SecretOutOfRange,
    /// The bytes are not a compressed point.
    #[error("a public key is a compressed point of secp256k1: 02 or 03 and an x-coordinate of the curve")]
    NotAPoint,
}

/// A host's secret key. It never prints, and its memory is cleared when it is dropped.
pub struct HostKey {
    signing: SigningKey,
}

impl HostKey {
    /// Makes a key from 64 bytes of a cryptographic random source: with twice the bits of the order, the bias is below 2^-256.
    pub fn generate(entropy: &[u8; 64]) -> Self {
        let scalar = Scalar::reduce_nonzero(&WideBytes::from(*entropy));
        let scalar = NonZeroScalar::new(scalar).expect("reduce_nonzero never gives zero");
        Self { signing: SigningKey::from(scalar) }
    }

    /// Takes a key from its 32 big-endian bytes.
    ///
    /// # Errors
    ///
    /// [`KeyError::SecretOutOfRange`] if the number is zero or too large.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let signing = SigningKey::from_slice(bytes).map_err(|_| KeyError::SecretOutOfRange)?;
        Ok(Self { signing })
    }

    /// The key's 32 big-endian bytes, for the keystore alone.
    pub(crate) fn secret_bytes(&self) -> zeroize::Zeroizing<[u8; 32]> {
        zeroize::Zeroizing::new(self.signing.to_bytes().into())
    }

    /// The public key.
    pub fn public(&self) -> HostPublicKey {
        HostPublicKey(*self.signing.verifying_key())
    }

    /// The address that receipts name.
    pub fn address(&self) -> Address {
        self.public().address()
    }

    /// Signs a receipt. The same key and receipt always give the same signature (RFC 6979).
    ///
    /// The receipt is signed as it is: if it names another host, the signature does not verify.
    pub fn sign(&self, receipt: &Receipt) -> SignedReceipt {
        SignedReceipt::new(*receipt, self.sign_digest(receipt.digest()))
    }

    /// Signs a digest: of a transaction, or of typed data. What the digest stands for is the caller's to know.
    pub fn sign_digest(&self, digest: Digest) -> Signature {
        let (signature, recovery) = self.signing.sign_prehash_recoverable(digest.as_bytes());
        let mut bytes = [0; Signature::SIZE_BYTES];
        bytes[..64].copy_from_slice(&signature.to_bytes());
        // The nonce's point has an x-coordinate above the group's order once in 2^127 signatures. The form has no room for
        // that case, as ecrecover has none, and such a signature would not verify.
        bytes[64] = V_EVEN + u8::from(recovery.is_y_odd());
        Signature(bytes)
    }

    /// Proves the output of the verifiable random function at `alpha`.
    pub fn prove(&self, alpha: &[u8]) -> (VrfProof, VrfOutput) {
        vrf::prove(self.signing.as_nonzero_scalar(), &self.public(), alpha)
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostKey").field("address", &self.address()).finish_non_exhaustive()
    }
}

/// A host's public key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HostPublicKey(VerifyingKey);

impl HostPublicKey {
    /// Takes a key from a compressed point.
    ///
    /// # Errors
    ///
    /// [`KeyError::NotAPoint`] if the bytes are anything else.
    pub fn from_bytes(bytes: &[u8; 33]) -> Result<Self, KeyError> {
        // The curve's crate also reads "compact" points, which start with 05: a second string for the same key.
        if !matches!(bytes[0], 0x02 | 0x03) {
            return Err(KeyError::NotAPoint);
        }
        VerifyingKey::from_sec1_bytes(bytes).map(Self).map_err(|_| KeyError::NotAPoint)
    }

    /// The compressed point.
    pub fn to_bytes(&self) -> [u8; 33] {
        let mut bytes = [0; 33];
        bytes.copy_from_slice(self.0.to_sec1_point(true).as_bytes());
        bytes
    }

    /// The address: the last 20 bytes of the keccak-256 of both coordinates.
    pub fn address(&self) -> Address {
        let point = self.0.to_sec1_point(false);
        let hash = Digest::keccak256(&point.as_bytes()[1..]).get();
        Address::new(std::array::from_fn(|index| hash[12 + index]))
    }

    /// The curve point.
    pub(crate) fn point(&self) -> &k256::AffinePoint {
        self.0.as_affine()
    }
}

/// The recovery byte of a nonce point with an even y-coordinate; odd is one more.
const V_EVEN: u8 = 27;

/// Why a signature is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// `r` or `s` is zero or not below the group's order.
    #[error("r and s are numbers from 1 to the order of secp256k1 minus 1")]
    OutOfRange,
    /// `s` is in the upper half, where every signature has a second form.
    #[error("s is above half the order of secp256k1")]
    HighS,
    /// The last byte is neither 27 nor 28.
    #[error("the recovery byte is 27 or 28, found {found}")]
    RecoveryByte {
        /// The last byte.
        found: u8,
    },
    /// No key can have made the signature.
    #[error("no public key can be recovered")]
    NoKey,
    /// Another key made the signature, or it is for other content.
    #[error("the signature is by {found}, expected {expected}")]
    WrongSigner {
        /// The host that the receipt names.
        expected: Address,
        /// Whose signature it would be.
        found: Address,
    },
}

/// A recoverable ECDSA signature in its one accepted form: `r`, `s` (32 bytes each, big-endian, `s` in the lower half) and
/// `v` (27 or 28), as Solidity's `ecrecover` takes them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature([u8; Self::SIZE_BYTES]);

impl Signature {
    /// The size of a signature.
    pub const SIZE_BYTES: usize = 65;

    /// Takes `r || s || v`.
    ///
    /// # Errors
    ///
    /// [`SignatureError::OutOfRange`], [`SignatureError::HighS`] or [`SignatureError::RecoveryByte`].
    pub fn from_bytes(bytes: &[u8; Self::SIZE_BYTES]) -> Result<Self, SignatureError> {
        let signature = Self(*bytes);
        let scalars = signature.scalars()?;
        if scalars.normalize_s() != scalars {
            return Err(SignatureError::HighS);
        }
        match bytes[64] {
            V_EVEN | 28 => Ok(signature),
            found => Err(SignatureError::RecoveryByte { found }),
        }
    }

    /// `r || s || v`.
    pub const fn to_bytes(&self) -> [u8; Self::SIZE_BYTES] {
        self.0
    }

    /// `r` and `s`.
    fn scalars(&self) -> Result<ecdsa::Signature, SignatureError> {
        ecdsa::Signature::from_slice(&self.0[..64]).map_err(|_| SignatureError::OutOfRange)
    }

    /// The key that made this signature over `digest`.
    ///
    /// # Errors
    ///
    /// [`SignatureError::NoKey`] if none can have.
    pub fn recover(&self, digest: Digest) -> Result<HostPublicKey, SignatureError> {
        let recovery = RecoveryId::new(self.0[64] != V_EVEN, false);
        VerifyingKey::recover_from_prehash(digest.as_bytes(), &self.scalars()?, recovery)
            .map(HostPublicKey)
            .map_err(|_| SignatureError::NoKey)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}
