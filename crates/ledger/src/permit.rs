//! Permits after ERC-2612: a signature in place of an approval's transaction.
//!
//! The words that are signed name the token and the chain as this client knows them. What the token says of itself is only compared
//! with that: otherwise a hostile token could have its own permit asked for and another token's signed.

use alloy::primitives::{Address, B256, U256};
use alloy::sol_types::{Eip712Domain, SolCall, SolStruct as _};
use claim::Digest;

use crate::abi::PermitToken;
use crate::client::{Account, Client};
use crate::error::LedgerError;

mod typed {
    alloy::sol! {
        struct Permit {
            address owner;
            address spender;
            uint256 value;
            uint256 nonce;
            uint256 deadline;
        }
    }
}

/// A signed permit.
#[derive(Debug)]
pub(crate) struct Permit {
    pub(crate) deadline: U256,
    pub(crate) v: u8,
    pub(crate) r: B256,
    pub(crate) s: B256,
}

/// Signs a permit of the account, where the token has permits.
pub(crate) async fn sign(
    account: &Account,
    token: Address,
    spender: Address,
    value: U256,
    deadline: u64,
) -> Result<Option<Permit>, LedgerError> {
    let client = account.client();
    let owner = account.address();
    let Some(nonce) = ask(client, token, &PermitToken::noncesCall { owner }).await? else { return Ok(None) };
    let Some(domain) = domain(client, token).await? else { return Ok(None) };
    let deadline = U256::from(deadline);
    let typed = typed::Permit { owner, spender, value, nonce, deadline };
    let kind = ask(client, token, &PermitToken::PERMIT_TYPEHASHCall {}).await?;
    // Some older tokens have permits of another shape, and say so by another hash.
    if kind.is_some_and(|kind| kind != typed.eip712_type_hash()) {
        return Ok(None);
    }
    let digest = Digest::new(typed.eip712_signing_hash(&domain).0);
    let signature = account.key().sign_digest(digest).to_bytes();
    let (mut r, mut s) = (B256::ZERO, B256::ZERO);
    r.copy_from_slice(&signature[..32]);
    s.copy_from_slice(&signature[32..64]);
    Ok(Some(Permit { deadline, v: signature[64], r, s }))
}

/// The domain of this token on this chain, if it is the one that the token itself signs for.
async fn domain(client: &Client, token: Address) -> Result<Option<Eip712Domain>, LedgerError> {
    let Some(expected) = ask(client, token, &PermitToken::DOMAIN_SEPARATORCall {}).await? else { return Ok(None) };
    let Some(name) = ask(client, token, &PermitToken::nameCall {}).await? else { return Ok(None) };
    // A token without a function for it has the version that everybody begins with.
    let version = ask(client, token, &PermitToken::versionCall {}).await?.unwrap_or_else(|| "1".to_owned());
    let domain = Eip712Domain::new(
        Some(name.into()),
        Some(version.into()),
        Some(U256::from(client.chain_id())),
        Some(token),
        None,
    );
    Ok((domain.separator() == expected).then_some(domain))
}

/// What the token says, if it has such a function.
async fn ask<C: SolCall>(client: &Client, token: Address, call: &C) -> Result<Option<C::Return>, LedgerError> {
    match client.call(token, call).await {
        Ok(answer) => Ok(Some(answer)),
        Err(LedgerError::Unreachable { url, reason }) => Err(LedgerError::Unreachable { url, reason }),
        Err(_) => Ok(None),
    }
}
