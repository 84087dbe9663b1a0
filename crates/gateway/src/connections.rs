//! Connections: how many there may be, and how long one may take to say what it wants and to take what it gets.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;

/// Most connections at once; further ones wait to be accepted. It leaves room below the 1,024 files that many systems
/// let a process open.
const CONNECTIONS_MAX: usize = 512;

/// How long the head of a request may take to arrive, and how long a connection may be idle between requests.
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);

/// How long a client may take nothing of what is sent to it. Its answer waits for it meanwhile, and so does a sequence of
/// the host's batch.
const UNREAD_TIME_MAX: Duration = Duration::from_mins(1);

/// Most bytes that a connection holds of what it has received and not handed on: also the longest head of a request.
const RECEIVED_BYTES_MAX: usize = 64 << 10;

/// Answers connections until `shutdown` completes, then finishes the ones that are open. What goes wrong while accepting
/// passes, or is one connection's problem.
pub async fn serve(mut listener: TcpListener, router: Router, shutdown: impl Future<Output = ()> + Send + 'static) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let open = GracefulShutdown::new();
    let mut shutdown = pin!(shutdown);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME_MAX).max_buf_size(RECEIVED_BYTES_MAX);
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, Listener::accept(&mut listener).await)
        };
        let (place, (stream, _)) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut shutdown => break,
        };
        // A token is a packet of its own: without this the kernel would hold it back until the one before is acknowledged.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "gateway.nodelay_failed");
        }
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(UNREAD_TIME_MAX));
        let stream = TokioIo::new(Box::pin(stream));
        let connection = http.serve_connection(stream, TowerToHyperService::new(router.clone()));
        let connection = open.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "gateway.connection_failed");
            }
            drop(place);
        });
    }
    // Nobody is accepted while the last answers end.
    drop(listener);
    open.shutdown().await;
}
