//! Prints the mixed-script text of the tokenizer tests, so that other engines can be asked for its tokens.
//!
//! `cargo run -p model --example mixed_text < tinyshakespeare.txt > mixed.txt`

#[path = "../tests/support/mixed.rs"]
mod mixed;

use std::io::{Read, Write};

fn main() -> std::io::Result<()> {
    let mut prose = String::new();
    std::io::stdin().read_to_string(&mut prose)?;
    std::io::stdout().write_all(mixed::mixed_text(&prose, 1_000_000).as_bytes())
}
