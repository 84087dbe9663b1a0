//! The data folder: what lies where.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::environment::Environment;

/// The folder that holds models, keys, receipts, the development chain and the configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DataFolder(PathBuf);

impl DataFolder {
    /// The folder that was asked for, or the usual one of this user.
    pub(crate) fn choose(asked: Option<&Path>, environment: &Environment) -> anyhow::Result<Self> {
        let usual = || environment.data_home.as_ref().map(|home| home.join("candor"));
        let path = asked.map(Path::to_owned).or_else(usual);
        path.map(Self).context("this user has no home folder; name a folder for models and receipts with --data DIR")
    }

    /// The folder itself.
    #[cfg(test)]
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Fetched and imported models.
    pub(crate) fn models(&self) -> PathBuf {
        self.0.join("models")
    }

    /// The key that signs receipts.
    pub(crate) fn host_key(&self) -> PathBuf {
        self.0.join("host-key.json")
    }

    /// The key that pays.
    pub(crate) fn wallet(&self) -> PathBuf {
        self.0.join("wallet.json")
    }

    /// The development chain.
    pub(crate) fn chain(&self) -> PathBuf {
        self.0.join("chain.redb")
    }

    /// Where the contracts are.
    pub(crate) fn deployment(&self) -> PathBuf {
        self.0.join("deployment.json")
    }

    /// What the host offers.
    pub(crate) fn offer(&self) -> PathBuf {
        self.0.join("offer.json")
    }

    /// Payment channels with their newest vouchers.
    pub(crate) fn channels(&self) -> PathBuf {
        self.0.join("channels.jsonl")
    }

    /// Receipts with their evidence.
    pub(crate) fn receipts(&self) -> PathBuf {
        self.0.join("receipts.redb")
    }

    /// Defaults for options.
    pub(crate) fn config(&self) -> PathBuf {
        self.0.join("candor.toml")
    }

    /// Creates the folder, readable by its owner alone, because it holds prompts and a key.
    pub(crate) fn create(&self) -> anyhow::Result<()> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.0).with_context(|| format!("cannot create the data folder {}", self.0.display()))
    }
}
