//! Commands about a namespace that exists.

use buildbtw_model::settings::any_number;
use buildbtw_model::{Architecture, AttemptId, NamespaceName, Pkgbase, Priority};
use clap::Args;

/// The arguments of `list`.
#[derive(Args, Debug)]
pub struct ListArgs {
    /// List those only that were created with tokens of your name
    #[arg(long)]
    pub mine: bool,
}

/// The arguments of `prioritize`.
#[derive(Args, Debug)]
pub struct PrioritizeArgs {
    /// Name of the namespace
    pub namespace: NamespaceName,
    /// New priority: low, normal, high or urgent
    ///
    /// Builds of an urgent namespace get the next free workers; it needs an admin token. Otherwise
    /// people share the workers equally over a day, and so do the namespaces of each.
    pub priority: Priority,
    /// Reason, which is recorded
    #[arg(long, short = 'm', value_name = "TEXT")]
    pub reason: Option<String>,
}

/// The arguments of `show`.
#[derive(Args, Debug)]
pub struct ShowArgs {
    /// Name of the namespace
    pub namespace: NamespaceName,
    /// Number of the iteration
    ///
    /// [default: the newest]
    #[arg(long, value_name = "N", value_parser = any_number::<u32>)]
    pub iteration: Option<u32>,
}

/// The arguments of `watch`.
#[derive(Args, Debug)]
pub struct WatchArgs {
    /// Name of the namespace
    pub namespace: NamespaceName,
}

/// The arguments of `why`.
#[derive(Args, Debug)]
pub struct WhyArgs {
    /// Name of the namespace
    pub namespace: NamespaceName,
    /// Source package
    pub pkgbase: Pkgbase,
}

/// The arguments of `logs`.
#[derive(Args, Debug)]
pub struct LogsArgs {
    /// Name of the namespace
    pub namespace: NamespaceName,
    /// Source package
    pub pkgbase: Pkgbase,
    /// Architecture, if the package is built for several
    #[arg(long, value_name = "ARCH")]
    pub architecture: Option<Architecture>,
    /// Stage of the build
    ///
    /// [default: the last one with an attempt]
    #[arg(long, value_name = "N", value_parser = any_number::<u32>)]
    pub stage: Option<u32>,
    /// Id of the attempt
    ///
    /// [default: the newest]
    #[arg(long, value_name = "ID")]
    pub attempt: Option<AttemptId>,
    /// Wait for the attempt to begin, and follow the log to its end
    #[arg(long)]
    pub follow: bool,
}

/// The arguments of `retry`.
#[derive(Args, Debug)]
pub struct RetryArgs {
    /// Name of the namespace
    pub namespace: NamespaceName,
    /// Source packages to retry
    ///
    /// [default: all that failed]
    pub pkgbases: Vec<Pkgbase>,
    /// Build newer commits if there are any
    ///
    /// Plans a new iteration if an origin or a failed package has a newer commit; unchanged builds
    /// are reused. Without newer commits, retries the failed builds.
    #[arg(long)]
    pub latest: bool,
}

/// The arguments of `cancel` and `resume`.
#[derive(Args, Debug)]
pub struct NamespaceArgs {
    /// Name of the namespace
    pub namespace: NamespaceName,
}

/// The arguments of `delete`.
#[derive(Args, Debug)]
pub struct DeleteArgs {
    /// Name of the namespace
    pub namespace: NamespaceName,
    /// Do not ask for confirmation
    ///
    /// Without a terminal, the command never asks.
    #[arg(long, short)]
    pub yes: bool,
}
