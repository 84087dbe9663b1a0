//! Counters and histograms in Prometheus' text form. Recording is a few atomic additions and takes no lock.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::store::StoreError;

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Upper bounds of the time buckets, in seconds: from the gateway's own work to the slowest answers.
const BUCKETS_S: [f64; 15] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0];

/// How often times fell into each bucket, and their sum.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    buckets: [AtomicU64; BUCKETS_S.len() + 1],
    sum_us: AtomicU64,
}

impl Histogram {
    pub(crate) fn record(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let bucket = BUCKETS_S.iter().position(|&bound| seconds <= bound).unwrap_or(BUCKETS_S.len());
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum_us.fetch_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Writes the series with `labels`, which is empty or ends in a comma.
    fn write(&self, out: &mut String, name: &str, labels: &str) {
        let mut total = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            total += count.load(Relaxed);
            match BUCKETS_S.get(bucket) {
                Some(bound) => line(out, &format!("{name}_bucket{{{labels}le=\"{bound}\"}} {total}")),
                None => line(out, &format!("{name}_bucket{{{labels}le=\"+Inf\"}} {total}")),
            }
        }
        let labels = labels.trim_end_matches(',');
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        line(out, &format!("{name}_sum{labels} {}", Duration::from_micros(self.sum_us.load(Relaxed)).as_secs_f64()));
        line(out, &format!("{name}_count{labels} {total}"));
    }
}

/// Routes that are counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Route {
    Chat,
    Completions,
    Responses,
    Receipts,
    Verify,
    Vouchers,
    Other,
}

impl Route {
    const ALL: [Self; 7] =
        [Self::Chat, Self::Completions, Self::Responses, Self::Receipts, Self::Verify, Self::Vouchers, Self::Other];

    pub(crate) fn of(path: &str) -> Self {
        match path {
            "/v1/chat/completions" => Self::Chat,
            "/v1/completions" => Self::Completions,
            "/v1/responses" => Self::Responses,
            "/v1/vouchers" => Self::Vouchers,
            other if other.starts_with("/v1/receipts") && other.ends_with("/verify") => Self::Verify,
            other if other.starts_with("/v1/receipts") => Self::Receipts,
            _ => Self::Other,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Responses => "responses",
            Self::Receipts => "receipts",
            Self::Verify => "verify",
            Self::Vouchers => "vouchers",
            Self::Other => "other",
        }
    }
}

/// Statuses that are counted apart; the last stands for all others.
const STATUSES: [(u16, &str); 12] = [
    (200, "200"),
    (400, "400"),
    (402, "402"),
    (404, "404"),
    (405, "405"),
    (413, "413"),
    (429, "429"),
    (500, "500"),
    (502, "502"),
    (503, "503"),
    (507, "507"),
    (0, "other"),
];

/// What the gateway counts.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    requests: [[Counter; STATUSES.len()]; Route::ALL.len()],
    heads: [Histogram; Route::ALL.len()],
    /// From the request's arrival to its first token.
    pub(crate) first_token: Histogram,
    /// From the request's arrival to the end of its answer.
    pub(crate) answer: Histogram,
    /// Tokens read.
    pub(crate) prompt_tokens: Counter,
    /// Prompt tokens that were at hand.
    pub(crate) cached_tokens: Counter,
    /// Tokens drawn.
    pub(crate) output_tokens: Counter,
    /// Answers begun.
    pub(crate) answers_begun: Counter,
    /// Answers whose client went away before the end.
    pub(crate) answers_abandoned: Counter,
    /// Answers ended, well or not, abandoned ones included.
    pub(crate) answers_ended: Counter,
    pub(crate) verdicts_held: Counter,
    pub(crate) verdicts_refuted: Counter,
    pub(crate) verdicts_cannot: Counter,
}

impl Metrics {
    /// Counts a request when the head of its answer is sent.
    pub(crate) fn request(&self, route: Route, status: u16, time: Duration) {
        let place = STATUSES.iter().position(|&(known, _)| known == status).unwrap_or(STATUSES.len() - 1);
        self.requests[route as usize][place].add(1);
        self.heads[route as usize].record(time);
    }

    /// Writes everything in Prometheus' text form.
    pub(crate) fn write(&self, store: &StoreMetrics) -> String {
        let mut out = String::with_capacity(16 << 10);
        head(&mut out, "candor_http_requests_total", "counter", "Requests by route and status.");
        for route in Route::ALL {
            for ((_, status), counter) in STATUSES.iter().zip(&self.requests[route as usize]) {
                if counter.get() > 0 {
                    let labels = format!("route=\"{}\",status=\"{status}\"", route.name());
                    line(&mut out, &format!("candor_http_requests_total{{{labels}}} {}", counter.get()));
                }
            }
        }
        head(&mut out, "candor_http_head_seconds", "histogram", "Time from a request to the head of its answer.");
        for route in Route::ALL {
            let labels = format!("route=\"{}\",", route.name());
            self.heads[route as usize].write(&mut out, "candor_http_head_seconds", &labels);
        }
        head(&mut out, "candor_first_token_seconds", "histogram", "Time from a request to its first token.");
        self.first_token.write(&mut out, "candor_first_token_seconds", "");
        head(&mut out, "candor_answer_seconds", "histogram", "Time from a request to the end of its answer.");
        self.answer.write(&mut out, "candor_answer_seconds", "");
        head(&mut out, "candor_tokens_total", "counter", "Tokens by kind.");
        let tokens =
            [("prompt", &self.prompt_tokens), ("cached", &self.cached_tokens), ("output", &self.output_tokens)];
        for (kind, counter) in tokens {
            line(&mut out, &format!("candor_tokens_total{{kind=\"{kind}\"}} {}", counter.get()));
        }
        head(&mut out, "candor_answers_open", "gauge", "Answers in the making.");
        let open = self.answers_begun.get().saturating_sub(self.answers_ended.get());
        line(&mut out, &format!("candor_answers_open {open}"));
        head(&mut out, "candor_answers_abandoned_total", "counter", "Answers whose client went away.");
        line(&mut out, &format!("candor_answers_abandoned_total {}", self.answers_abandoned.get()));
        head(&mut out, "candor_verdicts_total", "counter", "Checked receipts by verdict.");
        let verdicts =
            [("held", &self.verdicts_held), ("refuted", &self.verdicts_refuted), ("cannot", &self.verdicts_cannot)];
        for (verdict, counter) in verdicts {
            line(&mut out, &format!("candor_verdicts_total{{verdict=\"{verdict}\"}} {}", counter.get()));
        }
        store.write(&mut out);
        out
    }
}

/// What the receipt store counts.
#[derive(Debug, Default)]
pub(crate) struct StoreMetrics {
    receipts: Counter,
    dropped: Counter,
    commits: Counter,
    failures: Counter,
    commit: Histogram,
}

impl StoreMetrics {
    /// Counts one transaction.
    pub(crate) fn committed(&self, outcome: &Result<u64, StoreError>, receipts: usize, time: Duration) {
        if let Ok(dropped) = outcome {
            self.receipts.add(receipts as u64);
            self.dropped.add(*dropped);
            self.commits.add(1);
            self.commit.record(time);
        } else {
            self.failures.add(1);
        }
    }

    fn write(&self, out: &mut String) {
        head(out, "candor_receipts_stored_total", "counter", "Receipts made durable.");
        line(out, &format!("candor_receipts_stored_total {}", self.receipts.get()));
        head(out, "candor_receipts_dropped_total", "counter", "Old receipts that made room for new ones.");
        line(out, &format!("candor_receipts_dropped_total {}", self.dropped.get()));
        head(out, "candor_store_commits_total", "counter", "Transactions that made receipts durable.");
        line(out, &format!("candor_store_commits_total {}", self.commits.get()));
        head(out, "candor_store_failures_total", "counter", "Transactions that failed.");
        line(out, &format!("candor_store_failures_total {}", self.failures.get()));
        head(out, "candor_store_commit_seconds", "histogram", "Time of a transaction.");
        self.commit.write(out, "candor_store_commit_seconds", "");
    }
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    line(out, &format!("# HELP {name} {help}"));
    line(out, &format!("# TYPE {name} {kind}"));
}

fn line(out: &mut String, text: &str) {
    writeln!(out, "{text}").expect("writing to a string never fails");
}
