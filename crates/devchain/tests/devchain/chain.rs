//! The chain in memory, without a clock and without a wire.

use alloy_primitives::{Address, B256, Bytes, U256};
use devchain::{CallError, Chain, ChainError, Config, End, Hardfork, Key, Message, Mining, Refusal, Transaction};

use crate::contract::{COUNTER, HISTORIAN, OBJECTOR, creation, stranger, word};

/// The time at which all these chains begin.
const START: u64 = 1_700_000_000;

fn chain() -> Chain {
    Chain::new(Config::development(), START)
}

fn alice() -> Address {
    Key::development()[0].address()
}

/// Puts a contract on the chain.
fn deploy(chain: &mut Chain, runtime: &[u8]) -> Address {
    let mined = chain.execute(&Message::create(alice(), creation(runtime)), START).unwrap();
    assert_eq!(mined.executed[0].end, End::Success);
    mined.block.transactions()[0].creates().unwrap()
}

fn add(chain: &mut Chain, counter: Address, number: u64) -> Bytes {
    let mined = chain.execute(&Message::call(alice(), counter, word(number)), START).unwrap();
    mined.executed[0].output.clone()
}

/// A payment of one wei, signed.
fn payment(key: &Key, nonce: u64, fee: u128) -> Transaction {
    let transaction = alloy_consensus::TxEip1559 {
        chain_id: devchain::CHAIN_ID,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: fee,
        max_priority_fee_per_gas: 1,
        to: stranger(0).into(),
        value: U256::ONE,
        ..Default::default()
    };
    Transaction::sign(transaction.into(), key)
}

#[test]
fn a_contract_counts_and_logs() {
    let mut chain = chain();
    let counter = deploy(&mut chain, COUNTER);
    assert_eq!(add(&mut chain, counter, 5), word(5));
    assert_eq!(add(&mut chain, counter, 7), word(12));
    let receipt = &chain.history().head().receipts()[0];
    assert_eq!((receipt.logs()[0].address, receipt.logs()[0].data.data.clone()), (counter, word(12)));
    assert_eq!(chain.history().state().storage(counter, U256::ZERO), U256::from(12));
    assert_eq!(chain.call(&Message::call(alice(), counter, word(1))), Ok(word(13)));
    assert_eq!(chain.history().state().storage(counter, U256::ZERO), U256::from(12), "a call changes nothing");
}

#[test]
fn a_failure_is_in_the_block_with_its_reason() {
    let mut chain = chain();
    let objector = deploy(&mut chain, OBJECTOR);
    let message = Message::call(alice(), objector, b"no".as_slice());
    let mined = chain.execute(&message, START).unwrap();
    assert_eq!((mined.executed[0].end.clone(), mined.executed[0].output.as_ref()), (End::Reverted, b"no".as_slice()));
    assert!(!mined.block.receipts()[0].status());
    assert_eq!(chain.call(&message), Err(CallError::Reverted(Bytes::from_static(b"no"))));
}

#[test]
fn headers_commit_to_what_they_say() {
    let mut chain = chain();
    let counter = deploy(&mut chain, COUNTER);
    add(&mut chain, counter, 3);
    let blocks: Vec<_> = chain.history().blocks().cloned().collect();
    assert_eq!(blocks.len(), 3);
    for pair in blocks.windows(2) {
        assert_eq!(pair[1].header().parent_hash, pair[0].hash());
    }
    for block in blocks {
        assert_eq!(block.hash(), block.header().hash_slow());
        assert_eq!(block.header().state_root, chain.history().state_at(block.number()).unwrap().root());
        let envelopes: Vec<_> = block.transactions().iter().map(Transaction::envelope).collect();
        assert_eq!(block.header().transactions_root, alloy_consensus::proofs::calculate_transaction_root(&envelopes));
        assert_eq!(block.header().receipts_root, alloy_consensus::proofs::calculate_receipt_root(block.receipts()));
    }
}

#[test]
fn contracts_know_the_last_256_blocks() {
    let mut chain = chain();
    let historian = deploy(&mut chain, HISTORIAN);
    chain.mine_many(300, None, START).unwrap();
    let head = chain.history().head().number();
    let ask = |chain: &Chain, number| chain.call(&Message::call(alice(), historian, word(number))).unwrap();
    let hash = |number| Bytes::from(chain.history().hash(number).unwrap().0);
    assert_eq!(ask(&chain, head - 1), hash(head - 1));
    assert_eq!(ask(&chain, head - 256), hash(head - 256));
    assert_eq!(ask(&chain, head - 257), word(0));
    assert_eq!(ask(&chain, head + 1), word(0));
    // The contract of EIP-2935 knows more.
    let storage = alloy_eips::eip2935::HISTORY_STORAGE_ADDRESS;
    assert_eq!(chain.call(&Message::call(alice(), storage, word(3))), Ok(hash(3)));
}

#[test]
fn snapshots_are_gone_back_to_once() {
    let mut chain = chain();
    let counter = deploy(&mut chain, COUNTER);
    add(&mut chain, counter, 1);
    let (outer, head) = (chain.snapshot(), chain.history().head().hash());
    add(&mut chain, counter, 10);
    let inner = chain.snapshot();
    add(&mut chain, counter, 100);
    assert!(chain.revert(outer, START));
    assert_eq!(chain.history().head().hash(), head);
    assert_eq!(chain.history().state().storage(counter, U256::ZERO), U256::ONE);
    assert!(!chain.revert(outer, START));
    assert!(!chain.revert(inner, START), "a snapshot of blocks that are gone is gone too");
    assert_eq!(add(&mut chain, counter, 5), word(6));
}

#[test]
fn a_chain_reorganises_three_blocks() {
    let mut chain = chain();
    let counter = deploy(&mut chain, COUNTER);
    let before = chain.history().head().clone();
    let lost: Vec<_> = (1..=3)
        .map(|number| {
            add(&mut chain, counter, number);
            chain.history().head().clone()
        })
        .collect();
    chain.roll_back(3, START).unwrap();
    assert_eq!(chain.history().head().hash(), before.hash());
    assert_eq!(chain.history().state().storage(counter, U256::ZERO), U256::ZERO);
    for block in &lost {
        assert_eq!(chain.history().number(block.hash()), None);
        assert_eq!(chain.history().place(block.transactions()[0].hash()), None);
    }
    for number in 4..=7 {
        add(&mut chain, counter, number);
    }
    assert_ne!(chain.history().hash(lost[0].number()), Some(lost[0].hash()));
    assert_eq!(chain.history().state().storage(counter, U256::ZERO), U256::from(4 + 5 + 6 + 7));
    let refused = chain.roll_back(1_000, START);
    assert!(matches!(refused, Err(ChainError::Depth { depth: 1_000, max: 5 })), "{refused:?}");
}

#[test]
fn other_blocks_stand_in_the_place_of_reorganised_ones() {
    let mut chain = chain();
    let key = &Key::development()[1];
    let (lost, kept) = (payment(key, 0, 9_000_000_000), payment(key, 0, 8_000_000_000));
    chain.submit(lost.clone(), START).unwrap();
    chain.mine_many(2, None, START).unwrap();
    let before: Vec<_> = (1..=3).map(|number| chain.history().hash(number).unwrap()).collect();
    chain.reorganise(3, &[(kept.clone(), 1)], START).unwrap();
    let after: Vec<_> = (1..=3).map(|number| chain.history().hash(number).unwrap()).collect();
    for (before, after) in before.iter().zip(&after) {
        assert_ne!(before, after, "also a block that stays empty is another one");
    }
    assert_eq!(chain.history().place(lost.hash()), None);
    assert_eq!(chain.history().place(kept.hash()).map(|place| place.block), Some(2));
}

#[test]
fn time_runs_and_jumps() {
    let mut chain = chain();
    let mine = |chain: &mut Chain, now| chain.mine(now).unwrap().block.header().timestamp;
    assert_eq!(mine(&mut chain, START + 5), START + 5);
    assert_eq!(chain.increase_time(100), 100);
    assert_eq!(mine(&mut chain, START + 6), START + 106);
    assert_eq!(mine(&mut chain, START - 500), START + 106, "time never runs back");
    chain.set_next_timestamp(START + 1_000).unwrap();
    assert_eq!(mine(&mut chain, START + 7), START + 1_000);
    assert_eq!(mine(&mut chain, START + 8), START + 1_001);
    let refused = chain.set_next_timestamp(START);
    assert!(matches!(refused, Err(ChainError::Timestamp { found: START, .. })), "{refused:?}");
    chain.set_block_spacing(Some(12));
    assert_eq!(mine(&mut chain, START + 9_000), START + 1_013);
    chain.mine_many(2, Some(60), START).unwrap();
}

#[test]
fn what_waits_is_taken_by_price_and_nonce() {
    let mut chain = Chain::new(Config { mining: Mining::Manual, ..Config::development() }, START);
    let keys = Key::development();
    let gwei = 1_000_000_000;
    let sent = [
        payment(&keys[0], 1, 9 * gwei),
        payment(&keys[1], 0, 3 * gwei),
        payment(&keys[0], 0, 2 * gwei),
        payment(&keys[2], 0, 5 * gwei),
        payment(&keys[3], 1, 8 * gwei),
    ];
    for transaction in &sent {
        chain.submit(transaction.clone(), START).unwrap();
    }
    assert_eq!(chain.pool().next_nonce(keys[0].address(), 0), 2);
    assert_eq!(chain.pool().next_nonce(keys[3].address(), 0), 0, "a gap is not jumped over");
    let mined: Vec<_> = chain.mine(START).unwrap().block.transactions().iter().map(Transaction::hash).collect();
    assert_eq!(mined, [3, 1, 2, 0].map(|index: usize| sent[index].hash()));
    assert_eq!(chain.pool().iter().map(Transaction::hash).collect::<Vec<_>>(), [sent[4].hash()]);
    assert!(chain.drop_transaction(sent[4].hash()));
}

#[test]
fn a_block_holds_no_more_than_its_gas() {
    let config = Config { mining: Mining::Manual, gas_limit: 50_000, ..Config::development() };
    let mut chain = Chain::new(config, START);
    let key = &Key::development()[0];
    for nonce in 0..5 {
        chain.submit(payment(key, nonce, 9_000_000_000), START).unwrap();
    }
    let counts: Vec<_> = (0..4).map(|_| chain.mine(START).unwrap().block.transactions().len()).collect();
    assert_eq!(counts, [2, 2, 1, 0]);
}

#[test]
fn what_cannot_be_executed_is_refused_with_what_was_expected() {
    let mut chain = Chain::new(Config { mining: Mining::Manual, ..Config::development() }, START);
    let key = Key::development().swap_remove(0);
    let gwei = 1_000_000_000;
    let mut submit = |transaction: Transaction| match chain.submit(transaction, START) {
        Err(ChainError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    assert_eq!(submit(payment(&key, 0, gwei - 1)), Refusal::FeeTooLow { expected: gwei, found: gwei - 1 });
    let poor = Key::from_bytes([7; 32]).unwrap();
    let cost = U256::from(21_000 * gwei + 1);
    assert_eq!(submit(payment(&poor, 0, gwei)), Refusal::Funds { balance: U256::ZERO, cost });
    let foreign = alloy_consensus::TxLegacy { chain_id: Some(1), ..Default::default() };
    let foreign = Transaction::sign(foreign.into(), &key);
    assert_eq!(submit(foreign), Refusal::ChainId { expected: devchain::CHAIN_ID, found: 1 });
    chain.submit(payment(&key, 0, 10 * gwei), START).unwrap();
    let mut submit = |transaction: Transaction| chain.submit(transaction, START);
    assert!(matches!(submit(payment(&key, 0, 10 * gwei)), Err(ChainError::Refused(Refusal::Known))));
    let underpriced = submit(payment(&key, 0, 10 * gwei + 1));
    let expected = Refusal::Underpriced { expected: 11 * gwei, found: 10 * gwei + 1 };
    assert!(matches!(&underpriced, Err(ChainError::Refused(refusal)) if *refusal == expected), "{underpriced:?}");
    submit(payment(&key, 0, 11 * gwei)).unwrap();
    chain.mine(START).unwrap();
    let again = chain.submit(payment(&key, 0, 20 * gwei), START);
    assert!(matches!(again, Err(ChainError::Refused(Refusal::NonceTooLow { expected: 1, found: 0 }))), "{again:?}");
}

#[test]
fn the_pool_is_bounded() {
    let mut config = Config { mining: Mining::Manual, ..Config::development() };
    config.limits.pool = 3;
    let mut chain = Chain::new(config, START);
    let key = &Key::development()[0];
    for nonce in 0..3 {
        chain.submit(payment(key, nonce, 9_000_000_000), START).unwrap();
    }
    let refused = chain.submit(payment(key, 3, 9_000_000_000), START);
    assert!(matches!(refused, Err(ChainError::Refused(Refusal::PoolFull { max: 3 }))), "{refused:?}");
    chain.submit(payment(key, 0, 18_000_000_000), START).unwrap();
}

#[test]
fn encoded_transactions_are_read_or_refused() {
    let key = &Key::development()[0];
    let sent = payment(key, 0, 2_000_000_000);
    let bytes = alloy_eips::eip2718::Encodable2718::encoded_2718(sent.envelope());
    let read = Transaction::decode(&bytes).unwrap();
    assert_eq!((read.hash(), read.sender()), (sent.hash(), key.address()));
    for length in 0..bytes.len() {
        assert!(Transaction::decode(&bytes[..length]).is_err());
    }
    assert_eq!(Transaction::decode(&[bytes.clone(), vec![0]].concat()).err(), Some(Refusal::Undecodable));
    let long = vec![0x02; devchain::TRANSACTION_BYTES_MAX + 1];
    assert!(matches!(Transaction::decode(&long), Err(Refusal::TooLong { .. })));
    for index in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[index] ^= 1;
        // What still reads as a transaction has another sender.
        assert!(
            Transaction::decode(&changed).is_ok_and(|read| read.sender() != key.address())
                || Transaction::decode(&changed).is_err()
        );
    }
}

#[test]
fn the_same_inputs_give_the_same_chain() {
    let run = |hardfork| {
        let mut chain = Chain::new(Config { hardfork, ..Config::development() }, START);
        let counter = deploy(&mut chain, COUNTER);
        for number in 0..20 {
            add(&mut chain, counter, number);
        }
        chain.history().head().hash()
    };
    for hardfork in [Hardfork::Cancun, Hardfork::Prague, Hardfork::Osaka] {
        assert_eq!(run(hardfork), run(hardfork));
    }
    assert_ne!(run(Hardfork::Cancun), run(Hardfork::Prague));
}

#[test]
fn a_contract_that_destroys_itself_in_its_transaction_leaves_nothing() {
    let mut chain = chain();
    // Writes a slot, then destroys itself in favour of its caller.
    let code = [0x60, 0x01, 0x5f, 0x55, 0x33, 0xff];
    let mined = chain.execute(&Message::create(alice(), code.to_vec()), START).unwrap();
    let contract = mined.block.transactions()[0].creates().unwrap();
    let state = chain.history().state();
    assert_eq!(
        (state.nonce(contract), state.code(contract).len(), state.storage(contract, U256::ZERO)),
        (0, 0, U256::ZERO)
    );
}

#[test]
fn impersonated_senders_have_hashes_of_their_own() {
    let mut chain = chain();
    let (one, other) = (stranger(1), stranger(2));
    let hashes: Vec<B256> = [one, other]
        .into_iter()
        .map(|sender| {
            chain.set_balance(sender, U256::from(10).pow(U256::from(20)));
            let message = Message::call(sender, stranger(3), Bytes::new()).with_value(U256::ONE).with_gas(21_000);
            chain.execute(&message, START).unwrap().block.transactions()[0].hash()
        })
        .collect();
    assert_ne!(hashes[0], hashes[1]);
    assert_eq!(chain.history().state().balance(stranger(3)), U256::from(2));
}

#[test]
fn setting_what_nobody_could_set() {
    let mut chain = chain();
    let account = stranger(9);
    chain.set_balance(account, U256::from(5));
    chain.set_nonce(account, 6);
    chain.set_code(account, Bytes::from_static(&[0x60, 0x42, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3]));
    chain.set_storage(account, U256::from(7), U256::from(8));
    let state = chain.history().state();
    assert_eq!((state.balance(account), state.nonce(account)), (U256::from(5), 6));
    assert_eq!(state.storage(account, U256::from(7)), U256::from(8));
    assert_eq!(chain.call(&Message::call(alice(), account, Bytes::new())), Ok(word(0x42)));
    let root = state.root();
    chain.set_balance(account, U256::ZERO);
    chain.set_balance(account, U256::from(5));
    assert_eq!(chain.history().state().root(), root, "the root knows no history");
}

/// How fast the chain is without disk and wire: a bound that a slow machine keeps too.
#[test]
fn thousands_of_transactions_take_seconds() {
    let mut chain = chain();
    let counter = deploy(&mut chain, COUNTER);
    let snapshot = chain.snapshot();
    for number in 0..5_000 {
        add(&mut chain, counter, number);
    }
    assert_eq!(chain.history().state().storage(counter, U256::ZERO), U256::from(4_999 * 2_500));
    assert!(chain.history().blocks().count() <= chain.config().limits.blocks, "old blocks are forgotten");
    assert!(chain.revert(snapshot, START));
}
