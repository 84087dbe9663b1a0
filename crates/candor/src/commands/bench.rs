//! `candor bench`: speed on this machine.

mod engine;
mod peer;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

use super::Context;
use crate::exit::Exit;

/// What to measure.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  candor bench engine")]
pub(crate) enum Bench {
    /// Tokens per second of prefill and decode, and what receipts cost
    #[command(
        after_help = "Examples:\n  candor bench engine\n  candor bench engine --model ./mine.gguf --threads 2 --prompt 128 --json"
    )]
    Engine(EngineBench),
}

/// A measurement of the engine.
#[derive(Debug, Args)]
pub(crate) struct EngineBench {
    #[command(flatten)]
    options: EngineOptions,
}

/// Options that the configuration file may set.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct EngineOptions {
    /// The model to measure; the catalogue's default if none is named
    #[arg(long, value_name = "NAME|FILE.gguf")]
    pub(crate) model: Option<String>,
    /// Threads to compute with, all cores by default
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Tokens of the prefill, 512 by default
    #[arg(long, value_name = "N")]
    pub(crate) prompt: Option<NonZeroUsize>,
    /// Tokens before the decode, 64 by default
    #[arg(long, value_name = "N")]
    pub(crate) context: Option<NonZeroUsize>,
    /// Tokens of the decode, 128 by default
    #[arg(long, value_name = "N")]
    pub(crate) generate: Option<NonZeroUsize>,
    /// Runs of each case, of which the best counts, 3 by default
    #[arg(long, value_name = "N")]
    pub(crate) repeat: Option<NonZeroUsize>,
    /// Folder of llama.cpp's shared objects to measure beside; looked for in `node_modules` by default
    #[arg(long, value_name = "DIR")]
    pub(crate) peer: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(context: &Context<'_>, command: &Bench) -> anyhow::Result<Exit> {
    match command {
        Bench::Engine(EngineBench { options }) => engine::run(context, &context.config.merge("bench", options)?),
    }
}
