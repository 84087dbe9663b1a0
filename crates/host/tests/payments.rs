//! A host is paid by channels: for what it signed, once, and by nobody else.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use api::ApiError;
use arith::{Isa, Machine, Pool, WeightType};
use bytes::Bytes;
use claim::{Address, Amount, Digest, Endpoint, HostKey, Nonce, Price, RequestHash, SignedReceipt, request_hash};
use devchain::{Config, Devchain, Serving};
use host::event::{Answer, HostEvent};
use host::till::{Payment, PaymentTerms, Tab, Till};
use host::{Host, HostConfig};
use ledger::channel::{
    self, Addition, ChannelBook, ChannelDomain, ChannelTerms, PaidRequest, Salt, SignedVoucher, Stage, Usage,
};
use ledger::{Account, Client, Deployment, Rules, dollar};
use model::Model;
use serde_json::json;
use specimen::Specimen;
use tempfile::TempDir;

/// A dollar for a token of the answer, and a tenth for one of the prompt.
const PRICE: Price = Price::new(100_000, 1_000_000);

/// What the host lends: more than an answer, so that only the tests of credit reach it.
const CREDIT: Amount = Amount::new(1_000);

/// A chain, a model, a client and a host; hosts can be started and stopped.
struct Street {
    /// Held open.
    _serving: Serving,
    folder: TempDir,
    client: Client,
    deployment: Deployment,
    model: Arc<Model>,
    payer_key: Arc<HostKey>,
    payer: Account,
    host: Account,
}

fn key(name: &str) -> HostKey {
    HostKey::from_bytes(Digest::sha256(name.as_bytes()).as_bytes()).unwrap()
}

fn machine() -> Machine {
    Machine::new(Isa::detect(), Pool::new(NonZeroUsize::MIN))
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

impl Street {
    async fn new() -> Self {
        let serving = Devchain::in_memory(Config::development()).unwrap().serve(([127, 0, 0, 1], 0).into()).unwrap();
        let client = Client::connect(&format!("http://{}", serving.address())).await.unwrap();
        let payer_key = Arc::new(key("payer"));
        let payer = Account::new(client.clone(), payer_key.clone());
        let host = Account::new(client.clone(), Arc::new(key("host")));
        for account in [&payer, &host] {
            dollar::make_wei(&client, account.address(), 10_u128.pow(19)).await.unwrap();
        }
        let deployment = Deployment::deploy(&host, &Rules::usual(), true, &mut |_, _| ()).await.unwrap();
        dollar::mint(&payer, deployment.dollar.unwrap(), Amount::new(1_000_000_000)).await.unwrap();
        let model = Arc::new(Model::load(&Specimen::llama(WeightType::Q8_0).to_gguf(), &machine(), &|_| ()).unwrap());
        let folder = tempfile::tempdir().unwrap();
        Self { _serving: serving, folder, client, deployment, model, payer_key, payer, host }
    }

    fn domain(&self) -> ChannelDomain {
        ChannelDomain::of(&self.deployment)
    }

    fn token(&self) -> Address {
        Address::new(self.deployment.dollar.unwrap().into())
    }

    fn terms(&self, salt: u32) -> ChannelTerms {
        let (client, host) = (self.payer_key.address(), key("host").address());
        ChannelTerms { client, host, token: self.token(), salt: Salt::new(salt) }
    }

    async fn fund(&self, salt: u32, amount: u128) {
        channel::fund(&self.payer, self.domain(), &self.terms(salt), Amount::new(amount)).await.unwrap();
    }

    fn book(&self, whose: &str) -> ChannelBook {
        let folder: &Path = self.folder.path();
        ChannelBook::new(folder.join(format!("{whose}.jsonl")))
    }

    /// A host with the vouchers that earlier ones were given.
    fn open(&self, credit: Amount) -> Shop<'_> {
        let terms = PaymentTerms { domain: self.domain(), token: self.token(), host: key("host").address(), credit };
        let till = Arc::new(Till::open(self.client.clone(), terms, self.book("host")).unwrap());
        let config = HostConfig { price: PRICE, ..HostConfig::local() };
        let host = Host::serve(self.model.clone(), "specimen", key("host"), machine(), config).unwrap();
        Shop { street: self, host: host.paid_by(till.clone()), till }
    }

    /// The next voucher of the client, for a receipt of which `paid` is paid already.
    fn voucher(&self, signed: &SignedReceipt, paid: Amount) -> SignedVoucher {
        let amount = Amount::new(signed.receipt.total.get() - paid.get());
        let addition =
            Addition { amount, usage: Usage::default(), model: signed.receipt.model_root, receipt: signed.id() };
        self.book("payer").sign_next(self.domain(), self.terms(0), addition, &self.payer_key).unwrap()
    }

    async fn settle(&self) -> Amount {
        let entries = self.book("host").entries().unwrap();
        let vouchers: Vec<_> = entries.iter().map(|entry| (entry.terms, entry.voucher.unwrap())).collect();
        let line = (key("host").address(), self.token(), self.model.root());
        channel::settle(&self.host, self.domain(), line, &vouchers).await.unwrap().paid
    }
}

/// A host that takes money.
struct Shop<'a> {
    street: &'a Street,
    host: Host,
    till: Arc<Till>,
}

/// A request with what its signature covers.
struct Asked {
    body: Bytes,
    nonce: Nonce,
    request: RequestHash,
}

fn asked(street: &Street, number: u64, tokens: u32) -> Asked {
    // Without its control tokens the model talks until it is stopped.
    let silenced = json!({"256": -100, "257": -100, "258": -100});
    let prompt = format!("Question {number}");
    let body = json!({"model": "specimen", "prompt": prompt, "max_tokens": tokens, "logit_bias": silenced});
    let body = Bytes::from(body.to_string());
    let nonce = Nonce::new(Digest::sha256(&number.to_be_bytes()));
    let request = request_hash(Endpoint::Completions, &body, nonce, Some(street.payer_key.address()));
    Asked { body, nonce, request }
}

impl Shop<'_> {
    /// What an honest client says of its payment.
    fn payment(&self, asked: &Asked) -> Payment {
        let (street, expires) = (self.street, now_s() + 60);
        let (domain, terms) = (street.domain(), street.terms(0));
        let signed = PaidRequest { channel: terms.id(domain), request: asked.request, expires };
        let signature = signed.sign(domain, &street.payer_key);
        Payment { client: terms.client, token: terms.token, salt: terms.salt, expires, signature }
    }

    fn submit(&self, asked: &Asked, tab: Option<&Tab>) -> Result<Answer, ApiError> {
        let client = Some(self.street.payer_key.address());
        self.host.submit(Endpoint::Completions, &asked.body, asked.nonce, client, tab)
    }

    async fn ask(&self, number: u64, tokens: u32) -> Result<Answer, ApiError> {
        let asked = asked(self.street, number, tokens);
        let tab = self.till.admit(&self.payment(&asked), asked.request).await?;
        self.submit(&asked, Some(&tab))
    }

    async fn pay(&self, voucher: SignedVoucher) -> Result<u128, ApiError> {
        let ChannelTerms { client, token, salt, .. } = self.street.terms(0);
        let (_, statement) = self.till.pay((client, token, salt), voucher).await?;
        Ok(statement.paid.get())
    }

    fn owed(&self) -> (u128, u128) {
        let statement = self.till.statement(self.street.terms(0).id(self.street.domain())).unwrap();
        (statement.owed.get(), statement.reserved.get())
    }
}

/// What an answer has come to.
enum Signed {
    Part(SignedReceipt),
    Whole(SignedReceipt),
    Failed(ApiError),
}

/// The next thing that the host signs.
async fn signed(answer: &mut Answer) -> Signed {
    loop {
        match answer.events.recv().await.unwrap() {
            HostEvent::Progress(progress) => return Signed::Part(progress.receipt),
            HostEvent::Done(done) => return Signed::Whole(done.receipt),
            HostEvent::Failed(error) => return Signed::Failed(error),
            HostEvent::Echo { .. } | HostEvent::Token { .. } => {}
        }
    }
}

async fn part(answer: &mut Answer) -> SignedReceipt {
    match signed(answer).await {
        Signed::Part(receipt) => receipt,
        Signed::Whole(_) => panic!("the answer is whole"),
        Signed::Failed(error) => panic!("{error}"),
    }
}

fn refusal<T>(outcome: Result<T, ApiError>) -> String {
    match outcome.map(drop) {
        Err(ApiError::PaymentRefused { problem }) => problem,
        other => panic!("{other:?}"),
    }
}

/// Ten thousand requests in the slow suite, and fewer in the quick one, which shows the same.
#[tokio::test]
async fn any_number_of_requests_costs_two_transactions() {
    let requests = if std::env::var_os("CANDOR_SLOW").is_some() { 10_000 } else { 60 };
    let street = Street::new().await;
    let shop = street.open(CREDIT);
    let before = (street.payer.nonce().await.unwrap(), street.host.nonce().await.unwrap());
    street.fund(0, 100_000_000).await;
    let mut total = 0;
    for number in 0..requests {
        let mut answer = shop.ask(number, 3).await.unwrap();
        let Signed::Whole(receipt) = signed(&mut answer).await else { panic!("the answer is not whole") };
        assert_eq!(receipt.receipt.channel, street.terms(0).id(street.domain()));
        total += receipt.receipt.total.get();
        assert_eq!(shop.pay(street.voucher(&receipt, Amount::new(0))).await, Ok(total));
        assert_eq!(shop.owed(), (total, 0));
    }
    assert!(total > 3 * u128::from(requests), "{total}");
    let start =
        dollar::balance(&street.client, street.deployment.dollar.unwrap(), street.host.address()).await.unwrap();
    assert_eq!((start.get(), street.settle().await.get()), (0, total));
    let after = (street.payer.nonce().await.unwrap(), street.host.nonce().await.unwrap());
    assert_eq!((after.0 - before.0, after.1 - before.1), (1, 1));
}

#[tokio::test]
async fn stopping_a_stream_pays_for_the_tokens_received() {
    let street = Street::new().await;
    street.fund(0, 1_000_000).await;
    let shop = street.open(CREDIT);
    let mut answer = shop.ask(1, 1_000).await.unwrap();
    let (first, second) = (part(&mut answer).await, part(&mut answer).await);
    assert_eq!(second.receipt.total.get() - first.receipt.total.get(), 32);
    drop(answer);
    // The host notices with its next token. What it set aside then is free again, and it signs nothing more.
    let owed = loop {
        match shop.owed() {
            (owed, 0) => break owed,
            _ => tokio::task::yield_now().await,
        }
    };
    assert!(owed >= second.receipt.total.get());
    let first_voucher = street.voucher(&first, Amount::new(0));
    let second_voucher = street.voucher(&second, first.receipt.total);
    assert_eq!(shop.pay(first_voucher).await, Ok(first.receipt.total.get()));
    assert_eq!(shop.pay(second_voucher).await, Ok(second.receipt.total.get()));
    assert_eq!(street.settle().await, second.receipt.total);
}

#[tokio::test]
async fn a_host_that_dies_is_paid_for_the_signed_prefix_only() {
    let street = Street::new().await;
    street.fund(0, 1_000_000).await;
    let (first, unpaid) = {
        let shop = street.open(CREDIT);
        let mut answer = shop.ask(1, 1_000).await.unwrap();
        let first = part(&mut answer).await;
        shop.pay(street.voucher(&first, Amount::new(0))).await.unwrap();
        (first, part(&mut answer).await)
    };
    // The next host has the voucher that the one before was given, and takes the one that it was not.
    let shop = street.open(CREDIT);
    assert_eq!(street.settle().await, first.receipt.total);
    shop.ask(2, 1).await.unwrap();
    assert_eq!(shop.pay(street.voucher(&unpaid, first.receipt.total)).await, Ok(unpaid.receipt.total.get()));
    assert_eq!(street.settle().await.get(), unpaid.receipt.total.get() - first.receipt.total.get());
}

#[tokio::test]
async fn a_client_that_does_not_pay_is_served_up_to_the_credit_and_not_beyond_its_deposit() {
    let street = Street::new().await;
    street.fund(0, 1_000).await;
    let shop = street.open(Amount::new(40));
    let beyond = refusal(shop.ask(1, 2_000).await);
    assert!(beyond.contains("and the channel has 1000 left"), "{beyond}");
    let mut answer = shop.ask(2, 900).await.unwrap();
    let (first, second) = (part(&mut answer).await, part(&mut answer).await);
    let Signed::Failed(error) = signed(&mut answer).await else { panic!("the host goes on") };
    let (owed, because) = (second.receipt.total.get(), refusal::<()>(Err(error)));
    assert_eq!(
        because,
        format!("the channel owes {owed} millionths of a dollar, has vouchers over 0, and the host lends 40")
    );
    assert_eq!(refusal(shop.ask(3, 1).await), because);
    shop.pay(street.voucher(&first, Amount::new(0))).await.unwrap();
    // Now it owes 32, which is less than the host lends; and money that was just paid in counts at once.
    assert!(refusal(shop.ask(4, 1_100).await).contains("left"));
    street.fund(0, 1_000).await;
    shop.ask(5, 1_100).await.unwrap();
}

#[tokio::test]
async fn nobody_is_served_at_the_cost_of_another_or_twice() {
    let street = Street::new().await;
    street.fund(0, 1_000_000).await;
    let shop = street.open(CREDIT);
    let asked = asked(&street, 1, 1);
    assert!(matches!(shop.submit(&asked, None), Err(ApiError::PaymentRequired { chain_id: 31_337, .. })));
    let honest = shop.payment(&asked);
    let stranger = key("stranger");
    let domain = street.domain();
    let sign = |expires, salt, key: &HostKey| {
        let terms = ChannelTerms { client: key.address(), ..street.terms(salt) };
        let signed = PaidRequest { channel: terms.id(domain), request: asked.request, expires };
        Payment { client: terms.client, salt: terms.salt, expires, signature: signed.sign(domain, key), ..honest }
    };
    let thief = Payment { client: honest.client, ..sign(honest.expires, 0, &stranger) };
    let elsewhere = ChannelDomain { chain_id: 1, ..domain };
    let id = street.terms(0).id(domain);
    let foreign = PaidRequest { channel: id, request: asked.request, expires: honest.expires };
    let foreign = Payment { signature: foreign.sign(elsewhere, &street.payer_key), ..honest };
    for (payment, expect) in [
        (thief, "is not signed by"),
        (foreign, "is not signed by"),
        (Payment { expires: honest.expires + 1, ..honest }, "is not signed by"),
        (Payment { salt: Salt::new(1), ..honest }, "is not signed by"),
        (Payment { token: Address::new([9; 20]), ..honest }, "this host is paid in the token"),
        (sign(now_s() - 5, 0, &street.payer_key), "the request expired 5 s ago"),
        (sign(now_s() + 400, 0, &street.payer_key), "at most 300 s ahead, found 400 s"),
        (sign(honest.expires, 1, &street.payer_key), "was never opened"),
        (sign(honest.expires, 0, &stranger), "was never opened"),
    ] {
        let problem = refusal(shop.till.admit(&payment, asked.request).await);
        assert!(problem.contains(expect), "{problem}");
    }
    shop.till.admit(&honest, asked.request).await.unwrap();
    let again = refusal(shop.till.admit(&honest, asked.request).await);
    assert!(again.contains("was sent before"), "{again}");
}

#[tokio::test]
async fn vouchers_that_the_contract_would_not_take_are_not_taken() {
    let street = Street::new().await;
    street.fund(0, 1_000).await;
    let shop = street.open(CREDIT);
    let (domain, terms) = (street.domain(), street.terms(0));
    let voucher = |salt, amount, domain: ChannelDomain, key: &HostKey| {
        let id = street.terms(salt).id(street.domain());
        let receipt = claim::ReceiptId::ZERO;
        let voucher =
            channel::Voucher::new(id, Amount::new(amount), street.model.root(), Usage::default(), receipt).unwrap();
        voucher.sign(domain, key)
    };
    let honest = voucher(0, 600, domain, &street.payer_key);
    assert_eq!(shop.pay(honest).await, Ok(600));
    for (voucher, expect) in [
        (voucher(0, 700, domain, &key("stranger")), "is not signed by"),
        (voucher(0, 700, ChannelDomain { chain_id: 1, ..domain }, &street.payer_key), "is not signed by"),
        (voucher(1, 700, domain, &street.payer_key), "the voucher is for the channel"),
        (
            voucher(0, 599, domain, &street.payer_key),
            "has a voucher over 600 millionths of a dollar already, found one over 599",
        ),
        (
            voucher(0, 1_001, domain, &street.payer_key),
            "is over 1001 millionths of a dollar, and the channel holds 1000",
        ),
        (voucher(0, (1 << 96) - 1, domain, &street.payer_key), "and the channel holds 1000"),
    ] {
        let problem = refusal(shop.pay(voucher).await);
        assert!(problem.contains(expect), "{problem}");
    }
    // The same again is no harm: its sender may not have heard that it arrived.
    assert_eq!(shop.pay(honest).await, Ok(600));
    assert_eq!(street.book("host").entries().unwrap()[0].voucher, Some(honest));
    assert_eq!(street.book("host").entries().unwrap()[0].terms, terms);
}

#[tokio::test]
async fn what_a_closing_channel_owes_is_settled_in_time_and_it_pays_for_nothing_more() {
    let street = Street::new().await;
    street.fund(0, 1_000_000).await;
    let shop = street.open(CREDIT);
    let mut answer = shop.ask(1, 3).await.unwrap();
    let Signed::Whole(receipt) = signed(&mut answer).await else { panic!("the answer is not whole") };
    shop.pay(street.voucher(&receipt, Amount::new(0))).await.unwrap();
    channel::request_close(&street.payer, street.domain(), &street.terms(0)).await.unwrap();
    // A host that was away when the client asked finds out as it starts.
    let shop = street.open(CREDIT);
    let settled = async {
        loop {
            let standing = channel::standing(&street.client, street.domain(), street.terms(0).id(street.domain()));
            let standing = standing.await.unwrap();
            if standing.settled == receipt.receipt.total {
                break standing.stage;
            }
        }
    };
    let stage = tokio::select! {
        stage = settled => stage,
        () = shop.till.keep(&street.host) => panic!("it never ends"),
    };
    assert!(matches!(stage, Stage::Closing(_)));
    assert!(refusal(shop.ask(2, 1).await).contains("is about to be closed"));
}
