//! What a plan is asked for.

use std::fmt;
use std::sync::Arc;

use buildbtw_model::{Architecture, Pkgbase, Scope};
use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::srcinfo::SourcePackage;

/// How long builds take, as far as anybody knows.
pub trait Estimates {
    /// The expected duration of a build in seconds.
    fn seconds(&self, pkgbase: &Pkgbase) -> Option<u64>;
}

impl<F: Fn(&Pkgbase) -> Option<u64>> Estimates for F {
    fn seconds(&self, pkgbase: &Pkgbase) -> Option<u64> {
        self(pkgbase)
    }
}

/// Nothing is known about any build.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEstimates;

impl Estimates for NoEstimates {
    fn seconds(&self, _: &Pkgbase) -> Option<u64> {
        None
    }
}

/// Shell patterns (`haskell-*`, `lib{a,b}`) for pkgbases.
#[derive(Clone, Debug, Default)]
pub struct Patterns {
    texts: Vec<String>,
    set: GlobSet,
}

/// A pattern that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{pattern}' is not a valid pattern: {reason}")]
pub struct InvalidPattern {
    /// The text.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Patterns {
    /// Reads a list of patterns.
    ///
    /// # Errors
    ///
    /// At the first one that is not a valid shell pattern.
    pub fn new<S: AsRef<str>>(
        patterns: impl IntoIterator<Item = S>,
    ) -> Result<Self, InvalidPattern> {
        let mut builder = GlobSetBuilder::new();
        let mut texts = Vec::new();
        for pattern in patterns {
            let pattern = pattern.as_ref();
            let invalid = |error: globset::Error| InvalidPattern {
                pattern: pattern.to_owned(),
                reason: error.kind().to_string(),
            };
            builder.add(Glob::new(pattern).map_err(invalid)?);
            texts.push(pattern.to_owned());
        }
        let set = builder.build().map_err(|error| InvalidPattern {
            pattern: texts.join(" "),
            reason: error.kind().to_string(),
        })?;
        Ok(Self { texts, set })
    }

    /// Whether there is none, so that nothing matches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Whether any of them matches.
    #[must_use]
    pub fn matches(&self, pkgbase: &Pkgbase) -> bool {
        !self.is_empty() && self.set.is_match(pkgbase.as_str())
    }
}

impl PartialEq for Patterns {
    fn eq(&self, other: &Self) -> bool {
        self.texts == other.texts
    }
}

/// What to plan.
#[derive(Clone)]
pub struct PlanRequest<'a> {
    /// The architecture to build for.
    pub architecture: Architecture,
    /// The source packages that change, in the version that is to be built.
    pub origins: Vec<Arc<SourcePackage>>,
    /// How far the rebuild spreads.
    pub scope: Scope,
    /// What is rebuilt although the scope does not reach it. It spreads no further.
    pub include: Patterns,
    /// What is not rebuilt, and lets nothing spread through it, even if it is included. Origins are
    /// always built.
    pub exclude: Patterns,
    /// How long each build takes.
    pub estimates: &'a dyn Estimates,
}

impl PlanRequest<'_> {
    /// A request without patterns and estimates.
    #[must_use]
    pub fn new(architecture: Architecture, origins: Vec<Arc<SourcePackage>>, scope: Scope) -> Self {
        Self {
            architecture,
            origins,
            scope,
            include: Patterns::default(),
            exclude: Patterns::default(),
            estimates: &NoEstimates,
        }
    }
}

impl fmt::Debug for PlanRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origins: Vec<_> = self.origins.iter().map(|origin| origin.pkgbase()).collect();
        f.debug_struct("PlanRequest")
            .field("architecture", &self.architecture)
            .field("origins", &origins)
            .field("scope", &self.scope)
            .field("include", &self.include)
            .field("exclude", &self.exclude)
            .finish_non_exhaustive()
    }
}
