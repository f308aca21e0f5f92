//! Identifiers as validated newtypes. One macro defines all text types, so that they parse, print, serialise and map to
//! a database column in the same way.

mod alpm;
mod git;
mod gitlab;
mod invalid;
pub(crate) mod macros;
mod names;
mod numbers;
mod provenance;
mod trace;

pub use alpm::{Architecture, PackageFileName, PackageVersion, Pkgbase, Pkgname};
pub use git::{CommitHash, CommitTime, GitRef, TreeHash};
pub use gitlab::{JobId, MergeRequestIid, NoteId, PipelineId, ProjectId};
pub use invalid::InvalidName;
pub use names::{NamespaceName, RepositoryName, Sha256Digest, WorkerName, WorkerTag};
pub use numbers::{AttemptId, BuildId, ClaimId, EventId, TokenId};
pub use provenance::{BuildTool, BuildToolName, BuildToolVersion, Packager};
pub use trace::{SpanId, TraceId, TraceParent};
