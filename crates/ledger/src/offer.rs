//! What a host offers: models and prices, signed and kept off the chain, with its hash on it.

use alloy::primitives::{B256, U256};
use alloy::sol_types::{Eip712Domain, SolStruct as _};
use claim::{Address, Digest, HostKey, ModelRoot, Price, Signature, UnixMillis};

use crate::channel::word_address;
use crate::deployment::Deployment;

mod typed {
    alloy::sol! {
        struct OfferedModel {
            string name;
            bytes32 root;
            uint64 promptPerMillion;
            uint64 outputPerMillion;
        }

        struct Offer {
            address host;
            uint64 issued;
            string endpoint;
            OfferedModel[] models;
        }
    }
}

/// The longest endpoint that the contract keeps, in bytes.
pub const ENDPOINT_BYTES_MAX: usize = 256;

/// A model with its price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedModel {
    /// What people call it.
    pub name: String,
    /// What it is.
    pub root: ModelRoot,
    /// What its tokens cost.
    pub price: Price,
}

/// What a host offers. As EIP-712 data of the domain `Candor Hosts`, version `1`, the chain and the contract of hosts:
///
/// ```text
/// Offer(address host,uint64 issued,string endpoint,OfferedModel[] models)
/// OfferedModel(string name,bytes32 root,uint64 promptPerMillion,uint64 outputPerMillion)
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Who offers.
    pub host: Address,
    /// Since when, by the host's clock. A newer offer takes the place of an older one.
    pub issued: UnixMillis,
    /// Where it answers; may be empty.
    pub endpoint: String,
    /// What it serves.
    pub models: Vec<OfferedModel>,
}

impl Offer {
    /// What is signed, and what the chain keeps.
    pub fn digest(&self, deployment: &Deployment) -> Digest {
        let model = |model: &OfferedModel| typed::OfferedModel {
            name: model.name.clone(),
            root: B256::from(model.root.get().get()),
            promptPerMillion: model.price.prompt_per_million,
            outputPerMillion: model.price.output_per_million,
        };
        let typed = typed::Offer {
            host: word_address(self.host),
            issued: self.issued.get(),
            endpoint: self.endpoint.clone(),
            models: self.models.iter().map(model).collect(),
        };
        let domain = Eip712Domain::new(
            Some("Candor Hosts".into()),
            Some("1".into()),
            Some(U256::from(deployment.chain_id)),
            Some(deployment.hosts),
            None,
        );
        Digest::new(typed.eip712_signing_hash(&domain).0)
    }

    /// Signs it. A client compares the signer with the host, and the digest with the one on the chain.
    pub fn sign(&self, deployment: &Deployment, key: &HostKey) -> Signature {
        key.sign_digest(self.digest(deployment))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use alloy::primitives;

    use super::*;

    /// What viem 2.57 makes of the same offer and key.
    #[test]
    fn another_wallet_signs_the_same_offer_alike() {
        let at = primitives::Address::repeat_byte;
        let deployment = Deployment {
            chain_id: 31_337,
            models: at(1),
            vaults: at(2),
            hosts: at(3),
            channels: at(4),
            verdicts: at(5),
            judge: at(6),
            court: at(7),
            dollar: None,
        };
        let key = HostKey::from_bytes(&[0x11; 32]).unwrap();
        let model = |name: &str, root: u8, price| {
            let root = ModelRoot::new(Digest::new([root; 32]));
            OfferedModel { name: name.to_owned(), root, price }
        };
        let offer = Offer {
            host: key.address(),
            issued: UnixMillis::new(1_790_000_000_000),
            endpoint: "https://host.example".to_owned(),
            models: vec![model("one", 1, Price::new(50_000, 200_000)), model("two", 2, Price::new(0, u64::MAX))],
        };
        assert_eq!(
            offer.digest(&deployment).to_string(),
            "0xb1e13eeb26a4af682c0d60fa2e90a5f78efd6111faa1f7e42e82b10bf0705fc8",
        );
        assert_eq!(
            format!("{:?}", offer.sign(&deployment, &key)),
            "0x2868e38b5dce14d4b84c64ee2fad6957aec3905293b171c8edc32a5162dac30a\
             77b0545e7084412774e37253cc673f57b43d1ed0139a42fe6fb58f886274becc1b",
        );
    }
}
