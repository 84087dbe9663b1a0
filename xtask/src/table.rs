//! Plain tables for the terminal.

/// Lays out rows under a heading; the first column is set left, the others right.
pub(crate) fn render<const COLUMNS: usize>(heading: [&str; COLUMNS], rows: &[[String; COLUMNS]]) -> String {
    let width = |column: usize| {
        rows.iter().map(|row| row[column].chars().count()).chain([heading[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    let line = |cells: [&str; COLUMNS]| {
        let cells = cells.iter().zip(widths).enumerate().map(|(column, (cell, width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let rule = widths.map(|width| "-".repeat(width));
    let mut lines = vec![line(heading), line(rule.each_ref().map(String::as_str))];
    lines.extend(rows.iter().map(|row| line(row.each_ref().map(String::as_str))));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::render;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["fmt".to_owned(), "1.5 s".to_owned()], ["clippy".to_owned(), "100.25 s".to_owned()]];
        let expected = "step        time\n------  --------\nfmt        1.5 s\nclippy  100.25 s";
        assert_eq!(render(["step", "time"], &rows), expected);
    }
}
