//! Verdicts on their way out.

use std::time::Duration;

use api::verdict_json::{Outcome, VerdictBody};
use claim::ReceiptId;
use court::Verdict;

/// The wire form of a verdict.
pub fn body(receipt: ReceiptId, verdict: &Verdict, elapsed: Duration) -> VerdictBody {
    let (outcome, report) = match verdict {
        Verdict::Held(extent) => {
            let outcome = Outcome::Held {
                prompt_tokens: extent.prompt.get(),
                output_tokens: extent.output.get(),
                states: extent.states.get(),
                redrawn: extent.redrawn.get(),
            };
            let report = format!(
                "held: {} hidden states recomputed and equal, {} of {} tokens drawn again and equal",
                extent.states, extent.redrawn, extent.output
            );
            (outcome, report)
        }
        Verdict::Refuted(refutation) => {
            let outcome = Outcome::Refuted {
                kind: refutation.kind.name().to_owned(),
                position: refutation.position.map(claim::Position::get),
                reason: refutation.difference.to_string(),
            };
            (outcome, format!("refuted: {refutation}"))
        }
        Verdict::Cannot(obstacle) => (Outcome::Cannot { reason: obstacle.to_string() }, format!("cannot: {obstacle}")),
    };
    let elapsed_ms = (elapsed.as_secs_f64() * 1e6).round() / 1e3;
    VerdictBody { receipt: receipt.to_string(), outcome, report, elapsed_ms }
}
