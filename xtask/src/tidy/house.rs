//! The walls of the house: which crates there are, where arrows may point, and what a core may never name.

use std::collections::BTreeMap;

use super::Fault;
use super::source::{File, Tree};

/// What a crate may do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Pure: time, randomness and bytes come in as arguments.
    Core,
    /// Does input and output.
    Adapter,
}

/// Every crate, its floor and its kind. A dependency must lie on a lower floor. `ARCHITECTURE.md` says what each owns.
const CRATES: &[(&str, u8, Kind)] = &[
    ("claim", 1, Kind::Core),
    ("arith", 1, Kind::Core),
    ("model", 2, Kind::Core),
    ("specimen", 3, Kind::Core),
    ("api", 3, Kind::Core),
    ("court", 4, Kind::Core),
    ("devchain", 5, Kind::Adapter),
    ("market", 4, Kind::Core),
    ("ledger", 5, Kind::Adapter),
    ("host", 6, Kind::Adapter),
    ("gateway", 7, Kind::Adapter),
    ("candor", 8, Kind::Adapter),
];

/// Words that bring in a clock, a file, a socket, an environment or an order that hangs on a random number.
const FORBIDDEN_IN_CORES: [(&str, &str); 10] = [
    ("tokio", "a core runs on no runtime"),
    ("std::fs", "bytes come in as arguments"),
    ("std::net", "bytes come in as arguments"),
    ("std::env", "configuration comes in as arguments"),
    ("std::process", "a core starts no program and ends none"),
    ("SystemTime", "time comes in as an argument"),
    ("Instant", "time comes in as an argument"),
    ("getrandom", "randomness comes in as an argument"),
    ("thread_rng", "randomness comes in as an argument"),
    ("reqwest", "bytes come in as arguments"),
];

/// The files that may hold unsafe code, with their reason beside each use.
const UNSAFE_OUTSIDE_KERNELS: [&str; 1] = ["crates/host/src/map.rs"];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 6] = ["utils", "util", "common", "helpers", "helper", "misc"];

/// The one file that may hold domain-separation strings, and how each begins.
const DOMAINS: &str = "crates/claim/src/domain.rs";
const DOMAIN_PREFIX: &str = "candor/";

pub(crate) fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in &tree.files {
        if file.path.starts_with("crates/") && file.path.ends_with("/Cargo.toml") {
            check_manifest(file, &mut faults);
        }
        let parts = file.path.split(['/', '.']);
        if let Some(part) = parts.clone().find(|part| EMPTY_NAMES.contains(part)) {
            faults.push(Fault::new(&file.path, 0, format!("{part} does not say what is inside")));
        }
    }
    for file in tree.production() {
        check_core(file, &mut faults);
        check_unsafe(file, &mut faults);
    }
    check_domains(tree, &mut faults);
    faults
}

fn floor_and_kind(name: &str) -> Option<(u8, Kind)> {
    CRATES.iter().find(|(known, ..)| *known == name).map(|(_, floor, kind)| (*floor, *kind))
}

/// A crate is known, takes the workspace's lints, and depends on lower floors only.
fn check_manifest(file: &File, faults: &mut Vec<Fault>) {
    let name = file.crate_name().unwrap_or_default();
    let Some((floor, _)) = floor_and_kind(name) else {
        faults.push(Fault::new(
            &file.path,
            0,
            format!("crate {name} has no floor: add it to the house and to this rule"),
        ));
        return;
    };
    if !file.text.contains("[lints]\nworkspace = true") {
        faults.push(Fault::new(&file.path, 0, "does not take the workspace's lints"));
    }
    let mut section = "";
    for (index, line) in file.text.lines().enumerate() {
        if line.starts_with('[') {
            section = line;
        }
        let dependency = line.split(['.', ' ', '=']).next().unwrap_or_default();
        let lower = floor_and_kind(dependency).is_none_or(|(other, _)| other < floor);
        if section == "[dependencies]" && !lower {
            faults.push(Fault::new(
                &file.path,
                index + 1,
                format!("{name} must not depend on {dependency}: arrows point down"),
            ));
        }
    }
}

fn check_core(file: &File, faults: &mut Vec<Fault>) {
    let is_core = file.crate_name().and_then(floor_and_kind).is_some_and(|(_, kind)| kind == Kind::Core);
    for (word, reason) in FORBIDDEN_IN_CORES.iter().filter(|_| is_core) {
        for line in file.lines_with_word(word) {
            faults.push(Fault::new(&file.path, line, format!("{word} in a core: {reason}")));
        }
    }
}

fn check_unsafe(file: &File, faults: &mut Vec<Fault>) {
    if file.crate_name() == Some("arith") || UNSAFE_OUTSIDE_KERNELS.contains(&file.path.as_str()) {
        return;
    }
    for line in file.lines_with_word("unsafe") {
        faults.push(Fault::new(&file.path, line, "unsafe code belongs to the kernels"));
    }
}

/// Domain strings stand in one file, once each.
fn check_domains(tree: &Tree, faults: &mut Vec<Fault>) {
    let mut first = BTreeMap::new();
    for file in tree.production().filter(|file| file.crate_name().is_some()) {
        for (line, literal) in file.literals.iter().filter(|(_, literal)| is_domain(literal)) {
            if file.path != DOMAINS {
                faults.push(Fault::new(
                    &file.path,
                    *line,
                    format!("{literal:?} looks like a domain string: it belongs to {DOMAINS}"),
                ));
            } else if let Some(earlier) = first.insert(literal, line) {
                faults.push(Fault::new(
                    &file.path,
                    *line,
                    format!("{literal:?} is already the domain of line {earlier}"),
                ));
            }
        }
    }
}

fn is_domain(literal: &str) -> bool {
    literal.strip_prefix(DOMAIN_PREFIX).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::super::source::{File, Tree};
    use super::check;

    fn messages(files: &[(&str, &str)]) -> Vec<String> {
        let files = files.iter().map(|(path, text)| File::new(path, (*text).to_owned())).collect();
        check(&Tree { files }).into_iter().map(|fault| fault.message).collect()
    }

    fn manifest(dependency: &str) -> String {
        format!(
            "[package]\nname = \"x\"\n\n[lints]\nworkspace = true\n\n[dependencies]\n{dependency}.workspace = true\n"
        )
    }

    #[test]
    fn arrows_point_down() {
        assert_eq!(messages(&[("crates/court/Cargo.toml", &manifest("model"))]), [""; 0]);
        let up = "model must not depend on court: arrows point down";
        assert_eq!(messages(&[("crates/model/Cargo.toml", &manifest("court"))]), [up]);
    }

    #[test]
    fn a_core_names_no_clock() {
        let code = "use std::time::Instant;\n";
        assert_eq!(messages(&[("crates/model/src/a.rs", code)]), ["Instant in a core: time comes in as an argument"]);
        assert_eq!(messages(&[("crates/host/src/a.rs", code)]), [""; 0]);
        let test = format!("#[cfg(test)]\nmod tests {{\n{code}}}\n");
        assert_eq!(messages(&[("crates/model/src/a.rs", &test)]), [""; 0]);
    }

    #[test]
    fn unsafe_stays_with_the_kernels() {
        let code = "fn a() { unsafe { b() } } // unsafe\n";
        assert_eq!(messages(&[("crates/api/src/a.rs", code)]), ["unsafe code belongs to the kernels"]);
        assert_eq!(messages(&[("crates/arith/src/a.rs", code)]), [""; 0]);
    }

    #[test]
    fn a_domain_is_said_once_and_in_its_file() {
        let twice = "const A: &str = \"candor/1/a\";\nconst B: &str = \"candor/1/a\";\n";
        let elsewhere = "const C: &str = \"candor/1/c\";\n";
        let found = messages(&[("crates/claim/src/domain.rs", twice), ("crates/court/src/a.rs", elsewhere)]);
        assert_eq!(
            found,
            [
                "\"candor/1/a\" is already the domain of line 1",
                "\"candor/1/c\" looks like a domain string: it belongs to crates/claim/src/domain.rs"
            ]
        );
    }

    #[test]
    fn a_module_says_what_is_inside() {
        assert_eq!(messages(&[("crates/api/src/utils.rs", "")]), ["utils does not say what is inside"]);
    }
}
