//! Which accounts and slots a transaction touches.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{Address, B256, U256};
use revm::Inspector;
use revm::bytecode::opcode;
use revm::interpreter::Interpreter;
use revm::interpreter::interpreter_types::{InputsTr as _, Jumps as _};

/// Watches a transaction and keeps what it touches.
#[derive(Debug)]
pub(crate) struct Accesses {
    /// Accounts that every transaction has at hand: a list need not name them, but for their slots.
    at_hand: HashSet<Address>,
    found: BTreeMap<Address, BTreeSet<B256>>,
}

impl Accesses {
    /// Begins with what somebody lists already.
    pub(crate) fn new(at_hand: HashSet<Address>, listed: AccessList) -> Self {
        let found = listed.0.into_iter().map(|item| (item.address, item.storage_keys.into_iter().collect()));
        Self { at_hand, found: found.collect() }
    }

    /// All that was touched, in order.
    pub(crate) fn finish(self) -> AccessList {
        let item = |(address, keys): (Address, BTreeSet<B256>)| AccessListItem {
            address,
            storage_keys: keys.into_iter().collect(),
        };
        AccessList(self.found.into_iter().map(item).collect())
    }

    fn touch(&mut self, word: U256) {
        let address = Address::from_word(word.into());
        if !self.at_hand.contains(&address) {
            self.found.entry(address).or_default();
        }
    }
}

impl<C> Inspector<C> for Accesses {
    fn step(&mut self, interpreter: &mut Interpreter, _: &mut C) {
        match (interpreter.bytecode.opcode(), interpreter.stack.data().as_slice()) {
            (opcode::SLOAD | opcode::SSTORE, [.., index]) => {
                let account = interpreter.input.target_address();
                self.found.entry(account).or_default().insert(B256::from(*index));
            }
            (
                opcode::BALANCE
                | opcode::EXTCODESIZE
                | opcode::EXTCODECOPY
                | opcode::EXTCODEHASH
                | opcode::SELFDESTRUCT,
                [.., account],
            )
            | (opcode::CALL | opcode::CALLCODE | opcode::DELEGATECALL | opcode::STATICCALL, [.., account, _]) => {
                self.touch(*account);
            }
            _ => {}
        }
    }
}
