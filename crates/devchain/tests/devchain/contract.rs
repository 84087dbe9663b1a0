//! Contracts small enough to be written by hand.

use alloy_primitives::{Address, Bytes, U256};

/// Code that puts other code on the chain.
pub(crate) fn creation(runtime: &[u8]) -> Bytes {
    let length = u8::try_from(runtime.len()).unwrap();
    // PUSH1 length, PUSH1 12, PUSH1 0, CODECOPY, PUSH1 length, PUSH1 0, RETURN: twelve bytes, then the code.
    let head = [0x60, length, 0x60, 0x0c, 0x60, 0x00, 0x39, 0x60, length, 0x60, 0x00, 0xf3];
    [head.as_slice(), runtime].concat().into()
}

/// Adds the number that it is called with to its first slot, logs the sum and returns it.
pub(crate) const COUNTER: &[u8] = &[
    0x5f, 0x54, 0x5f, 0x35, 0x01, 0x5f, 0x55, // slot 0 += argument
    0x5f, 0x54, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xa0, // log0(slot 0)
    0x60, 0x20, 0x5f, 0xf3, // return it
];

/// Fails with the bytes that it is called with.
pub(crate) const OBJECTOR: &[u8] = &[0x36, 0x5f, 0x5f, 0x37, 0x36, 0x5f, 0xfd];

/// Returns the hash of the block whose number it is called with.
pub(crate) const HISTORIAN: &[u8] = &[0x5f, 0x35, 0x40, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3];

/// A number as a contract reads it.
pub(crate) fn word(number: u64) -> Bytes {
    U256::from(number).to_be_bytes::<32>().into()
}

/// An account that nobody has the key of.
pub(crate) fn stranger(number: u64) -> Address {
    Address::from_word(U256::from(0xabcd_0000 + number).into())
}
