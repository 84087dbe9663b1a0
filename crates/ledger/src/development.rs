//! A stage on a development chain: contracts, a host with stake, a user with a channel.

use std::sync::Arc;

use alloy::primitives::{Address, U256};
use claim::{ChannelId, Digest, HostKey};
use model::Model;

use crate::abi::{Channels, Court, HostVault, HostVaults, Hosts, Terms, Token};
use crate::client::{Account, Client, Sent};
use crate::deployment::{Deployment, Rules};
use crate::dispute::learn_call;
use crate::error::LedgerError;

/// Wei that an account of a development chain is given.
const WEI: u128 = 1_000_000_000_000_000_000_000;

/// Contracts and the two who use them.
#[derive(Debug)]
pub struct Stage {
    /// Where the contracts are.
    pub deployment: Deployment,
    /// Signs receipts and stands by them.
    pub host: Account,
    /// Pays, and challenges.
    pub user: Account,
    dollar: Address,
    vault: Address,
}

/// What somebody has, in the smallest unit of the dollar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balances {
    /// The host's stake.
    pub stake: u128,
    /// The user's dollars.
    pub user: u128,
}

impl Stage {
    /// Deploys the contracts on a development chain, gives both sides money, and puts up `stake` for the host.
    ///
    /// # Errors
    ///
    /// The chain is no development chain, or refuses something.
    pub async fn set(
        client: &Client,
        rules: &Rules,
        [deployer, host, user]: [Arc<HostKey>; 3],
        stake: u128,
    ) -> Result<Self, LedgerError> {
        let [deployer, host, user] = [deployer, host, user].map(|key| Account::new(client.clone(), key));
        for address in [deployer.address(), host.address(), user.address()] {
            client.development("anvil_setBalance", (address, U256::from(WEI))).await?;
        }
        let deployment = Deployment::deploy(&deployer, rules, true, &mut |_, _| ()).await?;
        let dollar = deployment.dollar.unwrap_or_default();
        let amount = U256::from(stake);
        for address in [host.address(), user.address()] {
            deployer.send(dollar, &Token::mintCall { to: address, amount: amount * U256::from(4) }).await?;
        }
        let series = U256::ZERO;
        let create = HostVaults::createCall { asset: dollar, host: host.address(), series };
        host.send(deployment.vaults, &create).await?;
        let call = HostVaults::vaultAtCall { asset: dollar, host: host.address(), series };
        let vault = client.call(deployment.vaults, &call).await?;
        host.send(dollar, &Token::approveCall { spender: vault, value: amount }).await?;
        host.send(vault, &HostVault::depositCall { assets: amount, receiver: host.address() }).await?;
        let register =
            Hosts::registerCall { vault, peerKey: [0; 32].into(), offerHash: [0; 32].into(), endpoint: String::new() };
        host.send(deployment.hosts, &register).await?;
        for spender in [deployment.court, deployment.channels] {
            user.send(dollar, &Token::approveCall { spender, value: U256::MAX }).await?;
        }
        Ok(Self { deployment, host, user, dollar, vault })
    }

    /// Tells the judge the shape of a model.
    ///
    /// # Errors
    ///
    /// The chain refuses.
    pub async fn learn(&self, model: &Model) -> Result<Sent, LedgerError> {
        let call = learn_call(model).map_err(|error| LedgerError::Answer {
            method: "learn",
            reason: format!("the model's parts are no tree: {error}"),
        })?;
        self.user.send(self.deployment.judge, &call).await
    }

    /// Opens a channel from the user to the host.
    ///
    /// # Errors
    ///
    /// The chain refuses.
    pub async fn open_channel(&self, salt: u64, amount: u128) -> Result<ChannelId, LedgerError> {
        let terms = Terms {
            client: self.user.address(),
            host: self.host.address(),
            token: self.dollar,
            salt: alloy::primitives::Uint::from(salt),
        };
        let fund = Channels::fundCall { terms: terms.clone(), amount: U256::from(amount) };
        self.user.send(self.deployment.channels, &fund).await?;
        let id = self.user.client().call(self.deployment.channels, &Channels::channelIdCall { terms }).await?;
        Ok(ChannelId::new(Digest::new(id.0)))
    }

    /// The smallest bond, in the smallest unit of the dollar.
    ///
    /// # Errors
    ///
    /// The chain does not answer.
    pub async fn bond_min(&self) -> Result<u128, LedgerError> {
        let bond = self.user.client().call(self.deployment.court, &Court::bondMinCall {}).await?;
        Ok(bond.saturating_to())
    }

    /// What both have now.
    ///
    /// # Errors
    ///
    /// The chain does not answer.
    pub async fn balances(&self) -> Result<Balances, LedgerError> {
        let client = self.user.client();
        let stake = client.call(self.vault, &HostVault::totalAssetsCall {}).await?;
        let user = client.call(self.dollar, &Token::balanceOfCall { account: self.user.address() }).await?;
        Ok(Balances { stake: stake.saturating_to(), user: user.saturating_to() })
    }

    /// Lets time pass on the chain.
    ///
    /// # Errors
    ///
    /// The chain is no development chain.
    pub async fn wait(&self, seconds: u64) -> Result<(), LedgerError> {
        let client = self.user.client();
        client.development("evm_increaseTime", (U256::from(seconds),)).await?;
        client.development("evm_mine", ()).await.map(drop)
    }
}
