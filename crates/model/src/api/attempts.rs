//! `/attempts`: what workers and the server say to each other.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Architecture, AttemptId, AttemptStatus, BuildId, BuildTool, ClaimId, CommitHash, FailureKind,
    MissingKeys, NamespaceName, NetworkPolicy, PackageFileName, PackageVersion, Packager,
    PipelineId, PipelineStatus, Pkgbase, Pkgname, ReleaseRule, RepositoryName, Sha256Digest,
    WorkerName,
};

/// Asks for a build to work on. Answered with a [`ClaimedBuild`], or with 204 when none came up in
/// time. Repeating a claim with the same id returns the same attempt.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimRequest {
    /// Made by the worker, new for each build it wants.
    pub claim: ClaimId,
    /// Who asks.
    pub worker: WorkerName,
    /// What it can build.
    pub architectures: Vec<Architecture>,
    /// How many builds it works on at the same time, this one included.
    #[serde(default = "one")]
    pub jobs: u32,
    /// The protocols that it fetches sources by, besides those that every worker does (http, https, ftp,
    /// git).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protocols: Vec<String>,
    /// How long to wait for a build, in seconds; the server may answer earlier.
    pub wait_s: u32,
}

fn one() -> u32 {
    1
}

/// A build handed out to a worker, with all it needs to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClaimedBuild {
    /// Names the attempt in all reports.
    pub attempt: AttemptId,
    /// The build's number.
    pub build: BuildId,
    /// The namespace, also the name of its repository.
    pub namespace: NamespaceName,
    /// The iteration.
    pub iteration: u32,
    /// What to build.
    pub pkgbase: Pkgbase,
    /// What for.
    pub architecture: Architecture,
    /// 1, or 2 for the second build of a member of a cycle.
    pub stage: u32,
    /// Whether it is built without what its package needs of its own cycle: `BUILDBTW_BOOTSTRAP=1`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bootstrap: bool,
    /// Where the tree is.
    pub source: SourceLocation,
    /// The release to write into the PKGBUILD; absent when it keeps its own.
    pub pkgrel: Option<String>,
    /// The version the packages must have. `pkgver()` may compute another one.
    pub version: PackageVersion,
    /// Decides the release once the version is known, where `pkgver()` computes it.
    #[serde(default)]
    pub release: Option<ReleaseRule>,
    /// The packages it must produce.
    pub packages: Vec<ExpectedPackage>,
    /// What makepkg wants installed, in pacman's notation.
    pub dependencies: Vec<String>,
    /// What `.SRCINFO` lists as source.
    pub sources: Vec<String>,
    /// What the build reaches of the network.
    #[serde(default)]
    pub network: NetworkPolicy,
    /// What happens when a source is signed with a key that is not known.
    #[serde(default)]
    pub missing_keys: MissingKeys,
    /// Where to install from, the namespace repository first.
    pub repositories: Vec<Repository>,
    /// Becomes `SOURCE_DATE_EPOCH`, in seconds.
    pub source_date_epoch: i64,
    /// Becomes `PACKAGER`, unless the worker has its own.
    #[serde(default)]
    pub packager: Packager,
    /// Becomes `BUILDTOOL` and `BUILDTOOLVER`.
    #[serde(default)]
    pub build_tool: BuildTool,
    /// Stop the build after this many seconds.
    pub timeout_s: u32,
    /// Seconds until the lease runs out unless it is renewed.
    pub lease_s: u32,
}

/// Asks for the build that a job of a GitLab was started for. The job shows who it is by its ID
/// token, which is good for this once; from then on the token it brings along is good for reports
/// on the attempt. Repeating it with the same two tokens gives the same answer.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExchangeIdToken {
    /// The job's ID token, whose audience is the server's address.
    pub id_token: String,
    /// Made by the executor: 256 random bits, `bbtw_` and their base64url.
    pub token: String,
    /// The machine that the job runs on.
    pub worker: WorkerName,
}

impl std::fmt::Debug for ExchangeIdToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExchangeIdToken")
            .field("worker", &self.worker)
            .finish_non_exhaustive()
    }
}

/// What a job gets for its ID token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExchangedIdToken {
    /// What to build. Its attempt can be another one than the job was made for: somebody retried
    /// the job in GitLab.
    pub build: ClaimedBuild,
    /// The page of the build.
    pub url: String,
}

/// Asks to report on an attempt that was claimed with a token that is not valid any more.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdoptAttempt {
    /// The worker, which must be the one that claimed it.
    pub worker: WorkerName,
}

/// Where a worker finds the tree to build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceLocation {
    /// What `git fetch` understands.
    pub clone_url: String,
    /// Exactly this commit.
    pub commit: CommitHash,
}

/// A package that a build has to produce.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectedPackage {
    /// Its name.
    pub name: Pkgname,
    /// The architecture in its file name, `any` included.
    pub architecture: Architecture,
}

/// A pacman repository to install from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// Its section name in pacman.conf(5).
    pub name: RepositoryName,
    /// Its `Server` lines: `http://`, `https://` or `file://`; `$repo` and `$arch` are replaced.
    pub servers: Vec<String>,
    /// Its `SigLevel`, for example `Optional TrustAll`.
    pub sig_level: String,
}

/// The answer to a heartbeat.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeartbeatResponse {
    /// Seconds until the renewed lease runs out.
    pub lease_s: u32,
    /// Whether the worker shall stop the build.
    pub cancel: bool,
}

/// The answer to a log chunk. What the log already held of the chunk is skipped; a chunk that would
/// leave a hole is not stored at all. Either way the sender goes on from `length`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogAppended {
    /// The length of the log in bytes: the offset of the next chunk.
    pub length: u64,
}

/// The answer to an upload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UploadedPackage {
    /// The file that is now complete on the server.
    pub file_name: PackageFileName,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Sha256Digest,
}

/// How an attempt ended. Sent until it is answered; sending it again changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Outcome {
    /// These packages, all uploaded before, are the result.
    Succeeded {
        /// Every package.
        packages: Vec<ReportedPackage>,
    },
    /// There is no result.
    Failed {
        /// Whose fault it is.
        kind: FailureKind,
        /// What happened, for people.
        message: String,
    },
}

/// A package as the worker has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedPackage {
    /// Its file name.
    pub file_name: PackageFileName,
    /// Its digest.
    pub sha256: Sha256Digest,
}

/// The outcome is stored and will not be lost.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OutcomeAccepted {
    /// Where the attempt stands now.
    pub status: AttemptStatus,
}

/// An attempt in a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttemptSummary {
    /// Its id.
    pub id: AttemptId,
    /// 1, 2, 3 … within its build.
    pub number: u32,
    /// Where it stands.
    pub status: AttemptStatus,
    /// How it failed.
    pub failure: Option<FailureKind>,
    /// What happened.
    pub message: Option<String>,
    /// Who works or worked on it.
    pub worker: Option<WorkerName>,
    /// The pipeline that it is, when GitLab builds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<PipelineSummary>,
    /// When it was handed out.
    pub created_at: Timestamp,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// A pipeline of GitLab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineSummary {
    /// GitLab's number of it, once it is there.
    pub id: Option<PipelineId>,
    /// Where it stands.
    pub status: PipelineStatus,
    /// Its page.
    pub url: Option<String>,
}
