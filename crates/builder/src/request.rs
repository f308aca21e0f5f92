//! A build request. It contains everything that a build depends on, so that it can be passed to another
//! process.

use std::path::PathBuf;
use std::time::Duration;

use buildbtw_model::api::{ClaimedBuild, ExpectedPackage, Repository};
use buildbtw_model::{
    Architecture, AttemptId, BuildTool, CommitHash, MissingKeys, NetworkPolicy, PackageVersion,
    Packager, Pkgbase, ReleaseRule, RepositoryName,
};
use serde::{Deserialize, Serialize};

/// One attempt at a build.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BuildRequest {
    /// The id of the attempt; also the name of its scratch folder and cgroup.
    pub attempt: AttemptId,
    /// What is built.
    pub pkgbase: Pkgbase,
    /// The architecture to build for, never `any`.
    pub architecture: Architecture,
    /// Where the `PKGBUILD` comes from.
    pub source: Source,
    /// The release bump: the value to write into the `PKGBUILD` before it is built.
    pub pkgrel: Option<String>,
    /// The version that the packages must have; a `PKGBUILD` with a `pkgver()` function may deviate.
    pub version: Option<PackageVersion>,
    /// Decides the release after `pkgver()` has computed the version, and whether a rebuild would install
    /// over the packages of the base repositories. Without a rule, the release is always
    /// [`BuildRequest::pkgrel`].
    pub release: Option<ReleaseRule>,
    /// The expected packages. Empty: any packages are accepted.
    pub packages: Vec<ExpectedPackage>,
    /// The packages that makepkg needs installed (depends, makedepends and checkdepends), in pacman's syntax.
    pub dependencies: Vec<String>,
    /// The source entries of the `.SRCINFO`, fetched before makepkg is started.
    pub sources: Vec<String>,
    /// The repositories from which dependencies are installed. The first one takes precedence, so the
    /// namespace repository comes first.
    pub repositories: Vec<Repository>,
    /// The namespace repository, with whose versions the installed packages must agree.
    pub namespace_repository: Option<RepositoryName>,
    /// The limits of the build.
    pub limits: Limits,
    /// The network access of the build.
    pub network: NetworkPolicy,
    /// How a source is treated that is signed with a key which is not in `keys/pgp`.
    pub missing_keys: MissingKeys,
    /// `SOURCE_DATE_EPOCH` of the build, for reproducible packages.
    pub source_date_epoch: Option<u64>,
    /// `PACKAGER` of the packages.
    pub packager: Packager,
    /// `BUILDTOOL` and `BUILDTOOLVER` of the packages.
    pub build_tool: BuildTool,
    /// Whether this is a bootstrap build, without the dependencies that lead back into the package's cycle.
    /// `BUILDBTW_BOOTSTRAP=1` informs the `PKGBUILD`.
    #[serde(default)]
    pub bootstrap: bool,
}

impl BuildRequest {
    /// Creates a request with the mandatory fields; all others can be set afterwards.
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

    /// Creates the request for a build that the server describes, with the default limits.
    #[must_use]
    pub fn of_claimed(claimed: &ClaimedBuild) -> Self {
        let source = Source::Git {
            url: claimed.source.clone_url.clone(),
            commit: claimed.source.commit.clone(),
        };
        Self {
            attempt: claimed.attempt,
            pkgbase: claimed.pkgbase.clone(),
            architecture: claimed.architecture.clone(),
            source,
            pkgrel: claimed.pkgrel.clone(),
            version: Some(claimed.version.clone()),
            release: claimed.release.clone(),
            packages: claimed.packages.clone(),
            dependencies: claimed.dependencies.clone(),
            sources: claimed.sources.clone(),
            repositories: claimed.repositories.clone(),
            namespace_repository: Some(RepositoryName::from(&claimed.namespace)),
            limits: Limits {
                time: Duration::from_secs(claimed.timeout_s.into()),
                ..Limits::default()
            },
            network: claimed.network,
            missing_keys: claimed.missing_keys,
            // Packages cannot have dates before 1970.
            source_date_epoch: claimed.source_date_epoch.source_date_epoch(),
            packager: claimed.packager.clone(),
            build_tool: claimed.build_tool.clone(),
            bootstrap: claimed.bootstrap,
        }
    }

    /// Returns how to repeat the request with another network policy: a folder is built by hand, a commit for
    /// a namespace.
    pub(crate) fn policy_hint(&self, policy: NetworkPolicy) -> String {
        match self.source {
            Source::Directory(_) => format!("build with `buildbtw build --network {policy}`"),
            Source::Git { .. } => format!("plan with `buildbtw new --network {policy}`"),
        }
    }

    /// Returns how to repeat the request with the release of the PKGBUILD.
    pub(crate) fn release_hint(&self) -> &'static str {
        match self.source {
            Source::Directory(_) => "build without --pkgrel",
            Source::Git { .. } => "plan with --no-bump",
        }
    }
}

/// The origin of the tree with the `PKGBUILD`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A commit of a git repository.
    Git {
        /// Any address that `git fetch` accepts: https, ssh, file, a path.
        url: String,
        /// The commit; it does not have to be the tip of a branch.
        commit: CommitHash,
    },
    /// A folder, copied as it is.
    Directory(PathBuf),
}

/// The limits of a build. Exceeding one fails the build with a message that names the limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The duration of the build, including downloads.
    pub time: Duration,
    /// The time without any output.
    pub silence: Duration,
    /// The memory of all processes together. Files on a scratch disk in memory count as well; such a disk
    /// takes at most seven eighths of this.
    pub memory_bytes: u64,
    /// The number of processes and threads at the same time.
    pub processes: u64,
    /// The bytes of everything written: installed dependencies, sources, build files and packages.
    pub disk_bytes: u64,
    /// The size of the log.
    pub log_bytes: u64,
    /// The size of all packages together.
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
