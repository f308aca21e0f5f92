//! Commands about a namespace that exists.

use std::str::FromStr;

use buildbtw_model::settings::any_number;
use buildbtw_model::{Architecture, AttemptId, NamespaceName, Pkgbase, Priority};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use regex::bytes::Regex;

use super::rows::{BuildRowArgs, LimitArgs};
use crate::completion;

/// The arguments of `prioritize`.
#[derive(Args, Debug)]
pub struct PrioritizeArgs {
    /// Name of the namespace
    #[arg(add = ArgValueCompleter::new(completion::namespaces))]
    pub namespace: NamespaceName,
    /// New priority: low, normal, high or urgent
    ///
    /// Builds of an urgent namespace get the next free workers; it needs an admin token. Otherwise
    /// people share the workers equally over a day, and so do the namespaces of each.
    #[arg(add = completion::priorities())]
    pub priority: Priority,
    /// Reason, which is recorded
    #[arg(long, short = 'm', value_name = "TEXT")]
    pub reason: Option<String>,
}

/// The arguments of `show`.
#[derive(Args, Debug)]
pub struct ShowArgs {
    /// Name of the namespace
    #[arg(add = ArgValueCompleter::new(completion::namespaces))]
    pub namespace: NamespaceName,
    /// Number of the iteration
    ///
    /// [default: the newest]
    #[arg(
        long,
        value_name = "N",
        value_parser = any_number::<u32>,
        add = ArgValueCompleter::new(completion::iterations)
    )]
    pub iteration: Option<u32>,
    /// Which builds.
    #[command(flatten)]
    pub rows: BuildRowArgs,
}

/// The arguments of `watch`.
#[derive(Args, Debug)]
pub struct WatchArgs {
    /// Name of the namespace
    #[arg(add = ArgValueCompleter::new(completion::namespaces))]
    pub namespace: NamespaceName,
    /// How many failures are printed at the end.
    #[command(flatten)]
    pub limit: LimitArgs,
}

/// The arguments of `why`.
#[derive(Args, Debug)]
pub struct WhyArgs {
    /// Name of the namespace
    #[arg(add = ArgValueCompleter::new(completion::namespaces))]
    pub namespace: NamespaceName,
    /// Source package
    #[arg(add = ArgValueCompleter::new(completion::builds))]
    pub pkgbase: Pkgbase,
}

/// The arguments of `logs`.
#[derive(Args, Debug)]
pub struct LogsArgs {
    /// Name of the namespace
    #[arg(add = ArgValueCompleter::new(completion::namespaces))]
    pub namespace: NamespaceName,
    /// Source package
    #[arg(add = ArgValueCompleter::new(completion::builds))]
    pub pkgbase: Option<Pkgbase>,
    /// Print the logs of all failed builds
    #[arg(long, conflicts_with_all = ["pkgbase", "attempt", "stage", "follow"])]
    pub failed: bool,
    /// Print lines that match this regular expression only
    #[arg(long, value_name = "REGEX")]
    pub grep: Option<Pattern>,
    /// Print the last lines only
    #[arg(
        long,
        value_name = "N",
        value_parser = any_number::<u32>,
        conflicts_with = "follow"
    )]
    pub tail: Option<u32>,
    /// Architecture, if the package is built for several
    #[arg(
        long,
        value_name = "ARCH",
        alias = "architecture",
        add = ArgValueCompleter::new(completion::architectures)
    )]
    pub arch: Option<Architecture>,
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

/// A regular expression for lines of logs.
#[derive(Clone, Debug)]
pub struct Pattern(pub Regex);

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let syntax = |error: regex::Error| {
            let reason = error.to_string();
            // The last line says what is wrong, those above show where.
            let reason = reason.lines().last().unwrap_or_default();
            let reason = reason.strip_prefix("error: ").unwrap_or(reason);
            format!("`{text}` is not a regular expression: {reason}")
        };
        Regex::new(text).map(Self).map_err(syntax)
    }
}

/// The arguments of `retry`.
#[derive(Args, Debug)]
pub struct RetryArgs {
    /// Name of the namespace
    #[arg(add = ArgValueCompleter::new(completion::namespaces))]
    pub namespace: NamespaceName,
    /// Source packages to retry
    ///
    /// [default: all that failed]
    #[arg(add = ArgValueCompleter::new(completion::builds))]
    pub pkgbases: Vec<Pkgbase>,
    /// Build newer commits if there are any
    ///
    /// Plans a new iteration if an origin or a failed package has a newer commit; unchanged builds
    /// are reused. Without newer commits, retries the failed builds.
    #[arg(long)]
    pub latest: bool,
    /// How many builds are printed.
    #[command(flatten)]
    pub limit: LimitArgs,
}

/// The arguments of `cancel` and `resume`.
#[derive(Args, Debug)]
pub struct NamespaceArgs {
    /// Name of the namespace
    #[arg(add = ArgValueCompleter::new(completion::namespaces))]
    pub namespace: NamespaceName,
}

/// The arguments of `delete`.
#[derive(Args, Debug)]
pub struct DeleteArgs {
    /// Name of the namespace
    #[arg(add = ArgValueCompleter::new(completion::namespaces))]
    pub namespace: NamespaceName,
    /// Do not ask for confirmation
    ///
    /// Needed without a terminal, where the command cannot ask.
    #[arg(long, short)]
    pub yes: bool,
}
