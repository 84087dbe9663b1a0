//! Chains that grow by a token: what was output, and through which hidden states.
//!
//! A chain starts at `c_0 = H(domain)` and item i, counted from 0, gives `c_(i+1) = H(domain, c_i, item_i, i)`. Its root
//! is the last link, so a root fixes every item and their number, and the root of a prefix is a link on the way: two
//! parties who differ find the first differing item by comparing links.

use crate::domain::{self, Domain};
use crate::encoding::HashEncoder;
use crate::{Digest, OutputRoot, StateHash, StateRoot, TokenCount, TokenId};

/// The link before any item.
fn start(domain: Domain) -> Digest {
    HashEncoder::new(domain).finish()
}

/// The link after item `index`, whose canonical encoding is `item`.
fn link(domain: Domain, previous: Digest, item: &[u8], index: usize) -> Digest {
    let mut encoder = HashEncoder::new(domain);
    encoder.digest(previous);
    encoder.raw(item);
    encoder.u32(u32::try_from(index).expect("a sequence has fewer than 2^32 positions"));
    encoder.finish()
}

/// Declares a chain over one type of item.
macro_rules! chain {
    ($(#[$doc:meta])* $chain:ident, $root:ident, $domain:expr, $item:ident: $item_type:ty => $encoded:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $chain {
            /// Link i is the root of the first i items; never empty.
            links: Vec<Digest>,
        }

        impl $chain {
            /// The chain of no items.
            pub fn new() -> Self {
                Self { links: vec![start($domain)] }
            }

            /// The root of no items.
            pub fn start() -> $root {
                $root::new(start($domain))
            }

            /// The root after item `index`, from the root before it.
            pub fn next(previous: $root, $item: $item_type, index: u32) -> $root {
                $root::new(link($domain, previous.get(), $encoded, index as usize))
            }

            /// Adds an item.
            ///
            /// # Panics
            ///
            /// At 2^32 items, more than any [`Position`](crate::Position) can name.
            pub fn push(&mut self, $item: $item_type) {
                let index = self.links.len() - 1;
                self.links.push(link($domain, self.links[index], $encoded, index));
            }

            /// How many items there are.
            pub fn count(&self) -> TokenCount {
                TokenCount::new((self.links.len() - 1) as u32) // `push` stops before 2^32.
            }

            /// The root of all items.
            pub fn root(&self) -> $root {
                $root::new(self.links[self.links.len() - 1])
            }

            /// The root of the first `count` items, if there are so many.
            pub fn at(&self, count: TokenCount) -> Option<$root> {
                self.links.get(count.get() as usize).copied().map($root::new)
            }
        }

        impl Default for $chain {
            fn default() -> Self {
                Self::new()
            }
        }

        impl FromIterator<$item_type> for $chain {
            fn from_iter<I: IntoIterator<Item = $item_type>>(items: I) -> Self {
                let mut chain = Self::new();
                items.into_iter().for_each(|item| chain.push(item));
                chain
            }
        }
    };
}

chain! {
    /// The chain over an answer's tokens; 4 bytes an item.
    OutputChain, OutputRoot, domain::OUTPUT_CHAIN, token: TokenId => &token.get().to_le_bytes()
}

chain! {
    /// The chain over the hidden-state hashes of a sequence, from position 0; 32 bytes an item.
    StateChain, StateRoot, domain::STATE_CHAIN, state: StateHash => state.as_bytes()
}
