//! The key that signs receipts: made at the first start, kept in a key file.

use std::io::ErrorKind;

use anyhow::Context as _;
use claim::HostKey;

use crate::data::DataFolder;
use crate::environment::Passphrase;
use crate::key_file::{self, Written};

/// What its file is called where something is wrong with it.
pub(crate) const WHAT: &str = "the host's key file";

/// Opens the data folder's key, or makes one.
pub(crate) fn open_or_create(data: &DataFolder, passphrase: &Passphrase) -> anyhow::Result<HostKey> {
    let path = data.host_key();
    let open = |text: &str| key_file::decrypt(WHAT, &path, text, passphrase);
    match key_file::read(&path) {
        Ok(text) => open(&text),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let key = key_file::generate()?;
            match key_file::write_new(&path, &key, passphrase)? {
                Written::Done => Ok(key),
                // Two starts at once end with one key.
                Written::WasThere => open(&key_file::read(&path)?),
            }
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {WHAT} {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use std::fs;

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
