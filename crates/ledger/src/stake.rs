//! The stake behind a host: its vault, its entry among the hosts, and the way out.

use alloy::primitives::{Address, B256, U256};
use claim::{Amount, Digest};

use crate::abi::{HostVault, HostVaults, Hosts};
use crate::client::{Account, Client, Sent};
use crate::deployment::Deployment;
use crate::dollar::{self, Payment};
use crate::error::LedgerError;

/// Which of a host's vaults for one token this client makes. A host registers one and keeps it, so the first is enough.
const SERIES: U256 = U256::ZERO;

/// How many withdrawals of a vault are looked through, newest first.
const WITHDRAWALS_MAX: u64 = 10_000;

/// What a host says about itself on the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The stake behind it.
    pub vault: Address,
    /// The Ed25519 key of its QUIC identity; zero while it has none.
    pub peer_key: Digest,
    /// The hash of its offer; zero while it has none.
    pub offer: Digest,
    /// Where it answers; empty while it does not say.
    pub endpoint: String,
}

/// Looks a host up; none where nobody has registered with that key.
///
/// # Errors
///
/// The chain does not answer.
pub async fn registration(
    client: &Client,
    deployment: &Deployment,
    host: Address,
) -> Result<Option<Registration>, LedgerError> {
    let found = client.call(deployment.hosts, &Hosts::hostOfCall { host }).await?;
    let registration = Registration {
        vault: found.vault,
        peer_key: Digest::new(found.peerKey.0),
        offer: Digest::new(found.offerHash.0),
        endpoint: found.endpoint,
    };
    Ok((found.vault != Address::ZERO).then_some(registration))
}

/// Makes the vault of the account's host key for a token. One that is there already, whoever made it, serves as well.
///
/// # Errors
///
/// The chain refuses.
pub async fn create_vault(
    account: &Account,
    deployment: &Deployment,
    token: Address,
) -> Result<(Address, Option<Sent>), LedgerError> {
    let (client, host) = (account.client(), account.address());
    let place = HostVaults::vaultAtCall { asset: token, host, series: SERIES };
    let vault = client.call(deployment.vaults, &place).await?;
    if client.call(deployment.vaults, &HostVaults::isVaultCall { vault }).await? {
        return Ok((vault, None));
    }
    let sent = account.send(deployment.vaults, &HostVaults::createCall { asset: token, host, series: SERIES }).await?;
    Ok((vault, Some(sent)))
}

/// Enters the account as a host with that vault, for ever.
///
/// # Errors
///
/// The chain refuses.
pub async fn register(account: &Account, deployment: &Deployment, vault: Address) -> Result<Sent, LedgerError> {
    let call = Hosts::registerCall { vault, peerKey: B256::ZERO, offerHash: B256::ZERO, endpoint: String::new() };
    account.send(deployment.hosts, &call).await
}

/// Says on the chain what the host offers, and where. Its key of other networks stays.
///
/// # Errors
///
/// The chain refuses: the account is not registered, or the endpoint is too long.
pub async fn publish_offer(
    account: &Account,
    deployment: &Deployment,
    before: &Registration,
    offer: Digest,
    endpoint: &str,
) -> Result<Sent, LedgerError> {
    let call = Hosts::updateCall {
        peerKey: B256::from(before.peer_key.get()),
        offerHash: B256::from(offer.get()),
        endpoint: endpoint.to_owned(),
    };
    account.send(deployment.hosts, &call).await
}

/// The token of a vault.
///
/// # Errors
///
/// The chain does not answer.
pub async fn token(client: &Client, vault: Address) -> Result<Address, LedgerError> {
    client.call(vault, &HostVault::assetCall {}).await
}

/// Puts money into a vault.
///
/// # Errors
///
/// The chain refuses. What was sent before is an approval at most.
pub async fn deposit(
    account: &Account,
    token: Address,
    vault: Address,
    amount: Amount,
) -> Result<Payment, LedgerError> {
    let approval = dollar::approve(account, token, vault, amount).await?;
    let call = HostVault::depositCall { assets: U256::from(amount.get()), receiver: account.address() };
    Ok(Payment { approval, sent: account.send(vault, &call).await? })
}

/// What a vault holds, and what of it is whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holdings {
    /// All of it.
    pub total: Amount,
    /// The account's, without what it has asked to withdraw.
    pub own: Amount,
    /// What disputes hold.
    pub locked: Amount,
    /// What a new dispute could lock.
    pub lockable: Amount,
    /// Seconds from the request of a withdrawal to its claim.
    pub withdrawal_delay: u64,
}

/// Looks into a vault.
///
/// # Errors
///
/// The chain does not answer.
pub async fn holdings(client: &Client, vault: Address, owner: Address) -> Result<Holdings, LedgerError> {
    let amount = |word: U256| Amount::new(word.saturating_to());
    let shares = client.call(vault, &HostVault::balanceOfCall { account: owner }).await?;
    Ok(Holdings {
        total: amount(client.call(vault, &HostVault::totalAssetsCall {}).await?),
        own: amount(client.call(vault, &HostVault::convertToAssetsCall { shares }).await?),
        locked: amount(client.call(vault, &HostVault::lockedCall {}).await?),
        lockable: amount(client.call(vault, &HostVault::lockableCall {}).await?),
        withdrawal_delay: client.call(vault, &HostVault::withdrawalDelayCall {}).await?.saturating_to(),
    })
}

/// A withdrawal that was asked for and not claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    /// Its number.
    pub id: u64,
    /// What it would pay now.
    pub amount: Amount,
    /// From when it can be claimed, in seconds since 1970.
    pub mature_at: u64,
}

/// The account's withdrawals from a vault, oldest first.
///
/// # Errors
///
/// The chain does not answer.
pub async fn withdrawals(client: &Client, vault: Address, owner: Address) -> Result<Vec<Withdrawal>, LedgerError> {
    let count: u64 = client.call(vault, &HostVault::withdrawalCountCall {}).await?.saturating_to();
    let mut found = Vec::new();
    for id in count.saturating_sub(WITHDRAWALS_MAX)..count {
        let entry = client.call(vault, &HostVault::withdrawalCall { id: U256::from(id) }).await?;
        if entry.owner == owner {
            let worth = client.call(vault, &HostVault::convertToAssetsCall { shares: entry.shares }).await?;
            let amount = Amount::new(worth.saturating_to());
            found.push(Withdrawal { id, amount, mature_at: entry.matureAt.saturating_to() });
        }
    }
    Ok(found)
}

/// Asks for a withdrawal that is worth at least `amount` now, or all that the account has where this is a little less.
/// Returns it with the amount that it is worth.
///
/// # Errors
///
/// The chain refuses: the account has less.
pub async fn request_withdrawal(
    account: &Account,
    vault: Address,
    amount: Amount,
) -> Result<(Sent, Withdrawal), LedgerError> {
    let client = account.client();
    let wanted = HostVault::previewWithdrawCall { assets: U256::from(amount.get()) };
    let wanted = client.call(vault, &wanted).await?;
    let held = client.call(vault, &HostVault::balanceOfCall { account: account.address() }).await?;
    let worth = client.call(vault, &HostVault::convertToAssetsCall { shares: held }).await?;
    // Shares are rounded up for what they pay, so the last of them may pay for a millionth less than they are worth.
    let shares = if worth >= U256::from(amount.get()) { wanted.min(held) } else { wanted };
    let sent = account.send(vault, &HostVault::requestWithdrawalCall { shares }).await?;
    let event = sent.event::<HostVault::WithdrawalRequested>().ok_or_else(no_event)?;
    let (id, mature_at) = (event.id.saturating_to(), event.matureAt.saturating_to());
    let worth = client.call(vault, &HostVault::convertToAssetsCall { shares }).await?;
    Ok((sent, Withdrawal { id, amount: Amount::new(worth.saturating_to()), mature_at }))
}

/// Claims a matured withdrawal. Returns what was paid.
///
/// # Errors
///
/// The chain refuses: the time has not come, or it was claimed.
pub async fn claim(account: &Account, vault: Address, id: u64) -> Result<(Sent, Amount), LedgerError> {
    let sent = account.send(vault, &HostVault::claimCall { id: U256::from(id) }).await?;
    let event = sent.event::<HostVault::Withdraw>().ok_or_else(no_event)?;
    Ok((sent, Amount::new(event.assets.saturating_to())))
}

fn no_event() -> LedgerError {
    let reason = "it does not say what the vault did".to_owned();
    LedgerError::Answer { method: "eth_getTransactionReceipt", reason }
}
