//! Running other programs: each is printed before it runs and timed.

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::layout;

/// A `cargo` invocation at the root of the workspace.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(layout::root());
    command
}

/// Any other program at the root of the workspace.
pub(crate) fn program(name: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Command {
    let mut command = Command::new(name);
    command.args(arguments).current_dir(layout::root());
    command
}

/// The command as a person would type it.
pub(crate) fn text(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        // A search path says where, not what; it would drown the line.
        let value = value.filter(|_| name != "PATH")?;
        Some(format!("{}='{}'", name.display(), value.display()))
    });
    let program = std::path::Path::new(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program()).display().to_string();
    let arguments = command.get_args().map(|argument| argument.display().to_string());
    variables.chain(std::iter::once(name)).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// Prints the command, runs it, and fails when it fails.
pub(crate) fn run(command: &mut Command) -> Result<Duration> {
    announce(command);
    let start = Instant::now();
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot start {}", text(command)))?;
    succeeded(command, status)?;
    Ok(start.elapsed())
}

/// The same, and each line of its standard output is also shown to `each_line`.
pub(crate) fn run_lines(command: &mut Command, each_line: &mut dyn FnMut(&str)) -> Result<Duration> {
    announce(command);
    let start = Instant::now();
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {}", text(command)))?;
    let output = child.stdout.take().expect("standard output was just set to be piped");
    for line in BufReader::new(output).split(b'\n') {
        let line = line.with_context(|| format!("cannot read what {} prints", text(command)))?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        each_line(&line);
    }
    let status = child.wait()?;
    succeeded(command, status)?;
    Ok(start.elapsed())
}

fn announce(command: &Command) {
    println!("$ {}", text(command));
}

fn succeeded(command: &Command, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("{} ended with {status}", text(command));
    }
    Ok(())
}

/// The standard output of a command, which must succeed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {}", text(command)))?;
    if !output.status.success() {
        bail!("{} ended with {}: {}", text(command), output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("{} printed bytes that are not text", text(command)))
}

/// Whether a program starts; not all answer `--version` with success.
pub(crate) fn is_installed(name: impl AsRef<std::ffi::OsStr>) -> bool {
    let mut command = program(name, &["--version"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok()
}
