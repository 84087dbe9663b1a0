//! The judge's source: bytes and hashes that somebody handed in, believed only where they lead to a root.

use arith::WeightType;
use claim::domain::{self, Domain};
use claim::encoding::HashEncoder;
use claim::merkle::{self, MerkleError, Proof};
use claim::{Digest, Origin, PromptToken, TokenId};

use super::rules::evaluate;
use super::source::{Leaf, Seen, Source, Way, WeightRun, leaf_of};
use super::{Disputed, Ruling, Statement, Step, Target};
use crate::trace::{MOVE_BITS, tree};

/// A dispute that has come down to one word.
#[derive(Clone, Debug)]
pub struct Docket {
    /// What it is about.
    pub statement: Statement,
    /// The disputed word's address.
    pub address: u64,
    /// What the worker says it is.
    pub word: u32,
    /// The node that was opened at each level, from the root on. Both parties agree on everything in it that lies left of
    /// the disputed word.
    pub nodes: Vec<Digest>,
    /// The tree over the working.
    pub working_root: Digest,
    /// Words of the working.
    pub working_length: u32,
}

/// Why a call of the judge is thrown out; the dispute stands where it stood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpeningError {
    /// The bytes end before the step has its inputs.
    #[error("the opening ends at byte {at}, the step needs {needed} more")]
    Short {
        /// Where it ends.
        at: usize,
        /// How many bytes are missing.
        needed: usize,
    },
    /// There are fewer hashes than the paths need.
    #[error("the paths end after {at} hashes, the step needs {needed} more")]
    ShortPath {
        /// How many there are.
        at: usize,
        /// How many are missing.
        needed: usize,
    },
    /// Bytes or hashes are left over.
    #[error("{bytes} bytes and {hashes} hashes are left over")]
    LeftOver {
        /// Bytes.
        bytes: usize,
        /// Hashes.
        hashes: usize,
    },
    /// A path leads elsewhere.
    #[error("the opening of {what} leads to {found}, expected {expected}")]
    Root {
        /// What was opened.
        what: &'static str,
        /// The root to open.
        expected: Digest,
        /// The root it leads to.
        found: Digest,
    },
    /// A path does not fit its tree.
    #[error("the opening of {what} does not fit its tree: {source}")]
    Path {
        /// What was opened.
        what: &'static str,
        /// Why.
        source: MerkleError,
    },
    /// A tensor's type has no rule.
    #[error("the opened tensor has ggml type {found}, which has no rule")]
    WeightType {
        /// The type.
        found: u32,
    },
    /// A prompt token's origin is not one.
    #[error("origin {found} is not one")]
    Origin {
        /// The code found.
        found: u8,
    },
    /// The working of this word has fewer steps.
    #[error("the working has no step {step}")]
    NoSuchStep {
        /// The step.
        step: u32,
    },
}

/// Reads the inputs of a step from bytes and hashes, in the order in which the rule asks for them.
#[derive(Debug)]
pub(super) struct Openings<'a> {
    docket: &'a Docket,
    data: &'a [u8],
    path: &'a [Digest],
    at: usize,
    hashes: usize,
    /// The last opening of the trace, and of the working, with the siblings on its path.
    seen: Option<Seen<&'a [Digest]>>,
    seen_working: Option<Seen<&'a [Digest]>>,
}

/// Rules on step `step` of the working under `docket`, with its inputs opened in `data` and `path`.
///
/// # Errors
///
/// [`OpeningError`]: the openings are not what the step needs, or there is no such step.
pub fn judge(docket: &Docket, step: u32, data: &[u8], path: &[Digest]) -> Result<Ruling, OpeningError> {
    let mut openings = Openings { docket, data, path, at: 0, hashes: 0, seen: None, seen_working: None };
    let found = match disputed(docket) {
        Some(disputed) => evaluate(&mut openings, disputed, step)?,
        // No vector lies there: the word is 0.
        None if docket.working_length > 0 => Step::Malformed,
        None if step > 0 => Step::NoSuchStep,
        None => Step::Words { target: Target::Word, words: vec![0] },
    };
    let ruling = match found {
        Step::Words { target, words } => {
            let is_right = match target {
                Target::Word => words == [docket.word],
                Target::Working(start) => openings.worked(start, words.len())? == words,
            };
            if is_right { Ruling::AccuserLies } else { Ruling::WorkerLies }
        }
        Step::Impossible | Step::Malformed => Ruling::WorkerLies,
        Step::NotFinite => Ruling::HostLies,
        Step::NoSuchStep => return Err(OpeningError::NoSuchStep { step }),
    };
    let (bytes, hashes) = (data.len() - openings.at, path.len() - openings.hashes);
    if bytes + hashes > 0 { Err(OpeningError::LeftOver { bytes, hashes }) } else { Ok(ruling) }
}

/// The vector's word at an address; `None` where no vector lies.
pub(super) fn disputed(docket: &Docket) -> Option<Disputed> {
    let layout = docket.statement.layout();
    let position = (docket.address >> layout.bits()) as u32;
    let offset = (docket.address & ((1 << layout.bits()) - 1)) as u32;
    let (place, index) = layout.locate(offset)?;
    let is_in = position < docket.statement.positions();
    is_in.then_some(Disputed { position, layer: place.layer, part: place.part, index, word: docket.word })
}

impl Docket {
    /// Height of the root.
    fn height(&self) -> u32 {
        self.nodes.len() as u32 * MOVE_BITS
    }

    /// Height of the node that was opened at a level.
    pub(super) fn node_height(&self, level: usize) -> u32 {
        self.height() - level as u32 * MOVE_BITS
    }

    /// The deepest opened level whose node holds both the disputed word and the word at `start`, and the node's height.
    pub(super) fn base(&self, start: u64) -> (usize, u32) {
        let height = self.height();
        let level = (1..self.nodes.len())
            .rev()
            .find(|&level| (start ^ self.address) >> (height - level as u32 * MOVE_BITS) == 0)
            .unwrap_or(0);
        (level, height - level as u32 * MOVE_BITS)
    }

    /// Height of the working's tree.
    pub(super) fn working_height(&self) -> u32 {
        working_height(self.working_length)
    }
}

/// Height of the tree over a working of so many words.
pub fn working_height(length: u32) -> u32 {
    length.div_ceil(16).max(1).next_power_of_two().trailing_zeros() + tree::TILE_HEIGHT
}

impl<'a> Openings<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], OpeningError> {
        let (at, left) = (self.at, self.data.len() - self.at);
        if count > left {
            return Err(OpeningError::Short { at: self.data.len(), needed: count - left });
        }
        self.at += count;
        Ok(&self.data[at..self.at])
    }

    fn hashes(&mut self, count: usize) -> Result<&'a [Digest], OpeningError> {
        let (at, left) = (self.hashes, self.path.len() - self.hashes);
        if count > left {
            return Err(OpeningError::ShortPath { at: self.path.len(), needed: count - left });
        }
        self.hashes += count;
        Ok(&self.path[at..self.hashes])
    }

    fn words(&mut self, count: usize) -> Result<Vec<u32>, OpeningError> {
        let bytes = self.take(count * 4)?;
        Ok(bytes.as_chunks::<4>().0.iter().map(|&bytes| u32::from_le_bytes(bytes)).collect())
    }

    /// Words of a tree, `count` from `start` on, under a node of height `height` that lies under a known one, `base`; and what is
    /// known of the tree from then on.
    fn open(
        &mut self,
        what: &'static str,
        seen: Option<Seen<&'a [Digest]>>,
        (start, count, height): (u64, usize, u32),
        (base, root): (u32, Digest),
    ) -> Result<(Vec<u32>, Seen<&'a [Digest]>), OpeningError> {
        let (mut top, mut known) = (base.max(height), root);
        if let Some(seen) = seen {
            match seen.way(start, count, height, base) {
                Way::Shown(skipped) => return Ok((seen.words[skipped..skipped + count].to_vec(), seen)),
                Way::Beside(fork) => (top, known) = (fork, seen.path[(fork - seen.height) as usize]),
                Way::Apart => {}
            }
        }
        let words = self.words(count)?;
        let path = self.hashes((top - height) as usize)?;
        let found = tree::climb(tree::node_of(&words, height), start >> height, path);
        same(what, known, found)?;
        Ok((words.clone(), Seen { start, words, height, top, path }))
    }

    /// The words of the working from `start` on, as they were claimed: at most a tile of them, all in one.
    fn worked(&mut self, start: u32, count: usize) -> Result<Vec<u32>, OpeningError> {
        let tile = self.working_tile(start / 16)?;
        Ok(tile.into_iter().skip(start as usize % 16).take(count).collect())
    }

    /// The root of a counted tree that a leaf of it leads to.
    fn counted(
        &mut self,
        what: &'static str,
        domain: Domain,
        (index, leaf_count): (u64, u64),
        leaf: &[u8],
    ) -> Result<Digest, OpeningError> {
        let siblings = self.hashes(merkle::path_length(index, leaf_count))?.to_vec();
        let proof = Proof { index, leaf_count, siblings };
        let root = merkle::lead(&proof, leaf).map_err(|source| OpeningError::Path { what, source })?;
        Ok(merkle::bind(domain, leaf_count, root))
    }

    /// Checks that the part `name` of the model has this digest.
    fn part(&mut self, name: &str, digest: Digest) -> Result<(), OpeningError> {
        let [a, b, c, d] = *self.take(4)?.as_chunks().0.first().unwrap_or(&[0; 4]);
        let (index, count) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
        let mut encoder = HashEncoder::new(domain::MODEL_PART);
        encoder.text(name);
        encoder.digest(digest);
        let leaf = *encoder.finish().as_bytes();
        let found = self.counted("a part of the model", domain::MODEL, (index.into(), count.into()), &leaf)?;
        same("a part of the model", self.docket.statement.model_root.get(), found)
    }
}

fn same(what: &'static str, expected: Digest, found: Digest) -> Result<(), OpeningError> {
    if expected == found { Ok(()) } else { Err(OpeningError::Root { what, expected, found }) }
}

/// The digest of a tensor of this type and shape, whose leaves have this counted root.
pub(super) fn tensor_digest(kind: WeightType, (rows, columns): (u32, u32), root: Digest) -> Digest {
    let mut encoder = HashEncoder::new(domain::MODEL_TENSOR);
    encoder.u32(kind.to_ggml());
    encoder.u32(if rows == 0 { 1 } else { 2 });
    encoder.u64(columns.into());
    if rows > 0 {
        encoder.u64(rows.into());
    }
    encoder.digest(root);
    encoder.finish()
}

/// Leaf `leaf` of `row`: its index among those of the tensor, how many those are, and its weights.
pub(super) fn leaf_place(kind: WeightType, (rows, columns): (u32, u32), row: u32, leaf: u32) -> (u64, u64, u32) {
    let length = leaf_of(kind);
    let per_row = u64::from(columns.div_ceil(length));
    let weights = length.min(columns.saturating_sub(leaf.saturating_mul(length)));
    (u64::from(row) * per_row + u64::from(leaf), u64::from(rows.max(1)) * per_row, weights)
}

impl Source for Openings<'_> {
    type Error = OpeningError;

    fn statement(&self) -> &Statement {
        &self.docket.statement
    }

    fn trace(&mut self, start: u64, count: usize, height: u32) -> Result<Vec<u32>, OpeningError> {
        let (level, base) = self.docket.base(start);
        let seen = self.seen.take();
        let (words, seen) = self.open("the trace", seen, (start, count, height), (base, self.docket.nodes[level]))?;
        self.seen = Some(seen);
        Ok(words)
    }

    fn working_length(&self) -> u32 {
        self.docket.working_length
    }

    fn working(&mut self, start: u32, count: usize, height: u32) -> Result<Vec<u32>, OpeningError> {
        let place = (start.into(), count, height);
        let root = (self.docket.working_height(), self.docket.working_root);
        let seen = self.seen_working.take();
        let (words, seen) = self.open("the working", seen, place, root)?;
        self.seen_working = Some(seen);
        Ok(words)
    }

    fn weights(&mut self, tensor: &str, shape: (u32, u32), row: u32, leaf: Leaf) -> Result<WeightRun, OpeningError> {
        let kind = u32::from(self.take(1)?[0]);
        let kind = WeightType::from_ggml(kind).ok_or(OpeningError::WeightType { found: kind })?;
        let (index, leaf_count, weights) = leaf_place(kind, shape, row, leaf.index(kind, shape.1));
        let bytes = self.take(weights as usize / kind.block_len() * kind.block_bytes())?.to_vec();
        let root = self.counted("a tensor", domain::MODEL_TENSOR, (index, leaf_count), &bytes)?;
        self.part(&format!("tensor/{tensor}"), tensor_digest(kind, shape, root))?;
        Ok(WeightRun { kind, bytes })
    }

    fn rotary(&mut self, is_local: bool, position: u32) -> Result<Vec<f32>, OpeningError> {
        let shape = self.docket.statement.shape;
        let words = self.words(shape.head_dim as usize)?;
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let place = (position.into(), shape.context_length.into());
        let root = self.counted("the rotary table", domain::MODEL_ROTARY, place, &bytes)?;
        self.part(if is_local { "rotary-local" } else { "rotary" }, root)?;
        Ok(words.into_iter().map(f32::from_bits).collect())
    }

    fn prompt_token(&mut self, index: u32) -> Result<u32, OpeningError> {
        let token = self.words(1)?[0];
        let origin = self.take(1)?[0];
        let origin = Origin::from_code(origin).ok_or(OpeningError::Origin { found: origin })?;
        let leaf = PromptToken::new(TokenId::new(token), origin).leaf(index);
        let place = (index.into(), self.docket.statement.prompt.get().into());
        let found = self.counted("the prompt", domain::PROMPT, place, &leaf)?;
        same("the prompt", self.docket.statement.prompt_root.get(), found)?;
        Ok(token)
    }
}
