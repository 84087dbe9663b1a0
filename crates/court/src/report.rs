//! A verdict as a person reads it in a terminal.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use arith::Machine;
use claim::{Evidence, Finish, Origin, PromptToken, SeedKind, TokenId};
use model::Model;

use crate::case::Case;
use crate::meaning;
use crate::opening::opens;
use crate::replay::{Progress, replay};
use crate::verdict::{Difference, Extent, Kind, Part, Refutation, Verdict};

/// Characters of a prompt segment that are shown; the middle of a longer one is left out.
const SEGMENT_CHARS_MAX: usize = 160;
/// Characters of the answer that are shown.
const ANSWER_CHARS_MAX: usize = 4000;
/// Tokens shown before and after a difference.
const CONTEXT_TOKENS: usize = 8;
/// Columns of the labels.
const LABEL_COLUMNS: usize = 10;

/// What the court says about a case.
#[derive(Debug, Clone)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// The [`report`] on it.
    pub report: String,
}

/// [`replay`], and the [`report`] on its verdict.
pub fn judge(case: &Case<'_>, model: &Model, machine: &Machine, progress: &mut Progress<'_>) -> Judgement {
    let verdict = replay(case, model, machine, progress);
    Judgement { report: report(case, &verdict, model), verdict }
}

/// The verdict in words, line by line, with what it is about and what it rests on.
///
/// The first line is the verdict alone. Texts come from the host and the client, so control characters in them are
/// written as escapes. No colours: whoever prints this may add them. `model` decodes tokens where it is the receipt's.
pub fn report(case: &Case<'_>, verdict: &Verdict, model: &Model) -> String {
    // A prompt that was left out is the one that the request means, or the verdict says that it is not.
    let prompt_left_out = case.evidence.prompt.is_empty() && model.root() == case.signed.receipt.model_root;
    let meant = prompt_left_out.then(|| meaning::prompt(case, model)).flatten();
    let completed = meant.map(|prompt| Evidence { prompt, ..case.evidence.clone() });
    let case = &Case { evidence: completed.as_ref().unwrap_or(case.evidence), ..*case };
    let mut page = Page::default();
    page.line(&headline(verdict));
    page.blank();
    identity(&mut page, case);
    if model.root() == case.signed.receipt.model_root {
        prompt(&mut page, case.evidence, model);
        answer(&mut page, case);
    }
    page.blank();
    match verdict {
        Verdict::Held(extent) => held(&mut page, case, *extent),
        Verdict::Refuted(refutation) => refuted(&mut page, case, refutation, model),
        Verdict::Cannot(_) => page.entry("means", "nothing is said for or against the host"),
    }
    page.text
}

fn headline(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Held(_) => "Held: this model, prompt and sampling give this answer, bit for bit".to_owned(),
        Verdict::Refuted(refutation) => format!("Refuted: {refutation}"),
        Verdict::Cannot(obstacle) => format!("Cannot be checked: {obstacle}"),
    }
}

fn identity(page: &mut Page, case: &Case<'_>) {
    let receipt = &case.signed.receipt;
    page.entry("receipt", &case.signed.id().to_string());
    page.entry("host", &receipt.host.to_string());
    page.entry("model", &receipt.model_root.to_string());
    let (prompt, output) = (case.evidence.prompt.len(), case.evidence.output.len());
    let finish = match receipt.finish {
        Finish::Prefix => "the stream was still open".to_owned(),
        finish => format!("ended by {}", finish.name()),
    };
    page.entry("tokens", &format!("{prompt} of prompt, {output} of answer, {finish}"));
    let seed = match receipt.seed_kind {
        SeedKind::Unused => "none, the likeliest token each time",
        SeedKind::Given => "given by the client",
        SeedKind::Drawn => "drawn by the host, with a proof",
    };
    page.entry("seed", seed);
    page.entry("price", &format!("{} micro-dollars", receipt.total));
    if let Err(part) = opens(case.signed, case.evidence)
        && !(part == Part::States && case.evidence.states.is_empty())
    {
        page.entry("note", &format!("the {} shown here is not what was signed", part.name()));
    }
}

/// The prompt in runs of tokens of one origin.
fn prompt(page: &mut Page, evidence: &Evidence, model: &Model) {
    page.blank();
    page.line("prompt");
    for segment in evidence.prompt.chunk_by(|left, right| left.origin == right.origin) {
        let origin = segment.first().map_or(Origin::Raw, |token| token.origin);
        page.entry(&format!("  {}", origin.name()), &excerpt(&decode(model, segment.iter().map(|token| token.token))));
    }
}

fn answer(page: &mut Page, case: &Case<'_>) {
    page.line("answer");
    let text = &case.evidence.text;
    let shown: String = text.chars().take(ANSWER_CHARS_MAX).collect();
    for line in shown.lines() {
        page.line(&format!("  {}", escaped(line)));
    }
    let left_out = text.chars().count().saturating_sub(ANSWER_CHARS_MAX);
    if left_out > 0 {
        page.line(&format!("  ... and {left_out} more characters"));
    }
}

fn held(page: &mut Page, case: &Case<'_>, extent: Extent) {
    let positions = extent.prompt.get() + extent.output.get().saturating_sub(1);
    page.entry("compared", &format!("{} of {positions} hidden states, equal", extent.states));
    page.entry("", &format!("{} of {} tokens drawn again, equal", extent.redrawn, extent.output));
    page.entry("", "signature, prompt, sampling, seed, sum, end and text");
    for trust in on_trust(case) {
        page.entry("on trust", trust);
    }
}

/// What the verdict does not cover, because this verifier does not know it.
fn on_trust(case: &Case<'_>) -> Vec<&'static str> {
    let (known, receipt) = (&case.known, &case.signed.receipt);
    let unknown = [
        (known.model_root.is_none(), "that the name in the request stands for this model root"),
        (known.price.is_none(), "that this price was agreed"),
        (known.client.is_none(), "that the client asked this and was shown this text"),
        (
            receipt.finish == Finish::Cancelled && known.client.is_none(),
            "that the client went away before the answer was complete",
        ),
    ];
    unknown.into_iter().filter(|(is_unknown, _)| *is_unknown).map(|(_, what)| what).collect()
}

fn refuted(page: &mut Page, case: &Case<'_>, refutation: &Refutation, model: &Model) {
    page.entry("means", meaning(refutation));
    let Some(position) = refutation.position.map(|position| position.get() as usize) else { return };
    let prompt = case.evidence.prompt.len();
    let place = match position.checked_sub(prompt) {
        Some(index) => format!("position {position}, token {} of the answer", index + 1),
        None => format!("position {position}, in the prompt"),
    };
    page.entry("first at", &place);
    if model.root() != case.signed.receipt.model_root {
        return;
    }
    let tokens: Vec<TokenId> =
        case.evidence.prompt.iter().map(|token| token.token).chain(case.evidence.output.iter().copied()).collect();
    let before = &tokens[position.saturating_sub(CONTEXT_TOKENS).min(tokens.len())..position.min(tokens.len())];
    page.entry("before", &quoted(model, before));
    let name = |token: TokenId| format!("{} (token {token})", quoted(model, &[token]));
    match &refutation.difference {
        Difference::Token { expected, found } => {
            page.entry("expected", &name(*expected));
            page.entry("found", &name(*found));
        }
        Difference::PromptToken { expected, found } => {
            let name = |token: &Option<PromptToken>| {
                token.map_or_else(
                    || "the end of the prompt".to_owned(),
                    |token| format!("{}, {}", name(token.token), token.origin.name()),
                )
            };
            page.entry("expected", &name(expected));
            page.entry("found", &name(found));
        }
        _ => page.entry("there", &tokens.get(position).map_or_else(|| "the end".to_owned(), |&token| name(token))),
    }
    let after = tokens.get(position + 1..).unwrap_or_default();
    page.entry("after", &quoted(model, &after[..CONTEXT_TOKENS.min(after.len())]));
}

fn meaning(refutation: &Refutation) -> &'static str {
    match refutation.kind {
        _ if matches!(refutation.difference, Difference::Evidence { .. }) => {
            "the host keeps back what its own receipt rests on"
        }
        Kind::Model => "another model answered than the one asked for",
        Kind::Prompt => "the model was given something else than the request means",
        Kind::Sampling => "the tokens were not chosen as the request asks",
        Kind::Token => "the answer is not what this model says here",
        Kind::State => "the answer was not computed by this model in this way",
        Kind::Finish => "the answer does not end where or why the receipt says",
        Kind::Signature => "the host that was asked has not signed this",
        Kind::Price => "the receipt asks for other money than was agreed or used",
    }
}

/// Decodes tokens one by one, control tokens by their names.
fn decode(model: &Model, tokens: impl Iterator<Item = TokenId>) -> String {
    let bytes: Vec<u8> = tokens.flat_map(|token| model.tokenizer().token_bytes(token).iter().copied()).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn quoted(model: &Model, tokens: &[TokenId]) -> String {
    format!("\"{}\"", escaped(&decode(model, tokens.iter().copied())))
}

/// The text on one line, its middle left out where it is long.
fn excerpt(text: &str) -> String {
    let count = text.chars().count();
    if count <= SEGMENT_CHARS_MAX {
        return escaped(text);
    }
    let half = SEGMENT_CHARS_MAX / 2;
    let start: String = text.chars().take(half).collect();
    let end: String = text.chars().skip(count - half).collect();
    format!("{} [... {} characters ...] {}", escaped(&start), count - 2 * half, escaped(&end))
}

/// Control characters, and those that turn the direction of writing, as escapes: a terminal must not obey a text.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        let turns = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if character.is_control() || turns {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

/// Lines of a label and a text.
#[derive(Debug, Default)]
struct Page {
    text: String,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn blank(&mut self) {
        self.text.push('\n');
    }

    fn entry(&mut self, label: &str, text: &str) {
        let mut line = String::new();
        // Writing to a string cannot fail.
        let _ = write!(line, "{label:LABEL_COLUMNS$}  {text}");
        self.line(&line);
    }
}
