//! Chains that answer nonsense: one clear error each.

use alloy::primitives::{Address, U256};
use ledger::abi::Token;
use ledger::{Account, Client, Cursor, LedgerError};
use serde_json::json;

use crate::proxy::{Fault, Proxy, Rule};
use crate::stand::{COUNT, RECEIPT, SEND, Stand, fly, key, payee};

/// What a question comes to.
fn words(result: Result<(), LedgerError>) -> String {
    result.unwrap_err().to_string()
}

#[tokio::test]
async fn an_address_that_is_none_or_where_nobody_is() {
    let connect = async |url: &str| words(Client::connect(url).await.map(drop));
    assert!(connect("nonsense").await.starts_with("`nonsense` is not the address of a chain"));
    let nobody = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let error = connect(&format!("http://{nobody}")).await;
    assert!(error.starts_with(&format!("the chain at http://{nobody} does not answer: ")), "{error}");
}

#[tokio::test]
async fn answers_that_are_none() {
    for (fault, expected) in [
        (Fault::AnswersAPage, "in `<html><body>Please sign in</body></html>`"),
        (Fault::SaysBadGateway, "does not answer: HTTP error 502 with body: upstream timed out"),
        (Fault::SaysInternalError, "the chain refused `eth_getBalance`: internal error"),
        (Fault::LosesTheAnswer, "does not answer: "),
        (Fault::AnswersWithoutEnd, "cannot be read: it is longer than 33554432 bytes"),
        (Fault::Answers("null"), "the chain's answer to `eth_getBalance` cannot be read: "),
        (Fault::Answers("\"0xzz\""), "the chain's answer to `eth_getBalance` cannot be read: "),
        (Fault::Answers("{}"), "the chain's answer to `eth_getBalance` cannot be read: "),
        (Fault::Answers("[[[[[[[[1]]]]]]]]"), "the chain's answer to `eth_getBalance` cannot be read: "),
        (
            Fault::Answers("\"0x10000000000000000000000000000000000000000000000000000000000000000\""),
            "the chain's answer to `eth_getBalance` cannot be read: ",
        ),
    ] {
        let stand = Stand::with(&[Rule::once("eth_getBalance", fault)]).await;
        let client = stand.account.client();
        let error = words(client.balance(payee()).await.map(drop));
        assert!(error.contains(expected), "{fault:?}: {error}");
        client.balance(payee()).await.unwrap();
    }
}

#[tokio::test]
async fn results_that_are_no_result_of_the_contract() {
    for answer in ["\"0x\"", "\"0x01\"", "\"0xffffffff\""] {
        let stand = Stand::with(&[Rule::once("eth_call", Fault::Answers(answer))]).await;
        let call = Token::balanceOfCall { account: payee() };
        let error = words(stand.account.client().call(Address::ZERO, &call).await.map(drop));
        assert!(error.starts_with("the chain's answer to `eth_call` cannot be read: "), "{answer}: {error}");
    }
}

#[tokio::test]
async fn numbers_that_are_as_large_as_they_can_be() {
    // What such a payment would cost, the chain refuses; nothing overflows on the way.
    for (method, greatest) in [
        (COUNT, "\"0xffffffffffffffff\""),
        ("eth_estimateGas", "\"0xffffffffffffffff\""),
        ("eth_gasPrice", "\"0xffffffffffffffffffffffffffffffff\""),
    ] {
        let stand = Stand::with(&[Rule::once(method, Fault::Answers(greatest))]).await;
        let error = words(stand.pay().await.map(drop));
        assert!(error.starts_with(&format!("the chain refused `{SEND}`: ")), "{method}: {error}");
        assert_eq!(stand.chain.state().balance(payee()), U256::ZERO);
        assert_eq!(stand.proxy.requests(SEND).len(), 1);
    }
}

#[tokio::test]
async fn blocks_that_are_none() {
    let stand = Stand::with(&[Rule::once("eth_getBlockByNumber", Fault::Answers("null"))]).await;
    let error = words(stand.account.client().head().await.map(drop));
    assert_eq!(error, "the chain's answer to `eth_getBlockByNumber` cannot be read: no block");
}

/// A gateway that mixes up what it was asked for, or that has kept an answer for too long.
#[tokio::test]
async fn blocks_and_receipts_of_something_else() {
    let stand = Stand::with(&[]).await;
    let first = stand.pay().await.unwrap();
    let url = format!("http://{}", stand.serving.address());
    let client = Client::connect(&url).await.unwrap();
    let ask = async |method, parameters: serde_json::Value| {
        let answer = client.development(method, parameters).await.unwrap().to_string();
        &*Box::leak(answer.into_boxed_str())
    };
    let receipt = ask(RECEIPT, json!([first.hash])).await;
    stand.pay().await.unwrap();
    let block = ask("eth_getBlockByNumber", json!(["0x2", false])).await;

    let proxy =
        Proxy::with(stand.serving.address(), &[Rule { method: RECEIPT, fault: Fault::Answers(receipt), times: 2 }])
            .await;
    let account = Account::new(Client::connect(&proxy.url).await.unwrap(), key("payer"));
    let third = account.pay(payee(), U256::ONE).await.unwrap();
    assert_ne!(first.hash, third.hash);
    assert_eq!(stand.chain.state().balance(payee()), U256::from(3));

    let proxy = Proxy::with(
        stand.serving.address(),
        &[Rule { method: "eth_getBlockByNumber", fault: Fault::Answers(block), times: 1 }],
    )
    .await;
    let mut cursor = Cursor::new(Client::connect(&proxy.url).await.unwrap(), vec![payee()], 1);
    let error = words(cursor.poll().await.map(drop));
    assert_eq!(error, "the chain's answer to `eth_getBlockByNumber` cannot be read: this is block 2, expected 1");
}

/// Every answer to the question whether the payment is mined is nonsense, for as long as anybody asks.
#[tokio::test]
async fn a_receipt_that_never_can_be_read() {
    let rule = Rule::always(RECEIPT, Fault::AnswersAPage);
    let stand = Stand::with(&[rule]).await;
    let error = words(fly(&stand.proxy, stand.pay()).await.map(drop));
    assert!(error.contains("is not known to be mined after 300 s (the chain's answer to"), "{error}");
    assert_eq!(stand.chain.state().balance(payee()), U256::ONE);
    assert_eq!(stand.proxy.requests(SEND).len(), 1);
}
