//! The catalogue's statements about real files, for those files that are on this machine.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![expect(clippy::print_stderr, reason = "a skipped test says so")]

use std::num::NonZeroUsize;
use std::path::PathBuf;

use arith::{Isa, Machine, Pool};
use host::catalogue::{Catalogue, Entry};

/// Where `candor model pull` and a setup script put models.
fn place(entry: &Entry) -> Option<PathBuf> {
    let home = std::env::home_dir()?;
    let folders = [".cache/candor/models", ".local/share/candor/models"];
    folders.into_iter().map(|folder| home.join(folder).join(&entry.file)).find(|path| path.exists())
}

/// A verifier takes the pinned root for what the model's name means, so a wrong one would accuse honest hosts.
#[test]
fn pinned_roots_are_those_of_the_files() {
    let machine = Machine::new(Isa::detect(), Pool::new(NonZeroUsize::new(2).unwrap()));
    for entry in Catalogue::builtin().entries() {
        let Some(path) = place(entry) else {
            eprintln!("skipped: {} is not on this machine", entry.name);
            continue;
        };
        let model = host::load_model(&path, &machine).unwrap();
        let pinned = entry.model_root.map(|root| format!("0x{root}"));
        assert_eq!(pinned, Some(model.root().to_string()), "{}", entry.name);
        assert_eq!(model.config().context_length, entry.context_tokens as usize, "{}", entry.name);
    }
}
