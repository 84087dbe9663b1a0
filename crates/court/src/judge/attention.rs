//! A word of attention: one element of one head's mix of values.
//!
//! Keys are counted from the first key of the group of 16 that the first seen key lies in. With G groups and C chunks of 256 keys, and
//! D pieces of 64 numbers in a head, the working is, each section from a new tile on:
//!
//! | section | words | a step computes |
//! |---|---|---|
//! | partial | 16 for each key and piece but the last | the 16 lanes of the score's sum after the piece |
//! | score | 1 for each key | the score; 0 for a key that is not seen |
//! | max | 1 for each group | the largest score up to the group's end |
//! | exp | 1 for each key | `exp(score - max)`; 0 for a key that is not seen |
//! | lanes | 16 for each group | the lanes of the chunk's sum of exponentials |
//! | total | 1 for each chunk | the sum of the chunks so far |
//! | out | 1 for each key | the chunk's sum of `exp * value` |
//! | sum | 1 for each chunk | the sum of the chunks so far |
//!
//! and the word is the last sum divided by the last total.

use arith::{PAGE_POSITIONS, portable};

use super::rules::{RUN, Rule, floats};
use super::source::Source;
use super::{Step, Target};
use crate::trace::Part;

/// Keys in a group: the lanes of a sum.
const GROUP: u32 = 16;
/// Keys in a chunk.
const CHUNK: u32 = PAGE_POSITIONS as u32;

/// What is fixed for a word.
struct Head {
    /// Element of the head.
    element: u32,
    /// First element of the query head, and of the key head.
    query: u32,
    key: u32,
    width: u32,
    /// First key of the first group, first key seen, last key seen.
    base: u32,
    first: u32,
    last: u32,
}

/// The sections of a working.
#[derive(Clone, Copy)]
enum Section {
    Partial,
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
        [Self::Partial, Self::Score, Self::Max, Self::Exp, Self::Lanes, Self::Total, Self::Out, Self::Sum];

    /// Words of one step.
    const fn words(self) -> u32 {
        match self {
            Self::Partial | Self::Lanes => 16,
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

    fn pieces(&self) -> u32 {
        self.width.div_ceil(RUN)
    }

    fn steps(&self, section: Section) -> u32 {
        let keys = GROUP * self.groups();
        match section {
            Section::Partial => keys * (self.pieces() - 1),
            Section::Score | Section::Exp | Section::Out => keys,
            Section::Max | Section::Lanes => self.groups(),
            Section::Total | Section::Sum => self.chunks(),
        }
    }

    /// The first word of a section; [`Self::length`] stands behind the last.
    fn start(&self, section: Section) -> u32 {
        Section::ALL[..section as usize].iter().map(|&before| self.tiles(before) * 16).sum()
    }

    fn tiles(&self, section: Section) -> u32 {
        (self.steps(section) * section.words()).div_ceil(16)
    }

    fn length(&self) -> u32 {
        Section::ALL.iter().map(|&section| self.tiles(section) * 16).sum()
    }

    fn sees(&self, key: u32) -> bool {
        (self.first..=self.last).contains(&key)
    }

    /// Whether `key` is the first one of its chunk that the working has.
    fn starts_chunk(&self, key: u32) -> bool {
        key == self.base || key.is_multiple_of(CHUNK)
    }

    /// The last key of chunk `chunk` that the working has, counted from the base.
    fn chunk_end(&self, chunk: u32) -> u32 {
        let end = (self.base / CHUNK + chunk + 1) * CHUNK - self.base;
        end.min(GROUP * self.groups()) - 1
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
        let target = Target::Working(head.start(section) + step * section.words());
        return Ok(floats(target, &compute(rule, &head, section, step)?));
    }
    if step > 0 {
        return Ok(Step::NoSuchStep);
    }
    let last = head.chunks() - 1;
    let sum = number(rule, head.start(Section::Sum) + last)?;
    let total = number(rule, head.start(Section::Total) + last)?;
    Ok(floats(Target::Word, &[sum / total]))
}

/// The word of the working at `index`, as a number.
fn number<S: Source>(rule: &mut Rule<'_, S>, index: u32) -> Result<f32, S::Error> {
    rule.worked(index).map(f32::from_bits)
}

fn compute<S: Source>(rule: &mut Rule<'_, S>, head: &Head, section: Section, step: u32) -> Result<Vec<f32>, S::Error> {
    let key = head.base + step;
    Ok(match section {
        Section::Partial => {
            let (key, piece) = (head.base + step / (head.pieces() - 1), step % (head.pieces() - 1));
            if head.sees(key) { piece_lanes(rule, head, key, piece)?.to_vec() } else { vec![0.0; 16] }
        }
        Section::Score if head.sees(key) => {
            let lanes = piece_lanes(rule, head, key, head.pieces() - 1)?;
            vec![portable::fold(lanes) * (1.0 / (head.width as f32).sqrt())]
        }
        Section::Max => vec![max(rule, head, step)?],
        Section::Exp if head.sees(key) => {
            let score = number(rule, head.start(Section::Score) + step)?;
            let max = number(rule, head.start(Section::Max) + head.groups() - 1)?;
            vec![portable::exp(score - max)]
        }
        Section::Score | Section::Exp => vec![0.0],
        Section::Lanes => {
            let is_first = head.starts_chunk(head.base + GROUP * step);
            let tile = head.start(Section::Lanes) / 16;
            let mut lanes = rule.lanes_before(if is_first { 0 } else { step }, tile)?;
            let exps = rule.source.working_tile(head.start(Section::Exp) / 16 + step)?;
            for (lane, exp) in lanes.iter_mut().zip(exps) {
                *lane += f32::from_bits(exp);
            }
            lanes.to_vec()
        }
        Section::Total => {
            let group = head.chunk_end(step) / GROUP;
            let lanes = rule.source.working_tile(head.start(Section::Lanes) / 16 + group)?.map(f32::from_bits);
            vec![before(rule, head, Section::Total, step)? + portable::fold(lanes)]
        }
        Section::Out => {
            let sum = if head.starts_chunk(key) { 0.0 } else { before(rule, head, Section::Out, step)? };
            if !head.sees(key) {
                return Ok(vec![sum]);
            }
            let exp = number(rule, head.start(Section::Exp) + step)?;
            let place = rule.place(Part::ValueKept);
            let value = f32::from_bits(rule.word_at(key, place, head.key + head.element)?);
            vec![sum + exp * value]
        }
        Section::Sum => {
            let chunk = number(rule, head.start(Section::Out) + head.chunk_end(step))?;
            vec![before(rule, head, Section::Sum, step)? + chunk]
        }
    })
}

/// The word of a section before step `step`, 0 before the first.
fn before<S: Source>(rule: &mut Rule<'_, S>, head: &Head, section: Section, step: u32) -> Result<f32, S::Error> {
    match step.checked_sub(1) {
        None => Ok(0.0),
        Some(before) => number(rule, head.start(section) + before),
    }
}

/// The lanes of a score's sum after piece `piece`.
fn piece_lanes<S: Source>(rule: &mut Rule<'_, S>, head: &Head, key: u32, piece: u32) -> Result<[f32; 16], S::Error> {
    let (from, count) = (piece * RUN, RUN.min(head.width - piece * RUN));
    let query = rule.place(Part::QueryTurned);
    let kept = rule.place(Part::KeyKept);
    let q = rule.numbers_at(rule.disputed.position, query, head.query + from, count)?;
    let k = rule.numbers_at(key, kept, head.key + from, count)?;
    let first = (key - head.base) * (head.pieces() - 1);
    let mut lanes = match piece.checked_sub(1) {
        None => [0.0; 16],
        Some(before) => rule.source.working_tile(first + before)?.map(f32::from_bits),
    };
    for (i, (q, k)) in q.iter().zip(&k).enumerate() {
        lanes[i % 16] += q * k;
    }
    Ok(lanes)
}

/// The largest score up to the end of group `group`; a zero is +0.
fn max<S: Source>(rule: &mut Rule<'_, S>, head: &Head, group: u32) -> Result<f32, S::Error> {
    let scores = rule.source.working_tile(head.start(Section::Score) / 16 + group)?;
    let before = match group.checked_sub(1) {
        None => None,
        Some(before) => Some(number(rule, head.start(Section::Max) + before)?),
    };
    let keys = head.base + GROUP * group..;
    let seen = scores.into_iter().zip(keys).filter(|&(_, key)| head.sees(key)).map(|(word, _)| f32::from_bits(word));
    Ok(portable::max(&before.into_iter().chain(seen).collect::<Vec<_>>()))
}
