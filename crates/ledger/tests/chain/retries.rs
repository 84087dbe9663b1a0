//! A payment through a proxy that makes a fault: one transaction on the chain, one number used, and its sender knows.

use std::collections::HashSet;
use std::time::Duration;

use alloy::primitives::U256;
use ledger::LedgerError;
use serde_json::Value;
use tokio::time::Instant;

use crate::proxy::{Fault, Rule};
use crate::stand::{BY_HASH, COUNT, RECEIPT, Random, SEND, Stand, fly, pass, payee};

#[tokio::test]
async fn a_payment_comes_once_whatever_the_chain_answers_to_it() {
    for fault in [
        Fault::LosesTheRequest,
        Fault::LosesTheAnswer,
        Fault::SaysBadGateway,
        Fault::SaysBadGatewayAndNonceTooLow,
        Fault::SaysNonceTooLow,
        Fault::SaysAlreadyKnown,
        Fault::SaysInternalError,
        Fault::AnswersAPage,
        Fault::KnowsNothingYet,
        Fault::Answers("\"0x0000000000000000000000000000000000000000000000000000000000000001\""),
    ] {
        for times in [1, 3] {
            let rule = Rule { method: SEND, fault, times };
            let stand = Stand::with(&[rule]).await;
            let sent = stand.pay().await.unwrap_or_else(|error| panic!("{rule:?}: {error}"));
            stand.check(&[sent]);
        }
    }
}

#[tokio::test]
async fn a_payment_comes_once_whatever_the_chain_answers_to_questions_about_it() {
    for fault in [
        Fault::LosesTheRequest,
        Fault::LosesTheAnswer,
        Fault::SaysBadGateway,
        Fault::SaysInternalError,
        Fault::AnswersAPage,
        Fault::KnowsNothingYet,
        Fault::Answers("{\"status\": \"0x1\"}"),
    ] {
        // A node that has the answer to neither question, and no answer to the payment itself.
        for sending in [Fault::LosesTheAnswer, Fault::SaysNonceTooLow, Fault::SaysAlreadyKnown] {
            let lags = [RECEIPT, BY_HASH].map(|method| Rule { method, fault, times: 4 });
            let stand = Stand::with(&[Rule::once(SEND, sending), lags[0], lags[1]]).await;
            let sent = stand.pay().await.unwrap_or_else(|error| panic!("{fault:?}, {sending:?}: {error}"));
            stand.check(&[sent]);
        }
    }
}

#[tokio::test]
async fn a_payment_comes_once_when_the_answer_is_late() {
    for method in [SEND, RECEIPT] {
        let stand = Stand::with(&[Rule::once(method, Fault::AnswersTooLate)]).await;
        let (sent, ()) = tokio::join!(stand.pay(), async {
            stand.proxy.done(method, 1).await;
            pass(Duration::from_secs(31)).await;
        });
        stand.check(&[sent.unwrap()]);
    }
}

#[tokio::test]
async fn a_payment_that_waits_for_a_block_is_waited_for() {
    for fault in [Fault::LosesTheAnswer, Fault::SaysAlreadyKnown, Fault::SaysNonceTooLow, Fault::SaysInternalError] {
        let stand = Stand::with(&[Rule::once(SEND, fault)]).await;
        stand.mine_by_hand().await;
        let (sent, ()) = tokio::join!(stand.pay(), async {
            stand.proxy.done(RECEIPT, 2).await;
            stand.mine().await;
        });
        stand.check(&[sent.unwrap()]);
    }
}

#[tokio::test]
async fn a_payment_that_the_chain_forgets_is_sent_again() {
    let stand = Stand::with(&[]).await;
    stand.mine_by_hand().await;
    let (sent, ()) = tokio::join!(stand.pay(), async {
        for count in 1..4 {
            stand.proxy.done(SEND, count).await;
            stand.act(|chain, _| chain.drop_all()).await;
        }
        stand.proxy.done(SEND, 4).await;
        stand.mine().await;
    });
    stand.check(&[sent.unwrap()]);
}

#[tokio::test]
async fn a_payment_in_a_block_that_is_taken_back_is_sent_again() {
    let stand = Stand::with(&[Rule { method: RECEIPT, fault: Fault::KnowsNothingYet, times: 3 }]).await;
    let (sent, ()) = tokio::join!(stand.pay(), async {
        stand.proxy.done(SEND, 1).await;
        assert_eq!(stand.chain.head().number(), 1);
        stand.act(|chain, now| chain.roll_back(1, now)).await.unwrap();
    });
    stand.check(&[sent.unwrap()]);
}

#[tokio::test]
async fn two_tasks_of_one_account_lose_nothing_and_double_nothing() {
    for fault in [Fault::LosesTheRequest, Fault::LosesTheAnswer, Fault::SaysNonceTooLow, Fault::SaysBadGateway] {
        let stand = Stand::with(&[Rule::once(SEND, fault)]).await;
        let pay_often = async || {
            let mut sent = Vec::new();
            for _ in 0..4 {
                sent.push(stand.pay().await.unwrap_or_else(|error| panic!("{fault:?}: {error}")));
            }
            sent
        };
        let (one, other) = tokio::join!(pay_often(), pay_often());
        stand.check(&[one, other].concat());
    }
}

#[tokio::test]
async fn payments_through_a_proxy_without_any_order_come_once_each() {
    let faults = [
        Fault::LosesTheRequest,
        Fault::LosesTheAnswer,
        Fault::SaysBadGateway,
        Fault::SaysNonceTooLow,
        Fault::SaysAlreadyKnown,
        Fault::SaysInternalError,
        Fault::AnswersAPage,
        Fault::KnowsNothingYet,
    ];
    let mut random = Random(1);
    let stand = Stand::choosing(move |method, before| {
        let concerns = [SEND, RECEIPT, BY_HASH].contains(&method);
        (concerns && before < 4 && random.below(3) > 0).then(|| faults[random.below(faults.len())])
    })
    .await;
    let pay_often = async || {
        let mut sent = Vec::new();
        for _ in 0..12 {
            sent.push(stand.pay().await.unwrap());
        }
        sent
    };
    let (one, other) = tokio::join!(pay_often(), pay_often());
    stand.check(&[one, other].concat());
}

#[tokio::test]
async fn a_payment_whose_number_another_took_is_replaced_and_never_sent_otherwise() {
    let mut sends = 0;
    let stand = Stand::choosing(move |method, _| {
        sends += usize::from(method == SEND);
        (method == SEND && sends == 1).then_some(Fault::IsHeld)
    })
    .await;
    let other = stand.straight().await;
    let (replaced, first) = tokio::join!(fly(&stand.proxy, stand.pay()), async {
        stand.proxy.held().await;
        let first = other.pay(payee(), U256::from(2)).await.unwrap();
        stand.proxy.release();
        first
    });
    let expected = (stand.account.address(), 0);
    let replaced = replaced.unwrap_err();
    assert!(
        matches!(replaced, LedgerError::Replaced { account, nonce, .. } if (account, nonce) == expected),
        "{replaced}"
    );
    let distinct = |requests: Vec<Value>| requests.into_iter().map(|raw| raw.to_string()).collect::<HashSet<_>>().len();
    assert_eq!(distinct(stand.proxy.requests(SEND)), 1);
    // The next one goes on behind the other's.
    let second = stand.pay().await.unwrap();
    assert_eq!(stand.chain.state().balance(payee()), U256::from(3));
    assert_eq!((first.block, second.block), (1, 2));
}

#[tokio::test]
async fn a_payment_that_the_chain_refuses_for_good_is_not_tried_again() {
    let stand = Stand::with(&[Rule::once(SEND, Fault::IsHeld)]).await;
    let address = stand.account.address();
    let (refused, ()) = tokio::join!(stand.pay(), async {
        stand.proxy.held().await;
        stand.act(move |chain, _| chain.set_balance(address, U256::ONE)).await;
        stand.proxy.release();
    });
    let refused = refused.unwrap_err();
    assert!(matches!(&refused, LedgerError::Refused { method: SEND, .. }), "{refused}");
    assert_eq!(stand.proxy.requests(SEND).len(), 1);
}

#[tokio::test]
async fn a_payment_that_nobody_mines_is_pending_and_not_lost() {
    let stand = Stand::with(&[]).await;
    stand.mine_by_hand().await;
    let start = Instant::now();
    let pending = fly(&stand.proxy, stand.pay()).await.unwrap_err();
    let LedgerError::Pending { hash, seconds: 300, .. } = pending else { panic!("{pending}") };
    let waited = start.elapsed().as_secs();
    assert!((300..310).contains(&waited), "{waited} seconds");
    assert_eq!(stand.proxy.requests(SEND).len(), 1, "what waits is not sent again");
    // It waits, so that the next takes the next number.
    let (next, ()) = tokio::join!(stand.pay(), async {
        stand.proxy.done(SEND, 2).await;
        stand.mine().await;
    });
    let next = next.unwrap();
    let published = stand.chain.published();
    assert_eq!(published.history.place(hash).unwrap().block, next.block);
    drop(published);
    let first = ledger::Sent { hash, ..next.clone() };
    stand.check(&[first, next]);
}

#[tokio::test]
async fn nothing_is_sent_when_a_question_before_it_has_no_answer() {
    for method in [COUNT, "eth_estimateGas", "eth_gasPrice"] {
        for fault in [Fault::LosesTheAnswer, Fault::SaysBadGateway, Fault::AnswersAPage, Fault::SaysInternalError] {
            let stand = Stand::with(&[Rule::once(method, fault)]).await;
            stand.pay().await.unwrap_err();
            stand.check(&[]);
            let sent = stand.pay().await.unwrap();
            stand.check(&[sent]);
        }
    }
}
