//! Accepts connections, and closes them while the stand-in simulates an outage.

use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use super::{pipeline, routes};
use crate::FakeGitlab;

/// Serves until stopped. Open connections are closed then, too.
pub(crate) async fn serve(listener: TcpListener, gitlab: FakeGitlab) {
    let router = routes::router(gitlab.clone());
    let cancel = gitlab.shared.cancel.clone();
    loop {
        let accepted = tokio::select! {
            () = cancel.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // A temporary error, for example too many open files.
            tokio::task::yield_now().await;
            continue;
        };
        if gitlab.faults().is_down() {
            drop(stream);
            continue;
        }
        let connection = one(stream, router.clone(), gitlab.clone());
        let cancel = cancel.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = cancel.cancelled() => {}
                () = connection => {}
            }
        });
    }
}

async fn one(stream: TcpStream, router: axum::Router, gitlab: FakeGitlab) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        pipeline::handle(router.clone(), gitlab.clone(), request.map(Body::new))
    });
    // An error closes the connection without a response, which is intended.
    let served = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection was interrupted");
    }
}
