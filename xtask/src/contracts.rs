//! The contracts: compiled, measured and tested by forge, and what is checked in compared with what comes out.
//!
//! Checked in are the artefacts, so that `cargo` alone builds a Candor that can deploy them, and the snapshots, so that a
//! review sees when an interface, a storage layout, a size or a price in gas moves.

mod slither;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};

use crate::command::{cargo, is_installed, program, run, run_lines};
use crate::test::Tally;
use crate::{layout, setup};

/// What a chain takes at most as the code of one contract (EIP-170).
const DEPLOYED_BYTES_MAX: usize = 24 * 1024;

/// What it takes at most as the code that deploys one (EIP-3860).
const CREATION_BYTES_MAX: usize = 2 * DEPLOYED_BYTES_MAX;

/// What to do with them.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Fail if anything checked in differs from what comes out, in place of writing it
    #[arg(long)]
    check: bool,
    /// Fuzz and walk a hundred times longer, and have Slither look at the contracts
    #[arg(long)]
    slow: bool,
    /// Only a part of it
    #[arg(long, value_enum, conflicts_with_all = ["check", "slow"])]
    only: Option<Part>,
}

/// A part of the work that stands for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Compile and write; no tests, and the gas snapshots stay as they are
    Compile,
    /// Have Slither look at the contracts
    Analyse,
}

/// What writes the vectors that the contracts and the crates answer alike: package and example.
const VECTORS: [(&str, &str); 2] = [("arith", "judge_vectors"), ("ledger", "dispute_vectors")];

/// Files to check in, by their path from the folder of the contracts.
type Files = BTreeMap<PathBuf, String>;

/// Compiles and tests the contracts, then writes what is to be checked in.
pub(crate) fn execute(options: &Options) -> Result<()> {
    if options.only == Some(Part::Analyse) {
        packages()?;
        return slither::analyse();
    }
    let mut tally = Tally::default();
    let result = all(options, &mut tally);
    if options.only.is_none() {
        println!("\n{tally}");
    }
    result
}

/// Compiles and tests the contracts, and fails if anything checked in is not what comes out.
pub(crate) fn check(tally: &mut Tally) -> Result<()> {
    all(&Options { check: true, ..Options::default() }, tally)
}

/// The same with the long walks, and with Slither.
pub(crate) fn check_slowly(tally: &mut Tally) -> Result<()> {
    all(&Options { check: true, slow: true, only: None }, tally)
}

fn all(options: &Options, tally: &mut Tally) -> Result<()> {
    packages()?;
    run(forge(&["fmt"]).args(options.check.then_some("--check")))?;
    // First without the tests, whose library has so many warnings that the compiler stops counting before ours. The tests
    // then build on what is there; the bytecode of a contract does not hang on what else is built with it.
    run(&mut forge(&["build", "--skip", "test"]))?;
    let mut files = artefacts(&layout::contracts_out().join("out"))?;
    if options.only.is_none() {
        vectors(options.check)?;
        test(options, tally)?;
        files.extend(gas_snapshots()?);
    }
    if options.slow {
        slither::analyse()?;
    }
    if options.check { compare(&files) } else { write(&files, options.only.is_none()) }
}

/// Writes the vectors, or fails if those that are checked in are not what the crates make.
fn vectors(is_check: bool) -> Result<()> {
    for (package, example) in VECTORS {
        let mut command = cargo(&["run", "--locked", "--package", package, "--example", example, "--"]);
        run(command.args(is_check.then_some("--check")))?;
    }
    Ok(())
}

/// Installs the compiler, forge and the libraries at the versions of the lock file, unless they are there.
fn packages() -> Result<()> {
    if !is_installed("npm") {
        setup::debian("npm", "nodejs npm")?;
    }
    let lock = std::fs::read(folder().join("package-lock.json")).context("cannot read contracts/package-lock.json")?;
    let installed = folder().join("node_modules/.installed.json");
    if std::fs::read(&installed).is_ok_and(|earlier| earlier == lock) {
        return Ok(());
    }
    // The scripts of the packages only fetch what the packages already hold.
    let install = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
    run(program("npm", &install).current_dir(folder()))?;
    std::fs::write(&installed, lock).with_context(|| format!("cannot write {}", installed.display()))
}

fn folder() -> PathBuf {
    layout::root().join("contracts")
}

/// The tools that npm installed, for the contracts.
fn forge(arguments: &[&str]) -> Command {
    let mut command = program(folder().join("node_modules/.bin/forge"), arguments);
    command.current_dir(folder());
    command
}

fn test(options: &Options, tally: &mut Tally) -> Result<()> {
    let snapshots = layout::contracts_out().join("gas");
    if snapshots.exists() {
        std::fs::remove_dir_all(&snapshots).with_context(|| format!("cannot clear {}", snapshots.display()))?;
    }
    let mut command = forge(&["test"]);
    command.env("FOUNDRY_SNAPSHOTS", &snapshots);
    if options.slow {
        command.env("FOUNDRY_PROFILE", "slow");
    }
    run_lines(&mut command, &mut |line| {
        if let Some(counts) = line.strip_prefix("Suite result: ") {
            // Forge says what cargo says, in other words.
            tally.add(&format!("test result: {}", counts.replace("skipped", "ignored")));
        }
    })?;
    Ok(())
}

/// The artefact of every contract under `src`, their sizes and their storage layouts.
fn artefacts(out: &Path) -> Result<Files> {
    let mut files = Files::new();
    let (mut sizes, mut storage) = (Map::new(), Map::new());
    for name in contract_names(&folder().join("src"))? {
        let path = out.join(format!("{name}.sol/{name}.json"));
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let compiled: Value = serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))?;
        let (creation, deployed) = (code(&compiled, "bytecode")?, code(&compiled, "deployedBytecode")?);
        let (creation_bytes, deployed_bytes) = (byte_length(creation), byte_length(deployed));
        ensure!(
            deployed_bytes <= DEPLOYED_BYTES_MAX,
            "{name}: {deployed_bytes} bytes of code, at most {DEPLOYED_BYTES_MAX}"
        );
        ensure!(
            creation_bytes <= CREATION_BYTES_MAX,
            "{name}: {creation_bytes} bytes deploy it, at most {CREATION_BYTES_MAX}"
        );
        let artefact = json!({
            "contract": name,
            "abi": compiled["abi"],
            "bytecode": creation,
            "deployedBytecodeSize": deployed_bytes,
        });
        files.insert(format!("artefacts/{name}.json").into(), pretty(&artefact)?);
        sizes.insert(name.clone(), json!({ "deployed": deployed_bytes, "creation": creation_bytes }));
        storage.insert(name, storage_layout(&compiled["storageLayout"]));
    }
    files.insert("snapshots/sizes.json".into(), pretty(&sizes.into())?);
    files.insert("snapshots/storage.json".into(), pretty(&storage.into())?);
    Ok(files)
}

/// The contracts that can be deployed: a file `Name.sol` that defines `contract Name`.
fn contract_names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            names.extend(contract_names(&path)?);
        } else if path.extension().is_some_and(|kind| kind == "sol") {
            let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let name = path.file_stem().unwrap_or_default().display().to_string();
            let definition = format!("contract {name} ");
            names.extend(text.lines().any(|line| line.starts_with(&definition)).then_some(name));
        }
    }
    names.sort();
    Ok(names)
}

fn code<'a>(compiled: &'a Value, key: &str) -> Result<&'a str> {
    let code = compiled[key]["object"].as_str().with_context(|| format!("an artefact without {key}"))?;
    // The compiler leaves names in the place of libraries that it expects to be linked.
    ensure!(!code.contains('_'), "{key} must be linked with a library; make its functions internal");
    Ok(code)
}

fn byte_length(hexadecimal: &str) -> usize {
    hexadecimal.trim_start_matches("0x").len() / 2
}

/// Slots and types by name; numbers that the compiler draws anew are left out.
fn storage_layout(layout: &Value) -> Value {
    let types = &layout["types"];
    let entries = layout["storage"].as_array().into_iter().flatten().map(|entry| {
        let kind = &types[entry["type"].as_str().unwrap_or_default()];
        json!({
            "slot": entry["slot"],
            "offset": entry["offset"],
            "label": entry["label"],
            "type": kind["label"],
            "bytes": kind["numberOfBytes"],
        })
    });
    entries.collect()
}

/// What the tests measured, as forge wrote it.
fn gas_snapshots() -> Result<Files> {
    let folder = layout::contracts_out().join("gas");
    let mut files = Files::new();
    for path in json_files(&folder)? {
        let name = path.file_name().unwrap_or_default().display().to_string();
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let value: Value = serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))?;
        files.insert(format!("snapshots/gas-{name}").into(), pretty(&value)?);
    }
    Ok(files)
}

fn json_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    if folder.exists() {
        for entry in std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
            let path = entry?.path();
            if path.extension().is_some_and(|kind| kind == "json") {
                paths.push(path);
            }
        }
    }
    paths.sort();
    Ok(paths)
}

fn pretty(value: &Value) -> Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

/// The files that are checked in now.
fn checked_in() -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for part in ["artefacts", "snapshots"] {
        for path in json_files(&folder().join(part))? {
            paths.extend(path.file_name().map(|name| Path::new(part).join(name)));
        }
    }
    Ok(paths)
}

/// Writes the files; those that belong to nothing any more go, if all of them were made.
fn write(files: &Files, whole: bool) -> Result<()> {
    for path in checked_in()?.iter().filter(|path| whole && !files.contains_key(*path)) {
        println!("removed contracts/{}", path.display());
        std::fs::remove_file(folder().join(path)).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    for (path, text) in files {
        let full = folder().join(path);
        if std::fs::read_to_string(&full).is_ok_and(|earlier| &earlier == text) {
            continue;
        }
        let parent = full.parent().unwrap_or(&full);
        std::fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        std::fs::write(&full, text).with_context(|| format!("cannot write {}", full.display()))?;
        println!("wrote contracts/{}", path.display());
    }
    Ok(())
}

/// Names each file that differs, is missing or is one too many.
fn compare(files: &Files) -> Result<()> {
    let mut differing: Vec<PathBuf> = checked_in()?.into_iter().filter(|path| !files.contains_key(path)).collect();
    for (path, text) in files {
        let same = std::fs::read_to_string(folder().join(path)).is_ok_and(|earlier| &earlier == text);
        differing.extend((!same).then(|| path.clone()));
    }
    for path in &differing {
        println!("contracts/{} is not what comes out", path.display());
    }
    if !differing.is_empty() {
        bail!("{} files differ: run cargo xtask contracts and review what it changes", differing.len());
    }
    println!("contracts: {} files are what comes out", files.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{byte_length, code, storage_layout};

    #[test]
    fn the_layout_keeps_names_and_drops_numbers() {
        let layout = json!({
            "storage": [{ "astId": 7, "contract": "a", "label": "_x", "offset": 20, "slot": "1", "type": "t_uint96" }],
            "types": { "t_uint96": { "encoding": "inplace", "label": "uint96", "numberOfBytes": "12" } },
        });
        let expected = json!([{ "slot": "1", "offset": 20, "label": "_x", "type": "uint96", "bytes": "12" }]);
        assert_eq!(storage_layout(&layout), expected);
        assert_eq!(storage_layout(&json!(null)), json!([]));
    }

    #[test]
    fn code_that_wants_a_library_is_refused() {
        let linked = json!({ "bytecode": { "object": "0x6001" } });
        assert_eq!(code(&linked, "bytecode").map(byte_length).ok(), Some(2));
        let unlinked = json!({ "bytecode": { "object": "0x73__$aeb6$__" } });
        assert!(code(&unlinked, "bytecode").is_err());
        assert!(code(&json!({}), "bytecode").is_err());
    }
}
