//! Bytes that are sent as transactions: whatever they are, the chain reads them in one way, and goes on.

use alloy_consensus::{TxEip1559, TxEip2930, TxEip7702, TxLegacy, TypedTransaction};
use alloy_eips::eip2718::Encodable2718 as _;
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use devchain::{Chain, Config, Key, Transaction};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::contract::{COUNTER, creation, stranger};

fn key() -> Key {
    Key::development()[0].clone()
}

/// Reads bytes as a transaction, and sends it where they are one.
fn send(bytes: &[u8]) {
    let Ok(transaction) = Transaction::decode(bytes) else { return };
    assert_eq!(transaction.envelope().encoded_2718(), bytes, "one transaction has one encoding");
    let mut chain = Chain::new(Config::development(), 1_700_000_000);
    let taken = chain.submit(transaction.clone(), 1_700_000_000);
    let head = chain.history().head().clone();
    let is_mined = head.number() == 1;
    assert!(!is_mined || taken.is_ok(), "what is in a block was taken");
    assert_eq!(chain.history().place(transaction.hash()).is_some(), is_mined);
    assert_eq!(head.header().state_root, chain.history().state().root());
    // And whatever waits now does not keep the next block away.
    chain.mine(1_700_000_001).unwrap();
}

/// The numbers at which something overflows, and some in between.
fn number() -> impl Strategy<Value = u128> {
    prop_oneof![
        Just(0),
        Just(1),
        Just(21_000),
        Just(1_000_000_000),
        Just(30_000_000),
        Just(u128::from(u64::MAX)),
        Just(u128::MAX),
        0..100_000_u128,
        any::<u128>(),
    ]
}

fn wei() -> impl Strategy<Value = U256> {
    prop_oneof![number().prop_map(U256::from), Just(U256::MAX), any::<[u8; 32]>().prop_map(U256::from_be_bytes)]
}

fn input() -> impl Strategy<Value = Bytes> {
    prop_oneof![vec(any::<u8>(), 0..80).prop_map(Bytes::from), Just(creation(COUNTER)), Just(Bytes::new())]
}

fn kind() -> impl Strategy<Value = TxKind> {
    let low = (0_u64..20).prop_map(|number| TxKind::Call(Address::from_word(U256::from(number).into())));
    prop_oneof![Just(TxKind::Create), Just(TxKind::Call(stranger(1))), Just(TxKind::Call(key().address())), low]
}

fn access_list() -> impl Strategy<Value = AccessList> {
    let item = (0_u64..4, vec(any::<u8>().prop_map(B256::repeat_byte), 0..4))
        .prop_map(|(number, storage_keys)| AccessListItem { address: stranger(number), storage_keys });
    vec(item, 0..4).prop_map(AccessList)
}

fn authorizations() -> impl Strategy<Value = Vec<SignedAuthorization>> {
    let one = (wei(), number(), any::<u8>(), 0_u64..4).prop_map(|(chain_id, nonce, parity, number)| {
        let authorization = Authorization { chain_id, address: stranger(number), nonce: nonce as u64 };
        let signature = Key::development()[1].sign(authorization.signature_hash());
        SignedAuthorization::new_unchecked(authorization, parity % 3, signature.r(), signature.s())
    });
    vec(one, 0..3)
}

/// A transaction of any kind that this chain takes, with whatever numbers.
fn transaction() -> impl Strategy<Value = TypedTransaction> {
    let chain_id = prop_oneof![4 => Just(31_337), 1 => number().prop_map(|number| number as u64)];
    let nonce = prop_oneof![3 => Just(0), 1 => number().prop_map(|number| number as u64)];
    let numbers = (chain_id, nonce, number(), number(), number(), wei());
    (0..5, numbers, kind(), input(), access_list(), authorizations()).prop_map(
        |(which, (chain_id, nonce, gas, fee, tip, value), to, input, access_list, authorization_list)| {
            let gas_limit = gas as u64;
            match which {
                0 | 1 => TypedTransaction::Legacy(TxLegacy {
                    chain_id: (which == 0).then_some(chain_id),
                    nonce,
                    gas_price: fee,
                    gas_limit,
                    to,
                    value,
                    input,
                }),
                2 => TypedTransaction::Eip2930(TxEip2930 {
                    chain_id,
                    nonce,
                    gas_price: fee,
                    gas_limit,
                    to,
                    value,
                    access_list,
                    input,
                }),
                3 => TypedTransaction::Eip1559(TxEip1559 {
                    chain_id,
                    nonce,
                    gas_limit,
                    max_fee_per_gas: fee,
                    max_priority_fee_per_gas: tip,
                    to,
                    value,
                    access_list,
                    input,
                }),
                _ => TypedTransaction::Eip7702(TxEip7702 {
                    chain_id,
                    nonce,
                    gas_limit,
                    max_fee_per_gas: fee,
                    max_priority_fee_per_gas: tip,
                    to: to.into_to().unwrap_or_default(),
                    value,
                    access_list,
                    authorization_list,
                    input,
                }),
            }
        },
    )
}

fn encoded(transaction: TypedTransaction) -> Vec<u8> {
    Transaction::sign(transaction, &key()).envelope().encoded_2718()
}

/// One change of some bytes.
#[derive(Debug, Clone)]
enum Edit {
    Set(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Cut(prop::sample::Index),
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        match self {
            Self::Set(at, byte) => *at.get_mut(bytes.as_mut_slice()) = *byte,
            Self::Insert(at, byte) => bytes.insert(at.index(bytes.len()), *byte),
            Self::Remove(at) => drop(bytes.remove(at.index(bytes.len()))),
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
        }
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        4 => (at(), any::<u8>()).prop_map(|(at, byte)| Edit::Set(at, byte)),
        2 => (at(), any::<u8>()).prop_map(|(at, byte)| Edit::Insert(at, byte)),
        2 => at().prop_map(Edit::Remove),
        1 => at().prop_map(Edit::Cut),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..300), first in prop_oneof![Just(None), (0_u8..8).prop_map(Some)]) {
        send(&first.into_iter().chain(bytes).collect::<Vec<_>>());
    }

    #[test]
    fn transactions_with_any_numbers(transaction in transaction()) {
        send(&encoded(transaction));
    }

    #[test]
    fn transactions_with_some_bytes_changed(transaction in transaction(), edits in vec(edit(), 1..4)) {
        let mut bytes = encoded(transaction);
        for edit in &edits {
            edit.apply(&mut bytes);
        }
        send(&bytes);
    }
}
