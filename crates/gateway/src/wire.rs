//! Reading requests: bodies and headers.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use api::{ApiError, limits};
use axum::body::Body;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::{Bytes, BytesMut};
use claim::{Address, Digest, Nonce, ReceiptId};
use futures_util::StreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Receipt of an answer's only or first choice.
pub(crate) const RECEIPT: HeaderName = HeaderName::from_static("x-candor-receipt");
/// Receipts of all choices, in their order, separated by commas.
pub(crate) const RECEIPTS: HeaderName = HeaderName::from_static("x-candor-receipts");
/// The nonce that went into the request hash; in requests the client's own.
pub(crate) const NONCE: HeaderName = HeaderName::from_static("x-candor-nonce");
/// The client's address, which goes into the receipt.
pub(crate) const CLIENT: HeaderName = HeaderName::from_static("x-candor-client");

/// How long a body may take to arrive.
const BODY_TIME_MAX: Duration = Duration::from_mins(1);
/// How much of a body past the limit is read and dropped, so that a client that sends all of it before it reads gets the
/// error and not a broken connection.
const DRAIN_BYTES_MAX: usize = 256 << 20;

/// Room for the long bodies of requests, those that are still arriving and those that are being answered.
#[derive(Debug)]
pub(crate) struct Bodies(Arc<Semaphore>);

/// A body, and the room that it takes until this is dropped.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

/// Most bytes of all long bodies together: 16 of the longest.
const BODIES_BYTES_MAX: usize = 16 * limits::BODY_BYTES_MAX;
/// A body takes no room up to this size: so much each connection may hold anyway. Ordinary requests therefore find room
/// whatever others send.
const SHORT_BODY_BYTES_MAX: usize = 64 << 10;
/// When a client that found no room should come back, in seconds.
const RETRY_AFTER_S: u32 = 5;

impl Bodies {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(BODIES_BYTES_MAX)))
    }

    /// Reads a request's body, up to the limit of every endpoint and as long as there is room.
    pub(crate) async fn receive(&self, body: Body) -> Result<Received, ApiError> {
        let slow = |_| ApiError::BodySlow { seconds_max: BODY_TIME_MAX.as_secs() };
        let mut room = None;
        let bytes = tokio::time::timeout(BODY_TIME_MAX, self.gather(body, &mut room)).await.map_err(slow)??;
        Ok(Received { bytes, _room: room })
    }

    /// Makes `room` hold `size_bytes`, as far as they are not free.
    fn reserve(&self, size_bytes: usize, room: &mut Option<OwnedSemaphorePermit>) -> Result<(), ApiError> {
        let held = room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let wanted = if size_bytes > SHORT_BODY_BYTES_MAX { size_bytes.saturating_sub(held) } else { 0 };
        if wanted == 0 {
            return Ok(());
        }
        let busy = |_| ApiError::BodiesBusy { retry_after_s: RETRY_AFTER_S };
        let more = Arc::clone(&self.0).try_acquire_many_owned(wanted as u32).map_err(busy)?;
        match room {
            Some(room) => room.merge(more),
            None => *room = Some(more),
        }
        Ok(())
    }

    async fn gather(&self, body: Body, room: &mut Option<OwnedSemaphorePermit>) -> Result<Bytes, ApiError> {
        let mut stream = body.into_data_stream();
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        let mut size_bytes = 0;
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| ApiError::BodyIncomplete)?;
            size_bytes += chunk.len();
            if size_bytes > limits::BODY_BYTES_MAX {
                (first, rest, *room) = (Bytes::new(), BytesMut::new(), None);
                if size_bytes > DRAIN_BYTES_MAX {
                    break;
                }
                continue;
            }
            self.reserve(size_bytes, room)?;
            if first.is_empty() {
                // Most bodies arrive in one piece and are never copied.
                first = chunk;
            } else {
                if rest.is_empty() {
                    rest.extend_from_slice(&first);
                }
                rest.extend_from_slice(&chunk);
            }
        }
        if size_bytes > limits::BODY_BYTES_MAX {
            return Err(ApiError::BodyTooLarge { size_bytes_max: limits::BODY_BYTES_MAX });
        }
        Ok(if rest.is_empty() { first } else { rest.freeze() })
    }
}

/// The client's nonce, or a fresh one.
pub(crate) fn nonce(headers: &HeaderMap) -> Result<Nonce, ApiError> {
    match headers.get(NONCE) {
        Some(value) => {
            let fault = ApiError::Header { header: "x-candor-nonce", expected: "32 bytes as 64 hexadecimal digits" };
            read_digest(value).map(Nonce::new).ok_or(fault)
        }
        None => Ok(Nonce::new(Digest::new(random()?))),
    }
}

/// The client's address, if it says.
pub(crate) fn client(headers: &HeaderMap) -> Result<Option<Address>, ApiError> {
    let Some(value) = headers.get(CLIENT) else { return Ok(None) };
    let address = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    let expected = "an address: 0x and 40 hexadecimal digits";
    address.map(Some).ok_or(ApiError::Header { header: "x-candor-client", expected })
}

/// The last part of a path, if it is text at all.
pub(crate) type PathText = Result<Path<String>, PathRejection>;

/// The part, or nothing where the path's escapes spell no UTF-8: nothing has such a name.
pub(crate) fn path_text(part: PathText) -> String {
    part.map_or_else(|_| String::new(), |Path(text)| text)
}

/// Random bytes of the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], ApiError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(%error, "gateway.no_random_bytes");
        ApiError::Internal
    })?;
    Ok(bytes)
}

/// A receipt id out of a path.
pub(crate) fn receipt_id(text: &str) -> Result<ReceiptId, ApiError> {
    let id = Digest::from_str(text).map(ReceiptId::new);
    id.map_err(|_| ApiError::ReceiptIdInvalid { found: text.chars().take(80).collect() })
}

fn read_digest(value: &HeaderValue) -> Option<Digest> {
    let text = value.to_str().ok()?.trim();
    if text.starts_with("0x") { text.parse().ok() } else { format!("0x{text}").parse().ok() }
}

/// A header value from text that is ASCII by its making.
pub(crate) fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}
