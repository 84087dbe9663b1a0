//! Key files: made so that they are whole or absent after a crash, and opened with a passphrase.

use std::fs;
use std::io::{ErrorKind, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use claim::HostKey;
use claim::keystore::{self, KeystoreError, Randomness, ScryptCost};
use console::Term;

use crate::environment::Passphrase;

/// The cost of guessing an empty passphrase need not be high, and a start need not wait for it: 16 ms instead of 500.
const COST_WITHOUT_PASSPHRASE_LOG2: u8 = 12;

/// The longest file that is read; the keystore's own limit is the same.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// The text of a file with a secret in it.
pub(crate) fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    Ok(text)
}

/// The key in the text of a file. `what` says whose key it is.
pub(crate) fn decrypt(what: &str, path: &Path, text: &str, passphrase: &Passphrase) -> anyhow::Result<HostKey> {
    keystore::decrypt(text, passphrase.reveal()).map_err(|error| {
        let advice = match error {
            KeystoreError::WrongPassphrase => "; set CANDOR_PASSPHRASE to the one it was made with",
            _ => "; move it away to start with a new key",
        };
        anyhow::anyhow!("cannot open {what} {}: {error}{advice}", path.display())
    })
}

/// How the writing of a new key file ended.
pub(crate) enum Written {
    /// The file is there.
    Done,
    /// There was one before, and it still is.
    WasThere,
}

/// Writes a key into a new file.
pub(crate) fn write_new(path: &Path, key: &HostKey, passphrase: &Passphrase) -> anyhow::Result<Written> {
    let randomness = Randomness { salt: random()?, iv: random()?, uuid: random()? };
    let cost = match passphrase.reveal() {
        "" => ScryptCost::new(COST_WITHOUT_PASSPHRASE_LOG2, 8, 1)
            .context("the cost for an empty passphrase is a constant")?,
        _ => ScryptCost::STANDARD,
    };
    let text = keystore::encrypt(key, passphrase.reveal(), &randomness, cost);
    let draft = draft_path(path);
    let written = write_private(&draft, &text).and_then(|()| fs::hard_link(&draft, path));
    drop(fs::remove_file(&draft));
    match written {
        Ok(()) => Ok(Written::Done),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Written::WasThere),
        Err(error) => Err(error).with_context(|| format!("cannot write the key file {}", path.display())),
    }
}

/// A new key.
pub(crate) fn generate() -> anyhow::Result<HostKey> {
    Ok(HostKey::generate(&random()?))
}

/// The passphrase that opens a file: the environment's, else what a person types.
pub(crate) fn passphrase_to_open(given: &Passphrase, path: &Path) -> anyhow::Result<Passphrase> {
    if given.is_given() || !is_somebody_there() {
        return Ok(given.clone());
    }
    ask(&format!("passphrase of {}: ", path.display()))
}

/// The passphrase for a new file, typed twice where it is typed.
pub(crate) fn passphrase_to_make(given: &Passphrase) -> anyhow::Result<Passphrase> {
    if given.is_given() || !is_somebody_there() {
        return Ok(given.clone());
    }
    let first = ask("new passphrase: ")?;
    if ask("the same again: ")?.reveal() != first.reveal() {
        bail!("the two passphrases differ, and nothing was written");
    }
    Ok(first)
}

fn is_somebody_there() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

fn ask(question: &str) -> anyhow::Result<Passphrase> {
    let terminal = Term::stderr();
    let typed = terminal.write_str(question).and_then(|()| terminal.read_secure_line());
    typed.map(Passphrase::typed).context("cannot read the passphrase from the terminal")
}

fn draft_path(path: &Path) -> PathBuf {
    path.with_extension(format!("json.{}", std::process::id()))
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("the system gives no random bytes: {error}"))?;
    Ok(bytes)
}
