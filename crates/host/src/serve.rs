//! A host: one model, one key, one thread that runs the batch.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use api::{ApiError, JobSpec, Request, limits};
use arith::{Machine, Pool};
use bytes::Bytes;
use claim::{
    Address, Amount, ChannelId, Endpoint, Engine, Evidence, Finish, HostKey, KvType, Nonce, OutputRoot, Price,
    RECEIPT_VERSION, Receipt, ReceiptId, RequestHash, Seed, SeedProof, StateRoot, TokenCount, UnixMillis, prompt_root,
    request_hash,
};
use model::{BatchLimits, Model};
use tokio::sync::mpsc;

use crate::engine::{Command, Engine as EngineThread, Order};
use crate::event::{Answer, HostEvent, ServedModel};
use crate::map::MappedModel;
use crate::till::{Charge, Tab, Till};

/// How a host serves.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// What tokens cost.
    pub price: Price,
    /// How keys and values are stored.
    pub kv: KvType,
    /// Sequences computed at the same time.
    pub active_max: usize,
    /// Choices that may wait for a place.
    pub waiting_max: usize,
    /// Memory for keys and values, those kept as prefixes included.
    pub kv_bytes_max: usize,
}

impl HostConfig {
    /// A free host on a machine of its owner: 16 sequences at a time, 256 waiting, 1 GiB of keys and values.
    pub const fn local() -> Self {
        Self { price: Price::new(0, 0), kv: KvType::F16, active_max: 16, waiting_max: 256, kv_bytes_max: 1 << 30 }
    }
}

/// Why a host does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The model file cannot be read.
    #[error("cannot read the model file {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is not a model that this engine runs.
    #[error("cannot load the model {path}: {source}")]
    Load {
        /// The file.
        path: String,
        /// What is wrong with it.
        source: Box<model::LoadError>,
    },
    /// The thread could not be started.
    #[error("cannot start the batch thread: {0}")]
    Thread(std::io::Error),
}

/// Serves a model and signs for every answer.
#[derive(Debug)]
pub struct Host {
    served: ServedModel,
    model: Arc<Model>,
    key: Arc<HostKey>,
    machine: Machine,
    config: HostConfig,
    /// Where it is paid; none for a host that answers for nothing.
    till: Option<Arc<Till>>,
    commands: std::sync::mpsc::SyncSender<Command>,
    /// Choices submitted and not yet done, shared with the batch thread.
    open: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

/// Loads the model at `path`; its file need not stay resident afterwards.
///
/// # Errors
///
/// The file cannot be read or is no model that this engine runs.
pub fn load_model(path: &Path, machine: &Machine) -> Result<Model, HostError> {
    let name = || path.display().to_string();
    let map = MappedModel::open(path).map_err(|source| HostError::File { path: name(), source })?;
    Model::load(map.bytes(), machine, &|range| map.release(range))
        .map_err(|source| HostError::Load { path: name(), source: Box::new(source) })
}

impl Host {
    /// Loads the model at `path` and starts to serve it as `name`.
    ///
    /// # Errors
    ///
    /// The model cannot be loaded or the batch thread cannot be started.
    pub fn start(
        path: &Path,
        name: &str,
        key: impl Into<Arc<HostKey>>,
        machine: Machine,
        config: HostConfig,
    ) -> Result<Self, HostError> {
        let model = load_model(path, &machine)?;
        Self::serve(Arc::new(model), name, key, machine, config)
    }

    /// Serves a model that is loaded already.
    ///
    /// # Errors
    ///
    /// The batch thread cannot be started.
    pub fn serve(
        model: Arc<Model>,
        name: &str,
        key: impl Into<Arc<HostKey>>,
        machine: Machine,
        config: HostConfig,
    ) -> Result<Self, HostError> {
        let key = key.into();
        let served = ServedModel {
            name: name.to_owned(),
            root: model.root(),
            context_length: TokenCount::new(model.config().context_length as u32),
            chat: model.template().is_ok(),
            host: key.address(),
            since: now(),
            price: config.price,
        };
        let limits = BatchLimits {
            active_max: config.active_max,
            rows_max: ROWS_MAX,
            pages_max: (config.kv_bytes_max / model.page_bytes(config.kv)).max(1),
            kv: config.kv,
        };
        // Each command in the queue holds at least one open choice, so the queue never fills and a submission never blocks.
        let (commands, inbox) = std::sync::mpsc::sync_channel(config.active_max + config.waiting_max + 1);
        let open = Arc::new(AtomicUsize::new(0));
        // The batch has threads of its own, so that a verification beside it shares nothing with it but the cores.
        let batch_machine = Machine::new(machine.isa(), Pool::new(machine.pool().threads()));
        let thread = {
            let (model, key, open) = (Arc::clone(&model), Arc::clone(&key), Arc::clone(&open));
            std::thread::Builder::new()
                .name("candor-batch".to_owned())
                .spawn(move || EngineThread::new(&model, &key, &batch_machine, limits, &open).run(&inbox))
                .map_err(HostError::Thread)?
        };
        Ok(Self { served, model, key, machine, config, till: None, commands, open, thread: Some(thread) })
    }

    /// From now on answers only to those who pay.
    #[must_use]
    pub fn paid_by(mut self, till: Arc<Till>) -> Self {
        self.till = Some(till);
        self
    }

    /// Where it is paid.
    pub fn till(&self) -> Option<&Till> {
        self.till.as_deref()
    }

    /// The model as it is listed.
    pub fn served(&self) -> &ServedModel {
        &self.served
    }

    /// The loaded model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The machine for work beside the batch, such as verifying.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Takes a request. What happens to it comes through the answer's events.
    ///
    /// # Errors
    ///
    /// The request is not valid for this model, is to be paid for and has no tab that covers it, or too many are waiting.
    pub fn submit(
        &self,
        endpoint: Endpoint,
        body: &Bytes,
        nonce: Nonce,
        client: Option<Address>,
        tab: Option<&Tab>,
    ) -> Result<Answer, ApiError> {
        let request = api::parse(endpoint, body)?;
        if !self.served.answers_to(&request.model) {
            return Err(ApiError::ModelNotFound { model: request.model });
        }
        if let (Some(till), None) = (&self.till, tab) {
            return Err(till.ask());
        }
        let started = now();
        let jobs = request.jobs(
            self.model.tokenizer(),
            self.model.template().ok(),
            self.model.config().context_length,
            started,
        )?;
        let choices = jobs.len();
        let size_bytes_max = limits::COPIES_BYTES_MAX / choices.max(1);
        if body.len() > size_bytes_max {
            return Err(ApiError::BodyTooLarge { size_bytes_max });
        }
        let charges = tab.map(|tab| self.reserve(&jobs, tab)).transpose()?;
        let jobs_max = self.config.active_max + self.config.waiting_max;
        if self.open.fetch_add(choices, Ordering::Relaxed) + choices > jobs_max {
            self.open.fetch_sub(choices, Ordering::Relaxed);
            return Err(ApiError::Overloaded { jobs_max, retry_after_s: RETRY_AFTER_S });
        }
        let tokens: usize = jobs.iter().map(|job| job.sampling.max_tokens.get() as usize).sum();
        let (events, receiver) = mpsc::channel((tokens + 4 * choices).clamp(16, EVENTS_MAX));
        let hash = request_hash(endpoint, body, nonce, client);
        let channel = tab.map_or(ChannelId::ZERO, Tab::channel);
        let asked = Asked { endpoint, body, nonce, client, started, hash, channel };
        let mut orders = self.orders(&request, jobs, &asked, &events);
        for (order, charge) in orders.iter_mut().zip(charges.into_iter().flatten()) {
            order.charge = Some(charge);
        }
        let answer = Answer { request, model_root: self.model.root(), choices: choices as u32, events: receiver };
        self.commands.send(Command::Submit(orders)).map_err(|_| ApiError::Stopping)?;
        Ok(answer)
    }

    /// Sets aside what each answer may come to. What was set aside before one that is not covered is given back.
    fn reserve(&self, jobs: &[JobSpec], tab: &Tab) -> Result<Vec<Charge>, ApiError> {
        let dearest = |job: &JobSpec| {
            let prompt = TokenCount::new(job.prompt.len() as u32);
            self.config.price.total_floor(prompt, job.sampling.max_tokens)
        };
        jobs.iter().map(|job| tab.reserve(dearest(job))).collect()
    }

    fn orders(
        &self,
        request: &Request,
        jobs: Vec<JobSpec>,
        asked: &Asked<'_>,
        events: &mpsc::Sender<HostEvent>,
    ) -> Vec<Order> {
        // One draw serves all choices of a request; it is made when the first of them needs it.
        let mut drawn = None;
        jobs.into_iter()
            .map(|job| {
                let seed_proof = match (job.sampling.temperature == 0.0, job.seed) {
                    (true, _) => SeedProof::Unused,
                    (false, Some(seed)) => SeedProof::Given(seed),
                    (false, None) => *drawn.get_or_insert_with(|| SeedProof::draw(&self.key, asked.hash, asked.nonce)),
                };
                self.order(request, job, seed_proof, asked, events.clone())
            })
            .collect()
    }

    fn order(
        &self,
        request: &Request,
        job: JobSpec,
        seed_proof: SeedProof,
        asked: &Asked<'_>,
        events: mpsc::Sender<HostEvent>,
    ) -> Order {
        let seed = seed_proof.seed(&self.key.public(), asked.hash, asked.nonce, job.choice);
        let receipt = Receipt {
            version: RECEIPT_VERSION,
            model_root: self.model.root(),
            engine: Engine::new(self.config.kv),
            request_hash: asked.hash,
            choice: job.choice,
            prompt_root: prompt_root(&job.prompt),
            sampling: job.sampling.hash(),
            seed: seed.unwrap_or(Seed::ZERO),
            seed_kind: seed_proof.kind(),
            output_root: OutputRoot::ZERO,
            finish: Finish::Prefix,
            state_root: StateRoot::ZERO,
            previous: ReceiptId::ZERO,
            prefix_length: TokenCount::new(0),
            price: self.config.price,
            total: Amount::new(0),
            channel: asked.channel,
            host: self.key.address(),
            client: asked.client.unwrap_or(Address::ZERO),
            started: asked.started,
            finished: asked.started,
        };
        let evidence = Evidence {
            endpoint: asked.endpoint,
            request: Vec::new(),
            nonce: asked.nonce,
            client: asked.client,
            choice: job.choice,
            prompt: job.prompt,
            output: Vec::new(),
            states: Vec::new(),
            seed_proof,
            text: String::new(),
        };
        let logprobs = request.logprobs.map(|top| top.min(u32::from(u8::MAX)) as u8);
        let body = asked.body.clone();
        Order { receipt, body, evidence, sampling: job.sampling, logprobs, echo: request.echo, charge: None, events }
    }
}

impl Drop for Host {
    /// Stops the batch thread; answers that are still open end without a receipt.
    fn drop(&mut self) {
        // The thread may have gone already, with its end of the channel.
        let _ = self.commands.send(Command::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A request as it came.
struct Asked<'a> {
    endpoint: Endpoint,
    body: &'a Bytes,
    nonce: Nonce,
    client: Option<Address>,
    started: UnixMillis,
    hash: RequestHash,
    channel: ChannelId,
}

/// Rows of a step: enough for the kernels to be busy, few enough that decoding sequences hardly wait for a prompt.
const ROWS_MAX: usize = 128;
/// When a client that found the queue full should come back, in seconds.
const RETRY_AFTER_S: u32 = 1;
/// Events of one answer that may wait for a slow client before it counts as gone.
const EVENTS_MAX: usize = 65_536;

/// The time of day; before 1970 it is 1970.
pub(crate) fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis::new(since.as_millis() as u64)
}
