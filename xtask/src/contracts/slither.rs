//! Static analysis of the contracts by Slither, and the answers to what it finds.
//!
//! `contracts/slither.md` holds a table with a row for each finding: the detector, where it fired (or `*` for everywhere),
//! and the answer. A finding without a row fails, and so does a row without a finding.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{folder, forge};
use crate::command::{program, run};
use crate::{layout, setup};

/// Slither, on which nothing else among the Python packages depends.
const PACKAGES: &[&str] = &["slither-analyzer==0.11.6"];

/// Where the answers are.
const ANSWERS: &str = "slither.md";

/// Which detector fired, and where.
type Finding = (String, String);

/// Runs Slither and compares what it finds with what is answered.
pub(super) fn analyse() -> Result<()> {
    setup::pip(PACKAGES)?;
    let out = layout::contracts_out().join("slither");
    let build = ["build", "--build-info", "--force", "--skip", "test"];
    run(forge(&build).arg("--out").arg(&out).arg("--cache-path").arg(out.join("cache")))?;
    let report = out.join("report.json");
    // Slither does not write over a report.
    if report.exists() {
        std::fs::remove_file(&report).with_context(|| format!("cannot remove {}", report.display()))?;
    }
    // What forge has built is read, not built again; it is asked for its settings, so it has to be found.
    let options = [".", "--foundry-ignore-compile", "--filter-paths", "node_modules|test/", "--fail-none", "--json"];
    let mut slither = program(layout::python_programs().join("slither"), &options);
    slither.arg(&report).arg("--foundry-out-directory").arg(&out);
    let search = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder().join("node_modules/.bin")).chain(std::env::split_paths(&search));
    run(slither.current_dir(folder()).env("PATH", std::env::join_paths(folders)?).stdout(std::process::Stdio::null()))?;
    compare(&findings(&report)?, &answers()?)
}

fn findings(report: &Path) -> Result<BTreeSet<Finding>> {
    let text = std::fs::read_to_string(report).with_context(|| format!("cannot read {}", report.display()))?;
    let report: Value = serde_json::from_str(&text).context("what Slither wrote is not JSON")?;
    ensure!(report["success"] == true, "Slither failed: {}", report["error"]);
    let detectors = report["results"]["detectors"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(detectors.iter().map(|found| (word(&found["check"]), place(&found["elements"][0]))).collect())
}

/// The names from the contract down to what the detector points at.
fn place(element: &Value) -> String {
    let mut names = Vec::new();
    let mut element = Some(element);
    while let Some(inner) = element {
        if matches!(inner["type"].as_str(), Some("contract" | "function" | "variable" | "struct" | "enum" | "event")) {
            names.push(word(&inner["name"]));
        }
        element = inner["type_specific_fields"].get("parent");
    }
    names.reverse();
    names.join(".")
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The rows of the table: detector and place, which may be `*`.
fn answers() -> Result<BTreeSet<Finding>> {
    let text = std::fs::read_to_string(folder().join(ANSWERS)).context("cannot read contracts/slither.md")?;
    text.lines().filter_map(row).collect::<Result<_>>()
}

fn row(line: &str) -> Option<Result<Finding>> {
    let mut cells = line.strip_prefix("| `")?.split(" | ");
    let (detector, place, answer) = (cells.next()?, cells.next()?, cells.next());
    let bare = |cell: &str| cell.replace('`', "");
    let has_answer = answer.is_some_and(|answer| answer.trim_matches([' ', '|']).len() > 1);
    Some(if has_answer {
        Ok((bare(detector), bare(place)))
    } else {
        Err(anyhow::anyhow!("contracts/slither.md: {detector} at {place} has no answer"))
    })
}

fn compare(findings: &BTreeSet<Finding>, answers: &BTreeSet<Finding>) -> Result<()> {
    let everywhere = |detector: &str| (detector.to_owned(), "*".to_owned());
    let is_answered = |found: &&Finding| answers.contains(*found) || answers.contains(&everywhere(&found.0));
    let open: Vec<_> = findings.iter().filter(|found| !is_answered(found)).collect();
    for (detector, place) in &open {
        println!("slither: {detector} at {place} has no row in contracts/{ANSWERS}");
    }
    let is_found = |(detector, place): &&Finding| {
        findings.iter().any(|found| &found.0 == detector && (place == "*" || &found.1 == place))
    };
    let stale: Vec<_> = answers.iter().filter(|answer| !is_found(answer)).collect();
    for (detector, place) in &stale {
        println!("slither: contracts/{ANSWERS} answers {detector} at {place}, which is not found");
    }
    ensure!(open.is_empty() && stale.is_empty(), "findings and answers differ");
    println!("slither: {} findings, all answered", findings.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::{compare, place, row};

    #[test]
    fn a_place_is_named_from_the_contract_down() {
        let element = json!({
            "type": "node",
            "name": "x = 1",
            "type_specific_fields": { "parent": {
                "type": "function",
                "name": "close",
                "type_specific_fields": { "parent": { "type": "contract", "name": "Channels" } },
            } },
        });
        assert_eq!(place(&element), "Channels.close");
    }

    #[test]
    fn a_row_needs_an_answer() {
        let found = row("| `timestamp` | `A.b` | deadlines are times |").and_then(Result::ok);
        assert_eq!(found, Some(("timestamp".to_owned(), "A.b".to_owned())));
        assert!(row("| `timestamp` | `A.b` |  |").is_some_and(|row| row.is_err()));
        assert!(row("| detector | where | answer |").is_none());
    }

    #[test]
    fn findings_and_answers_are_the_same() {
        let set = |rows: &[(&str, &str)]| -> BTreeSet<_> {
            rows.iter().map(|(detector, place)| ((*detector).to_owned(), (*place).to_owned())).collect()
        };
        assert!(compare(&set(&[("a", "x"), ("b", "y")]), &set(&[("a", "*"), ("b", "y")])).is_ok());
        assert!(compare(&set(&[("a", "x")]), &set(&[])).is_err());
        assert!(compare(&set(&[]), &set(&[("a", "x")])).is_err());
        assert!(compare(&set(&[]), &set(&[("a", "*")])).is_err());
    }
}
