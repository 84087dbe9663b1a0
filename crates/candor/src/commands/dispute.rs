//! `candor dispute`: bring a receipt that does not hold before the court.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use claim::{Amount, Evidence, HostKey, SignedReceipt};
use clap::Args;
use court::dispute::{Player, Side};
use court::judge::Weights;
use court::trace::{Answer, EngineTrace};
use court::{Case, Judgement, Known, Verdict};
use host::MappedModel;
use ledger::abi::Court;
use ledger::hearing::{self, About, Hearing, Opened};
use ledger::{Account, Address, LedgerError, dispute, dollar, stake};
use model::Model;
use serde_json::json;

use super::verify::VerifyOptions;
use super::{Context, block_on};
use crate::chain_access::{ChainOptions, Journal, Ledger, Signer, distance};
use crate::exit::Exit;
use crate::money::{Dollars, dollars};
use crate::progress::Bar;
use crate::replay::{self, Bench, Search};
use crate::{machine, output, party};

/// Dispute a receipt.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  candor dispute sky.json\n  candor dispute sky.json --follow\n  candor dispute 0x6b1f... --gateway http://127.0.0.1:7411 --follow"
)]
pub(crate) struct Dispute {
    #[command(flatten)]
    chain: ChainOptions,
    /// The key that challenges, `wallet.json` in the data folder by default
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Play every move until the verdict, and move the money; goes on with a dispute of yours that is open
    #[arg(long)]
    follow: bool,
    /// Dollars that each side puts up, the court's least by default
    #[arg(long, value_name = "AMOUNT")]
    bond: Option<Dollars>,
    #[command(flatten)]
    verify: VerifyOptions,
    /// A file that `candor ask --receipt` wrote (`-` for standard input), or a receipt id
    #[arg(value_name = "FILE|ID")]
    receipt: String,
}

/// What the challenger has.
struct Challenger<'a> {
    context: &'a Context<'a>,
    command: &'a Dispute,
    signed: SignedReceipt,
    evidence: Evidence,
    answer: Answer,
    bench: Bench<'a>,
    model: Model,
    path: PathBuf,
}

/// Runs the command.
pub(crate) fn run(context: &Context<'_>, command: &Dispute) -> anyhow::Result<Exit> {
    let document =
        replay::read(&command.receipt, command.verify.gateway.as_deref()).context("the receipt cannot be read")?;
    let signed = document.receipt;
    let evidence = document
        .evidence
        .context("the receipt comes without evidence; get both with `candor verify ID` from the gateway that has it")?;
    let machine = machine::build(command.verify.threads, context.environment)?;
    let bench = Bench { context, fetcher: context.fetcher(), machine };
    let (model, path) = match bench.model(command.verify.model.as_deref(), &signed, &evidence)? {
        Search::Found { model, path, .. } => (*model, path),
        Search::Missing { reason } => bail!("{reason}"),
    };
    let case = Case { signed: &signed, evidence: &evidence, known: Known::default(), window: None };
    let judgement = bench.judge(&case, &model);
    must_be_refuted(&judgement)?;
    let answer = party::answer(&model, &signed.receipt, &evidence)?;
    let key = Signer::Wallet.open(context, command.key.as_deref())?;
    let challenger = Challenger { context, command, signed, evidence, answer, bench, model, path };
    block_on(challenger.dispute(key))?;
    Ok(Exit::Done)
}

/// Whoever challenges an answer that holds loses its bond.
fn must_be_refuted(judgement: &Judgement) -> anyhow::Result<()> {
    match &judgement.verdict {
        Verdict::Refuted(_) => Ok(()),
        Verdict::Held(_) => bail!("the receipt holds; whoever disputes it loses the bond"),
        Verdict::Cannot(obstacle) => bail!("the receipt cannot be checked, so nobody knows who would win: {obstacle}"),
    }
}

impl Challenger<'_> {
    async fn dispute(&self, key: HostKey) -> anyhow::Result<()> {
        let ledger = Ledger::open(self.context, &self.command.chain).await?;
        let court = ledger.deployment.court;
        let host = Address::from(self.signed.receipt.host.get());
        let file = MappedModel::open(&self.path)
            .with_context(|| format!("cannot read the model file {}", self.path.display()))?;
        let weights = Weights::new(file.bytes(), &self.model)?;
        let mut trace = self.trace()?;
        ensure!(
            trace.roots() != (self.signed.receipt.state_root, self.signed.receipt.output_root),
            "every number of the answer is right; what replay refutes of it is nothing that this court judges"
        );
        let mut player =
            Player { side: Side::Challenger, trace: &mut trace, weights: &weights, prompt: &self.answer.prompt };
        let mut journal = Journal::default();
        let own = Address::from(key.address().get());
        let (account, opened) = match self.open_already(&ledger, own).await? {
            Some(opened) => (Arc::new(ledger.account(key, None).await?), opened),
            None => self.challenge(&ledger, key, host, &mut player, &mut journal).await?,
        };
        let receipt = &self.signed.receipt;
        let terms = party::terms(&ledger.client, court, &self.model, receipt, &self.answer).await?;
        let mut hearing = Hearing::new(account, court, opened.clone(), terms)?;
        if !self.command.follow {
            hearing.look().await?;
            return self.print_open(&ledger, &opened, &hearing, &journal).await;
        }
        let verdict = hearing.play(&mut player, &mut |act| journal.tell(act.what, act.sent)).await?;
        self.print_verdict(&opened, verdict, &journal)
    }

    fn trace(&self) -> anyhow::Result<EngineTrace<'_>> {
        let mut bar = None;
        let trace = EngineTrace::new(&self.model, &self.bench.machine, &self.answer, &mut |done, total| {
            let bar = bar.get_or_insert_with(|| Bar::counted(self.context.output, "tracing positions", total as u64));
            bar.at(done as u64);
        })?;
        if let Some(bar) = bar {
            bar.end();
        }
        Ok(trace)
    }

    /// A dispute of this receipt that this key has opened; an error where somebody else has, or where it is over.
    async fn open_already(&self, ledger: &Ledger, own: Address) -> anyhow::Result<Option<Opened>> {
        const REFUTED: u8 = 2;
        let (court, id) = (ledger.deployment.court, self.signed.id());
        let standing = Court::standingOfCall { receipt: id.get().get().into() };
        let status = ledger.client.call(court, &standing).await?.status;
        if status == REFUTED {
            bail!("the receipt was shown to be false before; there is nothing left to win");
        }
        let open = hearing::open_disputes(&ledger.client, court, About::Receipt(id)).await?;
        if let Some(other) = open.iter().find(|opened| opened.challenger != own) {
            bail!("{} disputes this receipt already, as dispute {}", other.challenger, other.id);
        }
        Ok(open.into_iter().next())
    }

    /// Puts up the bond and opens the dispute.
    async fn challenge(
        &self,
        ledger: &Ledger,
        key: HostKey,
        host: Address,
        player: &mut Player<'_, '_>,
        journal: &mut Journal,
    ) -> anyhow::Result<(Arc<Account>, Opened)> {
        let (client, court) = (&ledger.client, ledger.deployment.court);
        let registration = stake::registration(client, &ledger.deployment, host).await?;
        let Some(registration) = registration else { bail!("no stake stands behind {host}, so nothing can be won") };
        let token = stake::token(client, registration.vault).await?;
        let least = Amount::new(client.call(court, &Court::bondMinCall {}).await?.saturating_to());
        let bond = self.command.bond.map_or(least, |bond| bond.0);
        ensure!(bond >= least, "the court takes bonds from {} dollars on", dollars(least));
        let account = Arc::new(ledger.account(key, Some((token, bond))).await?);
        if let Some(sent) = dollar::approve(&account, token, court, bond).await? {
            journal.tell("let the court take the bond", &sent);
        }
        let charge = party::charge(&self.signed, &self.evidence, &self.answer, bond.get());
        let challenge = player.challenge()?;
        let mut outcome = hearing::challenge(&account, court, &charge, &challenge).await;
        if matches!(&outcome, Err(LedgerError::Reverted { reason, .. }) if reason.contains("ModelUnknown")) {
            let learn = dispute::learn_call(&self.model)?;
            let sent = account.send(ledger.deployment.judge, &learn).await?;
            journal.tell("taught the judge the shape of the model", &sent);
            outcome = hearing::challenge(&account, court, &charge, &challenge).await;
        }
        let (opened, sent) = outcome?;
        journal.tell(format!("challenge: {} dollars, and 64 nodes below the root", dollars(bond)), &sent);
        Ok((account, opened))
    }

    async fn print_open(
        &self,
        ledger: &Ledger,
        opened: &Opened,
        hearing: &Hearing,
        journal: &Journal,
    ) -> anyhow::Result<()> {
        let state = &hearing.game().state;
        if self.context.output.is_json() {
            return output::json(&json!({
                "dispute": opened.id.to_string(), "receipt": opened.receipt.to_string(), "host": opened.host.to_string(),
                "bond": dollars(opened.bond), "state": "open", "turn": side(state.turn()), "deadline": state.deadline(),
                "transactions": journal,
            }));
        }
        let left = distance(state.deadline().saturating_sub(ledger.client.now().await?));
        output::line(&format!("dispute {} over {}", opened.id, opened.receipt))?;
        output::line(&format!("{} is to move, or loses {left}", side(state.turn())))?;
        let path = Path::new(&self.command.receipt).display();
        output::note(&format!("play your moves in time: candor dispute {path} --follow"));
        Ok(())
    }

    fn print_verdict(&self, opened: &Opened, verdict: ledger::game::Verdict, journal: &Journal) -> anyhow::Result<()> {
        let (winner, because) = (side(verdict.winner), verdict.because());
        if self.context.output.is_json() {
            return output::json(&json!({
                "dispute": opened.id.to_string(), "receipt": opened.receipt.to_string(), "host": opened.host.to_string(),
                "bond": dollars(opened.bond), "state": "decided", "winner": winner, "because": because,
                "transactions": journal,
            }));
        }
        output::line(&format!("{winner} wins {} dollars: {because}", dollars(opened.bond)))
    }
}

const fn side(side: Side) -> &'static str {
    match side {
        Side::Host => "the host",
        Side::Challenger => "the challenger",
    }
}
