//! Receipts: what a host signs about one answer.
//!
//! A receipt has a fixed size and is the same thing in two forms. As bytes it is the fields of [`Receipt`] in order, in
//! the canonical encoding: [`Receipt::SIZE_BYTES`] in all. As EIP-712 typed data every field is one 32-byte word in the
//! same order, under the domain `{ name: "Candor", version: "1" }`; the digest of that is the receipt's id and what the
//! host signs. The domain names no chain and no contract: a receipt is a statement about an answer, wherever it is judged.

use crate::coded::coded;
use crate::eip712::{self, Word};
use crate::encoding::{DecodeError, Decoder, Encoder};
use crate::{
    Address, Amount, ChannelId, ChoiceIndex, Digest, HostPublicKey, ModelRoot, OutputRoot, PromptRoot, ReceiptId,
    RequestHash, SamplingHash, Seed, SeedKind, Signature, SignatureError, StateRoot, TokenCount, UnixMillis,
};

/// The version of the receipt format that this code writes and reads.
pub const RECEIPT_VERSION: u16 = 1;

/// The version of the canonical arithmetic (CA-1) that this code computes.
pub const ARITHMETIC_VERSION: u16 = 1;

const DOMAIN_TYPE: &str = "EIP712Domain(string name,string version)";

const RECEIPT_TYPE: &str = "Receipt(uint16 version,bytes32 modelRoot,uint16 arithmetic,uint8 kv,bytes32 requestHash,\
    uint32 choice,bytes32 promptRoot,bytes32 sampling,bytes32 seed,uint8 seedKind,bytes32 outputRoot,uint8 finish,\
    bytes32 stateRoot,bytes32 previous,uint32 prefixLength,uint64 promptPerMillion,uint64 outputPerMillion,uint128 total,\
    bytes32 channel,address host,address client,uint64 started,uint64 finished)";

coded! {
    /// The number format of the key-value cache.
    KvType, "key-value type" {
        /// binary16.
        F16 = 0, "f16";
        /// binary32.
        F32 = 1, "f32";
    }
}

coded! {
    /// Why an answer ended.
    Finish, "finish" {
        /// It has not: the receipt covers the tokens so far of an open stream.
        Prefix = 0, "prefix";
        /// An end-of-text token was drawn.
        Stop = 1, "stop";
        /// One of the client's stop texts came up.
        StopString = 2, "stop_string";
        /// The answer has as many tokens as the client allowed.
        Length = 3, "length";
        /// The model's context is full.
        Context = 4, "context";
        /// The grammar allows nothing further.
        Grammar = 5, "grammar";
        /// The client went away.
        Cancelled = 6, "cancelled";
    }
}

/// How the model was computed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Engine {
    /// The version of the canonical arithmetic.
    pub arithmetic: u16,
    /// The number format of the key-value cache.
    pub kv: KvType,
}

impl Engine {
    /// This code's arithmetic, with a key-value cache of the given format.
    pub const fn new(kv: KvType) -> Self {
        Self { arithmetic: ARITHMETIC_VERSION, kv }
    }
}

/// What a million tokens cost, in micro-dollars.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Price {
    /// For a million tokens of the prompt.
    pub prompt_per_million: u64,
    /// For a million tokens of the output.
    pub output_per_million: u64,
}

impl Price {
    /// Nothing costs anything.
    pub const FREE: Self = Self::new(0, 0);

    /// A price for prompt and output tokens.
    pub const fn new(prompt_per_million: u64, output_per_million: u64) -> Self {
        Self { prompt_per_million, output_per_million }
    }

    /// What an answer costs, rounded down once, after the sum. It cannot overflow: the sum stays below 2^97.
    pub fn total_floor(self, prompt: TokenCount, output: TokenCount) -> Amount {
        let prompt = u128::from(self.prompt_per_million) * u128::from(prompt.get());
        let output = u128::from(self.output_per_million) * u128::from(output.get());
        Amount::new((prompt + output) / 1_000_000)
    }
}

/// What a host states about one answer. Each field exposes a lie; `docs/receipt-format.md` says which.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Receipt {
    /// The format's version, [`RECEIPT_VERSION`].
    pub version: u16,
    /// The model.
    pub model_root: ModelRoot,
    /// How it was computed.
    pub engine: Engine,
    /// What was asked.
    pub request_hash: RequestHash,
    /// Which of the answers to the request this is.
    pub choice: ChoiceIndex,
    /// The tokens that the model was prompted with.
    pub prompt_root: PromptRoot,
    /// How tokens were chosen.
    pub sampling: SamplingHash,
    /// The key of the random draws.
    pub seed: Seed,
    /// Where the seed came from.
    pub seed_kind: SeedKind,
    /// The answer's tokens.
    pub output_root: OutputRoot,
    /// Why the answer ended.
    pub finish: Finish,
    /// The hidden states that the tokens came from.
    pub state_root: StateRoot,
    /// The receipt of the conversation's previous answer; zero if there is none.
    pub previous: ReceiptId,
    /// How many tokens the prompt shares with the sequence of the previous receipt.
    pub prefix_length: TokenCount,
    /// What tokens cost.
    pub price: Price,
    /// What this answer costs.
    pub total: Amount,
    /// The channel that pays for it; zero if none does.
    pub channel: ChannelId,
    /// Who answered, and signs.
    pub host: Address,
    /// Who asked; zero if the client did not say.
    pub client: Address,
    /// When the host took the request.
    pub started: UnixMillis,
    /// When the host signed.
    pub finished: UnixMillis,
}

impl Receipt {
    /// The size of an encoded receipt.
    pub const SIZE_BYTES: usize = 391;

    /// The EIP-712 digest, which the host signs.
    pub fn digest(&self) -> Digest {
        let domain = eip712::hash_struct(DOMAIN_TYPE, &[Word::text("Candor"), Word::text("1")]);
        eip712::signing_digest(domain, eip712::hash_struct(RECEIPT_TYPE, &self.words()))
    }

    /// The receipt's id: its [`digest`](Self::digest).
    pub fn id(&self) -> ReceiptId {
        ReceiptId::new(self.digest())
    }

    /// The fields as EIP-712 has them, a big-endian word each: what a contract reads.
    pub fn eip712_words(&self) -> [[u8; 32]; 23] {
        self.words().map(Word::to_bytes)
    }

    /// The fields as EIP-712 words, in the order of `RECEIPT_TYPE`.
    fn words(&self) -> [Word; 23] {
        [
            Word::uint(self.version),
            Word::digest(self.model_root.get()),
            Word::uint(self.engine.arithmetic),
            Word::uint(self.engine.kv.code()),
            Word::digest(self.request_hash.get()),
            Word::uint(self.choice.get()),
            Word::digest(self.prompt_root.get()),
            Word::digest(self.sampling.get()),
            Word::digest(self.seed.get()),
            Word::uint(self.seed_kind.code()),
            Word::digest(self.output_root.get()),
            Word::uint(self.finish.code()),
            Word::digest(self.state_root.get()),
            Word::digest(self.previous.get()),
            Word::uint(self.prefix_length.get()),
            Word::uint(self.price.prompt_per_million),
            Word::uint(self.price.output_per_million),
            Word::uint(self.total.get()),
            Word::digest(self.channel.get()),
            Word::address(self.host),
            Word::address(self.client),
            Word::uint(self.started.get()),
            Word::uint(self.finished.get()),
        ]
    }

    /// The canonical encoding.
    pub fn to_bytes(&self) -> [u8; Self::SIZE_BYTES] {
        let mut encoder = Encoder::with_capacity(Self::SIZE_BYTES);
        encoder.u16(self.version);
        encoder.digest(self.model_root.get());
        encoder.u16(self.engine.arithmetic);
        encoder.coded(self.engine.kv);
        encoder.digest(self.request_hash.get());
        encoder.u32(self.choice.get());
        encoder.digest(self.prompt_root.get());
        encoder.digest(self.sampling.get());
        encoder.digest(self.seed.get());
        encoder.coded(self.seed_kind);
        encoder.digest(self.output_root.get());
        encoder.coded(self.finish);
        encoder.digest(self.state_root.get());
        encoder.digest(self.previous.get());
        encoder.u32(self.prefix_length.get());
        encoder.u64(self.price.prompt_per_million);
        encoder.u64(self.price.output_per_million);
        encoder.u128(self.total.get());
        encoder.digest(self.channel.get());
        encoder.address(self.host);
        encoder.address(self.client);
        encoder.u64(self.started.get());
        encoder.u64(self.finished.get());
        let mut bytes = [0; Self::SIZE_BYTES];
        bytes.copy_from_slice(&encoder.finish());
        bytes
    }

    /// Reads the canonical encoding.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the bytes are not the encoding of a receipt of [`RECEIPT_VERSION`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let receipt = Self::decode(&mut decoder)?;
        decoder.finish()?;
        Ok(receipt)
    }

    /// Takes a receipt's fields.
    fn decode(decoder: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        decoder.version("receipt", RECEIPT_VERSION)?;
        Ok(Self {
            version: RECEIPT_VERSION,
            model_root: ModelRoot::new(decoder.digest("model root")?),
            engine: Engine { arithmetic: decoder.u16("arithmetic")?, kv: decoder.coded()? },
            request_hash: RequestHash::new(decoder.digest("request hash")?),
            choice: ChoiceIndex::new(decoder.u32("choice")?),
            prompt_root: PromptRoot::new(decoder.digest("prompt root")?),
            sampling: SamplingHash::new(decoder.digest("sampling")?),
            seed: Seed::new(decoder.digest("seed")?),
            seed_kind: decoder.coded()?,
            output_root: OutputRoot::new(decoder.digest("output root")?),
            finish: decoder.coded()?,
            state_root: StateRoot::new(decoder.digest("state root")?),
            previous: ReceiptId::new(decoder.digest("previous receipt")?),
            prefix_length: TokenCount::new(decoder.u32("prefix length")?),
            price: Price::new(decoder.u64("prompt price")?, decoder.u64("output price")?),
            total: Amount::new(decoder.u128("total")?),
            channel: ChannelId::new(decoder.digest("channel")?),
            host: decoder.address("host")?,
            client: decoder.address("client")?,
            started: UnixMillis::new(decoder.u64("started")?),
            finished: UnixMillis::new(decoder.u64("finished")?),
        })
    }
}

/// A receipt with its host's signature.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SignedReceipt {
    /// What the host states.
    pub receipt: Receipt,
    /// The host's signature over [`Receipt::digest`].
    pub signature: Signature,
}

impl SignedReceipt {
    /// The size of an encoded signed receipt.
    pub const SIZE_BYTES: usize = Receipt::SIZE_BYTES + Signature::SIZE_BYTES;

    /// A receipt and its signature, not compared yet.
    pub const fn new(receipt: Receipt, signature: Signature) -> Self {
        Self { receipt, signature }
    }

    /// The receipt's id.
    pub fn id(&self) -> ReceiptId {
        self.receipt.id()
    }

    /// Checks that the receipt's host signed it.
    ///
    /// # Errors
    ///
    /// [`SignatureError`] if it did not.
    pub fn verify(&self) -> Result<(), SignatureError> {
        self.host_key().map(|_| ())
    }

    /// The public key of the receipt's host, recovered from its signature and held against its address.
    ///
    /// # Errors
    ///
    /// [`SignatureError`] if the receipt's host did not sign it.
    pub fn host_key(&self) -> Result<HostPublicKey, SignatureError> {
        let key = self.signature.recover(self.receipt.digest())?;
        let found = key.address();
        let expected = self.receipt.host;
        if found == expected { Ok(key) } else { Err(SignatureError::WrongSigner { expected, found }) }
    }

    /// The canonical encoding: the receipt's, then the signature.
    pub fn to_bytes(&self) -> [u8; Self::SIZE_BYTES] {
        let mut bytes = [0; Self::SIZE_BYTES];
        let (receipt, signature) = bytes.split_at_mut(Receipt::SIZE_BYTES);
        receipt.copy_from_slice(&self.receipt.to_bytes());
        signature.copy_from_slice(&self.signature.to_bytes());
        bytes
    }

    /// Reads the canonical encoding. The signature's form is checked; [`verify`](Self::verify) checks who made it.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the bytes are not the encoding of a signed receipt.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let receipt = Receipt::decode(&mut decoder)?;
        let signature = Signature::from_bytes(&decoder.array("signature")?)?;
        decoder.finish()?;
        Ok(Self { receipt, signature })
    }
}

// A signed receipt stays within the design's budget.
const _: () = assert!(SignedReceipt::SIZE_BYTES <= 1024);
