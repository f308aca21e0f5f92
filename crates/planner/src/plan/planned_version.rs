//! The version that a build gives its packages.

use buildbtw_model::{Architecture, PackageVersion, Pkgbase, ReleaseRule, VersionNote};

use super::problem::{Problem, ProblemKind};
use crate::srcinfo::SourcePackage;

/// The kinds of sources whose newest revision is built unless they are pinned.
const REPOSITORIES: &[&str] = &["bzr", "fossil", "git", "hg", "svn"];
/// The fragments that pin such a source.
const PINS: &[&str] = &["commit", "revision", "tag"];
/// The suffixes of packages that are built from such sources.
const SUFFIXES: &[&str] = &["-bzr", "-fossil", "-git", "-hg", "-svn"];

/// The version that a build gives its packages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedVersion {
    /// The version; if `pkgver()` computes it, a prediction from the `.SRCINFO`.
    pub version: PackageVersion,
    /// Whether `pkgver()` may compute another version in the build.
    pub is_computed: bool,
    /// The rule for its release.
    pub rule: ReleaseRule,
}

impl PlannedVersion {
    /// Returns the note to show next to the version.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        let newer = self.rule.newer_in_base(&self.version);
        VersionNote::of(self.is_computed, newer).map(|note| note.text)
    }

    /// Returns the newest version that the base repositories have of its packages, if any is known.
    #[must_use]
    pub fn old(&self) -> Option<&PackageVersion> {
        let known = self.rule.base.iter();
        known.max_by(|a, b| a.compare(b))
    }

    /// Returns the problem that an origin has the version of the base repositories, which is `own` in its `.SRCINFO`.
    pub(super) fn same_as_base(&self, pkgbase: &Pkgbase, own: &PackageVersion) -> Option<Problem> {
        let mut known = self.rule.base.iter();
        if self.is_computed || self.rule.is_rebuild || !known.any(|base| base.compare(own).is_eq())
        {
            return None;
        }
        let version = &self.version;
        let outcome = if version.compare(own).is_eq() {
            "pacman does not install its build over it".to_owned()
        } else {
            format!("it is built as {version}")
        };
        Some(Problem {
            pkgbase: pkgbase.clone(),
            kind: ProblemKind::SameAsBase,
            message: format!("{own} equals the version in the base repositories: {outcome}"),
        })
    }

    /// Returns the problem that packages with this version would not replace those of the base repositories, if so.
    #[must_use]
    pub fn problem(&self, pkgbase: &Pkgbase) -> Option<Problem> {
        if self.is_computed {
            return None;
        }
        let version = &self.version;
        let newer = self.rule.newer_in_base(version)?;
        let message = if self.rule.is_rebuild {
            format!(
                "{version} would not install over {newer} of the base repositories: its build fails"
            )
        } else {
            format!("{version} is {}", self.note()?)
        };
        Some(Problem {
            pkgbase: pkgbase.clone(),
            kind: ProblemKind::OlderThanBase,
            message,
        })
    }
}

/// Returns whether `pkgver()` probably computes the version. An `.SRCINFO` does not record this, so the criterion is a
/// source that is the newest revision of a repository.
#[must_use]
pub fn computes_version(package: &SourcePackage, architecture: &Architecture) -> bool {
    let name = package.pkgbase().as_str();
    let is_named_so = SUFFIXES.iter().any(|suffix| name.ends_with(suffix));
    package.sources(architecture).into_iter().any(|source| {
        let address = source
            .split_once("::")
            .map_or(source, |(_, address)| address);
        let Some((scheme, rest)) = address.split_once("://") else {
            return false;
        };
        let kind = scheme.split_once('+').map_or(scheme, |(kind, _)| kind);
        let fragment = rest.split_once('#').map_or("", |(_, fragment)| fragment);
        let pin = fragment.split_once('=').map_or("", |(kind, _)| kind);
        REPOSITORIES.contains(&kind) && (is_named_so || !PINS.contains(&pin))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_match_snapshot() {
        let problem = |is_rebuild| {
            let planned = PlannedVersion {
                version: "1.0-1".parse().unwrap(),
                is_computed: false,
                rule: ReleaseRule {
                    is_rebuild,
                    base: vec!["1:2.0-1".parse().unwrap()],
                    earlier: Vec::new(),
                },
            };
            planned.problem(&"a".parse().unwrap()).unwrap().message
        };
        insta::assert_snapshot!([problem(true), problem(false)].join("\n"));
    }
}
