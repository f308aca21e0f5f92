//! What can go wrong between a client and the server.

use reqwest::{Response, StatusCode};

use crate::api::{Problem, ProblemKind};

/// An error of a request.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The configured token cannot be one.
    #[error("the token contains characters that are not allowed in a token")]
    InvalidToken,
    /// The configured address cannot be one.
    #[error("'{server}' is not a server address: {reason}")]
    InvalidServer {
        /// What was configured.
        server: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The server could not be reached, or the connection broke.
    #[error("cannot reach the server at {server}: {reason}")]
    Connection {
        /// The server's address.
        server: String,
        /// The innermost cause.
        reason: String,
    },
    /// The server refused, and said why.
    #[error("{0}")]
    Refused(Problem),
    /// The server, or something in between, answered with an error of another form.
    #[error("the server returned {status} without a reason")]
    Status {
        /// The HTTP status.
        status: StatusCode,
    },
    /// The answer is not what this version of the program expects.
    #[error("cannot parse the server's response to {url}: {source}")]
    UnexpectedResponse {
        /// The path of the request.
        url: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A file that was to be sent cannot be read.
    #[error("cannot read {path}: {source}")]
    LocalFile {
        /// The file.
        path: std::path::PathBuf,
        /// The cause.
        source: std::io::Error,
    },
}

impl ClientError {
    pub(super) fn connection(server: &str, error: &reqwest::Error) -> Self {
        // The outer messages only repeat the URL; the innermost one says what happened.
        let mut innermost: &dyn std::error::Error = error;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        Self::Connection {
            server: server.into(),
            reason: innermost.to_string(),
        }
    }

    pub(super) async fn from_response(response: Response) -> Self {
        let status = response.status();
        match response.json::<Problem>().await {
            Ok(problem) => Self::Refused(problem),
            Err(_) => Self::Status { status },
        }
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connection { .. } => true,
            Self::Refused(problem) => problem.status >= 500 || problem.status == 429,
            Self::Status { status } => status.is_server_error() || status.as_u16() == 429,
            Self::InvalidToken
            | Self::InvalidServer { .. }
            | Self::UnexpectedResponse { .. }
            | Self::LocalFile { .. } => false,
        }
    }

    /// The kind of problem the server named.
    #[must_use]
    pub fn problem_kind(&self) -> Option<ProblemKind> {
        match self {
            Self::Refused(problem) => Some(problem.kind),
            _ => None,
        }
    }

    /// What to do about it, in one line.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Refused(problem) => problem.hint.clone(),
            Self::Connection { .. } => Some(
                "check that buildbtw-server runs there, or set --server or BUILDBTW_SERVER".into(),
            ),
            Self::InvalidToken
            | Self::InvalidServer { .. }
            | Self::Status { .. }
            | Self::UnexpectedResponse { .. }
            | Self::LocalFile { .. } => None,
        }
    }
}
