//! Serves connections: how many at a time, how long one may take to say what it wants, and how they
//! end when the server stops.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// How long a connection may take to send a request's headers, the time between two requests
/// included.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// The most that the headers of a request may be.
const MAX_HEADERS: usize = 64 * 1024;
/// More connections wait in the socket's queue. Each needs a file descriptor.
const MAX_CONNECTIONS: usize = 8_192;
/// The pause after the machine refused a connection, for example because files have run out.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(200);

/// Who sent a request, as far as the socket knows. Requests have it as an extension.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// The server's own address on the connection that a request came by. Requests have it as an
/// extension.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Local(pub(crate) SocketAddr);

/// Serves until cancelled; returns when every request that was begun has ended.
pub(crate) async fn serve(listener: TcpListener, router: Router, cancel: CancellationToken) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(HEADER_TIMEOUT)
        .max_header_list_size(u32::try_from(MAX_HEADERS).unwrap_or(u32::MAX));
    let graceful = GracefulShutdown::new();
    let free = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = cancel.cancelled() => break,
            accepted = accept(&listener, &free) => accepted,
        };
        let Some((stream, peer, permit)) = accepted else {
            continue;
        };
        let router = router.clone();
        let local = stream.local_addr().ok().map(|address| {
            // A socket for IPv6 takes connections by IPv4, too.
            Local(SocketAddr::new(address.ip().to_canonical(), address.port()))
        });
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            if let Some(local) = local {
                request.extensions_mut().insert(local);
            }
            let router = router.clone();
            async move {
                let response = router.oneshot(request.map(Body::new)).await;
                response.map_err(|never: Infallible| match never {})
            }
        });
        let connection = builder
            .serve_connection_with_upgrades(TokioIo::new(stream), service)
            .into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // A connection that breaks is its client's to notice.
            if let Err(error) = connection.await {
                tracing::debug!(error, %peer, "a connection broke");
            }
            drop(permit);
        });
    }
    // From here on connections are refused, instead of waiting for nobody.
    drop(listener);
    graceful.shutdown().await;
}

async fn accept(
    listener: &TcpListener,
    free: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    // Never closed.
    let permit = Arc::clone(free).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            // Answers are small and waited for.
            let _ = stream.set_nodelay(true);
            Some((stream, peer, permit))
        }
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(PAUSE_AFTER_ERROR).await;
            None
        }
    }
}
