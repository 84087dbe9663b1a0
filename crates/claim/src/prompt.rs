//! The tokens that a model was prompted with, and where each came from.

use crate::coded::coded;
use crate::domain;
use crate::merkle::{self, RootBuilder};
use crate::{PromptRoot, TokenId};

coded! {
    /// Who put a token into the prompt.
    Origin, "origin" {
        /// The chat template: role markers, line breaks, the start-of-text token.
        Template = 0, "template";
        /// A system message.
        System = 1, "system";
        /// A developer message.
        Developer = 2, "developer";
        /// A user message.
        User = 3, "user";
        /// An earlier answer of the assistant.
        Assistant = 4, "assistant";
        /// The result of a tool.
        Tool = 5, "tool";
        /// A prompt sent as text or tokens, with no roles.
        Raw = 6, "raw";
    }
}

/// One token of a prompt.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PromptToken {
    /// The token.
    pub token: TokenId,
    /// Where it came from.
    pub origin: Origin,
}

impl PromptToken {
    /// A token with its origin.
    pub const fn new(token: TokenId, origin: Origin) -> Self {
        Self { token, origin }
    }

    /// The Merkle leaf at `index`: index, token, origin.
    pub fn leaf(self, index: u32) -> [u8; 9] {
        let mut leaf = [0; 9];
        leaf[..4].copy_from_slice(&index.to_le_bytes());
        leaf[4..8].copy_from_slice(&self.token.get().to_le_bytes());
        leaf[8] = self.origin.code();
        leaf
    }
}

/// The root of a prompt: a Merkle tree with a leaf per token, its count bound in.
///
/// # Panics
///
/// At 2^32 tokens, more than any [`Position`](crate::Position) can name.
pub fn prompt_root(prompt: &[PromptToken]) -> PromptRoot {
    let mut builder = RootBuilder::new();
    for (index, token) in prompt.iter().enumerate() {
        let index = u32::try_from(index).expect("a sequence has fewer than 2^32 positions");
        builder.push(&token.leaf(index));
    }
    PromptRoot::new(merkle::bind(domain::PROMPT, builder.count(), builder.root()))
}
