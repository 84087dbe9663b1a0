//! A chain with two people on it, who run the real program.

use std::fs;
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::desk::{Desk, Node};

/// The key of a wallet that was imported, so that the test can sign as its owner.
pub(crate) const SECRET: [u8; 32] = [0x11; 32];

/// A desk with a chain on it: `payer` and `host` are the data folders of two people.
pub(crate) struct Town {
    pub(crate) desk: Desk,
    pub(crate) chain: Node,
}

impl Town {
    pub(crate) fn new() -> Self {
        let desk = Desk::new();
        let chain = desk.start(&["chain", "up", "--port", "0", "--data", "chain"]);
        Self { desk, chain }
    }

    /// Runs a command of `who` on this chain.
    pub(crate) fn run(&self, who: &str, arguments: &[&str]) -> Run {
        let place = ["--data", who, "--chain", self.chain.address(), "--deployment", "chain/deployment.json"];
        Run::of(&self.desk, &[arguments, &place[..]].concat())
    }

    /// The same, with the one object that it prints.
    pub(crate) fn json(&self, who: &str, arguments: &[&str]) -> Value {
        self.run(who, &[arguments, &["--json"]].concat()).ends_with(0).json()
    }

    /// A host with a stake, and a wallet with money; returns the host's address.
    pub(crate) fn settled(&self) -> String {
        fs::write(self.desk.path("secret.txt"), "11".repeat(32)).unwrap();
        Run::of(&self.desk, &["wallet", "import", "secret.txt", "--data", "payer"]).ends_with(0);
        self.run("payer", &["wallet", "fund"]).ends_with(0);
        self.run("host", &["wallet", "fund", "--host"]).ends_with(0);
        let staked = self.json("host", &["host", "stake", "100"]);
        staked["host"].as_str().unwrap().to_owned()
    }
}

/// A program that has ended.
pub(crate) struct Run(pub(crate) Output);

impl Run {
    pub(crate) fn of(desk: &Desk, arguments: &[&str]) -> Self {
        Self(desk.command(arguments).stdin(Stdio::null()).output().unwrap())
    }

    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Self {
        let words = (self.stdout(), self.stderr());
        assert_eq!(self.0.status.code(), Some(code), "{words:?}");
        self
    }

    /// It failed with such words, and printed no result.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, words: &str) {
        let run = self.ends_with(code);
        assert!(run.stderr().contains(words), "expected `{words}` in: {}", run.stderr());
        assert_eq!(run.stdout(), "");
    }

    pub(crate) fn stdout(&self) -> &str {
        std::str::from_utf8(&self.0.stdout).unwrap()
    }

    pub(crate) fn stderr(&self) -> &str {
        std::str::from_utf8(&self.0.stderr).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(self.stdout()).unwrap()
    }
}
