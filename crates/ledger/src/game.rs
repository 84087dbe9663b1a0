//! A dispute on the chain: moves as calls of the court, and the court's events as moves.

use alloy::primitives::{Address, B256, Log, U256};
use alloy::sol_types::{SolCall as _, SolEvent as _};
use claim::Digest;
use court::dispute::{Challenge, Followed, Input, MoveError, Player, PlayerError, Shown, Side, State, Terms, Work};
use court::judge::Ruling;
use court::trace::tree;

use crate::abi::{Court, Dispute, Reason};
use crate::client::{Account, Sent};
use crate::deployment::ANSWERS;
use crate::dispute::{context, judge_data, word};
use crate::error::LedgerError;

/// A receipt as it is brought before the court.
#[derive(Clone, Debug)]
pub struct Charge {
    /// The receipt's fields.
    pub statement: alloy::primitives::Bytes,
    /// The host's signature.
    pub signature: [u8; 65],
    /// What opens its roots.
    pub opening: alloy::primitives::Bytes,
    /// What the challenger puts up.
    pub bond: u128,
}

/// A dispute as somebody sees it who reads the court's events.
#[derive(Clone, Debug)]
pub struct Game {
    /// Its number.
    pub id: U256,
    /// What the court keeps the hash of.
    pub dispute: Dispute,
    /// Where the moves stand.
    pub state: State,
    /// How it was decided.
    pub verdict: Option<Verdict>,
}

/// How a dispute was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Who won.
    pub winner: Side,
    /// Why, in the court's words.
    pub reason: Reason,
}

/// Why a move was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlayError {
    /// The side has no move.
    #[error(transparent)]
    Player(#[from] PlayerError),
    /// The chain refused it, or does not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// The call that opens a dispute.
pub fn challenge_call(charge: &Charge, challenge: &Challenge) -> Vec<u8> {
    let call = Court::challengeCall {
        kind: ANSWERS,
        statement: charge.statement.clone(),
        signature: charge.signature.to_vec().into(),
        opening: charge.opening.clone(),
        children: array(&challenge.children),
        bond: charge.bond,
    };
    call.abi_encode()
}

impl Game {
    /// The dispute that an event of the court opens, if it is one.
    ///
    /// # Errors
    ///
    /// The event does not show 64 children, which no court lets pass.
    pub fn opened(log: &Log, terms: Terms) -> Option<Result<Self, MoveError>> {
        let event = Court::ChallengeOpened::decode_log(log).ok()?.data;
        let challenge = Challenge { children: event.children.iter().map(|node| Digest::new(node.0)).collect() };
        let move_time = terms.move_time;
        let deadline = event.dispute.deadline.to::<u64>();
        let state = State::open(terms, &challenge, deadline.saturating_sub(move_time));
        Some(state.map(|state| Self { id: event.id, dispute: event.dispute, state, verdict: None }))
    }

    /// The call of the court that makes a move.
    pub fn call(&self, input: &Input) -> Vec<u8> {
        let (id, dispute) = (self.id, self.dispute.clone());
        match input {
            Input::Descend(_, descent) => {
                let own_path = descent.own_path.iter().copied().map(word).collect();
                let their_child = word(descent.their_child);
                let their_path = array(&descent.their_path);
                let end = descent.end.as_ref().map(|end| end.path.as_slice()).unwrap_or_default();
                let end_path = end.iter().copied().map(word).collect();
                match &descent.shown {
                    Shown::Nodes(nodes) => Court::descendCall {
                        id,
                        dispute,
                        child: descent.child,
                        ownPath: own_path,
                        theirChild: their_child,
                        theirPath: their_path,
                        children: array(nodes),
                        endPath: end_path,
                    }
                    .abi_encode(),
                    Shown::Words(words) => Court::descendToWordsCall {
                        id,
                        dispute,
                        child: descent.child,
                        ownPath: own_path,
                        theirChild: their_child,
                        theirPath: their_path,
                        words: bytes(words),
                        endPath: end_path,
                    }
                    .abi_encode(),
                }
            }
            Input::Work(_, work) => self.work_call(work),
            Input::Accuse(_, accusation) => {
                let docket = self.state.worked().map(|(docket, _)| docket);
                Court::accuseCall {
                    id,
                    dispute,
                    context: context(&self.state.terms().statement),
                    step: accusation.step,
                    data: docket.map(|docket| judge_data(docket, &accusation.data)).unwrap_or_default(),
                    path: accusation.path.iter().copied().map(word).collect(),
                }
                .abi_encode()
            }
            Input::Timeout => Court::timeoutCall { id, dispute }.abi_encode(),
        }
    }

    fn work_call(&self, work: &Work) -> Vec<u8> {
        // The other's words lie in an event, so the court is shown the tile and its place again.
        let theirs = match self.state.shown().last() {
            Some(Shown::Words(words)) => words.clone(),
            _ => Vec::new(),
        };
        let tiles: Vec<Digest> = theirs.chunks(16).map(|tile| tree::node_of(tile, tree::TILE_HEIGHT)).collect();
        let tile = work.index as usize / 16;
        let pairs = tree::pairs(&tiles, tree::TILE_HEIGHT);
        let siblings = [tiles.get(tile ^ 1), pairs.get((tile / 2) ^ 1)];
        let call = Court::workCall {
            id: self.id,
            dispute: self.dispute.clone(),
            index: work.index as u8,
            tile: bytes(&work.tile),
            ownPath: array(&work.own_path),
            theirTile: bytes(theirs.get(tile * 16..tile * 16 + 16).unwrap_or_default()),
            theirPath: siblings.map(|node| node.copied().map_or(B256::ZERO, word)),
            working: bytes(&work.working),
        };
        call.abi_encode()
    }

    /// The call that moves the money of a decided dispute.
    pub fn settle_call(&self, verdict: Verdict) -> Vec<u8> {
        Court::settleCall { id: self.id, dispute: self.dispute.clone(), reason: verdict.reason }.abi_encode()
    }

    /// Follows an event of the court; another dispute's changes nothing.
    pub fn follow(&mut self, log: &Log) {
        if let Ok(log) = Court::Descended::decode_log(log)
            && log.id == self.id
        {
            let shown = Shown::Nodes(log.children.iter().map(|node| Digest::new(node.0)).collect());
            self.descended(log.data.child, shown, log.data.dispute);
        } else if let Ok(log) = Court::DescendedToWords::decode_log(log)
            && log.id == self.id
        {
            let shown = Shown::Words(words(&log.words));
            self.descended(log.data.child, shown, log.data.dispute);
        } else if let Ok(log) = Court::Worked::decode_log(log)
            && log.id == self.id
        {
            let event = log.data;
            let index = (event.dispute.index & 63) as u32;
            let followed = Followed::Work { index, word: event.dispute.word, working: words(&event.working) };
            self.state.follow(followed, event.dispute.deadline.to());
            self.dispute = event.dispute;
        } else if let Ok(log) = Court::VerdictGiven::decode_log(log)
            && log.id == self.id
        {
            let winner = if log.winner == self.dispute.host { Side::Host } else { Side::Challenger };
            self.verdict = Some(Verdict { winner, reason: log.reason });
        }
    }

    fn descended(&mut self, child: u8, shown: Shown, dispute: Dispute) {
        let node = dispute.nodes.last().map_or(Digest::ZERO, |node| Digest::new(node.0));
        self.state.follow(Followed::Descent { child, node, shown }, dispute.deadline.to());
        self.dispute = dispute;
    }

    /// Makes the next move of the side whose turn it is, and follows what the court says to it.
    ///
    /// # Errors
    ///
    /// The player has no move, and will lose by silence; or the chain refuses it.
    pub async fn play(
        &mut self,
        account: &Account,
        court: Address,
        player: &mut Player<'_, '_>,
    ) -> Result<Sent, PlayError> {
        let input = player.play(&self.state)?;
        let sent = account.send_encoded(court, self.call(&input)).await?;
        sent.logs.iter().for_each(|log| self.follow(&log.inner));
        Ok(sent)
    }

    /// The next move in words.
    pub fn next_move(&self) -> &'static str {
        let level = self.state.nodes().len() as u32;
        if self.state.worked().is_some() {
            "accuse: one step of the working, judged"
        } else if level == self.state.levels() {
            "work: the word that differs, and how it comes about"
        } else if level + 1 == self.state.levels() {
            "descend: 64 words"
        } else {
            "descend: 64 nodes"
        }
    }

    /// The address of a side.
    pub fn party(&self, side: Side) -> Address {
        match side {
            Side::Host => self.dispute.host,
            Side::Challenger => self.dispute.challenger,
        }
    }
}

impl Verdict {
    /// The judge's ruling, where there was one.
    pub fn ruling(&self) -> Option<Ruling> {
        match self.reason {
            Reason::WorkerLied => Some(Ruling::WorkerLies),
            Reason::AccuserLied => Some(Ruling::AccuserLies),
            Reason::HostLied => Some(Ruling::HostLies),
            _ => None,
        }
    }
}

/// So many hashes as a contract's array; missing ones are zero, which no path has.
fn array<const N: usize>(digests: &[Digest]) -> [B256; N] {
    std::array::from_fn(|i| digests.get(i).copied().map_or(B256::ZERO, word))
}

fn bytes(words: &[u32]) -> alloy::primitives::Bytes {
    words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>().into()
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks::<4>().0.iter().map(|&bytes| u32::from_le_bytes(bytes)).collect()
}
