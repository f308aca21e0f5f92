//! The error type of the client, and the hint of each error.

use std::fmt;
use std::io;

use buildbtw_model::api::ProblemKind;
use buildbtw_model::client::ClientError;

/// The exit code of every error.
pub const EXIT_ERROR: u8 = 3;

/// Why a command failed.
#[derive(Debug)]
pub enum Error {
    /// A request to the server failed.
    Server {
        /// The error.
        error: Box<ClientError>,
        /// Whether the request had a token.
        had_token: bool,
    },
    /// Something failed on this machine.
    Local {
        /// What failed, and why.
        message: String,
        /// What the user can do next.
        hint: Option<String>,
    },
    /// The reader closed standard output, as `head` does.
    OutputClosed,
}

/// The result of commands.
pub(crate) type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Creates an error without a hint.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self::Local {
            message: message.into(),
            hint: None,
        }
    }

    /// Creates an error with a hint.
    pub(crate) fn with_hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Local {
            message: message.into(),
            hint: Some(hint.into()),
        }
    }

    /// Returns the kind of problem, if the server refused a request.
    pub(crate) fn problem_kind(&self) -> Option<ProblemKind> {
        match self {
            Self::Server { error, .. } => error.problem_kind(),
            Self::Local { .. } | Self::OutputClosed => None,
        }
    }

    /// Returns the exit code: success if the reader closed standard output, which is not a failure.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::OutputClosed => 0,
            Self::Server { .. } | Self::Local { .. } => EXIT_ERROR,
        }
    }

    /// Returns what the user can do next, in one line.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Server { error, had_token } => server_hint(error, *had_token),
            Self::Local { hint, .. } => hint.clone(),
            Self::OutputClosed => None,
        }
    }
}

fn server_hint(error: &ClientError, had_token: bool) -> Option<String> {
    let own = match error.problem_kind() {
        Some(ProblemKind::Unauthenticated) if !had_token => {
            Some("run `buildbtw login`, or set BUILDBTW_TOKEN")
        }
        Some(ProblemKind::Unauthenticated) => Some(
            "run `buildbtw login` with a valid token; an admin creates one with `buildbtw token create`",
        ),
        _ => None,
    };
    own.map(str::to_owned).or_else(|| error.hint()).or_else(|| {
        let fallback = match error {
            ClientError::Refused(problem) => problem_hint(problem.kind)?,
            ClientError::Status { .. } | ClientError::UnexpectedResponse { .. } => {
                "check that the URL is that of a buildbtw-server with the version of this program"
            }
            _ => return None,
        };
        Some(fallback.to_owned())
    })
}

/// Returns the hint for a problem to which the server gave none.
fn problem_hint(kind: ProblemKind) -> Option<&'static str> {
    match kind {
        ProblemKind::UnknownPkgbase => Some("`buildbtw sources` lists the source repositories"),
        ProblemKind::UnknownRef => Some("check that the branch or tag was pushed"),
        ProblemKind::BrokenSource => Some("`buildbtw sources --broken` shows the reason"),
        ProblemKind::AlreadyExists => Some("choose another name with --name"),
        ProblemKind::PlanTooLarge => {
            Some("raise --max-builds, or rebuild less with --scope or --exclude")
        }
        ProblemKind::BootstrapNeeded => {
            Some("choose a package of the cycle with --bootstrap PKGBASE")
        }
        ProblemKind::Forbidden => {
            Some("use a token with another scope; `buildbtw help token create` lists the scopes")
        }
        ProblemKind::Internal => Some("the log of the server has the details"),
        ProblemKind::Unavailable => Some("try again in a moment"),
        ProblemKind::NotFound
        | ProblemKind::InvalidRequest
        | ProblemKind::UnsupportedVersion
        | ProblemKind::UnknownArchitecture
        | ProblemKind::Unauthenticated
        | ProblemKind::Conflict
        | ProblemKind::AttemptEnded
        | ProblemKind::ChecksumMismatch
        | ProblemKind::UnexpectedPackage
        | ProblemKind::TooLarge
        | ProblemKind::TooManyRequests
        | ProblemKind::Unknown => None,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server { error, .. } => error.fmt(f),
            Self::Local { message, .. } => f.write_str(message),
            Self::OutputClosed => f.write_str("standard output was closed"),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::new(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildbtw_model::api::Problem;

    fn refused(kind: ProblemKind, hint: Option<&str>, had_token: bool) -> Error {
        Error::Server {
            error: Box::new(ClientError::Refused(Problem {
                kind,
                title: "no".into(),
                status: 401,
                detail: None,
                hint: hint.map(str::to_owned),
                trace_id: None,
            })),
            had_token,
        }
    }

    #[test]
    fn chooses_hint_by_problem_kind() {
        let hint = |error: Error| error.hint().unwrap_or_default();
        let none = refused(ProblemKind::Unauthenticated, Some("from the server"), false);
        assert!(hint(none).starts_with("run `buildbtw login`, or"));
        let old = refused(ProblemKind::Unauthenticated, None, true);
        assert!(hint(old).contains("with a valid token"));
        let own = refused(ProblemKind::AlreadyExists, Some("from the server"), true);
        assert_eq!(hint(own), "from the server");
        let fallback = refused(ProblemKind::AlreadyExists, None, true);
        assert!(hint(fallback).contains("--name"));
    }

    #[test]
    fn hints_match_snapshot() {
        let hints = ProblemKind::ALL.iter().flat_map(|kind| {
            [false, true].map(|had_token| {
                let hint = refused(*kind, None, had_token).hint();
                let token = if had_token { "with" } else { "without" };
                let hint = hint.as_deref().unwrap_or("-").to_owned();
                format!("{kind} {token} a token: {hint}")
            })
        });
        insta::assert_snapshot!(hints.collect::<Vec<_>>().join("\n"));
    }
}
