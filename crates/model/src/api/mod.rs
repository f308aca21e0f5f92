//! The JSON bodies of `/api/v1`, one file per resource. They are shared by the server and its clients; the server
//! never exposes database rows.

mod activity;
mod attempts;
mod builds;
mod events;
mod health;
mod iterations;
mod namespaces;
mod outages;
mod plans;
mod problem;
mod reproduce;
mod sources;
mod tokens;
mod workers;

pub use activity::Activity;
pub use attempts::{
    AdoptAttempt, AttemptSummary, ClaimRequest, ClaimedBuild, ExchangeIdToken, ExchangedIdToken,
    ExpectedPackage, HeartbeatResponse, LogAppended, Outcome, OutcomeAccepted, PipelineSummary,
    ReportedPackage, Repository, SourceLocation, UploadedPackage,
};
pub use builds::{BuildDetail, BuildSummary, PackageSummary, ReusedFrom};
pub use events::Event;
pub use health::{HealthCheck, ReadyResponse};
pub use iterations::{
    ArchitectureSummary, BuildCounts, IterationChange, IterationDetail, IterationOverview,
    IterationSummary, OriginSummary, PlanNote, RepositorySnippet,
};
pub use namespaces::{
    CreateIteration, CreateNamespace, EditNamespace, FollowDefault, NamespaceDetail,
    NamespaceSummary, NewerCommit, NotBuilt, PlanFormat, PlanPreview, RetriedBuild, RetriedBuilds,
    RetryBuilds, SetPriority,
};
pub use outages::TaskOutage;
pub use plans::{
    PlanBrokenEdge, PlanBuild, PlanCycle, PlanDocument, PlanExceeds, PlanFailure,
    PlanNeedsBootstrap, PlanProblem, PlanReuse, PlanSources, PlanUnresolved,
};
pub use problem::{PROBLEM_CONTENT_TYPE, Problem, ProblemKind};
pub use reproduce::AttemptInputs;
pub use sources::{
    SourceRefs, SourceRepositorySummary, SourcesOutage, SourcesOverview, SourcesProgress,
};
pub use tokens::{CreateToken, CreatedToken, TokenIdentity, TokenSummary};
pub use workers::{DrainWorker, WorkerBuild, WorkerLoad, WorkerMachine, WorkerSummary};

/// One page of a list. Pass `next` as `cursor` to get the next page.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Page<T> {
    /// The entries of this page.
    pub items: Vec<T>,
    /// Where the next page starts; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
