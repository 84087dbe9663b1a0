//! One dispute from the first bond to the last payment.

use anyhow::Context as _;
use court::dispute::{Input, Player, Side, Terms};
use court::judge::{Party, Weights, open};
use court::trace::{EngineTrace, Table, Trace};
use ledger::abi::Court::Settled;
use ledger::development::Stage;
use ledger::game::{Charge, Game, challenge_call};
use ledger::{Account, Sent, dispute};

use super::lies::{Asked, Told};

/// How the parties behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conduct {
    /// Both play to the end.
    Both,
    /// The challenger's trace is bent, and it accuses whatever it is shown.
    FalseAccuser,
    /// The host does not answer.
    SilentHost,
    /// The challenger does not go on.
    SilentChallenger,
}

/// A transaction of a dispute.
#[derive(Clone, Debug)]
pub(crate) struct Act {
    pub(crate) who: Side,
    pub(crate) what: &'static str,
    pub(crate) gas: u64,
}

/// How a dispute went.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) acts: Vec<Act>,
    /// Gas of the call that decided it.
    pub(crate) gas_last_call: u64,
    pub(crate) winner: Side,
    /// The disputed position, where it came to a word.
    pub(crate) position: Option<u32>,
    pub(crate) bond_moved: u128,
    /// What the channel gives back.
    pub(crate) freed: u128,
}

/// Plays a dispute over `told`, on the stage.
pub(crate) struct Scene<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) asked: &'a Asked<'a>,
    pub(crate) told: Told,
    pub(crate) conduct: Conduct,
    pub(crate) move_time: u64,
    /// The model files: the true one, and the one that the host has.
    pub(crate) files: [&'a [u8]; 2],
    pub(crate) host_model: &'a model::Model,
}

impl Scene<'_> {
    /// Plays it to its end; `tell` hears of each transaction.
    pub(crate) async fn play(mut self, tell: &mut dyn FnMut(&Act)) -> anyhow::Result<Outcome> {
        let statement = self.asked.statement()?;
        let receipt = self.told.receipt.receipt;
        let terms = Terms { statement, roots: (receipt.state_root, receipt.output_root), move_time: self.move_time };
        let prompt = self.told.evidence.prompt.clone();
        let weights = [Weights::new(self.files[0], self.asked.model)?, Weights::new(self.files[1], self.host_model)?];
        let answer = self.asked.answer(self.told.evidence.output.clone());
        let mut engine = EngineTrace::new(self.asked.model, self.asked.machine, &answer, &mut |_, _| ())?;
        let mut bent = self.bent()?;
        let truth: &mut dyn Trace = match &mut bent {
            Some(bent) => bent,
            None => &mut engine,
        };
        let mut host = Player { side: Side::Host, trace: &mut self.told.trace, weights: &weights[1], prompt: &prompt };
        let mut user = Player { side: Side::Challenger, trace: truth, weights: &weights[0], prompt: &prompt };

        let charge = Charge {
            statement: dispute::statement(&receipt),
            signature: self.told.receipt.signature.to_bytes(),
            opening: dispute::opening(&self.told.evidence, &self.asked.job.sampling),
            bond: self.stage.bond_min().await?,
        };
        let (stage, court) = (self.stage, self.stage.deployment.court);
        let sent = stage.user.send_encoded(court, challenge_call(&charge, &user.challenge()?)).await?;
        let opened = sent.logs.iter().find_map(|log| Game::opened(&log.inner, terms.clone()));
        let mut ledger = Acts { acts: Vec::new(), tell };
        ledger.note(Side::Challenger, "challenge: bond, and 64 nodes below the root", &sent);
        let mut game = opened.context("the court opened no dispute")??;
        while game.verdict.is_none() {
            let turn = game.state.turn();
            if self.conduct.is_silent(turn, game.state.nodes().len()) {
                stage.wait(self.move_time + 1).await?;
                let sent = account(stage, turn.other()).send_encoded(court, game.call(&Input::Timeout)).await?;
                sent.logs.iter().for_each(|log| game.follow(&log.inner));
                ledger.note(turn.other(), "timeout: the other side was silent", &sent);
            } else {
                let what = game.next_move();
                let player = if turn == Side::Host { &mut host } else { &mut user };
                let sent = step(&mut game, account(stage, turn), court, player, self.conduct).await?;
                ledger.note(turn, what, &sent);
            }
        }
        let verdict = game.verdict.context("the dispute has no verdict")?;
        let gas_last_call = ledger.acts.last().map_or(0, |act| act.gas);
        let sent = account(stage, verdict.winner).send_encoded(court, game.settle_call(verdict)).await?;
        ledger.note(verdict.winner, "settle: the money moves", &sent);
        let settled = sent.event::<Settled>().context("the court settled nothing")?;
        let bits = game.state.terms().statement.layout().bits();
        Ok(Outcome {
            position: game.state.worked().map(|(docket, _)| (docket.address >> bits) as u32),
            acts: ledger.acts,
            gas_last_call,
            winner: verdict.winner,
            bond_moved: settled.moved.saturating_to(),
            freed: settled.freed.saturating_to(),
        })
    }

    /// What a false accuser believes: the honest trace with one word changed.
    fn bent(&self) -> anyhow::Result<Option<Table>> {
        if self.conduct == Conduct::Both || self.conduct == Conduct::SilentHost {
            return Ok(None);
        }
        let mut bent = self.told.trace.clone();
        let statement = self.asked.statement()?;
        let places = statement.layout().places();
        let place = places[places.len() / 2];
        let position = bent.len() - 2;
        bent.set(position, place.start, bent.word(position, place.start) ^ 1);
        Ok(Some(bent))
    }
}

/// The transactions so far, each told of as it comes.
struct Acts<'a> {
    acts: Vec<Act>,
    tell: &'a mut dyn FnMut(&Act),
}

impl Acts<'_> {
    fn note(&mut self, who: Side, what: &'static str, sent: &Sent) {
        let act = Act { who, what, gas: sent.gas_used };
        (self.tell)(&act);
        self.acts.push(act);
    }
}

impl Conduct {
    /// Whether a side says nothing when so many nodes lie open.
    fn is_silent(self, side: Side, nodes: usize) -> bool {
        match self {
            Self::SilentHost => side == Side::Host,
            Self::SilentChallenger => side == Side::Challenger && nodes > 1,
            Self::Both | Self::FalseAccuser => false,
        }
    }
}

fn account(stage: &Stage, side: Side) -> &Account {
    match side {
        Side::Host => &stage.host,
        Side::Challenger => &stage.user,
    }
}

/// One move; a false accuser accuses the first step where it finds nothing wrong.
async fn step(
    game: &mut Game,
    account: &Account,
    court: ledger::Address,
    player: &mut Player<'_, '_>,
    conduct: Conduct,
) -> anyhow::Result<Sent> {
    let is_blind = conduct == Conduct::FalseAccuser && player.side == Side::Challenger;
    if let Some((docket, words)) = game.state.worked().filter(|_| is_blind) {
        let children: Vec<_> = game.state.shown().iter().filter_map(court::dispute::Shown::nodes).collect();
        let mut party = Party { trace: player.trace, weights: player.weights, prompt: player.prompt };
        let accusation = open(&mut party, docket, &children, words, 0)?;
        let call = game.call(&Input::Accuse(player.side, Box::new(accusation)));
        let sent = account.send_encoded(court, call).await?;
        sent.logs.iter().for_each(|log| game.follow(&log.inner));
        return Ok(sent);
    }
    Ok(game.play(account, court, player).await?)
}
