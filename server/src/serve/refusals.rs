//! Connections above a limit get an error response if they send a request soon.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::http::{HeaderValue, Request, header};
use buildbtw_telemetry::spawn_named;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use crate::error::Error;
use crate::request_trace::RequestTrace;

use super::executor::StreamExecutor;

/// Maximum time of a refused connection.
const MAX_DURATION: Duration = Duration::from_secs(5);
/// Maximum number of connections being refused, since each needs a descriptor. Above it, the oldest is
/// closed.
const MAX_REFUSALS: usize = 64;

/// The connections that are being refused.
pub(super) struct Refusals {
    builder: Builder<StreamExecutor>,
    open: VecDeque<AbortHandle>,
}

impl Refusals {
    pub(super) fn new(builder: Builder<StreamExecutor>) -> Self {
        Self {
            builder,
            open: VecDeque::new(),
        }
    }

    /// Responds to any request with an error, and closes the connection.
    pub(super) fn refuse(&mut self, stream: TcpStream, error: Error) {
        let refusal = error.into_refusal();
        let builder = self.builder.clone();
        let refusing = async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let error = Error::from(refusal.clone());
                let mut response = RequestTrace::of(&request).refuse(error);
                response
                    .headers_mut()
                    .insert(header::CONNECTION, HeaderValue::from_static("close"));
                async move { Ok::<_, Infallible>(response) }
            });
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            // A client that disconnects needs no reason.
            let _ = tokio::time::timeout(MAX_DURATION, connection).await;
        };
        self.open.retain(|handle| !handle.is_finished());
        if self.open.len() >= MAX_REFUSALS
            && let Some(oldest) = self.open.pop_front()
        {
            oldest.abort();
        }
        self.open
            .push_back(spawn_named("refused connection", refusing).abort_handle());
    }
}
