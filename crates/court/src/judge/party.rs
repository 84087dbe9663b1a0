//! A party's source: its own trace and model file. It makes workings, and opens the inputs of a step for the judge.

use arith::WeightType;
use claim::merkle::{self, MerkleError};
use claim::{Digest, PromptToken};
use model::Model;
use model::gguf::{Gguf, GgufError, tensor_kind};

use super::openings::{Docket, disputed, leaf_place, working_height};
use super::rules::evaluate;
use super::source::{Leaf, Seen, Source, Way, WeightRun, leaf_of};
use super::{Statement, Step, Target};
use crate::trace::{MOVE_BITS, Trace, TraceError, tree};

/// A model file as a party opens it.
#[derive(Debug)]
pub struct Weights<'a> {
    gguf: Gguf<'a>,
    parts: Vec<model::Part>,
    rotary: Vec<Vec<f32>>,
    rotary_local: Vec<Vec<f32>>,
}

/// Why a party cannot show something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The file is not a model file.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// The model has no such part.
    #[error("the model has no part `{name}`")]
    Part {
        /// Its name.
        name: String,
    },
    /// Something lies outside its tree.
    #[error(transparent)]
    Path(#[from] MerkleError),
    /// The trace cannot be computed.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The prompt has no such token.
    #[error("the prompt has no token {index}")]
    Prompt {
        /// Its index.
        index: u32,
    },
    /// No step of this working is wrong.
    #[error("every step of the working is right")]
    NothingWrong,
    /// The arithmetic of a step leaves the finite numbers.
    #[error("step {step} leaves the finite numbers")]
    NotFinite {
        /// The step.
        step: u32,
    },
}

impl<'a> Weights<'a> {
    /// The weights of `model`, whose file is `file`.
    ///
    /// # Errors
    ///
    /// The file does not parse.
    pub fn new(file: &'a [u8], model: &Model) -> Result<Self, WeightsError> {
        let rows = |is_local| (0..model.config().context_length).map_while(|p| model.rotary_row(is_local, p)).collect();
        Ok(Self {
            gguf: Gguf::parse(file)?,
            parts: model.parts().to_vec(),
            rotary: rows(false),
            rotary_local: rows(true),
        })
    }

    /// Index and path of the part `name` among the model's parts.
    fn part(&self, name: &str) -> Result<(u64, Vec<Digest>), WeightsError> {
        let index = self.parts.iter().position(|part| part.name == name);
        let index = index.ok_or_else(|| WeightsError::Part { name: name.to_owned() })? as u64;
        let leaves: Vec<[u8; 32]> = self.parts.iter().map(model::Part::leaf).collect();
        Ok((index, merkle::prove(&leaves, index)?.siblings))
    }

    /// The leaves of a tensor, their type, and the index of one of them.
    fn leaves(&self, tensor: &str, row: u32, leaf: Leaf) -> Result<(WeightType, Vec<&[u8]>, usize), WeightsError> {
        let unknown = || WeightsError::Part { name: format!("tensor/{tensor}") };
        let info = self.gguf.tensor(tensor).ok_or_else(unknown)?;
        let kind = WeightType::from_ggml(info.kind).ok_or_else(unknown)?;
        let block = tensor_kind(info.kind).ok_or_else(unknown)?;
        let bytes = |weights: usize| weights / block.block_len as usize * block.block_bytes as usize;
        let columns = info.dims.first().copied().unwrap_or(1) as usize;
        let rows = info.dims.get(1).map_or(0, |&rows| rows as u32);
        let data = self.gguf.tensor_bytes(info);
        let (row_bytes, leaf_bytes) = (bytes(columns).max(1), bytes(leaf_of(kind) as usize).max(1));
        let leaves: Vec<&[u8]> = data.chunks(row_bytes).flat_map(|row| row.chunks(leaf_bytes)).collect();
        let (index, _, _) = leaf_place(kind, (rows, columns as u32), row, leaf.index(kind, columns as u32));
        if index >= leaves.len() as u64 {
            return Err(MerkleError::OutOfRange { index, leaf_count: leaves.len() as u64 }.into());
        }
        Ok((kind, leaves, index as usize))
    }
}

/// Everything that a party needs to make a working or to open a step.
pub struct Party<'a, 'w> {
    /// Its trace.
    pub trace: &'a mut dyn Trace,
    /// Its model.
    pub weights: &'a Weights<'w>,
    /// The prompt.
    pub prompt: &'a [PromptToken],
}

impl std::fmt::Debug for Party<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Party").field("prompt", &self.prompt.len()).finish_non_exhaustive()
    }
}

/// The inputs of a step, as a call of the judge carries them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accusation {
    /// The step.
    pub step: u32,
    /// Words and weights, in the order in which the rule reads them.
    pub data: Vec<u8>,
    /// The paths of each, in the same order.
    pub path: Vec<Digest>,
}

/// Reads from a party's trace and file; writes openings where there are nodes to open.
struct Reader<'a, 'p, 'w> {
    party: &'a mut Party<'p, 'w>,
    statement: &'a Statement,
    working: &'a [u32],
    /// Words that the working is to have in the end.
    length: u32,
    opened: Option<Opened<'a>>,
    accusation: Accusation,
    /// The last opening of the trace, and of the working.
    seen: Option<Seen<()>>,
    seen_working: Option<Seen<()>>,
}

/// What the moves have shown.
#[derive(Clone, Copy)]
struct Opened<'a> {
    docket: &'a Docket,
    /// The children that each level's mover has shown.
    children: &'a [Vec<Digest>],
}

impl<'a, 'p, 'w> Reader<'a, 'p, 'w> {
    /// A reader of this working, which is to have so many words.
    fn new(
        party: &'a mut Party<'p, 'w>,
        statement: &'a Statement,
        (working, length): (&'a [u32], u32),
        opened: Option<Opened<'a>>,
    ) -> Self {
        let accusation = Accusation::default();
        Self { party, statement, working, length, opened, accusation, seen: None, seen_working: None }
    }

    fn write(&mut self, words: &[u32]) {
        self.accusation.data.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    }

    fn write_part(&mut self, name: &str) -> Result<(), WeightsError> {
        let (index, path) = self.party.weights.part(name)?;
        let count = self.party.weights.parts.len();
        self.accusation.data.extend((index as u16).to_le_bytes());
        self.accusation.data.extend((count as u16).to_le_bytes());
        self.accusation.path.extend(path);
        Ok(())
    }

    /// The path from a node of height `height` up to one of height `top`, below the node opened at `level`. Below the children that
    /// were shown both parties have the same nodes; from there up it leads over the children themselves.
    fn trace_path(
        &mut self,
        (start, height, top): (u64, u32, u32),
        level: usize,
        opened: Opened<'_>,
    ) -> Result<(), WeightsError> {
        let Some(shown) = opened.children.get(level) else { return Ok(()) };
        let base = opened.docket.node_height(level);
        let child = base - MOVE_BITS;
        if height < child {
            let siblings = self.party.trace.siblings(height, start >> height, child.min(top))?;
            self.accusation.path.extend(siblings);
        }
        let mut nodes = shown.clone();
        for at in child..top {
            if at >= height {
                let index = (start >> at) ^ 1;
                self.accusation.path.push(nodes[(index & ((1 << (base - at)) - 1)) as usize]);
            }
            nodes = tree::pairs(&nodes, at);
        }
        Ok(())
    }
}

impl Source for Reader<'_, '_, '_> {
    type Error = WeightsError;

    fn statement(&self) -> &Statement {
        self.statement
    }

    fn trace(&mut self, start: u64, count: usize, height: u32) -> Result<Vec<u32>, WeightsError> {
        let words = self.party.trace.words(start, count)?;
        let Some(opened) = self.opened else { return Ok(words) };
        let (level, base) = opened.docket.base(start);
        let top = match self.seen.as_ref().map(|seen| seen.way(start, count, height, base)) {
            Some(Way::Shown(_)) => return Ok(words),
            Some(Way::Beside(top)) => top,
            Some(Way::Apart) | None => base.max(height),
        };
        self.write(&words);
        self.trace_path((start, height, top), level, opened)?;
        self.seen = Some(Seen { start, words: words.clone(), height, top, path: () });
        Ok(words)
    }

    fn working_length(&self) -> u32 {
        self.length
    }

    fn working(&mut self, first: u32, count: usize, height: u32) -> Result<Vec<u32>, WeightsError> {
        let at = |index: usize| self.working.get(index).copied().unwrap_or(0);
        let words: Vec<u32> = (first as usize..first as usize + count).map(at).collect();
        let Some(Opened { docket, .. }) = self.opened else { return Ok(words) };
        let (start, base) = (u64::from(first), docket.working_height());
        let top = match self.seen_working.as_ref().map(|seen| seen.way(start, count, height, base)) {
            Some(Way::Shown(_)) => return Ok(words),
            Some(Way::Beside(top)) => top,
            Some(Way::Apart) | None => base.max(height),
        };
        self.write(&words);
        let mut level: Vec<Digest> = self.working.chunks(1 << height).map(|node| tree::node_of(node, height)).collect();
        for at in height..top {
            let sibling = (first >> at) ^ 1;
            self.accusation.path.push(level.get(sibling as usize).copied().unwrap_or_else(|| tree::zero(at)));
            level = tree::pairs(&level, at);
        }
        self.seen_working = Some(Seen { start, words: words.clone(), height, top, path: () });
        Ok(words)
    }

    fn weights(&mut self, tensor: &str, _: (u32, u32), row: u32, leaf: Leaf) -> Result<WeightRun, WeightsError> {
        let (kind, leaves, index) = self.party.weights.leaves(tensor, row, leaf)?;
        let bytes = leaves[index].to_vec();
        if self.opened.is_some() {
            self.accusation.data.push(kind.to_ggml() as u8);
            self.accusation.data.extend(&bytes);
            self.accusation.path.extend(merkle::prove(&leaves, index as u64)?.siblings);
            self.write_part(&format!("tensor/{tensor}"))?;
        }
        Ok(WeightRun { kind, bytes })
    }

    fn rotary(&mut self, is_local: bool, position: u32) -> Result<Vec<f32>, WeightsError> {
        let name = if is_local { "rotary-local" } else { "rotary" };
        let table = if is_local { &self.party.weights.rotary_local } else { &self.party.weights.rotary };
        let row = table.get(position as usize).cloned();
        let row = row.ok_or_else(|| WeightsError::Part { name: name.to_owned() })?;
        if self.opened.is_some() {
            let leaves: Vec<Vec<u8>> =
                table.iter().map(|row| row.iter().flat_map(|x| x.to_le_bytes()).collect()).collect();
            let proof = merkle::prove(&leaves, position.into())?;
            let words: Vec<u32> = row.iter().map(|x| x.to_bits()).collect();
            self.write(&words);
            self.accusation.path.extend(proof.siblings);
            self.write_part(name)?;
        }
        Ok(row)
    }

    fn prompt_token(&mut self, index: u32) -> Result<u32, WeightsError> {
        let token = *self.party.prompt.get(index as usize).ok_or(WeightsError::Prompt { index })?;
        if self.opened.is_some() {
            self.write(&[token.token.get()]);
            self.accusation.data.push(token.origin.code());
            let leaves: Vec<_> = self.party.prompt.iter().zip(0..).map(|(token, index)| token.leaf(index)).collect();
            self.accusation.path.extend(merkle::prove(&leaves, index.into())?.siblings);
        }
        Ok(token.token.get())
    }
}

/// The working of the word at `address`, which the party says is `word`.
///
/// # Errors
///
/// The party lacks an input.
pub fn working(
    party: &mut Party<'_, '_>,
    statement: &Statement,
    address: u64,
    word: u32,
) -> Result<Vec<u32>, WeightsError> {
    let docket = Docket {
        statement: statement.clone(),
        address,
        word,
        nodes: Vec::new(),
        working_root: Digest::ZERO,
        working_length: 0,
    };
    let mut working = Vec::new();
    let Some(disputed) = disputed(&docket) else { return Ok(working) };
    let length = length(party, statement, disputed)?;
    for step in 0.. {
        let mut reader = Reader::new(party, statement, (&working, length), None);
        match evaluate(&mut reader, disputed, step)? {
            Step::Words { target: Target::Working(start), words } => {
                working.resize(start as usize, 0);
                working.extend(words);
            }
            Step::NotFinite => return Err(WeightsError::NotFinite { step }),
            _ => break,
        }
    }
    working.resize(length as usize, 0);
    Ok(working)
}

/// Words that the working of a word must have: the rule is asked with lengths until it does not call one malformed.
fn length(party: &mut Party<'_, '_>, statement: &Statement, disputed: super::Disputed) -> Result<u32, WeightsError> {
    let mut reader = Reader::new(party, statement, (&[], 0), None);
    super::rules::working_length(&mut reader, disputed)
}

/// Finds the first step of the other party's `working` that is wrong, and opens its inputs.
///
/// # Errors
///
/// The party lacks an input, or every step is right.
pub fn accuse(
    party: &mut Party<'_, '_>,
    docket: &Docket,
    children: &[Vec<Digest>],
    working: &[u32],
) -> Result<Accusation, WeightsError> {
    let Some(disputed) = disputed(docket) else { return Ok(Accusation::default()) };
    for step in 0.. {
        let mut reader = Reader::new(party, &docket.statement, (working, docket.working_length), None);
        let is_wrong = match evaluate(&mut reader, disputed, step)? {
            Step::Words { target: Target::Word, words } => words != [docket.word],
            Step::Words { target: Target::Working(start), words } => {
                working.get(start as usize..start as usize + words.len()) != Some(&words[..])
            }
            Step::NoSuchStep => return Err(WeightsError::NothingWrong),
            Step::Impossible | Step::NotFinite | Step::Malformed => true,
        };
        if is_wrong {
            return open(party, docket, children, working, step);
        }
    }
    Err(WeightsError::NothingWrong)
}

/// Opens the inputs of a step, and the words of the working that it is compared with.
///
/// # Errors
///
/// The party lacks an input.
pub fn open(
    party: &mut Party<'_, '_>,
    docket: &Docket,
    children: &[Vec<Digest>],
    working: &[u32],
    step: u32,
) -> Result<Accusation, WeightsError> {
    let Some(disputed) = disputed(docket) else { return Ok(Accusation { step, ..Accusation::default() }) };
    let opened = Some(Opened { docket, children });
    let mut reader = Reader::new(party, &docket.statement, (working, docket.working_length), opened);
    reader.accusation.step = step;
    if let Step::Words { target: Target::Working(start), .. } = evaluate(&mut reader, disputed, step)? {
        reader.working_tile(start / 16)?;
    }
    Ok(reader.accusation)
}

/// How many steps the working of the word in `docket` has.
///
/// # Errors
///
/// The party lacks an input.
pub fn steps(party: &mut Party<'_, '_>, docket: &Docket, working: &[u32]) -> Result<u32, WeightsError> {
    let Some(disputed) = disputed(docket) else { return Ok(1) };
    let mut is_step = |step: u32| {
        let mut reader = Reader::new(party, &docket.statement, (working, docket.working_length), None);
        evaluate(&mut reader, disputed, step).map(|step| step != Step::NoSuchStep)
    };
    let (mut below, mut above) = (0, 1);
    while is_step(above)? {
        (below, above) = (above, above * 2);
    }
    while above - below > 1 {
        let middle = u32::midpoint(below, above);
        if is_step(middle)? { below = middle } else { above = middle }
    }
    Ok(above)
}

/// A dispute over the word at `address` as it stands before its last move if both parties have the same trace: its docket, and the
/// children that the moves have shown.
///
/// # Errors
///
/// The trace cannot be computed.
pub fn rehearse(
    trace: &mut dyn Trace,
    statement: &Statement,
    (address, word): (u64, u32),
    working: &[u32],
) -> Result<(Docket, Vec<Vec<Digest>>), TraceError> {
    let (mut nodes, mut children) = (Vec::new(), Vec::new());
    for level in 0..trace.levels() {
        let height = trace.height() - level * MOVE_BITS;
        nodes.push(trace.node(height, address >> height)?);
        if height > MOVE_BITS {
            children.push(trace.children(height, address >> height)?);
        }
    }
    let working_length = working.len() as u32;
    let working_root = tree::node_of(working, working_height(working_length));
    Ok((Docket { statement: statement.clone(), address, word, nodes, working_root, working_length }, children))
}
