//! Errors as RFC 9457 problem details.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::TraceId;
use crate::states::api_enum;

/// The media type of a [`Problem`].
pub const PROBLEM_CONTENT_TYPE: &str = "application/problem+json";

api_enum! {
    /// The kind of a problem, for programs.
    ProblemKind, "kind of problem" {
        /// The request is malformed or violates a rule.
        InvalidRequest = "invalid-request",
        /// No token was sent, or it is unknown, expired or revoked.
        Unauthenticated = "unauthenticated",
        /// The token's scope does not allow this.
        Forbidden = "forbidden",
        /// The resource does not exist.
        NotFound = "not-found",
        /// No source repository has this pkgbase.
        UnknownPkgbase = "unknown-pkgbase",
        /// The source repository does not have this branch, tag or commit.
        UnknownRef = "unknown-ref",
        /// The source repository cannot be used; the detail says why.
        BrokenSource = "broken-source",
        /// The program and the server have no version of the API in common.
        UnsupportedVersion = "unsupported-version",
        /// The server builds for none of these architectures.
        UnknownArchitecture = "unknown-architecture",
        /// The name is already in use.
        AlreadyExists = "already-exists",
        /// The current state of the resource does not allow this.
        Conflict = "conflict",
        /// The plan has more builds than allowed.
        PlanTooLarge = "plan-too-large",
        /// A cycle can only be built with a bootstrap build; the hint names the packages.
        BootstrapNeeded = "bootstrap-needed",
        /// The attempt has ended, or belongs to another builder now.
        AttemptEnded = "attempt-ended",
        /// The uploaded bytes do not match the announced digest.
        ChecksumMismatch = "checksum-mismatch",
        /// The upload is not a package that this build may produce.
        UnexpectedPackage = "unexpected-package",
        /// The body is larger than allowed.
        TooLarge = "too-large",
        /// A rate limit was exceeded; `Retry-After` says when to try again.
        TooManyRequests = "too-many-requests",
        /// Something that the server needs is temporarily unavailable; try again.
        Unavailable = "unavailable",
        /// An internal error of the server; its log has the details.
        Internal = "internal",
        _ => /// A kind that this version of the program does not know.
        Unknown,
    }
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
    /// For errors of the server: the trace of the request, which the server's log has, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<TraceId>,
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
