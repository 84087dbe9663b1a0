//! The key that signs receipts: made at the first start, kept in a key file.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use claim::HostKey;
use claim::keystore::{self, KeystoreError, Randomness, ScryptCost};

use crate::data::DataFolder;
use crate::environment::Passphrase;

/// The cost of guessing an empty passphrase need not be high, and a start need not wait for it: 16 ms instead of 500.
const COST_WITHOUT_PASSPHRASE_LOG2: u8 = 12;

/// Opens the data folder's key, or makes one.
pub(crate) fn open_or_create(data: &DataFolder, passphrase: &Passphrase) -> anyhow::Result<HostKey> {
    let path = data.host_key();
    match fs::read_to_string(&path) {
        Ok(text) => open(&path, &text, passphrase),
        Err(error) if error.kind() == ErrorKind::NotFound => create(&path, passphrase),
        Err(error) => Err(error).with_context(|| format!("cannot read the host's key file {}", path.display())),
    }
}

fn open(path: &Path, text: &str, passphrase: &Passphrase) -> anyhow::Result<HostKey> {
    keystore::decrypt(text, passphrase.reveal()).map_err(|error| {
        let advice = match error {
            KeystoreError::WrongPassphrase => "; set CANDOR_PASSPHRASE to the one it was made with",
            _ => "; move it away to start with a new key",
        };
        anyhow::anyhow!("cannot open the host's key file {}: {error}{advice}", path.display())
    })
}

/// Writes a new key so that it is whole or absent after a crash, and so that two starts at once end with one key.
fn create(path: &Path, passphrase: &Passphrase) -> anyhow::Result<HostKey> {
    let key = HostKey::generate(&random()?);
    let randomness = Randomness { salt: random()?, iv: random()?, uuid: random()? };
    let cost = match passphrase.reveal() {
        "" => ScryptCost::new(COST_WITHOUT_PASSPHRASE_LOG2, 8, 1)
            .context("the cost for an empty passphrase is a constant")?,
        _ => ScryptCost::STANDARD,
    };
    let text = keystore::encrypt(&key, passphrase.reveal(), &randomness, cost);
    let draft = draft_path(path);
    let written = write_private(&draft, &text).and_then(|()| fs::hard_link(&draft, path));
    drop(fs::remove_file(&draft));
    match written {
        Ok(()) => Ok(key),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => open(path, &fs::read_to_string(path)?, passphrase),
        Err(error) => Err(error).with_context(|| format!("cannot write the host's key file {}", path.display())),
    }
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;
    use crate::environment::Environment;

    #[test]
    fn a_key_is_made_once_kept_private_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataFolder::choose(Some(folder.path()), &Environment::default()).unwrap();
        let made = open_or_create(&data, &Passphrase::default()).unwrap();
        let found = open_or_create(&data, &Passphrase::default()).unwrap();
        assert_eq!(made.address(), found.address());
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|name| name.unwrap().file_name()).collect();
        assert_eq!(names, ["host-key.json"]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(data.host_key()).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_broken_key_file_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataFolder::choose(Some(folder.path()), &Environment::default()).unwrap();
        fs::write(data.host_key(), "{}").unwrap();
        let error = open_or_create(&data, &Passphrase::default()).unwrap_err().to_string();
        assert!(error.contains("move it away"), "{error}");
        assert_eq!(fs::read_to_string(data.host_key()).unwrap(), "{}");
    }
}
