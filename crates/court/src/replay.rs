//! Replay: recompute an answer from its receipt and compare, with zero tolerance.
//!
//! The checks run from cheap to dear. First what the receipt says about itself and to this verifier (version, signature,
//! terms, model), then whether the evidence opens it, then what the request means (prompt, sampling, seed, sum), and last
//! the computation: one prefill over prompt and answer that compares the hidden state at every position and redraws every
//! token. The first difference is the verdict.

use arith::Machine;
use claim::{ARITHMETIC_VERSION, Address, Finish, RECEIPT_VERSION, ReceiptId, Sampling, TokenCount};
use model::Model;
use model::generation::text_of;

use crate::case::{Case, Ending, Source};
use crate::computation::Computation;
use crate::meaning::{self, Meaning};
use crate::opening;
use crate::verdict::{Difference, Extent, Kind, Obstacle, Part, Refutation, Verdict};

/// Told after each piece of the prefill: positions done and positions in all.
pub type Progress<'a> = dyn FnMut(usize, usize) + 'a;

/// Either the wanted thing or the verdict that ends the replay.
pub(crate) type Checked<T> = Result<T, Verdict>;

/// Judges `case` with `model` at hand.
pub fn replay(case: &Case<'_>, model: &Model, machine: &Machine, progress: &mut Progress<'_>) -> Verdict {
    judge(case, model, machine, progress).map_or_else(|verdict| verdict, Verdict::Held)
}

fn judge(case: &Case<'_>, model: &Model, machine: &Machine, progress: &mut Progress<'_>) -> Checked<Extent> {
    let mut doubts = Doubts::default();
    check_version(case)?;
    check_signature(case)?;
    check_record(case)?;
    check_terms(case)?;
    check_model(case, model)?;
    check_openings(case, &mut doubts)?;
    let Meaning { prompt, sampling } = meaning::check(case, model, &mut doubts)?;
    check_sums(case, prompt.len())?;
    check_shown_text(case, model, &sampling, prompt.len())?;
    let extent = Computation::new(case, model, &prompt, &sampling, &mut doubts)?.run(machine, progress)?;
    let text = text_of(model, &sampling, &case.evidence.output, case.signed.receipt.finish);
    doubts.note_if(case.evidence.text != text, Part::Text);
    doubts.settle(case)?;
    Ok(extent)
}

pub(crate) fn refuted(kind: Kind, position: Option<usize>, difference: Difference) -> Verdict {
    let position = position.map(|position| claim::Position::new(position as u32));
    Verdict::Refuted(Refutation { kind, position, difference })
}

/// Parts of the evidence that are not what was signed, and that everything else was checked without.
#[derive(Debug, Default)]
pub(crate) struct Doubts {
    first: Option<Part>,
}

impl Doubts {
    pub(crate) fn note_if(&mut self, is_wrong: bool, part: Part) {
        if is_wrong {
            self.first.get_or_insert(part);
        }
    }

    /// No lie was found; now a part in doubt stands in the way of Held.
    fn settle(&self, case: &Case<'_>) -> Checked<()> {
        self.first.map_or(Ok(()), |part| Err(mismatch(case, part)))
    }
}

/// What evidence that does not open the receipt amounts to. Somebody handed over the wrong file, which is no reason to
/// accuse the host, unless it was the host.
fn mismatch(case: &Case<'_>, part: Part) -> Verdict {
    match case.known.source {
        Source::Host => refuted(part.kind(), None, Difference::Evidence { part }),
        Source::Unknown => Verdict::Cannot(Obstacle::EvidenceMismatch { part }),
    }
}

/// A receipt of another version may have other fields under its signature, so not even that can be checked.
fn check_version(case: &Case<'_>) -> Checked<()> {
    let found = case.signed.receipt.version;
    if found == RECEIPT_VERSION {
        return Ok(());
    }
    Err(Verdict::Cannot(Obstacle::VersionUnknown { found, known: RECEIPT_VERSION }))
}

fn check_signature(case: &Case<'_>) -> Checked<()> {
    case.signed.verify().map_err(|_| refuted(Kind::Signature, None, Difference::Signature))?;
    let found = case.signed.receipt.host;
    match case.known.host {
        Some(expected) if expected != found => {
            Err(refuted(Kind::Signature, None, Difference::Host { expected, found }))
        }
        _ => Ok(()),
    }
}

/// The client knows which request and choice it was sent this receipt for.
fn check_record(case: &Case<'_>) -> Checked<()> {
    let Some(client) = case.known.client else { return Ok(()) };
    let receipt = &case.signed.receipt;
    if client.request != receipt.request_hash {
        let (expected, found) = (client.request, receipt.request_hash);
        return Err(refuted(Kind::Prompt, None, Difference::Request { expected, found }));
    }
    if client.choice != receipt.choice {
        let (expected, found) = (client.choice, receipt.choice);
        return Err(refuted(Kind::Prompt, None, Difference::OtherChoice { expected, found }));
    }
    Ok(())
}

/// What the receipt says about money and time, as far as it needs no evidence.
fn check_terms(case: &Case<'_>) -> Checked<()> {
    let receipt = &case.signed.receipt;
    if let Some(agreed) = case.known.price {
        let is_dearer = receipt.price.prompt_per_million > agreed.prompt_per_million
            || receipt.price.output_per_million > agreed.output_per_million;
        if is_dearer {
            return Err(refuted(Kind::Price, None, Difference::Price { agreed, found: receipt.price }));
        }
    }
    if let Some(expected) = case.known.channel.filter(|&channel| channel != receipt.channel) {
        return Err(refuted(Kind::Price, None, Difference::Channel { expected, found: receipt.channel }));
    }
    if receipt.finished < receipt.started {
        return Err(refuted(Kind::Price, None, Difference::Time));
    }
    Ok(())
}

fn check_model(case: &Case<'_>, model: &Model) -> Checked<()> {
    let found = case.signed.receipt.model_root;
    if let Some(expected) = case.known.model_root
        && expected != found
    {
        return Err(refuted(Kind::Model, None, Difference::ModelRoot { expected, found }));
    }
    let arithmetic = case.signed.receipt.engine.arithmetic;
    if arithmetic != ARITHMETIC_VERSION {
        return Err(Verdict::Cannot(Obstacle::EngineUnknown { found: arithmetic, known: ARITHMETIC_VERSION }));
    }
    if model.root() != found {
        return Err(Verdict::Cannot(Obstacle::ModelNotAtHand { root: found }));
    }
    Ok(())
}

/// Without the request and the answer nothing can be computed; every other part can be, or can wait.
fn check_openings(case: &Case<'_>, doubts: &mut Doubts) -> Checked<()> {
    let (receipt, evidence) = (&case.signed.receipt, case.evidence);
    if opening::asked(evidence) != receipt.request_hash {
        return Err(mismatch(case, Part::Request));
    }
    if opening::output_root(&evidence.output) != receipt.output_root {
        return Err(mismatch(case, Part::Output));
    }
    doubts.note_if(evidence.choice != receipt.choice, Part::Choice);
    // The request hash covers who asked, so from here on the evidence's client is the true one.
    let (expected, found) = (evidence.client.unwrap_or(Address::ZERO), receipt.client);
    if expected != found {
        return Err(refuted(Kind::Price, None, Difference::Client { expected, found }));
    }
    Ok(())
}

/// The sum follows from the token counts, and a shared prefix lies within the prompt.
fn check_sums(case: &Case<'_>, prompt: usize) -> Checked<()> {
    let receipt = &case.signed.receipt;
    let prompt = TokenCount::new(prompt as u32);
    let output = TokenCount::new(case.evidence.output.len() as u32);
    let (expected, found) = (receipt.price.total_floor(prompt, output), receipt.total);
    if expected != found {
        return Err(refuted(Kind::Price, None, Difference::Total { expected, found }));
    }
    let shared_max = if receipt.previous == ReceiptId::ZERO { TokenCount::new(0) } else { prompt };
    if receipt.prefix_length > shared_max {
        let difference = Difference::SharedPrefix { shared_max, found: receipt.prefix_length };
        return Err(refuted(Kind::Prompt, None, difference));
    }
    Ok(())
}

/// The text that the client was shown must be the text of the signed tokens, as far as the answer got.
fn check_shown_text(case: &Case<'_>, model: &Model, sampling: &Sampling, prompt: usize) -> Checked<()> {
    let Some(client) = case.known.client else { return Ok(()) };
    let (output, finish) = (&case.evidence.output, case.signed.receipt.finish);
    let text = text_of(model, sampling, output, finish);
    let shown = client.text;
    let agrees = match (client.ending, finish) {
        (Ending::Closed, _) => shown == text,
        // The receipt is one of those that go out on the way: the client may have seen more, or less.
        (Ending::BrokenOff, Finish::Prefix) => shown.starts_with(&text) || text.starts_with(shown),
        (Ending::BrokenOff, _) => text.starts_with(shown),
    };
    if agrees {
        return Ok(());
    }
    // Text that is certain after some tokens is certain after more, so the first token that leaves the shown text can be
    // found by halves.
    let lengths: Vec<usize> = (1..=output.len()).collect();
    let leaves = lengths.partition_point(|&length| {
        let certain = text_of(model, sampling, &output[..length], Finish::Prefix);
        shown.starts_with(&certain)
    });
    let common_bytes = shown.bytes().zip(text.bytes()).take_while(|(shown, signed)| shown == signed).count();
    Err(refuted(Kind::Token, Some(prompt + leaves), Difference::Text { common_bytes }))
}
