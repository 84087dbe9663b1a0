//! Relative links of the documents lead to files that exist.

use std::path::Path;

use super::Fault;
use super::source::Tree;
use crate::layout;

pub(crate) fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in tree.files.iter().filter(|file| file.kind() == "md") {
        let folder = layout::root().join(&file.path);
        let folder = folder.parent().unwrap_or(layout::root());
        for (index, line) in file.text.lines().enumerate() {
            for target in targets(line).filter(|target| !exists(folder, target)) {
                faults.push(Fault::new(&file.path, index + 1, format!("{target} leads nowhere")));
            }
        }
    }
    faults
}

/// The targets of inline links on a line.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("](").filter_map(|(offset, open)| {
        let rest = &line[offset + open.len()..];
        rest.split_once(')').map(|(target, _)| target)
    })
}

fn exists(folder: &Path, target: &str) -> bool {
    let file = target.split('#').next().unwrap_or_default();
    file.is_empty() || target.contains("://") || target.starts_with("mailto:") || folder.join(file).exists()
}

#[cfg(test)]
mod tests {
    use super::targets;

    #[test]
    fn every_link_of_a_line_is_seen() {
        assert_eq!(targets("see [a](b.md) and [c](d#e), f(g)").collect::<Vec<_>>(), ["b.md", "d#e"]);
    }
}
