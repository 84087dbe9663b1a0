//! A verifiable random function on secp256k1.
//!
//! The construction is ECVRF of RFC 9381 with the hash-to-curve method "try and increment" and SHA-256. RFC 9381 names no
//! suite for secp256k1; this is the suite `ECVRF-SECP256K1-SHA256-TAI` as others have it, with these parameters:
//!
//! - suite string `0xFE`; group secp256k1 with its order n and generator B; cofactor 1; secret scalar x = the secret key;
//! - points as 33-byte compressed SEC1 strings; challenges 16 bytes; integers big-endian; hash SHA-256;
//! - the salt of the hash to the curve is the public key's string, as in the P-256 suite.
//!
//! Proving at `alpha` with the key pair (x, Y = xB):
//!
//! 1. H = the first point among `02 || SHA-256(FE || 01 || Y || alpha || ctr || 00)`, ctr = 0, 1, ..., 255, that is on the curve.
//! 2. Gamma = xH. k = the nonce of RFC 6979 (SHA-256, no extra input) for the secret x and the message H, as a string.
//! 3. c = the first 16 bytes of `SHA-256(FE || 02 || Y || H || Gamma || kB || kH || 00)`.
//! 4. s = (k + cx) mod n. The proof is Gamma (33 bytes), c (16), s (32).
//! 5. The output is `SHA-256(FE || 03 || Gamma || 00)`.
//!
//! Verifying recomputes H, U = sB - cY, V = sH - cGamma and asks that the challenge over Y, H, Gamma, U, V equals c.
//!
//! Why a host cannot choose: Gamma is fixed by x and H, so the output is fixed by the key and `alpha`; a proof for another
//! Gamma needs a hash value that equals a chosen challenge. Gamma and Y are points of a group of prime order, so no small
//! subgroup offers a second output. A proof is read only if Gamma is a compressed point and s is below n; the identity has
//! no such string.
//!
//! The key that signs receipts also computes this function. Both draw their nonces by RFC 6979 from the key and a hash: a
//! keccak-256 of typed data there, a SHA-256 of a point's string here. A nonce is shared only if two such hashes are equal.
//!
//! Step 1 takes a number of tries that depends on `alpha`, so its time does too: `alpha` is public here.

use k256::elliptic_curve::group::GroupEncoding as _;
use k256::elliptic_curve::ops::Reduce as _;
use k256::elliptic_curve::{Curve as _, PrimeField as _};
use k256::{AffinePoint, FieldBytes, NonZeroScalar, ProjectivePoint, Scalar, Secp256k1};
use rfc6979::KGenerator;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::{Digest, HostPublicKey};

/// The suite string, which starts every hash.
const SUITE: u8 = 0xfe;

/// The output of the function: 32 bytes that nobody without the key can tell from random ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VrfOutput(Digest);

impl VrfOutput {
    /// The 32 bytes, as a digest.
    pub const fn get(self) -> Digest {
        self.0
    }
}

/// A proof that an output is the function's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VrfProof {
    gamma: AffinePoint,
    challenge: [u8; 16],
    response: Scalar,
}

/// Why a proof is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VrfError {
    /// The first 33 bytes are not a compressed point.
    #[error("gamma is not a compressed point of secp256k1")]
    Gamma,
    /// The last 32 bytes are not below the group's order.
    #[error("s is not below the order of secp256k1")]
    Response,
    /// No point was found for the input. Nobody will see this: it happens once in 2^256 inputs.
    #[error("the input maps to no point of the curve")]
    NoPoint,
    /// The proof is for another key or another input.
    #[error("the proof does not fit the key and the input")]
    WrongChallenge,
}

impl VrfProof {
    /// The size of a proof.
    pub const SIZE_BYTES: usize = 81;

    /// Reads a proof: gamma, c, s.
    ///
    /// # Errors
    ///
    /// [`VrfError::Gamma`] or [`VrfError::Response`] if the bytes cannot be a proof for any key and input.
    pub fn from_bytes(bytes: &[u8; Self::SIZE_BYTES]) -> Result<Self, VrfError> {
        let gamma = std::array::from_fn(|index| bytes[index]);
        let challenge = std::array::from_fn(|index| bytes[33 + index]);
        let response: [u8; 32] = std::array::from_fn(|index| bytes[49 + index]);
        Ok(Self {
            gamma: decompress(&gamma).ok_or(VrfError::Gamma)?,
            challenge,
            response: Option::from(Scalar::from_repr(response.into())).ok_or(VrfError::Response)?,
        })
    }

    /// The bytes: gamma, c, s.
    pub fn to_bytes(&self) -> [u8; Self::SIZE_BYTES] {
        let mut bytes = [0; Self::SIZE_BYTES];
        bytes[..33].copy_from_slice(&self.gamma.to_bytes());
        bytes[33..49].copy_from_slice(&self.challenge);
        bytes[49..].copy_from_slice(&self.response.to_bytes());
        bytes
    }

    /// The output that the proof is about. It means nothing before [`verify`] has accepted the proof.
    fn output(&self) -> VrfOutput {
        let hash = Sha256::new().chain_update([SUITE, 0x03]).chain_update(self.gamma.to_bytes()).chain_update([0]);
        VrfOutput(Digest::new(hash.finalize().into()))
    }
}

/// Checks a proof and gives the function's output at `alpha` under the key.
///
/// # Errors
///
/// [`VrfError::WrongChallenge`] if the proof is for another key or another input.
pub fn verify(key: &HostPublicKey, alpha: &[u8], proof: &VrfProof) -> Result<VrfOutput, VrfError> {
    let base = hash_to_curve(key, alpha)?;
    let c = challenge_scalar(proof.challenge);
    let u = ProjectivePoint::GENERATOR * proof.response - ProjectivePoint::from(*key.point()) * c;
    let v = base * proof.response - ProjectivePoint::from(proof.gamma) * c;
    if challenge(key, &[base, proof.gamma.into(), u, v]) == proof.challenge {
        Ok(proof.output())
    } else {
        Err(VrfError::WrongChallenge)
    }
}

/// Computes the output at `alpha`, with its proof.
pub(crate) fn prove(secret: &NonZeroScalar, key: &HostPublicKey, alpha: &[u8]) -> (VrfProof, VrfOutput) {
    let base = hash_to_curve(key, alpha).expect("each of 256 tries finds a point with probability 1/2");
    let gamma = base * secret.as_ref();
    let k = nonce(secret, &base);
    let challenge = challenge(key, &[base, gamma, ProjectivePoint::GENERATOR * k, base * k]);
    let response = k + challenge_scalar(challenge) * secret.as_ref();
    let proof = VrfProof { gamma: gamma.to_affine(), challenge, response };
    (proof, proof.output())
}

/// The point with these 33 bytes as its compressed string. The string of the identity is refused.
fn decompress(bytes: &[u8; 33]) -> Option<AffinePoint> {
    if !matches!(bytes[0], 0x02 | 0x03) {
        return None;
    }
    Option::from(AffinePoint::from_bytes(&(*bytes).into()))
}

/// Try and increment: the first candidate that is the x-coordinate of a point, with the even y-coordinate.
fn hash_to_curve(key: &HostPublicKey, alpha: &[u8]) -> Result<ProjectivePoint, VrfError> {
    let prefix = Sha256::new().chain_update([SUITE, 0x01]).chain_update(key.to_bytes()).chain_update(alpha);
    for counter in 0..=u8::MAX {
        let mut candidate = [0x02; 33];
        candidate[1..].copy_from_slice(&prefix.clone().chain_update([counter, 0]).finalize());
        if let Some(point) = decompress(&candidate) {
            return Ok(point.into());
        }
    }
    Err(VrfError::NoPoint)
}

/// The nonce of RFC 6979 for the message that is the point's string.
fn nonce(secret: &NonZeroScalar, base: &ProjectivePoint) -> Scalar {
    let hash = Sha256::digest(base.to_affine().to_bytes());
    let secret = zeroize::Zeroizing::new(<[u8; 32]>::from(secret.to_bytes()));
    let mut bytes = zeroize::Zeroizing::new([0; 32]);
    KGenerator::<Sha256, _>::new(secret.as_slice(), &hash, &[], Secp256k1::ORDER.as_ref()).fill_next_k(bytes.as_mut());
    Scalar::reduce(&FieldBytes::from(*bytes))
}

/// The first 16 bytes of the hash over the public key and four points: H, Gamma, U, V.
fn challenge(key: &HostPublicKey, points: &[ProjectivePoint; 4]) -> [u8; 16] {
    let mut hash = Sha256::new().chain_update([SUITE, 0x02]).chain_update(key.to_bytes());
    for point in points {
        hash.update(point.to_affine().to_bytes());
    }
    let hash: [u8; 32] = hash.chain_update([0]).finalize().into();
    *hash.first_chunk().expect("32 bytes are more than 16")
}

/// A challenge as a number.
fn challenge_scalar(challenge: [u8; 16]) -> Scalar {
    Scalar::from(u128::from_be_bytes(challenge))
}
