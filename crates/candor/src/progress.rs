//! Progress bars on standard error, for work that takes over half a second and somebody who watches.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use host::fetch::{Event, Progress, Stage};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::{self, Output, size};

/// Work that is over sooner than this shows no bar.
const PATIENCE: Duration = Duration::from_millis(500);

/// One bar that appears when its work turns out to be long.
#[derive(Debug)]
pub(crate) struct Bar {
    shape: ProgressBar,
    since: Instant,
    is_shown: bool,
    is_wanted: bool,
}

impl Bar {
    /// A bar over bytes; without a total it counts what has come.
    pub(crate) fn bytes(output: Output, label: &str, total: Option<u64>) -> Self {
        let template = match total {
            Some(_) => "{msg} {bar:30} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec}",
            None => "{msg} {spinner} {decimal_bytes} {decimal_bytes_per_sec}",
        };
        Self::new(output, label, total, template)
    }

    /// A bar over counted things.
    pub(crate) fn counted(output: Output, label: &str, total: u64) -> Self {
        Self::new(output, label, Some(total), "{msg} {bar:30} {pos}/{len}")
    }

    fn new(output: Output, label: &str, total: Option<u64>, template: &str) -> Self {
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("=> "));
        bar.set_message(label.to_owned());
        Self { shape: bar, since: Instant::now(), is_shown: false, is_wanted: output.has_bars() }
    }

    /// So much is done.
    pub(crate) fn at(&mut self, position: u64) {
        if !self.is_shown && self.is_wanted && self.since.elapsed() > PATIENCE {
            self.is_shown = true;
            self.shape.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        }
        self.shape.set_position(position);
    }

    /// The work is over; the bar goes away.
    pub(crate) fn end(self) {
        self.shape.finish_and_clear();
    }
}

/// Shows the steps of a fetch.
#[derive(Debug)]
pub(crate) struct FetchBars {
    output: Output,
    bar: Mutex<Option<Bar>>,
}

impl FetchBars {
    pub(crate) fn new(output: Output) -> Self {
        Self { output, bar: Mutex::new(None) }
    }

    fn begin(&self, stage: Stage, name: &str, total: Option<u64>) -> Bar {
        let verb = match stage {
            Stage::Download => "fetching",
            Stage::Unpack => "unpacking",
            Stage::Verify => "checking",
            Stage::Copy => "copying",
        };
        if stage == Stage::Download && !self.output.has_bars() {
            // Where no bar can be seen, one line says why nothing happens for a while.
            let of = total.map_or_else(String::new, |total| format!(" ({})", size(total)));
            output::note(&format!("{verb} {name}{of}"));
        }
        Bar::bytes(self.output, &format!("{verb} {name}"), total)
    }
}

impl Progress for FetchBars {
    fn report(&self, event: Event<'_>) {
        // A panic elsewhere must not take the bar with it: its state is one position.
        let mut bar = self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match event {
            Event::Begin { stage, name, total_bytes } => *bar = Some(self.begin(stage, name, total_bytes)),
            Event::At { bytes } => {
                if let Some(bar) = bar.as_mut() {
                    bar.at(bytes);
                }
            }
            Event::End => {
                if let Some(bar) = bar.take() {
                    bar.end();
                }
            }
            Event::Waiting { name } => output::note(&format!("another candor is fetching {name}; waiting for it")),
            Event::Damaged { name } => output::note(&format!("the cached {name} is damaged; it is not used")),
        }
    }
}
