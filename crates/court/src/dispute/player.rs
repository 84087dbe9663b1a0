//! Plays a side: looks at where the dispute stands and makes the next move from its own trace.

use claim::{Digest, PromptToken};

use super::{Challenge, Descent, EndProof, Input, Shown, Side, State, Work};
use crate::judge::{Party, Weights, WeightsError, accuse, working};
use crate::trace::{MOVE_BITS, NODE_WORDS, Trace, TraceError, tree};

/// A side with its trace, its model and the prompt.
pub struct Player<'a, 'w> {
    /// The side it plays.
    pub side: Side,
    /// Its trace.
    pub trace: &'a mut dyn Trace,
    /// Its model.
    pub weights: &'a Weights<'w>,
    /// The prompt.
    pub prompt: &'a [PromptToken],
}

impl std::fmt::Debug for Player<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Player").field("side", &self.side).finish_non_exhaustive()
    }
}

/// Why a player has no move.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlayerError {
    /// The other's tree is the same as far as it was shown: there is nothing to dispute.
    #[error("both traces are the same")]
    NoDifference,
    /// The trace cannot be computed.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The party lacks an input.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

impl Player<'_, '_> {
    /// The challenger's first move.
    ///
    /// # Errors
    ///
    /// The trace cannot be computed.
    pub fn challenge(&mut self) -> Result<Challenge, PlayerError> {
        let height = self.trace.height();
        Ok(Challenge { children: self.trace.children(height, 0)? })
    }

    /// The next move of this side, whose turn it is.
    ///
    /// # Errors
    ///
    /// [`PlayerError`]: it has none, and will lose by silence.
    pub fn play(&mut self, state: &State) -> Result<Input, PlayerError> {
        if let Some((docket, words)) = state.worked() {
            let children: Vec<Vec<Digest>> = state.shown().iter().filter_map(Shown::nodes).collect();
            let mut party = Party { trace: self.trace, weights: self.weights, prompt: self.prompt };
            let accusation = accuse(&mut party, docket, &children, words)?;
            return Ok(Input::Accuse(self.side, Box::new(accusation)));
        }
        match state.shown().last() {
            Some(Shown::Words(words)) => Ok(Input::Work(self.side, Box::new(self.work(state, words)?))),
            Some(Shown::Nodes(children)) => Ok(Input::Descend(self.side, Box::new(self.descend(state, children)?))),
            None => Err(PlayerError::NoDifference),
        }
    }

    fn descend(&mut self, state: &State, theirs: &[Digest]) -> Result<Descent, PlayerError> {
        let level = state.nodes().len() as u32;
        let height = self.trace.height() - (level - 1) * MOVE_BITS;
        let ours = self.trace.children(height, state.index())?;
        let child = ours.iter().zip(theirs).position(|(ours, theirs)| ours != theirs);
        let child = child.ok_or(PlayerError::NoDifference)?;
        let index = state.index() << MOVE_BITS | child as u64;
        let below = height - MOVE_BITS;
        let own_top = (below + 2 * MOVE_BITS).min(self.trace.height());
        let is_first = level == 1;
        Ok(Descent {
            child: child as u8,
            shown: if level + 1 == self.trace.levels() {
                Shown::Words(self.trace.words(index << MOVE_BITS, NODE_WORDS)?)
            } else {
                Shown::Nodes(self.trace.children(below, index)?)
            },
            own_path: self.trace.siblings(below, index, own_top)?,
            their_child: theirs[child],
            their_path: path_among(theirs, child),
            end: if is_first { Some(self.end(state)?) } else { None },
        })
    }

    fn end(&mut self, state: &State) -> Result<EndProof, PlayerError> {
        let statement = &state.terms().statement;
        let tile = statement.end() >> tree::TILE_HEIGHT;
        Ok(EndProof { path: self.trace.siblings(tree::TILE_HEIGHT, tile, self.trace.height())? })
    }

    fn work(&mut self, state: &State, theirs: &[u32]) -> Result<Work, PlayerError> {
        let first = state.index() << MOVE_BITS;
        let ours = self.trace.words(first, NODE_WORDS)?;
        let index = ours.iter().zip(theirs).position(|(ours, theirs)| ours != theirs);
        let index = index.ok_or(PlayerError::NoDifference)? as u32;
        let tile_index = (first + u64::from(index)) >> tree::TILE_HEIGHT;
        let mut tile = [0; 16];
        tile.copy_from_slice(&ours[index as usize / 16 * 16..][..16]);
        let own_path = self.trace.siblings(tree::TILE_HEIGHT, tile_index, 2 * MOVE_BITS)?;
        let mut party = Party { trace: self.trace, weights: self.weights, prompt: self.prompt };
        let (address, word) = (first + u64::from(index), ours[index as usize]);
        let working = working(&mut party, &state.terms().statement, address, word)?;
        Ok(Work { index, tile, own_path, working })
    }
}

/// The siblings on the way from node `index` of 64 to the node above them all.
fn path_among(nodes: &[Digest], index: usize) -> Vec<Digest> {
    let mut level = nodes.to_vec();
    (0..MOVE_BITS)
        .map(|height| {
            let sibling = level[(index >> height) ^ 1];
            level = tree::pairs(&level, tree::TILE_HEIGHT);
            sibling
        })
        .collect()
}
