//! The token that is paid in, and the accounts that hold it.

use alloy::primitives::{Address, U256};
use claim::Amount;

use crate::abi::Token;
use crate::client::{Account, Client, Sent};
use crate::error::LedgerError;

/// Chains on which anybody may make money: anvil's and Candor's number, and that of `geth --dev`. The contract of the
/// development dollar refuses every other.
const DEVELOPMENT_CHAINS: [u64; 2] = [31_337, 1_337];

/// Decimals of the tokens that can be paid in: prices are in millionths of a dollar.
pub const DECIMALS: u8 = 6;

/// Whether money on this chain is worth nothing.
pub fn is_development(chain_id: u64) -> bool {
    DEVELOPMENT_CHAINS.contains(&chain_id)
}

/// How many decimals a token's amounts have.
///
/// # Errors
///
/// The chain does not answer, or there is no token at that address.
pub async fn decimals(client: &Client, token: Address) -> Result<u8, LedgerError> {
    client.call(token, &Token::decimalsCall {}).await
}

/// What an account has.
///
/// # Errors
///
/// The chain does not answer, or there is no token at that address.
pub async fn balance(client: &Client, token: Address, of: Address) -> Result<Amount, LedgerError> {
    let balance = client.call(token, &Token::balanceOfCall { account: of }).await?;
    Ok(Amount::new(balance.saturating_to()))
}

/// Wei of an account; more than 2^128 of them count as so many.
///
/// # Errors
///
/// The chain does not answer.
pub async fn wei(client: &Client, of: Address) -> Result<u128, LedgerError> {
    Ok(client.balance(of).await?.saturating_to())
}

/// Adds wei to an account of a development chain, out of nothing.
///
/// # Errors
///
/// The chain is no development chain, or does not answer.
pub async fn make_wei(client: &Client, to: Address, wei: u128) -> Result<(), LedgerError> {
    let balance = client.balance(to).await?.saturating_add(U256::from(wei));
    client.development("anvil_setBalance", (to, balance)).await.map(drop)
}

/// Makes development dollars for the account itself.
///
/// # Errors
///
/// The token does not let everybody make it, or the chain refuses.
pub async fn mint(account: &Account, token: Address, amount: Amount) -> Result<Sent, LedgerError> {
    account.send(token, &Token::mintCall { to: account.address(), amount: U256::from(amount.get()) }).await
}

/// A payment into a contract.
#[derive(Clone, Debug)]
pub struct Payment {
    /// The transaction before it by which the contract may take the money, where one was needed.
    pub approval: Option<Sent>,
    /// The payment itself.
    pub sent: Sent,
}

/// Lets a contract take `amount` of the account's money, unless it may take as much already.
///
/// # Errors
///
/// The chain refuses.
pub async fn approve(
    account: &Account,
    token: Address,
    spender: Address,
    amount: Amount,
) -> Result<Option<Sent>, LedgerError> {
    let value = U256::from(amount.get());
    let allowance = Token::allowanceCall { owner: account.address(), spender };
    if account.client().call(token, &allowance).await? >= value {
        return Ok(None);
    }
    account.send(token, &Token::approveCall { spender, value }).await.map(Some)
}
