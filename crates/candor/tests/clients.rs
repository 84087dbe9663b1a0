//! OpenAI's own clients in front of the program as a person runs it: real processes, and the default model where it is
//! at hand. What they check is written in their own languages, beside this file.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod desk;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use desk::Desk;

#[test]
fn the_python_client_gets_what_it_expects() {
    let interpreter = peers().join("python/bin/python");
    if is_at_hand(&interpreter) {
        check(Command::new(interpreter).arg(script("openai_client.py")), &[]);
    }
}

#[test]
fn the_node_js_client_gets_what_it_expects() {
    let packages = peers().join("node");
    if is_at_hand(&packages.join("node_modules/openai")) {
        check(Command::new("node").arg(script("openai_client.mjs")), &[&packages]);
    }
}

/// Where `cargo xtask setup` installs the clients.
fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers")
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn is_at_hand(client: &Path) -> bool {
    let found = client.exists();
    if !found {
        eprintln!("skipped: no client of OpenAI; `cargo xtask setup` installs it");
    }
    found
}

/// The default model in this user's cache; where it is not there, a random one that the same checks hold for.
#[expect(clippy::print_stderr, reason = "a test that takes another model says so")]
fn model() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(std::env::home_dir()?.join(".cache"))).unwrap_or_default();
    let file = cache.join("candor/models/smollm2-135m-instruct-q4_1.gguf");
    if file.exists() {
        return file;
    }
    eprintln!("skipped: no model smollm2 on this machine; a random one takes its place");
    PathBuf::from("./tiny.gguf")
}

/// Runs the program, and the script against it with its address and these arguments; fails if the script does.
fn check(script: &mut Command, arguments: &[&Path]) {
    let desk = Desk::new();
    let node = desk.start(&["up", "--port", "0", "--model", model().to_str().unwrap()]);
    // Settings of this user, a proxy or a key, are not the test's.
    script.env_clear().env("HOME", desk.path("")).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let Output { status, stdout, stderr } = script.arg(node.address()).args(arguments).output().unwrap();
    let [stdout, stderr] = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(status.success(), "{script:?} ended with {status}\n{stdout}{stderr}");
    assert_eq!(node.stop(), Some(0));
}
