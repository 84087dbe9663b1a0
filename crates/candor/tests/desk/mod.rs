//! A person's machine, for the tests that run the program.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use arith::WeightType;
use specimen::Specimen;

/// A home, and a model file lying around: `tiny.gguf`.
pub(crate) struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Room for a template, tools and an object of JSON at a token a byte.
        let specimen = Specimen { context_length: 4096, ..Specimen::llama(WeightType::Q8_0) };
        fs::write(folder.path().join("tiny.gguf"), specimen.to_gguf()).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program with these arguments, at home on this desk.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_candor"));
        command.args(arguments).current_dir(self.folder.path()).env_clear().env("HOME", self.folder.path());
        command
    }

    /// Starts a node with these arguments and waits until it can answer.
    pub(crate) fn start(&self, arguments: &[&str]) -> Node {
        let mut child = self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        Node { child, line, _stdout: stdout }
    }
}

/// A running `candor up` or `candor chain up`.
pub(crate) struct Node {
    child: Child,
    line: String,
    /// Held open: a program that writes to a closed pipe would end.
    _stdout: BufReader<ChildStdout>,
}

impl Node {
    pub(crate) fn address(&self) -> &str {
        match self.line.strip_prefix("ready ") {
            Some(ready) => ready.split_whitespace().next().unwrap(),
            None => self.line.strip_prefix("{\"ready\":\"").and_then(|ready| ready.split('"').next()).unwrap(),
        }
    }

    /// Sends SIGTERM and returns how the program ended.
    pub(crate) fn stop(mut self) -> Option<i32> {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Only a test that has failed comes here with the program running.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
