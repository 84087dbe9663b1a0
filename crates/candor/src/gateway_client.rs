//! The gateway as a client sees it: HTTP and nothing else.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use host::fetch::{Proxies, http_client};
use reqwest::{Client, RequestBuilder, Response, Url};
use serde_json::Value;

use crate::exit::UsageError;

/// Where `candor up` listens unless told otherwise.
pub(crate) const USUAL_ADDRESS: &str = "http://127.0.0.1:7411";

/// How long a gateway may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Bounds an error's body.
const ERROR_BYTES_MAX: usize = 64 << 10;

/// A gateway somewhere.
#[derive(Debug, Clone)]
pub(crate) struct GatewayClient {
    client: Client,
    base: Url,
}

impl GatewayClient {
    /// A client of the gateway at an address such as `http://127.0.0.1:7411`.
    pub(crate) fn new(address: Option<&str>) -> anyhow::Result<Self> {
        let address = address.unwrap_or(USUAL_ADDRESS);
        let wrong = |reason: &str| UsageError(format!("`{address}` is not the address of a gateway: {reason}"));
        let base =
            Url::parse(&format!("{}/", address.trim_end_matches('/'))).map_err(|error| wrong(&error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(wrong("it must begin with http:// or https://").into());
        }
        let Some(host) = base.host_str() else { return Err(wrong("it names no host").into()) };
        let literal = host.trim_matches(['[', ']']).parse::<IpAddr>();
        let is_here = host == "localhost" || literal.is_ok_and(|address| address.is_loopback());
        let proxies = if is_here { Proxies::Never } else { Proxies::Environment };
        Ok(Self { client: http_client(CONNECT_TIMEOUT, proxies)?, base })
    }

    /// A POST to a path below the address.
    pub(crate) fn post(&self, path: &str) -> anyhow::Result<RequestBuilder> {
        Ok(self.client.post(self.base.join(path)?))
    }

    /// The body of a GET of at most `bytes_max` bytes.
    pub(crate) async fn get(&self, path: &str, bytes_max: usize) -> anyhow::Result<Vec<u8>> {
        let response = self.send(self.client.get(self.base.join(path)?)).await?;
        body(response, bytes_max).await
    }

    /// Sends a request, and turns an answer that is an error into words.
    pub(crate) async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_connect() => {
                bail!("no gateway answers at {}; start one with `candor up`, or name another with --gateway", self.base)
            }
            Err(error) => return Err(error).with_context(|| format!("cannot ask the gateway at {}", self.base)),
        };
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = body(response, ERROR_BYTES_MAX).await.unwrap_or_default();
        let message = serde_json::from_slice::<Value>(&text).ok();
        let message = message.as_ref().and_then(|body| body.pointer("/error/message")).and_then(Value::as_str);
        match message {
            Some(message) => bail!("the gateway answered: {message} (status {})", status.as_u16()),
            None => bail!("the gateway answered with status {}", status.as_u16()),
        }
    }
}

/// A whole body, if it is not longer than it may be.
async fn body(mut response: Response, bytes_max: usize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.context("the gateway's answer broke off")? {
        if bytes.len() + chunk.len() > bytes_max {
            bail!("the gateway's answer is longer than {bytes_max} bytes");
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Splits a stream of server-sent events into the texts of their `data` fields, however the bytes are cut.
#[derive(Debug, Default)]
pub(crate) struct EventReader {
    pending: Vec<u8>,
}

/// Bounds one line of an event stream.
const LINE_BYTES_MAX: usize = 16 << 20;

impl EventReader {
    /// Takes bytes and returns the data of every line that they complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> anyhow::Result<Vec<String>> {
        self.pending.extend_from_slice(bytes);
        let mut found = Vec::new();
        let mut start = 0;
        while let Some(length) = self.pending[start..].iter().position(|&byte| byte == b'\n') {
            let line = &self.pending[start..start + length];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if let Some(data) = line.strip_prefix(b"data:") {
                let text = std::str::from_utf8(data).context("the gateway's stream is not UTF-8")?;
                found.push(text.strip_prefix(' ').unwrap_or(text).to_owned());
            }
            start += length + 1;
        }
        self.pending.drain(..start);
        if self.pending.len() > LINE_BYTES_MAX {
            bail!("a line of the gateway's stream is longer than {LINE_BYTES_MAX} bytes");
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn events_are_read_whatever_the_cut() {
        let stream =
            "data: {\"a\":\"\u{fc}\"}\r\n\r\n: a comment\nevent: x\ndata:second\n\ndata: [DONE]\n\n".as_bytes();
        for cut in 1..stream.len() {
            let mut reader = EventReader::default();
            let found: Vec<String> = stream.chunks(cut).flat_map(|bytes| reader.push(bytes).unwrap()).collect();
            assert_eq!(found, ["{\"a\":\"\u{fc}\"}", "second", "[DONE]"]);
        }
    }

    #[test]
    fn an_address_must_be_one() {
        for address in ["", "localhost", "ftp://localhost", "http://"] {
            assert!(GatewayClient::new(Some(address)).is_err(), "{address}");
        }
        assert_eq!(GatewayClient::new(Some("http://localhost:1/")).unwrap().base.as_str(), "http://localhost:1/");
    }
}
