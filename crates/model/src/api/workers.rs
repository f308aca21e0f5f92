//! `/workers`: the machines that build.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Architecture, BuildId, NamespaceName, Pkgbase, WorkerName, WorkerStatus, WorkerTag};

/// What a worker is, as it says with its claims.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkerMachine {
    /// The version of its program.
    pub version: String,
    /// Its tags: it also gets the builds that need one of them.
    #[serde(default)]
    pub tags: Vec<WorkerTag>,
    /// The number of its processor cores.
    pub cores: u32,
    /// The memory of the machine, in MiB.
    pub memory_mib: u32,
    /// The memory that one build may use, in MiB.
    pub build_memory_mib: u32,
}

/// How busy the machine of a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkerLoad {
    /// The number of processes that ran or waited within the last minute, on average.
    pub load: f64,
    /// The bytes that builds can still use in the worker's folder.
    pub disk_free_bytes: u64,
    /// The size of the file system of that folder, in bytes.
    pub disk_total_bytes: u64,
}

/// A worker in a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkerSummary {
    /// Its name.
    pub name: WorkerName,
    /// What it does.
    pub status: WorkerStatus,
    /// The architectures that it builds for.
    pub architectures: Vec<Architecture>,
    /// How many builds it runs at the same time.
    pub jobs: u32,
    /// The builds that it runs.
    pub builds: Vec<WorkerBuild>,
    /// What it is; absent for workers of versions that did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<WorkerMachine>,
    /// How busy it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<WorkerLoad>,
    /// When it last sent a request, with a precision of 20 seconds.
    pub last_contact_at: Timestamp,
    /// Since when it gets no builds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drained_at: Option<Timestamp>,
    /// The name of the token that drained it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drained_by: Option<String>,
    /// Why it was drained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain_reason: Option<String>,
}

/// A build that a worker runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkerBuild {
    /// Its number.
    pub id: BuildId,
    /// The namespace.
    pub namespace: NamespaceName,
    /// The source package.
    pub pkgbase: Pkgbase,
    /// The architecture.
    pub architecture: Architecture,
    /// Since when it runs.
    pub started_at: Option<Timestamp>,
}

/// A request to drain a worker.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DrainWorker {
    /// Why, for people; it is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
