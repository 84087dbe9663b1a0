//! The project's own tool: `cargo xtask ci`, `test`, `contracts`, `tidy`, `bench` and `setup`.

#![expect(clippy::print_stdout, reason = "a command line tool speaks on standard output")]

mod aarch64;
mod bench;
mod ci;
mod command;
mod contracts;
mod layout;
mod setup;
mod table;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "The project's own tool", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Everything that a submission must pass: format, lints, docs, licences, house rules, tests
    Ci,
    /// The test suite
    Test(test::Options),
    /// Compile and test the contracts, and write what is checked in of them
    Contracts(contracts::Options),
    /// The house rules that no compiler knows
    Tidy(tidy::Options),
    /// Measure, beside peers where they are installed
    Bench(bench::Options),
    /// Install what tests and benchmarks compare with, into target/peers
    Setup(setup::Options),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().action {
        Action::Ci => ci::execute(),
        Action::Test(options) => test::execute(&options),
        Action::Contracts(options) => contracts::execute(&options),
        Action::Tidy(options) => tidy::execute(&options),
        Action::Bench(options) => bench::execute(&options),
        Action::Setup(options) => setup::execute(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
