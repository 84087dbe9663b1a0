//! Lengths of files and functions, with a ratchet.
//!
//! What is over the soft limit stands in `xtask/ratchet` with its length and a reason, and may shrink but not grow.
//! Nothing is over the hard limit.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::Fault;
use super::source::{File, Tree, closing, line_of};

const FILE_LINES_SOFT: usize = 600;
const FILE_LINES_HARD: usize = 1000;
const FUNCTION_LINES_SOFT: usize = 70;
const FUNCTION_LINES_HARD: usize = 100;

const LIST: &str = "xtask/ratchet";

/// A file or function that is over its soft limit.
struct Long {
    /// `path` or `path::function`.
    name: String,
    path: String,
    line: usize,
    lines: usize,
    hard: usize,
}

pub(crate) fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut listed = listed(tree, &mut faults);
    for long in all_long(tree) {
        let allowed = listed.remove(&long.name);
        let Long { path, line, lines, hard, .. } = &long;
        let message = match allowed {
            _ if lines > hard => format!("{} is {lines} lines long, the limit is {hard}", long.name),
            None => format!("{} is {lines} lines long: divide it, or list it in {LIST} with a reason", long.name),
            Some(allowed) if *lines > allowed => {
                format!("{} has grown from {allowed} to {lines} lines: a listed one may only shrink", long.name)
            }
            Some(allowed) if *lines < allowed => {
                format!("{} has shrunk from {allowed} to {lines} lines: lower its number in {LIST}", long.name)
            }
            Some(_) => continue,
        };
        faults.push(Fault::new(path, *line, message));
    }
    for name in listed.keys() {
        faults.push(Fault::new(LIST, 0, format!("{name} is not over its limit: take it off the list")));
    }
    faults
}

/// The list as it would have to be now; reasons are left to a person.
pub(crate) fn ratchet(tree: &Tree) -> String {
    let mut text = String::new();
    for long in all_long(tree) {
        writeln!(text, "{} {} # ", long.lines, long.name).expect("writing to a string cannot fail");
    }
    text
}

/// The ratchet list: a line is `LENGTH NAME # REASON`.
fn listed(tree: &Tree, faults: &mut Vec<Fault>) -> BTreeMap<String, usize> {
    let mut entries = BTreeMap::new();
    let text = tree.files.iter().find(|file| file.path == LIST).map_or("", |file| &file.text);
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('#') && !line.is_empty()) {
        let entry = line.split_once(" # ").filter(|(_, reason)| !reason.trim().is_empty());
        let entry = entry.and_then(|(entry, _)| entry.split_once(' '));
        match entry.and_then(|(lines, name)| Some((name.trim().to_owned(), lines.parse().ok()?))) {
            Some((name, lines)) => drop(entries.insert(name, lines)),
            None => faults.push(Fault::new(LIST, index + 1, "a line here is: LENGTH NAME # REASON")),
        }
    }
    entries
}

fn all_long(tree: &Tree) -> Vec<Long> {
    let mut found = Vec::new();
    for file in tree.files.iter().filter(|file| file.is_rust()) {
        let lines = file.text.lines().count();
        if lines > FILE_LINES_SOFT {
            found.push(Long {
                name: file.path.clone(),
                path: file.path.clone(),
                line: 0,
                lines,
                hard: FILE_LINES_HARD,
            });
        }
    }
    for file in tree.production() {
        for (name, line, lines) in functions(file).filter(|(_, _, lines)| *lines > FUNCTION_LINES_SOFT) {
            let name = format!("{}::{name}", file.path);
            found.push(Long { name, path: file.path.clone(), line, lines, hard: FUNCTION_LINES_HARD });
        }
    }
    found
}

/// Name, first line and length of each function with a body.
fn functions(file: &File) -> impl Iterator<Item = (String, usize, usize)> {
    let code = &file.code;
    code.match_indices("fn ").filter_map(move |(offset, keyword)| {
        let is_keyword = !code[..offset].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let rest = &code[offset + keyword.len()..];
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if !is_keyword || name.is_empty() {
            return None;
        }
        let body = start_of_body(code, offset)?;
        let end = closing(code, body);
        let first = line_of(code, offset);
        Some((name, first, line_of(code, end) - first + 1))
    })
}

/// The brace that opens a function's body, past the brackets of its signature; none for a declaration.
fn start_of_body(code: &str, function: usize) -> Option<usize> {
    let mut at = function;
    loop {
        at += code[at..].find(['{', ';', '(', '['])?;
        match code.as_bytes()[at] {
            b'{' => return Some(at),
            b';' => return None,
            _ => at = closing(code, at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::{File, Tree};
    use super::check;

    fn tree(body_lines: usize, list: &str) -> Tree {
        let function = format!("trait A {{ fn b(x: [u8; 2]); }}\nfn c() {{\n{}}}\n", "    d();\n".repeat(body_lines));
        Tree { files: vec![File::new("crates/x/src/y.rs", function), File::new("xtask/ratchet", list.to_owned())] }
    }

    fn messages(body_lines: usize, list: &str) -> Vec<String> {
        check(&tree(body_lines, list)).into_iter().map(|fault| fault.message).collect()
    }

    #[test]
    fn a_short_function_is_fine() {
        assert_eq!(messages(68, ""), [""; 0]);
    }

    #[test]
    fn a_long_function_is_named_until_it_is_listed() {
        let expected = "crates/x/src/y.rs::c is 71 lines long: divide it, or list it in xtask/ratchet with a reason";
        assert_eq!(messages(69, ""), [expected]);
        assert_eq!(messages(69, "71 crates/x/src/y.rs::c # a table\n"), [""; 0]);
    }

    #[test]
    fn a_listed_function_may_only_shrink() {
        let grown = "crates/x/src/y.rs::c has grown from 71 to 72 lines: a listed one may only shrink";
        let shrunk = "crates/x/src/y.rs::c has shrunk from 80 to 72 lines: lower its number in xtask/ratchet";
        assert_eq!(messages(70, "71 crates/x/src/y.rs::c # a table\n"), [grown]);
        assert_eq!(messages(70, "80 crates/x/src/y.rs::c # a table\n"), [shrunk]);
        assert_eq!(
            messages(5, "80 crates/x/src/y.rs::c # a table\n"),
            ["crates/x/src/y.rs::c is not over its limit: take it off the list"]
        );
    }

    #[test]
    fn the_hard_limit_has_no_exception() {
        let expected = "crates/x/src/y.rs::c is 102 lines long, the limit is 100";
        assert_eq!(messages(100, "102 crates/x/src/y.rs::c # a table\n"), [expected]);
    }

    #[test]
    fn an_entry_needs_a_reason() {
        assert_eq!(messages(5, "80 crates/x/src/y.rs::c #\n"), ["a line here is: LENGTH NAME # REASON"]);
    }
}
