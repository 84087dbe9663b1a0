//! Money and time.

use claim::{Address, Amount, ChannelId, Digest, Price, TokenCount};
use court::{Kind, Known};

use crate::statement::{PRICE, Statement, assert_held, assert_refuted};

fn agreed() -> Known<'static> {
    Known { price: Some(PRICE), ..Known::default() }
}

#[test]
fn total_too_high() {
    let mut lie = Statement::greedy();
    lie.receipt.total = Amount::new(lie.receipt.total.get() + 1);
    assert_refuted(&lie.judge(), Kind::Price, None);
}

#[test]
fn output_tokens_inflated() {
    let mut lie = Statement::greedy();
    let (prompt, output) = (lie.evidence.prompt.len() as u32, lie.evidence.output.len() as u32);
    lie.receipt.total = lie.receipt.price.total_floor(TokenCount::new(prompt), TokenCount::new(output + 10));
    assert_refuted(&lie.judge(), Kind::Price, None);
}

#[test]
fn prompt_tokens_inflated() {
    let mut lie = Statement::greedy();
    let (prompt, output) = (lie.evidence.prompt.len() as u32, lie.evidence.output.len() as u32);
    lie.receipt.total = lie.receipt.price.total_floor(TokenCount::new(prompt * 2), TokenCount::new(output));
    assert_refuted(&lie.judge(), Kind::Price, None);
}

#[test]
fn price_above_the_agreed() {
    for price in [
        Price::new(PRICE.prompt_per_million + 1, PRICE.output_per_million),
        Price::new(PRICE.prompt_per_million, PRICE.output_per_million + 1),
        Price::new(0, PRICE.output_per_million * 2),
    ] {
        let mut lie = Statement::greedy();
        lie.receipt.price = price;
        lie.bind();
        assert_refuted(&lie.judge_knowing(agreed()), Kind::Price, None);
    }
}

#[test]
fn price_below_the_agreed_is_no_lie() {
    let mut cheap = Statement::greedy();
    cheap.receipt.price = Price::new(0, PRICE.output_per_million / 2);
    cheap.bind();
    assert_held(&cheap.judge_knowing(agreed()));
}

#[test]
fn another_channel_charged() {
    let channel = |byte| ChannelId::new(Digest::new([byte; 32]));
    let mut lie = Statement::greedy();
    lie.receipt.channel = channel(2);
    let known = Known { channel: Some(channel(1)), ..Known::default() };
    assert_refuted(&lie.judge_knowing(known), Kind::Price, None);
}

#[test]
fn another_client_charged() {
    let mut lie = Statement::greedy();
    lie.receipt.client = Address::new([5; 20]);
    assert_refuted(&lie.judge(), Kind::Price, None);
}

#[test]
fn started_and_finished_swapped() {
    let mut lie = Statement::greedy();
    std::mem::swap(&mut lie.receipt.started, &mut lie.receipt.finished);
    assert_refuted(&lie.judge(), Kind::Price, None);
}
