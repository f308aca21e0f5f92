//! The types that all buildbtw programs share: validated identifiers, the states of builds and attempts, the JSON
//! bodies of the HTTP API, and the text of logs.
//!
//! Input is parsed into these types at the boundary, so that all other code can rely on it: a [`Pkgbase`] is safe in
//! a path, a [`GitRef`] is safe on a command line.

mod activity_kind;
pub mod ansi;
pub mod api;
mod api_version;
mod changeset;
#[cfg(feature = "client")]
pub mod client;
mod event_kind;
mod explanation;
mod ids;
mod innermost;
#[cfg(test)]
mod invalid_texts;
mod iteration_cause;
mod kinds;
mod merge_request;
mod numbers;
mod permission_denied;
mod priority;
mod release;
mod removed_origin;
mod schema;
pub mod settings;
mod similar;
mod source_entry;
mod states;
mod user_info;
mod version;
mod version_note;
mod worker_status;

pub use activity_kind::ActivityKind;
pub use api_version::{API_VERSION_HEADER, ApiVersions, InvalidVersions};
pub use changeset::{Changeset, ChangesetError};
pub use event_kind::EventKind;
pub use explanation::Explanation;
pub use ids::{
    Architecture, AttemptId, BuildId, BuildTool, BuildToolName, BuildToolVersion, ClaimId,
    CommitHash, CommitTime, EventId, GitRef, InvalidName, JobId, MergeRequestIid, NamespaceName,
    NoteId, PackageFileName, PackageVersion, Packager, PipelineId, Pkgbase, Pkgname, ProjectId,
    RepositoryName, Sha256Digest, SpanId, TokenId, TraceId, TraceParent, TreeHash, WorkerName,
    WorkerTag,
};
pub use innermost::innermost;
pub use iteration_cause::IterationCause;
pub use kinds::{
    BackgroundTask, ChangeKind, NotBuiltKind, NoteKind, SourceProblemKind, StallKind,
    VersionNoteKind,
};
pub use merge_request::{MergeRequestUrl, MergeRequestUrlError, OriginSpec, OriginSpecError};
pub use numbers::{Bounded, Unsigned, saturating};
pub use permission_denied::PermissionDenied;
pub use priority::Priority;
pub use release::{ReleaseRule, bumped_pkgrel, bumped_version};
pub use removed_origin::RemovedOrigin;
pub use similar::closest;
pub use source_entry::{SourceKind, source_file_name, source_kind, source_protocol, source_url};
pub use states::{
    AttemptStatus, BuildStatus, FailureKind, IterationStatus, MissingKeys, NetworkPolicy,
    PipelineStatus, Scope, TokenScope, UnknownState,
};
pub use user_info::{hide_user_info, remove_user_info};
pub use version::{compare_versions, is_epoch_left_out};
pub use version_note::VersionNote;
pub use worker_status::WorkerStatus;
