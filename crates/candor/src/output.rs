//! What the program prints: results to standard output, everything else to standard error.

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;

use crate::environment::Environment;
use crate::exit::{Exit, UsageError};

/// How to print.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    is_json: bool,
    has_colour: bool,
    has_bars: bool,
}

/// A colour that means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    /// It is as it should be.
    Good,
    /// It is not.
    Bad,
    /// Neither.
    Doubtful,
    /// Less important.
    Faint,
}

impl Output {
    /// Looks at the environment and at where the two streams lead.
    pub(crate) fn detect(environment: &Environment) -> Self {
        let is_terminal = io::stderr().is_terminal();
        Self {
            is_json: false,
            has_colour: io::stdout().is_terminal() && is_terminal && !environment.is_colourless,
            has_bars: is_terminal,
        }
    }

    /// Results as JSON from here on.
    pub(crate) fn with_json(self, is_json: bool) -> Self {
        Self { is_json, ..self }
    }

    /// Whether results are printed as JSON.
    pub(crate) fn is_json(self) -> bool {
        self.is_json
    }

    /// Whether somebody can see a bar move.
    pub(crate) fn has_bars(self) -> bool {
        self.has_bars
    }

    /// A text in a colour, if there are colours.
    pub(crate) fn paint(self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Good => "32",
            Colour::Bad => "31",
            Colour::Doubtful => "33",
            Colour::Faint => "2",
        };
        if self.has_colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Prints rows in columns; the last column is not padded. Columns of numbers are right-aligned.
    pub(crate) fn table(self, header: &[&str], rows: &[Vec<String>]) -> anyhow::Result<()> {
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(String::as_str);
            cells.chain(header.get(column).copied()).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let is_number = |column: usize| {
            !rows.is_empty() && rows.iter().all(|row| row.get(column).is_some_and(|cell| starts_as_number(cell)))
        };
        let shape: Vec<(usize, bool)> = (0..header.len()).map(|column| (width(column), is_number(column))).collect();
        let format_row = |cells: &[String]| {
            let padded = cells.iter().zip(&shape).map(|(cell, &(width, is_number))| {
                if is_number { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            });
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let header: Vec<String> = header.iter().map(ToString::to_string).collect();
        line(&self.paint(Colour::Faint, &format_row(&header)))?;
        rows.iter().try_for_each(|row| line(&format_row(row)))
    }

    /// Prints why the program ends, and says how.
    pub(crate) fn failure(self, error: &anyhow::Error) -> Exit {
        let is_closed = |cause: &(dyn std::error::Error + 'static)| {
            cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
        };
        // The reader of a pipe has seen enough, as `head` does.
        if error.chain().any(is_closed) {
            return Exit::Done;
        }
        let causes = error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ");
        note(&format!("{}: {causes}", self.paint(Colour::Bad, "error")));
        if error.chain().any(<dyn std::error::Error>::is::<UsageError>) { Exit::Usage } else { Exit::Failed }
    }
}

/// Prints a line of a result at once, also into a pipe.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    print(&format!("{text}\n"))
}

/// Prints a piece of a result at once.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}

/// Prints a result as one line of JSON.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(&serde_json::to_string(value)?)
}

/// Tells a person something that is no result.
pub(crate) fn note(text: &str) {
    // Nobody is left to tell when standard error is closed.
    drop(writeln!(io::stderr(), "{text}"));
}

fn starts_as_number(cell: &str) -> bool {
    cell.starts_with(|c: char| c.is_ascii_digit()) || cell == "-"
}

/// A size as a person reads it, in decimal units.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short_and_rounded_once() {
        for (bytes, expect) in
            [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (98_362_432, "98.4 MB"), (999_960_000, "1.0 GB")]
        {
            assert_eq!(size(bytes), expect);
        }
    }

    #[test]
    fn colours_are_left_out_where_nobody_sees_them() {
        let plain = Output { is_json: false, has_colour: false, has_bars: false };
        assert_eq!(plain.paint(Colour::Bad, "x"), "x");
        let bright = Output { has_colour: true, ..plain };
        assert_eq!(bright.paint(Colour::Bad, "x"), "\u{1b}[31mx\u{1b}[0m");
    }
}
