//! The cuts equal those of the `tokenizers` crate's unigram model, on vocabularies made at random.

use proptest::prelude::*;
use tokenizers::Model;
use tokenizers::models::unigram;

use super::super::vocabulary::Kind;
use super::*;

const PLAIN: Normaliser = Normaliser { map: None, space_prefix: false, merge_spaces: false };

/// A vocabulary of an unknown token and these pieces.
fn ours(pieces: &[(String, f32)], normaliser: Normaliser) -> (Vocabulary, Unigram) {
    let mut vocabulary = Vocabulary::with_capacity(pieces.len() + 1).expect("not empty");
    vocabulary.push(b"<unk>", Kind::Unknown, false).expect("short");
    let mut scores = vec![0.0];
    for (piece, score) in pieces {
        vocabulary.push(piece.as_bytes(), Kind::Normal, true).expect("pieces are distinct");
        scores.push(*score);
    }
    let reachable = (1..=pieces.len() as u32).collect();
    let prefixes = Prefixes::new(&vocabulary, reachable).expect("pieces are short");
    (vocabulary, Unigram::new(prefixes, scores, 0, normaliser))
}

fn encode((vocabulary, unigram): &(Vocabulary, Unigram), text: &str) -> Vec<(u32, usize)> {
    let mut out = Vec::new();
    unigram.encode(vocabulary, text, 0, &mut out);
    out.iter().map(|placed| (placed.token.get(), placed.start)).collect()
}

/// Scores that no two sums share by chance, so that there is one best cut.
fn pieces() -> impl Strategy<Value = Vec<(String, f32)>> {
    let piece = "[ab\u{e9}\u{4e2d}]{1,4}";
    prop::collection::btree_map(piece, 0.01_f32..9.0, 1..30)
        .prop_map(|pieces| pieces.into_iter().map(|(piece, cost)| (piece, -cost)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn cuts_equal_the_reference(pieces in pieces(), text in "[abc\u{e9}\u{4e2d}\u{1f600}]{0,30}") {
        let mut entries = vec![("<unk>".to_owned(), 0.0)];
        entries.extend(pieces.iter().map(|(piece, score)| (piece.clone(), f64::from(*score))));
        let reference = unigram::Unigram::from(entries, Some(0), false).expect("a valid vocabulary");
        let expected: Vec<(u32, usize)> =
            reference.tokenize(&text).expect("any text").iter().map(|token| (token.id, token.offsets.0)).collect();
        prop_assert_eq!(encode(&ours(&pieces, PLAIN), &text), expected);
    }
}

#[test]
fn spaces_are_prefixed_merged_and_dropped() {
    let pieces = [" a", " b", "a", "b", " "].map(|piece| (piece.to_owned(), -1.0));
    let normal = |normaliser, text: &str| ours(&pieces, normaliser).1.normaliser.normalise(text).text;
    let merging = Normaliser { map: None, space_prefix: true, merge_spaces: true };
    assert_eq!(normal(merging.clone(), "  a   b  "), " a b");
    assert_eq!(normal(PLAIN, " a\u{2581}b"), " a b");
    assert_eq!(normal(Normaliser { merge_spaces: false, ..merging.clone() }, "a  b"), " a  b");
    // The pieces lie where their first character came from; the space that was put in lies with the word.
    assert_eq!(encode(&ours(&pieces, merging), "  a   b"), [(1, 2), (2, 6)]);
}

/// A map with one rule, "ab" to "c", written by hand.
fn map() -> Vec<u8> {
    let mut units = vec![0_u32; 512];
    // The root's children lie at 0x100 ^ label; those of "a" at 0x180 ^ label, and the value of "ab" at 0x1c0.
    units[0] = 0x100 << 10;
    units[0x100 ^ 0x61] = u32::from(b'a') | (0x100 ^ 0x61 ^ 0x180) << 10;
    units[0x180 ^ 0x62] = u32::from(b'b') | (0x180 ^ 0x62 ^ 0x1c0) << 10 | 1 << 8;
    units[0x1c0] = 1 << 31;
    let mut blob = (units.len() as u32 * 4).to_le_bytes().to_vec();
    blob.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
    blob.extend(b"c\0");
    blob
}

#[test]
fn the_longest_rule_replaces() {
    let map = CharsMap::new(&map()).expect("well formed");
    assert_eq!(map.longest_match(b"abx"), Some(("c", 2)));
    assert_eq!((map.longest_match(b"ax"), map.longest_match(b"b"), map.longest_match(b"")), (None, None, None));
    let normaliser = Normaliser { map: Some(map), ..PLAIN };
    let normal = normaliser.normalise("xabab");
    assert_eq!((normal.text.as_str(), normal.place(1), normal.place(2)), ("xcc", 1, 3));
}

proptest! {
    /// Any blob is refused or normalises any text to something.
    #[test]
    fn broken_maps_read_nothing_else(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40), text in "[ab\u{e9}]{0,20}") {
        let mut blob = map();
        for (at, value) in edits {
            let at = at.index(blob.len());
            blob[at] = value;
        }
        if let Ok(map) = CharsMap::new(&blob) {
            let normal = Normaliser { map: Some(map), ..PLAIN }.normalise(&text);
            prop_assert!(normal.sources.is_sorted());
        }
    }
}
