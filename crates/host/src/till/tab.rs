//! What a request and each of its answers draw on.

use std::sync::Arc;

use api::ApiError;
use claim::{Amount, ChannelId};
use market::Refusal;

use super::Channel;

/// A request's word that a channel pays for it.
#[derive(Clone, Debug)]
pub struct Tab(Arc<Channel>);

impl Tab {
    pub(super) const fn new(channel: Arc<Channel>) -> Self {
        Self(channel)
    }

    /// The channel, which goes into receipts.
    pub fn channel(&self) -> ChannelId {
        self.0.id
    }

    /// Whose channel it is.
    pub fn client(&self) -> claim::Address {
        self.0.terms.client
    }

    /// Sets aside what an answer may come to.
    pub(crate) fn reserve(&self, needed: Amount) -> Result<Charge, ApiError> {
        let reserved = self.0.state().account.reserve(needed);
        reserved.map_err(|refusal| self.0.refuse(refusal))?;
        Ok(Charge { channel: Arc::clone(&self.0), reserved: needed, signed: Amount::new(0) })
    }
}

/// What is set aside for one answer. Dropping it gives back what the answer did not come to.
#[derive(Debug)]
pub struct Charge {
    channel: Arc<Channel>,
    reserved: Amount,
    /// What the answer's newest receipt is over.
    signed: Amount,
}

impl Charge {
    /// The host has signed for the answer so far. Its client owes that from now on.
    ///
    /// # Errors
    ///
    /// The client owes more than the host lends; the answer should not go on.
    pub(crate) fn sign(&mut self, total: Amount) -> Result<(), Refusal> {
        let more = Amount::new(total.get().saturating_sub(self.signed.get()));
        self.signed = self.signed.max(total);
        self.reserved = Amount::new(self.reserved.get().saturating_sub(more.get()));
        self.channel.state().account.charge(more)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.channel.state().account.release(self.reserved);
    }
}
