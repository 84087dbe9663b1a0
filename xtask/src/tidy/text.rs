//! What a text may not hold.

use super::Fault;
use super::source::{File, Tree};

/// Hosts are split here so that this file does not hold what it looks for.
const REGISTRY_HOSTS: [&str; 6] = [
    concat!("py", "pi.org"),
    concat!("python", "hosted.org"),
    concat!("registry.", "npmjs"),
    concat!("static.", "crates.io"),
    concat!("index.", "crates.io"),
    concat!("deb.", "debian.org"),
];

/// Beginnings of paths that exist on one machine only.
const MACHINE_PATHS: [&str; 5] =
    [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/"), concat!("/wo", "rk/"), concat!("/tm", "p/")];

/// Marks of work left over; each must name an issue.
const MARKS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

/// Kinds of file that are sources, and so are ASCII: what a reviewer cannot see, a reviewer cannot judge.
const SOURCES: [&str; 12] = ["rs", "toml", "py", "js", "mjs", "ts", "css", "html", "sh", "lua", "json", "run"];

pub(crate) fn check(tree: &Tree) -> Vec<Fault> {
    tree.files.iter().filter(|file| file.path != "Cargo.lock").flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Fault> {
    let is_source = SOURCES.contains(&file.kind());
    let mut faults = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let mut fault = |message: String| faults.push(Fault::new(&file.path, index + 1, message));
        if let Some(found) = line.chars().find(|c| is_source && !c.is_ascii()) {
            fault(format!("U+{:04X} in a source: write it as an escape", u32::from(found)));
        }
        for host in REGISTRY_HOSTS.iter().filter(|host| line.contains(**host)) {
            fault(format!("{host}: name the package, not the host of its registry"));
        }
        // A test of path handling may name a path that exists nowhere.
        let paths = MACHINE_PATHS.iter().filter(|path| begins_a_path(line, path) && !file.is_test_line(index + 1));
        for path in paths {
            fault(format!("{path} begins a path of one machine"));
        }
        for mark in MARKS.iter().filter(|mark| has_bare_mark(line, mark)) {
            fault(format!("{mark} names no issue: write {mark}(#12)"));
        }
        if file.is_rust() && line.trim_start().starts_with(concat!("#[ign", "ore")) {
            fault("an ignored test tests nothing".to_owned());
        }
        if line.ends_with([' ', '\t']) {
            fault("blanks at the end of a line".to_owned());
        }
    }
    if !file.text.is_empty() && !file.text.ends_with('\n') {
        faults.push(Fault::new(&file.path, 0, "no line break at the end of the file"));
    }
    faults
}

/// Whether the text stands where a path begins, and not inside a longer one such as `https://host/home/`.
fn begins_a_path(line: &str, path: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '/' | '}' | '>');
    line.match_indices(path).any(|(offset, _)| !line[..offset].ends_with(inside))
}

fn has_bare_mark(line: &str, mark: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(mark).any(|(offset, _)| {
        let rest = &line[offset + mark.len()..];
        !line[..offset].ends_with(is_part) && !rest.starts_with(is_part) && !rest.starts_with("(#")
    })
}

#[cfg(test)]
mod tests {
    use super::super::source::File;
    use super::{MACHINE_PATHS, MARKS, REGISTRY_HOSTS, check_file};

    fn count(path: &str, text: &str) -> usize {
        check_file(&File::new(path, format!("{text}\n"))).len()
    }

    #[test]
    fn each_rule_finds_its_fault() {
        assert_eq!(count("a.rs", "let a = 1; // \u{e9}"), 1);
        assert_eq!(count("a.md", "\u{e9}"), 0);
        assert_eq!(count("a.md", &format!("from {}/simple", REGISTRY_HOSTS[0])), 1);
        assert_eq!(count("a.md", &format!("cd {}x", MACHINE_PATHS[0])), 1);
        assert_eq!(count("a.md", &format!("host.example{}x", MACHINE_PATHS[0])), 0);
        assert_eq!(count("a.rs", &format!("// {}: later", MARKS[0])), 1);
        assert_eq!(count("a.rs", &format!("// {}(#7): later", MARKS[0])), 0);
        assert_eq!(count("a.rs", "a "), 1);
    }
}
