//! The release bump: a rebuild must install over the package that it replaces, although its `PKGBUILD` still has the
//! old release.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::ids::PackageVersion;
use crate::version::compare_versions;

/// The rule that derives a build's release from the version in its `PKGBUILD`. The server applies it to the version in
/// the `.SRCINFO`, and the builder to the version that `pkgver()` prints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReleaseRule {
    /// Whether the build is a rebuild, whose release is always raised.
    pub is_rebuild: bool,
    /// The versions of its packages in the base repositories.
    #[serde(default)]
    pub base: Vec<PackageVersion>,
    /// The versions that earlier builds of the namespace gave its packages.
    #[serde(default)]
    pub earlier: Vec<PackageVersion>,
}

impl ReleaseRule {
    /// Returns the version of the packages. The release is raised for a rebuild, if base already has this version, or
    /// if the namespace has had this version with the same or a higher release.
    #[must_use]
    pub fn version(&self, own: &PackageVersion) -> PackageVersion {
        let is_in_base = || self.base.iter().any(|known| known.compare(own).is_eq());
        let not_below =
            |known: &PackageVersion| same_pkgver(known, own) && known.compare(own).is_ge();
        if self.is_rebuild || is_in_base() || self.earlier.iter().any(not_below) {
            bumped_version(own, self.known())
        } else {
            own.clone()
        }
    }

    /// Returns [`ReleaseRule::version`], unless another source package gives a package of the same name this version.
    /// In that case the versions of the others are added to the earlier ones, and the release is raised above them.
    #[must_use]
    pub fn version_avoiding(
        &mut self,
        own: &PackageVersion,
        others: &[PackageVersion],
    ) -> PackageVersion {
        let version = self.version(own);
        if !others.iter().any(|other| other.compare(&version).is_eq()) {
            return version;
        }
        self.earlier.extend(others.iter().cloned());
        self.version(own)
    }

    /// Returns the newest base version that is newer than this version. pacman would not install packages of this
    /// version over it.
    #[must_use]
    pub fn newer_in_base(&self, version: &PackageVersion) -> Option<&PackageVersion> {
        let newer = self
            .base
            .iter()
            .filter(|base| base.compare(version).is_gt());
        newer.max_by(|a, b| a.compare(b))
    }

    fn known(&self) -> impl Iterator<Item = &PackageVersion> {
        self.base.iter().chain(&self.earlier)
    }
}

/// Returns the next release that leaves the packager's next one free: `N` becomes `N.1`, `N.k` becomes `N.(k+1)`.
fn next_pkgrel(pkgrel: &str) -> String {
    let (major, minor) = match pkgrel.split_once('.') {
        Some((major, minor)) => (major, minor.parse::<u64>().unwrap_or(0)),
        None => (pkgrel, 0),
    };
    match minor.checked_add(1) {
        Some(minor) => format!("{major}.{minor}"),
        // An overflow is unrealistic; still, the result must be newer.
        None => {
            let major = major.parse::<u64>().unwrap_or(0);
            format!("{}", major.saturating_add(1))
        }
    }
}

/// Returns the `pkgrel` of a rebuild of `current`: newer than `current` and than every version in `at_least` with the
/// same epoch and pkgver. Other versions do not matter.
///
/// ```
/// # use buildbtw_model::bumped_pkgrel;
/// let current = "1.0-3".parse()?;
/// assert_eq!(bumped_pkgrel(&current, []), "3.1");
/// assert_eq!(bumped_pkgrel(&current, [&"1.0-3.4".parse()?, &"2.0-9".parse()?]), "3.5");
/// # Ok::<(), buildbtw_model::InvalidName>(())
/// ```
#[must_use]
pub fn bumped_pkgrel<'a>(
    current: &'a PackageVersion,
    at_least: impl IntoIterator<Item = &'a PackageVersion>,
) -> String {
    let highest = at_least
        .into_iter()
        .filter(|other| same_pkgver(current, other))
        .map(PackageVersion::pkgrel)
        .fold(current.pkgrel(), |highest, pkgrel| {
            if compare_versions(pkgrel, highest).is_gt() {
                pkgrel
            } else {
                highest
            }
        });
    next_pkgrel(highest)
}

/// Returns [`bumped_pkgrel`] as a full version, with the epoch and pkgver of `current`.
#[must_use]
pub fn bumped_version<'a>(
    current: &'a PackageVersion,
    at_least: impl IntoIterator<Item = &'a PackageVersion>,
) -> PackageVersion {
    let pkgrel = bumped_pkgrel(current, at_least);
    format!("{}-{pkgrel}", current.without_pkgrel())
        .parse()
        // A valid version with another valid release is valid.
        .unwrap_or_else(|_| current.clone())
}

fn same_pkgver(a: &PackageVersion, b: &PackageVersion) -> bool {
    compare_versions(a.without_pkgrel(), b.without_pkgrel()) == Ordering::Equal
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bump(current: &str, others: &[&str]) -> String {
        let others: Vec<PackageVersion> = others.iter().map(|v| v.parse().unwrap()).collect();
        bumped_pkgrel(&current.parse().unwrap(), &others)
    }

    #[test]
    fn bumps_release_in_every_case() {
        for (current, others, expected) in [
            ("1-1", &[][..], "1.1"),
            ("1-1.1", &[], "1.2"),
            ("1-1.9", &[], "1.10"),
            ("1-0", &[], "0.1"),
            ("1-1", &["1-1"], "1.1"),
            ("1-1", &["1-1.3"], "1.4"),
            ("1-1", &["1-1.3", "1-1.10"], "1.11"),
            ("1-1.5", &["1-1"], "1.6"),
            ("1-1", &["1-2"], "2.1"),
            ("1-1", &["1-2.7", "1-1.9"], "2.8"),
            ("1-1", &["1:1-7", "2-7"], "1.1"),
            ("1:1-1", &["1-7"], "1.1"),
            ("1-1", &["0:1-4"], "4.1"),
            ("1-1", &["1-1.18446744073709551615"], "2"),
        ] {
            assert_eq!(bump(current, others), expected, "{current} {others:?}");
        }
    }

    fn rule(is_rebuild: bool, base: &[&str], earlier: &[&str]) -> ReleaseRule {
        let parsed = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        ReleaseRule {
            is_rebuild,
            base: parsed(base),
            earlier: parsed(earlier),
        }
    }

    #[test]
    fn keeps_release_of_origin_unless_its_version_is_taken() {
        for (is_rebuild, own, base, earlier, expected) in [
            (false, "2-1", &["1-4"][..], &[][..], "2-1"),
            (false, "2-1", &["2-1"], &[], "2-1.1"),
            (false, "2-1", &["2-1", "2-1.3"], &[], "2-1.4"),
            (false, "2-1", &[], &["2-1"], "2-1.1"),
            (false, "2-2", &["2-1"], &[], "2-2"),
            // Base may have dropped the package above which this release was bumped.
            (false, "2-1", &[], &["2-1.1"], "2-1.2"),
            (false, "2-1", &["2-0.9"], &["2-1.1", "2-0.8"], "2-1.2"),
            (false, "2-2", &[], &["2-1.1", "3-1"], "2-2"),
            (false, "2-1", &["3-1"], &[], "2-1"),
            // pacman considers both the same version.
            (false, "2.0-1", &["2.00-1"], &[], "2.0-1.1"),
            (true, "2-1", &[], &[], "2-1.1"),
            (true, "2-1", &["2-1.1"], &["2-1.2"], "2-1.3"),
            (true, "r2.abc-1", &["r1.abc-7"], &[], "r2.abc-1.1"),
        ] {
            let version = rule(is_rebuild, base, earlier).version(&own.parse().unwrap());
            assert_eq!(version.as_str(), expected, "{own} {base:?} {earlier:?}");
        }
    }

    #[test]
    fn names_package_that_is_newer_in_base() {
        let rule = rule(true, &["1:1-1", "3-1", "1-1"], &["9:1-1"]);
        for (version, expected) in [
            ("1-1.1", Some("1:1-1")),
            ("1:1-1", None),
            ("1:1-1.1", None),
            ("1:0.9-5", Some("1:1-1")),
        ] {
            let newer = rule.newer_in_base(&version.parse().unwrap());
            assert_eq!(newer.map(PackageVersion::as_str), expected, "{version}");
        }
    }

    proptest! {
        #[test]
        fn exceeds_every_release_of_the_same_pkgver(
            current in "[12](\\.[0-9]{1,2})?",
            others in prop::collection::vec("[12](\\.[0-9]{1,2})?", 0..5),
        ) {
            let version = |pkgrel: &String| format!("1-{pkgrel}").parse::<PackageVersion>();
            let Ok(current) = version(&current) else { return Ok(()) };
            let others: Vec<_> = others.iter().filter_map(|pkgrel| version(pkgrel).ok()).collect();
            let bumped = bumped_version(&current, &others);
            for other in others.iter().chain([&current]) {
                prop_assert!(bumped.compare(other).is_gt(), "{} over {}", bumped, other);
            }
        }
    }
}
