//! Connections that do not get in are told why, if they ask soon.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::http::{HeaderValue, Request, header};
use axum::response::IntoResponse as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use crate::error::Error;

/// How long a refused connection may take to ask and to read the answer.
const LONGEST: Duration = Duration::from_secs(5);
/// How many there are at a time; each needs a descriptor. Of more, the oldest is closed.
const MAX_REFUSALS: usize = 64;

/// The connections that are being refused.
pub(super) struct Refusals {
    builder: Builder<TokioExecutor>,
    open: VecDeque<AbortHandle>,
}

impl Refusals {
    pub(super) fn new(builder: Builder<TokioExecutor>) -> Self {
        Self {
            builder,
            open: VecDeque::new(),
        }
    }

    /// Answers whatever a connection asks with an error, and closes it.
    pub(super) fn refuse(&mut self, stream: TcpStream, error: Error) {
        let mut response = error.into_response();
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
        let (parts, body) = response.into_parts();
        let builder = self.builder.clone();
        let refusing = async move {
            let text = axum::body::to_bytes(body, usize::MAX)
                .await
                .unwrap_or_default();
            let service = service_fn(move |_: Request<Incoming>| {
                let body = axum::body::Body::from(text.clone());
                let response = axum::http::Response::from_parts(parts.clone(), body);
                async move { Ok::<_, Infallible>(response) }
            });
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            // Whoever breaks off does not want to know.
            let _ = tokio::time::timeout(LONGEST, connection).await;
        };
        self.open.retain(|handle| !handle.is_finished());
        if self.open.len() >= MAX_REFUSALS
            && let Some(oldest) = self.open.pop_front()
        {
            oldest.abort();
        }
        self.open.push_back(tokio::spawn(refusing).abort_handle());
    }
}
