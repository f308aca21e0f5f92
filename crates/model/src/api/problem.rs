//! Errors as RFC 9457 problem details.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The media type of a [`Problem`].
pub const PROBLEM_CONTENT_TYPE: &str = "application/problem+json";

/// What kind of problem it is, for programs to branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemKind {
    /// The request cannot be understood or breaks a rule.
    InvalidRequest,
    /// No token was sent, or it is unknown, expired or revoked.
    Unauthenticated,
    /// The token's scope does not allow this.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// There is no source repository of this pkgbase.
    UnknownPkgbase,
    /// The source repository has no such branch, tag or commit.
    UnknownRef,
    /// The source repository cannot be used; the detail says why.
    BrokenSource,
    /// The name is taken.
    AlreadyExists,
    /// It cannot be done in the state things are in.
    Conflict,
    /// The plan has more builds than allowed.
    PlanTooLarge,
    /// A cycle can only be built with a bootstrap build; the hint says of which package.
    BootstrapNeeded,
    /// The attempt is over, or belongs to someone else by now.
    AttemptEnded,
    /// The upload's bytes are not what was announced.
    ChecksumMismatch,
    /// The upload is not a package this build may produce.
    UnexpectedPackage,
    /// The body is larger than allowed.
    TooLarge,
    /// Slow down; the answer's `Retry-After` says for how long.
    TooManyRequests,
    /// Something the server needs is not available now; try again.
    Unavailable,
    /// A fault of the server; its log says more.
    Internal,
    /// A kind this version of the program does not know.
    #[serde(other)]
    Unknown,
}

/// The body of every error answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What kind of problem it is.
    #[serde(rename = "type")]
    pub kind: ProblemKind,
    /// One line for people.
    pub title: String,
    /// The HTTP status code.
    pub status: u16,
    /// What exactly went wrong, when there is more to say than the title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title)?;
        if let Some(detail) = &self.detail {
            write!(f, ": {detail}")?;
        }
        Ok(())
    }
}
