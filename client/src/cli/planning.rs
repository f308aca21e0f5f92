//! Commands that plan a rebuild: `new`, `plan` and `new-iteration`.

use std::path::PathBuf;

use buildbtw_model::api::FollowDefault;
use buildbtw_model::{Architecture, NamespaceName, NetworkPolicy, OriginSpec, Pkgbase, Scope};
use clap::{Args, ValueEnum};

use crate::output::time::parse_seconds;

/// Makes a namespace.
#[derive(Args, Debug)]
pub struct New {
    /// What to build: a source repository and a branch, tag or commit of it, or the address of a merge
    /// request.
    #[arg(required = true, value_name = "PKGBASE/REF|URL")]
    pub changesets: Vec<OriginSpec>,
    /// The namespace's name [default: the first pkgbase and a number].
    #[arg(long)]
    pub name: Option<NamespaceName>,
    /// How far the rebuild spreads.
    #[command(flatten)]
    pub spread: Spread,
    /// Refuse to rebuild more than this many packages.
    #[arg(long, value_name = "N")]
    pub max_builds: Option<u32>,
    /// Leave releases as they are: rebuilt packages get no higher pkgrel.
    #[arg(long)]
    pub no_bump: bool,
    /// Network policy of its builds: none, sources or prepare.
    ///
    /// With prepare, prepare() and pkgver() have a network, which packages need that download with cargo,
    /// go, npm or pip. The server may allow less [default: the server's, usually sources]
    #[arg(long, value_name = "POLICY")]
    pub network: Option<NetworkPolicy>,
    /// How long to gather changes of default branches before a new iteration is made (10m, 1h), or never.
    #[arg(
        long,
        value_name = "TIME",
        default_value = "10m",
        value_parser = follow_default
    )]
    pub follow_default: FollowDefault,
    /// Wait for the end. With --json: prints an event per line, then the iteration.
    #[arg(long)]
    pub follow: bool,
}

/// How far a rebuild spreads.
#[derive(Args, Debug)]
pub struct Spread {
    /// How far the rebuild spreads: origin, direct, soname, transitive or all.
    #[arg(long, default_value_t = Scope::Transitive)]
    pub scope: Scope,
    /// Rebuild what matches too, although the scope does not reach it (shell pattern of pkgbases).
    #[arg(long, value_name = "PATTERN")]
    pub include: Vec<String>,
    /// Leave alone what matches; nothing spreads through it (shell pattern of pkgbases).
    #[arg(long, value_name = "PATTERN")]
    pub exclude: Vec<String>,
    /// Build a member of a cycle first without the cycle.
    ///
    /// Its PKGBUILD must do without the makedepends and checkdepends that lead back to it when
    /// BUILDBTW_BOOTSTRAP is 1. It is built again when everything it needs is there. A plan asks for this when
    /// the old packages of a cycle cannot be installed beside new libraries.
    #[arg(long, value_name = "PKGBASE")]
    pub bootstrap: Vec<Pkgbase>,
    /// Expect that new versions keep their sonames.
    ///
    /// A plan expects another soname from a library whose first version number changed, and asks for --bootstrap
    /// where that breaks the old packages of a cycle.
    #[arg(long)]
    pub same_sonames: bool,
}

fn follow_default(text: &str) -> Result<FollowDefault, String> {
    if text == "never" {
        return Ok(FollowDefault::Never);
    }
    parse_seconds(text).map(FollowDefault::AfterS)
}

/// Shows what a rebuild would be.
#[derive(Args, Debug)]
pub struct Plan {
    /// What would be built: PKGBASE/REF of the server's sources, or PKGBASE with --srcinfo.
    #[arg(required = true, value_name = "PKGBASE[/REF]")]
    pub origins: Vec<String>,
    /// Plan offline, on a folder of `<pkgbase>/.SRCINFO` files.
    #[arg(long, value_name = "DIR")]
    pub srcinfo: Option<PathBuf>,
    /// How far the rebuild spreads.
    #[command(flatten)]
    pub spread: Spread,
    /// Leave releases as they are.
    ///
    /// Shows the plan of a namespace that is made with `new --no-bump`.
    #[arg(long)]
    pub no_bump: bool,
    /// The architecture [default: the server's first one; with --srcinfo this machine's].
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<Architecture>,
    /// The form of the answer [default: text, or json with --json].
    #[arg(long, value_enum, value_name = "FORM")]
    pub format: Option<PlanForm>,
}

/// The forms a plan is shown in.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum PlanForm {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For Graphviz.
    Dot,
}

/// Makes a new iteration.
#[derive(Args, Debug)]
pub struct NewIteration {
    /// The namespace.
    pub namespace: NamespaceName,
    /// Plan with what the base repositories hold now, instead of what they held at first.
    #[arg(long)]
    pub refresh_base: bool,
    /// Build a member of a cycle first without the cycle, from now on; see `new --help`.
    #[arg(long, value_name = "PKGBASE")]
    pub bootstrap: Vec<Pkgbase>,
    /// Take back a --bootstrap of this namespace.
    #[arg(long, value_name = "PKGBASE")]
    pub no_bootstrap: Vec<Pkgbase>,
    /// Expect that new versions keep their sonames, from now on.
    ///
    /// See `new --help`. `--same-sonames=false` takes it back; without the option it stays as it is.
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub same_sonames: Option<bool>,
}
