//! Where the contracts are, and how they get there.

use alloy::primitives::{Address, U256};
use alloy::sol_types::SolValue as _;
use serde::{Deserialize, Serialize};

use crate::Artefact;
use crate::client::{Account, Client, Sent};
use crate::error::LedgerError;

/// The addresses of the contracts on one chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Deployment {
    /// The chain.
    pub chain_id: u64,
    /// The registry of models.
    pub models: Address,
    /// The factory of vaults.
    pub vaults: Address,
    /// The registry of hosts.
    pub hosts: Address,
    /// Payment channels.
    pub channels: Address,
    /// What the court found.
    pub verdicts: Address,
    /// The judge of answers.
    pub judge: Address,
    /// The court.
    pub court: Address,
    /// The dollar of a development chain.
    pub dollar: Option<Address>,
}

/// What is fixed for ever when the contracts are deployed.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Seconds that a side of a dispute has for a move.
    pub move_time: u64,
    /// The smallest bond, in the smallest unit of the asset.
    pub bond_min: u64,
    /// Seconds from the request of a withdrawal from a vault to its claim.
    pub withdrawal_delay: u64,
    /// Seconds for which locked stake is sure to be covered: no dispute takes longer.
    pub lock_horizon: u64,
    /// Seconds from a client's request to close a channel to its close.
    pub close_delay: u64,
}

impl Rules {
    /// What suits a network: an hour for a move, a week for a withdrawal.
    pub const fn usual() -> Self {
        Self {
            move_time: 3_600,
            bond_min: 1_000_000,
            withdrawal_delay: 7 * 86_400,
            lock_horizon: 2 * 86_400,
            close_delay: 86_400,
        }
    }
}

/// The kind of statement that answers are, in this court.
pub const ANSWERS: u8 = 0;

impl Deployment {
    /// Deploys all contracts from one account. Nobody owns them afterwards.
    ///
    /// # Errors
    ///
    /// The chain refuses, or the account sends something else meanwhile.
    pub async fn deploy(
        account: &Account,
        rules: &Rules,
        with_dollar: bool,
        progress: &mut dyn FnMut(Artefact, &Sent),
    ) -> Result<Self, LedgerError> {
        // The contracts name each other, so the court's address is known before it is there: it is the last of so many.
        let first = account.nonce().await?;
        let court = account.address().create(first + if with_dollar { 12 } else { 11 });
        let mut deployer = Deployer { account, progress };
        let mut at = [Address::ZERO; 5];
        for (address, chapter) in at.iter_mut().zip(Artefact::CHAPTERS) {
            *address = deployer.create(chapter, &[]).await?;
        }
        let [words, products, norms, attention, draws] = at;
        let arguments = (words, products, norms, attention, draws).abi_encode_params();
        let judge = deployer.create(Artefact::ArithmeticJudge, &arguments).await?;
        let dollar = if with_dollar { Some(deployer.create(Artefact::DevDollar, &[]).await?) } else { None };
        let models = deployer.create(Artefact::Models, &[]).await?;
        let number = |x: u64| U256::from(x);
        let arguments = (court, number(rules.withdrawal_delay), number(rules.lock_horizon)).abi_encode_params();
        let vaults = deployer.create(Artefact::HostVaults, &arguments).await?;
        let hosts = deployer.create(Artefact::Hosts, &vaults.abi_encode()).await?;
        let channels =
            deployer.create(Artefact::Channels, &(court, number(rules.close_delay)).abi_encode_params()).await?;
        let verdicts = deployer.create(Artefact::Verdicts, &(court, Address::ZERO).abi_encode_params()).await?;
        let (move_time, bond_min) = (number(rules.move_time), number(rules.bond_min));
        let arguments = (hosts, channels, verdicts, move_time, bond_min, vec![judge]).abi_encode_params();
        let found = deployer.create(Artefact::Court, &arguments).await?;
        if found != court {
            let reason = format!("the court was to be at {court} and is at {found}: the account was used meanwhile");
            return Err(LedgerError::Answer { method: "eth_sendRawTransaction", reason });
        }
        let chain_id = account.client().chain_id();
        Ok(Self { chain_id, models, vaults, hosts, channels, verdicts, judge, court, dollar })
    }

    /// Checks that this is the deployment of the chain behind `client`.
    ///
    /// # Errors
    ///
    /// It is another chain, or one that has lost the contracts.
    pub async fn check(&self, client: &Client) -> Result<(), LedgerError> {
        let (expected, found) = (self.chain_id, client.chain_id());
        if expected != found {
            return Err(LedgerError::ChainId { expected, found });
        }
        if client.has_code(self.court).await? {
            return Ok(());
        }
        Err(LedgerError::NoCourt { at: self.court })
    }
}

struct Deployer<'a> {
    account: &'a Account,
    progress: &'a mut dyn FnMut(Artefact, &Sent),
}

impl Deployer<'_> {
    async fn create(&mut self, artefact: Artefact, arguments: &[u8]) -> Result<Address, LedgerError> {
        let (address, sent) = self.account.create(artefact.creation(arguments)).await?;
        (self.progress)(artefact, &sent);
        Ok(address)
    }
}
