//! What can go wrong in the client, and what to do about it.

use std::fmt;
use std::io;

use buildbtw_model::api::ProblemKind;
use buildbtw_model::client::ClientError;

/// The exit code of every error.
pub const EXIT_ERROR: u8 = 3;

/// Why a command could not do its work.
#[derive(Debug)]
pub enum Error {
    /// The server, or the way to it.
    Server {
        /// The error.
        error: Box<ClientError>,
        /// Whether a token was sent along.
        had_token: bool,
    },
    /// Something on this side.
    Local {
        /// What happened.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// Whoever read the output is gone; nobody is left to tell.
    OutputClosed,
}

/// What commands return.
pub(crate) type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error without a hint.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self::Local {
            message: message.into(),
            hint: None,
        }
    }

    /// An error and what to do about it.
    pub(crate) fn with_hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Local {
            message: message.into(),
            hint: Some(hint.into()),
        }
    }

    /// What the program exits with. Whoever has read enough of the output, as `head` does, made no
    /// error happen.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::OutputClosed => 0,
            Self::Server { .. } | Self::Local { .. } => EXIT_ERROR,
        }
    }

    /// What to do about it, in one line.
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
            Some("no token: run `buildbtw login`, or set BUILDBTW_TOKEN")
        }
        Some(ProblemKind::Unauthenticated) => Some(
            "run `buildbtw login` with another one; an admin makes them with `buildbtw token create`",
        ),
        Some(ProblemKind::Forbidden) => {
            Some("this needs a token of another scope; see `buildbtw help token create`")
        }
        _ => None,
    };
    own.map(str::to_owned).or_else(|| error.hint()).or_else(|| {
        let fallback = match error {
            ClientError::Refused(problem) => problem_hint(problem.kind)?,
            ClientError::Status { .. } | ClientError::UnexpectedResponse { .. } => {
                "is this the address of a buildbtw-server, of the same version as this program?"
            }
            _ => return None,
        };
        Some(fallback.to_owned())
    })
}

/// For when the server gives no hint of its own.
fn problem_hint(kind: ProblemKind) -> Option<&'static str> {
    match kind {
        ProblemKind::UnknownPkgbase => Some("`buildbtw sources` lists what the server knows"),
        ProblemKind::UnknownRef => Some("was the branch or tag pushed?"),
        ProblemKind::BrokenSource => Some("`buildbtw sources --broken` says more"),
        ProblemKind::AlreadyExists => Some("choose another name with --name"),
        ProblemKind::PlanTooLarge => {
            Some("allow more with --max-builds, or rebuild less with --scope")
        }
        ProblemKind::BootstrapNeeded => {
            Some("build one package of the cycle first without the others: --bootstrap PKGBASE")
        }
        ProblemKind::Internal => Some("the server's log says more"),
        ProblemKind::Unavailable => Some("try again in a moment"),
        ProblemKind::NotFound
        | ProblemKind::InvalidRequest
        | ProblemKind::Unauthenticated
        | ProblemKind::Forbidden
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
            Self::OutputClosed => f.write_str("the output was closed"),
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
            })),
            had_token,
        }
    }

    #[test]
    fn chooses_hint_by_problem_kind() {
        let hint = |error: Error| error.hint().unwrap_or_default();
        let none = refused(ProblemKind::Unauthenticated, Some("from the server"), false);
        assert!(hint(none).starts_with("no token: run `buildbtw login`"));
        let old = refused(ProblemKind::Unauthenticated, None, true);
        assert!(hint(old).contains("another one"));
        let own = refused(ProblemKind::AlreadyExists, Some("from the server"), true);
        assert_eq!(hint(own), "from the server");
        let fallback = refused(ProblemKind::AlreadyExists, None, true);
        assert!(hint(fallback).contains("--name"));
    }
}
