//! What the request means: prompt, sampling and seed must be that and nothing else.
//!
//! The bytes of a request have one meaning per receipt version. A program that reads them in another way must sign another
//! version, which this one then does not know; so a difference here is never one of program versions.

use api::{ApiError, JobSpec, Request};
use claim::{ModelRoot, PromptToken, Sampling, SeedKind, SeedProof, prompt_root};
use model::Model;

use crate::case::Case;
use crate::replay::{Checked, Doubts, refuted};
use crate::verdict::{Difference, Kind, Part};

/// The meaning of the request for the judged choice.
pub(crate) struct Meaning {
    pub(crate) prompt: Vec<PromptToken>,
    pub(crate) sampling: Sampling,
}

/// Compares prompt, sampling and seed with what the request means.
pub(crate) fn check(case: &Case<'_>, model: &Model, doubts: &mut Doubts) -> Checked<Meaning> {
    let (receipt, evidence) = (&case.signed.receipt, case.evidence);
    let unanswerable = |reason: String| refuted(Kind::Prompt, None, Difference::Unanswerable { reason });
    let request: Request =
        api::parse(evidence.endpoint, &evidence.request).map_err(|error| unanswerable(error.to_string()))?;
    check_named_root(case, &request)?;
    let mut jobs = jobs(&request, case, model).map_err(|error| unanswerable(error.to_string()))?;
    let index = receipt.choice.get() as usize;
    if index >= jobs.len() {
        return Err(refuted(Kind::Prompt, None, Difference::Choice { choices: jobs.len() }));
    }
    let job = jobs.swap_remove(index);
    check_prompt(case, &job.prompt, doubts)?;
    let (expected, found) = (job.sampling.hash(), receipt.sampling);
    if expected != found {
        return Err(refuted(Kind::Sampling, None, Difference::Sampling { expected, found }));
    }
    check_seed(case, job.sampling.temperature, job.seed, doubts)?;
    Ok(Meaning { prompt: job.prompt, sampling: job.sampling })
}

/// The prompt that the request means for the judged choice, if it means any.
pub(crate) fn prompt(case: &Case<'_>, model: &Model) -> Option<Vec<PromptToken>> {
    let request = api::parse(case.evidence.endpoint, &case.evidence.request).ok()?;
    let jobs = jobs(&request, case, model).ok()?;
    jobs.into_iter().nth(case.signed.receipt.choice.get() as usize).map(|job| job.prompt)
}

/// What the request asks the model for at the time that the receipt names.
fn jobs(request: &Request, case: &Case<'_>, model: &Model) -> Result<Vec<JobSpec>, ApiError> {
    request.jobs(model.tokenizer(), model.template().ok(), model.config().context_length, case.signed.receipt.started)
}

/// A request may name its model by the root, and then needs nobody to say what the name stands for.
fn check_named_root(case: &Case<'_>, request: &Request) -> Checked<()> {
    let found = case.signed.receipt.model_root;
    match request.model.parse::<ModelRoot>() {
        Ok(expected) if expected != found => Err(refuted(Kind::Model, None, Difference::ModelRoot { expected, found })),
        _ => Ok(()),
    }
}

/// The signed prompt against `expected`. The evidence is asked only where they first differ.
fn check_prompt(case: &Case<'_>, expected: &[PromptToken], doubts: &mut Doubts) -> Checked<()> {
    let (signed, shown) = (case.signed.receipt.prompt_root, &case.evidence.prompt);
    let root = prompt_root(expected);
    if root == signed {
        doubts.note_if(!shown.is_empty() && shown != expected, Part::Prompt);
        return Ok(());
    }
    let length = expected.len().max(shown.len());
    let first = (0..length).find(|&i| expected.get(i) != shown.get(i));
    let Some(position) = first.filter(|_| prompt_root(shown) == signed) else {
        return Err(refuted(Kind::Prompt, None, Difference::PromptRoot { expected: root, found: signed }));
    };
    let (expected, found) = (expected.get(position).copied(), shown.get(position).copied());
    Err(refuted(Kind::Prompt, Some(position), Difference::PromptToken { expected, found }))
}

/// The signed seed against the only one it could be. Of the evidence only a proof that holds is believed: nobody but the
/// host can make one, while anybody can spoil one.
fn check_seed(case: &Case<'_>, temperature: f32, given: Option<u64>, doubts: &mut Doubts) -> Checked<()> {
    let (receipt, shown) = (&case.signed.receipt, case.evidence.seed_proof);
    let (kind, found) = (seed_kind(temperature, given), receipt.seed_kind);
    if kind != found {
        return Err(refuted(Kind::Sampling, None, Difference::SeedKind { expected: kind, found }));
    }
    let proof = match (kind, given) {
        (SeedKind::Unused, _) => SeedProof::Unused,
        (_, Some(given)) => SeedProof::Given(given),
        (_, None) => shown,
    };
    let host = case.signed.host_key().map_err(|_| refuted(Kind::Signature, None, Difference::Signature))?;
    let seed = proof.seed(&host, receipt.request_hash, case.evidence.nonce, receipt.choice);
    doubts.note_if(shown != proof || proof.kind() != kind || seed.is_err(), Part::SeedProof);
    match seed {
        Ok(expected) if proof.kind() == kind && expected != receipt.seed => {
            Err(refuted(Kind::Sampling, None, Difference::Seed { expected, found: receipt.seed }))
        }
        _ => Ok(()),
    }
}

fn seed_kind(temperature: f32, given: Option<u64>) -> SeedKind {
    match given {
        _ if temperature == 0.0 => SeedKind::Unused,
        Some(_) => SeedKind::Given,
        None => SeedKind::Drawn,
    }
}
