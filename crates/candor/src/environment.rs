//! The environment variables that the program reads, all of them here. Nothing below the binary reads any.

use std::ffi::OsString;
use std::path::PathBuf;

use tracing_subscriber::EnvFilter;

/// What the environment says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    /// `CANDOR_ISA`: the instruction set to compute with.
    pub(crate) isa: Option<String>,
    /// `CANDOR_LOG`: what is logged to standard error.
    pub(crate) log: Option<String>,
    /// `CANDOR_PASSPHRASE`: opens key files.
    pub(crate) passphrase: Passphrase,
    /// `HF_ENDPOINT`: a mirror of the Hugging Face hub.
    pub(crate) hub: Option<String>,
    /// `NO_COLOR`: no colours.
    pub(crate) is_colourless: bool,
    /// Where this user's data lie by the XDG rules.
    pub(crate) data_home: Option<PathBuf>,
    /// Where this user's caches lie by the XDG rules.
    pub(crate) cache_home: Option<PathBuf>,
}

/// Name and meaning of each variable, for the reference.
pub(crate) const VARIABLES: [(&str, &str); 7] = [
    ("CANDOR_DATA", "the data folder, as `--data`"),
    (
        "CANDOR_ISA",
        "computes with this instruction set: `amx`, `avx512`, `avx2`, `neon` or `portable`; the results are the same",
    ),
    ("CANDOR_LOG", "what is logged to standard error, as `info` or `host=debug`; never a prompt or an answer"),
    (
        "CANDOR_PASSPHRASE",
        "encrypts and opens the host's key file and the wallet; without it the wallet's is asked for on a terminal, and is empty elsewhere",
    ),
    ("HF_ENDPOINT", "a mirror of the Hugging Face hub"),
    ("HTTPS_PROXY, NO_PROXY", "the way out for downloads"),
    ("NO_COLOR", "no colours"),
];

/// A secret that never prints.
#[derive(Clone, Default)]
pub(crate) struct Passphrase(Option<String>);

impl Passphrase {
    /// What a person typed.
    pub(crate) fn typed(secret: String) -> Self {
        Self(Some(secret))
    }

    /// Whether anybody gave one, be it empty.
    pub(crate) fn is_given(&self) -> bool {
        self.0.is_some()
    }

    /// The secret itself; empty where nobody gave one.
    pub(crate) fn reveal(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Passphrase(..)")
    }
}

impl Environment {
    /// Reads every variable once.
    pub(crate) fn read() -> Self {
        let text = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let folder = |name, below: &str| {
            let absolute = std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
            absolute.or_else(|| std::env::home_dir().map(|home| home.join(below)))
        };
        Self {
            isa: text("CANDOR_ISA"),
            log: text("CANDOR_LOG"),
            passphrase: Passphrase(std::env::var("CANDOR_PASSPHRASE").ok()),
            hub: text("HF_ENDPOINT"),
            is_colourless: std::env::var_os("NO_COLOR").is_some_and(|value| value != OsString::new()),
            data_home: folder("XDG_DATA_HOME", ".local/share"),
            cache_home: folder("XDG_CACHE_HOME", ".cache"),
        }
    }

    /// Starts the log on standard error; by default only warnings are written.
    pub(crate) fn start_log(&self) {
        let filter = self.log.as_deref().unwrap_or("warn");
        let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("warn"));
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(!self.is_colourless && std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .init();
    }
}
