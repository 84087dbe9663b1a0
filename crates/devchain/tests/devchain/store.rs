//! The chain in a file.

use alloy_primitives::{Address, U256};
use devchain::{Chain, Config, Devchain, Durability, Hardfork, Key, Message, Mining, StoreError};
use tempfile::TempDir;

use crate::contract::{COUNTER, creation, stranger, word};

fn config() -> Config {
    Config { genesis_timestamp: Some(1_700_000_000), durability: Durability::Process, ..Config::development() }
}

fn alice() -> Address {
    Key::development()[0].address()
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Runs something on a chain until it is stored.
fn with<T: Send + 'static>(chain: &Devchain, job: impl FnOnce(&mut Chain, u64) -> T + Send + 'static) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(chain.with(job)).unwrap()
}

fn add(chain: &Devchain, counter: Address, number: u64) {
    with(chain, move |chain, now| chain.execute(&Message::call(alice(), counter, word(number)), now).unwrap());
}

fn deploy(chain: &Devchain) -> Address {
    let mined = with(chain, |chain, now| chain.execute(&Message::create(alice(), creation(COUNTER)), now).unwrap());
    mined.block.transactions()[0].creates().unwrap()
}

/// All that a chain shows: hashes and states of its newest blocks, and what waits.
fn shown(chain: &Devchain) -> (Vec<alloy_primitives::B256>, Vec<alloy_primitives::B256>, usize) {
    let published = chain.published();
    let history = &published.history;
    let hashes = history.blocks().map(|block| block.hash()).collect();
    let roots =
        history.blocks().filter_map(|block| history.state_at(block.number())).map(devchain::State::root).collect();
    (hashes, roots, published.pool.iter().count())
}

#[test]
fn a_chain_goes_on_where_it_was_left() {
    let folder = folder();
    for durability in [Durability::Process, Durability::Power] {
        let path = folder.path().join(format!("{durability:?}"));
        let config = Config { durability, ..config() };
        let chain = Devchain::open(&path, config.clone()).unwrap();
        let counter = deploy(&chain);
        for number in 1..=10 {
            add(&chain, counter, number);
        }
        with(&chain, move |chain, _| {
            chain.set_balance(counter, U256::from(3));
            chain.increase_time(10_000);
        });
        let before = shown(&chain);
        drop(chain);
        let chain = Devchain::open(&path, config).unwrap();
        assert_eq!(shown(&chain), before);
        assert_eq!(before.1.len(), 12, "also the states before the newest are there again");
        assert!(chain.published().clock.offset() <= 10_000 - 1_000, "time runs from the first block on");
        add(&chain, counter, 1);
        assert_eq!(chain.published().history.state().storage(counter, U256::ZERO), U256::from(56));
        with(&chain, |chain, now| chain.roll_back(5, now)).unwrap();
        assert_eq!(chain.published().history.state().storage(counter, U256::ZERO), U256::from(21));
    }
}

#[test]
fn going_back_is_stored() {
    let folder = folder();
    let path = folder.path().join("chain");
    let chain = Devchain::open(&path, config()).unwrap();
    let counter = deploy(&chain);
    add(&chain, counter, 1);
    let snapshot = with(&chain, |chain, _| chain.snapshot());
    for number in 2..=6 {
        add(&chain, counter, number);
    }
    // Other blocks than those of the snapshot stand at its heights when it is gone back to.
    with(&chain, |chain, now| chain.roll_back(6, now)).unwrap();
    for number in 20..=24 {
        add(&chain, counter, number);
    }
    assert!(with(&chain, move |chain, now| chain.revert(snapshot, now)));
    let before = shown(&chain);
    assert_eq!(before.0.len(), 3);
    drop(chain);
    let chain = Devchain::open(&path, config()).unwrap();
    assert_eq!(shown(&chain), before);
    assert_eq!(chain.published().history.state().storage(counter, U256::ZERO), U256::ONE);
    with(&chain, Chain::reset);
    let before = shown(&chain);
    drop(chain);
    assert_eq!(shown(&Devchain::open(&path, config()).unwrap()), before);
}

#[test]
fn what_waits_is_stored() {
    let folder = folder();
    let path = folder.path().join("chain");
    let config = Config { mining: Mining::Manual, ..config() };
    let chain = Devchain::open(&path, config.clone()).unwrap();
    let key = Key::development().swap_remove(0);
    let sent = alloy_consensus::TxLegacy {
        chain_id: Some(devchain::CHAIN_ID),
        gas_price: 9_000_000_000,
        gas_limit: 21_000,
        to: alice().into(),
        ..Default::default()
    };
    let sent = devchain::Transaction::sign(sent.into(), &key);
    let hash = with(&chain, move |chain, now| chain.submit(sent, now)).unwrap();
    drop(chain);
    let chain = Devchain::open(&path, config.clone()).unwrap();
    assert!(chain.published().pool.get(hash).is_some());
    with(&chain, Chain::mine).unwrap();
    assert!(chain.published().history.place(hash).is_some());
    drop(chain);
    assert_eq!(shown(&Devchain::open(&path, config).unwrap()).2, 0);
}

#[test]
fn old_blocks_are_forgotten_in_memory_and_read_from_the_file() {
    let folder = folder();
    let path = folder.path().join("chain");
    let mut config = config();
    (config.limits.blocks, config.limits.states) = (257, 10);
    let chain = Devchain::open(&path, config.clone()).unwrap();
    with(&chain, |chain, now| chain.mine_many(400, None, now)).unwrap();
    assert_eq!(chain.published().history.oldest(), 144);
    assert_eq!(chain.published().history.depth(), 9);
    drop(chain);
    let chain = Devchain::open(&path, config).unwrap();
    assert_eq!((chain.published().history.oldest(), chain.published().history.depth()), (144, 9));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let serving = runtime.block_on(async { chain.serve(([127, 0, 0, 1], 0).into()) }).unwrap();
    let mut client = crate::http::Client::connect(&format!("http://{}", serving.address())).unwrap();
    let block = client.call("eth_getBlockByNumber", &serde_json::json!(["0x5", false]));
    assert_eq!(block["number"], "0x5");
    let same = client.call("eth_getBlockByHash", &serde_json::json!([block["hash"], false]));
    assert_eq!(same, block);
    let (code, message) = client.fault("eth_getBalance", &serde_json::json!([alice(), "0x5"]));
    assert_eq!((code, message.as_str()), (-32602, "the state after block 5 is no longer kept, the oldest is 391"));
    runtime.block_on(serving.stop());
}

/// The time of all that is done to these chains.
const NOW: u64 = 1_700_000_100;

/// A chain in a file beside the same chain in memory, to which the same is done.
struct Pair {
    path: std::path::PathBuf,
    config: Config,
    filed: Option<Devchain>,
    model: Chain,
    /// Snapshots of the model with those of the chain in the file, which forgets its own when it is closed.
    snapshots: Vec<(u64, u64)>,
    counter: Address,
    random: u64,
}

impl Pair {
    fn number(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % below
    }

    /// Does the same to both, at a time that both are told.
    fn both<T: Send + 'static>(&mut self, act: impl FnOnce(&mut Chain) -> T + Clone + Send + 'static) -> (T, T) {
        (act.clone()(&mut self.model), with(self.filed.as_ref().unwrap(), move |chain, _| act(chain)))
    }

    fn step(&mut self) {
        let (counter, number) = (self.counter, self.number(50));
        let account = stranger(self.number(6));
        match self.number(14) {
            0..=3 => drop(self.both(move |chain| {
                let message = Message::call(alice(), counter, word(number));
                chain.execute(&message, NOW).unwrap();
            })),
            4 => drop(self.both(move |chain| chain.mine_many(number / 10, None, NOW).unwrap())),
            5 => drop(self.both(move |chain| chain.set_balance(account, U256::from(number / 25)))),
            6 => drop(
                self.both(move |chain| chain.set_storage(account, U256::from(number % 3), U256::from(number / 20))),
            ),
            7 => drop(self.both(move |chain| chain.set_code(account, vec![0; (number / 20) as usize].into()))),
            8 => {
                let taken = self.both(Chain::snapshot);
                self.snapshots.push(taken);
            }
            9 => {
                if let Some((model, filed)) = self.snapshots.pop() {
                    assert!(self.model.revert(model, NOW));
                    assert!(with(self.filed.as_ref().unwrap(), move |chain, _| chain.revert(filed, NOW)));
                }
            }
            10 => drop(self.both(move |chain| chain.roll_back(number / 8, NOW).is_ok())),
            11 => drop(self.both(move |chain| chain.reorganise(number / 12, &[], NOW).is_ok())),
            12 if number == 0 => {
                self.snapshots.clear();
                self.both(|chain| chain.reset(NOW));
                self.deploy();
            }
            _ => {
                self.snapshots.clear();
                self.filed = None;
                self.filed = Some(Devchain::open(&self.path, self.config.clone()).unwrap());
            }
        }
    }

    fn deploy(&mut self) {
        let deploy = |chain: &mut Chain| {
            let mined = chain.execute(&Message::create(alice(), creation(COUNTER)), NOW).unwrap();
            mined.block.transactions()[0].creates().unwrap()
        };
        self.counter = self.both(deploy).0;
    }

    fn check(&self) {
        let published = self.filed.as_ref().unwrap().published();
        let (filed, model) = (&published.history, self.model.history());
        let hashes = |history: &devchain::History| history.blocks().map(|block| block.hash()).collect::<Vec<_>>();
        assert_eq!(hashes(filed), hashes(model));
        assert_eq!(filed.depth(), model.depth());
        for number in filed.head().number() - filed.depth() as u64..=filed.head().number() {
            let root = |history: &devchain::History| history.state_at(number).unwrap().root();
            assert_eq!(root(filed), root(model), "block {number}");
        }
    }
}

#[test]
fn a_file_remembers_whatever_is_done_to_a_chain() {
    let rounds = if std::env::var_os("CANDOR_SLOW").is_some() { 200 } else { 12 };
    for seed in 0..rounds {
        let folder = folder();
        let path = folder.path().join("chain");
        let mut config = config();
        config.limits.states = 20;
        let filed = Some(Devchain::open(&path, config.clone()).unwrap());
        let model = Chain::new(config.clone(), 1_700_000_000);
        let mut pair = Pair { path, config, filed, model, snapshots: Vec::new(), counter: Address::ZERO, random: seed };
        // The chain in the file has begun at the time on the wall.
        let offsets = pair.both(|chain| chain.set_time(NOW, NOW));
        assert_eq!(offsets, (0, 0));
        pair.deploy();
        for _ in 0..60 {
            pair.step();
            pair.check();
        }
    }
}

#[test]
fn the_file_of_another_chain_is_refused() {
    let folder = folder();
    let path = folder.path().join("chain");
    drop(Devchain::open(&path, config()).unwrap());
    let other = Devchain::open(&path, Config { chain_id: 1, ..config() });
    assert!(matches!(other, Err(StoreError::Other { expected: 1, found: 31_337, .. })), "{other:?}");
    let other = Devchain::open(&path, Config { hardfork: Hardfork::Osaka, ..config() });
    assert!(matches!(other, Err(StoreError::Other { what: "hardfork", .. })), "{other:?}");
}

#[test]
fn two_chains_do_not_share_a_file() {
    let folder = folder();
    for durability in [Durability::Process, Durability::Power] {
        let path = folder.path().join(format!("{durability:?}"));
        let config = Config { durability, ..config() };
        let _first = Devchain::open(&path, config.clone()).unwrap();
        assert!(Devchain::open(&path, config).is_err());
    }
}

#[test]
fn a_file_that_is_none_is_refused() {
    let folder = folder();
    for (name, bytes) in [("text", b"not a chain".repeat(1_000)), ("zeros", vec![0; 8_192])] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        assert!(Devchain::open(&path, config()).is_err());
    }
    assert!(Devchain::open(folder.path().join("missing/chain"), config()).is_err());
}
