//! A client's word that a channel pays for a request.

use alloy::primitives::B256;
use alloy::sol_types::SolStruct as _;
use claim::{Address, ChannelId, Digest, HostKey, RequestHash, Signature, SignatureError};

use super::ChannelDomain;

/// The words that are signed. The type's name and its fields' are part of the signature.
mod typed {
    alloy::sol! {
        struct PaidRequest {
            bytes32 channel;
            bytes32 request;
            uint64 expires;
        }
    }
}

/// Says that a channel pays for a request, so that nobody can run up the debts of another. As EIP-712 data of the vouchers' domain:
///
/// ```text
/// PaidRequest(bytes32 channel,bytes32 request,uint64 expires)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaidRequest {
    /// The channel that pays.
    pub channel: ChannelId,
    /// The exact request, with its nonce and client.
    pub request: RequestHash,
    /// Until when a host may take it, in seconds since 1970.
    pub expires: u64,
}

impl PaidRequest {
    /// What is signed.
    pub fn digest(&self, domain: ChannelDomain) -> Digest {
        let typed = typed::PaidRequest {
            channel: B256::from(self.channel.get().get()),
            request: B256::from(self.request.get().get()),
            expires: self.expires,
        };
        Digest::new(typed.eip712_signing_hash(&domain.eip712()).0)
    }

    /// Signs it with the client's key.
    pub fn sign(&self, domain: ChannelDomain, client: &HostKey) -> Signature {
        client.sign_digest(self.digest(domain))
    }

    /// Whose signature it is.
    ///
    /// # Errors
    ///
    /// The signature is none.
    pub fn signer(&self, domain: ChannelDomain, signature: &Signature) -> Result<Address, SignatureError> {
        Ok(signature.recover(self.digest(domain))?.address())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn a_signature_is_for_one_request_one_channel_one_chain_and_one_time() {
        let domain = ChannelDomain { chain_id: 31_337, contract: Address::new([4; 20]) };
        let digest = |byte| Digest::new([byte; 32]);
        let request = PaidRequest {
            channel: ChannelId::new(digest(5)),
            request: RequestHash::new(digest(6)),
            expires: 1_800_000_000,
        };
        let key = HostKey::from_bytes(&[0x11; 32]).unwrap();
        let signature = request.sign(domain, &key);
        assert_eq!(request.signer(domain, &signature), Ok(key.address()));
        let others = [
            PaidRequest { channel: ChannelId::new(digest(6)), ..request },
            PaidRequest { request: RequestHash::new(digest(5)), ..request },
            PaidRequest { expires: 1_800_000_001, ..request },
        ];
        for other in others {
            assert_ne!(other.signer(domain, &signature), Ok(key.address()));
        }
        let elsewhere = ChannelDomain { chain_id: 1, ..domain };
        assert_ne!(request.signer(elsewhere, &signature), Ok(key.address()));
    }
}
