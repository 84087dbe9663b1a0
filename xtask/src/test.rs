//! The test suite, and what only the slow suite adds: long walks, fuzzing, aarch64 under emulation, and the contracts.

use std::fmt;

use anyhow::{Context, Result};

use crate::command::{cargo, program, run, run_lines};
use crate::{aarch64, contracts, layout, setup};

/// Seconds that each fuzz target runs in the slow suite.
const FUZZ_SECONDS: u32 = 60;

/// What to run.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Also walk the long ranges, fuzz each decoder for a minute, run the kernels on emulated aarch64, and walk the contracts
    #[arg(long)]
    slow: bool,
}

/// How many tests ran.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    passed: u32,
    failed: u32,
    skipped: u32,
}

impl Tally {
    /// Adds a closing line of one test binary; other lines change nothing.
    pub(crate) fn add(&mut self, line: &str) {
        let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")) else {
            return;
        };
        for count in counts.split(';') {
            let mut words = count.split_whitespace();
            let number = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
            match words.next() {
                Some("passed") => self.passed += number,
                Some("failed") => self.failed += number,
                Some("ignored") => self.skipped += number,
                _ => {}
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

/// Runs the suite and prints how many tests ran.
pub(crate) fn execute(options: &Options) -> Result<()> {
    let mut tally = Tally::default();
    let result = suite(options, &mut tally);
    println!("\n{tally}");
    result
}

/// Runs the suite with the peers that it compares with; every test binary runs, also after one has failed.
pub(crate) fn suite(options: &Options, tally: &mut Tally) -> Result<()> {
    setup::references()?;
    setup::model()?;
    let mut test = cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]);
    if options.slow {
        test.env("CANDOR_SLOW", "1");
    }
    run_lines(&mut test, &mut |line| tally.add(line))?;
    if options.slow {
        fuzz()?;
        aarch64::test(tally)?;
        contracts::check_slowly(tally)?;
    }
    Ok(())
}

/// Runs each fuzz target for a minute, on the nightly compiler that the sanitizers need.
fn fuzz() -> Result<()> {
    let fuzz = layout::python_programs().join("cargo-fuzz");
    if !fuzz.exists() {
        setup::python()?;
    }
    for target in fuzz_targets()? {
        let limit = format!("-max_total_time={FUZZ_SECONDS}");
        // What is found goes to the first folder, which git ignores; the second holds whole examples to start from.
        let folders = ["corpus", "seeds"].map(|kind| format!("fuzz/{kind}/{target}"));
        for folder in &folders {
            std::fs::create_dir_all(layout::root().join(folder)).with_context(|| format!("cannot make {folder}"))?;
        }
        let mut command = program(&fuzz, &["fuzz", "run", &target, &folders[0], &folders[1], "--", &limit]);
        run(command.env("RUSTUP_TOOLCHAIN", "nightly"))?;
    }
    Ok(())
}

fn fuzz_targets() -> Result<Vec<String>> {
    let mut targets = Vec::new();
    for entry in std::fs::read_dir(layout::root().join("fuzz/fuzz_targets"))? {
        if let Some(stem) = entry?.path().file_stem() {
            targets.push(stem.display().to_string());
        }
    }
    targets.sort();
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn closing_lines_add_up() {
        let mut tally = Tally::default();
        tally.add("running 3 tests");
        tally.add("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s");
        tally.add("test result: FAILED. 2 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s");
        assert_eq!(tally, Tally { passed: 5, failed: 4, skipped: 1 });
        assert_eq!(tally.to_string(), "5 passed, 4 failed, 1 skipped");
    }
}
