//! What a plan is asked for.

use std::fmt;
use std::sync::Arc;

use buildbtw_model::{Architecture, Pkgbase, Scope};
use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::base::BaseIndex;
use crate::sonames::Sonames;
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

/// Why a list of patterns cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPatterns {
    /// A text is not a shell pattern.
    #[error("'{pattern}' is not a valid pattern: {reason}")]
    Syntax {
        /// The text.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// One of them is too long.
    #[error(
        "pattern {number} has {length} bytes; at most {} are allowed",
        Patterns::MAX_BYTES
    )]
    TooLong {
        /// Its place in the list, from 1 on.
        number: usize,
        /// Its length in bytes.
        length: usize,
    },
    /// There are too many.
    #[error(
        "there are {count} patterns; at most {} are allowed",
        Patterns::MAX_COUNT
    )]
    TooMany {
        /// How many there are.
        count: usize,
    },
}

impl Patterns {
    /// The most patterns of a list.
    pub const MAX_COUNT: usize = 1_000;
    /// The most bytes of a pattern.
    pub const MAX_BYTES: usize = 256;

    /// Reads a list of patterns. This can take seconds for a long list.
    ///
    /// # Errors
    ///
    /// When there are too many, or at the first one that is too long or not a valid shell pattern.
    pub fn new<S: AsRef<str>>(patterns: &[S]) -> Result<Self, InvalidPatterns> {
        if patterns.len() > Self::MAX_COUNT {
            let count = patterns.len();
            return Err(InvalidPatterns::TooMany { count });
        }
        let texts = patterns.iter().map(AsRef::as_ref);
        // All lengths first, as reading the others takes time.
        for (number, text) in (1..).zip(texts.clone()) {
            let length = text.len();
            if length > Self::MAX_BYTES {
                return Err(InvalidPatterns::TooLong { number, length });
            }
        }
        let mut builder = GlobSetBuilder::new();
        for pattern in texts.clone() {
            let invalid = |error: globset::Error| InvalidPatterns::Syntax {
                pattern: pattern.to_owned(),
                reason: error.kind().to_string(),
            };
            builder.add(Glob::new(pattern).map_err(invalid)?);
        }
        let set = builder.build().map_err(|error| InvalidPatterns::Syntax {
            pattern: texts.clone().collect::<Vec<_>>().join(" "),
            reason: error.kind().to_string(),
        })?;
        Ok(Self {
            texts: texts.map(str::to_owned).collect(),
            set,
        })
    }

    /// Returns whether there is none, so that nothing matches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Returns whether any of them matches.
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
    /// What the base repositories hold, where that is known.
    pub base: Option<&'a BaseIndex>,
    /// Who links which library, as far as built packages told.
    pub sonames: Option<&'a Sonames>,
    /// Members of cycles that are built first without what they need of their cycle.
    pub bootstrap: Vec<Pkgbase>,
    /// Whether new versions of libraries are expected to keep the sonames of the old ones.
    pub keeps_sonames: bool,
}

impl PlanRequest<'_> {
    /// A request without patterns, estimates and what is known of other packages.
    #[must_use]
    pub fn new(architecture: Architecture, origins: Vec<Arc<SourcePackage>>, scope: Scope) -> Self {
        Self {
            architecture,
            origins,
            scope,
            include: Patterns::default(),
            exclude: Patterns::default(),
            estimates: &NoEstimates,
            base: None,
            sonames: None,
            bootstrap: Vec::new(),
            keeps_sonames: false,
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
            .field("bootstrap", &self.bootstrap)
            .field("keeps_sonames", &self.keeps_sonames)
            .finish_non_exhaustive()
    }
}
