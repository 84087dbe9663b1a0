//! Log probabilities from the host's form to the two that clients know.

use api::response::chat::{ChatTokenLogprob, ChatTopLogprob};
use api::response::completion::{TextLogprobs, token_text};
use host::event::TokenLogprob;

/// For chat and responses.
pub(crate) fn chat(logprob: TokenLogprob) -> ChatTokenLogprob {
    let TokenLogprob { bytes, logprob, top, .. } = logprob;
    let top_logprobs = top.into_iter().map(|alternative| ChatTopLogprob {
        token: String::from_utf8_lossy(&alternative.bytes).into_owned(),
        logprob: alternative.logprob,
        bytes: alternative.bytes,
    });
    ChatTokenLogprob {
        token: String::from_utf8_lossy(&bytes).into_owned(),
        // Only a prompt's first token has none, and chat never shows prompts.
        logprob: logprob.unwrap_or(f32::NEG_INFINITY),
        top_logprobs: top_logprobs.collect(),
        bytes,
    }
}

/// Gathers the parallel lists of completions for one choice.
#[derive(Debug)]
pub(crate) struct TextGatherer {
    /// Characters before the next token.
    offset: u64,
    /// Whether alternatives were asked for.
    with_top: bool,
    lists: TextLogprobs,
}

impl TextGatherer {
    /// `top` is how many alternatives were asked for.
    pub(crate) fn new(top: u32) -> Self {
        Self { offset: 0, with_top: top > 0, lists: TextLogprobs::default() }
    }

    pub(crate) fn push(&mut self, token: &TokenLogprob) {
        let text = token_text(&token.bytes);
        let top =
            self.with_top.then(|| token.top.iter().map(|other| (token_text(&other.bytes), other.logprob)).collect());
        self.lists.push(self.offset, text, token.logprob, top);
        // A character starts at each byte that does not continue one.
        self.offset += token.bytes.iter().filter(|&&byte| byte & 0xc0 != 0x80).count() as u64;
    }

    /// The lists since the last call.
    pub(crate) fn take(&mut self) -> TextLogprobs {
        std::mem::take(&mut self.lists)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lists.tokens.is_empty()
    }
}
