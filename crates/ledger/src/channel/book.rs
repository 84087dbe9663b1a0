//! The channels that somebody has a part in, with the newest voucher of each, in a file.
//!
//! A client keeps here what it has signed, and a host what it has been given. Losing the file costs the host what it has not
//! settled; the client finds its channels again on the chain.
//!
//! The file is a journal: one line of JSON for each change, appended and flushed, so that a voucher costs a host as much with
//! ten thousand channels as with one. Of a channel's lines the voucher over most counts. A last line without an end was not
//! finished and counts as not written. When most lines are outdated, the file is replaced by one that has none of those.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use claim::{
    Address, AddressParseError, Amount, ChannelId, Digest, DigestParseError, HostKey, ModelRoot, ReceiptId, Signature,
};
use serde::{Deserialize, Serialize};

use super::{ChannelDomain, ChannelTerms, Salt, SignedVoucher, Usage, Voucher, VoucherError};
use crate::file::{self, FileError};

/// The longest file that is read: 60,000 channels.
const BOOK_BYTES_MAX: u64 = 64 << 20;

/// A file up to this size is not worth replacing.
const SMALL_BYTES: u64 = 1 << 20;

/// A larger one is replaced when it has this many times the bytes of what counts.
const OUTDATED_FACTOR: u64 = 4;

/// The format.
const VERSION: u16 = 2;

/// Why a book was not read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BookError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The channel is not in the book.
    #[error("the channel {0} is not in the book")]
    UnknownChannel(ChannelId),
    /// The voucher is not one that the contract would take.
    #[error(transparent)]
    Voucher(#[from] VoucherError),
    /// The book has a voucher over as much, or more.
    #[error("the channel has a voucher over {kept} millionths of a dollar already, found one over {found}")]
    Older {
        /// The amount of the voucher in the book.
        kept: u128,
        /// The amount of the one that came.
        found: u128,
    },
}

/// A channel of the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The contract that has it.
    pub domain: ChannelDomain,
    /// What it is between.
    pub terms: ChannelTerms,
    /// The newest voucher.
    pub voucher: Option<SignedVoucher>,
}

/// Why bytes are no channel with its voucher.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct EntryError(String);

impl Entry {
    /// The entry as JSON, in the form of the book's lines.
    pub fn write(&self) -> Vec<u8> {
        // Texts and numbers under fixed names always have a JSON form.
        serde_json::to_vec(&EntryBody::of(self)).unwrap_or_default()
    }

    /// Reads what [`Entry::write`] wrote. Whether the voucher is the client's is not checked.
    ///
    /// # Errors
    ///
    /// It has another form.
    pub fn read(bytes: &[u8]) -> Result<Self, EntryError> {
        let body: EntryBody = serde_json::from_slice(bytes).map_err(|error| EntryError(error.to_string()))?;
        body.entry().map_err(|error| EntryError(error.to_string()))
    }

    /// The channel's name.
    pub fn id(&self) -> ChannelId {
        self.terms.id(self.domain)
    }

    /// What the newest voucher is over.
    pub fn paid(&self) -> Amount {
        self.voucher.map_or(Amount::new(0), |voucher| voucher.voucher.amount())
    }
}

/// What a payment adds to a channel's newest voucher.
#[derive(Clone, Copy, Debug)]
pub struct Addition {
    /// How much more is owed.
    pub amount: Amount,
    /// How many more tokens that is for.
    pub usage: Usage,
    /// The model that answered.
    pub model: ModelRoot,
    /// The receipt that is paid for.
    pub receipt: ReceiptId,
}

/// The file. Several processes may use it at once.
#[derive(Clone, Debug)]
pub struct ChannelBook {
    path: PathBuf,
}

impl ChannelBook {
    /// The book in a file, which need not be there.
    pub const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All channels, in the order in which they came in.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is not such a file.
    pub fn entries(&self) -> Result<Vec<Entry>, FileError> {
        let bytes = match file::read(&self.path, BOOK_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.is_missing() => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        parse(&bytes).map_err(|reason| self.content(reason))
    }

    /// Enters a channel; one that is there already keeps its voucher.
    ///
    /// # Errors
    ///
    /// The file cannot be read or written.
    pub fn add(&self, domain: ChannelDomain, terms: ChannelTerms) -> Result<(), BookError> {
        self.change(|entries| {
            let is_known = entries.iter().any(|known| (known.domain, known.terms) == (domain, terms));
            Ok((!is_known).then_some(Entry { domain, terms, voucher: None }))
        })?;
        Ok(())
    }

    /// Keeps a voucher that the contract would take, if it is over more than the one before. It is on the disk when this returns.
    ///
    /// # Errors
    ///
    /// The channel is not in the book, the voucher is not the client's, or is not newer; or the file cannot be read or written.
    pub fn record(&self, domain: ChannelDomain, voucher: SignedVoucher) -> Result<(), BookError> {
        let id = voucher.voucher.channel();
        self.change(|entries| {
            let mut of_contract = entries.iter().filter(|entry| entry.domain == domain);
            let entry = of_contract.find(|entry| entry.id() == id).ok_or(BookError::UnknownChannel(id))?;
            voucher.verify(domain, &entry.terms)?;
            let (kept, found) = (entry.paid().get(), voucher.voucher.amount().get());
            if entry.voucher.is_some() && kept >= found {
                return Err(BookError::Older { kept, found });
            }
            Ok(Some(Entry { voucher: Some(voucher), ..*entry }))
        })?;
        Ok(())
    }

    /// Signs the channel's next voucher: the last one and `addition`. It is on the disk before anybody can be given it, so that no
    /// two payments of one client are over the same amount, also when several processes pay.
    ///
    /// # Errors
    ///
    /// The sum is more than a channel can count, or the file cannot be read or written.
    pub fn sign_next(
        &self,
        domain: ChannelDomain,
        terms: ChannelTerms,
        addition: Addition,
        client: &HostKey,
    ) -> Result<SignedVoucher, BookError> {
        let Addition { amount, usage, model, receipt } = addition;
        let next = self.change(|entries| {
            let known = entries.iter().find(|known| (known.domain, known.terms) == (domain, terms));
            let last = known.and_then(|entry| entry.voucher).map(|signed| signed.voucher);
            let before = last.map_or(Usage::default(), |voucher| voucher.usage);
            let paid = known.map_or(Amount::new(0), Entry::paid);
            let usage = Usage {
                prompt_tokens: before.prompt_tokens.saturating_add(usage.prompt_tokens),
                output_tokens: before.output_tokens.saturating_add(usage.output_tokens),
            };
            let amount = Amount::new(paid.get().saturating_add(amount.get()));
            let voucher = Voucher::new(terms.id(domain), amount, model, usage, receipt)?.sign(domain, client);
            Ok(Some(Entry { domain, terms, voucher: Some(voucher) }))
        })?;
        next.and_then(|entry| entry.voucher).ok_or_else(|| BookError::UnknownChannel(terms.id(domain)))
    }

    /// Keeps what the caller has checked and knows to be newest, in one flush for all.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn keep(&self, entries: &[Entry]) -> Result<(), FileError> {
        let _lock = self.lock()?;
        self.append(entries)
    }

    /// Changes a channel while nobody else changes the book.
    fn change(
        &self,
        change: impl FnOnce(&[Entry]) -> Result<Option<Entry>, BookError>,
    ) -> Result<Option<Entry>, BookError> {
        let _lock = self.lock()?;
        let changed = change(&self.entries()?)?;
        self.append(changed.as_slice())?;
        Ok(changed)
    }

    /// Keeps others out until it is dropped. It lies beside the book, which may be replaced.
    fn lock(&self) -> Result<File, FileError> {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(".lock");
        let path = self.path.with_file_name(name);
        let io = |source| FileError::Io { verb: "lock", path: path.clone(), source };
        let lock = File::create(&path).map_err(io)?;
        lock.lock().map_err(io)?;
        Ok(lock)
    }

    /// Writes lines behind the last whole one, and flushes. The caller holds the lock.
    fn append(&self, entries: &[Entry]) -> Result<(), FileError> {
        if entries.is_empty() {
            return Ok(());
        }
        if !self.path.exists() {
            return file::replace(&self.path, &whole_file(entries));
        }
        let io = |source| FileError::Io { verb: "write", path: self.path.clone(), source };
        let mut file = OpenOptions::new().read(true).write(true).open(&self.path).map_err(io)?;
        let end = whole(&mut file).map_err(io)?;
        let mut text = Vec::new();
        for entry in entries {
            push_line(&entry.write(), &mut text);
        }
        file.set_len(end).and_then(|()| file.seek(SeekFrom::Start(end))).map_err(io)?;
        file.write_all(&text).and_then(|()| file.sync_data()).map_err(io)?;
        let size_bytes = end.saturating_add(text.len() as u64);
        if size_bytes <= SMALL_BYTES {
            return Ok(());
        }
        let compact = whole_file(&self.entries()?);
        if size_bytes <= OUTDATED_FACTOR.saturating_mul(compact.len() as u64) {
            return Ok(());
        }
        file::replace(&self.path, &compact)
    }

    fn content(&self, reason: String) -> FileError {
        FileError::Content { path: self.path.clone(), reason }
    }
}

/// The file of these entries and no outdated ones.
fn whole_file(entries: &[Entry]) -> Vec<u8> {
    let mut text = format!("{{\"version\":{VERSION}}}\n").into_bytes();
    for entry in entries {
        push_line(&entry.write(), &mut text);
    }
    text
}

fn push_line(line: &[u8], text: &mut Vec<u8>) {
    text.extend_from_slice(line);
    text.push(b'\n');
}

/// Where the last whole line ends.
fn whole(file: &mut File) -> std::io::Result<u64> {
    let size_bytes = file.seek(SeekFrom::End(0))?;
    // No line is longer than this, so an end is found unless there is none.
    let mut tail = Vec::new();
    let from = size_bytes.saturating_sub(LINE_BYTES_MAX);
    file.seek(SeekFrom::Start(from))?;
    file.take(LINE_BYTES_MAX).read_to_end(&mut tail)?;
    Ok(tail.iter().rposition(|&byte| byte == b'\n').map_or(from, |at| from + at as u64 + 1))
}

/// The longest line, with room to spare.
const LINE_BYTES_MAX: u64 = 4 << 10;

/// The entries of a journal, each with the voucher over most.
fn parse(bytes: &[u8]) -> Result<Vec<Entry>, String> {
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let mut lines = bytes[..whole].split(|&byte| byte == b'\n').take_while(|line| !line.is_empty());
    let head = lines.next().ok_or("it has no first line")?;
    let Head { version } = serde_json::from_slice(head).map_err(|error| format!("line 1: {error}"))?;
    if version != VERSION {
        return Err(format!("it has the version {version}, expected {VERSION}"));
    }
    let mut entries: Vec<Entry> = Vec::new();
    let mut places = BTreeMap::new();
    for (line, number) in lines.zip(2..) {
        let entry = Entry::read(line).map_err(|error| format!("line {number}: {error}"))?;
        let place = *places.entry((entry.domain, entry.terms)).or_insert(entries.len());
        match entries.get_mut(place) {
            Some(known) if known.voucher.is_none() || known.paid() < entry.paid() => {
                known.voucher = entry.voucher.or(known.voucher);
            }
            Some(_) => {}
            None => entries.push(entry),
        }
    }
    Ok(entries)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    version: u16,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryBody {
    chain_id: u64,
    contract: String,
    client: String,
    host: String,
    token: String,
    salt: u32,
    voucher: Option<VoucherBody>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct VoucherBody {
    channel: String,
    amount: String,
    model: String,
    prompt_tokens: u64,
    output_tokens: u64,
    receipt: String,
    signature: String,
}

/// What is wrong with an entry of the file.
#[derive(Debug, thiserror::Error)]
enum BodyError {
    #[error(transparent)]
    Address(#[from] AddressParseError),
    #[error(transparent)]
    Digest(#[from] DigestParseError),
    #[error("an amount is a whole number of millionths of a dollar, found {0:?}")]
    Amount(String),
    #[error("a signature is 0x and 130 hexadecimal digits")]
    Signature,
    #[error(transparent)]
    Voucher(#[from] VoucherError),
}

impl EntryBody {
    fn of(entry: &Entry) -> Self {
        let Entry { domain, terms, voucher } = entry;
        Self {
            chain_id: domain.chain_id,
            contract: domain.contract.to_string(),
            client: terms.client.to_string(),
            host: terms.host.to_string(),
            token: terms.token.to_string(),
            salt: terms.salt.get(),
            voucher: voucher.as_ref().map(VoucherBody::of),
        }
    }

    fn entry(&self) -> Result<Entry, BodyError> {
        let address = |text: &str| text.parse::<Address>();
        Ok(Entry {
            domain: ChannelDomain { chain_id: self.chain_id, contract: address(&self.contract)? },
            terms: ChannelTerms {
                client: address(&self.client)?,
                host: address(&self.host)?,
                token: address(&self.token)?,
                salt: Salt::new(self.salt),
            },
            voucher: self.voucher.as_ref().map(VoucherBody::voucher).transpose()?,
        })
    }
}

impl VoucherBody {
    fn of(SignedVoucher { voucher, signature }: &SignedVoucher) -> Self {
        Self {
            channel: voucher.channel().to_string(),
            amount: voucher.amount().to_string(),
            model: voucher.model.to_string(),
            prompt_tokens: voucher.usage.prompt_tokens,
            output_tokens: voucher.usage.output_tokens,
            receipt: voucher.receipt.to_string(),
            signature: alloy::hex::encode_prefixed(signature.to_bytes()),
        }
    }

    fn voucher(&self) -> Result<SignedVoucher, BodyError> {
        let digest = |text: &str| text.parse::<Digest>();
        let amount = self.amount.parse().map_err(|_| BodyError::Amount(self.amount.clone()))?;
        let usage = Usage { prompt_tokens: self.prompt_tokens, output_tokens: self.output_tokens };
        let voucher = Voucher::new(
            ChannelId::new(digest(&self.channel)?),
            Amount::new(amount),
            ModelRoot::new(digest(&self.model)?),
            usage,
            ReceiptId::new(digest(&self.receipt)?),
        )?;
        let mut signature = [0; Signature::SIZE_BYTES];
        alloy::hex::decode_to_slice(&self.signature, &mut signature).map_err(|_| BodyError::Signature)?;
        Ok(SignedVoucher { voucher, signature: Signature::from_bytes(&signature).map_err(VoucherError::from)? })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use claim::HostKey;

    use super::*;

    #[test]
    fn many_at_once_lose_nothing_of_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let book = ChannelBook::new(folder.path().join("channels.jsonl"));
        let domain = ChannelDomain { chain_id: 1, contract: Address::new([1; 20]) };
        let key = HostKey::from_bytes(&[0x11; 32]).unwrap();
        let (client, token) = (key.address(), Address::new([3; 20]));
        let terms = |salt| ChannelTerms { client, host: Address::new([2; 20]), token, salt: Salt::new(salt) };
        let sign = |salt, amount| {
            let (model, receipt) = (ModelRoot::new(Digest::ZERO), ReceiptId::new(Digest::ZERO));
            let id = terms(salt).id(domain);
            Voucher::new(id, Amount::new(amount), model, Usage::default(), receipt).unwrap().sign(domain, &key)
        };
        std::thread::scope(|scope| {
            for salt in 0..4 {
                let (book, terms, sign) = (&book, &terms, &sign);
                scope.spawn(move || {
                    book.add(domain, terms(salt)).unwrap();
                    (1..=5).for_each(|amount| book.record(domain, sign(salt, amount)).unwrap());
                });
            }
        });
        let mut entries = book.entries().unwrap();
        entries.sort_by_key(|entry| entry.terms);
        let expect: Vec<_> =
            (0..4).map(|salt| Entry { domain, terms: terms(salt), voucher: Some(sign(salt, 5)) }).collect();
        assert_eq!(entries, expect);
        let mut names: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|name| name.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["channels.jsonl", "channels.jsonl.lock"]);
    }

    #[test]
    fn a_line_that_was_cut_counts_as_not_written_and_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("channels.jsonl");
        let book = ChannelBook::new(path.clone());
        let domain = ChannelDomain { chain_id: 1, contract: Address::new([1; 20]) };
        let key = HostKey::from_bytes(&[0x11; 32]).unwrap();
        let terms = ChannelTerms {
            client: key.address(),
            host: Address::new([2; 20]),
            token: Address::new([3; 20]),
            salt: Salt::new(0),
        };
        let pay = |amount| {
            let (model, receipt) = (ModelRoot::new(Digest::ZERO), ReceiptId::new(Digest::ZERO));
            let usage = Usage { prompt_tokens: 1, output_tokens: 2 };
            let addition = Addition { amount: Amount::new(amount), usage, model, receipt };
            book.sign_next(domain, terms, addition, &key).unwrap()
        };
        pay(10);
        let before = std::fs::read(&path).unwrap();
        pay(5);
        let after = std::fs::read(&path).unwrap();
        for cut in before.len()..after.len() {
            std::fs::write(&path, &after[..cut]).unwrap();
            assert_eq!(book.entries().unwrap()[0].paid(), Amount::new(10), "{cut}");
            let next = pay(7);
            assert_eq!(next.voucher.amount(), Amount::new(17));
            assert_eq!(next.voucher.usage, Usage { prompt_tokens: 2, output_tokens: 4 });
            assert_eq!(book.entries().unwrap()[0].voucher, Some(next), "{cut}");
        }
        std::fs::write(&path, [&before, b"{}\n".as_slice()].concat()).unwrap();
        assert!(book.entries().unwrap_err().to_string().contains("line 3: missing field"));
    }

    #[test]
    fn outdated_lines_go_when_they_are_most_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let book = ChannelBook::new(folder.path().join("channels.jsonl"));
        let domain = ChannelDomain { chain_id: 1, contract: Address::new([1; 20]) };
        let key = HostKey::from_bytes(&[0x11; 32]).unwrap();
        let terms = |salt| ChannelTerms {
            client: key.address(),
            host: Address::new([2; 20]),
            token: Address::new([3; 20]),
            salt: Salt::new(salt),
        };
        let entry = |salt, amount| {
            let (model, receipt) = (ModelRoot::new(Digest::ZERO), ReceiptId::new(Digest::ZERO));
            let voucher =
                Voucher::new(terms(salt).id(domain), Amount::new(amount), model, Usage::default(), receipt).unwrap();
            Entry { domain, terms: terms(salt), voucher: Some(voucher.sign(domain, &key)) }
        };
        let newest = [entry(0, 9), entry(1, 8)];
        let older: Vec<_> = (0..600).map(|amount| entry(0, amount % 9)).collect();
        book.keep(&newest).unwrap();
        let mut longest = 0;
        for _ in 0..8 {
            book.keep(&older).unwrap();
            longest = std::fs::metadata(book.path()).unwrap().len().max(longest);
            assert_eq!(book.entries().unwrap(), newest);
        }
        assert!(longest > SMALL_BYTES / 2 && longest <= SMALL_BYTES, "{longest}");
    }
}
