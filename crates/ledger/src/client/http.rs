//! One request and its answer over HTTP.

use std::task::{Context, Poll};

use alloy::rpc::json_rpc::{RequestPacket, ResponsePacket};
use alloy::transports::{TransportError, TransportErrorKind, TransportFut, TransportResult};
use reqwest::StatusCode;
use serde::de::Error as _;
use tower::Service;

/// Bytes of the longest answer that is read. The logs of a full block, the longest that is ever asked for, have a few million.
pub(super) const ANSWER_BYTES_MAX: usize = 32 << 20;
/// Characters of an answer that an error repeats.
const QUOTED_CHARS_MAX: usize = 200;

/// A chain's door. In one thing it differs from the one that comes with alloy, beside the bound on answers: a gateway that
/// fails (a status from 500 on) is never taken for the chain behind it, whatever it says, because that chain may have done
/// what was asked.
#[derive(Clone, Debug)]
pub(super) struct Http {
    client: reqwest::Client,
    url: reqwest::Url,
}

impl Http {
    pub(super) fn new(url: reqwest::Url) -> Self {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // TLS is rustls on ring, as everywhere here. Another thread may be quicker; then its provider serves as well.
            drop(rustls::crypto::ring::default_provider().install_default());
        }
        Self { client: reqwest::Client::new(), url }
    }

    async fn exchange(self, request: RequestPacket) -> TransportResult<ResponsePacket> {
        let sent = self.client.post(self.url).json(&request).send().await;
        let mut answer = sent.map_err(TransportErrorKind::custom)?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(TransportErrorKind::custom)? {
            if body.len() + part.len() > ANSWER_BYTES_MAX {
                return Err(unreadable(format!("it is longer than {ANSWER_BYTES_MAX} bytes")));
            }
            body.extend_from_slice(&part);
        }
        read(status, &body)
    }
}

fn read(status: StatusCode, body: &[u8]) -> TransportResult<ResponsePacket> {
    let answer = serde_json::from_slice::<ResponsePacket>(body);
    match answer {
        Ok(answer) if status.is_success() => Ok(answer),
        // What is wrong with a request may be said with a status that says so too.
        Ok(answer) if status.is_client_error() && answer.is_error() => Ok(answer),
        Err(error) if status.is_success() => {
            Err(unreadable(format!("{error}, in `{}`", quoted(&String::from_utf8_lossy(body)))))
        }
        _ => Err(TransportErrorKind::http_error(status.as_u16(), quoted(&String::from_utf8_lossy(body)))),
    }
}

fn unreadable(reason: String) -> TransportError {
    TransportError::deser_err(serde_json::Error::custom(reason), "")
}

/// The beginning of what a chain said: it may say more than anybody wants to read.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text.to_owned(),
    }
}

impl Service<RequestPacket> for Http {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: RequestPacket) -> TransportFut<'static> {
        Box::pin(self.clone().exchange(request))
    }
}
