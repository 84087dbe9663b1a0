//! The commands, a module each.

pub(crate) mod ask;
pub(crate) mod bench;
pub(crate) mod chain;
pub(crate) mod channel;
pub(crate) mod demo;
pub(crate) mod dispute;
pub(crate) mod model;
pub(crate) mod offer;
pub(crate) mod stake;
pub(crate) mod up;
pub(crate) mod verify;
pub(crate) mod wallet;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use host::catalogue::Catalogue;
use host::fetch::{Directories, Fetcher, Progress, Settings};

use crate::cli::{Cli, Command};
use crate::config::Config;
use crate::environment::Environment;
use crate::exit::Exit;
use crate::output::{self, Output};
use crate::progress::FetchBars;
use crate::reference;

/// What every command is given.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) environment: &'a Environment,
    pub(crate) config: Config,
    pub(crate) output: Output,
}

/// Runs the command that was asked for.
pub(crate) fn run(cli: Cli, environment: &Environment, output: Output) -> anyhow::Result<Exit> {
    let output = output.with_json(cli.shared.json);
    let config = Config::load(&cli.shared, environment)?;
    let context = Context { environment, config, output };
    match cli.command {
        Command::Up(command) => up::run(&context, &command),
        Command::Ask(command) => ask::run(&context, &command),
        Command::Verify(command) => verify::run(&context, &command),
        Command::Model(command) => model::run(&context, &command),
        Command::Bench(command) => bench::run(&context, &command),
        Command::Chain(command) => chain::run(&context, &command),
        Command::Wallet(command) => wallet::run(&context, &command),
        Command::Host(command) => stake::run(&context, &command),
        Command::Channel(command) => channel::run(&context, &command),
        Command::Dispute(command) => dispute::run(&context, &command),
        Command::Demo(command) => demo::run(&context, &command),
        Command::Reference => output::print(&reference::markdown()).map(|()| Exit::Done),
    }
}

impl Context<'_> {
    /// Finds and fetches models for this data folder; the user's cache folder is looked in first.
    pub(crate) fn fetcher(&self) -> Fetcher {
        let shared = self.environment.cache_home.iter().map(|home| home.join("candor/models")).collect();
        let directories = Directories { models: self.config.data.models(), also: shared };
        let mut settings = Settings::usual();
        if let Some(hub) = &self.environment.hub {
            hub.trim_end_matches('/').clone_into(&mut settings.hub);
        }
        Fetcher::new(Catalogue::builtin().clone(), directories, settings)
    }

    /// Shows what a fetch does.
    pub(crate) fn fetch_bars(&self) -> Arc<dyn Progress> {
        Arc::new(FetchBars::new(self.output))
    }
}

/// Runs asynchronous work to its end; what it leaves behind, such as a name look-up that hangs, does not hold up the exit.
pub(crate) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder
        .enable_all()
        .thread_name("candor-io")
        .build()
        .context("cannot start the threads for input and output")?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_timeout(Duration::from_millis(100));
    outcome
}
