#![expect(
    unsafe_code,
    reason = "parts borrow from the caller's stack, which the borrow checker cannot follow into a thread"
)]
//! A pool of threads for regions of a few microseconds.
//!
//! A decode step is about 200 regions one after the other, so starting a region must cost about a microsecond; an idle
//! pool must cost nothing. Workers therefore look for work for a short while and then sleep.
//!
//! One atomic word holds the region's number and the next part to claim. A thread claims a part by moving that word on, so a
//! thread that wakes late can never take a part of a region that is over, and the caller never waits for a thread
//! that has claimed nothing.

use std::any::Any;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::shared::SharedSlice;

/// Looks at the word before a thread starts to offer its core to others: some tens of microseconds, longer than the
/// serial stretch between two regions of a decode step.
const SPINS_MAX: u32 = 2_000;
/// Offers of the core before a worker sleeps.
const YIELDS_MAX: u32 = 50;
/// Bits of the word that count parts.
const PART_BITS: u32 = 32;
const PART_MASK: u64 = (1 << PART_BITS) - 1;

/// What a part runs: a closure on the caller's stack, alive until the region ends.
type Part<'a> = dyn Fn(usize) + Sync + 'a;

/// Threads that run the parts of a region; the calling thread is one of them.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

struct Shared {
    /// Region number (upper half) and next part to claim (lower half); all ones there between regions: closed.
    word: AtomicU64,
    /// Parts of the region; claims at or above it find nothing.
    parts: AtomicUsize,
    /// The region's closure: a pointer to a `&Part` on the caller's stack.
    part: AtomicPtr<()>,
    /// Parts that are not finished yet.
    unfinished: AtomicUsize,
    /// A region is in progress: a second one, nested or from another thread, runs on its own thread alone.
    busy: AtomicBool,
    stop: AtomicBool,
    sleepers: AtomicUsize,
    bed: Mutex<()>,
    bell: Condvar,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("word", &self.word).finish_non_exhaustive()
    }
}

impl Pool {
    /// A pool of `threads` threads, the caller of [`Pool::run`] included. Where the system refuses a thread, the pool has
    /// fewer: results do not hang on it.
    pub fn new(threads: NonZeroUsize) -> Self {
        let shared = Arc::new(Shared {
            word: AtomicU64::new(PART_MASK),
            parts: AtomicUsize::new(0),
            part: AtomicPtr::new(std::ptr::null_mut()),
            unfinished: AtomicUsize::new(0),
            busy: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            sleepers: AtomicUsize::new(0),
            bed: Mutex::new(()),
            bell: Condvar::new(),
            panic: Mutex::new(None),
        });
        let workers = (1..threads.get())
            .filter_map(|index| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new().name(format!("arith-{index}")).spawn(move || shared.work()).ok()
            })
            .collect();
        Self { shared, workers }
    }

    /// Threads, the caller included.
    pub fn threads(&self) -> NonZeroUsize {
        NonZeroUsize::MIN.saturating_add(self.workers.len())
    }

    /// Runs `part(0)`, ..., `part(parts - 1)`, each once, on any threads and in any order, and returns when all are done.
    ///
    /// A call from inside a part, or while another thread runs a region, is legal: its parts run on the calling thread.
    ///
    /// # Panics
    /// With the panic of a part, after all parts have ended.
    pub fn run(&self, parts: usize, part: &(dyn Fn(usize) + Sync)) {
        let shared = &*self.shared;
        let alone = self.workers.is_empty() || parts <= 1 || parts as u64 >= PART_MASK;
        if alone || shared.busy.swap(true, Ordering::Acquire) {
            (0..parts).for_each(part);
            return;
        }
        let part: &Part<'_> = part;
        // The word is closed, so nobody can claim by these until it opens. `Release` makes a thread that reads the new
        // part count also see that the old region is closed.
        shared.unfinished.store(parts, Ordering::Relaxed);
        shared.part.store((&raw const part).cast_mut().cast(), Ordering::Relaxed);
        shared.parts.store(parts, Ordering::Release);
        let region = (shared.word.load(Ordering::Relaxed) >> PART_BITS).wrapping_add(1) << PART_BITS;
        // Opens the region and publishes the stores above; totally ordered with `sleepers`.
        shared.word.store(region, Ordering::SeqCst);
        if shared.sleepers.load(Ordering::SeqCst) > 0 {
            let _bed = shared.bed.lock().unwrap_or_else(PoisonError::into_inner);
            shared.bell.notify_all();
        }
        shared.claim_all();
        let mut patience = Patience::new();
        while shared.unfinished.load(Ordering::Acquire) > 0 {
            patience.wait();
        }
        shared.word.store(region | PART_MASK, Ordering::Release);
        let panic = shared.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        shared.busy.store(false, Ordering::Release);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// Cuts `x` into chunks of `chunk_len` (the last may be shorter) and runs `part(index, chunk)` for each.
    ///
    /// # Panics
    /// Where `chunk_len` is 0; with the panic of a part.
    pub fn chunks_mut<T: Send>(&self, x: &mut [T], chunk_len: usize, part: &(dyn Fn(usize, &mut [T]) + Sync)) {
        assert!(chunk_len > 0, "chunks have a length");
        let len = x.len();
        let shared = SharedSlice::new(x);
        self.run(len.div_ceil(chunk_len), &|index| {
            let first = index * chunk_len;
            // SAFETY: each index is run once and chunks do not overlap; `x` is borrowed until `run` returns, after all parts.
            part(index, unsafe { shared.part(first..len.min(first + chunk_len)) });
        });
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        drop(self.shared.bed.lock().unwrap_or_else(PoisonError::into_inner));
        self.shared.bell.notify_all();
        for worker in self.workers.drain(..) {
            // Parts' panics are caught, so a worker ends without one.
            let _ = worker.join();
        }
    }
}

impl Shared {
    /// A worker's life.
    fn work(&self) {
        let mut patience = Patience::new();
        while !self.stop.load(Ordering::Relaxed) {
            if self.claim_all() {
                patience = Patience::new();
            } else if patience.is_spent() {
                self.sleep();
                patience = Patience::new();
            } else {
                patience.wait();
            }
        }
    }

    /// Runs parts until none is left to claim; tells if it ran any.
    fn claim_all(&self) -> bool {
        let mut ran = false;
        loop {
            let word = self.word.load(Ordering::Acquire);
            let index = (word & PART_MASK) as usize;
            if index >= self.parts.load(Ordering::Acquire) {
                return ran;
            }
            let part = self.part.load(Ordering::Relaxed);
            if self.word.compare_exchange(word, word + 1, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                continue;
            }
            ran = true;
            // SAFETY: the exchange succeeded, so the region whose number `word` carries was open and still had part `index` to
            // give. Closure and part count change only while the word is closed, and a thread that saw a later count also
            // sees the word closed or later, so both were read from this region; its caller keeps the closure alive
            // until `unfinished` is 0, which is after the call below. (A number returns after 2^32 regions; no thread
            // sleeps through exactly that many between its load and its exchange.)
            let part: &Part<'_> = unsafe { *part.cast::<&Part<'_>>() };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| part(index))) {
                *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
            }
            self.unfinished.fetch_sub(1, Ordering::Release);
        }
    }

    /// Sleeps until a region is published, unless one has work already.
    fn sleep(&self) {
        let mut bed = self.bed.lock().unwrap_or_else(PoisonError::into_inner);
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        while !self.stop.load(Ordering::SeqCst) && !self.has_work() {
            bed = self.bell.wait(bed).unwrap_or_else(PoisonError::into_inner);
        }
        drop(bed);
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }

    fn has_work(&self) -> bool {
        let index = self.word.load(Ordering::SeqCst) & PART_MASK;
        (index as usize) < self.parts.load(Ordering::Acquire)
    }
}

/// Waits a little longer each time: spins, then offers the core to others.
struct Patience {
    waits: u32,
}

impl Patience {
    fn new() -> Self {
        Self { waits: 0 }
    }

    fn is_spent(&self) -> bool {
        self.waits >= SPINS_MAX + YIELDS_MAX
    }

    fn wait(&mut self) {
        if self.waits < SPINS_MAX {
            std::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
        self.waits = self.waits.saturating_add(1);
    }
}
