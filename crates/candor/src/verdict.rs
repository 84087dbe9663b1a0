//! Verdicts as a person and a program read them.

use std::time::Duration;

use api::verdict_json::{Outcome, VerdictBody};
use claim::ReceiptId;
use court::Judgement;

use crate::exit::Exit;
use crate::output::{self, Colour, Output};

/// A verdict about one receipt, with the time that it took.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finding(VerdictBody);

impl Finding {
    /// What the court said.
    pub(crate) fn of(id: ReceiptId, judgement: Judgement, elapsed: Duration) -> Self {
        Self(gateway::verdict_body(id, judgement, elapsed))
    }

    /// The court was not asked.
    pub(crate) fn cannot(id: Option<ReceiptId>, reason: String, elapsed: Duration) -> Self {
        let report = format!("Cannot be checked: {reason}\n");
        Self(VerdictBody::new(id, Outcome::Cannot { reason }, report, elapsed))
    }

    /// How `verify` ends.
    pub(crate) fn exit(&self) -> Exit {
        match self.0.outcome {
            Outcome::Held { .. } => Exit::Done,
            Outcome::Refuted { .. } => Exit::Refuted,
            Outcome::Cannot { .. } => Exit::Cannot,
        }
    }
}

/// Prints a finding.
pub(crate) fn print(output: Output, finding: &Finding) -> anyhow::Result<()> {
    let Finding(body) = finding;
    if output.is_json() {
        return output::json(body);
    }
    let colour = match &body.outcome {
        Outcome::Held { .. } => Colour::Good,
        Outcome::Refuted { .. } => Colour::Bad,
        Outcome::Cannot { .. } => Colour::Doubtful,
    };
    let (headline, rest) = body.report.split_once('\n').unwrap_or((&body.report, ""));
    output::line(&output.paint(colour, headline))?;
    output::print(rest)?;
    output::line(&format!("{:<10}{:.2} s", "time", body.elapsed_ms / 1e3))
}
