//! Links to builds: lists, and the chain of dependencies that is the reason of a build.

use askama::Template;
use buildbtw_model::Pkgbase;

use super::html_part;

/// A pkgbase, with the address of its build if it is known.
#[derive(Clone)]
pub(crate) struct Step {
    pub(crate) pkgbase: Pkgbase,
    pub(crate) href: Option<String>,
}

/// The chain of dependencies from an origin to a build.
#[derive(Template)]
#[template(path = "parts/reason.html")]
pub(crate) struct Reason {
    steps: Vec<Step>,
    /// How the last step depends on the one before, unless by a dependency: `links libfoo.so.1`.
    via: Option<String>,
}

html_part!(Reason);

impl Reason {
    /// Creates a reason; `href` returns addresses for all but the last step, which is the build itself.
    pub(crate) fn new(
        chain: &[Pkgbase],
        via: Option<&str>,
        href: impl Fn(&Pkgbase) -> Option<String>,
    ) -> Self {
        let last = chain.len().saturating_sub(1);
        let steps = chain.iter().enumerate().map(|(position, pkgbase)| Step {
            pkgbase: pkgbase.clone(),
            href: (position < last).then(|| href(pkgbase)).flatten(),
        });
        Self {
            steps: steps.collect(),
            via: via.map(str::to_owned),
        }
    }
}

/// A list of builds, truncated if it is long.
#[derive(Template)]
#[template(path = "parts/names.html")]
pub(crate) struct Names {
    steps: Vec<Step>,
    more: usize,
}

html_part!(Names);

impl Names {
    pub(crate) fn new(steps: impl ExactSizeIterator<Item = Step>, shown: usize) -> Self {
        let more = steps.len().saturating_sub(shown);
        Self {
            steps: steps.take(shown).collect(),
            more,
        }
    }
}
