//! The connection to the server as the rest of the worker sees it: requests either succeed, or are
//! refused for good. Everything in between is waited out here.

use std::time::Duration;

use buildbtw_model::api::ProblemKind;
use buildbtw_model::client::{Backoff, Client, ClientError};
use tokio_util::sync::CancellationToken;

use crate::outage::Outage;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The pauses between the tries of one request.
pub(crate) fn backoff() -> Backoff {
    Backoff::new(FIRST_PAUSE, LONGEST_PAUSE)
}

/// The server, across its restarts.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) client: Client,
    pub(crate) outage: Outage,
    leave: CancellationToken,
}

/// Why a request will not succeed however often it is repeated.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The attempt is over, or someone else's.
    Ended,
    /// The token is not good (enough).
    Denied(ClientError),
    /// The server does not want this.
    Refused(ClientError),
    /// The worker stops and asks no more.
    Leaving,
}

/// What an error means for the one who asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Again,
    Ended,
    Denied,
    Refused,
}

/// Judges an error. Only a server that says so itself can end an attempt: whatever a proxy or a
/// server of another version answers meanwhile is waited out, or finished builds would be lost.
pub(crate) fn judge(error: &ClientError) -> Verdict {
    match error {
        ClientError::Connection { .. } | ClientError::UnexpectedAnswer { .. } => Verdict::Again,
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
    pub(crate) fn new(client: Client, leave: CancellationToken) -> Self {
        Self {
            client,
            outage: Outage::default(),
            leave,
        }
    }

    /// Repeats a request until the server has answered it.
    pub(crate) async fn persist<T, F>(&self, mut request: impl FnMut() -> F) -> Result<T, Refusal>
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
    pub(crate) async fn pause(
        &self,
        backoff: &mut Backoff,
        error: &ClientError,
    ) -> Result<(), Refusal> {
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
    fn only_the_server_itself_can_end_an_attempt() {
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
