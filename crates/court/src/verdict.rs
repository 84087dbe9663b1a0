//! What a replay can say.

use std::fmt;

use claim::{Finish, Position, TokenCount, TokenId};

/// The judgement over one receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every checked statement is true.
    Held(Extent),
    /// The host has signed something false.
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
    /// Hidden states compared.
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
    /// The client asked something else.
    Request,
    /// The name in the request stands for another model root.
    ModelRoot {
        /// The root that the requested name stands for.
        expected: claim::ModelRoot,
        /// The root in the receipt.
        found: claim::ModelRoot,
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
        expected: Option<claim::PromptToken>,
        /// What the host consumed.
        found: Option<claim::PromptToken>,
    },
    /// The sampling parameters.
    Sampling {
        /// What the request means.
        expected: claim::SamplingHash,
        /// What the receipt says.
        found: claim::SamplingHash,
    },
    /// The seed does not follow from the request, or its proof fails.
    Seed {
        /// What is wrong with it.
        reason: String,
    },
    /// The token that the distribution and the seed give.
    Token {
        /// Redrawn.
        expected: TokenId,
        /// Signed.
        found: TokenId,
    },
    /// The text that the client was shown is not the text of the signed tokens.
    Text {
        /// Bytes that agree.
        common_bytes: usize,
    },
    /// The hash of the final hidden state.
    State {
        /// Recomputed.
        expected: claim::StateHash,
        /// Signed.
        found: claim::StateHash,
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
        expected: claim::Amount,
        /// Signed.
        found: claim::Amount,
    },
    /// The price per million tokens is above the agreed one.
    Price {
        /// Agreed.
        agreed: claim::Price,
        /// Signed.
        found: claim::Price,
    },
    /// The receipt ends before it starts.
    Time,
}

/// Why a receipt could not be checked. None of these speaks against the host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Obstacle {
    /// The model is not here.
    #[error("the model with root {root} is not at hand; pass it with --model FILE.gguf")]
    ModelNotAtHand {
        /// The root in the receipt.
        root: claim::ModelRoot,
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
    #[error("the evidence does not open the receipt: its {field} is not the signed one")]
    EvidenceMismatch {
        /// The part that differs.
        field: &'static str,
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
            Self::Request => write!(f, "the receipt is for another request than the one that was sent"),
            Self::ModelRoot { expected, found } => write!(f, "the requested model is {expected}, the receipt names {found}"),
            Self::Unanswerable { reason } => write!(f, "the request could not be answered: {reason}"),
            Self::Choice { choices } => write!(f, "the request asks for {choices} choices only"),
            Self::PromptToken { expected, found } => {
                write!(f, "the request gives {}, the host consumed {}", prompt_token(*expected), prompt_token(*found))
            }
            Self::Sampling { expected, found } => write!(f, "the request's sampling is {expected}, the receipt's {found}"),
            Self::Seed { reason } => write!(f, "the seed is not the agreed draw: {reason}"),
            Self::Token { expected, found } => write!(f, "the model gives token {expected}, the host signed {found}"),
            Self::Text { common_bytes } => write!(f, "the text shown leaves the signed tokens' text after {common_bytes} bytes"),
            Self::State { expected, found } => write!(f, "the model's hidden state is {expected}, the host signed {found}"),
            Self::Finish { expected: Some(expected), found } => {
                write!(f, "the answer ends by {}, the host signed {}", expected.name(), found.name())
            }
            Self::Finish { expected: None, found } => write!(f, "the answer has not ended, the host signed {}", found.name()),
            Self::Total { expected, found } => write!(f, "the tokens cost {expected}, the host signed {found}"),
            Self::Price { agreed, found } => write!(
                f,
                "agreed were {} and {} per million tokens, the host signed {} and {}",
                agreed.prompt_per_million, agreed.output_per_million, found.prompt_per_million, found.output_per_million
            ),
            Self::Time => write!(f, "the receipt ends before it starts"),
        }
    }
}

fn prompt_token(token: Option<claim::PromptToken>) -> String {
    token.map_or_else(|| "nothing".to_owned(), |token| format!("token {} ({})", token.token, token.origin.name()))
}
