//! An address of its own for metrics: monitoring reaches it without the limits and the proxy of the service.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

use crate::{CONTENT_TYPE, encode};

/// Why metrics cannot be served at an address.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve metrics at {address}: {problem}")]
pub struct ListenError {
    address: SocketAddr,
    /// The flag that sets the address.
    flag: &'static str,
    problem: Problem,
}

impl ListenError {
    /// Returns whether another program uses the address.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        matches!(self.problem, Problem::InUse)
    }

    /// Returns what to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        let stop = match self.problem {
            Problem::InUse => "stop it, or ",
            Problem::Privileged | Problem::NotHere | Problem::Other(_) => "",
        };
        format!("{stop}choose another {}", self.flag)
    }
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("the address is in use by another program")]
    InUse,
    #[error("ports below 1024 need privileges")]
    Privileged,
    #[error("this machine does not have the address")]
    NotHere,
    #[error("{0}")]
    Other(io::Error),
}

/// Binds the address for metrics, which `flag` sets.
///
/// # Errors
/// When it cannot be used.
pub async fn listen(address: SocketAddr, flag: &'static str) -> Result<TcpListener, ListenError> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| refusal(address, flag, error))
}

fn refusal(address: SocketAddr, flag: &'static str, error: io::Error) -> ListenError {
    let problem = match error.kind() {
        io::ErrorKind::AddrInUse => Problem::InUse,
        io::ErrorKind::PermissionDenied => Problem::Privileged,
        io::ErrorKind::AddrNotAvailable => Problem::NotHere,
        _ => Problem::Other(error),
    };
    ListenError {
        address,
        flag,
        problem,
    }
}

/// Returns a response with metrics.
#[must_use]
pub fn page(text: impl Into<axum::body::Body>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, CONTENT_TYPE),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, text.into()).into_response()
}

/// Returns the routes `/metrics` and `/healthz` of a program. `refresh` is called before each scrape, and must not
/// block for long.
pub fn router(
    registry: Arc<Registry>,
    refresh: impl Fn() + Clone + Send + Sync + 'static,
) -> Router {
    let metrics = move || {
        refresh();
        std::future::ready(page(encode(&registry)))
    };
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| std::future::ready("ok\n")))
}

/// Serves routes until it is dropped. Failures to accept a connection are retried.
pub async fn serve(listener: TcpListener, router: Router) {
    // It never returns.
    let _ = axum::serve(listener, router).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_match_snapshot() {
        let refused = [
            io::ErrorKind::AddrInUse,
            io::ErrorKind::PermissionDenied,
            io::ErrorKind::AddrNotAvailable,
            io::ErrorKind::OutOfMemory,
        ]
        .map(|kind| {
            let address = "192.0.2.1:80".parse().unwrap();
            let error = refusal(address, "--metrics-listen", kind.into());
            format!("## {kind:?}\n{error}\nhint: {}\n", error.hint())
        });
        insta::assert_snapshot!(refused.join("\n"));
    }

    #[tokio::test]
    async fn names_address_that_is_in_use() {
        let listen = |address: &str| listen(address.parse().unwrap(), "--metrics-listen");
        let first = listen("127.0.0.1:0").await.unwrap();
        let address = first.local_addr().unwrap().to_string();
        let error = listen(&address).await.unwrap_err();
        let expected =
            format!("cannot serve metrics at {address}: the address is in use by another program");
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.hint(), "stop it, or choose another --metrics-listen");
        assert!(error.is_in_use());
        let error = listen("192.0.2.1:1").await.unwrap_err();
        assert!(!error.is_in_use());
        let error = error.to_string();
        assert!(error.contains("does not have the address"), "{error}");
    }
}
