//! The files of the tree, and Rust source with all that is not code blanked out.

use std::ops::RangeInclusive;
use std::path::Path;

use anyhow::{Context, Result};

use crate::command::{output, program};
use crate::layout;

/// Examples that fuzzing starts from: bytes for machines, whatever they look like.
const SEEDS: &str = "fuzz/seeds/";

/// All text files that git tracks or would track.
pub(crate) struct Tree {
    pub(crate) files: Vec<File>,
}

impl Tree {
    pub(crate) fn read() -> Result<Self> {
        let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let names = output(&mut program("git", &list))?;
        let mut files = Vec::new();
        for path in names.split('\0').filter(|path| !path.is_empty() && !path.starts_with(SEEDS)) {
            let full = layout::root().join(path);
            // A file that is deleted but not yet committed is still listed.
            if !full.is_file() {
                continue;
            }
            let bytes = std::fs::read(&full).with_context(|| format!("cannot read {path}"))?;
            if let Ok(text) = String::from_utf8(bytes) {
                files.push(File::new(path, text));
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files.dedup_by(|a, b| a.path == b.path);
        Ok(Self { files })
    }

    /// The Rust files that end up in a program or library: no tests, no benchmarks.
    pub(crate) fn production(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.is_rust() && !file.is_test())
    }
}

/// One text file.
pub(crate) struct File {
    /// From the root of the workspace, with forward slashes.
    pub(crate) path: String,
    pub(crate) text: String,
    /// Of Rust, the code outside `#[cfg(test)]` modules: comments and literals are blanks, lines stay where they are.
    pub(crate) code: String,
    /// Of Rust, the string literals of that code with their lines.
    pub(crate) literals: Vec<(usize, String)>,
    /// Of Rust, the lines of `#[cfg(test)]` modules.
    test_lines: Vec<RangeInclusive<usize>>,
}

impl File {
    pub(crate) fn new(path: &str, text: String) -> Self {
        let (mut code, literals) = if Path::new(path).extension().is_some_and(|kind| kind == "rs") {
            blank(&text)
        } else {
            Default::default()
        };
        let mut test_lines = Vec::new();
        for range in test_modules(&code) {
            test_lines.push(line_of(&code, range.start)..=line_of(&code, range.end));
            let blanks: String = code[range.clone()].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
            code.replace_range(range, &blanks);
        }
        let literals = literals.into_iter().filter(|(offset, _)| !code[*offset..].starts_with(' '));
        let literals = literals.map(|(offset, literal)| (line_of(&text, offset), literal)).collect();
        Self { path: path.to_owned(), text, code, literals, test_lines }
    }

    /// What follows the last dot or slash of the path.
    pub(crate) fn kind(&self) -> &str {
        self.path.rsplit(['.', '/']).next().unwrap_or_default()
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.kind() == "rs"
    }

    /// Whether the whole file is a test, a benchmark, or made for them.
    pub(crate) fn is_test(&self) -> bool {
        let mut parts = self.path.split('/');
        let name = parts.next_back().unwrap_or_default();
        name == "tests.rs" || parts.any(|part| matches!(part, "tests" | "benches" | "examples" | "fuzz"))
    }

    /// Whether the line, counted from 1, is test code.
    pub(crate) fn is_test_line(&self, line: usize) -> bool {
        self.is_test() || self.test_lines.iter().any(|lines| lines.contains(&line))
    }

    /// The crate that the file belongs to, when it is one of `crates/`.
    pub(crate) fn crate_name(&self) -> Option<&str> {
        self.path.strip_prefix("crates/")?.split('/').next()
    }

    /// Lines, counted from 1, at which `word` stands in the code as a word of its own.
    pub(crate) fn lines_with_word(&self, word: &str) -> Vec<usize> {
        let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let found = self.code.match_indices(word).filter(|(offset, _)| {
            let before = self.code[..*offset].chars().next_back();
            let after = self.code[offset + word.len()..].chars().next();
            !is_part(before) && !is_part(after)
        });
        found.map(|(offset, _)| line_of(&self.code, offset)).collect()
    }
}

/// The line of a byte, counted from 1.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

/// The byte after the bracket that closes the one at `open`, or the end of the text.
pub(crate) fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return offset + 1;
        }
    }
    code.len()
}

/// The bodies of modules under `#[cfg(test)]`.
fn test_modules(code: &str) -> Vec<std::ops::Range<usize>> {
    let mut ranges = Vec::new();
    for (offset, attribute) in code.match_indices("#[cfg(test)]") {
        let after = offset + attribute.len();
        let item = code[after..].find(['{', ';']).map(|end| after + end);
        if let Some(open) = item.filter(|open| code.as_bytes()[*open] == b'{') {
            ranges.push(open..closing(code, open));
        }
    }
    ranges
}

/// Rust with comments and literals blanked, and its string literals by offset. A literal's opening quote is kept, so that
/// a blanked region shows as such. Not a full lexer: it knows what the formatter leaves possible.
fn blank(text: &str) -> (String, Vec<(usize, String)>) {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut literals = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => {
                wipe(&mut code, at, text[at..].find('\n').map_or(bytes.len(), |end| at + end))
            }
            b'/' if bytes[at..].starts_with(b"/*") => wipe(&mut code, at, end_of_block_comment(bytes, at)),
            b'"' => {
                let end = end_of_string(bytes, at);
                literals.push((at, text[at + 1..end.saturating_sub(1).max(at + 1)].to_owned()));
                wipe(&mut code, at + 1, end)
            }
            b'r' if !starts_inside_word(bytes, at) && raw_hashes(bytes, at).is_some() => {
                let hashes = raw_hashes(bytes, at).unwrap_or(0);
                let open = at + 1 + hashes;
                let fence = format!("\"{}", "#".repeat(hashes));
                let close = text[open + 1..].find(&fence).map_or(bytes.len(), |close| open + 1 + close);
                literals.push((open, text[open + 1..close].to_owned()));
                wipe(&mut code, open + 1, (close + fence.len()).min(bytes.len()))
            }
            b'\'' => wipe(&mut code, at, end_of_character(text, at)),
            _ => at + 1,
        };
        at = end;
    }
    (String::from_utf8(code).expect("only whole characters are wiped, byte by byte to blanks"), literals)
}

/// Blanks a range, keeping its line breaks, and returns its end.
fn wipe(code: &mut [u8], start: usize, end: usize) -> usize {
    for byte in &mut code[start..end] {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
    end
}

fn end_of_block_comment(bytes: &[u8], start: usize) -> usize {
    let (mut depth, mut at) = (0_usize, start);
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

fn end_of_string(bytes: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The number of `#` when a raw string begins at this `r`.
fn raw_hashes(bytes: &[u8], at: usize) -> Option<usize> {
    let hashes = bytes[at + 1..].iter().take_while(|byte| **byte == b'#').count();
    (bytes.get(at + 1 + hashes) == Some(&b'"')).then_some(hashes)
}

/// Whether the byte goes on a word; `b` and `c` before a literal do not count.
fn starts_inside_word(bytes: &[u8], at: usize) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let Some(before) = at.checked_sub(1).map(|before| bytes[before]) else { return false };
    let prefix = matches!(before, b'b' | b'c') && !at.checked_sub(2).is_some_and(|first| is_word(bytes[first]));
    is_word(before) && !prefix
}

/// The end of the character literal at a quote, or the byte after the quote when it begins a lifetime.
fn end_of_character(text: &str, open: usize) -> usize {
    let rest = &text[open + 1..];
    if let Some(escaped) = rest.strip_prefix('\\') {
        // The escaped character itself may be a quote.
        let skipped = escaped.chars().next().map_or(0, char::len_utf8);
        return escaped[skipped..].find('\'').map_or(text.len(), |close| open + 2 + skipped + close + 1);
    }
    let length = rest.chars().next().map_or(0, char::len_utf8);
    if rest[length..].starts_with('\'') { open + 1 + length + 1 } else { open + 1 }
}

#[cfg(test)]
mod tests {
    use super::{File, closing};

    fn file(text: &str) -> File {
        File::new("crates/x/src/lib.rs", text.to_owned())
    }

    #[test]
    fn comments_and_literals_are_blanked() {
        let text = "a /* b /* c */ d */ e // f\n\"g\\\"h\" i '\"' j 'k l\nbr#\"m\" n\"# o '\\'' p";
        let words = file(text).code.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words, "a e \" i j k l br#\" o p");
    }

    #[test]
    fn literals_are_kept_with_their_lines() {
        let found = file("let a = \"one\";\nlet b = r\"two\"; // \"three\"\n").literals;
        assert_eq!(found, [(1, "one".to_owned()), (2, "two".to_owned())]);
    }

    #[test]
    fn test_modules_are_not_production_code() {
        let found = file("fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { \"c\"; }\n}\nfn d() {}\n");
        assert_eq!(found.lines_with_word("fn"), [1, 6]);
        assert_eq!(found.literals, []);
    }

    #[test]
    fn words_are_whole() {
        assert_eq!(file("Instant\nInstantly\nx::Instant;").lines_with_word("Instant"), [1, 3]);
    }

    #[test]
    fn brackets_nest() {
        assert_eq!(closing("f(a[1], {2}) b", 1), 12);
    }
}
