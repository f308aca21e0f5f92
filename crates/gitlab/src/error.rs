//! Why GitLab did not do what it was asked.

use std::fmt;
use std::time::Duration;

/// A request to GitLab that failed. Never holds an address or a token.
#[derive(Debug)]
pub struct GitlabError {
    /// What was asked: the name of the query or the resource.
    pub request: &'static str,
    /// The group or project that was asked about.
    pub about: String,
    /// GitLab's own number of the request, for its logs.
    pub request_id: Option<String>,
    /// What went wrong.
    pub kind: GitlabErrorKind,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum GitlabErrorKind {
    /// No connection.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// A connection that broke: GitLab may have done what was asked.
    #[error("the connection broke: {0}")]
    Interrupted(String),
    /// No answer in time.
    #[error("it did not answer in time")]
    Timeout,
    /// 401: the token is wrong, expired or revoked.
    #[error("it refuses the token: {0}. It may be revoked or expired; put a new one in its place")]
    InvalidToken(String),
    /// The token may not do this.
    #[error("the token lacks the scope {scope}: make one that has it")]
    MissingScope {
        /// What it needs.
        scope: String,
    },
    /// 403 for another reason.
    #[error("it forbids this: {0}")]
    Forbidden(String),
    /// 429.
    #[error("it asks for a pause ({status}){}", pause_text(*pause))]
    Paused {
        /// 429, 502, 503 or 504.
        status: u16,
        /// For how long, if it says so.
        pause: Option<Duration>,
    },
    /// The query costs more than GitLab allows.
    #[error("it refuses the query as too complex: {0}")]
    TooComplex(String),
    /// The answer is larger than anything expected.
    #[error("its answer is larger than {} MiB", .0 >> 20)]
    TooLarge(usize),
    /// Some of the fields that were asked for could not be answered.
    #[error("it could not answer in full: {0}")]
    Partial(String),
    /// The query was refused.
    #[error("it refuses the query: {0}")]
    Refused(String),
    /// There is no such thing, or the token may not see it.
    #[error("there is no such {0}, or the token may not see it")]
    NotFound(&'static str),
    /// Any other status.
    #[error("it answered {status}: {message}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// The beginning of the body.
        message: String,
    },
    /// The answer is not what the schema promises.
    #[error(
        "its answer is not as expected: {0}. Is it an older or newer GitLab? `just \
         update-graphql-schema` compares the schemas"
    )]
    Unexpected(String),
}

fn pause_text(pause: Option<Duration>) -> String {
    pause.map_or_else(String::new, |pause| format!(" of {} s", pause.as_secs()))
}

impl GitlabErrorKind {
    /// Whether the same request may succeed later, without anybody doing anything.
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

    /// Whether GitLab certainly has not done what was asked. A gateway's answer says nothing of what
    /// happens behind it.
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

    /// Whether it is the token that is not good, whatever is asked for.
    #[must_use]
    pub fn is_of_token(&self) -> bool {
        matches!(self, Self::InvalidToken(_) | Self::MissingScope { .. })
    }

    /// Whether everything else would fail in the same way, and not only what was asked for.
    #[must_use]
    pub fn is_general(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Paused { .. } => true,
            kind => kind.is_of_token(),
        }
    }

    /// Whether asking for less at a time may help.
    #[must_use]
    pub fn is_too_much(&self) -> bool {
        match self {
            Self::TooComplex(_) | Self::TooLarge(_) | Self::Timeout => true,
            Self::Partial(text) => text.contains("Timeout on"),
            _ => false,
        }
    }

    /// How long GitLab wants to be left alone.
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
        write!(f, "GitLab, asked for {request} of '{about}': {kind}")?;
        match request_id {
            Some(id) => write!(f, " (its request {id})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for GitlabError {}
