//! The command line as clap reads it. Each command's own options are declared in its module.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands::{ask, bench, chain, channel, demo, dispute, model, stake, up, verify, wallet};

/// An open network for AI in which every statement can be checked.
#[derive(Debug, Parser)]
#[command(name = "candor", version, after_help = EXAMPLES, arg_required_else_help = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) shared: Shared,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  candor up
  candor ask \"Why is the sky blue?\" --receipt sky.json
  candor verify sky.json";

/// Options of every command.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Shared {
    /// Folder for models, receipts, keys and the development chain
    #[arg(long, global = true, value_name = "DIR", env = "CANDOR_DATA", hide_env_values = true)]
    pub(crate) data: Option<PathBuf>,
    /// File with defaults for options, instead of DIR/candor.toml
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print results as JSON, one object a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve a model on this machine; fetches it first if need be
    Up(up::Up),
    /// Ask a question; streams the answer and says which receipt it has
    Ask(ask::Ask),
    /// Compute an answer again and say whether its receipt is true
    Verify(verify::Verify),
    /// Fetch, list and describe models
    #[command(subcommand)]
    Model(model::Model),
    /// Measure speed on this machine
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Run a chain for development on this machine
    #[command(subcommand)]
    Chain(chain::Chain),
    /// The key that pays: make, import, show and fund it
    #[command(subcommand)]
    Wallet(wallet::Wallet),
    /// Stand behind answers with money, and say what they cost
    #[command(subcommand)]
    Host(stake::Host),
    /// Pay a host for many answers with two transactions
    #[command(subcommand)]
    Channel(channel::Channel),
    /// Bring a receipt that does not hold before the court, and win the host's bond
    Dispute(dispute::Dispute),
    /// Play out what the network is for
    #[command(subcommand)]
    Demo(demo::Demo),
    /// Print this command line's reference as Markdown
    #[command(hide = true)]
    Reference,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn clap_finds_no_contradiction() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_examples() {
        fn check(command: &clap::Command) {
            if command.is_hide_set() || command.get_name() == "help" {
                return;
            }
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.starts_with("Examples:\n"), "{} shows no examples", command.get_name());
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }
}
