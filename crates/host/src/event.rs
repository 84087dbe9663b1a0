//! What a host hands back for a request: the parsed request and a queue of what happens to it.

use api::{ApiError, Request};
use claim::{
    Address, ChoiceIndex, Evidence, Finish, ModelRoot, Price, SeedProof, SignedReceipt, TokenCount, TokenId, UnixMillis,
};
use tokio::sync::mpsc;

/// A model that a host serves, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedModel {
    /// The name that requests use.
    pub name: String,
    /// Root over everything an answer depends on; receipts carry it.
    pub root: ModelRoot,
    /// Longest context in tokens.
    pub context_length: TokenCount,
    /// Whether the model has a chat template.
    pub chat: bool,
    /// The address that signs.
    pub host: Address,
    /// When the model was taken into service.
    pub since: UnixMillis,
    /// What tokens cost.
    pub price: Price,
}

impl ServedModel {
    /// Whether a request that names its model so asks for this one: by its name, by its root, or not at all.
    pub fn answers_to(&self, name: &str) -> bool {
        name.is_empty() || name == self.name || name == self.root.to_string()
    }
}

/// An answer in the making.
///
/// Dropping it cancels every choice that is still open; the host then signs nothing further for them.
#[derive(Debug)]
pub struct Answer {
    /// What was asked.
    pub request: Request,
    /// Root of the model that answers.
    pub model_root: ModelRoot,
    /// Number of choices, prompts times `n`: indices run from 0 to this.
    pub choices: u32,
    /// What happens, in order per choice: `Echo` if asked for, then `Token` and `Progress`, then one `Done`. `Failed` may
    /// come at any place and ends the whole answer. The queue is bounded; when a client reads so slowly that it is full,
    /// the host cancels the answer, because a batch never waits for one client.
    pub events: mpsc::Receiver<HostEvent>,
}

/// One thing that happened to an answer.
#[derive(Debug)]
pub enum HostEvent {
    /// The prompt, for a request with `echo`.
    Echo {
        /// Which choice.
        choice: ChoiceIndex,
        /// The prompt's text.
        text: String,
        /// The prompt's tokens with log probabilities; empty unless the request asked for them.
        logprobs: Vec<TokenLogprob>,
    },
    /// A token was drawn.
    Token {
        /// Which choice.
        choice: ChoiceIndex,
        /// The token.
        token: TokenId,
        /// Text to append now. Empty while bytes are held back: part of a character, or of a possible stop string.
        text: String,
        /// Its log probability, if the request asked for it.
        logprob: Option<Box<TokenLogprob>>,
    },
    /// The host signed for the answer so far, so that a client whose connection breaks holds a receipt for that.
    Progress(Box<Progress>),
    /// A choice is complete.
    Done(Box<Done>),
    /// The answer failed and no further event comes.
    Failed(ApiError),
}

/// A choice so far: what the host signed for the tokens that came before this.
#[derive(Debug, Clone)]
pub struct Progress {
    /// Which choice.
    pub choice: ChoiceIndex,
    /// Receipt with finish `Prefix`.
    pub receipt: SignedReceipt,
    /// What shows that the receipt's seed is the only one it could be. Request and tokens open the rest.
    pub seed_proof: SeedProof,
}

/// A complete choice.
#[derive(Debug, Clone)]
pub struct Done {
    /// Which choice.
    pub choice: ChoiceIndex,
    /// Why it ended.
    pub finish: Finish,
    /// Text that was held back and belongs to the answer after all; append it.
    pub tail: String,
    /// Prompt tokens whose state was at hand from an earlier request.
    pub cached: TokenCount,
    /// What the host signed.
    pub receipt: SignedReceipt,
    /// What the receipt's fields are recomputed from.
    pub evidence: Evidence,
}

/// One token's log probability with the likeliest alternatives.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprob {
    /// The token.
    pub token: TokenId,
    /// Its bytes, which may be part of a character.
    pub bytes: Vec<u8>,
    /// Natural logarithm of its probability under the model, before temperature and filters; none for the first token of
    /// a prompt, which nothing came before.
    pub logprob: Option<f32>,
    /// The likeliest tokens at this place, likeliest first, as many as the request asked for.
    pub top: Vec<Alternative>,
}

/// A token that could have been drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Alternative {
    /// The token.
    pub token: TokenId,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Natural logarithm of its probability.
    pub logprob: f32,
}
