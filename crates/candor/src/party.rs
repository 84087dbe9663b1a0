//! A party of a dispute: what a receipt stands for, as the court has it.

use anyhow::{Context as _, ensure};
use claim::{Evidence, Receipt, SignedReceipt};
use court::dispute::Terms;
use court::trace::{Answer, statement};
use ledger::abi::Court;
use ledger::game::Charge;
use ledger::{Address, Client, dispute};
use model::Model;

/// The answer that a receipt is for: what its request means, and the tokens that were signed.
pub(crate) fn answer(model: &Model, receipt: &Receipt, evidence: &Evidence) -> anyhow::Result<Answer> {
    let request = api::parse(evidence.endpoint, &evidence.request).map_err(|error| anyhow::anyhow!("{error}"))?;
    let context = model.config().context_length;
    let jobs = request.jobs(model.tokenizer(), model.template().ok(), context, receipt.started);
    let jobs = jobs.map_err(|error| anyhow::anyhow!("{error}"))?;
    let job = jobs.into_iter().find(|job| job.choice == receipt.choice);
    let job = job.context("the request has no such choice")?;
    ensure!(
        claim::prompt_root(&job.prompt) == receipt.prompt_root,
        "the receipt is for another prompt than the request's; replay shows that, and this court judges no requests"
    );
    ensure!(
        job.sampling.hash() == receipt.sampling,
        "the receipt is for another sampling than the request's; replay shows that, and this court judges no requests"
    );
    let (prompt, sampling) = (job.prompt, job.sampling);
    Ok(Answer { prompt, output: evidence.output.clone(), sampling, seed: receipt.seed, kv: receipt.engine.kv })
}

/// What both sides of a dispute know from the start.
pub(crate) async fn terms(
    client: &Client,
    court: Address,
    model: &Model,
    receipt: &Receipt,
    answer: &Answer,
) -> anyhow::Result<Terms> {
    let move_time = client.call(court, &Court::moveTimeCall {}).await?.saturating_to();
    let statement = statement(model, answer)?;
    Ok(Terms { statement, roots: (receipt.state_root, receipt.output_root), move_time })
}

/// A receipt as it is brought before the court.
pub(crate) fn charge(signed: &SignedReceipt, evidence: &Evidence, answer: &Answer, bond: u128) -> Charge {
    // What a client kept of a broken stream has no prompt; it follows from the request.
    let evidence = Evidence { prompt: answer.prompt.clone(), ..evidence.clone() };
    Charge {
        statement: dispute::statement(&signed.receipt),
        signature: signed.signature.to_bytes(),
        opening: dispute::opening(&evidence, &answer.sampling),
        bond,
    }
}
