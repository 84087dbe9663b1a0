//! JSON-RPC over HTTP and WebSocket.

mod arguments;
mod control;
mod debug;
mod eth;
mod execute;
mod fault;
mod filters;
mod logs;
mod notifications;
mod reader;
mod send;
mod subscribe;
mod typed;
mod visitors;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::BodyExt as _;
use jsonrpsee::RpcModule;
use jsonrpsee::core::{BoxError, RegisterMethodError};
use jsonrpsee::server::{
    BatchRequestConfig, HttpBody, HttpRequest, IdProvider, PingConfig, Server, ServerConfig, ServerHandle,
    TowerService, stop_channel,
};
use jsonrpsee::types::SubscriptionId;
use tower::ServiceExt as _;
use tower::layer::util::{Identity, Stack};

use crate::config::Config;
use crate::devchain::Devchain;
use notifications::Notifications;
use reader::Reader;
use visitors::Visitors;

/// A client that sends no first request for so long is let go, and one that answers no ping for twice as long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Messages of one subscription that wait for a slow client before the chain's notices do.
const SUBSCRIPTION_QUEUE: u32 = 1_024;

/// A chain that answers on a port, until this is stopped or dropped.
#[derive(Debug)]
pub struct Serving {
    address: SocketAddr,
    handle: ServerHandle,
}

impl Serving {
    /// Where it answers: the port that was taken, where none was named.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets go of all clients and waits for their requests to end.
    pub async fn stop(self) {
        // It may have stopped already.
        let _ = self.handle.stop();
        self.handle.stopped().await;
    }
}

/// Why a chain does not answer on a port.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The port cannot be had.
    #[error("cannot listen: {0}")]
    Listen(#[from] std::io::Error),
    /// Two methods have the same name, which no configuration can bring about.
    #[error("cannot name a method: {0}")]
    Method(#[from] RegisterMethodError),
}

impl Devchain {
    /// Answers JSON-RPC on an address, over HTTP and WebSocket. Port 0 takes any that is free. On a loopback address, pages
    /// of other machines that a browser shows on this one are refused.
    ///
    /// # Errors
    ///
    /// When the port cannot be had.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn serve(&self, address: SocketAddr) -> Result<Serving, ServeError> {
        self.serve_on(std::net::TcpListener::bind(address)?)
    }

    /// The same on a port that is open already.
    ///
    /// # Errors
    ///
    /// When nothing can listen on it.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn serve_on(&self, listener: std::net::TcpListener) -> Result<Serving, ServeError> {
        listener.set_nonblocking(true)?;
        let visitors = Visitors::of(listener.local_addr()?.ip());
        let door = tower::ServiceBuilder::new().layer(visitors).layer(Notifications);
        let server = Server::builder().set_config(rules(self.config())).set_http_middleware(door);
        let server = server.build_from_tcp(listener)?;
        let address = server.local_addr()?;
        let handle = server.start(methods(self.clone())?);
        Ok(Serving { address, handle })
    }

    /// Answers bodies of requests without a port, to the same rules as over HTTP.
    ///
    /// # Errors
    ///
    /// When no method can be named, which no configuration can bring about.
    pub fn answering(&self) -> Result<Answering, ServeError> {
        let (stop, handle) = stop_channel();
        let door = tower::ServiceBuilder::new().layer(Notifications);
        let server = Server::builder().set_config(rules(self.config())).set_http_middleware(door);
        Ok(Answering { service: server.to_service_builder().build(methods(self.clone())?, stop), _handle: handle })
    }
}

/// A chain that answers requests of its own process.
#[derive(Debug, Clone)]
pub struct Answering {
    service: TowerService<Identity, Stack<Notifications, Identity>>,
    /// Answers until this is dropped.
    _handle: ServerHandle,
}

/// What HTTP would say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status; 200 also where the body tells of an error.
    pub status: u16,
    /// The body; empty where nothing was asked.
    pub body: Vec<u8>,
}

impl Answering {
    /// Answers one body: a request, or a batch of them, or whatever else it is.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn answer(&self, body: &[u8]) -> Answer {
        self.try_answer(body).await.unwrap_or(Answer { status: INTERNAL_ERROR, body: Vec::new() })
    }

    async fn try_answer(&self, body: &[u8]) -> Result<Answer, BoxError> {
        let request = HttpRequest::<()>::builder().method("POST").header("content-type", "application/json");
        let request = request.body(HttpBody::from(body.to_vec()))?;
        let answer = self.service.clone().oneshot(request).await?;
        let status = answer.status().as_u16();
        Ok(Answer { status, body: answer.into_body().collect().await?.to_bytes().to_vec() })
    }
}

/// The status of an answer that could not be made.
const INTERNAL_ERROR: u16 = 500;

/// What requests are held to.
fn rules(config: &Config) -> ServerConfig {
    let limits = &config.limits;
    ServerConfig::builder()
        .max_request_body_size(limits.request_bytes)
        .max_response_body_size(limits.response_bytes)
        .max_connections(limits.connections)
        .max_subscriptions_per_connection(limits.subscriptions)
        .set_batch_request_config(BatchRequestConfig::Limit(limits.batch))
        .set_message_buffer_capacity(SUBSCRIPTION_QUEUE)
        .set_id_provider(SubscriptionIds::default())
        .set_first_request_timeout(Some(PATIENCE))
        .enable_ws_ping(PingConfig::new().ping_interval(PATIENCE).inactive_limit(2 * PATIENCE))
        .set_tcp_no_delay(true)
        .build()
}

fn methods(devchain: Devchain) -> Result<RpcModule<Reader>, RegisterMethodError> {
    let mut module = RpcModule::new(Reader::new(devchain));
    eth::register(&mut module)?;
    logs::register(&mut module)?;
    execute::register(&mut module)?;
    send::register(&mut module)?;
    typed::register(&mut module)?;
    filters::register(&mut module)?;
    subscribe::register(&mut module)?;
    debug::register(&mut module)?;
    control::register(&mut module)?;
    Ok(module)
}

/// Numbers subscriptions as Ethereum's clients expect them: in hexadecimal.
#[derive(Debug, Default)]
struct SubscriptionIds(Arc<AtomicU64>);

impl IdProvider for SubscriptionIds {
    fn next_id(&self) -> SubscriptionId<'static> {
        let id = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        SubscriptionId::Str(format!("{id:#x}").into())
    }
}
