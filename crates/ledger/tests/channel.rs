//! Channels, vouchers and permits of this client beside the contracts, on the embedded chain.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::sync::Arc;

use alloy::primitives::{B256, U256, Uint};
use claim::{Address, Amount, ChannelId, Digest, HostKey, ModelRoot, ReceiptId};
use devchain::{Config, Devchain, Serving};
use ledger::abi::{Channels, Terms, Token};
use ledger::channel::{
    self, BookError, ChannelBook, ChannelDomain, ChannelTerms, Salt, Settlement, SignedVoucher, Stage, Usage, Voucher,
    VoucherError,
};
use ledger::{Account, Client, Deployment, Rules, dollar, stake};

/// A chain with the contracts, and two keys on it.
struct Bench {
    /// Held open.
    _serving: Serving,
    client: Client,
    deployment: Deployment,
    domain: ChannelDomain,
    payer: Account,
    host: Account,
    payer_key: Arc<HostKey>,
}

fn key(name: &str) -> Arc<HostKey> {
    Arc::new(HostKey::from_bytes(Digest::sha256(name.as_bytes()).as_bytes()).unwrap())
}

impl Bench {
    async fn new() -> Self {
        let serving = Devchain::in_memory(Config::development()).unwrap().serve(([127, 0, 0, 1], 0).into()).unwrap();
        let client = Client::connect(&format!("http://{}", serving.address())).await.unwrap();
        let payer_key = key("payer");
        let account = |key: Arc<HostKey>| Account::new(client.clone(), key);
        let (payer, host) = (account(payer_key.clone()), account(key("host")));
        for account in [&payer, &host] {
            dollar::make_wei(&client, account.address(), 10_u128.pow(19)).await.unwrap();
        }
        let deployment = Deployment::deploy(&host, &Rules::usual(), true, &mut |_, _| ()).await.unwrap();
        dollar::mint(&payer, deployment.dollar.unwrap(), Amount::new(1_000_000_000)).await.unwrap();
        let domain = ChannelDomain::of(&deployment);
        Self { _serving: serving, client, deployment, domain, payer, host, payer_key }
    }

    fn terms(&self, salt: u32) -> ChannelTerms {
        ChannelTerms {
            client: self.payer_key.address(),
            host: Address::new(self.host.address().into()),
            token: Address::new(self.deployment.dollar.unwrap().into()),
            salt: Salt::new(salt),
        }
    }

    fn line(&self) -> (Address, Address, ModelRoot) {
        let terms = self.terms(0);
        (terms.host, terms.token, model())
    }

    fn voucher(&self, salt: u32, amount: u128) -> SignedVoucher {
        voucher(self.terms(salt).id(self.domain), amount).sign(self.domain, &self.payer_key)
    }

    async fn settle(&self, vouchers: &[(ChannelTerms, SignedVoucher)]) -> (u128, Vec<Settlement>) {
        let settled = channel::settle(&self.host, self.domain, self.line(), vouchers).await.unwrap();
        (settled.paid.get(), settled.settlements)
    }
}

fn model() -> ModelRoot {
    ModelRoot::new(Digest::sha256(b"model"))
}

fn voucher(channel: ChannelId, amount: u128) -> Voucher {
    let usage = Usage { prompt_tokens: 7, output_tokens: 11 };
    Voucher::new(channel, Amount::new(amount), model(), usage, ReceiptId::new(Digest::sha256(b"receipt"))).unwrap()
}

#[tokio::test]
async fn ids_and_digests_are_the_contract_s() {
    let bench = Bench::new().await;
    let contract = bench.deployment.channels;
    for salt in [0, 1, 0x0102_0304, u32::MAX] {
        let terms = bench.terms(salt);
        let words = Terms {
            client: bench.payer.address(),
            host: bench.host.address(),
            token: bench.deployment.dollar.unwrap(),
            salt: Uint::from(salt),
        };
        let id = bench.client.call(contract, &Channels::channelIdCall { terms: words }).await.unwrap();
        assert_eq!(terms.id(bench.domain).get().get(), id.0);
    }
    let extremes = [(0, 0, 0), (1, 2, 3), (u128::from(u64::MAX) + 1, u64::MAX, 1 << 63), ((1 << 96) - 1, 0, u64::MAX)];
    for (index, (amount, prompt_tokens, output_tokens)) in extremes.into_iter().enumerate() {
        let [channel, model, receipt] = [0, 1, 2].map(|part| Digest::sha256(&[index as u8, part]));
        let usage = Usage { prompt_tokens, output_tokens };
        let ids = (ChannelId::new(channel), ModelRoot::new(model), ReceiptId::new(receipt));
        let voucher = Voucher::new(ids.0, Amount::new(amount), ids.1, usage, ids.2).unwrap();
        let call = Channels::voucherDigestCall {
            id: B256::from(channel.get()),
            amount: Uint::from(amount),
            model: B256::from(model.get()),
            promptTokens: prompt_tokens,
            outputTokens: output_tokens,
            receipt: B256::from(receipt.get()),
        };
        assert_eq!(voucher.digest(bench.domain).get(), bench.client.call(contract, &call).await.unwrap().0);
    }
    let ids = (ChannelId::new(Digest::ZERO), model(), ReceiptId::new(Digest::ZERO));
    let too_large = Voucher::new(ids.0, Amount::new(1 << 96), ids.1, Usage::default(), ids.2);
    assert_eq!(too_large, Err(VoucherError::TooLarge { max: (1 << 96) - 1, found: 1 << 96 }));
}

#[tokio::test]
async fn a_channel_opens_by_permit_pays_by_voucher_and_closes_for_good() {
    let bench = Bench::new().await;
    let (terms, domain) = (bench.terms(0), bench.domain);
    let between = (terms.client, terms.host, terms.token);
    let newest = || async { channel::newest(&bench.client, domain, between).await.unwrap() };
    assert_eq!((newest().await.terms, newest().await.standing.stage), (terms, Stage::Unknown));

    let nonce = bench.payer.nonce().await.unwrap();
    channel::fund(&bench.payer, domain, &terms, Amount::new(1_000)).await.unwrap();
    assert_eq!(bench.payer.nonce().await.unwrap(), nonce + 1, "a permit saves the transaction of an approval");
    let found = newest().await;
    assert_eq!((found.terms, found.standing.stage, found.standing.deposited.get()), (terms, Stage::Open, 1_000));

    let first = bench.voucher(0, 300);
    first.verify(domain, &terms).unwrap();
    assert_eq!(found.standing.due(first.voucher.amount()).get(), 300);
    assert_eq!(bench.settle(&[(terms, first)]).await, (300, vec![Settlement::Paid]));
    assert_eq!(bench.settle(&[(terms, first)]).await, (0, vec![Settlement::NothingDue]), "a replay earns nothing");
    let beyond = bench.voucher(0, 5_000);
    assert_eq!(bench.settle(&[(terms, beyond)]).await, (700, vec![Settlement::PaidInPart]));
    assert_eq!(bench.settle(&[(terms, bench.voucher(0, 6_000))]).await, (0, vec![Settlement::Empty]));

    // A top-up, this time with an approval that lies there already.
    let token = bench.deployment.dollar.unwrap();
    let approval = Token::approveCall { spender: bench.deployment.channels, value: U256::MAX };
    bench.payer.send(token, &approval).await.unwrap();
    channel::fund(&bench.payer, domain, &terms, Amount::new(50)).await.unwrap();
    let (_, closable_at) = channel::request_close(&bench.payer, domain, &terms).await.unwrap();
    assert_eq!(newest().await.standing.stage, Stage::Closing(closable_at));
    assert!(channel::close(&bench.payer, domain, &terms).await.unwrap_err().to_string().contains("NotClosable"));
    bench.client.development("evm_setNextBlockTimestamp", (closable_at,)).await.unwrap();
    bench.client.development("evm_mine", ()).await.unwrap();
    assert_eq!(channel::close(&bench.payer, domain, &terms).await.unwrap().1.get(), 50);
    assert_eq!(bench.settle(&[(terms, beyond)]).await, (0, vec![Settlement::Closed]));
    assert_eq!((newest().await.terms, newest().await.standing.stage), (bench.terms(1), Stage::Unknown));
}

#[tokio::test]
async fn a_token_without_permits_is_approved_first() {
    let bench = Bench::new().await;
    let (dollar, amount) = (bench.deployment.dollar.unwrap(), Amount::new(1_000));
    let (vault, _) = stake::create_vault(&bench.payer, &bench.deployment, dollar).await.unwrap();
    assert!(stake::deposit(&bench.payer, dollar, vault, amount).await.unwrap().approval.is_some());
    // The vault's shares are a token like any other, and have no permits.
    let terms = ChannelTerms { token: Address::new(vault.into()), ..bench.terms(0) };
    assert!(channel::fund(&bench.payer, bench.domain, &terms, amount).await.unwrap().approval.is_some());
    let standing = channel::standing(&bench.client, bench.domain, terms.id(bench.domain)).await.unwrap();
    assert_eq!((standing.stage, standing.deposited), (Stage::Open, amount));
}

#[tokio::test]
async fn foreign_vouchers_are_known_before_the_contract_refuses_them() {
    let bench = Bench::new().await;
    let (terms, domain) = (bench.terms(0), bench.domain);
    channel::fund(&bench.payer, domain, &terms, Amount::new(1_000)).await.unwrap();
    let id = terms.id(domain);
    let good = bench.voucher(0, 300);

    let by_another = voucher(id, 300).sign(domain, &key("thief"));
    let other_chain = voucher(id, 300).sign(ChannelDomain { chain_id: 1, ..domain }, &bench.payer_key);
    let other_contract = ChannelDomain { contract: terms.host, ..domain };
    let other_contract = voucher(id, 300).sign(other_contract, &bench.payer_key);
    let raised = SignedVoucher { voucher: voucher(id, 301), ..good };
    for bad in [by_another, other_chain, other_contract, raised] {
        assert!(matches!(bad.verify(domain, &terms), Err(VoucherError::WrongSigner { .. })));
        assert_eq!(bench.settle(&[(terms, bad)]).await, (0, vec![Settlement::BadSignature]));
    }
    assert!(matches!(bench.voucher(1, 300).verify(domain, &terms), Err(VoucherError::OtherChannel { .. })));
    // One bad voucher harms no other, and a channel that nobody opened pays nothing.
    let batch = [(terms, by_another), (bench.terms(9), bench.voucher(9, 300)), (terms, good)];
    let expect = vec![Settlement::BadSignature, Settlement::UnknownChannel, Settlement::Paid];
    assert_eq!(bench.settle(&batch).await, (300, expect));

    let folder = tempfile::tempdir().unwrap();
    let book = ChannelBook::new(folder.path().join("channels.jsonl"));
    assert_eq!(book.entries().unwrap(), []);
    assert!(matches!(book.record(domain, good), Err(BookError::UnknownChannel(found)) if found == id));
    book.add(domain, terms).unwrap();
    assert!(matches!(book.record(domain, other_chain), Err(BookError::Voucher(VoucherError::WrongSigner { .. }))));
    book.record(domain, good).unwrap();
    book.add(domain, terms).unwrap();
    for old in [good, bench.voucher(0, 299)] {
        assert!(matches!(book.record(domain, old), Err(BookError::Older { kept: 300, .. })));
    }
    book.record(domain, bench.voucher(0, 301)).unwrap();
    let entries = ChannelBook::new(book.path().to_owned()).entries().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].terms, entries[0].voucher), (terms, Some(bench.voucher(0, 301))));
    std::fs::write(book.path(), "{\"version\":1}\n").unwrap();
    assert!(book.entries().unwrap_err().to_string().contains("the version 1, expected 2"));
}

#[tokio::test]
async fn a_batch_of_a_hundred_costs_little_each() {
    let bench = Bench::new().await;
    let mut batch = Vec::new();
    for salt in 0..channel::VOUCHERS_MAX as u32 {
        let terms = bench.terms(salt);
        channel::fund(&bench.payer, bench.domain, &terms, Amount::new(1_000)).await.unwrap();
        batch.push((terms, bench.voucher(salt, 10 + u128::from(salt))));
    }
    let settled = channel::settle(&bench.host, bench.domain, bench.line(), &batch).await.unwrap();
    assert_eq!(settled.paid.get(), (0..100).map(|salt| 10 + salt).sum::<u128>());
    assert!(settled.sent.gas_used <= 100 * 12_000, "{} gas", settled.sent.gas_used);
}
