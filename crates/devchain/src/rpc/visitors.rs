//! Who may ask a chain that only this machine is to use.
//!
//! A browser lets any page open a WebSocket to this machine, and a page whose name is made to point to this machine may ask
//! over HTTP too. The chain signs for whoever asks, so that it answers such pages with a refusal: what a request names as its
//! host, and where it says that it comes from, must be this machine.

use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use jsonrpsee::server::http::response;
use jsonrpsee::server::{HttpRequest, HttpResponse};
use tower::{Layer, Service};

/// Lets everybody in, or this machine's own only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Visitors {
    Everybody,
    Locals,
}

impl Visitors {
    /// Who is to be let in on an address.
    pub(super) fn of(address: IpAddr) -> Self {
        if address.is_loopback() { Self::Locals } else { Self::Everybody }
    }

    fn admits<B>(self, request: &HttpRequest<B>) -> bool {
        if self == Self::Everybody {
            return true;
        }
        let header = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
        let host = request.uri().authority().map_or_else(|| header("host"), |authority| Some(authority.as_str()));
        let origin = header("origin").map(|origin| origin.split_once("://").map_or("", |(_, authority)| authority));
        host.is_some_and(is_local) && origin.is_none_or(is_local)
    }
}

/// Whether a host, with a port or without, is this machine under a name that nobody else can give it.
fn is_local(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl<S> Layer<S> for Visitors {
    type Service = Door<S>;

    fn layer(&self, inner: S) -> Door<S> {
        Door { inner, visitors: *self }
    }
}

/// What stands before the methods.
#[derive(Debug, Clone)]
pub(super) struct Door<S> {
    inner: S,
    visitors: Visitors,
}

impl<S, B> Service<HttpRequest<B>> for Door<S>
where
    S: Service<HttpRequest<B>, Response = HttpResponse>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = HttpResponse;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: HttpRequest<B>) -> Self::Future {
        if self.visitors.admits(&request) {
            return Box::pin(self.inner.call(request));
        }
        Box::pin(async { Ok(response::denied()) })
    }
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn names_of_this_machine() {
        for name in ["localhost", "localhost:8545", "127.0.0.1", "127.0.0.1:1", "127.9.9.9", "[::1]", "[::1]:80"] {
            assert!(is_local(name), "{name}");
        }
        let others = [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1:8545",
            "[::2]:80",
            "evil:localhost",
        ];
        for name in others {
            assert!(!is_local(name), "{name}");
        }
    }
}
