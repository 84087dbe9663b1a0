//! A chain, a proxy before it, and an account that pays through the proxy.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, U256};
use claim::{Digest, HostKey};
use devchain::{Chain, Config, Devchain, Mining, Serving};
use ledger::{Account, Client, Sent};
use serde_json::Value;

use crate::proxy::{Fault, Proxy, Rule};

pub(crate) const SEND: &str = "eth_sendRawTransaction";
pub(crate) const RECEIPT: &str = "eth_getTransactionReceipt";
pub(crate) const BY_HASH: &str = "eth_getTransactionByHash";
pub(crate) const COUNT: &str = "eth_getTransactionCount";

/// Who is paid.
pub(crate) fn payee() -> Address {
    Address::repeat_byte(0x77)
}

pub(crate) fn key(name: &str) -> Arc<HostKey> {
    Arc::new(HostKey::from_bytes(Digest::sha256(name.as_bytes()).as_bytes()).unwrap())
}

/// A splitmix64 generator: the same in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut drawn = self.0;
        drawn = (drawn ^ drawn >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        drawn = (drawn ^ drawn >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (drawn ^ drawn >> 31) as usize % bound
    }
}

/// Lets time pass at once, for everybody in this test. A clock that stood still all along would jump whenever the test
/// waits for the chain's thread, so that it stands for this moment only.
pub(crate) async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// Lets time fly until something has come to its end: a second whenever nobody waits for an answer.
pub(crate) async fn fly<T>(proxy: &Proxy, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let fly = async {
        loop {
            proxy.idle().await;
            pass(Duration::from_secs(1)).await;
            // What has just been answered is read first, and the next question asked.
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::select! {
        done = &mut work => done,
        () = fly => unreachable!("time flies for ever"),
    }
}

pub(crate) struct Stand {
    pub(crate) chain: Devchain,
    pub(crate) serving: Serving,
    pub(crate) proxy: Proxy,
    pub(crate) account: Arc<Account>,
}

impl Stand {
    pub(crate) async fn with(rules: &[Rule]) -> Self {
        let (chain, serving) = chain();
        let proxy = Proxy::with(serving.address(), rules).await;
        Self::behind(chain, serving, proxy).await
    }

    pub(crate) async fn choosing(choose: impl FnMut(&str, usize) -> Option<Fault> + Send + 'static) -> Self {
        let (chain, serving) = chain();
        let proxy = Proxy::choosing(serving.address(), choose).await;
        Self::behind(chain, serving, proxy).await
    }

    async fn behind(chain: Devchain, serving: Serving, proxy: Proxy) -> Self {
        let client = Client::connect(&proxy.url).await.unwrap();
        let account = Arc::new(Account::new(client, key("payer")));
        let address = account.address();
        chain.with(move |chain, _| chain.set_balance(address, U256::from(10_u128.pow(19)))).await.unwrap();
        Self { chain, serving, proxy, account }
    }

    /// The same account without the proxy, as another program that has its key.
    pub(crate) async fn straight(&self) -> Account {
        Account::new(Client::connect(&format!("http://{}", self.serving.address())).await.unwrap(), key("payer"))
    }

    pub(crate) async fn pay(&self) -> Result<Sent, ledger::LedgerError> {
        self.account.pay(payee(), U256::ONE).await
    }

    /// Does something to the chain that always succeeds.
    pub(crate) async fn act<T: Send + 'static>(&self, act: impl FnOnce(&mut Chain, u64) -> T + Send + 'static) -> T {
        self.chain.with(act).await.unwrap()
    }

    pub(crate) async fn mine_by_hand(&self) {
        self.act(|chain, now| chain.set_mining(Mining::Manual, now)).await.unwrap();
    }

    pub(crate) async fn mine(&self) {
        self.act(|chain, now| chain.mine(now).map(drop)).await.unwrap();
    }

    /// What the chain says after it all: these payments are there, no other, and each was sent with one encoding only.
    pub(crate) fn check(&self, sent: &[Sent]) {
        self.check_chain(sent);
        let mut encodings = BTreeMap::new();
        for raw in self.proxy.requests(SEND) {
            let Value::String(raw) = raw[0].clone() else { panic!("no transaction: {raw}") };
            *encodings.entry(raw).or_insert(0) += 1;
        }
        assert_eq!(encodings.len(), sent.len(), "the same bytes again, or none: {encodings:?}");
    }

    /// The part of it that does not hang on who has sent them.
    pub(crate) fn check_chain(&self, sent: &[Sent]) {
        let published = self.chain.published();
        let (history, state) = (&published.history, published.history.state());
        assert_eq!(state.balance(payee()), U256::from(sent.len()), "each payment has paid once");
        assert_eq!(state.nonce(self.account.address()), sent.len() as u64, "and has used one number");
        for one in sent {
            let place = history.place(one.hash).unwrap_or_else(|| panic!("{} is not on the chain", one.hash));
            assert_eq!(place.block, one.block, "the receipt is that of the block");
        }
    }
}

fn chain() -> (Devchain, Serving) {
    let chain = Devchain::in_memory(Config::development()).unwrap();
    let serving = chain.serve(([127, 0, 0, 1], 0).into()).unwrap();
    (chain, serving)
}
