//! Evidence: everything besides the model that is needed to recompute a receipt.

use thiserror::Error;

use crate::encoding::{DecodeError, Decoder, Encoder};
use crate::vrf::VrfProof;
use crate::{Address, ChoiceIndex, Endpoint, Nonce, Origin, PromptToken, SeedKind, SeedProof, StateHash, TokenId};

/// The version of the evidence format that this code writes and reads.
const EVIDENCE_VERSION: u16 = 1;

/// What a receipt's fields are recomputed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Where the request came in.
    pub endpoint: Endpoint,
    /// The exact bytes of the request's body.
    pub request: Vec<u8>,
    /// The client's nonce.
    pub nonce: Nonce,
    /// Who asked, if the client said.
    pub client: Option<Address>,
    /// Which of the answers to the request this is.
    pub choice: ChoiceIndex,
    /// The tokens that the model was prompted with.
    pub prompt: Vec<PromptToken>,
    /// The answer's tokens.
    pub output: Vec<TokenId>,
    /// The hidden-state hash at each position from 0 to the last but one: the last output token was never fed back.
    pub states: Vec<StateHash>,
    /// What shows that the seed is the only one it could be.
    pub seed_proof: SeedProof,
    /// The answer's text.
    pub text: String,
}

/// Why evidence cannot be stored: it passes a limit that a reader would refuse.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field} is {found} long, at most {max} is stored")]
pub struct EvidenceError {
    /// The field.
    pub field: &'static str,
    /// The limit.
    pub max: usize,
    /// The field's length.
    pub found: usize,
}

impl Evidence {
    /// The longest request body: 8 MiB, what the gateway takes.
    pub const REQUEST_BYTES_MAX: usize = 8 << 20;
    /// The most tokens of a prompt, and of an output: 2^20, beyond the context of any model that is served.
    pub const TOKENS_MAX: usize = 1 << 20;
    /// The most state hashes: one for each token of both.
    pub const STATES_MAX: usize = 2 * Self::TOKENS_MAX;
    /// The longest text: 16 MiB, 16 bytes a token.
    pub const TEXT_BYTES_MAX: usize = 16 << 20;

    /// The canonical encoding.
    ///
    /// # Errors
    ///
    /// [`EvidenceError`] if a field passes its limit.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EvidenceError> {
        limit("request", self.request.len(), Self::REQUEST_BYTES_MAX)?;
        limit("prompt", self.prompt.len(), Self::TOKENS_MAX)?;
        limit("output", self.output.len(), Self::TOKENS_MAX)?;
        limit("states", self.states.len(), Self::STATES_MAX)?;
        limit("text", self.text.len(), Self::TEXT_BYTES_MAX)?;

        let mut encoder = Encoder::with_capacity(
            256 + self.request.len()
                + 5 * self.prompt.len()
                + 4 * self.output.len()
                + 32 * self.states.len()
                + self.text.len(),
        );
        encoder.u16(EVIDENCE_VERSION);
        encoder.coded(self.endpoint);
        encoder.bytes(&self.request);
        encoder.digest(self.nonce.get());
        encoder.optional_address(self.client);
        encoder.u32(self.choice.get());
        encoder.count(self.prompt.len());
        for &PromptToken { token, origin } in &self.prompt {
            encoder.u32(token.get());
            encoder.coded(origin);
        }
        encoder.count(self.output.len());
        self.output.iter().for_each(|token| encoder.u32(token.get()));
        encoder.count(self.states.len());
        self.states.iter().for_each(|state| encoder.digest(state.get()));
        encoder.coded(self.seed_proof.kind());
        match &self.seed_proof {
            SeedProof::Unused => {}
            SeedProof::Given(given) => encoder.u64(*given),
            SeedProof::Drawn(proof) => encoder.raw(&proof.to_bytes()),
        }
        encoder.text(&self.text);
        Ok(encoder.finish())
    }

    /// Reads the canonical encoding.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the bytes are not the encoding of evidence within the limits.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        decoder.version("evidence", EVIDENCE_VERSION)?;
        let evidence = Self {
            endpoint: decoder.coded()?,
            request: decoder.bytes("request", Self::REQUEST_BYTES_MAX)?.to_vec(),
            nonce: Nonce::new(decoder.digest("nonce")?),
            client: decoder.optional_address("client")?,
            choice: ChoiceIndex::new(decoder.u32("choice")?),
            prompt: list(&mut decoder, "prompt", Self::TOKENS_MAX, 5, prompt_token)?,
            output: list(&mut decoder, "output", Self::TOKENS_MAX, 4, |decoder| {
                decoder.u32("output token").map(TokenId::new)
            })?,
            states: list(&mut decoder, "states", Self::STATES_MAX, 32, |decoder| {
                decoder.digest("state").map(StateHash::new)
            })?,
            seed_proof: seed_proof(&mut decoder)?,
            text: decoder.text("text", Self::TEXT_BYTES_MAX)?.to_owned(),
        };
        decoder.finish()?;
        Ok(evidence)
    }
}

/// Compares a length with its limit.
fn limit(field: &'static str, found: usize, max: usize) -> Result<(), EvidenceError> {
    if found <= max { Ok(()) } else { Err(EvidenceError { field, max, found }) }
}

/// Takes a list of items of fixed size, its space allocated once and only after its count has been checked.
fn list<T>(
    decoder: &mut Decoder<'_>,
    field: &'static str,
    max: usize,
    item_bytes: usize,
    item: impl Fn(&mut Decoder<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let count = decoder.count(field, max, item_bytes)?;
    let mut items = Vec::with_capacity(count);
    for _ in 0..count {
        items.push(item(decoder)?);
    }
    Ok(items)
}

/// Takes one token of a prompt.
fn prompt_token(decoder: &mut Decoder<'_>) -> Result<PromptToken, DecodeError> {
    let token = TokenId::new(decoder.u32("prompt token")?);
    let origin: Origin = decoder.coded()?;
    Ok(PromptToken { token, origin })
}

/// Takes a seed proof: its kind and what the kind asks for.
fn seed_proof(decoder: &mut Decoder<'_>) -> Result<SeedProof, DecodeError> {
    match decoder.coded()? {
        SeedKind::Unused => Ok(SeedProof::Unused),
        SeedKind::Given => decoder.u64("given seed").map(SeedProof::Given),
        SeedKind::Drawn => Ok(SeedProof::Drawn(VrfProof::from_bytes(&decoder.array("seed proof")?)?)),
    }
}
