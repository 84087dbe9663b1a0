//! Verdicts as a person and a program read them.

use std::time::Duration;

use api::verdict_json::{Outcome, VerdictBody};
use claim::ReceiptId;
use court::Verdict;

use crate::exit::Exit;
use crate::output::{self, Colour, Output};

/// A verdict about one receipt, with the time that it took.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finding {
    body: VerdictBody,
    /// The verdict as a person reads it; its first line is the verdict alone.
    page: String,
}

impl Finding {
    /// What the court said, and its report.
    pub(crate) fn of(id: ReceiptId, verdict: &Verdict, page: String, elapsed: Duration) -> Self {
        Self { body: gateway::verdict_body(id, verdict, elapsed), page }
    }

    /// The court was not asked.
    pub(crate) fn cannot(id: Option<ReceiptId>, reason: String, elapsed: Duration) -> Self {
        let receipt = id.map(|id| id.to_string()).unwrap_or_default();
        let page = format!("Cannot be checked: {reason}\n");
        let report = format!("cannot: {reason}");
        let elapsed_ms = (elapsed.as_secs_f64() * 1e6).round() / 1e3;
        Self { body: VerdictBody { receipt, outcome: Outcome::Cannot { reason }, report, elapsed_ms }, page }
    }

    /// How `verify` ends.
    pub(crate) fn exit(&self) -> Exit {
        match self.body.outcome {
            Outcome::Held { .. } => Exit::Done,
            Outcome::Refuted { .. } => Exit::Refuted,
            Outcome::Cannot { .. } => Exit::Cannot,
        }
    }
}

/// Prints a finding.
pub(crate) fn print(output: Output, finding: &Finding) -> anyhow::Result<()> {
    let Finding { body, page } = finding;
    if output.is_json() {
        return output::json(body);
    }
    let colour = match &body.outcome {
        Outcome::Held { .. } => Colour::Good,
        Outcome::Refuted { .. } => Colour::Bad,
        Outcome::Cannot { .. } => Colour::Doubtful,
    };
    let (headline, rest) = page.split_once('\n').unwrap_or((page, ""));
    output::line(&output.paint(colour, headline))?;
    output::print(rest)?;
    output::line(&format!("{:<10}{:.2} s", "time", body.elapsed_ms / 1e3))
}
