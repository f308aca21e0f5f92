//! The connection to the server as attempts see it: requests either succeed, or are
//! refused for good. Everything in between is waited out here.

use std::time::Duration;

use buildbtw_model::api::ProblemKind;
use buildbtw_model::client::{Backoff, Client, ClientError};
use tokio_util::sync::CancellationToken;

use crate::outage::Outage;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The pauses between the tries of one request.
#[must_use]
pub fn backoff() -> Backoff {
    Backoff::new(FIRST_PAUSE, LONGEST_PAUSE)
}

/// The server, across its restarts.
pub struct Link {
    /// The server, and the token to use there.
    pub client: Client,
    outage: Outage,
    leave: CancellationToken,
    on_denied: OnDenied,
}

/// What to do when the server takes the token no more.
pub type OnDenied = Box<dyn Fn(ClientError) + Send + Sync>;

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

/// Why a request will not succeed however often it is repeated.
#[derive(Debug)]
pub enum Refusal {
    /// The attempt is over, or someone else's.
    Ended,
    /// The token is not good (enough).
    Denied(ClientError),
    /// The server does not want this.
    Refused(ClientError),
    /// The program stops and asks no more.
    Leaving,
}

/// What an error means for the one who asked.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The same request may succeed later.
    Again,
    /// The attempt is over, or someone else's.
    Ended,
    /// The token is not good (enough).
    Denied,
    /// The server does not want this.
    Refused,
}

/// Judges an error. Only a server that says so itself can end an attempt: whatever a proxy or a
/// server of another version answers meanwhile is waited out, or finished builds would be lost.
#[must_use]
pub fn judge(error: &ClientError) -> Verdict {
    match error {
        ClientError::Connection { .. } | ClientError::UnexpectedResponse { .. } => Verdict::Again,
        ClientError::Refused(problem) => match (problem.kind, problem.status) {
            (_, 408 | 429 | 500..) => Verdict::Again,
            (ProblemKind::AttemptEnded | ProblemKind::NotFound, _) => Verdict::Ended,
            (ProblemKind::Unauthenticated | ProblemKind::Forbidden, _) | (_, 401 | 403) => {
                Verdict::Denied
            }
            _ => Verdict::Refused,
        },
        ClientError::Status { status } => match status.as_u16() {
            401 | 403 => Verdict::Denied,
            413 => Verdict::Refused,
            _ => Verdict::Again,
        },
        ClientError::InvalidToken
        | ClientError::InvalidServer { .. }
        | ClientError::LocalFile { .. } => Verdict::Refused,
    }
}

impl Link {
    /// A connection that gives everything up when `leave` fires. `on_denied` hears of each answer that
    /// the token is not good; it usually fires `leave`.
    #[must_use]
    pub fn new(client: Client, leave: CancellationToken, on_denied: OnDenied) -> Self {
        Self {
            client,
            outage: Outage::default(),
            leave,
            on_denied,
        }
    }

    /// Notes that the server answered.
    pub fn answered(&self) {
        self.outage.answered();
    }

    /// The server no longer takes the token: nothing can be reported any more.
    pub fn denied(&self, error: ClientError) {
        (self.on_denied)(error);
    }

    /// An answer that did not come in time.
    pub(crate) fn too_slow(&self) -> ClientError {
        ClientError::Connection {
            server: self.client.server().to_owned(),
            reason: "it did not answer in time".into(),
        }
    }

    /// Repeats a request until the server has answered it.
    ///
    /// # Errors
    /// When repeating it makes no sense.
    pub async fn persist<T, F>(&self, mut request: impl FnMut() -> F) -> Result<T, Refusal>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let mut backoff = backoff();
        loop {
            let answer = tokio::select! {
                answer = request() => answer,
                () = self.leave.cancelled() => return Err(Refusal::Leaving),
            };
            let error = match answer {
                Ok(answer) => {
                    self.outage.answered();
                    return Ok(answer);
                }
                Err(error) => error,
            };
            match judge(&error) {
                Verdict::Again => self.pause(&mut backoff, &error).await?,
                Verdict::Ended => return Err(Refusal::Ended),
                Verdict::Denied => return Err(Refusal::Denied(error)),
                Verdict::Refused => return Err(Refusal::Refused(error)),
            }
        }
    }

    /// Waits before the next try.
    ///
    /// # Errors
    /// When the program leaves.
    pub async fn pause(&self, backoff: &mut Backoff, error: &ClientError) -> Result<(), Refusal> {
        self.outage.failed(error);
        tokio::select! {
            () = tokio::time::sleep(backoff.next_pause()) => Ok(()),
            () = self.leave.cancelled() => Err(Refusal::Leaving),
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
        })
    }

    #[test]
    fn classifies_server_responses() {
        use ProblemKind as Kind;
        let cases = [
            (refused(Kind::AttemptEnded, 409), Verdict::Ended),
            (refused(Kind::NotFound, 404), Verdict::Ended),
            (refused(Kind::Unauthenticated, 401), Verdict::Denied),
            (refused(Kind::Forbidden, 403), Verdict::Denied),
            (refused(Kind::Unavailable, 503), Verdict::Again),
            (refused(Kind::Internal, 500), Verdict::Again),
            (refused(Kind::Unknown, 429), Verdict::Again),
            (refused(Kind::UnexpectedPackage, 422), Verdict::Refused),
        ];
        for (error, verdict) in cases {
            assert_eq!(judge(&error), verdict, "{error:?}");
        }
    }
}
