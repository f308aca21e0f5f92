//! Errors as RFC 9457 problem details.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The media type of a [`Problem`].
pub const PROBLEM_CONTENT_TYPE: &str = "application/problem+json";

/// The kind of a problem, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ProblemKind {
    /// The request is malformed or violates a rule.
    InvalidRequest,
    /// No token was sent, or it is unknown, expired or revoked.
    Unauthenticated,
    /// The token's scope does not allow this.
    Forbidden,
    /// The resource does not exist.
    NotFound,
    /// No source repository has this pkgbase.
    UnknownPkgbase,
    /// The source repository does not have this branch, tag or commit.
    UnknownRef,
    /// The source repository cannot be used; the detail says why.
    BrokenSource,
    /// The name is already in use.
    AlreadyExists,
    /// The current state of the resource does not allow this.
    Conflict,
    /// The plan has more builds than allowed.
    PlanTooLarge,
    /// A cycle can only be built with a bootstrap build; the hint names the packages.
    BootstrapNeeded,
    /// The attempt has ended, or belongs to another builder now.
    AttemptEnded,
    /// The uploaded bytes do not match the announced digest.
    ChecksumMismatch,
    /// The upload is not a package that this build may produce.
    UnexpectedPackage,
    /// The body is larger than allowed.
    TooLarge,
    /// A rate limit was exceeded; `Retry-After` says when to try again.
    TooManyRequests,
    /// Something that the server needs is temporarily unavailable; try again.
    Unavailable,
    /// An internal error of the server; its log has the details.
    Internal,
    /// A kind that this version of the program does not know.
    #[serde(other)]
    Unknown,
}

/// The body of every error response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// The kind of problem.
    #[serde(rename = "type")]
    pub kind: ProblemKind,
    /// One line for humans.
    pub title: String,
    /// The HTTP status code.
    pub status: u16,
    /// The details, if there are any beyond the title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What to do next.
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
