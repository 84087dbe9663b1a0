//! The house rules that no compiler knows.
//!
//! A rule reads the tree and names each place that breaks it. Rules do not change files.

mod house;
mod length;
mod links;
mod source;
mod text;

use std::fmt;

use anyhow::{Result, bail};

use source::Tree;

/// How to look.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Print the ratchet list that would hold now, in place of checking
    #[arg(long)]
    ratchet: bool,
}

/// One place that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    path: String,
    /// Counted from 1; 0 for a fault of the whole file.
    line: usize,
    message: String,
}

impl Fault {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}

/// Names each place of the tree that breaks it.
type Rule = fn(&Tree) -> Vec<Fault>;

/// Checks the working tree, files that git does not know yet included.
pub(crate) fn execute(options: &Options) -> Result<()> {
    let tree = Tree::read()?;
    if options.ratchet {
        print!("{}", length::ratchet(&tree));
        return Ok(());
    }
    let rules: [(&str, Rule); 4] =
        [("length", length::check), ("text", text::check), ("house", house::check), ("links", links::check)];
    let mut count = 0;
    for (name, rule) in rules {
        for fault in rule(&tree) {
            println!("tidy {name}: {fault}");
            count += 1;
        }
    }
    if count > 0 {
        bail!("{count} places break a house rule");
    }
    println!("tidy: {} files keep the house rules", tree.files.len());
    Ok(())
}
