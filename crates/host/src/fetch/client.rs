//! The HTTP client, with TLS by rustls and ring.

use std::time::Duration;

/// A client that gives up on connecting after `connect_timeout` and follows no redirect by itself.
///
/// The proxies of the environment apply.
///
/// # Errors
///
/// The system's certificate store cannot be read.
pub fn http_client(connect_timeout: Duration) -> Result<reqwest::Client, reqwest::Error> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Two threads may both see none: the second one's provider is the same and is dropped.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
    reqwest::Client::builder()
        .user_agent(concat!("candor/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(connect_timeout)
        .redirect(reqwest::redirect::Policy::none())
        .build()
}
