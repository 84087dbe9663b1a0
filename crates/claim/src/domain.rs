//! Every domain-separation string of Candor, in one place.
//!
//! A hash over an encoding starts with one of these, as a length byte and its ASCII text, so that bytes hashed for one
//! purpose never collide with bytes hashed for another. Changing a string changes every hash made with it: that is a
//! breaking change of the format it belongs to.

/// A domain-separation string. Values exist only in this module, so a grep of this file shows all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Domain(&'static str);

impl Domain {
    /// The text that is hashed.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

/// Declares the domains and the list of them, so that none can be missing from the uniqueness test.
macro_rules! domains {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: Domain = Domain($text);)*

        /// All domains, in the order of this file.
        pub const ALL: &[Domain] = &[$($name),*];
    };
}

domains! {
    /// Request bytes with endpoint, nonce and client: [`request_hash`](crate::request_hash).
    REQUEST = "candor/1/request";
    /// The counted Merkle root over prompt tokens: [`prompt_root`](crate::prompt_root).
    PROMPT = "candor/1/prompt";
    /// The sampling parameters: [`Sampling::hash`](crate::Sampling::hash).
    SAMPLING = "candor/1/sampling";
    /// The seed that a client gave itself.
    SEED_GIVEN = "candor/1/seed/given";
    /// The input of the host's verifiable random function for one request.
    SEED_ALPHA = "candor/1/seed/alpha";
    /// The seed drawn by the host's verifiable random function.
    SEED_DRAWN = "candor/1/seed/drawn";
    /// The random bits of one draw: [`Seed::draw_bits`](crate::Seed::draw_bits).
    DRAW = "candor/1/draw";
    /// The chain over output tokens: [`OutputChain`](crate::OutputChain).
    OUTPUT_CHAIN = "candor/1/output";
    /// The final hidden state of one position: [`state_hash`](crate::state_hash).
    STATE = "candor/1/state";
    /// The chain over state hashes: [`StateChain`](crate::StateChain).
    STATE_CHAIN = "candor/1/states";
    /// The model root: the counted Merkle root over the named parts of a model.
    MODEL = "candor/1/model";
    /// A model's hyper-parameters.
    MODEL_CONFIG = "candor/1/model/config";
    /// One quantised tensor of a model.
    MODEL_TENSOR = "candor/1/model/tensor";
    /// A named part of a model: the leaf of its root.
    MODEL_PART = "candor/1/model/part";
    /// A model's rotary table.
    MODEL_ROTARY = "candor/1/model/rotary";
    /// A model's tokenizer, chat template included.
    MODEL_TOKENIZER = "candor/1/model/tokenizer";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::ALL;

    #[test]
    fn domains_are_unique_and_short_ascii() {
        let unique: BTreeSet<&str> = ALL.iter().map(|domain| domain.as_str()).collect();
        assert_eq!(unique.len(), ALL.len());
        for text in unique {
            assert!(text.is_ascii() && text.starts_with("candor/1/") && text.len() < 56, "{text}");
        }
    }
}
