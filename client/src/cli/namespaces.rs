//! Commands about a namespace that exists.

use buildbtw_model::{Architecture, AttemptId, NamespaceName, Pkgbase};
use clap::Args;

/// Shows a namespace.
#[derive(Args, Debug)]
pub struct Show {
    /// The namespace.
    pub namespace: NamespaceName,
    /// The iteration [default: the newest].
    #[arg(long, value_name = "N")]
    pub iteration: Option<u32>,
}

/// Follows a namespace.
#[derive(Args, Debug)]
pub struct Watch {
    /// The namespace.
    pub namespace: NamespaceName,
}

/// Explains why something is rebuilt.
#[derive(Args, Debug)]
pub struct Why {
    /// The namespace.
    pub namespace: NamespaceName,
    /// The source package.
    pub pkgbase: Pkgbase,
}

/// Prints a log.
#[derive(Args, Debug)]
pub struct Logs {
    /// The namespace.
    pub namespace: NamespaceName,
    /// The source package.
    pub pkgbase: Pkgbase,
    /// The architecture; needed when it is built for several.
    #[arg(long, value_name = "ARCH")]
    pub architecture: Option<Architecture>,
    /// The stage [default: the last that was tried].
    #[arg(long, value_name = "N")]
    pub stage: Option<u32>,
    /// The attempt [default: the newest].
    #[arg(long, value_name = "ID")]
    pub attempt: Option<AttemptId>,
    /// Go on until the attempt ends, and wait for it to begin.
    #[arg(long)]
    pub follow: bool,
}

/// Tries failed builds again.
#[derive(Args, Debug)]
pub struct Retry {
    /// The namespace.
    pub namespace: NamespaceName,
    /// The source packages to try again [default: all that failed].
    pub pkgbases: Vec<Pkgbase>,
    /// Build newer commits where there are some.
    ///
    /// Plans a new iteration when an origin or a failed package has a newer commit; what is unchanged is
    /// reused. Without newer commits, tries the failed builds again.
    #[arg(long)]
    pub latest: bool,
}

/// Does something to a namespace as a whole.
#[derive(Args, Debug)]
pub struct Namespace {
    /// The namespace.
    pub namespace: NamespaceName,
}

/// Removes a namespace.
#[derive(Args, Debug)]
pub struct Delete {
    /// The namespace.
    pub namespace: NamespaceName,
    /// Do not ask first. Nothing is asked either where there is no terminal.
    #[arg(long, short)]
    pub yes: bool,
}
