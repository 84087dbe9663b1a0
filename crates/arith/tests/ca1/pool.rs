//! The pool: each part once, nested and concurrent regions, panics.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use arith::Pool;

fn pool(threads: usize) -> Pool {
    Pool::new(NonZeroUsize::new(threads).unwrap())
}

#[test]
fn each_part_runs_once_in_every_region() {
    for threads in [1, 2, 3, 8] {
        let pool = pool(threads);
        assert_eq!(pool.threads().get(), threads);
        for region in 0..3_000 {
            let parts = region % 17;
            let counts: Vec<AtomicUsize> = (0..parts).map(|_| AtomicUsize::new(0)).collect();
            pool.run(parts, &|part| {
                counts[part].fetch_add(1, Ordering::Relaxed);
            });
            assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 1), "region {region} of {threads} threads");
        }
    }
}

#[test]
fn chunks_cover_the_slice_and_do_not_overlap() {
    let pool = pool(4);
    for len in [0, 1, 9, 10, 11, 1_000] {
        let mut x = vec![0usize; len];
        pool.chunks_mut(&mut x, 10, &|index, chunk| {
            for (i, x) in chunk.iter_mut().enumerate() {
                *x += index * 10 + i + 1;
            }
        });
        assert!(x.iter().enumerate().all(|(i, x)| *x == i + 1), "{len}");
    }
}

#[test]
fn a_region_inside_a_part_runs() {
    let pool = pool(3);
    let count = AtomicUsize::new(0);
    pool.run(20, &|_| {
        pool.run(30, &|_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
    });
    assert_eq!(count.into_inner(), 600);
}

#[test]
fn regions_of_several_threads_run() {
    let pool = pool(3);
    let count = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    pool.run(7, &|_| {
                        count.fetch_add(1, Ordering::Relaxed);
                    });
                }
            });
        }
    });
    assert_eq!(count.into_inner(), 4 * 500 * 7);
}

#[test]
fn a_panic_reaches_the_caller_and_the_pool_serves_on() {
    for threads in [1, 2, 4] {
        let pool = pool(threads);
        for bad in [0, 5, 63] {
            let ran = AtomicUsize::new(0);
            let result = catch_unwind(AssertUnwindSafe(|| {
                pool.run(64, &|part| {
                    ran.fetch_add(1, Ordering::Relaxed);
                    assert!(part != bad, "part {part} fails");
                });
            }));
            let message = *result.unwrap_err().downcast::<String>().unwrap();
            assert_eq!(message, format!("part {bad} fails"));
            let after = AtomicUsize::new(0);
            pool.run(64, &|_| {
                after.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(after.into_inner(), 64);
        }
    }
}

/// Workers that have gone to sleep come back. (They sleep on their own after some microseconds; joining a thread that
/// yields long enough makes that certain without a clock.)
#[test]
fn sleeping_workers_wake() {
    let pool = pool(4);
    for _ in 0..20 {
        for _ in 0..2_000 {
            std::thread::yield_now();
        }
        let threads = std::sync::Mutex::new(std::collections::BTreeSet::new());
        let waiting = AtomicUsize::new(0);
        // Every part waits for the others, so this ends only when four threads take part.
        pool.run(4, &|_| {
            threads.lock().unwrap().insert(format!("{:?}", std::thread::current().id()));
            waiting.fetch_add(1, Ordering::AcqRel);
            while waiting.load(Ordering::Acquire) < 4 {
                std::thread::yield_now();
            }
        });
        assert_eq!(threads.into_inner().unwrap().len(), 4);
    }
}
