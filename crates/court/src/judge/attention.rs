//! A word of attention: one element of one head's mix of values.
//!
//! A score is a sum of products in 16 lanes, which fold by halves. Before the last halvings P numbers are left, P the least power of
//! two such that no more than 16 products went into each: the *parts* of the score. (A head that does not fill the lanes is one
//! part.) Keys are counted from the first key of the group of 16 that the first seen key lies in. With G groups and C chunks of
//! 256 keys the working is, each section from a new tile on:
//!
//! | section | words | a step computes |
//! |---|---|---|
//! | part | P for each key | one part of the score; 0 for a key that is not seen |
//! | score | 1 for each key | the score; 0 for a key that is not seen |
//! | max | 1 for each group | the largest score up to the group's end |
//! | exp | 1 for each key | `exp(score - max)`; 0 for a key that is not seen |
//! | lanes | 16 for each chunk | two of the lanes of the chunk's sum of exponentials |
//! | total | 1 for each chunk | the sum of the chunks so far |
//! | out | 1 for each key | the chunk's sum of `exp * value` |
//! | sum | 1 for each chunk | the sum of the chunks so far |
//!
//! and the word is the last sum divided by the last total. Every section has a step for each word, but for the lanes, of which a
//! step computes two. The exponentials of a chunk are one node: their section counts from the first key of the first chunk, and it
//! and the next begin at a multiple of 256 words, or of the power of two that holds them all.

use std::ops::Range;

use arith::{PAGE_POSITIONS, portable};

use super::rules::{Rule, floats};
use super::source::Source;
use super::{Step, Target};
use crate::trace::{LANES as SUM_LANES, Part};

/// Keys in a group: the lanes of a sum.
const GROUP: u32 = 16;
/// Keys in a chunk.
const CHUNK: u32 = PAGE_POSITIONS as u32;
/// Products that go into one part of a score at most.
const PRODUCTS: u32 = 16;
/// Lanes of one step.
const LANES: u32 = 2;

/// What is fixed for a word.
struct Head {
    /// Element of the head.
    element: u32,
    /// First element of the query head, and of the key head.
    query: u32,
    key: u32,
    width: u32,
    /// Parts of a score.
    parts: u32,
    /// First key of the first group, first key seen, last key seen.
    base: u32,
    first: u32,
    last: u32,
}

/// The sections of a working.
#[derive(Clone, Copy)]
enum Section {
    Part,
    Score,
    Max,
    Exp,
    Lanes,
    Total,
    Out,
    Sum,
}

impl Section {
    const ALL: [Self; 8] =
        [Self::Part, Self::Score, Self::Max, Self::Exp, Self::Lanes, Self::Total, Self::Out, Self::Sum];

    /// Words of one step.
    const fn words(self) -> u32 {
        match self {
            Self::Lanes => LANES,
            _ => 1,
        }
    }
}

impl Head {
    fn of<S: Source>(rule: &Rule<'_, S>) -> Self {
        let shape = &rule.source.statement().shape;
        let (position, index) = (rule.disputed.position, rule.disputed.index);
        let first = shape.first_key(rule.disputed.layer, position);
        let query_head = index / shape.head_dim;
        Self {
            element: index % shape.head_dim,
            query: query_head * shape.head_dim,
            key: query_head / (shape.heads / shape.kv_heads) * shape.head_dim,
            width: shape.head_dim,
            parts: if shape.head_dim.is_multiple_of(SUM_LANES) {
                shape.head_dim.div_ceil(PRODUCTS).next_power_of_two().min(SUM_LANES)
            } else {
                1
            },
            base: first / GROUP * GROUP,
            first,
            last: position,
        }
    }

    fn groups(&self) -> u32 {
        (self.last - self.base) / GROUP + 1
    }

    fn chunks(&self) -> u32 {
        self.last / CHUNK - self.base / CHUNK + 1
    }

    fn steps(&self, section: Section) -> u32 {
        let keys = GROUP * self.groups();
        match section {
            Section::Part => keys * self.parts,
            Section::Score | Section::Exp | Section::Out => keys,
            Section::Max => self.groups(),
            Section::Lanes => self.chunks() * 16 / LANES,
            Section::Total | Section::Sum => self.chunks(),
        }
    }

    /// The keys before the first group in its chunk.
    fn skipped(&self) -> u32 {
        self.base % CHUNK
    }

    /// Words of the node that the exponentials of a chunk are.
    fn chunk_words(&self) -> u32 {
        (self.skipped() + self.steps(Section::Exp)).next_power_of_two().clamp(GROUP, CHUNK)
    }

    /// The first word of the first step of a section; where the working ends, for none.
    fn start(&self, section: Option<Section>) -> u32 {
        let mut start: u32 = 0;
        for at in Section::ALL {
            let is_exp = matches!(at, Section::Exp);
            start =
                start.next_multiple_of(if is_exp || matches!(at, Section::Lanes) { self.chunk_words() } else { GROUP });
            start += if is_exp { self.skipped() } else { 0 };
            if section.is_some_and(|section| section as u32 == at as u32) {
                return start;
            }
            start += self.steps(at) * at.words();
        }
        start.next_multiple_of(GROUP)
    }

    fn length(&self) -> u32 {
        self.start(None)
    }

    fn sees(&self, key: u32) -> bool {
        (self.first..=self.last).contains(&key)
    }

    /// Whether `key` is the first one of its chunk that the working has.
    fn starts_chunk(&self, key: u32) -> bool {
        key == self.base || key.is_multiple_of(CHUNK)
    }

    /// The keys of chunk `chunk` that the working has, counted from the base.
    fn chunk(&self, chunk: u32) -> Range<u32> {
        let start = (self.base / CHUNK + chunk) * CHUNK;
        let end = start + CHUNK - self.base;
        start.saturating_sub(self.base)..end.min(GROUP * self.groups())
    }
}

/// Words of the working of a word of attention.
pub(super) fn length<S: Source>(rule: &Rule<'_, S>) -> u32 {
    Head::of(rule).length()
}

/// Computes step `step` of a word of attention.
pub(super) fn evaluate<S: Source>(rule: &mut Rule<'_, S>, step: u32) -> Result<Step, S::Error> {
    let head = Head::of(rule);
    if rule.source.working_length() != head.length() {
        return Ok(Step::Malformed);
    }
    let mut step = step;
    for section in Section::ALL {
        let steps = head.steps(section);
        if step >= steps {
            step -= steps;
            continue;
        }
        let target = Target::Working(head.start(Some(section)) + step * section.words());
        return Ok(match section {
            Section::Lanes => floats(target, &lanes(rule, &head, step)?),
            _ => floats(target, &[number(rule, &head, section, step)?]),
        });
    }
    if step > 0 {
        return Ok(Step::NoSuchStep);
    }
    let last = head.chunks() - 1;
    let sum = word(rule, head.start(Some(Section::Sum)) + last)?;
    let total = word(rule, head.start(Some(Section::Total)) + last)?;
    Ok(floats(Target::Word, &[sum / total]))
}

/// The word of the working at `index`, as a number.
fn word<S: Source>(rule: &mut Rule<'_, S>, index: u32) -> Result<f32, S::Error> {
    rule.worked(index).map(f32::from_bits)
}

fn number<S: Source>(rule: &mut Rule<'_, S>, head: &Head, section: Section, step: u32) -> Result<f32, S::Error> {
    let key = head.base + step;
    Ok(match section {
        Section::Part => {
            let (key, part) = (head.base + step / head.parts, step % head.parts);
            if head.sees(key) { part_of_score(rule, head, key, part)? } else { 0.0 }
        }
        Section::Score if head.sees(key) => score(rule, head, step)?,
        Section::Max => max(rule, head, step)?,
        Section::Exp if head.sees(key) => {
            let score = word(rule, head.start(Some(Section::Score)) + step)?;
            portable::exp(score - word(rule, head.start(Some(Section::Max)) + head.groups() - 1)?)
        }
        Section::Total => {
            let lanes = rule.source.working_tile(head.start(Some(Section::Lanes)) / 16 + step)?.map(f32::from_bits);
            before(rule, head, section, step)? + portable::fold(lanes)
        }
        Section::Out => {
            let sum = if head.starts_chunk(key) { 0.0 } else { before(rule, head, section, step)? };
            if !head.sees(key) {
                return Ok(sum);
            }
            let exp = word(rule, head.start(Some(Section::Exp)) + step)?;
            let place = rule.place(Part::ValueKept);
            sum + exp * f32::from_bits(rule.word_at(key, place, head.key + head.element)?)
        }
        Section::Sum => {
            let chunk = word(rule, head.start(Some(Section::Out)) + head.chunk(step).end - 1)?;
            before(rule, head, section, step)? + chunk
        }
        Section::Score | Section::Exp | Section::Lanes => 0.0,
    })
}

/// The word of a section before step `step`, 0 before the first.
fn before<S: Source>(rule: &mut Rule<'_, S>, head: &Head, section: Section, step: u32) -> Result<f32, S::Error> {
    match step.checked_sub(1) {
        None => Ok(0.0),
        Some(before) => word(rule, head.start(Some(section)) + before),
    }
}

/// A part of a score: the products of some lanes, which follow each other in the vectors, folded by halves.
fn part_of_score<S: Source>(rule: &mut Rule<'_, S>, head: &Head, key: u32, part: u32) -> Result<f32, S::Error> {
    let (queries, keys) = (rule.place(Part::QueryTurned), rule.place(Part::KeyKept));
    let count = head.width / head.parts;
    let first = part * count;
    let q = rule.numbers_at(rule.disputed.position, queries, head.query + first, count)?;
    let k = rule.numbers_at(key, keys, head.key + first, count)?;
    let products = q.iter().zip(&k).map(|(q, k)| q * k);
    if !head.width.is_multiple_of(SUM_LANES) {
        return Ok(portable::vector_sum(products));
    }
    let products: Vec<f32> = products.collect();
    let lanes = products.chunks((head.width / SUM_LANES) as usize);
    Ok(folded(lanes.map(|lane| lane.iter().fold(0.0, |sum, product| sum + product)).collect()))
}

/// The score of key `step` from its parts.
fn score<S: Source>(rule: &mut Rule<'_, S>, head: &Head, step: u32) -> Result<f32, S::Error> {
    let first = step * head.parts;
    // Parts are as many as divide a tile.
    let tile = rule.source.working_tile(first / 16)?;
    let parts = tile.iter().skip(first as usize % 16).take(head.parts as usize).map(|&word| f32::from_bits(word));
    Ok(folded(parts.collect()) * (1.0 / (head.width as f32).sqrt()))
}

/// Numbers, a power of two of them, folded to one: neighbours meet first.
fn folded(mut sums: Vec<f32>) -> f32 {
    while sums.len() > 1 {
        sums = sums.as_chunks::<2>().0.iter().map(|[a, b]| a + b).collect();
    }
    sums.first().copied().unwrap_or(0.0)
}

/// The largest score up to the end of group `group`; a zero is +0.
fn max<S: Source>(rule: &mut Rule<'_, S>, head: &Head, group: u32) -> Result<f32, S::Error> {
    let tile = rule.source.working_tile(head.start(Some(Section::Score)) / 16 + group)?;
    let keys = head.base + GROUP * group..;
    let seen = keys.zip(tile).filter(|&(key, _)| head.sees(key));
    let mut scores: Vec<f32> = seen.map(|(_, score)| f32::from_bits(score)).collect();
    if let Some(before) = group.checked_sub(1) {
        scores.push(word(rule, head.start(Some(Section::Max)) + before)?);
    }
    Ok(portable::max(&scores))
}

/// Two lanes of the sum of a chunk's exponentials.
fn lanes<S: Source>(rule: &mut Rule<'_, S>, head: &Head, step: u32) -> Result<[f32; LANES as usize], S::Error> {
    let (chunk, first) = (step / (16 / LANES), (step % (16 / LANES) * LANES) as usize);
    let words = head.chunk_words();
    let start = head.start(Some(Section::Exp)) - head.skipped() + chunk * words;
    // All of the node is shown, and only what a step has made is added: the words around it may be anything.
    let node = rule.source.working(start, words as usize, words.ilog2())?;
    let skipped = if chunk == 0 { head.skipped() as usize } else { 0 };
    let exps = node.get(skipped..skipped + head.chunk(chunk).len()).unwrap_or_default();
    let mut lanes = [0.0; LANES as usize];
    for group in exps.chunks(GROUP as usize) {
        for (lane, exp) in lanes.iter_mut().zip(group.iter().skip(first)) {
            *lane += f32::from_bits(*exp);
        }
    }
    Ok(lanes)
}
