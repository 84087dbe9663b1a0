//! The chain as a part of a process: one thread that changes it, a store behind it, and a view that everybody may read.
//!
//! Whoever wants the chain changed sends a job to its thread. The thread takes all that wait, does them, writes what
//! happened to the store in one transaction, shows it to readers, and only then answers. So nobody ever sees a block that a
//! crash could take away, and one flush of the disk serves all jobs that came in during the one before.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::Instant;

use crate::block::Block;
use crate::chain::{Chain, Event};
use crate::config::{Config, Mining};
use crate::error::{ChainError, StoreError};
use crate::history::History;
use crate::pool::Pool;
use crate::state::State;
use crate::store::{Archive, Restored, Store};
use crate::transaction::Transaction;

/// Jobs that may wait. Who comes later waits for a place.
const JOBS_MAX: usize = 1_024;

/// Jobs that are done before what they did is stored. More would make all of them wait for longer.
const BATCH_MAX: usize = 256;

/// Things that happen before they are stored, but for those of a single job.
const EVENTS_MAX: usize = 4_096;

/// Notices that a slow listener may be behind. One that is further behind is told so.
const NOTICES_MAX: usize = 4_096;

/// What listeners are told.
#[derive(Debug, Clone)]
pub enum Notice {
    /// A block was added.
    Block(Arc<Block>),
    /// A transaction waits.
    Pending(Transaction),
    /// Blocks were taken back, and these are gone, oldest first, as far as they are still known.
    Reverted(Vec<Arc<Block>>),
}

/// What readers see: only what is stored.
#[derive(Debug)]
pub struct Published {
    /// The newest blocks and states.
    pub history: History,
    /// What waits.
    pub pool: Pool,
    /// Wei for a unit of gas that the next block burns.
    pub next_base_fee: u64,
    /// Seconds that the chain is ahead of the clock on the wall.
    pub clock: crate::clock::Clock,
}

type Answer = Box<dyn FnOnce(Result<(), ChainError>) + Send>;
type Job = Box<dyn FnOnce(&mut Chain, u64) -> Answer + Send>;

/// A running chain. Clones are handles to the same one, which ends with the last of them.
#[derive(Debug, Clone)]
pub struct Devchain {
    shared: Arc<Shared>,
    thread: Arc<Thread>,
}

pub(crate) struct Shared {
    published: RwLock<Published>,
    notices: broadcast::Sender<Notice>,
    archive: Option<Archive>,
    config: Config,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("config", &self.config).finish_non_exhaustive()
    }
}

/// The thread that changes the chain. Dropping this lets it finish what waits, and waits for it.
#[derive(Debug)]
struct Thread {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    handle: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Thread {
    fn drop(&mut self) {
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
        let handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A job may hold the last handle; a thread cannot wait for itself.
        if let Some(handle) = handle.filter(|handle| handle.thread().id() != std::thread::current().id()) {
            // What made it panic was said where it happened.
            let _ = handle.join();
        }
    }
}

impl Devchain {
    /// Opens the chain in a file, and makes it where it is not there.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or written, is damaged, or is that of another chain.
    pub fn open(path: impl AsRef<Path>, config: Config) -> Result<Self, StoreError> {
        let (mut store, restored) = Store::open(path.as_ref(), &config)?;
        let chain = if let Some(Restored { history, clock, reverts, waiting }) = restored {
            let mut chain = Chain::resume(config, history, clock, reverts);
            for transaction in waiting {
                // What could be executed when it came cannot be where the configuration has changed since.
                if chain.check(&transaction).is_ok() {
                    chain.insert(transaction);
                }
            }
            chain
        } else {
            let chain = Chain::new(config, now());
            let first = Event::Added(chain.history().head().clone(), chain.history().state().clone());
            store.write(chain.config(), &[first, Event::Clock(chain.clock())])?;
            chain
        };
        Ok(Self::start(chain, Some(store))?)
    }

    /// A chain that ends with the process.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
    pub fn in_memory(config: Config) -> Result<Self, StoreError> {
        Ok(Self::start(Chain::new(config, now()), None)?)
    }

    fn start(mut chain: Chain, store: Option<Store>) -> std::io::Result<Self> {
        chain.record();
        let shared = Arc::new(Shared {
            published: RwLock::new(Published {
                history: chain.history().clone(),
                pool: chain.pool().clone(),
                next_base_fee: chain.next_base_fee(),
                clock: chain.clock(),
            }),
            notices: broadcast::Sender::new(NOTICES_MAX),
            archive: store.as_ref().map(Store::archive),
            config: chain.config().clone(),
        });
        let (jobs, waiting) = mpsc::channel(JOBS_MAX);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let worker = Worker { chain, store, shared: shared.clone(), waiting };
        let handle =
            std::thread::Builder::new().name("devchain".to_owned()).spawn(move || runtime.block_on(worker.run()))?;
        let thread = Thread { jobs: Mutex::new(Some(jobs)), handle: Mutex::new(Some(handle)) };
        Ok(Self { shared, thread: Arc::new(thread) })
    }

    /// Does something with the chain, at the time now, in seconds. The answer comes when what it did is stored.
    ///
    /// # Errors
    ///
    /// When the chain is closed or its store has failed.
    pub async fn with<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Chain, u64) -> T + Send + 'static,
    ) -> Result<T, ChainError> {
        let (done, answer) = oneshot::channel();
        let job: Job = Box::new(move |chain, now| {
            let value = job(chain, now);
            Box::new(move |stored| {
                // Who has gone away does not need to be told.
                let _ = done.send(stored.map(|()| value));
            })
        });
        let jobs = self.thread.jobs.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let jobs = jobs.ok_or(ChainError::Closed)?;
        jobs.send(job).await.map_err(|_| ChainError::Closed)?;
        answer.await.map_err(|_| if jobs.is_closed() { ChainError::Closed } else { ChainError::Panicked })?
    }

    /// What is stored, for a short look: nothing new is shown to anyone while it is held.
    pub fn published(&self) -> RwLockReadGuard<'_, Published> {
        self.shared.published.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest block.
    pub fn head(&self) -> Arc<Block> {
        self.published().history.head().clone()
    }

    /// The state after the newest block.
    pub fn state(&self) -> State {
        self.published().history.state().clone()
    }

    /// What the chain was made from.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// All that is shown from now on.
    pub fn listen(&self) -> broadcast::Receiver<Notice> {
        self.shared.notices.subscribe()
    }

    pub(crate) fn archive(&self) -> Option<&Archive> {
        self.shared.archive.as_ref()
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

struct Worker {
    chain: Chain,
    store: Option<Store>,
    shared: Arc<Shared>,
    waiting: mpsc::Receiver<Job>,
}

impl Worker {
    /// Works until all handles are gone, or the store fails.
    async fn run(mut self) {
        let mut last_block = Instant::now();
        let mut failure = None;
        loop {
            let first = match self.chain.mining() {
                Mining::Every(period) => tokio::select! {
                    biased;
                    () = tokio::time::sleep_until(last_block + period) => {
                        last_block = Instant::now();
                        Some(tick())
                    }
                    job = self.waiting.recv() => job,
                },
                Mining::Instant | Mining::Manual => self.waiting.recv().await,
            };
            let Some(first) = first else { return };
            let mining = self.chain.mining();
            let mut answers = Vec::new();
            let mut is_whole = self.perform(first, &mut answers);
            while is_whole
                && answers.len() < BATCH_MAX
                && self.chain.events_waiting() < EVENTS_MAX
                && failure.is_none()
                && let Ok(job) = self.waiting.try_recv()
            {
                is_whole = self.perform(job, &mut answers);
            }
            if self.chain.mining() != mining {
                // The first block comes a whole period after somebody has asked for periods.
                last_block = Instant::now();
            }
            failure = failure.or_else(|| self.settle().err());
            if !is_whole {
                let published = self.shared.published.read().unwrap_or_else(PoisonError::into_inner);
                self.chain.recover(published.history.clone(), published.pool.clone(), published.clock);
            }
            for answer in answers {
                // What was done after a failure is in memory only, and nobody is to build on it.
                answer(failure.as_ref().map_or(Ok(()), |failure| Err(ChainError::Store(failure.clone()))));
            }
        }
    }

    /// Does a job, and keeps how it is to be answered. False when it panicked: then nothing of it has happened, but the chain
    /// may be left by half and must be put back to what is shown.
    fn perform(&mut self, job: Job, answers: &mut Vec<Answer>) -> bool {
        let before = self.chain.events_waiting();
        let Ok(answer) = catch_unwind(AssertUnwindSafe(|| job(&mut self.chain, now()))) else {
            tracing::error!("devchain.job_panicked");
            self.chain.truncate_events(before);
            return false;
        };
        answers.push(answer);
        true
    }

    /// Stores what happened and shows it.
    fn settle(&mut self) -> Result<(), String> {
        let events = self.chain.take_events();
        if let Some(store) = self.store.as_mut().filter(|_| !events.is_empty()) {
            store.write(self.chain.config(), &events).map_err(|error| {
                tracing::error!(%error, "devchain.store_failed");
                error.to_string()
            })?;
        }
        let mut published = self.shared.published.write().unwrap_or_else(PoisonError::into_inner);
        let notices: Vec<_> = events.into_iter().filter_map(|event| published.take(event)).collect();
        published.next_base_fee = self.chain.next_base_fee();
        drop(published);
        for notice in notices {
            // Nobody may be listening.
            let _ = self.shared.notices.send(notice);
        }
        Ok(())
    }
}

/// The job of a block whose time has come.
fn tick() -> Job {
    Box::new(|chain, now| {
        if let Err(error) = chain.mine(now) {
            tracing::error!(%error, "devchain.block_failed");
        }
        Box::new(|_| {})
    })
}

impl Published {
    /// Shows one thing that happened, and says what listeners are to be told of it.
    fn take(&mut self, event: Event) -> Option<Notice> {
        match event {
            Event::Pooled(transaction) => {
                self.pool.add(transaction.clone());
                Some(Notice::Pending(transaction))
            }
            Event::Dropped(hash) => {
                self.pool.remove(hash);
                None
            }
            Event::Added(block, state) => {
                for transaction in block.transactions() {
                    self.pool.remove(transaction.hash());
                }
                self.history.append(block.clone(), state);
                Some(Notice::Block(block))
            }
            Event::Changed(state) => {
                self.history.set_state(state);
                None
            }
            Event::Reverted { history, .. } => {
                let old = std::mem::replace(&mut self.history, *history);
                let is_gone = |block: &&Arc<Block>| self.history.hash(block.number()) != Some(block.hash());
                let gone: Vec<_> = old.blocks().rev().take_while(is_gone).cloned().collect();
                Some(Notice::Reverted(gone.into_iter().rev().collect()))
            }
            Event::Clock(clock) => {
                self.clock = clock;
                None
            }
        }
    }
}

/// The shortest time between two blocks of a chain that makes them by the clock.
pub(crate) const PERIOD_MIN: Duration = Duration::from_millis(1);

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use alloy_primitives::{Address, U256};
    use redb::StorageBackend;
    use redb::backends::InMemoryBackend;

    use super::Devchain;
    use crate::chain::{Chain, Event};
    use crate::config::Config;
    use crate::error::ChainError;
    use crate::store::Store;

    /// A disk that can be made to fail.
    #[derive(Debug)]
    struct Disk {
        bytes: InMemoryBackend,
        is_broken: Arc<AtomicBool>,
    }

    impl Disk {
        fn check(&self) -> io::Result<()> {
            let full = || io::Error::new(io::ErrorKind::StorageFull, "the disk is full, for this test");
            if self.is_broken.load(Ordering::SeqCst) { Err(full()) } else { Ok(()) }
        }
    }

    impl StorageBackend for Disk {
        fn len(&self) -> io::Result<u64> {
            self.bytes.len()
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.bytes.read(offset, out)
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            self.check().and_then(|()| self.bytes.set_len(len))
        }

        fn sync_data(&self) -> io::Result<()> {
            self.check()
        }

        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.check().and_then(|()| self.bytes.write(offset, data))
        }
    }

    #[test]
    fn what_cannot_be_stored_is_not_shown() {
        let is_broken = Arc::new(AtomicBool::new(false));
        let disk = Disk { bytes: InMemoryBackend::new(), is_broken: is_broken.clone() };
        let config = Config::development();
        let database = redb::Database::builder().create_with_backend(disk).unwrap();
        let (mut store, _) = Store::on(database, &config).unwrap();
        let chain = Chain::new(config, 1);
        let first = Event::Added(chain.history().head().clone(), chain.history().state().clone());
        store.write(chain.config(), &[first]).unwrap();
        let chain = Devchain::start(chain, Some(store)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mine = || runtime.block_on(chain.with(|chain, now| chain.mine(now).map(drop)));
        mine().unwrap().unwrap();
        is_broken.store(true, Ordering::SeqCst);
        assert!(matches!(mine(), Err(ChainError::Store(_))));
        is_broken.store(false, Ordering::SeqCst);
        let set = runtime.block_on(chain.with(|chain, _| chain.set_balance(Address::ZERO, U256::ONE)));
        assert!(matches!(set, Err(ChainError::Store(_))), "nothing is built on what was not stored");
        assert_eq!(chain.head().number(), 1);
        assert_eq!(chain.state().balance(Address::ZERO), U256::ZERO);
    }
}
