//! The attempts' connection to the server: requests are retried until they succeed or fail permanently.

use std::time::Duration;

use buildbtw_model::api::{ProblemKind, WorkerLoad};
use buildbtw_model::client::{Backoff, Client, ClientError, ConnectionProblem};
use tokio_util::sync::CancellationToken;

use crate::outage::Outage;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// Returns the backoff between the tries of one request.
#[must_use]
pub fn backoff() -> Backoff {
    Backoff::new(FIRST_PAUSE, MAX_PAUSE)
}

/// A connection to the server that survives the server's restarts.
pub struct Connection {
    /// The client, with the program's token.
    pub client: Client,
    outage: Outage,
    disconnect: CancellationToken,
    on_denied: OnDenied,
    load: Option<ReadLoad>,
}

/// Reads how busy this machine is, for heartbeats.
pub type ReadLoad = Box<dyn Fn() -> Option<WorkerLoad> + Send + Sync>;

/// A callback for when the server rejects the token.
pub type OnDenied = Box<dyn Fn(ClientError) + Send + Sync>;

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

/// Why a request failed permanently.
#[derive(Debug)]
pub enum RequestError {
    /// The attempt has ended, or belongs to another token.
    AttemptEnded,
    /// The token is invalid or lacks the required scope.
    Denied(ClientError),
    /// The server rejected the request.
    Rejected(ClientError),
    /// The program shuts down.
    ShuttingDown,
}

/// The consequence of an error.
#[derive(Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// The same request may succeed later.
    Transient,
    /// The attempt has ended, or belongs to another token.
    AttemptEnded,
    /// The token is invalid or lacks the required scope.
    Denied,
    /// The server rejected the request.
    Rejected,
}

/// Classifies an error. Only an explicit response of the server ends an attempt: errors of proxies and unexpected
/// responses are retried, otherwise finished builds would be lost.
#[must_use]
pub fn classify(error: &ClientError) -> ErrorClass {
    match error {
        ClientError::Connection { .. } | ClientError::UnexpectedResponse { .. } => {
            ErrorClass::Transient
        }
        ClientError::Refused(problem) => match (problem.kind, problem.status) {
            (_, 408 | 429 | 500..) => ErrorClass::Transient,
            (ProblemKind::AttemptEnded | ProblemKind::NotFound, _) => ErrorClass::AttemptEnded,
            (ProblemKind::Unauthenticated | ProblemKind::Forbidden, _) | (_, 401 | 403) => {
                ErrorClass::Denied
            }
            _ => ErrorClass::Rejected,
        },
        ClientError::Status { status } => match status.as_u16() {
            401 | 403 => ErrorClass::Denied,
            413 => ErrorClass::Rejected,
            _ => ErrorClass::Transient,
        },
        ClientError::InvalidToken
        | ClientError::Incompatible { .. }
        | ClientError::InvalidServer { .. }
        | ClientError::InvalidCa { .. }
        | ClientError::Tls { .. }
        | ClientError::LocalFile { .. } => ErrorClass::Rejected,
    }
}

impl Connection {
    /// Creates a connection whose requests end when `disconnect` is cancelled. `on_denied` is called when the server
    /// rejects the token; it usually cancels `disconnect`.
    #[must_use]
    pub fn new(client: Client, disconnect: CancellationToken, on_denied: OnDenied) -> Self {
        Self {
            client,
            outage: Outage::default(),
            disconnect,
            on_denied,
            load: None,
        }
    }

    /// Has heartbeats report how busy this machine is.
    #[must_use]
    pub fn with_load(mut self, load: ReadLoad) -> Self {
        self.load = Some(load);
        self
    }

    /// Returns how busy this machine is, if that is reported.
    #[must_use]
    pub fn load(&self) -> Option<WorkerLoad> {
        self.load.as_ref()?()
    }

    /// Records that the server responded, which ends an outage.
    pub fn record_success(&self) {
        self.outage.end();
    }

    /// Returns whether the server answered the last request.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        !self.outage.is_current()
    }

    /// Records that the server rejected the token, so that reports cannot be sent any more.
    pub fn denied(&self, error: ClientError) {
        (self.on_denied)(error);
    }

    /// Returns the error of a response that did not come in time.
    pub(crate) fn timeout_error(&self) -> ClientError {
        ClientError::Connection {
            server: self.client.server().to_owned(),
            reason: "it did not respond in time".into(),
            problem: ConnectionProblem::Network,
        }
    }

    /// Retries a request with backoff until it succeeds or fails permanently.
    ///
    /// # Errors
    /// When it fails permanently or the program shuts down.
    pub async fn retry<T, F>(&self, mut request: impl FnMut() -> F) -> Result<T, RequestError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let mut backoff = backoff();
        loop {
            let response = tokio::select! {
                response = request() => response,
                () = self.disconnect.cancelled() => return Err(RequestError::ShuttingDown),
            };
            let error = match response {
                Ok(response) => {
                    self.outage.end();
                    return Ok(response);
                }
                Err(error) => error,
            };
            match classify(&error) {
                ErrorClass::Transient => self.pause(&mut backoff, &error).await?,
                ErrorClass::AttemptEnded => return Err(RequestError::AttemptEnded),
                ErrorClass::Denied => return Err(RequestError::Denied(error)),
                ErrorClass::Rejected => return Err(RequestError::Rejected(error)),
            }
        }
    }

    /// Records a failed try and waits before the next one.
    ///
    /// # Errors
    /// When the program shuts down.
    pub async fn pause(
        &self,
        backoff: &mut Backoff,
        error: &ClientError,
    ) -> Result<(), RequestError> {
        self.outage.record_failure(error);
        tokio::select! {
            () = tokio::time::sleep(backoff.next_pause()) => Ok(()),
            () = self.disconnect.cancelled() => Err(RequestError::ShuttingDown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildbtw_model::api::Problem;

    fn refused(kind: ProblemKind, status: u16) -> ClientError {
        ClientError::Refused(Problem {
            kind,
            title: "no".into(),
            status,
            detail: None,
            hint: None,
            trace_id: None,
        })
    }

    #[test]
    fn classifies_server_responses() {
        use ProblemKind as Kind;
        let cases = [
            (refused(Kind::AttemptEnded, 409), ErrorClass::AttemptEnded),
            (refused(Kind::NotFound, 404), ErrorClass::AttemptEnded),
            (refused(Kind::Unauthenticated, 401), ErrorClass::Denied),
            (refused(Kind::Forbidden, 403), ErrorClass::Denied),
            (refused(Kind::Unavailable, 503), ErrorClass::Transient),
            (refused(Kind::Internal, 500), ErrorClass::Transient),
            (refused(Kind::Unknown, 429), ErrorClass::Transient),
            (refused(Kind::UnexpectedPackage, 422), ErrorClass::Rejected),
        ];
        for (error, class) in cases {
            assert_eq!(classify(&error), class, "{error:?}");
        }
    }
}
