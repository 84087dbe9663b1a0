//! Errors as JSON-RPC has them.
//!
//! Codes are those that Ethereum's clients know: 3 for a contract that took its call back, -32000 for what cannot be done,
//! -32003 for a transaction that is not taken, -32005 for a limit, -32602 for arguments that make no sense.

use alloy_primitives::{Bytes, hex};
use jsonrpsee::types::ErrorObjectOwned;

use crate::error::{CallError, ChainError, Refusal, StoreError};

const REVERTED: i32 = 3;
const FAILED: i32 = -32_000;
const REFUSED: i32 = -32_003;
const LIMIT: i32 = -32_005;
const ARGUMENTS: i32 = -32_602;
const INTERNAL: i32 = -32_603;

/// What a method fails with.
pub(super) type Fault = ErrorObjectOwned;

/// The answer of a method that cannot fail, in the shape of those that can.
#[expect(clippy::unnecessary_wraps, reason = "methods answer with results")]
pub(super) fn answer<T>(value: T) -> Result<T, Fault> {
    Ok(value)
}

pub(super) fn fault(code: i32, message: impl Into<String>) -> Fault {
    Fault::owned(code, message.into(), None::<()>)
}

/// Arguments that make no sense.
pub(super) fn arguments(message: impl Into<String>) -> Fault {
    fault(ARGUMENTS, message)
}

/// Something that cannot be done.
pub(super) fn failed(message: impl Into<String>) -> Fault {
    fault(FAILED, message)
}

/// More than one request may ask for.
pub(super) fn limit(message: impl Into<String>) -> Fault {
    fault(LIMIT, message)
}

pub(super) fn internal(message: impl Into<String>) -> Fault {
    fault(INTERNAL, message)
}

/// A failure of the chain as a fault of a method.
pub(super) trait IntoFault {
    fn into_fault(self) -> Fault;
}

impl IntoFault for Refusal {
    fn into_fault(self) -> Fault {
        let code = match self {
            Self::ChainId { .. }
            | Self::NonceTooLow { .. }
            | Self::NonceMax
            | Self::Funds { .. }
            | Self::FeeTooLow { .. }
            | Self::TipTooHigh
            | Self::Known
            | Self::Underpriced { .. }
            | Self::PoolFull { .. }
            | Self::Blobs
            | Self::Authorizations
            | Self::Invalid(_) => REFUSED,
            Self::GasTooLow { .. } | Self::GasTooHigh { .. } => FAILED,
            Self::TooLong { .. } => LIMIT,
            Self::Undecodable | Self::Signature | Self::NoSigner(_) => ARGUMENTS,
        };
        fault(code, self.to_string())
    }
}

impl IntoFault for CallError {
    fn into_fault(self) -> Fault {
        match self {
            Self::Refused(refusal) => refusal.into_fault(),
            Self::Reverted(data) => {
                let message = reason(&data)
                    .or_else(|| custom(&data))
                    .map_or_else(|| "execution reverted".to_owned(), |reason| format!("execution reverted: {reason}"));
                Fault::owned(REVERTED, message, Some(data))
            }
            Self::Halted(_) => fault(INTERNAL, self.to_string()),
            Self::Allowance(_) => fault(REFUSED, self.to_string()),
        }
    }
}

impl IntoFault for ChainError {
    fn into_fault(self) -> Fault {
        match self {
            Self::Refused(refusal) => refusal.into_fault(),
            Self::Call(error) => error.into_fault(),
            Self::Timestamp { .. } | Self::Depth { .. } | Self::Dump(_) => arguments(self.to_string()),
            Self::Limit { .. } => limit(self.to_string()),
            Self::Store(_) | Self::Panicked | Self::Closed => internal(self.to_string()),
        }
    }
}

impl IntoFault for StoreError {
    fn into_fault(self) -> Fault {
        tracing::error!(error = %self, "devchain.read_failed");
        internal(self.to_string())
    }
}

/// The bytes of an error of the contract's own.
fn custom(data: &Bytes) -> Option<String> {
    let (selector, rest) = data.split_first_chunk::<4>()?;
    Some(format!("custom error {}: {}", hex::encode_prefixed(selector), hex::encode(rest)))
}

/// The sentence of a contract that fails with `Error(string)`, or the name of what `Panic(uint256)` stands for.
pub(super) fn reason(data: &Bytes) -> Option<String> {
    let (selector, rest) = data.split_first_chunk::<4>()?;
    match *selector {
        ERROR => {
            let length = rest.get(32..64)?;
            let (leading, low) = length.split_at(28);
            let length = u32::from_be_bytes(low.try_into().ok()?) as usize;
            let is_sane = leading.iter().all(|byte| *byte == 0) && length <= rest.len();
            let text = rest.get(64..64 + length).filter(|_| is_sane)?;
            Some(String::from_utf8_lossy(text).into_owned())
        }
        PANIC => rest.get(31).map(|code| format!("panic: {} ({code:#04x})", panic_name(*code))),
        _ => None,
    }
}

/// Selector of `Error(string)`.
const ERROR: [u8; 4] = [0x08, 0xc3, 0x79, 0xa0];
/// Selector of `Panic(uint256)`.
const PANIC: [u8; 4] = [0x4e, 0x48, 0x7b, 0x71];

/// What the compiler's numbers stand for.
fn panic_name(code: u8) -> &'static str {
    match code {
        0x01 => "assertion failed",
        0x11 => "arithmetic underflow or overflow",
        0x12 => "division or modulo by zero",
        0x21 => "failed to convert value into enum type",
        0x22 => "storage byte array incorrectly encoded",
        0x31 => "called `.pop()` on an empty array",
        0x32 => "array out-of-bounds access",
        0x41 => "memory allocation error",
        0x51 => "called an invalid internal function",
        _ => "unknown reason",
    }
}
