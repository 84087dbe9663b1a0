//! Chains in processes of their own.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A chain that answers; killed when dropped, without a word.
pub(crate) struct Process {
    child: Child,
    pub(crate) url: String,
}

impl Process {
    /// This crate's chain, by the example that serves one.
    pub(crate) fn ours(arguments: &[&str]) -> Self {
        let test = std::env::current_exe().unwrap();
        let program = test.ancestors().nth(2).unwrap().join("examples/serve");
        Self::start(Command::new(program).args(arguments), |line| line.starts_with("http://").then(|| line.to_owned()))
    }

    fn start(command: &mut Command, url: impl Fn(&str) -> Option<String>) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let url = lines.find_map(|line| url(&line)).expect("the chain says where it answers");
        // A chain that goes on printing must not wait for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url }
    }

    /// Ends the process as a crash does: nothing in it gets to run any more.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Programs and packages of npm, where `cargo xtask setup` puts them.
pub(crate) struct Packages(PathBuf);

impl Packages {
    /// The packages, if these are installed.
    #[expect(clippy::print_stderr, reason = "whoever runs the tests must see that this one did nothing")]
    pub(crate) fn with(names: &[&str]) -> Option<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers/node");
        let missing = names.iter().find(|name| !folder.join("node_modules").join(name).exists());
        match missing {
            None => Some(Self(folder)),
            Some(name) => {
                eprintln!("skipped: no npm package {name}; cargo xtask setup installs it");
                None
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A program of Foundry.
    pub(crate) fn foundry(&self, name: &str) -> PathBuf {
        self.0.join("node_modules").join(foundry_package(name)).join("bin").join(name)
    }

    /// Foundry's chain.
    pub(crate) fn anvil(&self, arguments: &[&str]) -> Process {
        let mut command = Command::new(self.foundry("anvil"));
        Process::start(command.args(["--port", "0"]).args(arguments), |line| {
            line.strip_prefix("Listening on ").map(|address| format!("http://{address}"))
        })
    }
}

/// The package that holds a program of Foundry for this machine.
pub(crate) fn foundry_package(name: &str) -> String {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    format!("@foundry-rs/{name}-linux-{architecture}")
}
