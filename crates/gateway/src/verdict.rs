//! Verdicts on their way out.

use std::time::Duration;

use api::verdict_json::{Outcome, VerdictBody};
use claim::ReceiptId;
use court::{Judgement, Verdict};

/// The wire form of a judgement.
pub fn body(receipt: ReceiptId, judgement: Judgement, elapsed: Duration) -> VerdictBody {
    let Judgement { verdict, report } = judgement;
    let outcome = match verdict {
        Verdict::Held(extent) => Outcome::Held {
            prompt_tokens: extent.prompt.get(),
            output_tokens: extent.output.get(),
            states: extent.states.get(),
            redrawn: extent.redrawn.get(),
        },
        Verdict::Refuted(refutation) => Outcome::Refuted {
            kind: refutation.kind.name().to_owned(),
            position: refutation.position.map(claim::Position::get),
            reason: refutation.difference.to_string(),
        },
        Verdict::Cannot(obstacle) => Outcome::Cannot { reason: obstacle.to_string() },
    };
    VerdictBody::new(Some(receipt), outcome, report, elapsed)
}
