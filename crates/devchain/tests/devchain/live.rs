//! A running chain and those who listen to it.

use std::time::Duration;

use alloy_primitives::{Address, U256};
use devchain::{Chain, ChainError, Config, Devchain, Key, Message, Mining, Notice};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::broadcast::error::RecvError;

use crate::contract::{COUNTER, creation, stranger, word};
use crate::http::Client;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn alice() -> Address {
    Key::development()[0].address()
}

#[test]
fn blocks_come_by_the_clock() {
    let chain =
        Devchain::in_memory(Config { mining: Mining::Every(Duration::from_millis(2)), ..Config::development() });
    let chain = chain.unwrap();
    let mut notices = chain.listen();
    runtime().block_on(async {
        let mut last = None;
        for _ in 0..5 {
            let Ok(Notice::Block(block)) = notices.recv().await else { panic!("another notice") };
            assert!(last.is_none_or(|last| block.number() == last + 1));
            last = Some(block.number());
        }
        chain.with(|chain, now| chain.set_mining(Mining::Manual, now)).await.unwrap().unwrap();
        let stopped = chain.head().number();
        chain.with(|chain, now| chain.mine(now).map(drop)).await.unwrap().unwrap();
        assert_eq!(chain.head().number(), stopped + 1);
    });
}

#[test]
fn listeners_are_told_in_order_and_of_what_is_taken_back() {
    let chain = Devchain::in_memory(Config::development()).unwrap();
    let mut notices = chain.listen();
    runtime().block_on(async {
        let deploy = |chain: &mut Chain, now| chain.execute(&Message::create(alice(), creation(COUNTER)), now).unwrap();
        let first = chain.with(deploy).await.unwrap();
        let second = chain.with(deploy).await.unwrap();
        chain.with(|chain, now| chain.roll_back(2, now)).await.unwrap().unwrap();
        let mut hashes = Vec::new();
        for _ in 0..2 {
            let Ok(Notice::Block(block)) = notices.recv().await else { panic!("another notice") };
            hashes.push(block.hash());
        }
        let Ok(Notice::Reverted(gone)) = notices.recv().await else { panic!("another notice") };
        assert_eq!(hashes, [first.block.hash(), second.block.hash()]);
        assert_eq!(gone.iter().map(|block| block.hash()).collect::<Vec<_>>(), hashes);
    });
}

#[test]
fn a_listener_that_falls_behind_is_told_so() {
    let chain = Devchain::in_memory(Config::development()).unwrap();
    let mut notices = chain.listen();
    runtime().block_on(async {
        chain.with(|chain, now| chain.mine_many(10_000, None, now)).await.unwrap().unwrap();
        assert!(matches!(notices.recv().await, Err(RecvError::Lagged(_))));
    });
}

#[test]
fn many_senders_are_served_together() {
    let chain = Devchain::in_memory(Config::development()).unwrap();
    let runtime = runtime();
    let tasks: Vec<_> = (0..50)
        .map(|number| {
            let chain = chain.clone();
            runtime.spawn(async move {
                let message = Message::call(alice(), stranger(number), word(0)).with_value(U256::ONE);
                chain.with(move |chain, now| chain.execute(&message, now)).await.unwrap().unwrap().block.number()
            })
        })
        .collect();
    let mut numbers: Vec<_> = tasks.into_iter().map(|task| runtime.block_on(task).unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=50).collect::<Vec<_>>());
}

#[test]
fn a_job_that_panics_leaves_nothing_behind() {
    let chain = Devchain::in_memory(Config::development()).unwrap();
    let runtime = runtime();
    let panicked = runtime.block_on(chain.with(|chain, now| -> () {
        chain.set_balance(alice(), U256::ZERO);
        chain.mine(now).unwrap();
        panic!("a fault of the job, on purpose")
    }));
    assert!(matches!(panicked, Err(ChainError::Panicked)));
    assert_eq!(chain.head().number(), 0);
    let before = chain.state().balance(alice());
    let mined = runtime.block_on(chain.with(|chain, now| (chain.mine(now).unwrap(), chain.history().state().clone())));
    let (mined, state) = mined.unwrap();
    assert_eq!(mined.block.number(), 1);
    assert_eq!((state.balance(alice()), before), (before, Config::development().balance));
}

#[test]
fn a_chain_that_is_no_longer_served_lets_go_of_its_port() {
    let chain = Devchain::in_memory(Config::development()).unwrap();
    let runtime = runtime();
    let serving = runtime.block_on(async { chain.serve(([127, 0, 0, 1], 0).into()) }).unwrap();
    let address = serving.address();
    let url = format!("http://{address}");
    assert_eq!(Client::connect(&url).unwrap().call("eth_chainId", &json!([])), "0x7a69");
    runtime.block_on(serving.stop());
    assert!(Client::connect(&url).is_err());
    let again = runtime.block_on(async { chain.serve(address) }).unwrap();
    assert_eq!(Client::connect(&url).unwrap().call("eth_blockNumber", &json!([])), "0x0");
    runtime.block_on(again.stop());
}
