//! What a fetch tells while it works.

/// Hears of a fetch's steps. Called from several threads.
pub trait Progress: Send + Sync {
    /// Takes note of one step.
    fn report(&self, event: Event<'_>);
}

/// One step of a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A stage begins.
    Begin {
        /// What is being done.
        stage: Stage,
        /// The model or file.
        name: &'a str,
        /// How many bytes it will take, where that is known.
        total_bytes: Option<u64>,
    },
    /// The stage has handled this many bytes since it began.
    At {
        /// Bytes from the start of the stage, those of an earlier run included.
        bytes: u64,
    },
    /// The stage has ended, well or badly.
    End,
    /// Another process is fetching the same model, and this one waits for it.
    Waiting {
        /// The model's file.
        name: &'a str,
    },
    /// A cached file is not what the catalogue says and is fetched again.
    Damaged {
        /// The model's file.
        name: &'a str,
    },
}

/// What a fetch is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Bytes come over the network.
    Download,
    /// A file is taken out of an archive.
    Unpack,
    /// A file's SHA-256 is computed.
    Verify,
    /// A file is copied into the cache.
    Copy,
}

/// Ignores every step.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn report(&self, _event: Event<'_>) {}
}
