//! Which builds need workers with a tag.

use std::collections::BTreeSet;
use std::str::FromStr;

use buildbtw_model::{InvalidName, Pkgbase, WorkerTag};
use buildbtw_planner::{InvalidPatterns, Patterns};

/// A rule `PATTERN=TAG`: builds of matching pkgbases need workers with the tag.
#[derive(Clone, Debug)]
pub struct BuildTagRule {
    pattern: Patterns,
    tag: WorkerTag,
}

/// Why a text is not a rule.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRule {
    /// It has no equals sign.
    #[error("expected PATTERN=TAG, for example chromium*=big")]
    NoTag,
    /// Its pattern is invalid.
    #[error(transparent)]
    Pattern(#[from] InvalidPatterns),
    /// Its tag is invalid.
    #[error(transparent)]
    Tag(#[from] InvalidName),
}

impl FromStr for BuildTagRule {
    type Err = InvalidRule;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (pattern, tag) = text.split_once('=').ok_or(InvalidRule::NoTag)?;
        if pattern.is_empty() {
            return Err(InvalidRule::NoTag);
        }
        Ok(Self {
            pattern: Patterns::new(&[pattern.to_owned()])?,
            tag: tag.parse()?,
        })
    }
}

/// The rules for tags of builds. The first one that matches a pkgbase counts.
#[derive(Clone, Debug, Default)]
pub struct BuildTags(Vec<BuildTagRule>);

impl BuildTags {
    /// Creates them from rules in their order.
    #[must_use]
    pub fn new(rules: Vec<BuildTagRule>) -> Self {
        Self(rules)
    }

    /// Returns the tag that workers for a pkgbase need.
    #[must_use]
    pub fn of(&self, pkgbase: &Pkgbase) -> Option<&WorkerTag> {
        let rule = self.0.iter().find(|rule| rule.pattern.matches(pkgbase));
        rule.map(|rule| &rule.tag)
    }

    /// Returns all tags of the rules, each once.
    #[must_use]
    pub fn all(&self) -> BTreeSet<&WorkerTag> {
        self.0.iter().map(|rule| &rule.tag).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_matching_rule_counts() {
        let rules = ["qt6-webengine=huge", "qt6-*=big", "chromium=huge"];
        let tags = BuildTags::new(rules.iter().map(|rule| rule.parse().unwrap()).collect());
        let of = |pkgbase: &str| tags.of(&pkgbase.parse().unwrap()).map(WorkerTag::as_str);
        assert_eq!(of("qt6-webengine"), Some("huge"));
        assert_eq!(of("qt6-base"), Some("big"));
        assert_eq!(of("bash"), None);
        // A tag of several rules would give its builds several places in the choice.
        let all: Vec<_> = tags.all().into_iter().map(WorkerTag::as_str).collect();
        assert_eq!(all, ["big", "huge"]);
    }

    #[test]
    fn rejects_malformed_rules() {
        for text in ["chromium", "=big", "chromium=", "chromium=Big!", "[=big"] {
            assert!(text.parse::<BuildTagRule>().is_err(), "{text}");
        }
    }
}
