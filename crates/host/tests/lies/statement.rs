//! What a host states: made honestly, bent by a test, and signed.

use std::sync::OnceLock;

use api::JobSpec;
use claim::{
    Address, ChannelId, ChoiceIndex, Engine as EngineVersion, Evidence, Finish, HostKey, Nonce, OutputChain,
    OutputRoot, Price, PromptToken, RECEIPT_VERSION, Receipt, ReceiptId, RequestHash, Sampling, Seed, SeedProof,
    SignedReceipt, StateChain, StateRoot, TokenCount, TokenId, UnixMillis, prompt_root,
};
use court::{Case, ClientRecord, Ending, Kind, Known, Part, Source, Verdict, replay};
use model::Model;

use crate::computing::{Draft, Engine};
use crate::question::{Question, STARTED};
use crate::subject::{machine, subject};

/// The agreed price: a micro-dollar for a token of the prompt, four for one of the answer.
pub(crate) const PRICE: Price = Price::new(1_000_000, 4_000_000);

/// The key of the host that was asked.
pub(crate) fn host_key() -> HostKey {
    HostKey::generate(&[7; 64])
}

/// Somebody else's key.
pub(crate) fn other_key() -> HostKey {
    HostKey::generate(&[8; 64])
}

/// A receipt with its evidence, before it is signed.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(crate) question: Question,
    pub(crate) job: JobSpec,
    pub(crate) receipt: Receipt,
    pub(crate) evidence: Evidence,
}

impl Statement {
    /// The true answer to [`Question::greedy`].
    pub(crate) fn greedy() -> Self {
        static GREEDY: OnceLock<Statement> = OnceLock::new();
        GREEDY.get_or_init(|| Self::honest(&Question::greedy())).clone()
    }

    /// The true answer to [`Question::seeded`] with 5.
    pub(crate) fn seeded() -> Self {
        static SEEDED: OnceLock<Statement> = OnceLock::new();
        SEEDED.get_or_init(|| Self::honest(&Question::seeded(5))).clone()
    }

    /// The true answer to [`Question::drawn`].
    pub(crate) fn drawn() -> Self {
        static DRAWN: OnceLock<Statement> = OnceLock::new();
        DRAWN.get_or_init(|| Self::honest(&Question::drawn())).clone()
    }

    /// The true answer to the first choice of `question`; a court has confirmed it.
    pub(crate) fn honest(question: &Question) -> Self {
        Self::honest_choice(question, 0)
    }

    pub(crate) fn honest_choice(question: &Question, choice: usize) -> Self {
        let model = &subject().model;
        let job = question.jobs(model).swap_remove(choice);
        let draft = Engine::new(model).answer(&tokens(&job.prompt), &job.sampling, seed(question, &job));
        let statement = Self::of(question, &job, draft);
        statement.assert_held();
        statement
    }

    /// Says that `draft` is the answer of the subject to `job`, with all else as it should be.
    pub(crate) fn of(question: &Question, job: &JobSpec, draft: Draft) -> Self {
        let proof = seed_proof(question, job);
        let receipt = Receipt {
            version: RECEIPT_VERSION,
            model_root: subject().model.root(),
            engine: EngineVersion::new(claim::KvType::F16),
            request_hash: question.hash(),
            choice: job.choice,
            prompt_root: prompt_root(&job.prompt),
            sampling: job.sampling.hash(),
            seed: seed(question, job),
            seed_kind: proof.kind(),
            output_root: OutputRoot::ZERO,
            finish: draft.finish,
            state_root: StateRoot::ZERO,
            previous: ReceiptId::ZERO,
            prefix_length: TokenCount::new(0),
            price: PRICE,
            total: claim::Amount::new(0),
            channel: ChannelId::ZERO,
            host: host_key().address(),
            client: question.client.unwrap_or(Address::ZERO),
            started: STARTED,
            finished: UnixMillis::new(STARTED.get() + 250),
        };
        let evidence = Evidence {
            endpoint: question.endpoint,
            request: question.body.clone(),
            nonce: question.nonce,
            client: question.client,
            choice: job.choice,
            prompt: job.prompt.clone(),
            output: draft.output,
            states: draft.states,
            seed_proof: proof,
            text: draft.text,
        };
        let mut statement = Self { question: question.clone(), job: job.clone(), receipt, evidence };
        statement.bind();
        statement
    }

    /// Lets the receipt say what the evidence says.
    pub(crate) fn bind(&mut self) {
        let (receipt, evidence) = (&mut self.receipt, &self.evidence);
        let count = |length: usize| TokenCount::new(length as u32);
        receipt.prompt_root = prompt_root(&evidence.prompt);
        receipt.output_root = evidence.output.iter().copied().collect::<OutputChain>().root();
        receipt.state_root = evidence.states.iter().copied().collect::<StateChain>().root();
        receipt.total = receipt.price.total_floor(count(evidence.prompt.len()), count(evidence.output.len()));
    }

    /// The statement with its answer cut to `length` tokens.
    pub(crate) fn cut(&self, length: usize, finish: Finish) -> Self {
        let mut cut = self.clone();
        cut.evidence.output.truncate(length);
        cut.evidence.states.truncate(self.evidence.prompt.len() + length - 1);
        cut.evidence.text =
            model::generation::text_of(&*subject().model, &self.job.sampling, &cut.evidence.output, finish);
        cut.receipt.finish = finish;
        cut.bind();
        cut
    }

    /// Tokens of the prompt, as the request means it.
    pub(crate) fn prompt(&self) -> usize {
        self.job.prompt.len()
    }

    /// Everything that the model consumed.
    pub(crate) fn consumed(&self) -> Vec<TokenId> {
        let output = &self.evidence.output;
        let mut consumed = tokens(&self.evidence.prompt);
        consumed.extend(&output[..output.len().saturating_sub(1)]);
        consumed
    }

    pub(crate) fn sign(&self) -> SignedReceipt {
        host_key().sign(&self.receipt)
    }

    /// The client's own record, true in all but what the test says was shown.
    pub(crate) fn record<'a>(&self, text: &'a str, ending: Ending) -> ClientRecord<'a> {
        ClientRecord { request: self.question.hash(), choice: self.job.choice, text, ending }
    }

    /// What anybody with the model finds.
    pub(crate) fn judge(&self) -> Verdict {
        self.judge_knowing(Known::default())
    }

    /// What a verifier finds that knows more.
    pub(crate) fn judge_knowing(&self, known: Known<'_>) -> Verdict {
        judge(&self.sign(), &self.evidence, known, None)
    }

    /// What a verifier finds that has the evidence from the host itself.
    pub(crate) fn judge_from_host(&self) -> Verdict {
        self.judge_knowing(Known { source: Source::Host, ..Known::default() })
    }

    /// What a client finds that was there to the end.
    pub(crate) fn judge_as_client(&self, shown: &str) -> Verdict {
        self.judge_knowing(Known { client: Some(self.record(shown, Ending::Closed)), ..Known::default() })
    }

    #[track_caller]
    pub(crate) fn assert_held(&self) {
        assert_held(&self.judge_as_client(&self.evidence.text));
    }
}

/// The verdict on any receipt, with the true model at hand.
pub(crate) fn judge(
    signed: &SignedReceipt,
    evidence: &Evidence,
    known: Known<'_>,
    window: Option<(usize, usize)>,
) -> Verdict {
    judge_by(&subject().model, signed, evidence, known, window)
}

pub(crate) fn judge_by(
    model: &Model,
    signed: &SignedReceipt,
    evidence: &Evidence,
    known: Known<'_>,
    window: Option<(usize, usize)>,
) -> Verdict {
    replay(&Case { signed, evidence, known, window }, model, &machine(), &mut |_, _| ())
}

#[track_caller]
pub(crate) fn assert_held(verdict: &Verdict) {
    assert!(matches!(verdict, Verdict::Held(_)), "{verdict:?}");
}

#[track_caller]
pub(crate) fn assert_refuted(verdict: &Verdict, kind: Kind, position: Option<usize>) {
    let Verdict::Refuted(refutation) = verdict else { panic!("{verdict:?}") };
    let found = refutation.position.map(|position| position.get() as usize);
    assert_eq!((refutation.kind, found), (kind, position), "{refutation}");
}

/// Nothing is said against the host: a part of the evidence is not what was signed.
#[track_caller]
pub(crate) fn assert_mismatch(verdict: &Verdict, expected: Part) {
    match verdict {
        Verdict::Cannot(court::Obstacle::EvidenceMismatch { part }) => assert_eq!(*part, expected),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn tokens(prompt: &[PromptToken]) -> Vec<TokenId> {
    prompt.iter().map(|token| token.token).collect()
}

/// The proof that the host asked makes for `job`.
pub(crate) fn seed_proof(question: &Question, job: &JobSpec) -> SeedProof {
    match job.seed {
        _ if job.sampling.temperature == 0.0 => SeedProof::Unused,
        Some(seed) => SeedProof::Given(seed),
        None => SeedProof::draw(&host_key(), question.hash(), question.nonce),
    }
}

/// The only seed that `job` can have.
pub(crate) fn seed(question: &Question, job: &JobSpec) -> Seed {
    seed_from(&seed_proof(question, job), &host_key(), question.hash(), question.nonce, job.choice)
}

/// What follows from a proof under its own key.
pub(crate) fn seed_from(
    proof: &SeedProof,
    key: &HostKey,
    request: RequestHash,
    nonce: Nonce,
    choice: ChoiceIndex,
) -> Seed {
    proof.seed(&key.public(), request, nonce, choice).unwrap()
}

/// Draws the answer to `question` by sampling parameters that `bend` has bent, and says that they are the requested ones.
/// Tries seeds until it makes a difference. Gives the statement and the index of the first token that differs.
pub(crate) fn bent(question: impl Fn(u64) -> Question, bend: impl Fn(&mut Sampling)) -> (Statement, usize) {
    let model = &subject().model;
    for number in 0..32 {
        let question = question(number);
        let job = question.jobs(model).swap_remove(0);
        let mut sampling = job.sampling.clone();
        bend(&mut sampling);
        let (prompt, seed) = (tokens(&job.prompt), seed(&question, &job));
        let truth = Engine::new(model).answer(&prompt, &job.sampling, seed);
        let lie = Engine::new(model).answer(&prompt, &sampling, seed);
        let common = truth.output.iter().zip(&lie.output).take_while(|(truth, lie)| truth == lie).count();
        if common < truth.output.len().min(lie.output.len()) {
            Statement::of(&question, &job, truth).assert_held();
            return (Statement::of(&question, &job, lie), common);
        }
    }
    panic!("the bent sampling makes no difference");
}
