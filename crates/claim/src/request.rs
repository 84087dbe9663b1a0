//! What was asked, bound byte for byte.

use crate::coded::coded;
use crate::domain;
use crate::encoding::HashEncoder;
use crate::{Address, Nonce, RequestHash};

coded! {
    /// The route that a request came in on: it decides what the bytes mean.
    Endpoint, "endpoint" {
        /// `/v1/chat/completions`.
        Chat = 0, "chat";
        /// `/v1/completions`.
        Completions = 1, "completions";
        /// `/v1/responses`.
        Responses = 2, "responses";
    }
}

/// The hash of a request: the exact bytes of its body, where it came in, the client's nonce and address.
///
/// Without a nonce of its own a client cannot tell a fresh answer from a replayed one.
pub fn request_hash(endpoint: Endpoint, bytes: &[u8], nonce: Nonce, client: Option<Address>) -> RequestHash {
    let mut encoder = HashEncoder::new(domain::REQUEST);
    encoder.coded(endpoint);
    encoder.digest(nonce.get());
    encoder.optional_address(client);
    encoder.bytes(bytes);
    RequestHash::new(encoder.finish())
}
