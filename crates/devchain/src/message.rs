//! What somebody wants done, before it is a transaction.

use alloy_consensus::{TxEip1559, TxEip2930, TxEip7702, TxLegacy, TypedTransaction};
use alloy_eips::eip2930::AccessList;
use alloy_eips::eip7702::SignedAuthorization;
use alloy_primitives::{Address, Bytes, TxKind, U256};
use revm::context::TxEnv;
use revm::context_interface::either::Either;

/// What a message pays for gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Price {
    /// Nothing said: a call pays nothing, a transaction pays what the chain suggests.
    Unsaid,
    /// One price, as transactions had before EIP-1559.
    Flat(u128),
    /// A ceiling, and how much of it goes to the block's maker.
    Ceiling {
        /// Wei for a unit of gas in all.
        fee: Option<u128>,
        /// Wei of these that are not burnt.
        tip: Option<u128>,
    },
}

/// What somebody wants done. Whatever is not said, the chain fills in.
#[derive(Debug, Clone)]
pub struct Message {
    /// Who sends it.
    pub from: Address,
    /// The account that is called; none to create a contract.
    pub to: Option<Address>,
    /// Wei that go along.
    pub value: U256,
    /// What the called code reads, or the code that makes a contract.
    pub data: Bytes,
    /// Most gas that it may use.
    pub gas: Option<u64>,
    /// What it pays for gas.
    pub price: Price,
    /// How many transactions its sender has sent before.
    pub nonce: Option<u64>,
    /// Accounts and slots that it will touch.
    pub access_list: Option<AccessList>,
    /// Accounts that lend themselves code (EIP-7702).
    pub authorizations: Vec<SignedAuthorization>,
}

impl Message {
    /// A call of a contract, or a payment.
    pub fn call(from: Address, to: Address, data: impl Into<Bytes>) -> Self {
        Self {
            from,
            to: Some(to),
            value: U256::ZERO,
            data: data.into(),
            gas: None,
            price: Price::Unsaid,
            nonce: None,
            access_list: None,
            authorizations: Vec::new(),
        }
    }

    /// The creation of a contract.
    pub fn create(from: Address, code: impl Into<Bytes>) -> Self {
        Self { to: None, ..Self::call(from, Address::ZERO, code) }
    }

    /// The same with wei that go along.
    #[must_use]
    pub fn with_value(mut self, value: U256) -> Self {
        self.value = value;
        self
    }

    /// The same with a limit on gas.
    #[must_use]
    pub fn with_gas(mut self, gas: u64) -> Self {
        self.gas = Some(gas);
        self
    }

    pub(crate) fn kind(&self) -> TxKind {
        self.to.map_or(TxKind::Create, TxKind::Call)
    }

    /// What the machine executes when nothing is to be signed or paid for.
    pub(crate) fn environment(&self, chain_id: u64, nonce: u64, gas_limit: u64) -> TxEnv {
        let (gas_price, gas_priority_fee) = match self.price {
            Price::Unsaid => (0, None),
            Price::Flat(price) => (price, None),
            Price::Ceiling { fee, tip } => (fee.or(tip).unwrap_or(0), Some(tip.unwrap_or(0))),
        };
        let tx_type = match (&self.authorizations[..], gas_priority_fee, &self.access_list) {
            ([_, ..], ..) => 4,
            (_, Some(_), _) => 2,
            (_, None, Some(_)) => 1,
            (_, None, None) => 0,
        };
        TxEnv {
            tx_type,
            caller: self.from,
            gas_limit,
            gas_price,
            kind: self.kind(),
            value: self.value,
            data: self.data.clone(),
            nonce,
            chain_id: Some(chain_id),
            access_list: self.access_list.clone().unwrap_or_default(),
            gas_priority_fee,
            blob_hashes: Vec::new(),
            max_fee_per_blob_gas: 0,
            authorization_list: self.authorizations.iter().cloned().map(Either::Left).collect(),
        }
    }

    /// The transaction, of the oldest kind that can say all that the message says.
    pub(crate) fn transaction(
        &self,
        chain_id: u64,
        nonce: u64,
        gas_limit: u64,
        suggested: Suggested,
    ) -> TypedTransaction {
        let (to, value, input) = (self.kind(), self.value, self.data.clone());
        let access_list = self.access_list.clone().unwrap_or_default();
        if let Price::Flat(gas_price) = self.price {
            return match self.access_list {
                Some(_) => TxEip2930 { chain_id, nonce, gas_price, gas_limit, to, value, access_list, input }.into(),
                None => TxLegacy { chain_id: Some(chain_id), nonce, gas_price, gas_limit, to, value, input }.into(),
            };
        }
        let (fee, tip) = match self.price {
            Price::Ceiling { fee, tip } => (fee, tip),
            Price::Unsaid | Price::Flat(_) => (None, None),
        };
        let max_priority_fee_per_gas = tip.unwrap_or_else(|| fee.map_or(suggested.tip, |fee| fee.min(suggested.tip)));
        let max_fee_per_gas = fee.unwrap_or_else(|| suggested.price.max(max_priority_fee_per_gas));
        match self.to {
            Some(to) if !self.authorizations.is_empty() => TxEip7702 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas,
                max_priority_fee_per_gas,
                to,
                value,
                access_list,
                authorization_list: self.authorizations.clone(),
                input,
            }
            .into(),
            _ => TxEip1559 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas,
                max_priority_fee_per_gas,
                to,
                value,
                access_list,
                input,
            }
            .into(),
        }
    }
}

/// What a transaction that says nothing about its price pays.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Suggested {
    /// Wei for a unit of gas in all.
    pub(crate) price: u128,
    /// Wei of these that are not burnt.
    pub(crate) tip: u128,
}
