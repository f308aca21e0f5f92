//! What a builder is asked to do. Everything a build depends on is in here, so that a request can
//! be handed to another process and run there.

use std::path::PathBuf;
use std::time::Duration;

use buildbtw_model::api::{ExpectedPackage, Repository};
use buildbtw_model::{
    Architecture, AttemptId, BuildTool, CommitHash, MissingKeys, NetworkPolicy, PackageVersion,
    Packager, Pkgbase, ReleaseRule, RepositoryName,
};
use serde::{Deserialize, Serialize};

/// One attempt at a build.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BuildRequest {
    /// Names the attempt; also names its scratch folder and its cgroup.
    pub attempt: AttemptId,
    /// What is built.
    pub pkgbase: Pkgbase,
    /// The architecture to build for, never `any`.
    pub architecture: Architecture,
    /// Where the `PKGBUILD` comes from.
    pub source: Source,
    /// The release bump: the value to write into the `PKGBUILD` before it is built.
    pub pkgrel: Option<String>,
    /// The version the packages must have; a `PKGBUILD` with a `pkgver()` function may deviate.
    pub version: Option<PackageVersion>,
    /// Decides the release once `pkgver()` has computed the version, and whether a rebuild would
    /// install over what is there. Without it, the release is [`BuildRequest::pkgrel`] in any case.
    pub release: Option<ReleaseRule>,
    /// The packages that must come out. Empty: whatever comes out is accepted.
    pub packages: Vec<ExpectedPackage>,
    /// What makepkg needs installed (depends, makedepends and checkdepends), as pacman writes it.
    pub dependencies: Vec<String>,
    /// The source entries of the `.SRCINFO`, fetched before makepkg is started.
    pub sources: Vec<String>,
    /// Where dependencies are installed from; the first one wins, so the namespace's comes first.
    pub repositories: Vec<Repository>,
    /// The repository of the namespace: what is installed must agree with it.
    pub namespace_repository: Option<RepositoryName>,
    /// What the build may use.
    pub limits: Limits,
    /// What the build reaches of the network.
    pub network: NetworkPolicy,
    /// What happens when a source is signed with a key that is not in its `keys/pgp`.
    pub missing_keys: MissingKeys,
    /// `SOURCE_DATE_EPOCH` of the build, for reproducible packages.
    pub source_date_epoch: Option<u64>,
    /// `PACKAGER` of the packages.
    pub packager: Packager,
    /// `BUILDTOOL` and `BUILDTOOLVER` of the packages.
    pub build_tool: BuildTool,
    /// Whether it is built without what the package needs of its own cycle: `BUILDBTW_BOOTSTRAP=1`
    /// tells the `PKGBUILD`.
    #[serde(default)]
    pub bootstrap: bool,
}

impl BuildRequest {
    /// A request with nothing but the necessary; everything else can be set afterwards.
    #[must_use]
    pub fn new(pkgbase: Pkgbase, architecture: Architecture, source: Source) -> Self {
        Self {
            attempt: AttemptId::new(),
            pkgbase,
            architecture,
            source,
            pkgrel: None,
            version: None,
            release: None,
            packages: Vec::new(),
            dependencies: Vec::new(),
            sources: Vec::new(),
            repositories: Vec::new(),
            namespace_repository: None,
            limits: Limits::default(),
            network: NetworkPolicy::default(),
            missing_keys: MissingKeys::default(),
            source_date_epoch: None,
            packager: Packager::default(),
            build_tool: BuildTool::default(),
            bootstrap: false,
        }
    }

    /// How to ask for it again with another network policy: a folder is built by hand, a commit for a
    /// namespace.
    pub(crate) fn policy_hint(&self, policy: NetworkPolicy) -> String {
        match self.source {
            Source::Directory(_) => format!("build with `buildbtw build --network {policy}`"),
            Source::Git { .. } => format!("plan with `buildbtw new --network {policy}`"),
        }
    }

    /// How to ask for it again with the release that its PKGBUILD has.
    pub(crate) fn release_hint(&self) -> &'static str {
        match self.source {
            Source::Directory(_) => "build without --pkgrel",
            Source::Git { .. } => "plan with --no-bump",
        }
    }
}

/// Where the tree with the `PKGBUILD` comes from.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A commit of a git repository.
    Git {
        /// Anything `git fetch` understands: https, ssh, file, a path.
        url: String,
        /// The commit; it need not be the tip of a branch.
        commit: CommitHash,
    },
    /// A folder, copied as it is.
    Directory(PathBuf),
}

/// What a build may use. Exceeding one is a failure that names the figure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// From start to end, downloads included.
    pub time: Duration,
    /// Without a byte of output.
    pub silence: Duration,
    /// Of all processes together; files on a scratch disk in memory count as well, and it is no larger than seven eighths
    /// of this.
    pub memory_bytes: u64,
    /// Processes and threads at the same time.
    pub processes: u64,
    /// Everything written: the installed dependencies, sources, the build and its packages.
    pub disk_bytes: u64,
    /// Of the log.
    pub log_bytes: u64,
    /// Of all packages together.
    pub output_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        const GIB: u64 = 1 << 30;
        Self {
            time: Duration::from_secs(6 * 60 * 60),
            silence: Duration::from_secs(60 * 60),
            memory_bytes: 8 * GIB,
            processes: 4096,
            disk_bytes: 40 * GIB,
            log_bytes: 64 << 20,
            output_bytes: 4 * GIB,
        }
    }
}
