//! Vouchers: what a client owes a host by a channel, over the channel's whole life.

use alloy::primitives::{B256, U256, Uint};
use alloy::sol_types::SolStruct as _;
use claim::{Address, Amount, ChannelId, Digest, HostKey, ModelRoot, ReceiptId, Signature, SignatureError};

use super::{ChannelDomain, ChannelTerms};
use crate::abi::PackedVoucher;

/// The words that are signed. The type's name and its fields' are part of the signature.
mod typed {
    alloy::sol! {
        struct Voucher {
            bytes32 channel;
            uint96 amount;
            bytes32 model;
            uint64 promptTokens;
            uint64 outputTokens;
            bytes32 receipt;
        }
    }
}

/// Tokens that a channel has paid for, over its whole life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Usage {
    /// Tokens that were read.
    pub prompt_tokens: u64,
    /// Tokens that were written.
    pub output_tokens: u64,
}

/// Why a voucher is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VoucherError {
    /// More than a channel can count.
    #[error("a voucher is over at most {max} millionths of a dollar, found {found}")]
    TooLarge {
        /// The limit.
        max: u128,
        /// The voucher's amount.
        found: u128,
    },
    /// It is for another channel.
    #[error("the voucher is for the channel {found}, expected {expected}")]
    OtherChannel {
        /// The channel that it should be for.
        expected: ChannelId,
        /// The channel that it names.
        found: ChannelId,
    },
    /// Somebody else signed it, or the client did for another chain or contract.
    #[error("the voucher is not signed by {expected} for this chain and this contract, but would be by {found}")]
    WrongSigner {
        /// The client.
        expected: Address,
        /// Whose signature it would be.
        found: Address,
    },
    /// The signature is none.
    #[error("the voucher's signature is none: {0}")]
    Signature(#[from] SignatureError),
}

/// What a client owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voucher {
    channel: ChannelId,
    amount: Amount,
    /// The model that answered last.
    pub model: ModelRoot,
    /// How many tokens it is for.
    pub usage: Usage,
    /// The receipt of the last answer that the client had seen when it signed.
    pub receipt: ReceiptId,
}

impl Voucher {
    /// The most that a channel can count.
    pub const AMOUNT_MAX: Amount = Amount::new((1 << 96) - 1);

    /// A voucher over all that the channel owes.
    ///
    /// # Errors
    ///
    /// [`VoucherError::TooLarge`].
    pub fn new(
        channel: ChannelId,
        amount: Amount,
        model: ModelRoot,
        usage: Usage,
        receipt: ReceiptId,
    ) -> Result<Self, VoucherError> {
        if amount > Self::AMOUNT_MAX {
            return Err(VoucherError::TooLarge { max: Self::AMOUNT_MAX.get(), found: amount.get() });
        }
        Ok(Self { channel, amount, model, usage, receipt })
    }

    /// The channel that pays.
    pub const fn channel(&self) -> ChannelId {
        self.channel
    }

    /// All that is owed since the channel was opened.
    pub const fn amount(&self) -> Amount {
        self.amount
    }

    /// What is signed.
    pub fn digest(&self, domain: ChannelDomain) -> Digest {
        let typed = typed::Voucher {
            channel: B256::from(self.channel.get().get()),
            amount: Uint::from(self.amount.get()),
            model: B256::from(self.model.get().get()),
            promptTokens: self.usage.prompt_tokens,
            outputTokens: self.usage.output_tokens,
            receipt: B256::from(self.receipt.get().get()),
        };
        Digest::new(typed.eip712_signing_hash(&domain.eip712()).0)
    }

    /// Signs it with the client's key.
    pub fn sign(self, domain: ChannelDomain, client: &HostKey) -> SignedVoucher {
        SignedVoucher { voucher: self, signature: client.sign_digest(self.digest(domain)) }
    }
}

/// A voucher that a host can settle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedVoucher {
    /// What is owed.
    pub voucher: Voucher,
    /// The client's signature.
    pub signature: Signature,
}

impl SignedVoucher {
    /// Sees to it that the contract will take it for this channel.
    ///
    /// # Errors
    ///
    /// It is for another channel, or the client did not sign it for this chain and this contract.
    pub fn verify(&self, domain: ChannelDomain, terms: &ChannelTerms) -> Result<(), VoucherError> {
        let (expected, found) = (terms.id(domain), self.voucher.channel);
        if expected != found {
            return Err(VoucherError::OtherChannel { expected, found });
        }
        let found = self.signature.recover(self.voucher.digest(domain))?.address();
        let expected = terms.client;
        if expected == found { Ok(()) } else { Err(VoucherError::WrongSigner { expected, found }) }
    }

    /// As the contract takes it: the channel follows from the client and the salt, and the model from the batch.
    pub(super) fn packed(&self, terms: &ChannelTerms) -> PackedVoucher {
        let Voucher { amount, usage, receipt, .. } = self.voucher;
        let mut charge = [0; 32];
        charge[4..12].copy_from_slice(&usage.output_tokens.to_be_bytes());
        charge[12..20].copy_from_slice(&usage.prompt_tokens.to_be_bytes());
        charge[20..].copy_from_slice(&amount.get().to_be_bytes()[4..]);
        let signature = self.signature.to_bytes();
        let (mut r, mut vs) = (B256::ZERO, B256::ZERO);
        r.copy_from_slice(&signature[..32]);
        vs.copy_from_slice(&signature[32..64]);
        // EIP-2098: `s` is below half the order, so its top bit is free for the parity.
        vs[0] |= (signature[64] - 27) << 7;
        PackedVoucher {
            payer: terms.payer(),
            charge: U256::from_be_bytes(charge),
            receipt: B256::from(receipt.get().get()),
            r,
            vs,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    /// What viem 2.57 makes of the same voucher and key.
    #[test]
    fn another_wallet_signs_the_same_voucher_alike() {
        let domain = ChannelDomain { chain_id: 31_337, contract: Address::new([4; 20]) };
        let [channel, model, receipt] = [5, 6, 7].map(|byte| Digest::new([byte; 32]));
        let usage = Usage { prompt_tokens: 7, output_tokens: u64::MAX };
        let ids = (ChannelId::new(channel), ModelRoot::new(model), ReceiptId::new(receipt));
        let voucher = Voucher::new(ids.0, Voucher::AMOUNT_MAX, ids.1, usage, ids.2).unwrap();
        assert_eq!(
            voucher.digest(domain).to_string(),
            "0x8d61cda7d66650e33461166095a73978d044d1e9146961c78de41258536c2df2",
        );
        let signed = voucher.sign(domain, &HostKey::from_bytes(&[0x11; 32]).unwrap());
        assert_eq!(
            format!("{:?}", signed.signature),
            "0x4bcfa76cc0f84176db01bcdb41c7426e0f9f53a56aacdb23774e3091b9061b15\
             4cd0e3bbc909a48e81aca0cd0d277e2e879291aa342afd50f780b97cef9565291c",
        );
    }
}
