//! `candor demo`: what the network is for, played out on this machine.

mod cheat;
mod lies;
mod models;
mod scene;

use clap::Subcommand;

use super::Context;
use crate::exit::Exit;

/// Play something out.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  candor demo cheat\n  candor demo cheat --json")]
pub(crate) enum Demo {
    /// A host cheats, is taken to court, and loses its bond
    Cheat(cheat::Cheat),
}

/// Runs the command.
pub(crate) fn run(context: &Context<'_>, command: &Demo) -> anyhow::Result<Exit> {
    match command {
        Demo::Cheat(command) => cheat::run(context, command),
    }
}
