//! What a replay can say.

use std::fmt;

use claim::{
    Address, Amount, ChannelId, ChoiceIndex, Finish, ModelRoot, Position, Price, PromptRoot, PromptToken, RequestHash,
    SamplingHash, Seed, SeedKind, StateHash, StateRoot, TokenCount, TokenId,
};

/// The judgement over one receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every checked statement is true.
    Held(Extent),
    /// The host has signed something false; for [`Kind::Signature`], the host has not signed this at all.
    Refuted(Refutation),
    /// The statement could not be checked.
    Cannot(Obstacle),
}

/// What was recomputed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Tokens of the prompt.
    pub prompt: TokenCount,
    /// Tokens of the answer.
    pub output: TokenCount,
    /// Positions whose hidden state was computed and compared; fewer than all when only a window was checked.
    pub states: TokenCount,
    /// Output tokens redrawn; fewer than `output` when only a window was checked.
    pub redrawn: TokenCount,
}

/// Which field of the receipt is false.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Another model than the one asked for.
    Model,
    /// Another prompt than the request means.
    Prompt,
    /// Other sampling parameters, or another seed.
    Sampling,
    /// A token that the model and the seed do not give.
    Token,
    /// A hidden state that the model does not have there.
    State,
    /// Another end than the answer has.
    Finish,
    /// Not signed by the host it names.
    Signature,
    /// Another price than agreed, or a wrong sum.
    Price,
}

impl Kind {
    /// The name used in reports and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Prompt => "prompt",
            Self::Sampling => "sampling",
            Self::Token => "token",
            Self::State => "state",
            Self::Finish => "finish",
            Self::Signature => "signature",
            Self::Price => "price",
        }
    }
}

/// The first difference between what was signed and what is true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refutation {
    /// Which field is false.
    pub kind: Kind,
    /// The first position that differs, where the difference has one; counted from the first prompt token.
    pub position: Option<Position>,
    /// What was found there.
    pub difference: Difference,
}

/// Expected and found at the first difference.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// The signature is not the host's.
    Signature,
    /// Another host than the one that was asked.
    Host {
        /// Who was asked.
        expected: Address,
        /// Who signed.
        found: Address,
    },
    /// The client asked something else.
    Request {
        /// What was asked.
        expected: RequestHash,
        /// What was signed.
        found: RequestHash,
    },
    /// The client was sent the receipt for another of its choices.
    OtherChoice {
        /// The choice it was sent for.
        expected: ChoiceIndex,
        /// The choice that was signed.
        found: ChoiceIndex,
    },
    /// The name in the request stands for another model root.
    ModelRoot {
        /// The root that the requested name stands for.
        expected: ModelRoot,
        /// The root in the receipt.
        found: ModelRoot,
    },
    /// The request has no meaning that could be answered.
    Unanswerable {
        /// What is wrong with it.
        reason: String,
    },
    /// The request has fewer choices than the receipt's index says.
    Choice {
        /// Choices of the request.
        choices: usize,
    },
    /// A prompt token, or its origin; `None` where one side has ended.
    PromptToken {
        /// What the request means.
        expected: Option<PromptToken>,
        /// What the host consumed.
        found: Option<PromptToken>,
    },
    /// The prompt, where the evidence does not show it token by token.
    PromptRoot {
        /// Root of what the request means.
        expected: PromptRoot,
        /// Signed.
        found: PromptRoot,
    },
    /// More tokens shared with an earlier answer than can be.
    SharedPrefix {
        /// Tokens of the prompt; none without an earlier answer.
        shared_max: TokenCount,
        /// Signed.
        found: TokenCount,
    },
    /// The sampling parameters.
    Sampling {
        /// What the request means.
        expected: SamplingHash,
        /// What the receipt says.
        found: SamplingHash,
    },
    /// Where the seed comes from.
    SeedKind {
        /// What the request asks for.
        expected: SeedKind,
        /// Signed.
        found: SeedKind,
    },
    /// The seed is not the one that follows from the request and the host's proof.
    Seed {
        /// What follows.
        expected: Seed,
        /// Signed.
        found: Seed,
    },
    /// The token that the distribution and the seed give.
    Token {
        /// Redrawn.
        expected: TokenId,
        /// Signed.
        found: TokenId,
    },
    /// No token can stand there, or this one never can.
    NoToken {
        /// Signed.
        found: TokenId,
        /// What is in the way.
        reason: String,
    },
    /// The text that the client was shown is not the text of the signed tokens.
    Text {
        /// Bytes that agree.
        common_bytes: usize,
    },
    /// The hash of the final hidden state.
    State {
        /// Recomputed.
        expected: StateHash,
        /// Signed.
        found: StateHash,
    },
    /// The model has no state there: its arithmetic leaves the numbers.
    NoState {
        /// Where and how.
        reason: String,
    },
    /// The number of hidden states.
    StateCount {
        /// As many as the tokens make.
        expected: usize,
        /// Signed.
        found: usize,
    },
    /// The chain over the hidden states, where the evidence does not show them one by one.
    StateRoot {
        /// Recomputed.
        expected: StateRoot,
        /// Signed.
        found: StateRoot,
    },
    /// How the answer ends; `None` where it has not ended.
    Finish {
        /// What the tokens and the sampling parameters say.
        expected: Option<Finish>,
        /// What the receipt says.
        found: Finish,
    },
    /// The sum, from the token counts and the prices.
    Total {
        /// Recomputed.
        expected: Amount,
        /// Signed.
        found: Amount,
    },
    /// The price per million tokens is above the agreed one.
    Price {
        /// Agreed.
        agreed: Price,
        /// Signed.
        found: Price,
    },
    /// The channel that pays.
    Channel {
        /// Agreed.
        expected: ChannelId,
        /// Signed.
        found: ChannelId,
    },
    /// The receipt is made out to somebody who did not ask.
    Client {
        /// Who asked; zero if the client did not say.
        expected: Address,
        /// Signed.
        found: Address,
    },
    /// The receipt ends before it starts.
    Time,
    /// The host handed over evidence that does not open its own receipt.
    Evidence {
        /// The part that does not.
        part: Part,
    },
}

/// A part of the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The request's bytes, nonce or client.
    Request,
    /// The index of the choice.
    Choice,
    /// The prompt's tokens.
    Prompt,
    /// The answer's tokens.
    Output,
    /// The hidden states.
    States,
    /// The proof of the seed.
    SeedProof,
    /// The answer's text.
    Text,
}

impl Part {
    /// The name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Choice => "choice",
            Self::Prompt => "prompt",
            Self::Output => "output",
            Self::States => "states",
            Self::SeedProof => "seed proof",
            Self::Text => "text",
        }
    }

    /// The field of the receipt that the part opens.
    pub fn kind(self) -> Kind {
        match self {
            Self::Request | Self::Choice | Self::Prompt => Kind::Prompt,
            Self::Output | Self::Text => Kind::Token,
            Self::States => Kind::State,
            Self::SeedProof => Kind::Sampling,
        }
    }
}

/// Why a receipt could not be checked. None of these speaks against the host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Obstacle {
    /// The model is not here.
    #[error("the model with root {root} is not at hand; pass it with --model FILE.gguf")]
    ModelNotAtHand {
        /// The root in the receipt.
        root: ModelRoot,
    },
    /// The receipt is of another version of the format.
    #[error("the receipt is of version {found}, this program knows {known}")]
    VersionUnknown {
        /// The version in the receipt.
        found: u16,
        /// The version known.
        known: u16,
    },
    /// The receipt was made under other rules.
    #[error("the receipt uses arithmetic version {found}, this program knows {known}")]
    EngineUnknown {
        /// The version in the receipt.
        found: u16,
        /// The version known.
        known: u16,
    },
    /// The evidence is not what was signed, so it proves nothing.
    #[error("the evidence does not open the receipt: its {} is not what was signed", part.name())]
    EvidenceMismatch {
        /// The part that differs.
        part: Part,
    },
    /// The window lies outside the answer.
    #[error("the window {start}..{end} lies outside the answer of {output} tokens")]
    Window {
        /// First output token.
        start: usize,
        /// One past the last.
        end: usize,
        /// Tokens of the answer.
        output: usize,
    },
    /// The engine could not run the tokens.
    #[error("the replay stopped: {reason}")]
    Replay {
        /// What stopped it.
        reason: String,
    },
}

impl fmt::Display for Refutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind.name())?;
        if let Some(position) = self.position {
            write!(f, " at position {position}")?;
        }
        write!(f, ": {}", self.difference)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signature => write!(f, "the signature is not the named host's"),
            Self::Host { expected, found } => write!(f, "{expected} was asked, {found} signed"),
            Self::Request { expected, found } => {
                write!(f, "the request sent is {expected}, the receipt is for {found}")
            }
            Self::OtherChoice { expected, found } => {
                write!(f, "the receipt was sent for choice {expected} and is for {found}")
            }
            Self::ModelRoot { expected, found } => {
                write!(f, "the requested model is {expected}, the receipt names {found}")
            }
            Self::Unanswerable { reason } => write!(f, "the request could not be answered: {reason}"),
            Self::Choice { choices } => write!(f, "the request asks for {choices} choices only"),
            Self::PromptToken { expected, found } => {
                write!(f, "the request gives {}, the host consumed {}", prompt_token(*expected), prompt_token(*found))
            }
            Self::Sampling { expected, found } => {
                write!(f, "the request's sampling is {expected}, the receipt's {found}")
            }
            Self::PromptRoot { expected, found } => {
                write!(f, "the request gives the prompt {expected}, the host signed {found}")
            }
            Self::SharedPrefix { shared_max, found } => {
                write!(f, "at most {shared_max} tokens can be shared with the earlier answer, the host signed {found}")
            }
            Self::SeedKind { expected, found } => {
                write!(f, "the request asks for a seed that is {}, the host signed {}", expected.name(), found.name())
            }
            Self::Seed { expected, found } => write!(f, "the seed to draw by is {expected}, the host signed {found}"),
            Self::Token { expected, found } => write!(f, "the model gives token {expected}, the host signed {found}"),
            Self::NoToken { found, reason } => write!(f, "the host signed token {found}, which cannot be: {reason}"),
            Self::Text { common_bytes } => {
                write!(f, "the text shown leaves the signed tokens' text after {common_bytes} bytes")
            }
            Self::State { expected, found } => {
                write!(f, "the model's hidden state is {expected}, the host signed {found}")
            }
            Self::NoState { reason } => write!(f, "the model has no hidden state there: {reason}"),
            Self::StateCount { expected, found } => {
                write!(f, "the tokens make {expected} hidden states, the host signed {found}")
            }
            Self::StateRoot { expected, found } => {
                write!(f, "the hidden states' chain is {expected}, the host signed {found}")
            }
            Self::Finish { expected: Some(expected), found } => {
                write!(f, "the answer ends by {}, the host signed {}", expected.name(), found.name())
            }
            Self::Finish { expected: None, found } => {
                write!(f, "the answer has not ended, the host signed {}", found.name())
            }
            Self::Total { expected, found } => write!(f, "the tokens cost {expected}, the host signed {found}"),
            Self::Price { agreed, found } => write!(
                f,
                "agreed were {} and {} per million tokens, the host signed {} and {}",
                agreed.prompt_per_million,
                agreed.output_per_million,
                found.prompt_per_million,
                found.output_per_million
            ),
            Self::Channel { expected, found } => write!(f, "the channel agreed is {expected}, the host signed {found}"),
            Self::Client { expected, found } => {
                write!(f, "the client is {expected}, the receipt is made out to {found}")
            }
            Self::Evidence { part } => write!(f, "the {} that the host handed over is not what it signed", part.name()),
            Self::Time => write!(f, "the receipt ends before it starts"),
        }
    }
}

fn prompt_token(token: Option<PromptToken>) -> String {
    token.map_or_else(|| "nothing".to_owned(), |token| format!("token {} ({})", token.token, token.origin.name()))
}
