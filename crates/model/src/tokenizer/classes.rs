//! Unicode classes of characters, from the tables of `regex-syntax`.
//!
//! They are the tables that the reference tokenizers' regular expressions are compiled from, so both sides agree on
//! every character of the same Unicode version, also on those that were assigned last year.

use regex_syntax::hir::{Class, HirKind};

/// A set of character classes, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClassSet(u8);

impl ClassSet {
    /// General category L.
    pub(super) const LETTER: Self = Self(1);
    /// General category M.
    pub(super) const MARK: Self = Self(2);
    /// General category N.
    pub(super) const NUMBER: Self = Self(4);
    /// The property `White_Space`.
    pub(super) const SPACE: Self = Self(8);
    /// General category P.
    pub(super) const PUNCTUATION: Self = Self(16);
    /// General category S.
    pub(super) const SYMBOL: Self = Self(32);

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// Each class with the expression that names it.
const SOURCES: [(ClassSet, &str); 6] = [
    (ClassSet::LETTER, r"\p{L}"),
    (ClassSet::MARK, r"\p{M}"),
    (ClassSet::NUMBER, r"\p{N}"),
    (ClassSet::SPACE, r"\s"),
    (ClassSet::PUNCTUATION, r"\p{P}"),
    (ClassSet::SYMBOL, r"\p{S}"),
];

/// The classes of every character.
#[derive(Debug, Clone)]
pub(super) struct Classes {
    ascii: [ClassSet; 128],
    /// First character of each run of equal classes, and the classes; sorted, the first run starts at 0.
    runs: Vec<(u32, ClassSet)>,
}

impl Classes {
    /// Builds the table: about 2,700 runs, in well under a millisecond.
    pub(super) fn new() -> Self {
        let runs = runs();
        let mut table = Self { ascii: [ClassSet(0); 128], runs };
        for code in 0..128_u32 {
            table.ascii[code as usize] = table.find(code);
        }
        table
    }

    pub(super) fn of(&self, character: char) -> ClassSet {
        let code = u32::from(character);
        match self.ascii.get(code as usize) {
            Some(&classes) => classes,
            None => self.find(code),
        }
    }

    fn find(&self, code: u32) -> ClassSet {
        let after = self.runs.partition_point(|&(start, _)| start <= code);
        self.runs[after - 1].1
    }
}

/// Sweeps over the ranges of all classes and notes where the set of classes changes.
fn runs() -> Vec<(u32, ClassSet)> {
    // At each code, the classes that begin or end there: a class flips when its bit is seen.
    let mut flips: Vec<(u32, u8)> = vec![(0, 0)];
    for (class, expression) in SOURCES {
        for (start, end) in ranges(expression) {
            flips.push((start, class.0));
            flips.push((end + 1, class.0));
        }
    }
    flips.sort_unstable();
    let mut runs: Vec<(u32, ClassSet)> = Vec::new();
    let mut classes = 0;
    for (code, flip) in flips {
        classes ^= flip;
        match runs.last_mut() {
            Some(run) if run.0 == code => run.1 = ClassSet(classes),
            _ => runs.push((code, ClassSet(classes))),
        }
    }
    runs
}

/// The code ranges of a character class, both ends included. Adjacent ranges are merged by the parser.
pub(super) fn ranges(expression: &str) -> Vec<(u32, u32)> {
    let parsed = regex_syntax::parse(expression).expect("the expressions are constants of this crate and well formed");
    match parsed.kind() {
        HirKind::Class(Class::Unicode(class)) => {
            class.ranges().iter().map(|range| (u32::from(range.start()), u32::from(range.end()))).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether a character lies in one of some sorted ranges.
pub(super) fn in_ranges(ranges: &[(u32, u32)], character: char) -> bool {
    let code = u32::from(character);
    let after = ranges.partition_point(|&(start, _)| start <= code);
    after > 0 && code <= ranges[after - 1].1
}
