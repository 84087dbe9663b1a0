//! What the gateway needs of whoever computes answers.

use api::ApiError;
use bytes::Bytes;
use claim::{Address, Endpoint, Nonce};
use court::{Case, Judgement};
use host::Host;
use host::event::{Answer, ServedModel};
use host::till::{Tab, Till};

/// A host, as the gateway sees it. The real one computes; tests stand others in.
pub trait Serve: Send + Sync + 'static {
    /// The models that requests can name.
    fn models(&self) -> Vec<ServedModel>;

    /// Takes a request in. It returns as soon as the request is understood and queued; answers arrive as events.
    ///
    /// # Errors
    ///
    /// What is wrong with the request or its payment, [`ApiError::ModelNotFound`], or [`ApiError::Overloaded`] when the queue is
    /// full.
    fn submit(
        &self,
        endpoint: Endpoint,
        body: Bytes,
        nonce: Nonce,
        client: Option<Address>,
        tab: Option<&Tab>,
    ) -> Result<Answer, ApiError>;

    /// Where it is paid; nowhere, if it answers for nothing.
    fn till(&self) -> Option<&Till> {
        None
    }

    /// Replays an answer. It computes on the calling thread for as long as that takes.
    fn verify(&self, case: &Case<'_>) -> Judgement;
}

impl Serve for Host {
    fn models(&self) -> Vec<ServedModel> {
        vec![self.served().clone()]
    }

    fn submit(
        &self,
        endpoint: Endpoint,
        body: Bytes,
        nonce: Nonce,
        client: Option<Address>,
        tab: Option<&Tab>,
    ) -> Result<Answer, ApiError> {
        Self::submit(self, endpoint, &body, nonce, client, tab)
    }

    fn till(&self) -> Option<&Till> {
        Self::till(self)
    }

    fn verify(&self, case: &Case<'_>) -> Judgement {
        court::judge(case, self.model(), self.machine(), &mut |_, _| {})
    }
}
