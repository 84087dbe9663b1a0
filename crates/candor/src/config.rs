//! Options from two places: the command line, and behind it a file.
//!
//! The options of a command are declared once, as a struct that clap reads from arguments and serde from the command's
//! table in the file. [`Config::merge`] lays the one over the other; each command then turns the outcome into values that
//! cannot be inconsistent.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cli::Shared;
use crate::data::DataFolder;
use crate::environment::Environment;
use crate::exit::UsageError;

/// Bounds what is read of a configuration file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Tables of the file: one for each of these commands, and one for the chain that many of them use.
const SECTIONS: [&str; 5] = ["up", "ask", "verify", "bench", "chain"];

/// The data folder, and the options that the configuration file gives.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// The data folder.
    pub(crate) data: DataFolder,
    path: PathBuf,
    file: toml::Table,
}

impl Config {
    /// Reads the file named by `--config`, else `candor.toml` in the data folder if there is one.
    pub(crate) fn load(shared: &Shared, environment: &Environment) -> anyhow::Result<Self> {
        let Some(path) = &shared.config else {
            let data = DataFolder::choose(shared.data.as_deref(), environment)?;
            let path = data.config();
            let file = if path.exists() { read(&path)? } else { toml::Table::new() };
            if file.contains_key("data") {
                let reason = "it lies in the data folder and so cannot choose it; use --data or --config";
                return Err(wrong(&path, &format!("`data` is not allowed here: {reason}")));
            }
            return Ok(Self { data, path, file });
        };
        let mut file = read(path)?;
        let from_file = match file.remove("data") {
            Some(toml::Value::String(text)) => Some(PathBuf::from(text)),
            Some(_) => return Err(wrong(path, "`data` must be a string")),
            None => None,
        };
        let data = DataFolder::choose(shared.data.as_deref().or(from_file.as_deref()), environment)?;
        Ok(Self { data, path: path.clone(), file })
    }

    /// The options of a command: those given as arguments, then those of the file's table.
    pub(crate) fn merge<Options>(&self, section: &str, arguments: &Options) -> anyhow::Result<Options>
    where
        Options: Serialize + DeserializeOwned,
    {
        let from_file = self.file.get(section).cloned().unwrap_or_else(|| toml::Table::new().into());
        let Value::Object(mut merged) = serde_json::to_value(from_file)? else {
            return Err(wrong(&self.path, &format!("`{section}` must be a table")));
        };
        // The file alone must be sound too: otherwise a mistake in it would hide behind an argument.
        let check = |table: &serde_json::Map<String, Value>| serde_json::from_value(Value::Object(table.clone()));
        let _: Options = check(&merged).map_err(|error| wrong(&self.path, &format!("[{section}] {error}")))?;
        if let Value::Object(given) = serde_json::to_value(arguments)? {
            merged.extend(given.into_iter().filter(|(_, value)| !value.is_null()));
        }
        Ok(check(&merged)?)
    }
}

fn read(path: &Path) -> anyhow::Result<toml::Table> {
    let size_bytes = std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.len();
    if size_bytes > FILE_BYTES_MAX {
        return Err(wrong(path, &format!("it has {size_bytes} bytes, at most {FILE_BYTES_MAX} are read")));
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let file: toml::Table = toml::from_str(&text).map_err(|error| wrong(path, error.to_string().trim_end()))?;
    let unknown = file.keys().find(|key| !SECTIONS.contains(&key.as_str()) && *key != "data");
    match unknown {
        Some(key) => {
            Err(wrong(path, &format!("`{key}` is not known here; known are the tables {}", SECTIONS.join(", "))))
        }
        None => Ok(file),
    }
}

fn wrong(path: &Path, reason: &str) -> anyhow::Error {
    UsageError(format!("the configuration file {} is wrong: {reason}", path.display())).into()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;
    use crate::chain_access::ChainOptions;
    use crate::commands::ask::AskOptions;
    use crate::commands::up::UpOptions;

    fn load(text: &str) -> (tempfile::TempDir, anyhow::Result<Config>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("candor.toml"), text).unwrap();
        let shared = Shared { data: Some(folder.path().into()), ..Shared::default() };
        let config = Config::load(&shared, &Environment::default());
        (folder, config)
    }

    #[test]
    fn an_argument_goes_before_the_file_and_the_file_before_nothing() {
        let (_folder, config) = load("[up]\nport = 1\nmodel = 'a'\n");
        let arguments = UpOptions { port: Some(2), ..UpOptions::default() };
        let merged = config.unwrap().merge("up", &arguments).unwrap();
        assert_eq!((merged.port, merged.model.as_deref(), merged.threads), (Some(2), Some("a"), None));
    }

    #[test]
    fn the_chain_is_set_once_for_all_commands_and_money_is_text() {
        let text = "[chain]\nurl = 'http://a'\ndeployment = 'd.json'\n[up]\nprice = '0.05/0.2'\ncredit = '0.1'\n";
        let (_folder, config) = load(text);
        let config = config.unwrap();
        let arguments = ChainOptions { chain: Some("http://b".to_owned()), ..ChainOptions::default() };
        let chain = config.merge("chain", &arguments).unwrap();
        assert_eq!((chain.chain.as_deref(), chain.deployment), (Some("http://b"), Some("d.json".into())));
        let up = config.merge("up", &UpOptions::default()).unwrap();
        assert_eq!(
            (up.price.unwrap().to_string(), up.credit.unwrap().to_string()),
            ("0.05/0.20".into(), "0.10".into())
        );
        let (_folder, config) = load("[up]\nprice = 0.05\n");
        assert!(config.unwrap().merge("up", &UpOptions::default()).is_err());
    }

    #[test]
    fn a_seed_keeps_all_its_64_bits() {
        let (_folder, config) = load("");
        let arguments = AskOptions { seed: Some(u64::MAX), ..AskOptions::default() };
        assert_eq!(config.unwrap().merge("ask", &arguments).unwrap().seed, Some(u64::MAX));
    }

    #[test]
    fn mistakes_in_the_file_are_named() {
        let check = |text: &str, expect: &str| {
            let (_folder, config) = load(text);
            let merged =
                config.and_then(|config| config.merge("up", &UpOptions { port: Some(2), ..UpOptions::default() }));
            let error = merged.unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
            assert!(error.contains("candor.toml"), "{error}");
        };
        check("[up]\nprot = 1\n", "prot");
        check("[up]\nport = 'one'\n", "[up] invalid type");
        check("[up]\nport = 65536\n", "[up] invalid value");
        check("[down]\n", "`down` is not known");
        check("up = 1\n", "`up` must be a table");
        check("[up\n", "wrong");
        check("data = '/elsewhere'\n", "cannot choose it");
    }

    #[test]
    fn the_data_folder_is_the_arguments_then_the_named_file_s_then_the_users() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        std::fs::write(&path, "data = '/from/file'\n[up]\nport = 5\n").unwrap();
        let environment = Environment { data_home: Some("/home/share".into()), ..Environment::default() };
        let mut shared = Shared { config: Some(path), ..Shared::default() };
        let config = Config::load(&shared, &environment).unwrap();
        assert_eq!(config.data.path(), Path::new("/from/file"));
        assert_eq!(config.merge("up", &UpOptions::default()).unwrap().port, Some(5));
        shared.data = Some("/from/argument".into());
        assert_eq!(Config::load(&shared, &environment).unwrap().data.path(), Path::new("/from/argument"));
        let config = Config::load(&Shared::default(), &environment).unwrap();
        assert_eq!(config.data.path(), Path::new("/home/share/candor"));
    }
}
