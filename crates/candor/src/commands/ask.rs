//! `candor ask`: one question to a gateway, as any client could send it.

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use api::receipt_json::{self, ClientRecord, DOCUMENT_BYTES_MAX, Document, Ending};
use api::response::Progress;
use claim::{
    Address, Amount, Digest, Endpoint, Evidence, Nonce, ReceiptId, RequestHash, SeedProof, SignedReceipt, TokenCount,
    TokenId, request_hash,
};
use clap::Args;
use ledger::channel::Usage;
use reqwest::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Context, block_on};
use crate::exit::{Exit, UsageError};
use crate::gateway_client::{EventReader, GatewayClient};
use crate::money::{Dollars, dollars};
use crate::output::{self, Colour};
use crate::payer::{ModelCard, Payer};

/// The longest question that is read from standard input: the gateway takes no longer body.
const QUESTION_BYTES_MAX: u64 = 8 << 20;

/// Bounds the list of models.
const MODELS_BYTES_MAX: usize = 1 << 20;

/// The interface's own default is 1, at which a small model rambles until its context is full.
const TEMPERATURE: f32 = 0.7;

/// A page of text. Without a limit, an answer that never comes to its end takes minutes.
const MAX_TOKENS: u32 = 512;

/// One question.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  candor ask \"Why is the sky blue?\"\n  candor ask --temperature 0 --receipt sky.json \"Why is the sky blue?\"\n  candor ask --system \"Answer in one sentence.\" < question.txt\n  candor ask --pay 0.01 \"Why is the sky blue?\""
)]
pub(crate) struct Ask {
    #[command(flatten)]
    options: AskOptions,
    /// File that gets the receipt with its evidence, as JSON
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    /// What to ask; without it the question is read from standard input
    #[arg(value_name = "QUESTION")]
    question: Option<String>,
}

/// Options that the configuration file may set.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct AskOptions {
    /// Address of the gateway, `http://127.0.0.1:7411` by default
    #[arg(long, value_name = "URL")]
    pub(crate) gateway: Option<String>,
    /// Which of the gateway's models to ask; the first by default
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// How freely tokens are drawn, 0.7 by default; 0 always takes the likeliest
    #[arg(long, value_name = "T")]
    pub(crate) temperature: Option<f32>,
    /// Seed of the draw, so that any host gives the same text
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Most tokens of the answer, 512 by default
    #[arg(long, value_name = "N")]
    pub(crate) max_tokens: Option<u32>,
    /// Instructions that go before the question
    #[arg(long, value_name = "TEXT")]
    pub(crate) system: Option<String>,
    /// Pay for the answer by your channel to the host, up to so many dollars
    #[arg(long, value_name = "AMOUNT")]
    pub(crate) pay: Option<Dollars>,
}

/// Runs the command.
pub(crate) fn run(context: &Context<'_>, command: &Ask) -> anyhow::Result<Exit> {
    let options = context.config.merge("ask", &command.options)?;
    let question = match &command.question {
        Some(question) => question.clone(),
        None => read_question()?,
    };
    let gateway = GatewayClient::new(options.gateway.as_deref())?;
    block_on(async {
        let card = model_card(&gateway, options.model.as_deref()).await?;
        let mut payer = match options.pay {
            Some(limit) => Payer::new(context, &gateway, &card, limit.0)?,
            None => card.costs_nothing().map(|()| None)?,
        };
        let asked = Asked::new(&options, &card, payer.as_ref(), &question)?;
        let mut heard = Heard::default();
        let told = asked.hear(context, &gateway, &mut heard, payer.as_mut()).await;
        let mut answer = match told.and_then(|()| heard.answer()) {
            Ok(answer) => answer,
            Err(error) => return Err(asked.keep_signed_part(heard, command.receipt.as_deref(), error)),
        };
        let (receipt, evidence) = asked.receipt(&gateway, &answer).await?;
        if let Some(path) = &command.receipt {
            write_receipt(path, &asked.document(&receipt, evidence.as_ref(), &answer))?;
        }
        if let Some(mut payer) = payer {
            asked.pay_whole(&mut payer, &receipt, evidence.as_ref())?;
            answer.paid = Some(payer.finish().await?);
        }
        answer.print(context)
    })?;
    Ok(Exit::Done)
}

fn write_receipt(path: &Path, document: &str) -> anyhow::Result<()> {
    std::fs::write(path, document).with_context(|| format!("cannot write the receipt to {}", path.display()))
}

fn read_question() -> anyhow::Result<String> {
    if std::io::stdin().is_terminal() {
        return Err(UsageError("there is no question; write one in quotes or pipe it in".into()).into());
    }
    let mut text = String::new();
    std::io::stdin().take(QUESTION_BYTES_MAX).read_to_string(&mut text).context("the question cannot be read")?;
    ensure!(!text.trim().is_empty(), UsageError("the question is empty".into()));
    Ok(text.trim_end().to_owned())
}

/// A request as it is sent, kept so that the receipt can be compared with it.
struct Asked {
    body: Vec<u8>,
    nonce: Nonce,
    /// The client, where it says who it is: where it pays.
    client: Option<Address>,
    hash: RequestHash,
}

/// What of the stream has come so far.
#[derive(Default)]
struct Heard {
    text: String,
    mention: Option<Mention>,
    first: Option<Instant>,
    last: Option<Instant>,
    /// The tokens that the host has signed, and its last receipt for them.
    tokens: Vec<TokenId>,
    signed: Option<SignedPart>,
}

/// A receipt for the part of a stream before it.
struct SignedPart {
    receipt: SignedReceipt,
    seed_proof: SeedProof,
    /// How much of the text it is for.
    text_bytes: usize,
}

/// What came back.
struct Answer {
    text: String,
    receipt: ReceiptId,
    finish: String,
    tokens: u32,
    tokens_per_s: f64,
    /// What was paid for it, where it was paid for.
    paid: Option<Amount>,
}

impl Asked {
    fn new(options: &AskOptions, card: &ModelCard, payer: Option<&Payer>, question: &str) -> anyhow::Result<Self> {
        let system = options.system.iter().map(|text| json!({"role": "system", "content": text}));
        let messages: Vec<Value> = system.chain([json!({"role": "user", "content": question})]).collect();
        let mut body = Map::new();
        body.insert("model".into(), card.id.clone().into());
        body.insert("messages".into(), messages.into());
        body.insert("stream".into(), true.into());
        body.insert("temperature".into(), options.temperature.unwrap_or(TEMPERATURE).into());
        body.insert("max_tokens".into(), options.max_tokens.unwrap_or(MAX_TOKENS).into());
        body.extend(options.seed.map(|seed| ("seed".to_owned(), seed.into())));
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).map_err(|error| anyhow::anyhow!("the system gives no random bytes: {error}"))?;
        let (body, nonce, client) =
            (serde_json::to_vec(&body)?, Nonce::new(Digest::new(nonce)), payer.map(Payer::client));
        let hash = request_hash(Endpoint::Chat, &body, nonce, client);
        Ok(Self { body, nonce, client, hash })
    }

    /// Sends the request and prints its answer while it comes. Pays for what the host signs of it.
    async fn hear(
        &self,
        context: &Context<'_>,
        gateway: &GatewayClient,
        heard: &mut Heard,
        mut payer: Option<&mut Payer>,
    ) -> anyhow::Result<()> {
        let mut request = gateway
            .post("v1/chat/completions")?
            .header(CONTENT_TYPE, "application/json")
            .header(NONCE_HEADER, self.nonce.to_string())
            .body(self.body.clone());
        if let Some(payer) = &payer {
            request = payer.sign(request, self.hash);
        }
        let mut response = gateway.send(request).await?;
        let mut reader = EventReader::default();
        while let Some(bytes) = response.chunk().await.context("the gateway's stream broke off")? {
            for event in reader.push(&bytes)? {
                if event == "[DONE]" {
                    continue;
                }
                let chunk: Chunk = serde_json::from_str(&event).context("the gateway's stream is not understood")?;
                let (new, signed) = heard.take(chunk)?;
                if let (Some(payer), Some(signed)) = (&mut payer, signed) {
                    ensure!(signed.receipt.request_hash == self.hash, "the receipt to be paid is for another request");
                    let usage = Usage { prompt_tokens: 0, output_tokens: heard.tokens.len() as u64 };
                    payer.pay(&signed, self.body.len(), usage)?;
                }
                if !context.output.is_json() {
                    output::print(&for_terminal(&new))?;
                }
            }
        }
        Ok(())
    }

    /// Writes what the host signed before the stream ended too early, and says so in the error.
    fn keep_signed_part(&self, heard: Heard, path: Option<&Path>, error: anyhow::Error) -> anyhow::Error {
        let request = self.hash;
        let signed = heard
            .signed
            .filter(|signed| signed.receipt.verify().is_ok() && signed.receipt.receipt.request_hash == request);
        let (Some(path), Some(SignedPart { receipt, seed_proof, text_bytes })) = (path, signed) else { return error };
        let choice = receipt.receipt.choice;
        let evidence = Evidence {
            endpoint: Endpoint::Chat,
            request: self.body.clone(),
            nonce: self.nonce,
            client: self.client,
            choice,
            // The court computes both from the request and the tokens.
            prompt: Vec::new(),
            states: Vec::new(),
            output: heard.tokens,
            seed_proof,
            text: heard.text[..text_bytes].to_owned(),
        };
        let record = ClientRecord { request, choice, text: heard.text, ending: Ending::BrokenOff };
        match write_receipt(path, &receipt_json::write_kept(&receipt, Some(&evidence), &record)) {
            Ok(()) => error.context(format!(
                "the answer is not complete; what the host signed of it is in {0}: candor verify {0}",
                path.display()
            )),
            Err(unwritten) => error.context(unwritten),
        }
    }

    /// Fetches the receipt, and makes sure that it is signed for this request and this text.
    async fn receipt(
        &self,
        gateway: &GatewayClient,
        answer: &Answer,
    ) -> anyhow::Result<(SignedReceipt, Option<Evidence>)> {
        let bytes = gateway.get(&format!("v1/receipts/{}", answer.receipt), DOCUMENT_BYTES_MAX).await?;
        let Document { receipt, evidence, .. } = receipt_json::read(&bytes).context("the receipt cannot be read")?;
        ensure!(receipt.id() == answer.receipt, "the gateway sent another receipt than it named");
        receipt.verify().context("the receipt's signature is not its host's")?;
        ensure!(
            receipt.receipt.request_hash == self.hash,
            "the receipt is for another request than the one that was sent"
        );
        let text = evidence.as_ref().map(|evidence| evidence.text.as_str());
        ensure!(text == Some(answer.text.as_str()), "the receipt is for another text than the one that was shown");
        Ok((receipt, evidence))
    }

    /// The receipt with what the client knows.
    fn document(&self, receipt: &SignedReceipt, evidence: Option<&Evidence>, answer: &Answer) -> String {
        let (request, choice, text) = (self.hash, receipt.receipt.choice, answer.text.clone());
        receipt_json::write_kept(receipt, evidence, &ClientRecord { request, choice, text, ending: Ending::Closed })
    }

    /// Pays what the whole answer costs beyond its parts: the evidence shows how many tokens it has.
    fn pay_whole(&self, payer: &mut Payer, signed: &SignedReceipt, evidence: Option<&Evidence>) -> anyhow::Result<()> {
        let evidence = evidence.context("the receipt came without its evidence, so its end is not paid")?;
        let [prompt, output] = [evidence.prompt.len(), evidence.output.len()];
        let count = |tokens: usize| TokenCount::new(tokens as u32);
        let expected = signed.receipt.price.total_floor(count(prompt), count(output));
        ensure!(
            signed.receipt.total == expected,
            "the receipt is over {} dollars, and its {prompt} and {output} tokens cost {}; its end is not paid",
            dollars(signed.receipt.total),
            dollars(expected)
        );
        let usage = Usage { prompt_tokens: prompt as u64, output_tokens: output as u64 };
        payer.pay(signed, self.body.len(), usage)
    }
}

/// What the gateway says of the model that is asked, or of its first.
async fn model_card(gateway: &GatewayClient, name: Option<&str>) -> anyhow::Result<ModelCard> {
    #[derive(Deserialize)]
    struct Models {
        data: Vec<ModelCard>,
    }
    let bytes = gateway.get("v1/models", MODELS_BYTES_MAX).await?;
    let models: Models = serde_json::from_slice(&bytes).context("the gateway's list of models is not understood")?;
    let served: Vec<&str> = models.data.iter().map(|model| &*model.id).collect();
    let missing = match name {
        Some(name) => format!("the gateway serves no model `{name}`, but {}", served.join(", ")),
        None => "the gateway serves no model".to_owned(),
    };
    models.data.into_iter().find(|model| name.is_none_or(|name| model.answers_to(name))).context(missing)
}

impl Heard {
    /// Takes the next piece of the stream in; returns the text that it adds, and what the host signed of the text before.
    fn take(&mut self, chunk: Chunk) -> anyhow::Result<(String, Option<SignedReceipt>)> {
        if let Some(error) = chunk.error {
            bail!("the gateway gave up: {}", error.message);
        }
        let Candor { receipts, progress } = chunk.candor.unwrap_or_default();
        let mut signed = None;
        if let Some(progress) = progress {
            let (receipt, seed_proof) = progress.read().context("the gateway's stream is not understood")?;
            self.tokens.extend(progress.output.iter().copied().map(TokenId::new));
            // It is for the text before the one that it comes with.
            self.signed = Some(SignedPart { receipt, seed_proof, text_bytes: self.text.len() });
            signed = Some(receipt);
        }
        let new: String = chunk.choices.into_iter().filter_map(|choice| choice.delta.content).collect();
        if !new.is_empty() {
            let now = Instant::now();
            self.last = Some(now);
            self.first.get_or_insert(now);
            self.text.push_str(&new);
        }
        self.mention = receipts.into_iter().next().or(self.mention.take());
        Ok((new, signed))
    }

    /// The whole answer, once its receipt was named.
    fn answer(&mut self) -> anyhow::Result<Answer> {
        let mention = self.mention.take().context("the stream ended without a receipt; the answer is not signed")?;
        let generation = self.first.zip(self.last).map_or(0.0, |(first, last)| (last - first).as_secs_f64());
        let drawn_since_first = f64::from(mention.tokens.saturating_sub(1));
        Ok(Answer {
            text: std::mem::take(&mut self.text),
            receipt: mention
                .id
                .parse::<Digest>()
                .map(ReceiptId::new)
                .context("the gateway names a receipt that is no id")?,
            finish: mention.finish,
            tokens: mention.tokens,
            tokens_per_s: if generation > 0.0 { drawn_since_first / generation } else { 0.0 },
            paid: None,
        })
    }
}

impl Answer {
    fn print(&self, context: &Context<'_>) -> anyhow::Result<()> {
        let Self { text, receipt, finish, tokens, tokens_per_s, paid } = self;
        if context.output.is_json() {
            let tokens_per_s = (tokens_per_s * 100.0).round() / 100.0;
            let mut body = json!({
                "text": text, "receipt": receipt.to_string(), "finish": finish, "tokens": tokens, "tokens_per_s": tokens_per_s,
            });
            if let Some(paid) = paid {
                body["paid"] = dollars(*paid).into();
            }
            return output::json(&body);
        }
        let paid = paid.map(|paid| format!("  paid {} dollars", dollars(paid))).unwrap_or_default();
        let cut = if finish == "length" { ", cut there (--max-tokens)" } else { "" };
        let line = format!("receipt {receipt}  {tokens} tokens{cut}  {tokens_per_s:.1} tokens/s{paid}");
        output::line(&format!("\n\n{}", context.output.paint(Colour::Faint, &line)))
    }
}

/// A model's text without what a terminal would obey; lines and columns stay.
fn for_terminal(text: &str) -> String {
    let pieces = text.split_inclusive(['\n', '\t']).map(|piece| {
        let plain = piece.trim_end_matches(['\n', '\t']);
        court::escaped(plain) + &piece[plain.len()..]
    });
    pieces.collect()
}

/// Carries the client's nonce, which binds the receipt to this very request.
const NONCE_HEADER: &str = "x-candor-nonce";

/// One event of the stream, as far as it matters here.
#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    candor: Option<Candor>,
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Delta,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<String>,
}

#[derive(Default, Deserialize)]
struct Candor {
    #[serde(default)]
    receipts: Vec<Mention>,
    progress: Option<Progress>,
}

#[derive(Deserialize)]
struct Mention {
    id: String,
    finish: String,
    tokens: u32,
}

#[derive(Deserialize)]
struct Failure {
    message: String,
}

#[cfg(test)]
mod tests {
    use super::for_terminal;

    #[test]
    fn a_terminal_obeys_no_text() {
        assert_eq!(for_terminal("a\tb\n\n\u{1b}[2Jc\r\u{202e}\n"), "a\tb\n\n\\u{1b}[2Jc\\r\\u{202e}\n");
        assert_eq!(for_terminal("\u{e9} \u{4e2d}"), "\u{e9} \u{4e2d}");
    }
}
