//! Errors of the API client.

use reqwest::{Response, StatusCode};

use crate::api::{Problem, ProblemKind};
use crate::{API_VERSION_HEADER, ApiVersions, Explanation, hide_user_info, innermost};

/// The error of a request.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The configured token is malformed.
    #[error("the token contains characters that are not allowed in a token")]
    InvalidToken,
    /// The configured address is malformed.
    #[error("`{}` is not a server URL: {reason}", hide_user_info(.server))]
    InvalidServer {
        /// The configured address.
        server: String,
        /// The reason.
        reason: String,
    },
    /// The configured certificate authorities cannot be used.
    #[error("cannot use the certificate authorities in `{}`: {reason}", .path.display())]
    InvalidCa {
        /// The configured file.
        path: std::path::PathBuf,
        /// The reason.
        reason: String,
    },
    /// The server could not be reached, or the connection broke.
    #[error("cannot reach the server at {}: {reason}", hide_user_info(.server))]
    Connection {
        /// The server's address.
        server: String,
        /// The innermost cause.
        reason: String,
        /// What has to change.
        problem: ConnectionProblem,
    },
    /// TLS cannot be set up on this machine.
    #[error("cannot set up TLS: {reason}")]
    Tls {
        /// The reason.
        reason: String,
    },
    /// The server rejected the request with a reason.
    #[error("{0}")]
    Refused(Problem),
    /// The server has no version of the API in common with this program.
    #[error("{}", mismatch(.server))]
    Incompatible {
        /// The versions of the server.
        server: ApiVersions,
    },
    /// The server, or a proxy, responded with an error that is not a [`Problem`].
    #[error("the server returned {status} without a reason")]
    Status {
        /// The HTTP status.
        status: StatusCode,
    },
    /// The response does not have the expected format.
    #[error("cannot parse the server's response to {url}: {source}")]
    UnexpectedResponse {
        /// The path of the request.
        url: String,
        /// The reason.
        source: serde_json::Error,
    },
    /// A local file to be uploaded cannot be read.
    #[error("cannot read {path}: {source}")]
    LocalFile {
        /// The file.
        path: std::path::PathBuf,
        /// The cause.
        source: std::io::Error,
    },
}

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionProblem {
    /// The network, or the program at the other end.
    Network,
    /// No trusted authority signed the server's certificate.
    UnknownAuthority,
    /// The server's certificate is of another host, has expired, or is invalid.
    Certificate,
}

impl ConnectionProblem {
    /// Returns the problem, and what to say instead of the cause.
    fn of(error: &(dyn std::error::Error + 'static)) -> (Self, Option<&'static str>) {
        // I/O errors hide the errors that they were made of, and may be made of each other.
        let mut tls = error;
        while let Some(inner) = tls.downcast_ref().and_then(std::io::Error::get_ref) {
            tls = inner;
        }
        match tls.downcast_ref() {
            Some(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer)) => (
                Self::UnknownAuthority,
                Some("an unknown authority signed its certificate"),
            ),
            Some(rustls::Error::InvalidCertificate(_)) => (Self::Certificate, None),
            _ => (Self::Network, None),
        }
    }

    fn hint(self) -> &'static str {
        match self {
            Self::Network => {
                "check that buildbtw-server runs there, or name another one: --server, BUILDBTW_SERVER, or `server` in \
                 the configuration file"
            }
            Self::UnknownAuthority => {
                "name the PEM file of that authority: --ca, BUILDBTW_CA, or `ca` in the configuration file"
            }
            Self::Certificate => {
                "check the host names and the period in the server's certificate, and the clock of this machine"
            }
        }
    }
}

impl ClientError {
    pub(super) fn connection(server: &str, error: &reqwest::Error) -> Self {
        let innermost = innermost(error);
        let (problem, reason) = ConnectionProblem::of(innermost);
        Self::Connection {
            server: server.into(),
            reason: reason.map_or_else(|| innermost.to_string(), str::to_owned),
            problem,
        }
    }

    pub(super) async fn from_response(response: Response) -> Self {
        let status = response.status();
        let header = response.headers().get(API_VERSION_HEADER);
        let header_is_missing = header.is_none();
        let server = header.and_then(|value| value.to_str().ok()?.parse::<ApiVersions>().ok());
        if let Some(server) = server.filter(|server| !server.is_compatible(ApiVersions::OF_CLIENT))
        {
            return Self::Incompatible { server };
        }
        match response.json::<Problem>().await {
            Ok(problem) if header_is_missing && is_of_older_server(&problem) => {
                Self::Incompatible {
                    server: ApiVersions::BEFORE_NEGOTIATION,
                }
            }
            Ok(problem) => Self::Refused(problem),
            Err(_) => Self::Status { status },
        }
    }

    /// Returns whether the same request may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connection { .. } => true,
            Self::Refused(problem) => problem.status >= 500 || problem.status == 429,
            Self::Status { status } => status.is_server_error() || status.as_u16() == 429,
            Self::InvalidToken
            | Self::Incompatible { .. }
            | Self::InvalidServer { .. }
            | Self::InvalidCa { .. }
            | Self::Tls { .. }
            | Self::UnexpectedResponse { .. }
            | Self::LocalFile { .. } => false,
        }
    }

    /// Returns the kind of problem that the server reported.
    #[must_use]
    pub fn problem_kind(&self) -> Option<ProblemKind> {
        match self {
            Self::Refused(problem) => Some(problem.kind),
            _ => None,
        }
    }

    /// Returns what failed and what to do next.
    #[must_use]
    pub fn explanation(&self) -> Explanation {
        Explanation {
            message: self.to_string(),
            hint: self.hint(),
        }
    }

    /// Returns what to do next, in one line.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Refused(problem) => problem.hint.clone(),
            Self::Connection { problem, .. } => Some(problem.hint().into()),
            Self::InvalidCa { .. } => Some(
                "let --ca, BUILDBTW_CA, or `ca` in the configuration file name a PEM file, with lines like \
                 `-----BEGIN CERTIFICATE-----`"
                    .into(),
            ),
            Self::Incompatible { server } => {
                Some(ApiVersions::remedy(ApiVersions::OF_CLIENT, *server).into())
            }
            Self::Tls { .. } => {
                Some("install the certificate authorities of the machine: ca-certificates".into())
            }
            Self::InvalidToken
            | Self::InvalidServer { .. }
            | Self::Status { .. }
            | Self::UnexpectedResponse { .. }
            | Self::LocalFile { .. } => None,
        }
    }
}

/// Returns which of the two programs is too old.
fn mismatch(server: &ApiVersions) -> String {
    ApiVersions::mismatch(ApiVersions::OF_CLIENT, *server)
}

/// Returns whether a problem shows that a server that says nothing of versions lacks a route or a field.
fn is_of_older_server(problem: &Problem) -> bool {
    let detail = problem.detail.as_deref().unwrap_or_default();
    match problem.status {
        404 => problem.title.starts_with("`/api/"),
        405 => true,
        400 => detail.contains("unknown field"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(status: u16, title: &str, detail: Option<&str>) -> Problem {
        Problem {
            kind: ProblemKind::NotFound,
            title: title.into(),
            status,
            detail: detail.map(str::to_owned),
            hint: None,
            trace_id: None,
        }
    }

    #[test]
    fn recognizes_older_servers_by_missing_routes_and_fields() {
        for (problem, expected) in [
            (problem(404, "`/api/v1/workers` not found", None), true),
            (problem(404, "namespace `x` not found", None), false),
            (problem(405, "method PATCH is not allowed", None), true),
            (
                problem(
                    400,
                    "the request body is invalid",
                    Some("unknown field `machine`"),
                ),
                true,
            ),
            (problem(400, "`x` is listed twice", None), false),
        ] {
            assert_eq!(is_of_older_server(&problem), expected, "{problem:?}");
        }
    }

    /// Returns the error of a connection to a server with an unusable certificate.
    fn certificate(error: rustls::CertificateError) -> ClientError {
        let error = std::io::Error::other(rustls::Error::InvalidCertificate(error));
        // As the connection of an HTTP client returns it.
        let error = std::io::Error::other(error);
        let (problem, reason) = ConnectionProblem::of(&error);
        ClientError::Connection {
            server: "https://x".to_owned(),
            reason: reason.map_or_else(|| error.to_string(), str::to_owned),
            problem,
        }
    }

    #[test]
    fn errors_match_snapshot() {
        let server = || "http://127.0.0.1:8080".to_owned();
        let path = || std::path::PathBuf::from("ca.pem");
        let errors = [
            ClientError::InvalidToken,
            ClientError::InvalidServer {
                server: "localhost".to_owned(),
                reason: "relative URL without a base".to_owned(),
            },
            ClientError::InvalidCa {
                path: path(),
                reason: "it contains no certificate".to_owned(),
            },
            ClientError::Connection {
                server: server(),
                reason: "Connection refused (os error 111)".to_owned(),
                problem: ConnectionProblem::Network,
            },
            certificate(rustls::CertificateError::UnknownIssuer),
            certificate(rustls::CertificateError::Expired),
            ClientError::Tls {
                reason: "no native certificates".to_owned(),
            },
            ClientError::Refused(Problem {
                kind: ProblemKind::Conflict,
                title: "`set` is cancelled".to_owned(),
                status: 409,
                detail: Some("since yesterday".to_owned()),
                hint: Some("run `buildbtw resume set` first".to_owned()),
                trace_id: None,
            }),
            ClientError::Status {
                status: StatusCode::BAD_GATEWAY,
            },
            ClientError::UnexpectedResponse {
                url: server(),
                source: serde_json::from_str::<u8>("<").unwrap_err(),
            },
            ClientError::LocalFile {
                path: path(),
                source: std::io::Error::from(std::io::ErrorKind::NotFound),
            },
        ];
        for error in &errors {
            match error {
                ClientError::InvalidToken
                | ClientError::InvalidServer { .. }
                | ClientError::InvalidCa { .. }
                | ClientError::Connection { .. }
                | ClientError::Tls { .. }
                | ClientError::Refused(_)
                | ClientError::Status { .. }
                | ClientError::UnexpectedResponse { .. }
                | ClientError::LocalFile { .. }
                | ClientError::Incompatible { .. } => {}
            }
        }
        let text = errors.map(|error| error.explanation().to_string());
        insta::assert_snapshot!(text.join("\n\n"));
    }
}
