//! What can go wrong between a caller and a contract.

use alloy::json_abi::JsonAbi;
use alloy::primitives::{Address, B256, Bytes, hex};

use crate::Artefact;

/// Why the ledger did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The address of the chain is none.
    #[error("`{url}` is not the address of a chain: {reason}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The chain does not answer, or not in time.
    #[error("the chain at {url} does not answer: {reason}")]
    Unreachable {
        /// Where it should be.
        url: String,
        /// What happened.
        reason: String,
    },
    /// The chain refuses a request.
    #[error("the chain refused `{method}`: {message}")]
    Refused {
        /// The request.
        method: &'static str,
        /// The number of the error.
        code: i64,
        /// What it says.
        message: String,
    },
    /// The chain is the right one, and the contracts are not on it.
    #[error("there is no court at {at}")]
    NoCourt {
        /// Where it should be.
        at: Address,
    },
    /// A contract took a call back.
    #[error("the contract refused: {reason}")]
    Reverted {
        /// The contract's error, by its name where it is known.
        reason: String,
        /// The error as it came.
        data: Bytes,
    },
    /// A transaction was mined and failed.
    #[error("transaction {hash} failed in block {block}: {reason}")]
    Failed {
        /// The transaction.
        hash: B256,
        /// Its block.
        block: u64,
        /// What the same call says afterwards.
        reason: String,
    },
    /// A transaction was sent, and for a long time the chain has not said that it is mined. It may be, or may still become so.
    #[error(
        "transaction {hash} is not known to be mined after {seconds} s ({reason}); it may be, so look at it before \
         sending another"
    )]
    Pending {
        /// The transaction.
        hash: B256,
        /// How long it was waited for.
        seconds: u64,
        /// What went wrong last.
        reason: String,
    },
    /// Another transaction of this account took the place of this one.
    #[error("another transaction of {account} has number {nonce}, so {hash} will never be mined")]
    Replaced {
        /// The account.
        account: Address,
        /// The number of both.
        nonce: u64,
        /// This one.
        hash: B256,
    },
    /// The chain answers something that is no answer.
    #[error("the chain's answer to `{method}` cannot be read: {reason}")]
    Answer {
        /// The request.
        method: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The chain is another one than the one that is asked for.
    #[error("this is chain {found}, expected {expected}")]
    ChainId {
        /// Expected.
        expected: u64,
        /// Found.
        found: u64,
    },
}

/// The number of an error inside of whatever answers, which has no opinion about the request.
const INTERNAL: i64 = -32_603;

impl LedgerError {
    /// Whether the chain may have done what was asked for, as far as this tells.
    pub(crate) fn says_nothing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Answer { .. } | Self::Refused { code: INTERNAL, .. })
    }
}

/// The name of a contract's error, with its arguments as words.
pub(crate) fn reason(data: &[u8]) -> String {
    let Some((selector, arguments)) = data.split_first_chunk::<4>() else {
        return "it gave no reason".to_owned();
    };
    for artefact in Artefact::ALL {
        let Some(abi) = interface(*artefact) else { continue };
        if let Some(error) = abi.errors().find(|error| error.selector() == *selector) {
            let words: Vec<String> = arguments.chunks(32).map(short).collect();
            return format!("{}({})", error.name, words.join(", "));
        }
    }
    format!("error {} ({} bytes)", hex::encode_prefixed(selector), arguments.len())
}

/// The interface of an artefact.
pub(crate) fn interface(artefact: Artefact) -> Option<JsonAbi> {
    #[derive(serde::Deserialize)]
    struct File {
        abi: JsonAbi,
    }
    serde_json::from_str::<File>(artefact.json()).ok().map(|file| file.abi)
}

/// A word as a number where it is a small one.
fn short(word: &[u8]) -> String {
    let first = word.iter().position(|&byte| byte != 0).unwrap_or(word.len());
    match u64::from_str_radix(&hex::encode(&word[first..]), 16) {
        Ok(number) => number.to_string(),
        Err(_) if first == word.len() => "0".to_owned(),
        Err(_) => hex::encode_prefixed(word),
    }
}
