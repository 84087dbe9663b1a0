//! A party's source: its own trace and model file. It makes workings, and opens the inputs of a step for the judge.

use arith::WeightType;
use claim::merkle::{self, MerkleError, Proof};
use claim::{Digest, PromptToken};
use model::gguf::{Gguf, GgufError, tensor_kind};
use model::{LEAF_WEIGHTS, Model};

use super::openings::{Docket, disputed, leaf_place};
use super::rules::evaluate;
use super::source::{Leaf, Source, WeightRun};
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

    /// A leaf of a tensor with its type and its path.
    fn leaf(&self, tensor: &str, row: u32, leaf: Leaf) -> Result<(WeightType, Vec<u8>, Proof), WeightsError> {
        let unknown = || WeightsError::Part { name: format!("tensor/{tensor}") };
        let info = self.gguf.tensor(tensor).ok_or_else(unknown)?;
        let kind = WeightType::from_ggml(info.kind).ok_or_else(unknown)?;
        let block = tensor_kind(info.kind).ok_or_else(unknown)?;
        let bytes = |weights: usize| weights / block.block_len as usize * block.block_bytes as usize;
        let columns = info.dims.first().copied().unwrap_or(1) as usize;
        let rows = info.dims.get(1).map_or(0, |&rows| rows as u32);
        let data = self.gguf.tensor_bytes(info);
        let leaves: Vec<&[u8]> =
            data.chunks(bytes(columns).max(1)).flat_map(|row| row.chunks(bytes(LEAF_WEIGHTS).max(1))).collect();
        let (index, _, _) = leaf_place((rows, columns as u32), row, leaf.index(kind, columns as u32));
        let proof = merkle::prove(&leaves, index)?;
        Ok((kind, leaves[index as usize].to_vec(), proof))
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
}

/// What the moves have shown.
#[derive(Clone, Copy)]
struct Opened<'a> {
    docket: &'a Docket,
    /// The children that each level's mover has shown.
    children: &'a [Vec<Digest>],
}

impl Reader<'_, '_, '_> {
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

    /// The path from a node to the opened node above it. Below the children that were shown both parties have the same nodes; from
    /// there up it leads over the children themselves.
    fn trace_path(&mut self, start: u64, height: u32) -> Result<(), WeightsError> {
        let Some(Opened { docket, children }) = self.opened else { return Ok(()) };
        let (level, base) = docket.base(start);
        let Some(shown) = children.get(level) else { return Ok(()) };
        let child = base - MOVE_BITS;
        if height < child {
            let siblings = self.party.trace.siblings(height, start >> height, child)?;
            self.accusation.path.extend(siblings);
        }
        let mut nodes = shown.clone();
        for at in child..base {
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
        if self.opened.is_some() {
            self.write(&words);
            self.trace_path(start, height)?;
        }
        Ok(words)
    }

    fn working_length(&self) -> u32 {
        self.length
    }

    fn working_tile(&mut self, tile: u32) -> Result<[u32; 16], WeightsError> {
        let at = |index: u32| self.working.get(index as usize).copied().unwrap_or(0);
        let words = std::array::from_fn(|i| at(16 * tile + i as u32));
        if let Some(Opened { docket, .. }) = self.opened {
            self.write(&words);
            let mut level: Vec<Digest> =
                self.working.chunks(16).map(|tile| tree::node_of(tile, tree::TILE_HEIGHT)).collect();
            for height in tree::TILE_HEIGHT..docket.working_height() {
                let sibling = (tile >> (height - tree::TILE_HEIGHT)) ^ 1;
                self.accusation.path.push(level.get(sibling as usize).copied().unwrap_or_else(|| tree::zero(height)));
                level = tree::pairs(&level, height);
            }
        }
        Ok(words)
    }

    fn weights(&mut self, tensor: &str, _: (u32, u32), row: u32, leaf: Leaf) -> Result<WeightRun, WeightsError> {
        let (kind, bytes, proof) = self.party.weights.leaf(tensor, row, leaf)?;
        if self.opened.is_some() {
            self.accusation.data.push(kind.to_ggml() as u8);
            self.accusation.data.extend(&bytes);
            self.accusation.path.extend(proof.siblings);
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
        let mut reader =
            Reader { party, statement, working: &working, length, opened: None, accusation: Accusation::default() };
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
    let mut reader =
        Reader { party, statement, working: &[], length: 0, opened: None, accusation: Accusation::default() };
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
        let mut reader = Reader {
            party,
            statement: &docket.statement,
            working,
            length: docket.working_length,
            opened: None,
            accusation: Accusation::default(),
        };
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
    let accusation = Accusation { step, ..Accusation::default() };
    let mut reader = Reader {
        party,
        statement: &docket.statement,
        working,
        length: docket.working_length,
        opened: Some(Opened { docket, children }),
        accusation,
    };
    if let Step::Words { target: Target::Working(start), .. } = evaluate(&mut reader, disputed, step)? {
        reader.working_tile(start / 16)?;
    }
    Ok(reader.accusation)
}
