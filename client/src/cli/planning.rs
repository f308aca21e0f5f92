//! Commands that plan a rebuild: `new`, `plan` and `new-iteration`.

use std::path::PathBuf;

use buildbtw_model::api::FollowDefault;
use buildbtw_model::settings::any_number;
use buildbtw_model::{
    Architecture, NamespaceName, NetworkPolicy, Pkgbase, Priority, RemovedOrigin, Scope,
};
use clap::{Args, ValueEnum};
use clap_complete::engine::ArgValueCompleter;

use super::origin::OriginArgument;
use super::rows::LimitArgs;
use crate::completion;
use crate::output::time::parse_seconds;

/// The arguments of `new`.
#[derive(Args, Debug)]
pub struct NewArgs {
    /// Packages to rebuild
    ///
    /// A source repository with a branch, tag or commit of it, or the URL of a merge request. Without
    /// a ref, the default branch is built.
    #[arg(
        required = true,
        value_name = "PKGBASE[/REF]|URL",
        add = ArgValueCompleter::new(completion::origins)
    )]
    pub changesets: Vec<OriginArgument>,
    /// Name of the namespace
    ///
    /// [default: the first pkgbase and a number]
    #[arg(long)]
    pub name: Option<NamespaceName>,
    /// Extent of the rebuild.
    #[command(flatten)]
    pub spread: SpreadArgs,
    /// Refuse plans with more builds than this
    ///
    /// [default: 1000]
    #[arg(long, value_name = "N", value_parser = any_number::<u32>)]
    pub max_builds: Option<u32>,
    /// Do not bump releases: rebuilt packages keep their pkgrel
    #[arg(long)]
    pub no_bump: bool,
    /// Network policy of the builds: none, sources or prepare
    ///
    /// With `prepare`, prepare() and pkgver() have a network, for packages that download with
    /// cargo, go, npm or pip. The server may allow less. [default: the server's policy, usually
    /// sources]
    #[arg(long, value_name = "POLICY", add = completion::network_policies())]
    pub network: Option<NetworkPolicy>,
    /// Time to gather changes of default branches
    ///
    /// A new iteration is planned that long after the first change, for example 10m or 1h; `never`
    /// ignores them.
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "10m",
        value_parser = follow_default
    )]
    pub follow_default: FollowDefault,
    /// Priority: low, normal, high or urgent
    ///
    /// See `prioritize --help`.
    #[arg(long, default_value_t = Priority::Normal, add = completion::priorities())]
    pub priority: Priority,
    /// Wait for the rebuild to end
    ///
    /// With --json, prints one event per line and then the iteration.
    #[arg(long)]
    pub follow: bool,
    /// How many failures are printed at the end.
    #[command(flatten)]
    pub limit: LimitArgs,
}

/// How far a rebuild spreads.
#[derive(Args, Debug)]
pub struct SpreadArgs {
    /// Extent of the rebuild
    ///
    /// `origin`: the origins only. `direct`: plus what depends on them directly at run time.
    /// `soname`: the origins plus what depends on their sonames, directly or indirectly.
    /// `transitive`: plus everything that depends on them at run time, directly or indirectly.
    /// `all`: plus everything that needs any of those to be built or checked.
    #[arg(long, default_value_t = Scope::Transitive, add = completion::scopes())]
    pub scope: Scope,
    /// Rebuild matching packages outside of the scope too
    ///
    /// A shell pattern of pkgbases. Repeatable.
    #[arg(
        long,
        value_name = "PATTERN",
        add = ArgValueCompleter::new(completion::patterns)
    )]
    pub include: Vec<String>,
    /// Do not rebuild matching packages
    ///
    /// The rebuild does not spread through them. A shell pattern of pkgbases. Repeatable.
    #[arg(
        long,
        value_name = "PATTERN",
        add = ArgValueCompleter::new(completion::patterns)
    )]
    pub exclude: Vec<String>,
    /// Build a package first, without its dependencies on the cycle
    ///
    /// Its PKGBUILD must leave out the makedepends and checkdepends that lead back to it when
    /// BUILDBTW_BOOTSTRAP is 1. It is built again once all of its dependencies are built. A plan
    /// asks for this option when the old packages of a cycle cannot be installed alongside new
    /// libraries. Repeatable.
    #[arg(
        long,
        value_name = "PKGBASE",
        add = ArgValueCompleter::new(completion::pkgbases)
    )]
    pub bootstrap: Vec<Pkgbase>,
    /// Expect unchanged sonames in new versions
    ///
    /// A plan expects a new soname from a library whose first version number changed, and asks for
    /// --bootstrap where that breaks the old packages of a cycle.
    #[arg(long)]
    pub same_sonames: bool,
}

fn follow_default(text: &str) -> Result<FollowDefault, String> {
    if text == "never" {
        return Ok(FollowDefault::Never);
    }
    parse_seconds(text).map(FollowDefault::AfterS)
}

/// The arguments of `plan`.
#[derive(Args, Debug)]
pub struct PlanArgs {
    /// Packages to rebuild
    ///
    /// Without a ref, the default branch is planned. With --srcinfo, a pkgbase has no ref.
    #[arg(
        required = true,
        value_name = "PKGBASE[/REF]",
        add = ArgValueCompleter::new(completion::origins)
    )]
    pub origins: Vec<String>,
    /// Plan offline, from a folder of `<pkgbase>/.SRCINFO` files
    #[arg(long, value_name = "DIR")]
    pub srcinfo: Option<PathBuf>,
    /// Extent of the rebuild.
    #[command(flatten)]
    pub spread: SpreadArgs,
    /// Do not bump releases: rebuilt packages keep their pkgrel
    ///
    /// Shows the plan of a namespace created with `new --no-bump`.
    #[arg(long)]
    pub no_bump: bool,
    /// Architecture to plan for
    ///
    /// [default: the server's first; with --srcinfo, this machine's]
    #[arg(
        long,
        value_name = "ARCH",
        add = ArgValueCompleter::new(completion::built_architectures)
    )]
    pub arch: Option<Architecture>,
    /// Maximum number of builds that `new` gets
    ///
    /// A larger plan is shown too, with the number that `new` needs. [default: 1000]
    #[arg(
        long,
        value_name = "N",
        value_parser = any_number::<u32>,
        conflicts_with = "srcinfo"
    )]
    pub max_builds: Option<u32>,
    /// How many builds are printed as text.
    #[command(flatten)]
    pub limit: LimitArgs,
    /// Output format
    ///
    /// [default: text] `--format json` prints the same as `--json all`, on one line.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<PlanForm>,
}

/// Output formats of a plan.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum PlanForm {
    /// Human-readable text
    Text,
    /// JSON for programs
    Json,
    /// A graph for Graphviz
    Dot,
}

/// The arguments of `edit`.
#[derive(Args, Debug)]
pub struct EditArgs {
    /// Name of the namespace
    #[arg(add = ArgValueCompleter::new(completion::namespaces))]
    pub namespace: NamespaceName,
    /// Add an origin, or replace the ref of one
    ///
    /// A source repository with a branch, tag or commit of it, or the URL of a merge request. Without
    /// a ref, the default branch is built. Repeatable.
    #[arg(
        long,
        value_name = "PKGBASE[/REF]|URL",
        add = ArgValueCompleter::new(completion::origins)
    )]
    pub add: Vec<OriginArgument>,
    /// Take an origin out
    ///
    /// One must be left. Repeatable.
    #[arg(
        long,
        value_name = "PKGBASE[/REF]",
        add = ArgValueCompleter::new(completion::removed_origins)
    )]
    pub remove: Vec<RemovedOrigin>,
    /// Extent of the rebuild from now on
    ///
    /// One of origin, direct, soname, transitive or all.
    #[arg(long, add = completion::scopes())]
    pub scope: Option<Scope>,
    /// Rebuild matching packages outside of the scope too
    ///
    /// A shell pattern of pkgbases. Repeatable.
    #[arg(
        long,
        value_name = "PATTERN",
        add = ArgValueCompleter::new(completion::patterns)
    )]
    pub include: Vec<String>,
    /// Do not rebuild matching packages
    ///
    /// A shell pattern of pkgbases. Repeatable.
    #[arg(
        long,
        value_name = "PATTERN",
        add = ArgValueCompleter::new(completion::patterns)
    )]
    pub exclude: Vec<String>,
    /// Undo an --include of this namespace
    ///
    /// Repeatable.
    #[arg(
        long,
        value_name = "PATTERN",
        add = ArgValueCompleter::new(completion::included)
    )]
    pub no_include: Vec<String>,
    /// Undo an --exclude of this namespace
    ///
    /// Repeatable.
    #[arg(
        long,
        value_name = "PATTERN",
        add = ArgValueCompleter::new(completion::excluded)
    )]
    pub no_exclude: Vec<String>,
    /// Refuse plans with more builds than this from now on
    #[arg(long, value_name = "N", value_parser = any_number::<u32>)]
    pub max_builds: Option<u32>,
    /// Priority: low, normal, high or urgent
    ///
    /// See `prioritize --help`.
    #[arg(long, add = completion::priorities())]
    pub priority: Option<Priority>,
}

/// The arguments of `new-iteration`.
#[derive(Args, Debug)]
pub struct NewIterationArgs {
    /// Name of the namespace
    #[arg(add = ArgValueCompleter::new(completion::namespaces))]
    pub namespace: NamespaceName,
    /// Plan against the current base repositories
    ///
    /// By default the base repositories of the first plan are used.
    #[arg(long)]
    pub refresh_base: bool,
    /// Bootstrap a package of a cycle from now on
    ///
    /// See `new --help`. Repeatable.
    #[arg(
        long,
        value_name = "PKGBASE",
        add = ArgValueCompleter::new(completion::pkgbases)
    )]
    pub bootstrap: Vec<Pkgbase>,
    /// Undo a --bootstrap of this namespace
    ///
    /// Repeatable.
    #[arg(
        long,
        value_name = "PKGBASE",
        add = ArgValueCompleter::new(completion::pkgbases)
    )]
    pub no_bootstrap: Vec<Pkgbase>,
    /// Expect unchanged sonames from now on
    ///
    /// See `new --help`. `--same-sonames=false` undoes it; without the option the setting is kept.
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub same_sonames: Option<bool>,
}
