//! Errors of requests to GitLab.

use std::fmt;
use std::time::Duration;

/// A failed request to GitLab. It never contains a URL or a token.
#[derive(Debug)]
pub struct GitlabError {
    /// The name of the GraphQL operation, or a phrase like `create pipeline`.
    pub request: &'static str,
    /// The group or project that the request is about.
    pub about: String,
    /// GitLab's ID of the request, by which its logs name it.
    pub request_id: Option<String>,
    /// What went wrong.
    pub kind: GitlabErrorKind,
}

/// The reason for which a request failed.
#[derive(Debug, thiserror::Error)]
pub enum GitlabErrorKind {
    /// No connection.
    #[error("cannot connect: {0}")]
    Unreachable(String),
    /// The connection was lost: GitLab may have processed the request.
    #[error("connection lost: {0}")]
    Interrupted(String),
    /// No response in time.
    #[error("timed out waiting for a response")]
    Timeout,
    /// 401: the token is wrong, expired or revoked.
    #[error("token rejected: {0}; it may be revoked or expired, replace it in the token file")]
    InvalidToken(String),
    /// The token lacks a scope.
    #[error("the token lacks the scope {scope}; create one that has it")]
    MissingScope {
        /// The scope.
        scope: String,
    },
    /// 403 for another reason.
    #[error("forbidden: {0}")]
    Forbidden(String),
    /// The rate limit is reached, or GitLab is overloaded or restarting.
    #[error("temporarily unavailable (status {status}{})", pause_text(*pause))]
    Paused {
        /// 429, 502, 503 or 504.
        status: u16,
        /// The requested pause, if there is one.
        pause: Option<Duration>,
    },
    /// The query costs more than GitLab allows.
    #[error("query too complex: {0}")]
    TooComplex(String),
    /// The response is larger than any expected one.
    #[error("response larger than {} MiB", .0 >> 20)]
    TooLarge(usize),
    /// GitLab could not resolve some of the requested fields.
    #[error("incomplete response: {0}")]
    Partial(String),
    /// GitLab rejected the query.
    #[error("query rejected: {0}")]
    Refused(String),
    /// The object does not exist, or the token cannot see it.
    #[error("no such {0}, or the token cannot see it")]
    NotFound(&'static str),
    /// Any other status.
    #[error("status {status}: {message}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// The beginning of the body.
        message: String,
    },
    /// The response does not match the schema.
    #[error(
        "unexpected response: {0}; the version of GitLab might not be supported, `just \
         update-graphql-schema` compares the schemas"
    )]
    Unexpected(String),
}

fn pause_text(pause: Option<Duration>) -> String {
    pause.map_or_else(String::new, |pause| {
        format!(", retry after {} s", pause.as_secs())
    })
}

impl GitlabErrorKind {
    /// Returns whether a retry of the same request may succeed without intervention.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_)
                | Self::Interrupted(_)
                | Self::Timeout
                | Self::Paused { .. }
                | Self::Partial(_)
        ) || matches!(self, Self::Status { status, .. } if *status >= 500)
    }

    /// Returns whether GitLab certainly did not process the request. The response of a gateway does not show what the
    /// server behind it did.
    #[must_use]
    pub fn had_no_effect(&self) -> bool {
        match self {
            Self::Unreachable(_)
            | Self::InvalidToken(_)
            | Self::MissingScope { .. }
            | Self::Forbidden(_)
            | Self::TooComplex(_)
            | Self::Refused(_)
            | Self::NotFound(_) => true,
            Self::Paused { status, .. } | Self::Status { status, .. } => *status < 500,
            Self::Interrupted(_)
            | Self::Timeout
            | Self::TooLarge(_)
            | Self::Partial(_)
            | Self::Unexpected(_) => false,
        }
    }

    /// Returns whether the token is invalid or lacks a scope, so that other requests would fail too.
    #[must_use]
    pub fn is_of_token(&self) -> bool {
        matches!(self, Self::InvalidToken(_) | Self::MissingScope { .. })
    }

    /// Returns whether all other requests would fail in the same way.
    #[must_use]
    pub fn affects_all_requests(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Paused { .. } => true,
            kind => kind.is_of_token(),
        }
    }

    /// Returns whether a request for fewer items may succeed.
    #[must_use]
    pub fn may_succeed_if_smaller(&self) -> bool {
        match self {
            Self::TooComplex(_) | Self::TooLarge(_) | Self::Timeout => true,
            Self::Partial(text) => text.contains("Timeout on"),
            _ => false,
        }
    }

    /// Returns the pause that GitLab requested.
    #[must_use]
    pub fn pause(&self) -> Option<Duration> {
        match self {
            Self::Paused { pause, .. } => *pause,
            _ => None,
        }
    }
}

impl fmt::Display for GitlabError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            request,
            about,
            request_id,
            kind,
        } = self;
        write!(f, "GitLab request `{request}` for `{about}` failed: {kind}")?;
        match request_id {
            Some(id) => write!(f, " (GitLab's request ID {id})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for GitlabError {}
