//! A cursor on a chain that goes back, driven as a user of anvil drives one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use alloy::primitives::{Address, B256, Bytes, Log as Event, U64, U256};
use devchain::{Config, Devchain, Serving};
use ledger::{Change, Client, Cursor};
use serde_json::{Value, json};

use crate::proxy::{Fault, Proxy};
use crate::stand::Random;

/// Logs what it is called with.
const CRIER: Address = Address::repeat_byte(0xc1);
const CRIER_CODE: &[u8] = &[0x36, 0x5f, 0x5f, 0x37, 0x36, 0x5f, 0xa0];

/// A chain with a contract that logs, behind any address.
pub(crate) struct Town {
    client: Client,
    caller: Value,
    cries: u64,
}

impl Town {
    pub(crate) async fn at(url: &str) -> Self {
        let client = Client::connect(url).await.unwrap();
        client.development("anvil_setCode", (CRIER, Bytes::from(CRIER_CODE))).await.unwrap();
        let caller = client.development("eth_accounts", ()).await.unwrap()[0].clone();
        Self { client, caller, cries: 0 }
    }

    async fn ask(&self, method: &'static str, parameters: Value) -> Value {
        self.client.development(method, parameters).await.unwrap()
    }

    /// Logs a word that was not logged before, in a block of its own.
    async fn cry(&mut self) {
        self.cries += 1;
        let data = B256::from(U256::from(self.cries));
        let request = json!([{ "from": self.caller, "to": CRIER, "data": data }]);
        let hash = self.ask("eth_sendTransaction", request).await;
        // Anvil answers before it has made the block.
        while self.ask("eth_getTransactionReceipt", json!([hash])).await.is_null() {}
    }

    async fn mine(&self, count: u64) {
        self.ask("anvil_mine", json!([U64::from(count)])).await;
    }

    async fn snapshot(&self) -> Value {
        self.ask("evm_snapshot", json!([])).await
    }

    async fn revert(&self, snapshot: Value) {
        assert_eq!(self.ask("evm_revert", json!([snapshot])).await, json!(true));
    }

    async fn head(&self) -> u64 {
        self.client.head().await.unwrap().0
    }

    pub(crate) fn cursor(&self, from: u64) -> Cursor {
        Cursor::new(self.client.clone(), vec![CRIER], from)
    }
}

/// What somebody knows who believes a cursor.
#[derive(Debug, Default)]
struct Reader {
    known: Vec<(u64, Event)>,
}

impl Reader {
    fn hear(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Removed { from } => self.known.retain(|(block, _)| *block < from),
                Change::Added { block, logs } => {
                    let last = self.known.last().map(|(block, _)| *block);
                    assert!(last.is_none_or(|last| last < block), "block {block} comes after block {last:?}");
                    assert!(!logs.is_empty());
                    self.known.extend(logs.into_iter().map(|log| (block, log.inner)));
                }
            }
        }
    }

    /// Compares with what somebody finds who comes now.
    async fn check(&self, town: &Town, from: u64) {
        let mut fresh = Self::default();
        fresh.hear(town.cursor(from).poll().await.unwrap());
        assert_eq!(self.known, fresh.known);
    }
}

/// Changes in short: the first block that is gone, or the block and what was cried in it.
fn short(changes: &[Change]) -> Vec<(&'static str, u64, Vec<u64>)> {
    let word = |data: &Bytes| U256::from_be_slice(data).to();
    changes
        .iter()
        .map(|change| match change {
            Change::Removed { from } => ("removed", *from, Vec::new()),
            Change::Added { block, logs } => {
                ("added", *block, logs.iter().map(|log| word(&log.inner.data.data)).collect())
            }
        })
        .collect()
}

/// Three blocks are taken back by going back to a snapshot, and others come.
pub(crate) async fn goes_back_to_a_snapshot(town: &mut Town) {
    let start = town.head().await;
    let mut cursor = town.cursor(start + 1);
    town.cry().await;
    town.cry().await;
    let snapshot = town.snapshot().await;
    for _ in 0..3 {
        town.cry().await;
    }
    let found = short(&cursor.poll().await.unwrap());
    let first = town.cries - 4;
    let added = |block: u64, word: u64| ("added", start + block, vec![word]);
    assert_eq!(found, (0..5).map(|index| added(1 + index, first + index)).collect::<Vec<_>>());
    assert_eq!(short(&cursor.poll().await.unwrap()), [], "nothing comes twice");

    town.revert(snapshot).await;
    assert_eq!(short(&cursor.poll().await.unwrap()), [("removed", start + 3, vec![])], "and nothing came in its place");
    assert_eq!(short(&cursor.poll().await.unwrap()), [], "nothing is taken back twice");
    town.mine(1).await;
    for _ in 0..3 {
        town.cry().await;
    }
    let found = short(&cursor.poll().await.unwrap());
    let again = [added(4, first + 5), added(5, first + 6), added(6, first + 7)];
    assert_eq!(found, again, "an empty block has nothing to tell");
}

/// Three blocks are taken back and others are there before anybody looks.
pub(crate) async fn is_reorganised(town: &mut Town) {
    let start = town.head().await;
    let mut cursor = town.cursor(start + 1);
    for _ in 0..4 {
        town.cry().await;
    }
    assert_eq!(cursor.poll().await.unwrap().len(), 4);
    town.ask("anvil_reorg", json!([3, []])).await;
    assert_eq!(town.head().await, start + 4);
    town.cry().await;
    let found = short(&cursor.poll().await.unwrap());
    assert_eq!(found, [("removed", start + 2, vec![]), ("added", start + 5, vec![town.cries])]);
    town.ask("anvil_rollback", json!([3])).await;
    assert_eq!(short(&cursor.poll().await.unwrap()), [("removed", start + 3, vec![])]);
}

fn chain() -> (Devchain, Serving) {
    let chain = Devchain::in_memory(Config::development()).unwrap();
    let serving = chain.serve(([127, 0, 0, 1], 0).into()).unwrap();
    (chain, serving)
}

#[tokio::test]
async fn events_of_three_blocks_are_taken_back_and_others_come_once() {
    let (_chain, serving) = chain();
    let mut town = Town::at(&format!("http://{}", serving.address())).await;
    goes_back_to_a_snapshot(&mut town).await;
    is_reorganised(&mut town).await;
}

#[tokio::test]
async fn a_chain_that_goes_back_further_than_the_cursor_remembers_is_read_again() {
    let (_chain, serving) = chain();
    let mut town = Town::at(&format!("http://{}", serving.address())).await;
    let mut cursor = town.cursor(1);
    let mut reader = Reader::default();
    town.cry().await;
    let snapshot = town.snapshot().await;
    // Here and below: as many blocks as make the cursor forget the first ones.
    for _ in 0..3 {
        town.cry().await;
        town.mine(150).await;
        reader.hear(cursor.poll().await.unwrap());
    }
    assert_eq!(reader.known.len(), 4);
    reader.check(&town, 1).await;
    town.revert(snapshot).await;
    town.cry().await;
    let changes = cursor.poll().await.unwrap();
    assert_eq!(short(&changes), [("removed", 1, vec![]), ("added", 1, vec![1]), ("added", 2, vec![5])]);
    reader.hear(changes);
    reader.check(&town, 1).await;
}

#[tokio::test]
async fn a_chain_that_goes_back_before_the_first_block_that_matters() {
    let (_chain, serving) = chain();
    let mut town = Town::at(&format!("http://{}", serving.address())).await;
    let snapshot = town.snapshot().await;
    for _ in 0..6 {
        town.cry().await;
    }
    let mut cursor = town.cursor(4);
    assert_eq!(cursor.poll().await.unwrap().len(), 3);
    town.revert(snapshot).await;
    assert_eq!(short(&cursor.poll().await.unwrap()), [("removed", 4, vec![])]);
    for _ in 0..4 {
        town.cry().await;
    }
    assert_eq!(short(&cursor.poll().await.unwrap()), [("added", 4, vec![10])]);
}

/// A chain that goes back just when the cursor has asked for the n-th time, for every n that there is.
#[tokio::test]
async fn a_chain_that_goes_back_while_the_cursor_reads() {
    let mut held_at = 0;
    loop {
        let (_chain, serving) = chain();
        let mut town = Town::at(&format!("http://{}", serving.address())).await;
        let asked = Arc::new(AtomicUsize::new(usize::MAX));
        let countdown = asked.clone();
        let proxy = Proxy::choosing(serving.address(), move |_, _| {
            let left = countdown.load(Ordering::SeqCst);
            countdown.store(left.wrapping_sub(1), Ordering::SeqCst);
            (left == 0).then_some(Fault::IsHeld)
        })
        .await;
        let client = Client::connect(&proxy.url).await.unwrap();
        let mut cursor = Cursor::new(client, vec![CRIER], 1);
        let mut reader = Reader::default();
        for _ in 0..2 {
            town.cry().await;
        }
        let snapshot = town.snapshot().await;
        for _ in 0..2 {
            town.cry().await;
        }
        reader.hear(cursor.poll().await.unwrap());
        for _ in 0..2 {
            town.cry().await;
        }
        asked.store(held_at, Ordering::SeqCst);
        let (changes, is_over) = {
            let mut poll = std::pin::pin!(cursor.poll());
            tokio::select! {
                changes = &mut poll => (changes, true),
                () = async {
                    proxy.held().await;
                    town.revert(snapshot).await;
                    for _ in 0..3 {
                        town.cry().await;
                    }
                    proxy.release();
                } => (poll.await, false),
            }
        };
        asked.store(usize::MAX, Ordering::SeqCst);
        // A block may be gone when its logs are asked for; then nothing was read, and the next call goes on.
        reader.hear(changes.unwrap_or_default());
        for _ in 0..3 {
            reader.hear(cursor.poll().await.unwrap());
        }
        reader.check(&town, 1).await;
        if is_over {
            break;
        }
        held_at += 1;
    }
    assert!(held_at >= 6, "only {held_at} requests were held");
}

#[tokio::test]
async fn a_chain_that_goes_back_and_forth_behind_a_proxy_without_any_order() {
    let (_chain, serving) = chain();
    let mut town = Town::at(&format!("http://{}", serving.address())).await;
    let mut random = Random(7);
    let mut faulty = Random(8);
    let proxy = Proxy::choosing(serving.address(), move |method, _| {
        let faults = [Fault::LosesTheAnswer, Fault::SaysBadGateway, Fault::AnswersAPage, Fault::SaysInternalError];
        let is_asked = ["eth_getBlockByNumber", "eth_getLogs"].contains(&method);
        (is_asked && faulty.below(8) == 0).then(|| faults[faulty.below(4)])
    })
    .await;
    let mut cursor = Cursor::new(Client::connect(&proxy.url).await.unwrap(), vec![CRIER], 1);
    let mut reader = Reader::default();
    let (mut heard, mut failed) = (0, 0);
    for _ in 0..400 {
        match random.below(6) {
            0 => town.mine(random.below(3) as u64).await,
            1 if town.head().await > 5 => {
                let depth = 1 + random.below(5);
                let method = if random.below(2) == 0 { "anvil_rollback" } else { "anvil_reorg" };
                town.ask(method, json!([depth])).await;
            }
            2 | 3 => match cursor.poll().await {
                Ok(changes) => {
                    heard += changes.len();
                    reader.hear(changes);
                }
                Err(_) => failed += 1,
            },
            _ => town.cry().await,
        }
    }
    assert!(heard > 50 && failed > 10, "{heard} changes heard, {failed} polls failed");
    while !matches!(
        cursor.poll().await.map(|changes| {
            let is_empty = changes.is_empty();
            reader.hear(changes);
            is_empty
        }),
        Ok(true)
    ) {}
    reader.check(&town, 1).await;
}
