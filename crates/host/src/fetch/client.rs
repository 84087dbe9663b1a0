//! The HTTP client, with TLS by rustls and ring.

use std::time::Duration;

/// Whether requests go through the proxies that the environment names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxies {
    /// As `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say.
    Environment,
    /// Never, as for servers on this machine.
    Never,
}

/// A client that gives up on connecting after `connect_timeout` and follows no redirect by itself.
///
/// # Errors
///
/// The system's certificate store cannot be read.
pub fn http_client(connect_timeout: Duration, proxies: Proxies) -> Result<reqwest::Client, reqwest::Error> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Two threads may both see none: the second one's provider is the same and is dropped.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
    let builder = reqwest::Client::builder()
        .user_agent(concat!("candor/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(connect_timeout)
        .tcp_nodelay(true)
        .redirect(reqwest::redirect::Policy::none());
    match proxies {
        Proxies::Environment => builder.build(),
        Proxies::Never => builder.no_proxy().build(),
    }
}
