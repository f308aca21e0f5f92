//! The error type of services and handlers. Errors of the caller are explained in full; internal errors are
//! logged once and never sent.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use buildbtw_model::api::{PROBLEM_CONTENT_TYPE, Problem, ProblemKind};

use crate::request_trace;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request was refused; the caller gets the reason.
    #[error("{}", .0.title)]
    Refused(Refusal),
    /// A fault of the server or its machine; the caller gets no details.
    #[error("{0:#}")]
    Internal(anyhow::Error),
}

/// A refusal for the caller.
#[derive(Clone, Debug)]
pub struct Refusal {
    kind: ProblemKind,
    title: String,
    detail: Option<String>,
    hint: Option<String>,
    retry_after: Option<Duration>,
    status: Option<StatusCode>,
}

impl Refusal {
    /// Creates a refusal with a one-line title.
    pub fn new(kind: ProblemKind, title: impl Into<String>) -> Self {
        Self {
            kind,
            title: title.into(),
            detail: None,
            hint: None,
            retry_after: None,
            status: None,
        }
    }

    /// Returns the kind of the refusal.
    #[must_use]
    pub fn kind(&self) -> ProblemKind {
        self.kind
    }

    /// Overrides the status of the kind.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    /// Sets `Retry-After`.
    #[must_use]
    pub fn retry_after(mut self, pause: Duration) -> Self {
        self.retry_after = Some(pause);
        self
    }

    /// Sets the detail: what exactly is wrong.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Sets the hint: what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Converts the refusal to the body of a response.
    #[must_use]
    pub fn into_problem(self) -> Problem {
        let status = self.status.unwrap_or_else(|| status_of(self.kind));
        let trace_id = request_trace::current().filter(|_| status.is_server_error());
        Problem {
            kind: self.kind,
            status: status.as_u16(),
            title: self.title,
            detail: self.detail,
            hint: self.hint,
            trace_id,
        }
    }
}

fn status_of(kind: ProblemKind) -> StatusCode {
    match kind {
        ProblemKind::InvalidRequest | ProblemKind::UnsupportedVersion => StatusCode::BAD_REQUEST,
        ProblemKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ProblemKind::Forbidden => StatusCode::FORBIDDEN,
        ProblemKind::NotFound => StatusCode::NOT_FOUND,
        ProblemKind::UnknownPkgbase
        | ProblemKind::UnknownRef
        | ProblemKind::BrokenSource
        | ProblemKind::PlanTooLarge
        | ProblemKind::BootstrapNeeded
        | ProblemKind::UnknownArchitecture
        | ProblemKind::ChecksumMismatch
        | ProblemKind::UnexpectedPackage => StatusCode::UNPROCESSABLE_ENTITY,
        ProblemKind::AlreadyExists | ProblemKind::AttemptEnded | ProblemKind::Conflict => {
            StatusCode::CONFLICT
        }
        ProblemKind::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        ProblemKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ProblemKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ProblemKind::Internal | ProblemKind::Unknown => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl Error {
    /// Creates a refusal with a one-line title.
    pub fn refused(kind: ProblemKind, title: impl Into<String>) -> Self {
        Self::Refused(Refusal::new(kind, title))
    }

    /// Returns whether a retry may succeed without intervention.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Internal(_) => true,
            Self::Refused(refusal) => matches!(
                refusal.kind,
                ProblemKind::Unavailable | ProblemKind::TooManyRequests
            ),
        }
    }

    /// Returns whether a source repository has to be fixed first.
    #[must_use]
    pub fn is_broken_source(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.kind == ProblemKind::BrokenSource)
    }

    /// Creates a refusal for something that does not exist: `what` and "not found".
    pub fn not_found(what: impl std::fmt::Display) -> Self {
        Self::refused(ProblemKind::NotFound, format!("{what} not found"))
    }

    /// Sets the hint of a refusal: what to do about it.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        match self {
            Self::Refused(refusal) => Self::Refused(refusal.hint(hint)),
            Self::Internal(error) => Self::Internal(error),
        }
    }

    /// Converts the error to the body of a response; logs internal errors.
    #[must_use]
    pub fn into_problem(self) -> Problem {
        self.into_refusal().into_problem()
    }

    /// Converts the error to what the caller gets; logs internal errors.
    #[must_use]
    pub fn into_refusal(self) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal,
            Self::Internal(error) if is_busy(&error) => {
                tracing::warn!(error = format!("{error:#}"), "the database is busy");
                Refusal::new(ProblemKind::Unavailable, "the server's database is busy")
                    .hint("nothing was changed; try again later")
            }
            Self::Internal(error) if is_full(&error) => {
                tracing::error!(error = format!("{error:#}"), "the disk is full");
                Refusal::new(ProblemKind::Unavailable, "the server's disk is full")
                    .hint("nothing is lost; the server resumes when there is free space")
            }
            Self::Internal(error) => {
                tracing::error!(error = format!("{error:#}"), "internal error");
                let hint = match request_trace::current() {
                    Some(trace) => format!("the server's log has the cause, with trace_id {trace}"),
                    None => "the server's log has the cause".to_owned(),
                };
                Refusal::new(ProblemKind::Internal, "internal server error").hint(hint)
            }
        }
    }
}

/// SQLITE_BUSY, SQLITE_LOCKED, and SQLITE_PROTOCOL, which a lock on the index of the write-ahead log ends
/// in (SQLite, rescode).
pub(crate) const BUSY: [i64; 3] = [5, 6, 15];
/// SQLITE_FULL (SQLite, rescode).
pub(crate) const FULL: i64 = 13;

/// Returns whether the database was locked, or all connections were in use, for longer than the timeout.
fn is_busy(error: &anyhow::Error) -> bool {
    use std::io::{Error, ErrorKind};
    error.chain().any(|cause| {
        let shared = cause.downcast_ref::<Error>();
        let own = cause.downcast_ref::<sqlx::Error>();
        let is_busy = |error: &sqlx::Error| {
            let code = database_code(error);
            matches!(error, sqlx::Error::PoolTimedOut)
                || code.is_some_and(|code| BUSY.contains(&code))
        };
        own.is_some_and(is_busy)
            || shared.is_some_and(|error| error.kind() == ErrorKind::ResourceBusy)
    })
}

/// Returns whether the disk or the quota is full.
fn is_full(error: &anyhow::Error) -> bool {
    use std::io::{Error, ErrorKind};
    let full = |kind| matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
    error.chain().any(|cause| {
        let disk = cause.downcast_ref::<Error>();
        let database = cause.downcast_ref::<sqlx::Error>();
        disk.is_some_and(|error| full(error.kind()))
            || database.and_then(database_code) == Some(FULL)
    })
}

/// Returns SQLite's primary result code of an error (SQLite, rescode, "extended result codes").
pub(crate) fn database_code(error: &sqlx::Error) -> Option<i64> {
    let code: i64 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Converts errors of libraries to internal errors.
macro_rules! internal {
    ($($error:ty),+) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::Internal(error.into())
            }
        }
    )+};
}

internal!(
    anyhow::Error,
    sqlx::Error,
    std::io::Error,
    serde_json::Error,
    tokio::task::JoinError
);

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let pause = match &self {
            Self::Refused(refusal) => refusal.retry_after,
            Self::Internal(error) if is_busy(error) => Some(PAUSE_WHEN_BUSY),
            Self::Internal(error) => is_full(error).then_some(PAUSE_WHEN_FULL),
        };
        let mut response = problem_response(self.into_problem());
        if let Some(pause) = pause {
            let seconds = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// `Retry-After` while the database is busy.
const PAUSE_WHEN_BUSY: Duration = Duration::from_secs(5);
/// `Retry-After` while the disk is full.
const PAUSE_WHEN_FULL: Duration = Duration::from_secs(10);

/// Returns the response for a problem.
#[must_use]
pub fn problem_response(problem: Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(problem)).into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(PROBLEM_CONTENT_TYPE),
    );
    if status == StatusCode::UNAUTHORIZED {
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

#[cfg(test)]
mod tests {
    use sqlx::sqlite::SqliteConnectOptions;
    use sqlx::{ConnectOptions as _, Executor as _};

    use super::*;

    #[tokio::test]
    async fn returns_503_while_database_is_locked() {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join("database"))
            .create_if_missing(true)
            .busy_timeout(Duration::ZERO);
        let mut holder = options.connect().await.unwrap();
        holder
            .execute("create table t (x); begin exclusive")
            .await
            .unwrap();
        let mut other = options.connect().await.unwrap();
        let error = other.execute("insert into t values (1)").await.unwrap_err();
        expect_unavailable(error);
    }

    fn expect_unavailable(error: impl Into<Error>) {
        let response = error.into().into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "5");
    }

    /// An SQLite error, without waiting for SQLite's timeout.
    #[derive(Debug, thiserror::Error)]
    #[error("code {0}")]
    struct Code(i64);

    impl sqlx::error::DatabaseError for Code {
        fn message(&self) -> &str {
            "from a test"
        }

        fn code(&self) -> Option<std::borrow::Cow<'_, str>> {
            Some(self.0.to_string().into())
        }

        fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
            self
        }

        fn kind(&self) -> sqlx::error::ErrorKind {
            sqlx::error::ErrorKind::Other
        }
    }

    #[test]
    fn returns_503_for_every_kind_of_lock() {
        /// SQLITE_BUSY_SNAPSHOT and SQLITE_LOCKED_SHAREDCACHE.
        const EXTENDED: [i64; 2] = [517, 262];
        for code in BUSY.into_iter().chain(EXTENDED) {
            expect_unavailable(sqlx::Error::Database(Box::new(Code(code))));
        }
        expect_unavailable(sqlx::Error::PoolTimedOut);
        expect_unavailable(anyhow::Error::from(sqlx::Error::PoolTimedOut).context("asked"));
        let shared = std::io::Error::from(std::io::ErrorKind::ResourceBusy);
        expect_unavailable(sqlx::Error::Io(shared));
        let other = Error::from(sqlx::Error::Database(Box::new(Code(1))));
        assert_eq!(other.into_response().status(), 500);
    }
}
