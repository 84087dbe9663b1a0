//! A transaction with the account that sent it.

use std::sync::Arc;

use alloy_consensus::transaction::SignableTransaction;
use alloy_consensus::{Transaction as _, TxEnvelope, TypedTransaction};
use alloy_eips::eip2718::{Decodable2718 as _, Encodable2718 as _};
use alloy_primitives::{Address, B256, Signature, U256};
use revm::context::TxEnv;
use revm::context_interface::either::Either;

use crate::error::Refusal;
use crate::key::{Key, recover};

/// Longest encoded transaction, in bytes: what nodes of Ethereum take.
pub const TRANSACTION_BYTES_MAX: usize = 128 << 10;

/// A signed transaction whose sender is known. Cloning it is cheap.
#[derive(Debug, Clone)]
pub struct Transaction(Arc<Sent>);

#[derive(Debug)]
struct Sent {
    envelope: TxEnvelope,
    sender: Address,
}

impl Transaction {
    /// Reads an encoded transaction and finds out who signed it.
    ///
    /// # Errors
    ///
    /// When it is too long, is none, is of a kind that this chain does not take, or has no valid signature.
    pub fn decode(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > TRANSACTION_BYTES_MAX {
            return Err(Refusal::TooLong { found: bytes.len(), max: TRANSACTION_BYTES_MAX });
        }
        let mut rest = bytes;
        let envelope = TxEnvelope::decode_2718(&mut rest).map_err(|_| Refusal::Undecodable)?;
        if !rest.is_empty() {
            return Err(Refusal::Undecodable);
        }
        if let TxEnvelope::Eip4844(_) = envelope {
            return Err(Refusal::Blobs);
        }
        let sender = recover(envelope.signature(), envelope.signature_hash()).ok_or(Refusal::Signature)?;
        Ok(Self::new(envelope, sender))
    }

    /// Signs a transaction.
    pub fn sign(transaction: TypedTransaction, key: &Key) -> Self {
        let signature = key.sign(transaction.signature_hash());
        Self::new(transaction.into_envelope(signature), key.address())
    }

    /// A transaction of an account without its key. In the place of a signature stands the sender, so that the same
    /// transaction of two accounts has two hashes.
    pub fn impersonate(transaction: TypedTransaction, sender: Address) -> Self {
        let signature = Signature::new(U256::from_be_slice(sender.as_slice()), U256::ONE, false);
        Self::new(transaction.into_envelope(signature), sender)
    }

    /// A transaction out of the own store, whose sender was found before.
    pub(crate) fn restore(bytes: &[u8], sender: Address) -> Option<Self> {
        let mut rest = bytes;
        let envelope = TxEnvelope::decode_2718(&mut rest).ok()?;
        rest.is_empty().then(|| Self::new(envelope, sender))
    }

    fn new(envelope: TxEnvelope, sender: Address) -> Self {
        Self(Arc::new(Sent { envelope, sender }))
    }

    /// The transaction as it was signed.
    pub fn envelope(&self) -> &TxEnvelope {
        &self.0.envelope
    }

    /// Who sent it.
    pub fn sender(&self) -> Address {
        self.0.sender
    }

    /// What it is known by.
    pub fn hash(&self) -> B256 {
        *self.envelope().tx_hash()
    }

    pub(crate) fn encoded(&self) -> Vec<u8> {
        self.envelope().encoded_2718()
    }

    /// The contract that it creates, if it creates one.
    pub fn creates(&self) -> Option<Address> {
        self.envelope().kind().is_create().then(|| self.sender().create(self.envelope().nonce()))
    }

    /// Most wei that it can take from its sender.
    pub(crate) fn cost_max(&self) -> U256 {
        let envelope = self.envelope();
        let gas = U256::from(envelope.gas_limit()).saturating_mul(U256::from(envelope.max_fee_per_gas()));
        gas.saturating_add(envelope.value())
    }

    pub(crate) fn environment(&self) -> TxEnv {
        let envelope = self.envelope();
        let authorizations = envelope.authorization_list().unwrap_or_default();
        TxEnv {
            tx_type: envelope.tx_type().into(),
            caller: self.sender(),
            gas_limit: envelope.gas_limit(),
            gas_price: envelope.max_fee_per_gas(),
            kind: envelope.kind(),
            value: envelope.value(),
            data: envelope.input().clone(),
            nonce: envelope.nonce(),
            chain_id: envelope.chain_id(),
            access_list: envelope.access_list().cloned().unwrap_or_default(),
            gas_priority_fee: envelope.max_priority_fee_per_gas(),
            blob_hashes: Vec::new(),
            max_fee_per_blob_gas: 0,
            authorization_list: authorizations.iter().cloned().map(Either::Left).collect(),
        }
    }
}
