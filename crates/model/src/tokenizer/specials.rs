//! Special tokens: found in the text before anything else is encoded.

use aho_corasick::{AhoCorasick, AhoCorasickKind, Anchored, Input, MatchKind, StartKind};
use claim::TokenId;
use std::ops::Range;
use std::sync::Arc;

use super::TokenizerError;
use super::vocabulary::{Kind, Vocabulary};

/// Most bytes of all special tokens together. Gemma, which has the most, stays under 256 KiB; the automaton takes some
/// tens of bytes for each.
const SPECIAL_BYTES_MAX: usize = 2 << 20;

/// The special tokens of a vocabulary, ready to be found. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Specials {
    /// Control, unknown and user-defined tokens; none when there are none.
    all: Option<Finder>,
    /// User-defined tokens only.
    user_defined: Option<Finder>,
}

/// The leftmost longest occurrence of any of some tokens.
#[derive(Debug, Clone)]
struct Finder {
    automaton: AhoCorasick,
    tokens: Arc<[(TokenId, Kind)]>,
}

/// A special token in the text.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) token: TokenId,
    pub(super) range: Range<usize>,
    kind: Kind,
}

impl Specials {
    pub(super) fn new(vocabulary: &Vocabulary) -> Result<Self, TokenizerError> {
        let named = |wanted: fn(Kind) -> bool| -> Vec<(TokenId, Kind)> {
            let tokens = vocabulary.kinds();
            tokens.filter(|&(token, kind)| wanted(kind) && !vocabulary.bytes(token).is_empty()).collect()
        };
        let all = named(|kind| matches!(kind, Kind::Control | Kind::Unknown | Kind::UserDefined));
        let found = all.iter().map(|&(token, _)| vocabulary.bytes(token).len()).sum();
        if found > SPECIAL_BYTES_MAX {
            return Err(TokenizerError::SpecialsTooLarge { found, limit: SPECIAL_BYTES_MAX });
        }
        let user_defined = named(|kind| kind == Kind::UserDefined);
        Ok(Self { all: Finder::new(vocabulary, all)?, user_defined: Finder::new(vocabulary, user_defined)? })
    }

    /// The first special token at or after `from`. A control token counts only where `may_control` allows its place:
    /// text that a user wrote can name the end of a turn but never end it.
    pub(super) fn next(&self, text: &str, from: usize, may_control: &impl Fn(&Range<usize>) -> bool) -> Option<Found> {
        let all = self.all.as_ref()?;
        let mut at = from;
        loop {
            let found = all.find(text, at, Anchored::No)?;
            if found.kind == Kind::UserDefined || may_control(&found.range) {
                return Some(found);
            }
            // The control token may hide a shorter user-defined one that starts with it.
            let start = found.range.start;
            if let Some(shorter) = self.user_defined.as_ref().and_then(|users| users.find(text, start, Anchored::Yes)) {
                return Some(shorter);
            }
            at = after_first_char(text, start);
        }
    }

    /// Where the names of control tokens begin in a text, overlapping ones too.
    pub(crate) fn control_names(&self, text: &str) -> Vec<usize> {
        let mut starts = Vec::new();
        let mut at = 0;
        while let Some(found) = self.all.as_ref().and_then(|all| all.find(text, at, Anchored::No)) {
            at = after_first_char(text, found.range.start);
            if found.kind != Kind::UserDefined {
                starts.push(found.range.start);
            }
        }
        starts
    }
}

fn after_first_char(text: &str, at: usize) -> usize {
    at + text[at..].chars().next().map_or(1, char::len_utf8)
}

impl Finder {
    fn new(vocabulary: &Vocabulary, tokens: Vec<(TokenId, Kind)>) -> Result<Option<Self>, TokenizerError> {
        if tokens.is_empty() {
            return Ok(None);
        }
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .start_kind(StartKind::Both)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(tokens.iter().map(|&(token, _)| vocabulary.bytes(token)))
            .map_err(|_| TokenizerError::SpecialAutomaton)?;
        Ok(Some(Self { automaton, tokens: tokens.into() }))
    }

    fn find(&self, text: &str, from: usize, anchored: Anchored) -> Option<Found> {
        let input = Input::new(text).range(from..).anchored(anchored);
        let found = self.automaton.find(input)?;
        let (token, kind) = self.tokens[found.pattern().as_usize()];
        Some(Found { token, range: found.range(), kind })
    }
}
