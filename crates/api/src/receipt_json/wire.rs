//! The JSON structs and their conversion to and from claim's types.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use claim::vrf::VrfProof;
use claim::{
    Address, Amount, ChannelId, ChoiceIndex, Digest, Endpoint, Engine, Evidence, Finish, KvType, ModelRoot, Nonce,
    Origin, OutputRoot, Price, PromptRoot, PromptToken, RECEIPT_VERSION, Receipt, ReceiptId, RequestHash, SamplingHash,
    Seed, SeedKind, SeedProof, Signature, SignedReceipt, StateHash, StateRoot, TokenCount, TokenId, UnixMillis,
};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use super::{ClientRecord, Document, Ending, ReceiptJsonError, VERSION};

/// A receipt with signature and, where known, evidence.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignedReceiptJson<'a> {
    /// Version of this form, 1.
    pub version: u32,
    /// Receipt id: the EIP-712 digest of `receipt`.
    #[schema(value_type = String)]
    pub id: Text<Digest>,
    /// What the host states.
    pub receipt: ReceiptJson,
    /// `r`, `s` and `v` of the host's secp256k1 signature over the id.
    #[schema(value_type = String)]
    pub signature: Bytes<{ Signature::SIZE_BYTES }>,
    /// What the receipt's fields are recomputed from.
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    pub evidence: Option<EvidenceJson<'a>>,
    /// What the client itself keeps; a server never sends it.
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    pub kept_by_client: Option<ClientRecordJson<'a>>,
}

/// What a client remembers of an answer that it asked for.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientRecordJson<'a> {
    /// Hash of the request that was sent.
    #[schema(value_type = String)]
    pub request_hash: Text<Digest>,
    /// Which answer to the request, from 0.
    pub choice: u32,
    /// The text that was shown.
    #[schema(value_type = String)]
    pub text: Cow<'a, str>,
    /// `closed`, or `broken_off` where the connection ended before the answer did.
    pub ending: Ending,
}

/// What a host states about one answer.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReceiptJson {
    /// Version of the receipt format, 1.
    pub version: u16,
    /// Root over weights, hyper-parameters, tokenizer and template.
    #[schema(value_type = String)]
    pub model_root: Text<Digest>,
    /// How the model was computed.
    pub engine: EngineJson,
    /// Hash of request bytes, endpoint, nonce and client.
    #[schema(value_type = String)]
    pub request_hash: Text<Digest>,
    /// Which answer to the request, from 0.
    pub choice: u32,
    /// Merkle root over the prompt's tokens.
    #[schema(value_type = String)]
    pub prompt_root: Text<Digest>,
    /// Hash of the sampling parameters.
    #[schema(value_type = String)]
    pub sampling: Text<Digest>,
    /// Key of the random draws.
    #[schema(value_type = String)]
    pub seed: Text<Digest>,
    /// `unused`, `given` or `drawn`.
    #[schema(value_type = String)]
    pub seed_kind: Word<SeedKind>,
    /// Chain over the answer's tokens.
    #[schema(value_type = String)]
    pub output_root: Text<Digest>,
    /// `prefix`, `stop`, `stop_string`, `length`, `context`, `grammar` or `cancelled`.
    #[schema(value_type = String)]
    pub finish: Word<Finish>,
    /// Chain over the hidden states.
    #[schema(value_type = String)]
    pub state_root: Text<Digest>,
    /// Receipt of the conversation's previous answer; zero if none.
    #[schema(value_type = String)]
    pub previous: Text<Digest>,
    /// Tokens that the prompt shares with the previous receipt's sequence.
    pub prefix_length: u32,
    /// What tokens cost.
    pub price: PriceJson,
    /// What this answer costs, in micro-dollars.
    #[schema(value_type = String)]
    pub total: Text<u128>,
    /// Payment channel; zero if none.
    #[schema(value_type = String)]
    pub channel: Text<Digest>,
    /// Who answered.
    #[schema(value_type = String)]
    pub host: Text<Address>,
    /// Who asked; zero if not said.
    #[schema(value_type = String)]
    pub client: Text<Address>,
    /// When the host took the request, Unix time in milliseconds.
    pub started: u64,
    /// When the host signed, Unix time in milliseconds.
    pub finished: u64,
}

/// How the model was computed.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EngineJson {
    /// Version of the canonical arithmetic.
    pub arithmetic: u16,
    /// `f16` or `f32`.
    #[schema(value_type = String)]
    pub kv: Word<KvType>,
}

/// What a million tokens cost, in micro-dollars.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceJson {
    /// Of the prompt.
    #[schema(value_type = String)]
    pub prompt_per_million: Text<u64>,
    /// Of the answer.
    #[schema(value_type = String)]
    pub output_per_million: Text<u64>,
}

impl From<Price> for PriceJson {
    fn from(price: Price) -> Self {
        Self { prompt_per_million: Text(price.prompt_per_million), output_per_million: Text(price.output_per_million) }
    }
}

/// What a receipt's fields are recomputed from.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EvidenceJson<'a> {
    /// `chat`, `completions` or `responses`.
    #[schema(value_type = String)]
    pub endpoint: Word<Endpoint>,
    /// The request's exact bytes, when they are UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub request: Option<Cow<'a, str>>,
    /// The request's exact bytes in base64, when they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_base64: Option<String>,
    /// The client's nonce.
    #[schema(value_type = String)]
    pub nonce: Text<Digest>,
    /// Who asked, if the client said.
    #[schema(value_type = Option<String>, required)]
    pub client: Option<Text<Address>>,
    /// Which answer to the request, from 0.
    pub choice: u32,
    /// The prompt's tokens, in order.
    pub prompt: Vec<PromptSegment>,
    /// The answer's tokens.
    pub output: Vec<u32>,
    /// Hidden-state hashes at positions from 0; the last output token has none.
    #[serde(serialize_with = "write_states", deserialize_with = "read_states")]
    #[schema(value_type = Vec<String>)]
    pub states: Cow<'a, [StateHash]>,
    /// What shows that the seed is the only one it could be.
    pub seed_proof: SeedProofJson,
    /// The answer's text.
    #[schema(value_type = String)]
    pub text: Cow<'a, str>,
}

/// Prompt tokens in a row that came from the same place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PromptSegment {
    /// `template`, `system`, `developer`, `user`, `assistant`, `tool` or `raw`.
    #[schema(value_type = String)]
    pub origin: Word<Origin>,
    /// The tokens.
    pub tokens: Vec<u32>,
}

/// What shows that a seed is the only one it could be.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum SeedProofJson {
    /// No randomness was used.
    Unused {},
    /// The client's own seed.
    Given {
        /// The seed.
        #[schema(value_type = String)]
        seed: Text<u64>,
    },
    /// The host's verifiable random function.
    Drawn {
        /// The proof.
        #[schema(value_type = String)]
        proof: Bytes<{ VrfProof::SIZE_BYTES }>,
    },
}

impl<'a> SignedReceiptJson<'a> {
    /// The JSON form of a receipt.
    pub fn new(
        signed: &SignedReceipt,
        evidence: Option<&'a Evidence>,
        kept_by_client: Option<&'a ClientRecord>,
    ) -> Self {
        Self {
            version: VERSION,
            id: Text(signed.id().get()),
            receipt: ReceiptJson::new(&signed.receipt),
            signature: Bytes(signed.signature.to_bytes()),
            evidence: evidence.map(EvidenceJson::new),
            kept_by_client: kept_by_client.map(|record| ClientRecordJson {
                request_hash: Text(record.request.get()),
                choice: record.choice.get(),
                text: Cow::Borrowed(&record.text),
                ending: record.ending,
            }),
        }
    }

    pub(super) fn into_document(self) -> Result<Document, ReceiptJsonError> {
        if self.version != VERSION {
            return Err(ReceiptJsonError::Version { what: "the document", expected: VERSION, found: self.version });
        }
        let receipt = self.receipt.into_receipt()?;
        Ok(Document {
            receipt: SignedReceipt::new(receipt, Signature::from_bytes(&self.signature.0)?),
            evidence: self.evidence.map(EvidenceJson::into_evidence).transpose()?,
            kept_by_client: self.kept_by_client.map(ClientRecordJson::into_record).transpose()?,
            stated_id: ReceiptId::new(self.id.0),
        })
    }
}

impl ClientRecordJson<'_> {
    fn into_record(self) -> Result<ClientRecord, ReceiptJsonError> {
        let (max, found) = (Evidence::TEXT_BYTES_MAX, self.text.len());
        if found > max {
            return Err(ReceiptJsonError::TooLong { field: "kept_by_client.text", max, found });
        }
        Ok(ClientRecord {
            request: RequestHash::new(self.request_hash.0),
            choice: ChoiceIndex::new(self.choice),
            text: self.text.into_owned(),
            ending: self.ending,
        })
    }
}

impl ReceiptJson {
    fn new(receipt: &Receipt) -> Self {
        Self {
            version: receipt.version,
            model_root: Text(receipt.model_root.get()),
            engine: EngineJson { arithmetic: receipt.engine.arithmetic, kv: Word(receipt.engine.kv) },
            request_hash: Text(receipt.request_hash.get()),
            choice: receipt.choice.get(),
            prompt_root: Text(receipt.prompt_root.get()),
            sampling: Text(receipt.sampling.get()),
            seed: Text(receipt.seed.get()),
            seed_kind: Word(receipt.seed_kind),
            output_root: Text(receipt.output_root.get()),
            finish: Word(receipt.finish),
            state_root: Text(receipt.state_root.get()),
            previous: Text(receipt.previous.get()),
            prefix_length: receipt.prefix_length.get(),
            price: receipt.price.into(),
            total: Text(receipt.total.get()),
            channel: Text(receipt.channel.get()),
            host: Text(receipt.host),
            client: Text(receipt.client),
            started: receipt.started.get(),
            finished: receipt.finished.get(),
        }
    }

    fn into_receipt(self) -> Result<Receipt, ReceiptJsonError> {
        if self.version != RECEIPT_VERSION {
            let (expected, found) = (u32::from(RECEIPT_VERSION), u32::from(self.version));
            return Err(ReceiptJsonError::Version { what: "the receipt", expected, found });
        }
        Ok(Receipt {
            version: self.version,
            model_root: ModelRoot::new(self.model_root.0),
            engine: Engine { arithmetic: self.engine.arithmetic, kv: self.engine.kv.0 },
            request_hash: RequestHash::new(self.request_hash.0),
            choice: ChoiceIndex::new(self.choice),
            prompt_root: PromptRoot::new(self.prompt_root.0),
            sampling: SamplingHash::new(self.sampling.0),
            seed: Seed::new(self.seed.0),
            seed_kind: self.seed_kind.0,
            output_root: OutputRoot::new(self.output_root.0),
            finish: self.finish.0,
            state_root: StateRoot::new(self.state_root.0),
            previous: ReceiptId::new(self.previous.0),
            prefix_length: TokenCount::new(self.prefix_length),
            price: Price::new(self.price.prompt_per_million.0, self.price.output_per_million.0),
            total: Amount::new(self.total.0),
            channel: ChannelId::new(self.channel.0),
            host: self.host.0,
            client: self.client.0,
            started: UnixMillis::new(self.started),
            finished: UnixMillis::new(self.finished),
        })
    }
}

impl SeedProofJson {
    /// The JSON form of a seed proof.
    pub(crate) fn new(proof: SeedProof) -> Self {
        match proof {
            SeedProof::Unused => Self::Unused {},
            SeedProof::Given(seed) => Self::Given { seed: Text(seed) },
            SeedProof::Drawn(proof) => Self::Drawn { proof: Bytes(proof.to_bytes()) },
        }
    }

    /// The seed proof, if it has a valid form.
    pub(crate) fn read(&self) -> Result<SeedProof, ReceiptJsonError> {
        Ok(match self {
            Self::Unused {} => SeedProof::Unused,
            Self::Given { seed } => SeedProof::Given(seed.0),
            Self::Drawn { proof } => {
                SeedProof::Drawn(VrfProof::from_bytes(&proof.0).map_err(|_| ReceiptJsonError::SeedProof)?)
            }
        })
    }
}

impl<'a> EvidenceJson<'a> {
    fn new(evidence: &'a Evidence) -> Self {
        let request = std::str::from_utf8(&evidence.request).ok();
        Self {
            endpoint: Word(evidence.endpoint),
            request: request.map(Cow::Borrowed),
            request_base64: request.is_none().then(|| BASE64.encode(&evidence.request)),
            nonce: Text(evidence.nonce.get()),
            client: evidence.client.map(Text),
            choice: evidence.choice.get(),
            prompt: segments(&evidence.prompt),
            output: evidence.output.iter().map(|token| token.get()).collect(),
            states: Cow::Borrowed(&evidence.states),
            seed_proof: SeedProofJson::new(evidence.seed_proof),
            text: Cow::Borrowed(&evidence.text),
        }
    }

    fn into_evidence(self) -> Result<Evidence, ReceiptJsonError> {
        let request = match (self.request, self.request_base64) {
            (Some(text), None) => text.into_owned().into_bytes(),
            (None, Some(base64)) => BASE64.decode(base64).map_err(|_| ReceiptJsonError::Base64)?,
            _ => return Err(ReceiptJsonError::Request),
        };
        limit("request", request.len(), Evidence::REQUEST_BYTES_MAX)?;
        let prompt_length = self.prompt.iter().map(|segment| segment.tokens.len()).sum();
        limit("prompt", prompt_length, Evidence::TOKENS_MAX)?;
        limit("output", self.output.len(), Evidence::TOKENS_MAX)?;
        limit("states", self.states.len(), Evidence::STATES_MAX)?;
        limit("text", self.text.len(), Evidence::TEXT_BYTES_MAX)?;
        let mut prompt = Vec::with_capacity(prompt_length);
        for PromptSegment { origin, tokens } in self.prompt {
            prompt.extend(tokens.into_iter().map(|token| PromptToken::new(TokenId::new(token), origin.0)));
        }
        Ok(Evidence {
            endpoint: self.endpoint.0,
            request,
            nonce: Nonce::new(self.nonce.0),
            client: self.client.map(|client| client.0),
            choice: ChoiceIndex::new(self.choice),
            prompt,
            output: self.output.into_iter().map(TokenId::new).collect(),
            states: self.states.into_owned(),
            seed_proof: self.seed_proof.read()?,
            text: self.text.into_owned(),
        })
    }
}

fn limit(field: &'static str, found: usize, max: usize) -> Result<(), ReceiptJsonError> {
    if found <= max { Ok(()) } else { Err(ReceiptJsonError::TooLong { field, max, found }) }
}

fn segments(prompt: &[PromptToken]) -> Vec<PromptSegment> {
    prompt
        .chunk_by(|left, right| left.origin == right.origin)
        .map(|run| PromptSegment {
            origin: Word(run[0].origin),
            tokens: run.iter().map(|token| token.token.get()).collect(),
        })
        .collect()
}

fn write_states<S: Serializer>(states: &[StateHash], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(states.iter().map(|state| Bytes(state.get().get())))
}

fn read_states<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'static, [StateHash]>, D::Error> {
    let states = Vec::<Bytes<32>>::deserialize(deserializer)?;
    Ok(states.into_iter().map(|state| StateHash::new(Digest::new(state.0))).collect())
}

/// A value that is written as its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<T>(pub T);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor<T>(PhantomData<T>);
        impl<T: FromStr<Err: Display>> Visitor<'_> for TextVisitor<T> {
            type Value = Text<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<T>, E> {
                text.parse().map(Text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(TextVisitor(PhantomData))
    }
}

/// Bytes of a fixed number, written as `0x` and hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes<const N: usize>(pub [u8; N]);

impl<const N: usize> Serialize for Bytes<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The longest value is a seed proof of 81 bytes.
        let mut digits = [0_u8; 2 + 2 * 81];
        digits[..2].copy_from_slice(b"0x");
        let digits = &mut digits[..2 + 2 * N];
        hex::encode_to_slice(self.0, &mut digits[2..]).expect("two digits hold a byte");
        serializer.serialize_str(std::str::from_utf8(digits).expect("hexadecimal digits are ASCII"))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Bytes<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BytesVisitor<const N: usize>;
        impl<const N: usize> Visitor<'_> for BytesVisitor<N> {
            type Value = Bytes<N>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "0x and {} hexadecimal digits", 2 * N)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes<N>, E> {
                let mut bytes = [0; N];
                let read = text.strip_prefix("0x").map(|digits| hex::decode_to_slice(digits, &mut bytes));
                if read == Some(Ok(())) {
                    Ok(Bytes(bytes))
                } else {
                    Err(E::invalid_value(de::Unexpected::Str(""), &self))
                }
            }
        }
        deserializer.deserialize_str(BytesVisitor)
    }
}

/// A member of a closed set, written as its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word<T>(pub T);

/// A closed set whose members have names.
pub trait Named: Copy + Sized {
    /// What the set holds, for error messages.
    const WHAT: &'static str;
    /// The member's name.
    fn name_of(self) -> &'static str;
    /// The member with this name.
    fn named(name: &str) -> Option<Self>;
}

macro_rules! named {
    ($($set:ty, $what:literal;)*) => {$(
        impl Named for $set {
            const WHAT: &'static str = $what;
            fn name_of(self) -> &'static str {
                self.name()
            }
            fn named(name: &str) -> Option<Self> {
                Self::from_name(name)
            }
        }
    )*};
}

named! {
    SeedKind, "a seed kind";
    Finish, "a finish";
    KvType, "a key-value type";
    Endpoint, "an endpoint";
    Origin, "an origin";
}

impl<T: Named> Serialize for Word<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name_of())
    }
}

impl<'de, T: Named> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordVisitor<T>(PhantomData<T>);
        impl<T: Named> Visitor<'_> for WordVisitor<T> {
            type Value = Word<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(T::WHAT)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Word<T>, E> {
                T::named(text).map(Word).ok_or_else(|| E::invalid_value(de::Unexpected::Other("another word"), &self))
            }
        }
        deserializer.deserialize_str(WordVisitor(PhantomData))
    }
}
