//! Errors of requests to GitLab.

use std::fmt;
use std::time::Duration;

use buildbtw_model::Explanation;

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
    #[error("token rejected: {0}")]
    InvalidToken(String),
    /// The token lacks a scope.
    #[error("the token lacks the scope {scope}")]
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
    /// The object of this type (`group`, `project`…) does not exist, or the token cannot see it.
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
    #[error("unexpected response: {0}")]
    Unexpected(String),
}

fn pause_text(pause: Option<Duration>) -> String {
    pause.map_or_else(String::new, |pause| {
        format!(", retry after {} s", pause.as_secs())
    })
}

impl GitlabErrorKind {
    /// Returns what the operator of the server can do, in the imperative. Transient failures have no hint.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::InvalidToken(_) => Some(
                "write a new token into the file of --gitlab-token-file; the current one may be revoked or expired",
            ),
            Self::MissingScope { .. } => Some(
                "create a token with that scope, and write it into the file of --gitlab-token-file",
            ),
            Self::Forbidden(_) => {
                Some("give the token's user a higher role in that project or group")
            }
            Self::NotFound("group") => {
                Some("check --gitlab-group, and the role of the token's user")
            }
            Self::NotFound(_) => {
                Some("check that it still exists, and the role of the token's user")
            }
            Self::Refused(_) | Self::Unexpected(_) => Some(
                "check whether this buildbtw supports that version of GitLab: `just update-graphql-schema` \
                 compares the schemas",
            ),
            Self::Unreachable(_)
            | Self::Interrupted(_)
            | Self::Timeout
            | Self::Paused { .. }
            | Self::TooComplex(_)
            | Self::TooLarge(_)
            | Self::Partial(_)
            | Self::Status { .. } => None,
        }
    }

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

impl GitlabError {
    /// Returns the message, and what the operator of the server can do.
    #[must_use]
    pub fn explanation(&self) -> Explanation {
        Explanation {
            message: self.to_string(),
            hint: self.kind.hint().map(str::to_owned),
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

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// Returns an example of every kind. The match makes a new kind appear here.
    fn examples() -> Vec<GitlabErrorKind> {
        use GitlabErrorKind as Kind;
        let text = || "as GitLab says".to_owned();
        let paused = |pause| Kind::Paused { status: 429, pause };
        let examples = vec![
            Kind::Unreachable(text()),
            Kind::Interrupted(text()),
            Kind::Timeout,
            Kind::InvalidToken(text()),
            Kind::MissingScope {
                scope: "read_api".to_owned(),
            },
            Kind::Forbidden(text()),
            paused(None),
            paused(Some(Duration::from_secs(60))),
            Kind::TooComplex(text()),
            Kind::TooLarge(64 << 20),
            Kind::Partial(text()),
            Kind::Refused(text()),
            Kind::NotFound("group"),
            Kind::NotFound("project"),
            Kind::Status {
                status: 400,
                message: text(),
            },
            Kind::Unexpected(text()),
        ];
        for kind in &examples {
            match kind {
                Kind::Unreachable(_)
                | Kind::Interrupted(_)
                | Kind::Timeout
                | Kind::InvalidToken(_)
                | Kind::MissingScope { .. }
                | Kind::Forbidden(_)
                | Kind::Paused { .. }
                | Kind::TooComplex(_)
                | Kind::TooLarge(_)
                | Kind::Partial(_)
                | Kind::Refused(_)
                | Kind::NotFound(_)
                | Kind::Status { .. }
                | Kind::Unexpected(_) => {}
            }
        }
        examples
    }

    #[test]
    fn errors_match_snapshot() {
        let mut text = String::new();
        for (number, kind) in examples().into_iter().enumerate() {
            let error = GitlabError {
                request: "project",
                about: "packages/libgreet".to_owned(),
                // Every second one, to show both forms.
                request_id: (number % 2 == 1).then(|| "01H".to_owned()),
                kind,
            };
            let _ = writeln!(text, "{}\n", error.explanation());
        }
        insta::assert_snapshot!(text);
    }
}
