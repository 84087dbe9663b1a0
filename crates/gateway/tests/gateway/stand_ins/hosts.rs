//! Hosts named by what they do.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use api::{ApiError, Prompts, Request};
use arith::{Isa, Machine, Pool, WeightType};
use bytes::Bytes;
use claim::{Address, ChoiceIndex, Endpoint, Finish, Nonce, Price, TokenCount, TokenId, UnixMillis};
use court::{Case, Extent, Judgement, Kind, Obstacle, Refutation, Verdict};
use gateway::Serve;
use host::event::{Alternative, Answer, Done, HostEvent, Progress, ServedModel, TokenLogprob};
use host::till::Tab;
use host::{Host, HostConfig};
use model::Model;
use specimen::Specimen;
use tokio::sync::mpsc;

use super::{Asked, key, model_root, receipt};

fn served(name: &str) -> ServedModel {
    ServedModel {
        name: name.to_owned(),
        root: model_root(),
        context_length: TokenCount::new(2_048),
        chat: true,
        host: key().address(),
        since: UnixMillis::new(1_700_000_000_000),
        price: Price::FREE,
    }
}

/// Says what it was told to say, a word at a time, for every choice. The events are all there at once.
#[derive(Debug)]
pub(crate) struct Parrot {
    pub(crate) words: Vec<&'static str>,
    /// Why it stops.
    pub(crate) finish: Finish,
    /// What it finds when it checks a receipt.
    pub(crate) verdict: Verdict,
}

impl Parrot {
    pub(crate) fn saying(words: &[&'static str]) -> Self {
        let count = TokenCount::new;
        let extent = Extent { prompt: count(5), output: count(2), states: count(6), redrawn: count(2) };
        Self { words: words.to_vec(), finish: Finish::Stop, verdict: Verdict::Held(extent) }
    }

    pub(crate) fn refuting(kind: Kind, position: u32) -> Self {
        let difference = court::Difference::Token { expected: TokenId::new(1), found: TokenId::new(2) };
        let position = Some(claim::Position::new(position));
        Self { verdict: Verdict::Refuted(Refutation { kind, position, difference }), ..Self::saying(&["no"]) }
    }

    pub(crate) fn helpless() -> Self {
        Self { verdict: Verdict::Cannot(Obstacle::ModelNotAtHand { root: model_root() }), ..Self::saying(&["?"]) }
    }

    fn logprob(&self, index: usize, top: u32) -> TokenLogprob {
        let alternative = |rank: u32| Alternative {
            token: TokenId::new(rank),
            bytes: if rank == 0 { self.words[index].as_bytes().to_vec() } else { vec![0xe2, 0x82 + rank as u8] },
            logprob: if rank == 3 { f32::NEG_INFINITY } else { -0.5 - rank as f32 },
        };
        TokenLogprob {
            token: TokenId::new(index as u32),
            bytes: self.words[index].as_bytes().to_vec(),
            logprob: Some(-0.5),
            top: (0..top).map(alternative).collect(),
        }
    }

    fn echo(request: &Request, choice: u32) -> HostEvent {
        let text = match &request.prompts {
            Prompts::Texts(texts) => texts[(choice / request.n) as usize].clone(),
            _ => String::new(),
        };
        let token = |(index, part): (usize, &str)| TokenLogprob {
            token: TokenId::new(index as u32),
            bytes: part.as_bytes().to_vec(),
            logprob: (index > 0).then_some(-1.5),
            top: Vec::new(),
        };
        let parts = text.split_inclusive(' ').enumerate();
        let logprobs = if request.logprobs.is_some() { parts.map(token).collect() } else { Vec::new() };
        HostEvent::Echo { choice: ChoiceIndex::new(choice), text, logprobs }
    }
}

impl Serve for Parrot {
    fn models(&self) -> Vec<ServedModel> {
        vec![served("parrot"), served("zoo/parrot")]
    }

    fn submit(
        &self,
        endpoint: Endpoint,
        body: Bytes,
        nonce: Nonce,
        client: Option<Address>,
        _: Option<&Tab>,
    ) -> Result<Answer, ApiError> {
        let request = api::parse(endpoint, &body)?;
        let asked = Asked { endpoint, request: &body, nonce, client };
        if !request.model.ends_with("parrot") {
            return Err(ApiError::ModelNotFound { model: request.model });
        }
        let choices = request.prompts.count() as u32 * request.n;
        let (sender, events) = mpsc::channel(choices as usize * (self.words.len() + 4));
        for choice in 0..choices {
            if request.echo {
                sender.try_send(Self::echo(&request, choice)).map_err(|_| ApiError::Internal)?;
            }
            for (index, word) in self.words.iter().enumerate() {
                let token = HostEvent::Token {
                    choice: ChoiceIndex::new(choice),
                    token: TokenId::new(index as u32),
                    text: (*word).to_owned(),
                    logprob: request.logprobs.map(|top| Box::new(self.logprob(index, top))),
                };
                sender.try_send(token).map_err(|_| ApiError::Internal)?;
                if index == 0 {
                    let stored = receipt(asked, choice, &[0], Finish::Prefix, word);
                    let (receipt, seed_proof) = (stored.receipt, stored.evidence.seed_proof);
                    let progress = Progress { choice: ChoiceIndex::new(choice), receipt, seed_proof };
                    sender.try_send(HostEvent::Progress(Box::new(progress))).map_err(|_| ApiError::Internal)?;
                }
            }
            let output: Vec<u32> = (0..self.words.len() as u32).collect();
            let stored = receipt(asked, choice, &output, self.finish, &self.words.concat());
            let done = Done {
                choice: ChoiceIndex::new(choice),
                finish: self.finish,
                tail: String::new(),
                cached: TokenCount::new(3),
                receipt: stored.receipt,
                evidence: stored.evidence,
            };
            sender.try_send(HostEvent::Done(Box::new(done))).map_err(|_| ApiError::Internal)?;
        }
        Ok(Answer { request, model_root: model_root(), choices, events })
    }

    fn verify(&self, _: &Case<'_>) -> Judgement {
        Judgement { verdict: self.verdict.clone(), report: "as a parrot sees it\n".to_owned() }
    }
}

/// Refuses every request for the same reason.
#[derive(Debug)]
pub(crate) struct Refuser(pub(crate) ApiError);

impl Serve for Refuser {
    fn models(&self) -> Vec<ServedModel> {
        Vec::new()
    }

    fn submit(&self, _: Endpoint, _: Bytes, _: Nonce, _: Option<Address>, _: Option<&Tab>) -> Result<Answer, ApiError> {
        Err(self.0.clone())
    }

    fn verify(&self, _: &Case<'_>) -> Judgement {
        unreachable!("nothing was answered")
    }
}

/// Panics at everything.
#[derive(Debug)]
pub(crate) struct Panicker;

impl Serve for Panicker {
    fn models(&self) -> Vec<ServedModel> {
        unreachable!("models")
    }

    fn submit(&self, _: Endpoint, _: Bytes, _: Nonce, _: Option<Address>, _: Option<&Tab>) -> Result<Answer, ApiError> {
        unreachable!("submit")
    }

    fn verify(&self, _: &Case<'_>) -> Judgement {
        unreachable!("verify")
    }
}

/// Says one word, then breaks off: without a word more, or with an error.
#[derive(Debug)]
pub(crate) struct Deserter {
    pub(crate) last_words: Option<ApiError>,
}

impl Serve for Deserter {
    fn models(&self) -> Vec<ServedModel> {
        vec![served("parrot")]
    }

    fn submit(
        &self,
        endpoint: Endpoint,
        body: Bytes,
        _: Nonce,
        _: Option<Address>,
        _: Option<&Tab>,
    ) -> Result<Answer, ApiError> {
        let request = api::parse(endpoint, &body)?;
        let (sender, events) = mpsc::channel(2);
        let (choice, token) = (ChoiceIndex::new(0), TokenId::new(0));
        let word = HostEvent::Token { choice, token, text: "well".to_owned(), logprob: None };
        sender.try_send(word).map_err(|_| ApiError::Internal)?;
        if let Some(error) = &self.last_words {
            sender.try_send(HostEvent::Failed(error.clone())).map_err(|_| ApiError::Internal)?;
        }
        Ok(Answer { request, model_root: model_root(), choices: 1, events })
    }

    fn verify(&self, _: &Case<'_>) -> Judgement {
        unreachable!("nothing was answered")
    }
}

/// Talks until nobody listens, and counts who hung up.
#[derive(Debug, Default)]
pub(crate) struct Babbler {
    pub(crate) hung_up: Arc<AtomicUsize>,
    pub(crate) begun: Arc<tokio::sync::Notify>,
    pub(crate) gone: Arc<tokio::sync::Notify>,
}

impl Serve for Babbler {
    fn models(&self) -> Vec<ServedModel> {
        vec![served("parrot")]
    }

    fn submit(
        &self,
        endpoint: Endpoint,
        body: Bytes,
        _: Nonce,
        _: Option<Address>,
        _: Option<&Tab>,
    ) -> Result<Answer, ApiError> {
        let request = api::parse(endpoint, &body)?;
        let (sender, events) = mpsc::channel(4);
        let (hung_up, gone) = (Arc::clone(&self.hung_up), Arc::clone(&self.gone));
        self.begun.notify_one();
        tokio::spawn(async move {
            let word = || HostEvent::Token {
                choice: ChoiceIndex::new(0),
                token: TokenId::new(0),
                text: "bla ".to_owned(),
                logprob: None,
            };
            while sender.send(word()).await.is_ok() {}
            hung_up.fetch_add(1, Ordering::SeqCst);
            gone.notify_one();
        });
        Ok(Answer { request, model_root: model_root(), choices: 1, events })
    }

    fn verify(&self, _: &Case<'_>) -> Judgement {
        unreachable!("nothing was answered")
    }
}

/// Spoils what a parrot hands over at the end of its answers.
#[derive(Debug)]
pub(crate) struct Spoiler {
    pub(crate) parrot: Parrot,
    pub(crate) spoil: fn(&mut Done),
}

impl Serve for Spoiler {
    fn models(&self) -> Vec<ServedModel> {
        self.parrot.models()
    }

    fn submit(
        &self,
        endpoint: Endpoint,
        body: Bytes,
        nonce: Nonce,
        client: Option<Address>,
        tab: Option<&Tab>,
    ) -> Result<Answer, ApiError> {
        let Answer { request, model_root, choices, events: mut sound } =
            self.parrot.submit(endpoint, body, nonce, client, tab)?;
        let (sender, events) = mpsc::channel(sound.len());
        while let Ok(mut event) = sound.try_recv() {
            if let HostEvent::Done(done) = &mut event {
                (self.spoil)(done);
            }
            sender.try_send(event).map_err(|_| ApiError::Internal)?;
        }
        Ok(Answer { request, model_root, choices, events })
    }

    fn verify(&self, _: &Case<'_>) -> Judgement {
        unreachable!("nothing that is spoiled is kept")
    }
}

/// A real host behind a false sign: it answers and signs as itself, and advertises something better.
#[derive(Debug)]
pub(crate) struct Mislabeller {
    pub(crate) host: Host,
    pub(crate) sign: fn(&mut ServedModel),
}

impl Mislabeller {
    /// A host of a little model, with another sign.
    pub(crate) fn with(sign: fn(&mut ServedModel)) -> Self {
        let machine = || Machine::new(Isa::detect(), Pool::new(NonZeroUsize::MIN));
        let file = Specimen::llama(WeightType::Q8_0).to_gguf();
        let model = Arc::new(Model::load(&file, &machine(), &|_| ()).unwrap());
        let config = HostConfig { price: Price::new(3, 5), ..HostConfig::local() };
        Self { host: Host::serve(model, "specimen", key(), machine(), config).unwrap(), sign }
    }
}

impl Serve for Mislabeller {
    fn models(&self) -> Vec<ServedModel> {
        let mut model = self.host.served().clone();
        (self.sign)(&mut model);
        vec![model]
    }

    fn submit(
        &self,
        endpoint: Endpoint,
        body: Bytes,
        nonce: Nonce,
        client: Option<Address>,
        tab: Option<&Tab>,
    ) -> Result<Answer, ApiError> {
        self.host.submit(endpoint, &body, nonce, client, tab)
    }

    fn verify(&self, case: &Case<'_>) -> Judgement {
        Serve::verify(&self.host, case)
    }
}
