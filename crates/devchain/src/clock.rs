//! The chain's time, which runs with the clock on the wall but can be ahead of it or behind.

/// How the chain's time lies to that of the wall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// Seconds that the chain is ahead.
    offset: i64,
    /// The next block's time, where that was set.
    next: Option<u64>,
    /// Seconds from one block to the next, where time does not run by itself.
    spacing: Option<u64>,
}

impl Clock {
    /// A clock that begins at `start` and runs on.
    pub(crate) fn starting(start: u64, now: u64) -> Self {
        Self { offset: distance(start, now), next: None, spacing: None }
    }

    pub(crate) const fn ahead(offset: i64) -> Self {
        Self { offset, next: None, spacing: None }
    }

    /// Seconds that the chain is ahead of the wall.
    pub const fn offset(&self) -> i64 {
        self.offset
    }

    /// The time of the block after one of time `last`; never before that.
    pub(crate) fn peek(&self, last: u64, now: u64) -> u64 {
        let time = match (self.next, self.spacing) {
            (Some(next), _) => next,
            (None, Some(spacing)) => last.saturating_add(spacing),
            (None, None) => now.saturating_add_signed(self.offset),
        };
        time.max(last)
    }

    /// A block has the time.
    pub(crate) fn used(&mut self, timestamp: u64, now: u64) {
        if self.next.take().is_some() {
            self.offset = distance(timestamp, now);
        }
    }

    pub(crate) fn advance(&mut self, seconds: u64) -> i64 {
        self.offset = self.offset.saturating_add_unsigned(seconds);
        self.next = self.next.map(|next| next.saturating_add(seconds));
        self.offset
    }

    pub(crate) fn set(&mut self, timestamp: u64, now: u64) -> i64 {
        self.offset = distance(timestamp, now);
        self.next = None;
        self.offset
    }

    /// Goes on from a block that is the newest again.
    pub(crate) fn restart(&mut self, timestamp: u64, now: u64) {
        self.offset = distance(timestamp, now);
        self.next = None;
    }

    pub(crate) fn set_next(&mut self, timestamp: u64) {
        self.next = Some(timestamp);
    }

    pub(crate) fn set_spacing(&mut self, seconds: Option<u64>) {
        self.spacing = seconds;
    }
}

fn distance(there: u64, here: u64) -> i64 {
    there.wrapping_sub(here) as i64
}
