//! The program as a person runs it: real processes, a real (if random) model, files, ports and signals.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod desk;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Output, Stdio};

use arith::WeightType;
use desk::{Desk, Node};
use serde_json::Value;
use specimen::Specimen;

impl Desk {
    fn run(&self, arguments: &[&str]) -> Run {
        Run(self.command(arguments).stdin(Stdio::null()).output().unwrap())
    }

    fn up(&self, arguments: &[&str]) -> Node {
        self.start(&[&["up", "--port", "0", "--model", "tiny"], arguments].concat())
    }

    /// A node that takes all its options from the configuration file.
    fn up_from_file(&self) -> Node {
        let data = self.path(".local/share/candor");
        fs::create_dir_all(&data).unwrap();
        fs::write(data.join("candor.toml"), "[up]\nmodel = './tiny.gguf'\nport = 0\nthreads = 1\n").unwrap();
        self.start(&["up"])
    }
}

/// A program that has ended.
struct Run(Output);

impl Run {
    #[track_caller]
    fn ends_with(self, code: i32) -> Self {
        let Output { status, stdout, stderr } = &self.0;
        let words = (String::from_utf8_lossy(stdout), String::from_utf8_lossy(stderr));
        assert_eq!(status.code(), Some(code), "{words:?}");
        // No terminal, no escapes.
        assert!(!stdout.contains(&0x1b) && !stderr.contains(&0x1b), "{words:?}");
        self
    }

    fn stdout(&self) -> &str {
        std::str::from_utf8(&self.0.stdout).unwrap()
    }

    fn stderr(&self) -> &str {
        std::str::from_utf8(&self.0.stderr).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_str(self.stdout()).unwrap()
    }
}

/// A receipt file with one thing changed.
fn tamper(from: &Path, to: &Path, change: impl FnOnce(&mut Value)) {
    let mut document: Value = serde_json::from_slice(&fs::read(from).unwrap()).unwrap();
    change(&mut document);
    fs::write(to, document.to_string()).unwrap();
}

#[test]
fn from_a_file_to_a_checked_answer_and_over_a_restart() {
    let desk = Desk::new();
    let imported = desk.run(&["model", "import", "tiny.gguf", "--json"]).ends_with(0).json();
    assert_eq!(imported["name"], "tiny");

    let node = desk.up(&[]);
    let ask = ["ask", "--gateway", node.address(), "--max-tokens", "12", "--receipt", "a.json"];
    let plain = desk.run(&[&ask[..], &["--temperature", "0", "Why?"]].concat()).ends_with(0);
    assert!(plain.stdout().contains("\nreceipt 0x") && plain.stdout().contains(" tokens/s"), "{}", plain.stdout());
    let answer =
        desk.run(&[&ask[..], &["--seed", "18446744073709551615", "--json", "Why?"]].concat()).ends_with(0).json();
    let id = answer["receipt"].as_str().unwrap();
    assert_eq!(answer["tokens"], 12);

    let held = desk.run(&["verify", "a.json"]).ends_with(0);
    assert!(held.stdout().starts_with("Held"), "{}", held.stdout());
    let held = desk.run(&["verify", "a.json", "--json", "--window", "3..5"]).ends_with(0).json();
    assert_eq!((&held["verdict"], &held["redrawn"], &held["receipt"]), (&"held".into(), &2.into(), &id.into()));
    assert_eq!(node.stop(), Some(0));

    let node = desk.up(&["--threads", "1"]);
    desk.run(&["verify", id, "--gateway", node.address()]).ends_with(0);
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn what_is_false_is_refuted_and_what_is_missing_is_not() {
    let desk = Desk::new();
    desk.run(&["model", "import", "tiny.gguf"]).ends_with(0);
    let node = desk.up(&[]);
    desk.run(&["ask", "--gateway", node.address(), "--max-tokens", "4", "--receipt", "a.json", "Why?"]).ends_with(0);
    let change = |name: &str, change: &dyn Fn(&mut Value)| tamper(&desk.path("a.json"), &desk.path(name), change);

    change("dearer.json", &|document| document["receipt"]["total"] = "5".into());
    let refuted = desk.run(&["verify", "dearer.json", "--json"]).ends_with(1).json();
    assert_eq!((&refuted["verdict"], &refuted["kind"]), (&"refuted".into(), &"signature".into()));
    let refuted = desk.run(&["verify", "dearer.json"]).ends_with(1);
    assert!(refuted.stdout().starts_with("Refuted"), "{}", refuted.stdout());

    change("bare.json", &|document| {
        document.as_object_mut().unwrap().remove("evidence");
    });
    fs::write(desk.path("other.gguf"), Specimen { seed: 2, ..Specimen::llama(WeightType::Q8_0) }.to_gguf()).unwrap();
    fs::write(desk.path("broken.json"), "{\"version\":").unwrap();
    for (arguments, reason) in [
        (&["verify", "bare.json"][..], "without evidence"),
        (&["verify", "broken.json"], "cannot be read"),
        (&["verify", "none.json"], "cannot open none.json"),
        (&["verify", "a.json", "--model", "other.gguf"], "not at hand"),
        (&["verify", "a.json", "--window", "0..100"], "lies outside"),
        (&["verify", &format!("0x{}", "ab".repeat(32)), "--gateway", node.address()], "the gateway answered"),
    ] {
        let cannot = desk.run(&[arguments, &["--json"]].concat()).ends_with(2).json();
        assert_eq!(cannot["verdict"], "cannot");
        assert!(cannot["reason"].as_str().unwrap().contains(reason), "{cannot}");
        assert!(desk.run(arguments).ends_with(2).stdout().starts_with("Cannot be checked: "));
    }
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn mistakes_are_told_with_what_to_do_next() {
    let desk = Desk::new();
    fs::write(desk.path("wrong.toml"), "[up]\nprot = 1\n").unwrap();
    fs::write(desk.path("text.gguf"), "hello").unwrap();
    let node = desk.up_from_file();
    let port = node.address().rsplit(':').next().unwrap().to_owned();
    for (arguments, code, words) in [
        (&["frobnicate"][..], 4, "frobnicate"),
        (&["verify", "a.json", "--window", "5..3"], 4, "i..j"),
        (&["up", "--config", "wrong.toml"], 4, "prot"),
        (&["ask", "--gateway", "localhost", "hi"], 4, "not the address"),
        (&["ask", "--gateway", "http://127.0.0.1:1", "hi"], 3, "candor up"),
        (&["ask", "--gateway", node.address(), "--model", "nobody", "hi"], 3, "no model `nobody`, but tiny"),
        (&["ask", "--gateway", node.address()], 4, "the question is empty"),
        (&["up", "--model", "nobody", "--port", "0", "--data", "elsewhere"], 3, "known are"),
        (&["up", "--model", "./text.gguf", "--port", "0", "--data", "elsewhere"], 3, "not a GGUF file"),
        (&["up", "--port", &port, "--data", "elsewhere"], 3, "--port N"),
        (&["model", "show", "nobody"], 3, "no model is called"),
        (&["model", "import", "none.gguf"], 3, "there is no file"),
    ] {
        let run = desk.run(arguments).ends_with(code);
        assert!(run.stderr().contains(words), "{arguments:?}: {}", run.stderr());
        assert_eq!(run.stdout(), "");
    }
    let forced = Run(desk.command(&["model", "root", "./tiny.gguf"]).env("CANDOR_ISA", "mmx").output().unwrap());
    assert!(forced.ends_with(4).stderr().contains("CANDOR_ISA is `mmx`"));
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn a_question_may_be_piped_in_and_an_instruction_goes_before_it() {
    let desk = Desk::new();
    let node = desk.up_from_file();
    let mut command = desk.command(&[
        "ask",
        "--gateway",
        node.address(),
        "--system",
        "Be brief.",
        "--max-tokens",
        "3",
        "--receipt",
        "a.json",
    ]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"Why?\n").unwrap();
    Run(child.wait_with_output().unwrap()).ends_with(0);
    let document: Value = serde_json::from_slice(&fs::read(desk.path("a.json")).unwrap()).unwrap();
    let request: Value = serde_json::from_str(document["evidence"]["request"].as_str().unwrap()).unwrap();
    let contents: Vec<_> = request["messages"].as_array().unwrap().iter().map(|message| &message["content"]).collect();
    assert_eq!(contents, ["Be brief.", "Why?"]);
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn models_are_listed_shown_and_rooted_alike_on_every_instruction_set() {
    let desk = Desk::new();
    desk.run(&["model", "import", "tiny.gguf"]).ends_with(0);
    let listed = desk.run(&["model", "list", "--json"]).ends_with(0);
    let lines: Vec<Value> = listed.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let named = |name: &str| lines.iter().find(|line| line["name"] == name).unwrap();
    assert!(named("tiny")["path"].as_str().unwrap().ends_with("candor/models/tiny.gguf"));
    assert_eq!(named("smollm2-135m-instruct")["path"], Value::Null);
    let shown = desk.run(&["model", "show", "smollm2", "--json"]).ends_with(0).json();
    assert_eq!((&shown["licence"], &shown["size_bytes"]), (&"Apache-2.0".into(), &98_362_432.into()));

    let root = |isa: &arith::Isa| {
        let run = desk.command(&["model", "root", "tiny"]).env("CANDOR_ISA", isa.name()).output().unwrap();
        Run(run).ends_with(0).stdout().to_owned()
    };
    let roots: Vec<String> = arith::Isa::available().iter().map(root).collect();
    assert!(roots[0].starts_with("0x") && roots.iter().all(|root| *root == roots[0]), "{roots:?}");
}

#[test]
fn a_measurement_prints_one_object_a_line() {
    let desk = Desk::new();
    let short = ["--prompt", "16", "--context", "4", "--generate", "4", "--repeat", "1", "--threads", "1"];
    let measured =
        desk.run(&[&["bench", "engine", "--json", "--model", "./tiny.gguf"], &short[..]].concat()).ends_with(0);
    let rows: Vec<Value> = measured.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&rows[0]["case"], &rows[1]["case"]), (&"prefill 16".into(), &"decode 4 at 4".into()));
    for row in &rows {
        assert!(row["ours"].as_f64().unwrap() > 0.0, "{row}");
        assert_eq!(row["peer"], Value::Null);
    }
}

/// A line between client and gateway that breaks right after the event in which the host first signs for a part of the
/// stream. Returns its address.
fn line_that_breaks_after_progress(gateway: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let gateway = gateway.strip_prefix("http://").unwrap().to_owned();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), TcpStream::connect(&gateway).unwrap());
            let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            std::thread::spawn(move || pass_until_progress(client, server));
        }
    });
    address
}

fn pass_until_progress(mut client: TcpStream, mut server: TcpStream) {
    let position = |bytes: &[u8], word: &[u8]| bytes.windows(word.len()).position(|window| window == word);
    let (mut passed, mut piece) = (Vec::new(), [0; 4096]);
    while let Ok(length @ 1..) = server.read(&mut piece) {
        let start = passed.len();
        passed.extend_from_slice(&piece[..length]);
        let event = position(&passed, b"\"progress\"");
        let end = event.and_then(|at| Some(at + position(&passed[at..], b"\n\n")? + 2));
        if client.write_all(&passed[start..end.unwrap_or(passed.len())]).is_err() || end.is_some() {
            break;
        }
    }
    for stream in [client, server] {
        drop(stream.shutdown(Shutdown::Both));
    }
}

#[test]
fn what_was_signed_of_a_stream_that_broke_off_is_kept_and_held() {
    let desk = Desk::new();
    desk.run(&["model", "import", "tiny.gguf"]).ends_with(0);
    let node = desk.up(&[]);
    let line = line_that_breaks_after_progress(node.address());
    // The host draws the seed. Some draws end before the host has signed for a part, and their answer is whole.
    let broken = (0..50).find_map(|_| {
        let ask = ["ask", "--gateway", &line, "--max-tokens", "64", "--receipt", "part.json", "--json", "Why?"];
        let run = Run(desk.command(&ask).stdin(Stdio::null()).output().unwrap());
        (run.0.status.code() != Some(0)).then_some(run)
    });
    let broken = broken.unwrap().ends_with(3);
    assert!(broken.stderr().contains("candor verify part.json"), "{}", broken.stderr());
    let held = desk.run(&["verify", "part.json", "--json"]).ends_with(0).json();
    assert_eq!((&held["verdict"], &held["redrawn"]), (&"held".into(), &32.into()));

    tamper(&desk.path("part.json"), &desk.path("other.json"), |document| {
        document["kept_by_client"]["text"] = "Because.".into();
    });
    assert_eq!(desk.run(&["verify", "other.json", "--json"]).ends_with(1).json()["kind"], "token");
    assert_eq!(node.stop(), Some(0));
}
