//! The arguments of `build`.

use std::path::PathBuf;

use buildbtw_builder::SourceNetwork;
use buildbtw_model::settings::any_number;
use buildbtw_model::{
    Architecture, AttemptId, BuildToolName, BuildToolVersion, MissingKeys, NetworkPolicy, Packager,
    Pkgbase,
};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;

use super::local::RepositoryArgument;
use crate::completion;

/// The arguments of `build`.
#[derive(Args, Debug)]
pub struct BuildArgs {
    /// Folder with PKGBUILD and .SRCINFO, or a namespace
    ///
    /// A namespace is followed by the source package whose newest attempt is repeated: with the
    /// commit, the release and the repositories of that attempt.
    #[arg(
        value_name = "DIR|NAMESPACE",
        default_value = ".",
        add = ArgValueCompleter::new(completion::folders_and_namespaces)
    )]
    pub target: PathBuf,
    /// Source package of the namespace
    #[arg(add = ArgValueCompleter::new(completion::builds))]
    pub pkgbase: Option<Pkgbase>,
    /// Open a shell in the root if the build fails
    ///
    /// The shell is that of the build user, without a network, in the folder where the commands of
    /// the PKGBUILD ran. There is no limit of time or silence.
    #[arg(long)]
    pub shell: bool,
    /// Id of the attempt to repeat
    ///
    /// [default: the newest]
    #[arg(
        long,
        value_name = "ID",
        requires = "pkgbase",
        conflicts_with = "stage"
    )]
    pub attempt: Option<AttemptId>,
    /// Stage of the build to repeat
    ///
    /// [default: the last one with an attempt]
    #[arg(
        long,
        value_name = "N",
        requires = "pkgbase",
        value_parser = any_number::<u32>
    )]
    pub stage: Option<u32>,
    /// Folder for the packages
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub output: PathBuf,
    /// Pacman repository to install dependencies from
    ///
    /// Repeatable. The first repository that has a package wins.
    #[arg(
        long = "repository",
        value_name = "NAME=URL",
        conflicts_with = "pkgbase"
    )]
    pub repositories: Vec<RepositoryArgument>,
    /// Root of a pacstrapped system to build on
    ///
    /// [default: this machine's /usr]
    #[arg(long, value_name = "DIR", env = "BUILDBTW_BASE_ROOT")]
    pub base_root: Option<PathBuf>,
    /// Architecture to build for
    ///
    /// [default: this machine's architecture, or that of the attempt]
    #[arg(long, value_name = "ARCH", alias = "architecture")]
    pub arch: Option<Architecture>,
    /// Release to write into the PKGBUILD
    #[arg(long, value_name = "R", conflicts_with = "pkgbase")]
    pub pkgrel: Option<String>,
    /// `PACKAGER` of the packages, as in makepkg.conf
    #[arg(
        long,
        value_name = "NAME <MAIL>",
        env = "BUILDBTW_PACKAGER",
        default_value_t = Packager::default()
    )]
    pub packager: Packager,
    /// `BUILDTOOL` of the packages
    ///
    /// [default: buildbtw]
    #[arg(long, value_name = "NAME", requires = "buildtoolver")]
    pub buildtool: Option<BuildToolName>,
    /// `BUILDTOOLVER` of the packages
    ///
    /// [default: this program's version]
    #[arg(long, value_name = "VERSION")]
    pub buildtoolver: Option<BuildToolVersion>,
    /// Date of the packages and their files, in seconds since 1970
    ///
    /// With the `builddate` of a package's .BUILDINFO and the kept PKGBUILD of its build, the same
    /// package is built again, byte for byte. [default: now]
    #[arg(
        long,
        value_name = "SECONDS",
        env = "SOURCE_DATE_EPOCH",
        value_parser = any_number::<u64>
    )]
    pub source_date_epoch: Option<u64>,
    /// Network policy: none, sources or prepare
    ///
    /// With `prepare`, prepare() and pkgver() have a network too.
    #[arg(
        long,
        value_name = "POLICY",
        default_value_t,
        conflicts_with = "pkgbase",
        add = completion::network_policies()
    )]
    pub network: NetworkPolicy,
    /// Additional network to fetch sources from
    ///
    /// By default this machine's and private networks are refused. Repeatable, or separated by
    /// commas.
    #[arg(
        long = "allow-source-network",
        value_name = "CIDR",
        env = "BUILDBTW_ALLOW_SOURCE_NETWORK",
        value_delimiter = ','
    )]
    pub allow_source_networks: Vec<SourceNetwork>,
    /// Action when the key of a signed source is not in keys/pgp
    ///
    /// `fail`: the build fails. `warn`: the log has a warning.
    #[arg(
        long,
        value_name = "ACTION",
        default_value_t,
        conflicts_with = "pkgbase",
        add = completion::missing_keys()
    )]
    pub missing_keys: MissingKeys,
    /// The credentials of git.
    #[command(flatten)]
    pub git: GitArgs,
}

/// The credentials with which git fetches the source repository of an attempt, as for workers.
#[derive(Args, Debug)]
pub struct GitArgs {
    /// File of credentials for git over HTTPS, mode 0600
    ///
    /// One line `https://name:token@host` per host, as in git-credential-store(1).
    #[arg(long, value_name = "FILE", env = "BUILDBTW_GIT_CREDENTIALS")]
    pub git_credentials: Option<PathBuf>,
    /// Private key for git over SSH, mode 0600
    #[arg(
        long,
        value_name = "FILE",
        env = "BUILDBTW_GIT_SSH_KEY",
        requires = "git_known_hosts"
    )]
    pub git_ssh_key: Option<PathBuf>,
    /// File of known SSH host keys
    #[arg(long, value_name = "FILE", env = "BUILDBTW_GIT_KNOWN_HOSTS")]
    pub git_known_hosts: Option<PathBuf>,
    /// PEM file of certificate authorities for git
    #[arg(long, value_name = "FILE", env = "BUILDBTW_GIT_CA")]
    pub git_ca: Option<PathBuf>,
}
