//! Plan requests.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use buildbtw_model::{Architecture, Pkgbase, Scope};
use globset::{Glob, GlobSet, GlobSetBuilder};

use super::estimate::{Estimates, NoEstimates};
use crate::base::BaseIndex;
use crate::sonames::Sonames;
use crate::srcinfo::SourcePackage;

/// Shell patterns (`haskell-*`, `lib{a,b}`) for pkgbases.
#[derive(Clone, Debug, Default)]
pub struct Patterns {
    texts: Vec<String>,
    set: GlobSet,
}

/// Why a list of patterns is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPatterns {
    /// A pattern is malformed.
    #[error("`{pattern}` is not a valid pattern: {reason}")]
    Syntax {
        /// The pattern.
        pattern: String,
        /// The syntax error.
        reason: String,
    },
    /// A pattern is too long.
    #[error(
        "pattern {number} has {length} bytes; at most {} are allowed",
        Patterns::MAX_BYTES
    )]
    TooLong {
        /// Its position in the list, from 1.
        number: usize,
        /// Its length in bytes.
        length: usize,
    },
    /// The list is too long.
    #[error(
        "there are {count} patterns; at most {} are allowed",
        Patterns::MAX_COUNT
    )]
    TooMany {
        /// The length of the list.
        count: usize,
    },
}

impl Patterns {
    /// The maximum number of patterns in a list.
    pub const MAX_COUNT: usize = 1_000;
    /// The maximum length of a pattern in bytes.
    pub const MAX_BYTES: usize = 256;

    /// Compiles a list of patterns. This can take seconds for a long list.
    ///
    /// # Errors
    ///
    /// Fails when the list is too long, or at the first pattern that is too long or not a valid shell pattern.
    pub fn new<S: AsRef<str>>(patterns: &[S]) -> Result<Self, InvalidPatterns> {
        if patterns.len() > Self::MAX_COUNT {
            let count = patterns.len();
            return Err(InvalidPatterns::TooMany { count });
        }
        let texts = patterns.iter().map(AsRef::as_ref);
        // All lengths are checked first, because compiling takes time.
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

    /// Returns whether the list is empty, so that nothing matches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Returns whether any pattern matches.
    #[must_use]
    pub fn matches(&self, pkgbase: &Pkgbase) -> bool {
        !self.is_empty() && self.set.is_match(pkgbase.as_str())
    }

    /// Returns the first pattern that matches none of these pkgbases.
    #[must_use]
    pub fn first_unmatched<'a>(
        &self,
        pkgbases: impl IntoIterator<Item = &'a Pkgbase>,
    ) -> Option<&str> {
        let mut unmatched: BTreeSet<usize> = (0..self.texts.len()).collect();
        for pkgbase in pkgbases {
            if unmatched.is_empty() {
                return None;
            }
            for index in self.set.matches(pkgbase.as_str()) {
                unmatched.remove(&index);
            }
        }
        let first = unmatched.first()?;
        self.texts.get(*first).map(String::as_str)
    }
}

impl PartialEq for Patterns {
    fn eq(&self, other: &Self) -> bool {
        self.texts == other.texts
    }
}

/// A request for a plan.
#[derive(Clone)]
pub struct PlanRequest<'a> {
    /// The architecture to build for.
    pub architecture: Architecture,
    /// The source packages that change, in the version to build.
    pub origins: Vec<Arc<SourcePackage>>,
    /// How far the rebuild spreads.
    pub scope: Scope,
    /// Pkgbases that are rebuilt even if the scope does not reach them. The rebuild does not spread from them.
    pub include: Patterns,
    /// Pkgbases that are not rebuilt, even if they are included. The rebuild does not spread through them. Origins are
    /// always built.
    pub exclude: Patterns,
    /// The estimates of durations.
    pub estimates: &'a dyn Estimates,
    /// The packages of the base repositories, if known.
    pub base: Option<&'a BaseIndex>,
    /// The libraries that packages contain and link, if known.
    pub sonames: Option<&'a Sonames>,
    /// Members of cycles that get a bootstrap build.
    pub bootstrap: Vec<Pkgbase>,
    /// Whether new versions of libraries are assumed to keep the sonames of the old ones.
    pub keeps_sonames: bool,
}

impl PlanRequest<'_> {
    /// Creates a request without patterns, estimates, base repositories and libraries.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_patterns_match_snapshot() {
        let errors = [
            InvalidPatterns::Syntax {
                pattern: "[".to_owned(),
                reason: "unclosed character class; missing ']'".to_owned(),
            },
            InvalidPatterns::TooLong {
                number: 2,
                length: 9_000,
            },
            InvalidPatterns::TooMany { count: 2_000 },
        ];
        for error in &errors {
            match error {
                InvalidPatterns::Syntax { .. }
                | InvalidPatterns::TooLong { .. }
                | InvalidPatterns::TooMany { .. } => {}
            }
        }
        insta::assert_snapshot!(errors.map(|error| error.to_string()).join("\n"));
    }
}
