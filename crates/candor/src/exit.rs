//! Exit codes.

/// How a command ends. The numbers are part of the command line's promise and are printed in `docs/cli.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done; of `verify`: the receipt holds.
    Done = 0,
    /// Of `verify`: the host has signed something false.
    Refuted = 1,
    /// Of `verify`: the receipt could not be checked.
    Cannot = 2,
    /// The command failed; standard error says why.
    Failed = 3,
    /// The command line or a configuration file is wrong.
    Usage = 4,
}

impl Exit {
    /// Every code with its meaning, for the reference.
    pub(crate) const ALL: [(Self, &str); 5] = [
        (Self::Done, "done; of `verify`: held"),
        (Self::Refuted, "`verify` only: refuted"),
        (Self::Cannot, "`verify` only: cannot be checked"),
        (Self::Failed, "failed; standard error says why and what to do next"),
        (Self::Usage, "the command line or the configuration file is wrong"),
    ];

    /// The number that the process ends with.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }
}

/// Prints what clap has to say: help and version are answers, everything else is a mistake in the command line.
pub(crate) fn usage(error: &clap::Error) -> anyhow::Result<Exit> {
    error.print()?;
    Ok(if error.use_stderr() { Exit::Usage } else { Exit::Done })
}

/// A mistake in what was asked, as opposed to a failure while doing it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);
