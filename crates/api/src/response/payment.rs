//! How a host is paid, and where a channel stands. Amounts are decimal strings, in millionths of a dollar.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How the host of a model is paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PaymentFacts {
    /// The chain with the contract of channels.
    pub chain_id: u64,
    /// That contract.
    pub contract: String,
    /// The token that channels hold.
    pub token: String,
    /// How much a client may owe before it has to pay.
    pub credit: String,
}

/// Where a channel stands, as its host counts. All amounts count from the opening of the channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChannelBody {
    /// The channel's id.
    pub channel: String,
    /// The most that vouchers can draw on.
    pub capacity: String,
    /// All that the host has signed for.
    pub owed: String,
    /// What the newest voucher is over.
    pub paid: String,
    /// Set aside for answers that are under way.
    pub reserved: String,
}
