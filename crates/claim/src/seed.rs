//! Where the randomness of an answer comes from.
//!
//! Neither side may shop for a seed it likes. If the client sends one, the draw hangs on nothing else, so that any host
//! gives the same text. Otherwise the host draws it with a verifiable random function of the request: it cannot choose,
//! for there is one output per key and request, and the client cannot foresee it. At temperature 0 nothing is drawn.

use thiserror::Error;

use crate::coded::coded;
use crate::domain;
use crate::encoding::HashEncoder;
use crate::vrf::{self, VrfError, VrfOutput, VrfProof};
use crate::{ChoiceIndex, Digest, HostKey, HostPublicKey, Nonce, Position, RequestHash, Seed};

coded! {
    /// Where a seed came from.
    SeedKind, "seed kind" {
        /// No randomness: the temperature is 0 and the seed is zero.
        Unused = 0, "unused";
        /// The client's own `seed`.
        Given = 1, "given";
        /// The host's verifiable random function.
        Drawn = 2, "drawn";
    }
}

/// What shows that a seed is the only one it could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeedProof {
    /// No randomness was used.
    Unused,
    /// The client's own `seed`.
    Given(u64),
    /// The host's proof for this request.
    Drawn(VrfProof),
}

/// Why a seed proof does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SeedError {
    /// The host's proof does not hold.
    #[error("the seed's proof does not hold: {0}")]
    Proof(#[from] VrfError),
}

impl Seed {
    /// The 64 random bits of the draw at one position: the first 8 bytes, little-endian, of `H("candor/1/draw", seed,
    /// u32 position)`. SHA-256, because a contract may have to draw again.
    pub fn draw_bits(self, position: Position) -> u64 {
        let mut encoder = HashEncoder::new(domain::DRAW);
        encoder.digest(self.get());
        encoder.u32(position.get());
        let [a, b, c, d, e, f, g, h, ..] = *encoder.finish().as_bytes();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

impl SeedProof {
    /// Draws for a request: the proof that serves all its choices.
    pub fn draw(key: &HostKey, request: RequestHash, nonce: Nonce) -> Self {
        Self::Drawn(key.prove(alpha(request, nonce).as_bytes()).0)
    }

    /// Where the seed came from.
    pub const fn kind(&self) -> SeedKind {
        match self {
            Self::Unused => SeedKind::Unused,
            Self::Given(_) => SeedKind::Given,
            Self::Drawn(_) => SeedKind::Drawn,
        }
    }

    /// The seed of one choice, after checking the proof against the host's key.
    ///
    /// Whether the client did send that seed, or none, is for the reader of the request to compare.
    ///
    /// # Errors
    ///
    /// [`SeedError::Proof`] if the host's proof does not hold for this key and request.
    pub fn seed(
        &self,
        host: &HostPublicKey,
        request: RequestHash,
        nonce: Nonce,
        choice: ChoiceIndex,
    ) -> Result<Seed, SeedError> {
        match self {
            Self::Unused => Ok(Seed::ZERO),
            Self::Given(given) => Ok(given_seed(*given, choice)),
            Self::Drawn(proof) => {
                let output = vrf::verify(host, alpha(request, nonce).as_bytes(), proof)?;
                Ok(drawn_seed(request, nonce, output, choice))
            }
        }
    }
}

/// The input of the random function for one request.
fn alpha(request: RequestHash, nonce: Nonce) -> Digest {
    let mut encoder = HashEncoder::new(domain::SEED_ALPHA);
    encoder.digest(request.get());
    encoder.digest(nonce.get());
    encoder.finish()
}

/// The seed of one choice where the client gave one.
fn given_seed(given: u64, choice: ChoiceIndex) -> Seed {
    let mut encoder = HashEncoder::new(domain::SEED_GIVEN);
    encoder.u64(given);
    encoder.u32(choice.get());
    Seed::new(encoder.finish())
}

/// The seed of one choice where the host drew.
fn drawn_seed(request: RequestHash, nonce: Nonce, output: VrfOutput, choice: ChoiceIndex) -> Seed {
    let mut encoder = HashEncoder::new(domain::SEED_DRAWN);
    encoder.digest(request.get());
    encoder.digest(nonce.get());
    encoder.digest(output.get());
    encoder.u32(choice.get());
    Seed::new(encoder.finish())
}
