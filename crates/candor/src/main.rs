//! The command line of Candor: one module per command, wiring and nothing else.

mod chain_access;
mod cli;
mod commands;
mod config;
mod data;
mod defence;
mod environment;
mod exit;
mod gateway_client;
mod host_key;
mod key_file;
mod machine;
mod money;
mod output;
mod party;
mod payer;
mod progress;
mod reference;
mod replay;
mod shop;
mod signals;
mod verdict;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::Cli;
use crate::environment::Environment;
use crate::output::Output;

fn main() -> ExitCode {
    let environment = Environment::read();
    environment.start_log();
    let output = Output::detect(&environment);
    let exit = match Cli::try_parse() {
        Ok(cli) => commands::run(cli, &environment, output),
        Err(error) => exit::usage(&error),
    };
    ExitCode::from(exit.unwrap_or_else(|error| output.failure(&error)).code())
}
