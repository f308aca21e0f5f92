//! Serves connections: admission, timeouts, and graceful shutdown.

mod body_hook;
mod executor;
mod progress;
mod refusals;

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use buildbtw_model::saturating;
use buildbtw_telemetry::spawn_named;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::admission::{Admission, Permit};
use crate::request_trace::RequestTrace;

pub(crate) use body_hook::{BodyHook, NextFrame, hold_until_sent, wrap_body};
use executor::StreamExecutor;
use progress::Progress;
use refusals::Refusals;

/// Maximum time for the headers of a request, including the time between two requests.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum size of a request's headers.
const MAX_HEADERS: usize = 64 * 1024;
/// Maximum number of concurrent requests of an HTTP/2 connection.
const MAX_HTTP2_STREAMS: u32 = 32;
/// How much of request bodies an HTTP/2 connection may send before they are read: the minimum of HTTP/2
/// (RFC 9113, section 6.9.2). Responses to slow clients are buffered in as much memory.
const HTTP2_WINDOW: u32 = 65_535;
const HTTP2_SEND_BUFFER: usize = 64 * 1024;
/// How long a client may leave a response unread, unless a test sets less.
pub(crate) const MAX_STALL: Duration = Duration::from_secs(60);
/// How many times within that period stalled responses are checked for.
const CHECKS_PER_STALL: u32 = 12;
/// The pause after accepting failed, for example because descriptors have run out.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(200);

/// The sender of a request: the peer of its connection, or the client that a trusted proxy forwards for.
/// Requests have it as an extension.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// The server's address on the connection of a request. Requests have it as an extension.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Local(pub(crate) SocketAddr);

/// Serves until cancelled, and returns when all started requests have ended.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    admission: Admission,
    longest_stall: Duration,
    cancel: CancellationToken,
) {
    let builder = builder();
    let graceful = GracefulShutdown::new();
    let mut refusals = Refusals::new(builder.clone());
    loop {
        let accepted = tokio::select! {
            () = cancel.cancelled() => break,
            accepted = accept(&listener) => accepted,
        };
        let Some((stream, peer)) = accepted else {
            continue;
        };
        let permit = match admission.connection(peer.ip()) {
            Ok(permit) => permit,
            Err(error) => {
                tracing::debug!(%error, %peer, "refused a connection");
                refusals.refuse(stream, error);
                continue;
            }
        };
        let local = stream.local_addr().ok().map(|address| {
            // An IPv6 socket accepts IPv4 connections too.
            Local(SocketAddr::new(address.ip().to_canonical(), address.port()))
        });
        let started = CancellationToken::new();
        let progress = Progress::default();
        let context = ConnectionContext {
            peer,
            local,
            proxy: admission.is_proxy(peer.ip()),
            admission: admission.clone(),
            router: router.clone(),
            started: started.clone(),
            progress: progress.clone(),
        };
        let service = service_fn(move |request| context.clone().respond(request));
        let connection = builder
            .serve_connection_with_upgrades(TokioIo::new(stream), service)
            .into_owned();
        let connection = until_stalled(graceful.watch(connection), peer, progress, longest_stall);
        spawn_named("connection", supervise(connection, peer, permit, started));
    }
    // From here on connections are refused instead of waiting.
    drop(listener);
    graceful.shutdown().await;
}

fn builder() -> Builder<StreamExecutor> {
    let mut builder = Builder::new(StreamExecutor);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(HEADER_TIMEOUT)
        .max_concurrent_streams(MAX_HTTP2_STREAMS)
        .initial_stream_window_size(HTTP2_WINDOW)
        .initial_connection_window_size(HTTP2_WINDOW)
        .max_send_buf_size(HTTP2_SEND_BUFFER)
        .max_header_list_size(saturating(MAX_HEADERS));
    builder
}

/// Ends a connection on which a response waits for its client for too long, since it takes memory.
async fn until_stalled<E>(
    connection: impl Future<Output = Result<(), E>>,
    peer: SocketAddr,
    progress: Progress,
    longest_stall: Duration,
) -> Result<(), E> {
    let mut connection = pin!(connection);
    loop {
        tokio::select! {
            result = &mut connection => return result,
            () = tokio::time::sleep(longest_stall / CHECKS_PER_STALL) => if progress.has_stalled(longest_stall) {
                tracing::debug!(%peer, "cut off a client that does not read its response");
                return Ok(());
            }
        }
    }
}

/// Drives a connection to its end. Closes it if it does not start a request in time, down to the first
/// bytes, which tell the version of HTTP.
async fn supervise<E: std::fmt::Display>(
    connection: impl Future<Output = Result<(), E>>,
    peer: SocketAddr,
    permit: Permit,
    started: CancellationToken,
) {
    let mut connection = pin!(connection);
    let result = tokio::select! {
        result = &mut connection => Some(result),
        () = started.cancelled() => None,
        () = tokio::time::sleep(HEADER_TIMEOUT) => return,
    };
    let result = match result {
        Some(result) => result,
        None => connection.await,
    };
    // A broken connection concerns only its client.
    if let Err(error) = result {
        tracing::debug!(%error, %peer, "a connection broke");
    }
    drop(permit);
}

async fn accept(listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    match listener.accept().await {
        Ok((stream, peer)) => {
            // Responses are small, and clients wait for them.
            let _ = stream.set_nodelay(true);
            let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
            Some((stream, peer))
        }
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(PAUSE_AFTER_ERROR).await;
            None
        }
    }
}

/// What all requests of a connection share.
#[derive(Clone)]
struct ConnectionContext {
    peer: SocketAddr,
    local: Option<Local>,
    /// Whether the peer is a trusted proxy.
    proxy: bool,
    admission: Admission,
    router: Router,
    /// Cancelled by the first request.
    started: CancellationToken,
    progress: Progress,
}

impl ConnectionContext {
    async fn respond(self, mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        self.started.cancel();
        let client = self.admission.client(self.peer.ip(), request.headers());
        let permit = match self.permit(client) {
            Ok(permit) => permit,
            Err(error) => return Ok(RequestTrace::of(&request).refuse(error)),
        };
        let extensions = request.extensions_mut();
        extensions.insert(Peer(SocketAddr::new(client, self.peer.port())));
        if let Some(local) = self.local {
            extensions.insert(local);
        }
        let response = self.router.oneshot(request.map(Body::new)).await?;
        Ok(response.map(|body| self.progress.watch(body, permit)))
    }

    fn permit(&self, client: IpAddr) -> Result<Permit, crate::error::Error> {
        if self.proxy {
            self.admission.forwarded_request(client)
        } else {
            self.admission.request(client)
        }
    }
}
