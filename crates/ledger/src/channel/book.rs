//! The channels that somebody has a part in, with the newest voucher of each, in a file.
//!
//! A client keeps here what it has signed, and a host what it has been given. Losing the file costs the host what it has not
//! settled; the client finds its channels again on the chain.

use std::fs::File;
use std::path::{Path, PathBuf};

use claim::{Address, AddressParseError, Amount, ChannelId, Digest, DigestParseError, ModelRoot, ReceiptId, Signature};
use serde::{Deserialize, Serialize};

use super::{ChannelDomain, ChannelTerms, Salt, SignedVoucher, Usage, Voucher, VoucherError};
use crate::file::{self, FileError};

/// The longest file that is read: 60,000 channels.
const BOOK_BYTES_MAX: u64 = 64 << 20;

/// The format.
const VERSION: u16 = 1;

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

impl Entry {
    /// The channel's name.
    pub fn id(&self) -> ChannelId {
        self.terms.id(self.domain)
    }
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
        let content = |reason: String| FileError::Content { path: self.path.clone(), reason };
        let book: BookBody = serde_json::from_slice(&bytes).map_err(|error| content(error.to_string()))?;
        if book.version != VERSION {
            return Err(content(format!("it has the version {}, expected {VERSION}", book.version)));
        }
        book.channels.iter().map(|body| body.entry().map_err(|error| content(error.to_string()))).collect()
    }

    /// Enters a channel; one that is there already keeps its voucher.
    ///
    /// # Errors
    ///
    /// The file cannot be read or written.
    pub fn add(&self, domain: ChannelDomain, terms: ChannelTerms) -> Result<(), BookError> {
        self.change(|entries| {
            let entry = Entry { domain, terms, voucher: None };
            if !entries.iter().any(|known| (known.domain, known.terms) == (domain, terms)) {
                entries.push(entry);
            }
            Ok(())
        })
    }

    /// Keeps a voucher that the contract would take, if it is over more than the one before. It is on the disk when this returns.
    ///
    /// # Errors
    ///
    /// The channel is not in the book, the voucher is not the client's, or is not newer; or the file cannot be read or written.
    pub fn record(&self, domain: ChannelDomain, voucher: SignedVoucher) -> Result<(), BookError> {
        let id = voucher.voucher.channel();
        self.change(|entries| {
            let mut of_contract = entries.iter_mut().filter(|entry| entry.domain == domain);
            let entry = of_contract.find(|entry| entry.id() == id).ok_or(BookError::UnknownChannel(id))?;
            voucher.verify(domain, &entry.terms)?;
            if let Some(kept) = entry.voucher.filter(|kept| kept.voucher.amount() >= voucher.voucher.amount()) {
                let (kept, found) = (kept.voucher.amount().get(), voucher.voucher.amount().get());
                return Err(BookError::Older { kept, found });
            }
            entry.voucher = Some(voucher);
            Ok(())
        })
    }

    /// Changes the book while nobody else does.
    fn change(&self, change: impl FnOnce(&mut Vec<Entry>) -> Result<(), BookError>) -> Result<(), BookError> {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(".lock");
        let lock_path = self.path.with_file_name(name);
        let io = |source| FileError::Io { verb: "lock", path: lock_path.clone(), source };
        let lock = File::create(&lock_path).map_err(io)?;
        lock.lock().map_err(io)?;
        let before = self.entries()?;
        let mut entries = before.clone();
        change(&mut entries)?;
        if entries == before {
            return Ok(());
        }
        let book = BookBody { version: VERSION, channels: entries.iter().map(EntryBody::of).collect() };
        let mut text = serde_json::to_vec_pretty(&book)
            .map_err(|error| FileError::Content { path: self.path.clone(), reason: error.to_string() })?;
        text.push(b'\n');
        // The lock goes with the file that holds it.
        Ok(file::replace(&self.path, &text)?)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BookBody {
    version: u16,
    channels: Vec<EntryBody>,
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
        let book = ChannelBook::new(folder.path().join("channels.json"));
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
        assert_eq!(names, ["channels.json", "channels.json.lock"]);
    }
}
