//! The vocabulary of Candor: ids, tokens, sampling, chains, Merkle trees, receipts, signatures and the encodings that
//! bind them. Every other crate speaks in these types.
//!
//! A host that answers a request signs a [`Receipt`]. Whoever also holds the [`Evidence`] can recompute every field of
//! the receipt from it and from the model alone. The byte layout of everything that is hashed or stored is drawn in
//! `docs/receipt-format.md`; this crate is its only implementation.
//!
//! The crate is pure: it reads no file, no clock and no random source. Salts, nonces and key material come in as arguments.

pub mod domain;
pub mod encoding;
pub mod keystore;
pub mod merkle;
pub mod vrf;

mod chain;
mod coded;
mod content;
mod eip712;
mod evidence;
mod ids;
mod key;
mod prompt;
mod receipt;
mod request;
mod sampling;
mod seed;
mod state;

pub use chain::{OutputChain, StateChain};
pub use content::{ContentHasher, ContentId};
pub use evidence::{Evidence, EvidenceError};
pub use ids::{
    Address, AddressParseError, Amount, ChannelId, ChoiceIndex, Digest, DigestParseError, ModelRoot, Nonce, OutputRoot,
    Position, PromptRoot, ReceiptId, RequestHash, SamplingHash, Seed, StateHash, StateRoot, TokenCount, TokenId,
    UnixMillis,
};
pub use key::{HostKey, HostPublicKey, KeyError, Signature, SignatureError};
pub use prompt::{Origin, PromptToken, prompt_root};
pub use receipt::{ARITHMETIC_VERSION, Engine, Finish, KvType, Price, RECEIPT_VERSION, Receipt, SignedReceipt};
pub use request::{Endpoint, request_hash};
pub use sampling::{Grammar, Sampling};
pub use seed::{SeedError, SeedKind, SeedProof};
pub use state::{STATE_PIECE_LEN, state_hash};
